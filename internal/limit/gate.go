// Package limit bounds what callers may do: how much of it is under way at once,
// and how often in a second.
package limit

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// What a gate answers to who may not even wait.
var (
	// ErrCaller says that as much of the caller's is under way as may be.
	ErrCaller = errors.New("too much of the caller's is under way")
	// ErrFull says that as much of all is under way as may be.
	ErrFull = errors.New("too much is under way")
)

// Bounds are those of a gate.
type Bounds struct {
	Slots   int // pass at once
	Share   int // of them, of one caller
	Waiting int // wait at most
	Each    int // pass or wait at most, of one caller
}

// Gate bounds what is under way at once, so that many requests are answered one
// after the other in the memory and on the cores that there are, instead of all
// of them late. Who does not pass waits; callers take turns, so that one with
// many requests does not keep another's one waiting. It is safe for concurrent
// use.
type Gate struct {
	bounds Bounds

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

// NewGate makes a gate that nothing has passed.
func NewGate(b Bounds) *Gate { return &Gate{bounds: b, lanes: map[int64]*lane{}} }

// Bounds are those that it was made with.
func (a *Gate) Bounds() Bounds { return a.bounds }

// Waiting is how much waits now.
func (a *Gate) Waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.queued
}

// Enter waits for its turn until ctx ends, and fails then with its cause. leave
// must be called once. [ErrCaller] where too much of the caller's is under way,
// [ErrFull] where too much of all is.
func (a *Gate) Enter(ctx context.Context, caller int64) (leave func(), err error) {
	a.mu.Lock()
	l := a.lanes[caller]
	if l == nil {
		l = &lane{}
	}
	switch {
	case l.passing+len(l.queue) >= a.bounds.Each:
		a.mu.Unlock()
		return nil, ErrCaller
	case a.passing < a.bounds.Slots && l.passing < a.bounds.Share:
		a.keep(caller, l)
		a.passing++
		l.passing++
		a.mu.Unlock()
		return func() { a.leave(caller) }, nil
	case a.queued >= a.bounds.Waiting:
		a.mu.Unlock()
		return nil, ErrFull
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

// keep remembers a lane. The lock is held, as by all that follow.
func (a *Gate) keep(caller int64, l *lane) {
	a.lanes[caller] = l
}

func (a *Gate) leave(caller int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.passing--
	l := a.lanes[caller]
	l.passing--
	a.next()
	a.forget(caller, l)
}

// next lets pass whose turn it is.
func (a *Gate) next() {
	for i := 0; i < len(a.turns) && a.passing < a.bounds.Slots; {
		caller := a.turns[i]
		l := a.lanes[caller]
		if l.passing >= a.bounds.Share { // the turn is kept until one of theirs ends
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
func (a *Gate) giveUp(caller int64, turn chan struct{}) {
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

func (a *Gate) forget(caller int64, l *lane) {
	if l.passing == 0 && len(l.queue) == 0 {
		delete(a.lanes, caller)
	}
}
