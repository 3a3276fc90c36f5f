package service

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"throng"
	"throng/engine"
	"throng/internal/limit"
	"throng/query"
)

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
	b := s.counts.Bounds()
	b.Waiting = 0
	s.counts.Gate = limit.NewGate(b)
	for range b.Slots {
		wg.Go(func() { s.PreviewAudience(full, s.caller, d) })
		<-began
	}
	if a := s.wait(s.caller, s.create(s.caller, d).ID); a.Status != throng.Done {
		t.Errorf("build while all previews are slow is %s: %+v", a.Status, a.Failure)
	}
	_, err = s.PreviewAudience(t.Context(), s.limited("other", CallerLimits{}), d)
	wantCode(t, err, throng.Unavailable)
	leave()
	wg.Wait()
	s.cfg.CountTimeout = time.Nanosecond
	_, _, err = s.JobTitles(t.Context(), "a", throng.Page{})
	wantCode(t, err, throng.Unavailable)
}

// What a gate refuses is worded with what it was about, and when to come again.
func TestTurnsRefuse(t *testing.T) {
	a := turns{limit.NewGate(limit.Bounds{Slots: 1, Share: 1, Waiting: 0, Each: 1}), "things"}
	leave, err := a.enter(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	for _, tt := range []struct {
		caller int64
		code   throng.Code
		text   string
	}{
		{1, throng.RateLimited, "1 of your things are under way, as many as may be; send this one again when some have ended"},
		{2, throng.Unavailable, "too many things are under way; send this one again"},
	} {
		_, err := a.enter(t.Context(), tt.caller)
		wantCode(t, err, tt.code)
		if e := err.(*throng.Error); e.RetryAfter != retryBusy || e.Message != tt.text { //nolint:errorlint // it is bare
			t.Errorf("refusal = %q after %v, want %q after %v", e.Message, e.RetryAfter, tt.text, retryBusy)
		}
	}
}

// A caller whose uploads do not come to their end keeps the others' from being
// read no more than its own share does.
func TestSlowUploads(t *testing.T) {
	s := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	slow := s.limited("slow", CallerLimits{})
	var wg sync.WaitGroup
	defer wg.Wait() // after all bodies were closed
	for range s.reads.Bounds().Share {
		r, w := io.Pipe()
		wg.Go(func() { s.CreateUpload(ctx, slow, "twitter_id", "", r, nil) })
		w.Write([]byte("1\n")) // returns once it is being read
		defer w.Close()
	}
	waits := make(chan error, s.reads.Bounds().Each)
	for range s.reads.Bounds().Each - s.reads.Bounds().Share {
		go func() {
			_, err := s.CreateUpload(ctx, slow, "twitter_id", "", strings.NewReader("1\n"), nil)
			waits <- err
		}()
	}
	for done := false; !done; { // until they wait
		done = s.reads.Waiting() == s.reads.Bounds().Each-s.reads.Bounds().Share
	}
	_, err := s.CreateUpload(ctx, slow, "twitter_id", "", strings.NewReader("1\n"), nil)
	wantCode(t, err, throng.RateLimited)
	if _, err := s.CreateUpload(ctx, s.caller, "twitter_id", "", strings.NewReader("1001\n"), nil); err != nil {
		t.Errorf("another's upload meanwhile: %v", err)
	}
	cancel()
	for range s.reads.Bounds().Each - s.reads.Bounds().Share {
		if err := <-waits; !errors.Is(err, context.Canceled) {
			t.Errorf("an upload that waited = %v", err)
		}
	}
}
