package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"throng"
	"throng/blob/file"
	"throng/engine/bitmap"
	"throng/internal/seal"
	"throng/job"
	"throng/service"
	"throng/sqldb"
)

// onceFixture is a service with one caller, and what a request makes: a row that
// keeps the answer, as the service does it.
type onceFixture struct {
	db     *sqldb.DB
	svc    *service.Service
	caller *throng.Caller
	made   atomic.Int32
}

func newOnce(t *testing.T) *onceFixture {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: filepath.Join(dir, "throng.db")})
	must(err)
	t.Cleanup(func() { must(db.Close()) })
	eng, err := bitmap.Open(filepath.Join(dir, "index"), bitmap.Config{})
	must(err)
	t.Cleanup(func() { must(eng.Close()) })
	blobs, err := file.Open(filepath.Join(dir, "blobs"))
	must(err)
	t.Cleanup(func() { must(blobs.Close()) })
	key, err := seal.LoadOrCreate(filepath.Join(dir, "secret.key"))
	must(err)
	jobs, err := job.New(db, job.Config{Owner: "test"})
	must(err)
	svc, err := service.New(service.Config{DB: db, Jobs: jobs, Engine: eng, Blobs: blobs, Secrets: key})
	must(err)
	secrets, err := svc.AddCaller(t.Context(), "somebody", service.CallerSettings{})
	must(err)
	caller, err := svc.Authenticate(t.Context(), secrets.Token)
	must(err)
	return &onceFixture{db: db, svc: svc, caller: caller}
}

func word(any) (int, []byte, error) { return http.StatusOK, []byte("made"), nil }

// run makes something, and keeps the answer in the same breath.
func (f *onceFixture) run(ctx context.Context) func(*service.Once) (any, error) {
	return func(once *service.Once) (any, error) {
		f.made.Add(1)
		if once == nil {
			return nil, nil
		}
		status, body, err := once.Answer(nil)
		if err != nil {
			return nil, err
		}
		return nil, f.db.PutAnswer(ctx, sqldb.Answer{
			CallerID: f.caller.ID, Method: once.Method, Path: once.Path, Key: once.Key, BodyHash: once.BodyHash,
			Status: status, Response: string(body), CreatedAt: time.Now().UTC(),
		})
	}
}

func post(ctx context.Context, path, key string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, http.NoBody)
	r.Header.Set("Idempotency-Key", key)
	return r
}

func TestRepeats(t *testing.T) {
	f := newOnce(t)
	var p Repeats
	steps := []struct {
		path, key, body string
		code            throng.Code
		made            int32 // in all, after it
	}{
		{"/a", "", "x", "", 1},
		{"/a", "", "x", "", 2},
		{"/a", "k", "x", "", 3},
		{"/a", "k", "x", "", 3},
		{"/a", "k", "y", throng.Conflict, 3},
		{"/a", "other", "y", "", 4},
		{"/b", "k", "y", "", 5},
		{"/a", "k", "x", "", 5},
		{"/a", strings.Repeat("k", 256), "x", throng.Invalid, 5},
		{"/a", "with space", "x", throng.Invalid, 5},
		{"/a", "é", "x", throng.Invalid, 5},
	}
	for i, step := range steps {
		got, err := p.Do(post(t.Context(), step.path, step.key), f.svc, f.caller, []byte(step.body), word, f.run(t.Context()))
		if step.code != "" {
			if err == nil || throng.CodeOf(err) != step.code {
				t.Errorf("step %d: Do() = %v, want %s", i, err, step.code)
			}
		} else if err != nil || got.Status != http.StatusOK || string(got.Body) != "made" {
			t.Errorf("step %d: Do() = %d %q, %v, want 200 made", i, got.Status, got.Body, err)
		}
		if n := f.made.Load(); n != step.made {
			t.Errorf("step %d: made %d, want %d", i, n, step.made)
		}
	}
}

// TestRepeatsAtOnce sends one request many times at once: it is carried out
// once, and all get its answer.
func TestRepeatsAtOnce(t *testing.T) {
	f := newOnce(t)
	var p Repeats
	release, entered := make(chan struct{}), make(chan struct{}, 8)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			got, err := p.Do(post(t.Context(), "/a", "k"), f.svc, f.caller, []byte("x"), word, func(once *service.Once) (any, error) {
				entered <- struct{}{}
				<-release
				return f.run(t.Context())(once)
			})
			if err != nil || string(got.Body) != "made" {
				t.Errorf("Do() = %q, %v, want made", got.Body, err)
			}
		})
	}
	<-entered
	close(release)
	group.Wait()
	if n := f.made.Load(); n != 1 {
		t.Errorf("made %d, want 1", n)
	}
	if n := p.keys.Held(); n != 0 {
		t.Errorf("%d keys are still held", n)
	}
}

// TestRepeatsAfterFailure makes sure that a failure is not kept and holds
// nothing up.
func TestRepeatsAfterFailure(t *testing.T) {
	f := newOnce(t)
	var p Repeats
	failure := errors.New("full")
	_, err := p.Do(post(t.Context(), "/a", "k"), f.svc, f.caller, []byte("x"), word, func(*service.Once) (any, error) { return nil, failure })
	if !errors.Is(err, failure) {
		t.Errorf("Do() = %v, want %v", err, failure)
	}
	if got, err := p.Do(post(t.Context(), "/a", "k"), f.svc, f.caller, []byte("y"), word, f.run(t.Context())); err != nil || string(got.Body) != "made" {
		t.Errorf("Do() after a failure = %q, %v, want made", got.Body, err)
	}
}

// TestRepeatsFoundLate is a request whose body is read by run: that it was
// carried out before comes to light there.
func TestRepeatsFoundLate(t *testing.T) {
	f := newOnce(t)
	var p Repeats
	late := func(once *service.Once) (any, error) {
		once.BodyHash = "hash"
		if _, err := f.run(t.Context())(once); err != nil {
			return nil, service.ErrAnswered
		}
		return nil, nil
	}
	for range 2 {
		if got, err := p.Do(post(t.Context(), "/a", "k"), f.svc, f.caller, nil, word, late); err != nil || string(got.Body) != "made" {
			t.Errorf("Do() = %q, %v, want made", got.Body, err)
		}
	}
}

func TestRepeatsGiveUp(t *testing.T) {
	f := newOnce(t)
	var p Repeats
	unlock, err := p.keys.Lock(t.Context(), "1 POST /a k")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	f.caller.ID = 1
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Do(post(ctx, "/a", "k"), f.svc, f.caller, []byte("x"), word, f.run(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("Do() of a client that left = %v, want %v", err, context.Canceled)
	}
	if n := f.made.Load(); n != 0 {
		t.Errorf("made %d, want 0", n)
	}
}
