package e2e

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestUnloaded asks a server that has no dataset yet.
func TestUnloaded(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	server := start(t, data)
	_, token := addCaller(t, server, data, "early", allGrants()...)
	for _, path := range []string{
		"/affinities", "/b2b/job-titles", "/b2b/employers", "/location/cities", "/location/countries", "/location/dmas", "/location/regions",
	} {
		wantUnavailable(t, path, exchange(t, server, token, http.MethodGet, "/platform/v0"+path, "", ""))
	}
	wantUnavailable(t, "/audiences", exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", definition("")))
	wantUnavailable(t, "/audiences/preview", exchange(t, server, token, http.MethodPost, "/platform/v0/audiences/preview", "application/json", definition("")))
	wantUnavailable(t, "/uploads", exchange(t, server, token, http.MethodPost, "/platform/v0/uploads?type=md5", "text/plain", "x\n"))
	for path, want := range map[string]int{
		"/readyz": http.StatusServiceUnavailable, "/healthz": http.StatusOK,
		"/platform/v0/credits": http.StatusOK, "/platform/v0/audiences": http.StatusOK, "/platform/v0/personality-types": http.StatusOK,
	} {
		if got := exchange(t, server, token, http.MethodGet, path, "", ""); got.status != want {
			t.Errorf("GET %s without a dataset = %d %s, want %d", path, got.status, got.body, want)
		}
	}
}

func wantUnavailable(t *testing.T, path string, got exchanged) {
	t.Helper()
	if got.status != http.StatusServiceUnavailable || value(t, got, "error.code") != "unavailable" || got.header.Get("Retry-After") == "" {
		t.Errorf("%s without a dataset = %d %s, Retry-After %q; want 503", path, got.status, got.body, got.header.Get("Retry-After"))
	}
}

// TestMinimumSize hides what is smaller than the operator allows: sizes,
// reasons instead of them, no files.
func TestMinimumSize(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data, "--minimum-size", "1000")
	c, token := addCaller(t, server, data, "curious", allGrants()...)
	small := strings.Replace(definition(""), `"id":"a759"}]}}`, `"id":"a759"}]}},{"operation":"AND","affinities":{"affinities":[{"id":"a38802"}]}},{"operation":"AND","age":{"ranges":["over 54"]}}`, 1)

	preview := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences/preview", "application/json", small)
	for path, hidden := range map[string]bool{"size": true, "steps.exclude": true, "steps.include": false, "parameters.0.size": false} {
		if got := value(t, preview, "response."+path); (got == "null") != hidden {
			t.Errorf("preview: %s = %s, hidden: want %v", path, got, hidden)
		}
	}
	if got := value(t, preview, "response.size_reason"); !strings.Contains(got, "1000") {
		t.Errorf("size_reason = %q, want the number", got)
	}

	id := value(t, exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", small), "response.id")
	waitDone(t, c, int64(atoi(t, id)))
	a := exchange(t, server, token, http.MethodGet, "/platform/v0/audiences/"+id, "", "")
	if value(t, a, "response.status") != "done" || value(t, a, "response.size") != "null" || value(t, a, "response.outputs") != "[]" {
		t.Errorf("small audience = %s, want it done, without size and files", a.body)
	}
	for _, format := range []string{"text", "csv", "parquet"} {
		if got := exchange(t, server, token, http.MethodGet, "/platform/v0/audiences/"+id+"/outputs/ss_id?format="+format, "", ""); got.status != http.StatusNotFound {
			t.Errorf("%s file of a small audience = %d, want 404", format, got.status)
		}
	}

	large := value(t, exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", definition("")), "response.id")
	if a := waitDone(t, c, int64(atoi(t, large))); a.Size == nil || len(a.Outputs) != 7 {
		t.Errorf("large audience has size %v and %d files, want both", a.Size, len(a.Outputs))
	}
}

// TestSameKeyAtOnce sends one request with one key many times at once.
func TestSameKeyAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data)
	_, token := addCaller(t, server, data, "nervous", allGrants()...)
	const n = 16
	answers := make([]exchanged, n)
	uploads := make([]exchanged, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			answers[i] = exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", definition(""), "Idempotency-Key", "k")
		})
		group.Go(func() {
			uploads[i] = exchange(t, server, token, http.MethodPost, "/platform/v0/uploads?type=ss_id", "text/plain", "someone\n", "Idempotency-Key", "k")
		})
	}
	group.Wait()
	for _, list := range [][]exchanged{answers, uploads} {
		for _, got := range list {
			if got.status != http.StatusOK || !bytes.Equal(got.body, list[0].body) {
				t.Errorf("answers %d %s and %d %s, want 200 and the same", got.status, got.body, list[0].status, list[0].body)
			}
		}
	}
	for _, path := range []string{"/audiences", "/uploads"} {
		if got := value(t, exchange(t, server, token, http.MethodGet, "/platform/v0"+path, "", ""), "response.data.len"); got != "1" {
			t.Errorf("GET %s lists %s, want 1", path, got)
		}
	}
}
