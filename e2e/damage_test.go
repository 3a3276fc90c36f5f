package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDamageUnderServer flips a bit in an index that a server has open: what
// touches it fails, with the file in the log, and nothing gets a smaller
// number; readiness says so; a load mends it.
func TestDamageUnderServer(t *testing.T) {
	data := newData(t)
	part := filepath.Join(data, "index", "00000001", "parts", "00000.part")
	own(t, part)
	server := start(t, data)
	c, token := addCaller(t, server, data, "damage", allGrants()...)
	ready := func() exchanged { return exchange(t, server, token, http.MethodGet, "/readyz", "", "") }
	if got := ready(); got.status != http.StatusOK {
		t.Fatalf("GET /readyz = %d %s, want 200", got.status, got.body)
	}
	ages := []string{"18-24", "25-34", "35-44", "45-54", "over 54"}
	define := func(i int) []byte { // none is known from another one
		return fmt.Appendf(nil, `{"audience":{"name":"a"},"parameters":[{"operation":"OR","gender":{"genders":["female"]}},
			{"operation":"AND","age":{"ranges":[%q]}}]}`, ages[i])
	}
	if _, err := c.Preview(t.Context(), define(0)); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	flip := func() { // in every piece that is verified as one
		t.Helper()
		b := make([]byte, 1)
		for at := int64(0); at < info.Size(); at += 1 << 16 {
			if _, err := f.ReadAt(b, at); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 16
			if _, err := f.WriteAt(b, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	flip()
	for i := range 2 { // while it is mapped, and opened anew
		got := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences/preview", "application/json", string(define(1+i)))
		if got.status != http.StatusInternalServerError || strings.Contains(string(got.body), "part") {
			t.Errorf("preview = %d %s, want 500 and nothing of the inside", got.status, got.body)
		}
		if got := ready(); got.status != http.StatusServiceUnavailable || !strings.Contains(string(got.body), "damaged") {
			t.Errorf("GET /readyz = %d %s, want 503 and why", got.status, got.body)
		}
	}
	if !strings.Contains(server.log.String(), part) {
		t.Errorf("the log does not name %s", part)
	}
	id, err := c.CreateAudience(t.Context(), define(4))
	if err != nil {
		t.Fatal(err)
	}
	a := waitDone(t, c, id)
	if a.Status != "failed" || a.Size != nil || !strings.Contains(fmt.Sprintf("%+v", a.Error), "damaged") {
		t.Errorf("audience = %+v, want a failed one without a size that says why", a)
	}
	if out, err := run("check", "--data", data); err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("throng check = %s, %v, want an error that names %s", out, err, part)
	}
	throng(t, "load", smallDataset(t), "--data", data)
	tick, late := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for ready().status != http.StatusOK {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("GET /readyz = %d a minute after a load, want 200", ready().status)
		}
	}
	if _, err := c.Preview(t.Context(), define(4)); err != nil {
		t.Errorf("preview after a load: %v", err)
	}
}

// own makes a file nobody else's: data folders of tests share files.
func own(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
