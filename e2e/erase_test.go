package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"throng/internal/pgtest"
)

// TestErase erases a caller beside a running server: nothing of theirs answers
// any more, and no file of the data folder holds a trace of it.
func TestErase(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	t.Run("sqlite", func(t *testing.T) { testErase(t) })
	t.Run("postgres", func(t *testing.T) { testErase(t, "--database", pgtest.URL(t)) })
}

func testErase(t *testing.T, settings ...string) {
	t.Helper()
	const trace = "zqtraceofsomebody"
	data := newData(t)
	settings = append(settings, "--data", data)
	server := start(t, data, append(settings, "--allow-private-callbacks")...)
	add := func(name string) string {
		t.Helper()
		return strings.TrimSpace(throng(t, append(append([]string{"caller", "add", name}, allGrants()...), settings...)...))
	}
	token, other := add("leaver"), add("stayer")
	address, messages := receiver(t, http.StatusServiceUnavailable)
	build := func(token, name, more string) string {
		t.Helper()
		got := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", strings.Replace(definition(more), `"x"`, `"`+name+`"`, 1))
		id := value(t, got, "response.id")
		eventually(t, server, token, "/platform/v0/audiences/"+id, "response.status", "done")
		return id
	}
	kept := build(other, "kept", "")
	for range 3 {
		build(token, trace, `"callback_url":"`+address+`/`+trace+`"`)
	}
	await(t, messages)
	exchange(t, server, token, http.MethodPost, "/platform/v0/uploads?type=email_raw&name="+trace, "text/plain", trace+"@example.com\n")

	said := throng(t, append([]string{"caller", "revoke", "leaver", "--erase"}, settings...)...)
	if !strings.Contains(said, "3 audiences and 1 uploads") {
		t.Errorf("caller revoke --erase printed %q", said)
	}
	if got := exchange(t, server, token, http.MethodGet, "/platform/v0/audiences", "", ""); got.status != http.StatusUnauthorized {
		t.Errorf("GET /audiences = %d, want 401", got.status)
	}
	if got := exchange(t, server, other, http.MethodGet, "/platform/v0/audiences/"+kept+"/outputs/ss_id", "", ""); got.status != http.StatusOK {
		t.Errorf("a file of another caller = %d, want 200", got.status)
	}
	throng(t, append([]string{"caller", "revoke", "leaver", "--erase"}, settings...)...) // as after an interruption
	if _, err := run(append([]string{"caller", "revoke", "nobody", "--erase"}, settings...)...); err == nil {
		t.Error("somebody who is not there was erased")
	} else if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("caller revoke of nobody: %v, want status 1", err)
	}
	if status := server.stop(t); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
	files := 0
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.Contains(path, "/index/") {
			return err
		}
		text, err := os.ReadFile(path)
		if files++; bytes.Contains(text, []byte(trace)) {
			t.Errorf("%s holds a trace of who was erased", path)
		}
		return err
	})
	if err != nil || files < 3 {
		t.Errorf("looked into %d files: %v", files, err)
	}
}
