package service

import (
	"context"
	"errors"
	"runtime"
	"time"

	"throng"
	"throng/internal/limit"
)

// retryBusy is when to ask again where too much is under way: what is ends
// within moments, mostly.
const retryBusy = time.Second

// turns are of one kind of requests, which are told of by their name.
type turns struct {
	*limit.Gate
	what string // in the plural, as in "previews"
}

// enter waits for a turn until ctx ends. leave must be called once. RateLimited
// where too much of the caller's is under way, Unavailable where too much of all
// is.
func (t turns) enter(ctx context.Context, caller int64) (leave func(), err error) {
	leave, err = t.Enter(ctx, caller)
	switch {
	case errors.Is(err, limit.ErrCaller):
		err = busy(throng.RateLimited, "%d of your %s are under way, as many as may be; send this one again when some have ended", t.Bounds().Each, t.what)
	case errors.Is(err, limit.ErrFull):
		err = busy(throng.Unavailable, "too many %s are under way; send this one again", t.what)
	}
	return leave, err
}

func busy(code throng.Code, format string, args ...any) error {
	e := throng.Errorf(code, format, args...)
	e.RetryAfter = retryBusy
	return e
}

// newCounts bounds previews by the cores, each of which one keeps busy.
func newCounts() turns {
	n := runtime.GOMAXPROCS(0)
	return turns{limit.NewGate(limit.Bounds{Slots: n, Share: n, Waiting: 256, Each: 64}), "previews"}
}

// newReads bounds uploads by their memory, 64 MiB each, and leaves half of the
// slots to others where a caller sends slowly.
func newReads() turns {
	n := 4 * runtime.GOMAXPROCS(0)
	return turns{limit.NewGate(limit.Bounds{Slots: n, Share: n / 2, Waiting: 64, Each: n}), "uploads"}
}

// errSlow is the cause of a context whose time for a count is over.
var errSlow = errors.New("count took too long")

// timed bounds the time of a count or look-up. tell words the end of that time.
func (s *Service) timed(ctx context.Context) (timed context.Context, cancel func(), tell func(error) error) {
	if s.cfg.CountTimeout < 0 {
		return ctx, func() {}, func(err error) error { return err }
	}
	timed, cancel = context.WithTimeoutCause(ctx, s.cfg.CountTimeout, errSlow)
	return timed, cancel, func(err error) error {
		if err == nil || !errors.Is(context.Cause(timed), errSlow) || errors.As(err, new(*throng.Error)) {
			return err
		}
		e := throng.Errorf(throng.Unavailable,
			"it took longer than the %v allowed, time in the queue included; ask again later, or for fewer parameters or phrases: a build has no such limit", s.cfg.CountTimeout)
		e.RetryAfter = retrySlow
		return e
	}
}

// mayUpload waits until an upload may be read.
func (s *Service) mayUpload(ctx context.Context, c *throng.Caller) (leave func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, uploadWait, errSlow)
	defer cancel()
	leave, err = s.reads.enter(ctx, c.ID)
	if errors.Is(err, errSlow) {
		err = busy(throng.Unavailable, "too many uploads are under way; send this one again")
	}
	return leave, err
}

// uploadWait is how long an upload waits for others, less than clients and what
// is between wait for an answer.
const uploadWait = 20 * time.Second

// retrySlow is when to ask again for what took too long: when others are done.
const retrySlow = 10 * time.Second
