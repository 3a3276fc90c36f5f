package server

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"throng/internal/pgtest"
	"throng/sqldb"
)

func TestRole(t *testing.T) {
	for _, c := range []struct {
		name    string
		cfg     Config
		setting string // that is refused; "" for none
	}{
		{"none", Config{}, ""},
		{"all", Config{Role: RoleAll}, ""},
		{"api", Config{Role: RoleAPI}, ""},
		{"worker", Config{Role: RoleWorker}, ""},
		{"unknown", Config{Role: "everything"}, "role"},
		{"short lease", Config{JobLease: time.Second}, "job-lease"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.cfg.withDefaults()
			if c.setting == "" {
				if err != nil || got.Role == "" {
					t.Errorf("withDefaults() = role %q, %v; want one, and no error", got.Role, err)
				}
				return
			}
			refused, ok := errors.AsType[*UsageError](err)
			if !ok || refused.Setting != c.setting {
				t.Errorf("withDefaults() = %v, want a refusal of --%s", err, c.setting)
			}
		})
	}
}

// A worker must know where the others are that answer callers.
func TestWorkerWithoutURL(t *testing.T) {
	s, err := Open(t.Context(), Config{
		Data: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", Role: RoleWorker, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	err = s.Serve(t.Context(), nil)
	if refused, ok := errors.AsType[*UsageError](err); !ok || refused.Setting != "public-url" {
		t.Errorf("Serve() = %v, want a refusal of --public-url", err)
	}
}

// TestPeers counts the servers of a database that answer callers.
func TestPeers(t *testing.T) {
	database, now := pgtest.URL(t), time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	open := func(role string) *Server {
		t.Helper()
		s, err := Open(t.Context(), Config{
			Data: filepath.Join(t.TempDir(), "data"), Database: database, Role: role, PublicURL: "https://audiences.example.com",
			SecretKey: base64.StdEncoding.EncodeToString(make([]byte, 32)), Logger: slog.New(slog.DiscardHandler),
			Now: func() time.Time { return now },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	see := func(s *Server) {
		t.Helper()
		node, err := s.node()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.see(t.Context(), sqldb.Server{Node: node, Role: s.cfg.Role, StartedAt: now}); err != nil {
			t.Fatal(err)
		}
	}
	a, b, worker := open(RoleAll), open(RoleAPI), open(RoleWorker)
	want := func(s *Server, n int) {
		t.Helper()
		if got := s.Peers(); got != n {
			t.Errorf("Peers() = %d, want %d", got, n)
		}
	}
	want(a, 1) // before anything is known
	see(worker)
	want(worker, 1) // never none
	see(a)
	want(a, 1)
	see(b)
	see(a)
	want(a, 2)
	see(worker)
	want(worker, 2)
	now = now.Add(30 * time.Second) // a gives no sign
	see(b)
	want(b, 1)
	// One that comes and goes in order is counted while it is there.
	ctx, cancel := context.WithCancel(t.Context())
	shown := make(chan struct{})
	go func() { defer close(shown); a.showLife(ctx) }()
	for deadline := time.Now().Add(time.Minute); a.Peers() != 2; {
		if time.Now().After(deadline) {
			t.Fatal("the server is not seen after a minute")
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
	cancel()
	<-shown
	see(b)
	want(b, 1)
}

// TestCheckShared refuses what would lead a folder astray whose generations are
// those of all servers.
func TestCheckShared(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s, err := Open(t.Context(), Config{Data: data, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.checkShared(t.Context()); err != nil {
		t.Errorf("checkShared() where nothing is shared = %v", err)
	}
	now := time.Now()
	n, err := s.db.BeginGeneration(t.Context(), "node", 0, now, now, func(int64) string { return "00000001" })
	if err == nil {
		err = s.db.PublishGeneration(t.Context(), "node", n, "stamp", nil, now)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), t.TempDir(), LoadOptions{}); err == nil || !strings.Contains(err.Error(), "--blobs") {
		t.Errorf("Load() = %v, want a refusal that names --blobs", err)
	}
	if err := s.Serve(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "--blobs") {
		t.Errorf("Serve() = %v, want a refusal that names --blobs", err)
	}
}
