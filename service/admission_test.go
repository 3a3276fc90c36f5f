package service

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/engine"
	"throng/query"
)

// Who waits passes in turn of the callers, not of the requests.
func TestAdmissionTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &admission{what: "things", slots: 1, share: 1, waiting: 10, each: 10}
		leave, err := a.enter(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int64
		for _, caller := range []int64{1, 1, 1, 2, 3, 2} {
			go func() {
				leave, err := a.enter(t.Context(), caller)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, caller)
				mu.Unlock()
				leave()
			}()
			synctest.Wait() // it is in the queue
		}
		leave()
		synctest.Wait()
		if diff := cmp.Diff([]int64{1, 2, 3, 1, 2, 1}, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		if len(a.lanes) != 0 || len(a.turns) != 0 || a.passing != 0 || a.queued != 0 {
			t.Errorf("left behind: %+v", a)
		}
	})
}

func TestAdmissionBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &admission{what: "things", slots: 3, share: 2, waiting: 2, each: 3}
		ctx, cancel := context.WithCancelCause(t.Context())
		enter := func(caller int64) func() {
			t.Helper()
			leave, err := a.enter(ctx, caller)
			if err != nil {
				t.Fatal(err)
			}
			return leave
		}
		first := enter(1)
		enter(1)
		waits := make(chan error, 2)
		var third func()
		go func() { // no more than two of one caller, though there is a slot
			leave, err := a.enter(ctx, 1)
			third = leave
			waits <- err
		}()
		synctest.Wait()
		_, err := a.enter(ctx, 1)
		wantCode(t, err, throng.RateLimited)
		if e := err.(*throng.Error); e.RetryAfter != retryBusy || !strings.Contains(e.Message, "3 of your things") { //nolint:errorlint // it is bare
			t.Errorf("refusal = %q after %v", e.Message, e.RetryAfter)
		}
		other := enter(2) // the slot that was left for others
		go func() {
			_, err := a.enter(ctx, 2)
			waits <- err
		}()
		synctest.Wait()
		_, err = a.enter(ctx, 3)
		wantCode(t, err, throng.Unavailable)
		first()
		if err := <-waits; err != nil {
			t.Errorf("one that waited: %v", err)
		}
		gone := errors.New("gone")
		cancel(gone)
		if err := <-waits; !errors.Is(err, gone) {
			t.Errorf("one that gave up = %v, want %v", err, gone)
		}
		if a.queued != 0 || len(a.turns) != 0 {
			t.Errorf("%d wait, turns %v, want none", a.queued, a.turns)
		}
		other()
		third()
		if a.passing != 1 {
			t.Errorf("%d pass, want 1", a.passing)
		}
	})
}

// slowEngine counts until it is told to stop.
type slowEngine struct {
	engine.Engine
	began chan struct{}
}

func (e slowEngine) Acquire(ctx context.Context, id string) (engine.Generation, error) {
	g, err := e.Engine.Acquire(ctx, id)
	return slowGeneration{g, e.began}, err
}

type slowGeneration struct {
	engine.Generation
	began chan struct{}
}

func (g slowGeneration) Count(ctx context.Context, _ query.Definition, _ engine.Sizes) (engine.Counts, error) {
	g.began <- struct{}{}
	<-ctx.Done()
	return engine.Counts{}, ctx.Err()
}

// A preview that takes too long ends with a word on what to do, one that the
// client gave up does not, and builds go on meanwhile.
func TestCountTimeout(t *testing.T) {
	began := make(chan struct{}, 100)
	s := open(t, func(c *Config) {
		c.CountTimeout = 200 * time.Millisecond
		c.Engine = slowEngine{c.Engine, began}
	})
	s.load(people())
	s.run()
	d := definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a2"}]}}]`)
	_, err := s.PreviewAudience(t.Context(), s.caller, d)
	wantCode(t, err, throng.Unavailable)
	if e := err.(*throng.Error); e.RetryAfter != retrySlow || !strings.Contains(e.Message, "200ms") { //nolint:errorlint // it is bare
		t.Errorf("refusal = %q after %v, want the time that is allowed", e.Message, e.RetryAfter)
	}
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	if _, err := s.PreviewAudience(ctx, s.caller, d); !errors.Is(err, context.Canceled) || throng.CodeOf(err) != throng.Internal {
		t.Errorf("preview of a client that left = %v", err)
	}

	s.cfg.CountTimeout = time.Minute
	full, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range s.counts.slots {
		wg.Go(func() { s.PreviewAudience(full, s.caller, d) })
		<-began
	}
	if a := s.wait(s.caller, s.create(s.caller, d).ID); a.Status != throng.Done {
		t.Errorf("build while all previews are slow is %s: %+v", a.Status, a.Failure)
	}
	s.counts.waiting = 0
	_, err = s.PreviewAudience(t.Context(), s.limited("other", CallerLimits{}), d)
	wantCode(t, err, throng.Unavailable)
	leave()
	wg.Wait()
	s.cfg.CountTimeout = time.Nanosecond
	_, _, err = s.JobTitles(t.Context(), "a", throng.Page{})
	wantCode(t, err, throng.Unavailable)
}

// A caller whose uploads do not come to their end keeps the others' from being
// read no more than its own share does.
func TestSlowUploads(t *testing.T) {
	s := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	slow := s.limited("slow", CallerLimits{})
	var wg sync.WaitGroup
	defer wg.Wait() // after all bodies were closed
	for range s.reads.share {
		r, w := io.Pipe()
		wg.Go(func() { s.CreateUpload(ctx, slow, "twitter_id", "", r, nil) })
		w.Write([]byte("1\n")) // returns once it is being read
		defer w.Close()
	}
	waits := make(chan error, s.reads.each)
	for range s.reads.each - s.reads.share {
		go func() {
			_, err := s.CreateUpload(ctx, slow, "twitter_id", "", strings.NewReader("1\n"), nil)
			waits <- err
		}()
	}
	for done := false; !done; { // until they wait
		s.reads.mu.Lock()
		done = s.reads.queued == s.reads.each-s.reads.share
		s.reads.mu.Unlock()
	}
	_, err := s.CreateUpload(ctx, slow, "twitter_id", "", strings.NewReader("1\n"), nil)
	wantCode(t, err, throng.RateLimited)
	if _, err := s.CreateUpload(ctx, s.caller, "twitter_id", "", strings.NewReader("1001\n"), nil); err != nil {
		t.Errorf("another's upload meanwhile: %v", err)
	}
	cancel()
	for range s.reads.each - s.reads.share {
		if err := <-waits; !errors.Is(err, context.Canceled) {
			t.Errorf("an upload that waited = %v", err)
		}
	}
}
