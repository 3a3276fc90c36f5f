package replica

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/blob"
	"throng/engine"
	"throng/engine/bitmap/storage"
)

// Run follows, tells of the first generation, and goes on after failures.
func TestRun(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		a, b := s.open(t, "a"), s.open(t, "b")
		a.load(t, 5)
		broken := &breakable{Store: s.blobs}
		broken.set(errors.New("the store is away"))
		b.cfg.Blobs = broken
		ctx, cancel := context.WithCancel(t.Context())
		ready, switched := make(chan struct{}), make(chan struct{}, 10)
		var wg sync.WaitGroup
		wg.Go(func() { b.Run(ctx, func() { close(ready) }, func() { switched <- struct{}{} }) })
		defer wg.Wait()
		defer cancel()
		within(t, "the failure", func() bool {
			_, err := b.Acquire(t.Context(), "")
			return errors.Is(err, ErrFetching) && errors.Is(err, engine.ErrNoGeneration) && broken.asked() > 1
		})
		select {
		case <-ready:
			t.Error("ready before there is a generation")
		default:
		}
		broken.set(nil)
		<-ready
		<-switched
		if got := b.people(t, ""); got != 5 {
			t.Errorf("b counts %d people, want 5", got)
		}
		a.load(t, 6)
		<-switched
		if got := b.people(t, ""); got != 6 {
			t.Errorf("b counts %d people, want 6", got)
		}
	})
}

// breakable is a store that can be away.
type breakable struct {
	blob.Store
	mu    sync.Mutex
	err   error
	tries int
}

func (b *breakable) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *breakable) asked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tries
}

func (b *breakable) Open(ctx context.Context, key string) (blob.Reader, error) {
	b.mu.Lock()
	b.tries++
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return b.Store.Open(ctx, key)
}

// within waits for a state.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for started := time.Now(); !holds(); {
		if time.Since(started) > time.Minute {
			t.Fatalf("%s is not there after a minute", what)
		}
		time.Sleep(5 * time.Millisecond) // between two polls
	}
}

// A load whose publication fails leaves everything as it was.
func TestPublishFails(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		a := s.open(t, "a")
		a.load(t, 5)
		full := errors.New("the store is full")
		a.cfg.Blobs = &unwritable{s.blobs, full}
		if _, err := a.Load(t.Context(), source(t, 9), engine.LoadOptions{}); !errors.Is(err, full) {
			t.Errorf("Load = %v, want the store's error", err)
		}
		a.cfg.Blobs = s.blobs
		a.sync(t)
		if got := a.people(t, ""); got != 5 {
			t.Errorf("a counts %d people, want the 5 from before", got)
		}
		list, err := a.Generations(t.Context())
		if err != nil || len(list) != 1 {
			t.Errorf("Generations = %+v, %v; want the first alone", list, err)
		}
		if diff := cmp.Diff([]string{"00000001"}, s.stored(t)); diff != "" {
			t.Errorf("in the store (-want +got):\n%s", diff)
		}
		if id := a.load(t, 6); id != "00000003" {
			t.Errorf("the next generation is %s, want a number that was never given", id)
		}
	})
}

// unwritable is a store in which the last file of a generation cannot be written.
type unwritable struct {
	blob.Store
	err error
}

func (u *unwritable) Create(ctx context.Context, key string) (blob.Writer, error) {
	w, err := u.Store.Create(ctx, key)
	if err == nil && strings.HasSuffix(key, storage.ManifestName) {
		return failing{w, u.err}, nil
	}
	return w, err
}

type failing struct {
	blob.Writer
	err error
}

func (f failing) Write([]byte) (int, error) { return 0, f.err }

var _ io.Writer = failing{}
