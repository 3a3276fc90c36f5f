// Package progress tells of a job that runs how far it is, and that it lives, at
// most once a second and at least every five, without making the job wait.
package progress

import (
	"sync"
	"time"
)

const (
	// beatEvery is how often it is told at least.
	beatEvery = 5 * time.Second
	// tellEvery is how often it is told at most while a step goes on.
	tellEvery = time.Second
)

// Progress shows how far a job is. Stop must be called once.
type Progress struct {
	done chan struct{}
	wg   sync.WaitGroup
	// begin tells that a step begins, and gives what is to be called at its end.
	begin func(step string) (ended func())
	// tellOf writes down a step, and the share of the whole that is done, 0 to 1.
	tellOf func(step string, share float64)

	mu    sync.Mutex
	step  string
	share float64
	told  time.Time
	ended func() // of the step; nil before the first
	wake  chan struct{}
}

// Follow starts to tell. begin is called when a step begins, and gives what is
// called at its end. tell is called from a goroutine of its own, one call at a
// time, with the step and the share of the whole that is done, 0 to 1.
func Follow(begin func(step string) (ended func()), tell func(step string, share float64)) *Progress {
	p := &Progress{done: make(chan struct{}), wake: make(chan struct{}, 1), begin: begin, tellOf: tell}
	p.wg.Go(func() {
		t := time.NewTicker(beatEvery)
		defer t.Stop()
		for {
			select {
			case <-p.done:
				return
			case <-t.C:
			case <-p.wake:
			}
			p.tell()
		}
	})
	return p
}

// At tells how far the job is. It never waits for tell.
func (p *Progress) At(step string, share float64) {
	p.mu.Lock()
	if step != p.step {
		p.endStep()
		p.ended = p.begin(step)
	}
	tell := step != p.step || time.Since(p.told) >= tellEvery
	p.step, p.share = step, min(share, 1)
	if tell {
		p.told = time.Now()
	}
	p.mu.Unlock()
	if !tell {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Progress) tell() {
	p.mu.Lock()
	step, share := p.step, p.share
	p.mu.Unlock()
	p.tellOf(step, share)
}

// Stop ends the last step, and returns when nothing more is told.
func (p *Progress) Stop() {
	close(p.done)
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endStep()
}

// endStep tells that the step has ended. p.mu is held.
func (p *Progress) endStep() {
	if p.ended != nil {
		p.ended()
	}
	p.ended = nil
}
