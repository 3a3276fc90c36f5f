package server

import (
	"context"
	"time"
)

const (
	// clockEvery is how often the clock is compared with the time that has passed.
	clockEvery = 5 * time.Second
	// clockSet is by how much the clock must be set to be worth a word.
	clockSet = time.Minute
)

// watchClock tells the log and the service when the clock is set, until ctx is done.
// A machine that slept looks the same.
func (s *Server) watchClock(ctx context.Context) {
	began := time.Now() // with its monotonic reading, which nobody sets
	off := func() time.Duration { return s.cfg.Now().Round(0).Sub(began.Round(0)) - time.Since(began) }
	untold := true // also at the start
	for last := off(); ; {
		by := off() - last
		if by.Abs() >= clockSet {
			s.cfg.Logger.WarnContext(ctx, "the clock was set", "by", by.Round(time.Second).String())
			last, untold = last+by, true
		}
		if untold {
			err := s.service.ClockSet(ctx)
			if err != nil && ctx.Err() == nil {
				s.cfg.Logger.WarnContext(ctx, "note that the clock was set", "err", err)
			}
			untold = err != nil
		}
		if !pause(ctx, clockEvery) {
			return
		}
	}
}
