package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"testing"
)

// TestWebParts looks at what pages ask for by themselves: parts of the list and
// of an audience, and the page of a report that is being made, which asks again
// until there is one. A server that runs no jobs keeps everything waiting.
func TestWebParts(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data, "--role", "api")
	_, token := addCaller(t, server, data, "reader", allGrants()...)
	id := value(t, exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", definition("")), "response.id")
	of := "/audiences/" + id
	b := newBrowser(t, server.URL)
	b.want("/login", url.Values{"token": {token}}, http.StatusOK)
	b.want(of+"/report", nil, http.StatusNotFound) // nobody has asked for it
	b.want(of+"/report", url.Values{}, http.StatusOK, `id="pending"`, fmt.Sprintf(`hx-get="%s/report"`, of), `hx-select="#pending, #report"`)
	for path, again := range map[string]bool{"/": true, of: true, of + "/report": true} {
		whole, part := b.do(path, nil), b.do(path, nil, "HX-Request", "true")
		checkHeaders(t, whole)
		checkHeaders(t, part)
		if isWhole := bytes.Contains(part.body, []byte("<html")); part.status != http.StatusOK || isWhole != (path == of+"/report") {
			t.Errorf("part of %s = %d, a whole page: %t", path, part.status, isWhole)
		}
		for _, got := range []exchanged{whole, part} {
			if bytes.Contains(got.body, []byte("hx-get")) != again {
				t.Errorf("%s asks again: %t, want %t\n%s", path, !again, again, got.body)
			}
		}
	}
	server.kill()

	server = start(t, data)
	b.base = server.URL
	b.want("/login", url.Values{"token": {token}}, http.StatusOK)
	eventually(t, server, token, "/platform/v0"+of+"/insight", "response.status", "done")
	for path, holds := range map[string]string{of: "affinities", of + "/report": `id="report"`} {
		got := b.do(path, nil, "HX-Request", "true")
		if got.status != http.StatusOK || !bytes.Contains(got.body, []byte(holds)) || bytes.Contains(got.body, []byte("hx-get")) {
			t.Errorf("of what is done, %s = %d, want it with %q, and not to ask again\n%s", path, got.status, holds, got.body)
		}
	}
}
