package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestIsolation tries what belongs to one caller with another's token, on
// every operation of the document that takes an id.
func TestIsolation(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data)
	mine, owner := addCaller(t, server, data, "owner", allGrants()...)
	_, other := addCaller(t, server, data, "other", allGrants()...)

	up := exchange(t, server, owner, http.MethodPost, "/platform/v0/uploads?type=ss_id", "text/plain", "someone\n")
	key := value(t, up, "response.key")
	made := exchange(t, server, owner, http.MethodPost, "/platform/v0/audiences", "application/json", definition(`"callback_url":"http://127.0.0.1:9/"`))
	id := value(t, made, "response.id")
	waitDone(t, mine, int64(atoi(t, id)))
	callback := refusedCallback(t, server, owner)

	fill := func(path string) string {
		switch {
		case strings.HasPrefix(path, "/uploads/"):
			return key
		case strings.HasPrefix(path, "/callbacks/"):
			path = strings.Replace(path, "{id}", callback, 1)
		default:
			path = strings.Replace(path, "{id}", id, 1)
		}
		return strings.NewReplacer("{type}", "ss_id", "{n}", "1").Replace(path)
	}
	doc, err := document()
	if err != nil {
		t.Fatalf("read document: %v", err)
	}
	tried := 0
	for path, item := range doc.Paths.Map() {
		if !strings.Contains(path, "{") {
			continue
		}
		for method, op := range item.Operations() {
			want := http.StatusNotFound
			if op.Tags[0] == "Not built yet" {
				want = http.StatusNotImplemented
			}
			got := exchange(t, server, other, method, "/platform/v0"+fill(path), "", "")
			if got.status != want {
				t.Errorf("%s %s by another caller = %d %s, want %d", method, path, got.status, got.body, want)
			}
			tried++
		}
	}
	if tried < 10 {
		t.Errorf("tried %d operations, want all that take an id", tried)
	}
	checkBodies(t, server, other, key, id)

	for _, path := range []string{"/audiences", "/uploads", "/callbacks"} {
		if got := value(t, exchange(t, server, other, http.MethodGet, "/platform/v0"+path, "", ""), "response.data"); got != "[]" {
			t.Errorf("GET %s by another caller = %s, want nothing", path, got)
		}
		if got := value(t, exchange(t, server, owner, http.MethodGet, "/platform/v0"+path, "", ""), "response.data.len"); got != "1" {
			t.Errorf("GET %s by its owner has %s elements after all that, want 1", path, got)
		}
	}
	checkSameBytes(t, server, owner, other, key)
}

// checkBodies uses an upload and an audience in definitions of another caller.
func checkBodies(t *testing.T, server *process, token, key, id string) {
	t.Helper()
	for criterion, path := range map[string]string{
		`"upload":{"keys":["` + key + `"],"type":"ss_id"}`: "parameters[0].upload.keys[0]",
		`"audience":{"ids":[` + id + `]}`:                  "parameters[0].audience.ids[0]",
	} {
		for _, url := range []string{"/platform/v0/audiences", "/platform/v0/audiences/preview"} {
			got := exchange(t, server, token, http.MethodPost, url, "application/json",
				`{"audience":{"name":"x"},"parameters":[{"operation":"OR",`+criterion+`}]}`)
			if at := value(t, got, "error.details.0.path"); got.status != http.StatusBadRequest || at != path {
				t.Errorf("POST %s with another's %s = %d of %s, want 400 of %s", url, criterion, got.status, at, path)
			}
		}
	}
}

// checkSameBytes uploads the same bytes as another caller: two uploads that
// know nothing of each other, though their keys are one.
func checkSameBytes(t *testing.T, server *process, owner, other, key string) {
	t.Helper()
	up := exchange(t, server, other, http.MethodPost, "/platform/v0/uploads?type=ss_id", "text/plain", "someone\n")
	if got := value(t, up, "response.key"); got != key {
		t.Errorf("key of the same bytes = %s, want %s", got, key)
	}
	if got := exchange(t, server, other, http.MethodDelete, "/platform/v0"+key, "", ""); got.status != http.StatusOK {
		t.Errorf("DELETE of one's own upload = %d %s, want 200", got.status, got.body)
	}
	if got := exchange(t, server, owner, http.MethodGet, "/platform/v0"+key, "", ""); got.status != http.StatusOK {
		t.Errorf("GET of the owner's upload after that = %d %s, want 200", got.status, got.body)
	}
}

// refusedCallback waits until the only callback of a caller was refused and
// returns its id.
func refusedCallback(t *testing.T, server *process, token string) string {
	t.Helper()
	got := eventually(t, server, token, "/platform/v0/callbacks?status=refused", "response.data.len", "1")
	return value(t, got, "response.data.0.id")
}

// value is a value of an answer, as lookup gives it.
func value(t testing.TB, e exchanged, path string) string {
	t.Helper()
	v, err := lookup(e.body, path)
	if err != nil {
		t.Fatalf("%s of %d %s: %v", path, e.status, e.body, err)
	}
	return v
}

func atoi(t testing.TB, s string) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatalf("read number %q: %v", s, err)
	}
	return n
}
