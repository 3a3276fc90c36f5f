package server

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/blob"
	"throng/demo"
)

func ready(t *testing.T, url string) (status int, lines map[string]string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	lines = map[string]string{}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		name, rest, ok := strings.Cut(line, ": ")
		if i == 0 {
			name, rest = "", line
		} else if !ok {
			t.Errorf("line %q tells of nothing", line)
		}
		rest, _, _ = strings.Cut(rest, ",") // numbers follow
		lines[name] = rest
	}
	return response.StatusCode, lines
}

// TestReady takes away one thing after the other.
func TestReady(t *testing.T) {
	s, url := serving(t, Config{})
	expect := func(what string, status int, changed map[string]string) {
		t.Helper()
		want := map[string]string{"": "ready", "database": "ok", "generation": "ok", "files": "ok", "jobs": "ok", "disk": "ok"}
		maps.Copy(want, changed)
		got, lines := ready(t, url)
		if diff := cmp.Diff(want, lines); diff != "" || got != status {
			t.Errorf("%s: GET /readyz = %d, want %d (-want +got):\n%s", what, got, status, diff)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for s.jobs.LastLook().IsZero() && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // until the runner has looked for the first time
	}
	unloaded := "no generation is loaded; run: throng load SOURCE"
	expect("empty", 503, map[string]string{"": "not ready: " + unloaded, "generation": unloaded})

	dir := t.TempDir() + "/people"
	if err := demo.Generate(t.Context(), demo.Config{People: 100, Seed: 1, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), dir, LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	s.probe.mu.Lock()
	whole := s.blobs
	s.blobs = awayStore{s.blobs}
	s.probe.at = time.Time{}
	s.probe.mu.Unlock()
	away := "the store does not answer; the server's log tells more"
	expect("no files", 503, map[string]string{"": "not ready: " + away, "files": away})
	s.probe.mu.Lock()
	s.blobs = whole
	s.probe.at = time.Time{}
	s.probe.mu.Unlock()
	expect("whole", 200, nil)

	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	away = "it does not answer; the server's log tells more"
	expect("no database", 503, map[string]string{"": "not ready: " + away, "database": away})
}

// awayStore is a store that does not answer.
type awayStore struct{ store }

func (awayStore) Stat(context.Context, string) (blob.Info, error) {
	return blob.Info{}, errors.New("connection refused")
}

func TestJobsCheck(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		run    bool
		looked time.Time
		ok     bool
		says   string
	}{
		{true, now.Add(-time.Second), true, ""},
		{true, now.Add(-lookWithin), true, ""},
		{true, now.Add(-lookWithin - time.Second), false, "none are taken; the server's log tells more"},
		{true, time.Time{}, false, "the table was not asked yet"},
		{false, time.Time{}, true, ""},
	} {
		c := jobsCheck(test.run, test.looked, now)
		if (c.err == nil) != test.ok || !test.ok && c.says != test.says {
			t.Errorf("jobsCheck(%t, %v) = %v %q, want ok %t, %q", test.run, test.looked, c.err, c.says, test.ok, test.says)
		}
	}
}
