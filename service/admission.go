package service

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"throng"
)

// retryBusy is when to ask again where too much is under way: what is ends
// within moments, mostly.
const retryBusy = time.Second

// admission bounds what is under way at once, so that many requests are answered one
// after the other in the memory and on the cores that there are, instead of all
// of them late. Who does not pass waits; callers take turns, so that one with
// many requests does not keep another's one waiting. It is safe for concurrent
// use.
type admission struct {
	what    string // in the plural, as in "counts"
	slots   int    // pass at once
	share   int    // of them, of one caller
	waiting int    // wait at most
	each    int    // pass or wait at most, of one caller

	mu      sync.Mutex
	passing int
	queued  int
	lanes   map[int64]*lane // of callers of whom anything passes or waits
	turns   []int64         // callers of whom anything waits, who is next first
}

// lane is what passes and waits of one caller.
type lane struct {
	passing int
	queue   []chan struct{} // closed when it passes
}

// enter waits for its turn until ctx ends. leave must be called once.
// RateLimited where too much of the caller's is under way, Unavailable where too
// much of all is.
func (a *admission) enter(ctx context.Context, caller int64) (leave func(), err error) {
	a.mu.Lock()
	l := a.lanes[caller]
	if l == nil {
		l = &lane{}
	}
	switch {
	case l.passing+len(l.queue) >= a.each:
		a.mu.Unlock()
		return nil, a.refuse(throng.RateLimited, fmt.Sprintf("%d of your %s are under way, as many as may be; send this one again when some have ended", a.each, a.what))
	case a.passing < a.slots && l.passing < a.share:
		a.keep(caller, l)
		a.passing++
		l.passing++
		a.mu.Unlock()
		return func() { a.leave(caller) }, nil
	case a.queued >= a.waiting:
		a.mu.Unlock()
		return nil, a.refuse(throng.Unavailable, fmt.Sprintf("too many %s are under way; send this one again", a.what))
	}
	a.keep(caller, l)
	turn := make(chan struct{})
	l.queue = append(l.queue, turn)
	a.queued++
	if len(l.queue) == 1 {
		a.turns = append(a.turns, caller)
	}
	a.mu.Unlock()
	select {
	case <-turn:
		return func() { a.leave(caller) }, nil
	case <-ctx.Done():
		a.giveUp(caller, turn)
		return nil, context.Cause(ctx)
	}
}

func (a *admission) refuse(code throng.Code, message string) error {
	e := throng.Errorf(code, "%s", message)
	e.RetryAfter = retryBusy
	return e
}

// keep remembers a lane. The lock is held, as by all that follow.
func (a *admission) keep(caller int64, l *lane) {
	if a.lanes == nil {
		a.lanes = map[int64]*lane{}
	}
	a.lanes[caller] = l
}

func (a *admission) leave(caller int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.passing--
	l := a.lanes[caller]
	l.passing--
	a.next()
	a.forget(caller, l)
}

// next lets pass whose turn it is.
func (a *admission) next() {
	for i := 0; i < len(a.turns) && a.passing < a.slots; {
		caller := a.turns[i]
		l := a.lanes[caller]
		if l.passing >= a.share { // the turn is kept until one of theirs ends
			i++
			continue
		}
		a.turns = slices.Delete(a.turns, i, i+1)
		close(l.queue[0])
		l.queue = l.queue[1:]
		a.queued--
		a.passing++
		if l.passing++; len(l.queue) > 0 {
			a.turns = append(a.turns, caller)
		}
	}
}

// giveUp takes back a turn that is not waited for any more.
func (a *admission) giveUp(caller int64, turn chan struct{}) {
	a.mu.Lock()
	l := a.lanes[caller]
	i := slices.Index(l.queue, turn)
	if i < 0 { // it came in this very moment
		a.mu.Unlock()
		a.leave(caller)
		return
	}
	defer a.mu.Unlock()
	l.queue = slices.Delete(l.queue, i, i+1)
	a.queued--
	if len(l.queue) == 0 {
		a.turns = slices.DeleteFunc(a.turns, func(c int64) bool { return c == caller })
	}
	a.forget(caller, l)
}

func (a *admission) forget(caller int64, l *lane) {
	if l.passing == 0 && len(l.queue) == 0 {
		delete(a.lanes, caller)
	}
}

// newCounts bounds previews by the cores, each of which one keeps busy.
func newCounts() admission {
	n := runtime.GOMAXPROCS(0)
	return admission{what: "previews", slots: n, share: n, waiting: 256, each: 64}
}

// newReads bounds uploads by their memory, 64 MiB each, and leaves half of the
// slots to others where a caller sends slowly.
func newReads() admission {
	n := 4 * runtime.GOMAXPROCS(0)
	return admission{what: "uploads", slots: n, share: n / 2, waiting: 64, each: n}
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
		err = s.reads.refuse(throng.Unavailable, "too many uploads are under way; send this one again")
	}
	return leave, err
}

// uploadWait is how long an upload waits for others, less than clients and what
// is between wait for an answer.
const uploadWait = 20 * time.Second

// retrySlow is when to ask again for what took too long: when others are done.
const retrySlow = 10 * time.Second
