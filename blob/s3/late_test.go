package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"throng/blob"
)

// TestLateMark cancels a writer while its mark is on the way to the store, which
// gets it all the same, some time after. Whoever then deletes what was written
// must come after the mark.
func TestLateMark(t *testing.T) {
	s := open(t)
	to, err := url.Parse(s.cfg.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	deleted, arrived := make(chan struct{}), make(chan struct{})
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // which is signed
	}}
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, markSign) {
			forward.ServeHTTP(w, r)
			return
		}
		cancel()
		select {
		case <-deleted: // the writer did not wait
		case <-time.After(200 * time.Millisecond): // it does, and has been canceled for long
		}
		forward.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
		close(arrived)
	}))
	defer slow.Close()
	cfg := s.cfg
	cfg.Endpoint = slow.URL
	away, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	w, err := away.Create(ctx, "late")
	if err == nil {
		_, err = io.WriteString(w, "text")
	}
	if err != nil {
		t.Fatal(err)
	}
	committed := w.Commit() // it does not matter how it ends
	if err := s.Delete(t.Context(), "late"); err != nil {
		t.Fatal(err)
	}
	close(deleted)
	<-arrived
	if _, err := s.Stat(t.Context(), "late"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat of what was deleted after its writer gave up = %v, want ErrNotFound (Commit = %v)", err, committed)
	}
}
