package e2e

import (
	"net/http"
	"testing"
)

// TestCancel ends builds that wait behind another one of their caller. Builds
// are short, so that one may end before it is canceled; then it is tried anew.
func TestCancel(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data)
	_, token := addCaller(t, server, data, "hasty", append(allGrants(), "--concurrent-builds", "1", "--builds", "1000")...)
	create := func(body string) string {
		t.Helper()
		return value(t, exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", body), "response.id")
	}
	credits := func() int {
		t.Helper()
		return atoi(t, value(t, exchange(t, server, token, http.MethodGet, "/platform/v0/credits", "", ""), "response.builds"))
	}
	// behind makes a build that waits behind others, and does something to it
	// until the server takes it as running.
	behind := func(t *testing.T, path func(id string) string, method string) (string, exchanged) {
		t.Helper()
		for range 100 {
			var id string
			for range 5 {
				id = create(definition(""))
			}
			got := exchange(t, server, token, method, path(id), "", "")
			if got.status != http.StatusConflict {
				return id, got
			}
		}
		t.Fatal("every one of 100 builds had ended before it could be canceled")
		return "", exchanged{}
	}

	t.Run("cancel", func(t *testing.T) {
		id, got := behind(t, func(id string) string { return "/platform/v0/audiences/" + id + "/cancel" }, http.MethodPost)
		if got.status != http.StatusOK || value(t, got, "response.status") != "canceled" || value(t, got, "response.id") != id {
			t.Errorf("cancel = %d %s, want 200 canceled", got.status, got.body)
		}
		now := exchange(t, server, token, http.MethodGet, "/platform/v0/audiences/"+id, "", "")
		for path, want := range map[string]string{"status": "canceled", "size": "null", "outputs": "[]", "step": ""} {
			if got := value(t, now, "response."+path); got != want {
				t.Errorf("canceled audience has %s %s, want %s", path, got, want)
			}
		}
		before := credits()
		if again := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences/"+id+"/cancel", "", ""); again.status != http.StatusOK {
			t.Errorf("cancel a second time = %d %s, want 200", again.status, again.body)
		}
		if after := credits(); after != before {
			t.Errorf("canceling a second time changes the credits from %d to %d", before, after)
		}
		for _, path := range []string{"/outputs/ss_id"} {
			if got := exchange(t, server, token, http.MethodGet, "/platform/v0/audiences/"+id+path, "", ""); got.status != http.StatusNotFound {
				t.Errorf("GET %s of a canceled audience = %d %s, want 404", path, got.status, got.body)
			}
		}
		used := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences/preview", "application/json",
			`{"parameters":[{"operation":"OR","audience":{"ids":[`+id+`]}}]}`)
		if used.status != http.StatusBadRequest || value(t, used, "error.details.0.message") != "is not finished: its status is canceled" {
			t.Errorf("use of a canceled audience = %d %s, want 400", used.status, used.body)
		}
		if again := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences/"+id+"/regenerate", "", ""); again.status != http.StatusOK {
			t.Errorf("regenerate a canceled audience = %d %s, want 200", again.status, again.body)
		}
	})

	t.Run("credit", func(t *testing.T) {
		eventually(t, server, token, "/platform/v0/audiences?status=running", "response.data", "[]")
		canceled := value(t, exchange(t, server, token, http.MethodGet, "/platform/v0/audiences?status=canceled&limit=500", "", ""), "response.data.len")
		done := value(t, exchange(t, server, token, http.MethodGet, "/platform/v0/audiences?status=done&limit=500", "", ""), "response.data.len")
		if got, want := credits(), 1000-atoi(t, done); got != want {
			t.Errorf("credits after %s builds done and %s canceled = %d, want %d", done, canceled, got, want)
		}
	})

	t.Run("delete", func(t *testing.T) {
		before := credits()
		id := create(definition(""))
		if got := exchange(t, server, token, http.MethodDelete, "/platform/v0/audiences/"+id, "", ""); got.status != http.StatusOK {
			t.Errorf("DELETE of a running build = %d %s, want 200", got.status, got.body)
		}
		if got := exchange(t, server, token, http.MethodGet, "/platform/v0/audiences/"+id, "", ""); got.status != http.StatusNotFound {
			t.Errorf("GET of a deleted audience = %d %s, want 404", got.status, got.body)
		}
		if after := credits(); after != before && after != before-1 {
			t.Errorf("credits after deleting = %d, want %d or %d", after, before, before-1)
		}
	})
}
