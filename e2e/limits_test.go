package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/client"
	"throng/internal/pgtest"
)

// onBoth runs a test on each kind of database.
func onBoth(t *testing.T, f func(t *testing.T, settings ...string)) {
	t.Run("sqlite", func(t *testing.T) { f(t) })
	t.Run("postgres", func(t *testing.T) { f(t, "--database", pgtest.URL(t)) })
}

// TestRequestsPerSecond sends more than a caller may, by every way there is.
func TestRequestsPerSecond(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	onBoth(t, func(t *testing.T, settings ...string) {
		data := newData(t)
		server := start(t, data, settings...)
		add := func(name string, flags ...string) (s struct {
			Token     string `json:"token"`
			AccessKey string `json:"access_key"`
			APIKey    string `json:"api_key"`
		},
		) {
			t.Helper()
			args := append([]string{"caller", "add", name, "--json", "--data", data}, settings...)
			if err := json.Unmarshal([]byte(throng(t, append(args, flags...)...)), &s); err != nil {
				t.Fatal(err)
			}
			return s
		}
		const limit = 5
		fast := add("fast", "--requests-per-second", strconv.Itoa(limit))
		free := add("free")

		// As many as come at once, in the time that they take.
		const n = 60
		answers := make([]exchanged, n)
		var wg sync.WaitGroup
		begin := time.Now()
		for i := range n {
			wg.Go(func() {
				answers[i] = exchange(t, server, fast.Token, http.MethodGet, "/platform/v0/credits", "", "")
			})
		}
		wg.Wait()
		took := time.Since(begin)
		taken := 0
		for _, got := range answers {
			switch got.status {
			case http.StatusOK:
				taken++
			case http.StatusTooManyRequests:
				if value(t, got, "error.code") != "rate_limited" || !strings.Contains(string(got.body), "5 requests a second") || got.header.Get("Retry-After") != "1" {
					t.Errorf("refusal = %s, Retry-After %q", got.body, got.header.Get("Retry-After"))
				}
			default:
				t.Errorf("answer %d %s", got.status, got.body)
			}
		}
		if most := limit + 1 + int(took.Seconds()*limit); taken < limit || taken > most {
			t.Errorf("%d of %d requests in %v were answered, want %d to %d", taken, n, took, limit, most)
		}
		if got := exchange(t, server, free.Token, http.MethodGet, "/platform/v0/credits", "", ""); got.status != http.StatusOK {
			t.Errorf("another caller meanwhile: %d %s", got.status, got.body)
		}

		// The other API has the same bucket, and its own words.
		c := client.NewMintegral(server.URL, fast.AccessKey, fast.APIKey)
		refused := false
		for range 20 * limit {
			if _, err := c.List(t.Context(), nil); err != nil {
				if !strings.Contains(err.Error(), "requests a second") {
					t.Fatal(err)
				}
				refused = true
				break
			}
		}
		if !refused {
			t.Error("the other API has answered a hundred requests at once")
		}
		// Less than before, then without a limit.
		throng(t, append([]string{"caller", "set", "fast", "--data", data, "--requests-per-second", "0"}, settings...)...)
		within(t, 2*time.Second, "the limit that was lifted", func() bool {
			for range 3 * limit {
				if got := exchange(t, server, fast.Token, http.MethodGet, "/platform/v0/credits", "", ""); got.status != http.StatusOK {
					return false
				}
			}
			return true
		})
	})
}

// TestStoredMiB keeps a caller within its room.
func TestStoredMiB(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	onBoth(t, func(t *testing.T, settings ...string) {
		data := newData(t)
		server := start(t, data, settings...)
		_, token := addCaller(t, server, data, "small", append(append(allGrants(), "--stored-mib", "1"), settings...)...)
		ask := func(method, path, contentType, body string) exchanged {
			t.Helper()
			return exchange(t, server, token, method, "/platform/v0"+path, contentType, body)
		}
		ids := func(from int) string {
			var b strings.Builder
			for i := range 80_000 {
				fmt.Fprintln(&b, from+i)
			}
			return b.String()
		}
		first := ask(http.MethodPost, "/uploads?type=twitter_id", "text/plain", ids(1_000_000)) // 640,000 bytes
		if first.status != http.StatusOK {
			t.Fatalf("upload within the limit = %d %s", first.status, first.body)
		}
		full := func(what string, got exchanged) {
			t.Helper()
			if got.status != http.StatusForbidden || value(t, got, "error.code") != "quota_exceeded" || !strings.Contains(string(got.body), "of the 1 MiB that you may store") {
				t.Errorf("%s beyond the limit = %d %s, want 403", what, got.status, got.body)
			}
		}
		full("upload", ask(http.MethodPost, "/uploads?type=twitter_id", "text/plain", ids(2_000_000)))
		address := value(t, ask(http.MethodPost, "/uploads?type=twitter_id&presign=1", "", ""), "response.url")
		if got := exchange(t, server, "", http.MethodPut, strings.TrimPrefix(address, server.URL), "", ids(3_000_000)); got.status != http.StatusForbidden ||
			!strings.Contains(string(got.body), "files sent to addresses 0.6") {
			t.Errorf("file sent to an address beyond the limit = %d %s", got.status, got.body)
		}
		// Everybody has more than a third of a MiB.
		id := value(t, ask(http.MethodPost, "/audiences", "application/json", definition("")), "response.id")
		within(t, 6*time.Second, "the end of a build beyond the limit", func() bool {
			got := ask(http.MethodGet, "/audiences/"+id, "", "")
			status := value(t, got, "response.status")
			if status == "done" || status == "failed" && value(t, got, "response.error.code") != "quota_exceeded" {
				t.Fatalf("build beyond the limit = %s", got.body)
			}
			return status == "failed"
		})
		if got := value(t, ask(http.MethodGet, "/uploads", "", ""), "response.data.len"); got != "1" {
			t.Errorf("%s uploads are there, want 1", got)
		}
		var listed []struct {
			StoredMiB   int64 `json:"stored_mib"`
			StoredBytes int64 `json:"stored_bytes"`
			Waiting     int   `json:"waiting_builds"`
		}
		text := throng(t, append([]string{"caller", "list", "--json", "--data", data}, settings...)...)
		if err := json.Unmarshal([]byte(text), &listed); err != nil || len(listed) != 1 || listed[0].StoredMiB != 1 || listed[0].StoredBytes != 640_000 || listed[0].Waiting != 1000 {
			t.Errorf("caller list = %s, %v", text, err)
		}
		if got := ask(http.MethodDelete, value(t, first, "response.key"), "", ""); got.status != http.StatusOK {
			t.Fatalf("delete = %d %s", got.status, got.body)
		}
		if got := ask(http.MethodPost, "/uploads?type=twitter_id", "text/plain", ids(2_000_000)); got.status != http.StatusOK {
			t.Errorf("upload after a deletion = %d %s", got.status, got.body)
		}
	})
}
