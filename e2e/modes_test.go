package e2e

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"throng/client"
)

// permissive runs a command under a umask that keeps nobody out.
func permissive(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "sh", append([]string{"-c", `umask 000; exec "$0" "$@"`, binary}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("throng %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// modes looks again and again at all that is in folders, while something is done.
type modes struct {
	t       *testing.T
	folders []string
	mu      sync.Mutex
	seen    map[string]fs.FileMode // guarded by mu
}

func (m *modes) look() {
	for _, folder := range m.folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // removed meanwhile, or not there yet
			}
			if info, err := d.Info(); err == nil {
				m.mu.Lock()
				m.seen[path] |= info.Mode()
				m.mu.Unlock()
			}
			return nil
		})
		if err != nil {
			m.t.Error(err)
		}
	}
}

// during looks all the time until what is done is done.
func (m *modes) during(do func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			m.look()
			select {
			case <-end:
				m.look()
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	do()
	close(end)
	<-ended
}

// TestModes: the data folder and the drop are 0700, and all files in them 0600,
// from the moment when they are made, under a umask that would let everybody in.
func TestModes(t *testing.T) {
	base := t.TempDir()
	if err := os.Chmod(base, 0o777); err != nil { //nolint:gosec // so that nothing but ours keeps others out
		t.Fatal(err)
	}
	data, drop := filepath.Join(base, "new", "data"), filepath.Join(base, "drop")
	m := &modes{t: t, folders: []string{data, drop}, seen: map[string]fs.FileMode{}}
	dataset := smallDataset(t)
	report := filepath.Join(base, "report.json")
	m.during(func() {
		permissive(t, "load", dataset, "--data", data, "--report", report)
		permissive(t, "load", dataset, "--data", data)
		token := strings.TrimSpace(permissive(t, append([]string{"caller", "add", "a", "--data", data}, allGrants()...)...))
		for _, kill := range []bool{true, false} {
			server := startUnder(t, `umask 000; exec "$0" "$@"`, data, "--drop", drop)
			c := client.New(server.URL, token)
			for _, kind := range []string{"md5", "email_raw"} {
				exchange(t, server, token, http.MethodPost, "/platform/v0/uploads?type="+kind, "text/plain", strings.Repeat(md5Of(kind)+"\nsomebody@example.com\n", 1000))
			}
			id, err := c.CreateAudience(t.Context(), []byte(deliveredDefinition))
			if err != nil {
				t.Error(err)
				return
			}
			a := waitDone(t, c, id)
			if a.Status != "done" {
				t.Errorf("audience = %+v", a)
			}
			for _, format := range []string{"text", "csv", "parquet"} {
				download(t, c, id, "ma_id", format)
			}
			path := "/platform/v0/audiences/" + strconv.FormatInt(id, 10) + "/deliveries"
			made := exchange(t, server, token, http.MethodPost, path, "application/json", `{"to":"drop","name":"x","ma_id_as":"gaid"}`)
			eventually(t, server, token, path+"/"+value(t, made, "response.id"), "response.status", "done")
			if kill {
				server.kill()
			} else {
				server.stop(t)
			}
		}
	})
	folders, files := 0, 0
	for path, mode := range m.seen {
		want := fs.FileMode(0o600)
		if mode.IsDir() {
			want = 0o700
			folders++
		} else {
			files++
		}
		if mode.Perm()&^want != 0 {
			t.Errorf("%s was %v, want at most %v", path, mode, want)
		}
	}
	t.Logf("%d folders and %d files seen", folders, files)
	for _, part := range []string{"secret.key", "throng.db", "throng.db-wal", "throng.db-shm", "serve.lock", "node", "index/CURRENT", "index/00000001", "blobs/uploads", "blobs/audiences", "blobs/.tmp", "drop/", "manifest.json", "tmp"} {
		found := false
		for path := range m.seen {
			found = found || strings.Contains(filepath.ToSlash(path)+"/", "/"+part)
		}
		if !found && part != "drop/" {
			t.Errorf("%s was not seen", part)
		}
	}
	for _, path := range []string{filepath.Join(base, "new"), report} {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) || err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v, %v, want nobody else let in", path, info, err)
		}
	}
}

// TestModesOfOthers: what was opened to others beforehand is told of.
func TestModesOfOthers(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	throng(t, "caller", "list", "--data", data)
	for _, name := range []string{".", "secret.key", "throng.db"} {
		path := filepath.Join(data, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, info.Mode().Perm()|0o044); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), binary, "caller", "list", "--data", data)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "can be read by others") || !strings.Contains(string(out), "chmod") || !strings.Contains(string(out), filepath.Clean(path)) {
			t.Errorf("with an open %s: %v, %s, want a warning that names it", name, err, out)
		}
		if err := os.Chmod(path, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), binary, "caller", "list", "--data", data).CombinedOutput(); err != nil || strings.Contains(string(out), "others") {
		t.Errorf("with nothing open: %v, %s", err, out)
	}
}
