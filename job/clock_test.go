package job

import (
	"testing"
	"time"

	"throng/sqldb"
)

// A clock that jumps an hour ahead makes every lease look over. What runs here
// is renewed before anybody looks for the dead, and goes on.
func TestClockJumpsAhead(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		c, h := newClock(), newHold()
		r := newRunner(t, db, c, Kind{Name: "k", Workers: 2, Run: h.run})
		id := enqueue(t, r, Job{Kind: "k"})
		r.tick(t)
		h.keys(t, 1)
		c.advance(time.Hour)
		r.tick(t)
		h.keys(t, 0)
		if j := wantState(t, r, id, Running, 1); j.Deaths != 0 {
			t.Errorf("the job died %d times, want 0", j.Deaths)
		}
		h.end <- nil
		r.executing.Wait()
		wantState(t, r, id, Done, 1)
	})
}

// A clock that jumps an hour back makes leases end an hour late. What runs is
// not disturbed; what a dead worker was running is taken over all the same; and
// what waits is late by that hour at most, and not lost.
func TestClockJumpsBack(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		c, lives, dies := newClock(), newHold(), newHold()
		dead := newRunner(t, db, c, Kind{Name: "dies", Run: dies.run})
		r := newRunner(t, db, c, Kind{Name: "dies", Run: lives.run}, Kind{Name: "lives", Run: lives.run})
		orphan := enqueue(t, dead, Job{Kind: "dies"})
		dead.tick(t)
		dies.keys(t, 1) // and from here on it has no heartbeat
		living := enqueue(t, r, Job{Kind: "lives"})
		r.tick(t)
		lives.keys(t, 1)
		waiting := enqueue(t, r, Job{Kind: "lives"})

		c.advance(-time.Hour)
		r.tick(t)
		if j := wantState(t, r, living, Running, 1); j.Deaths != 0 {
			t.Errorf("the job that lives died %d times, want 0", j.Deaths)
		}
		if j := get(t, r, orphan); j.Deaths != 1 {
			t.Errorf("the job whose worker is dead is %s after %d deaths, want it taken over", j.State, j.Deaths)
		}
		lives.keys(t, 1) // that of the dead
		lives.end <- nil
		lives.end <- nil
		r.executing.Wait()
		wantState(t, r, living, Done, 1)
		wantState(t, r, orphan, Done, 1)
		wantState(t, r, waiting, Queued, 0)

		c.advance(time.Hour)
		r.tick(t)
		lives.keys(t, 1) // the one that waited
		lives.end <- nil
		r.executing.Wait()
		wantState(t, r, waiting, Done, 1)
		dies.end <- nil
		dead.executing.Wait()
		wantState(t, r, orphan, Done, 1)
	})
}

// tick does what a runner does again and again.
func (r *Runner) tick(t *testing.T) {
	t.Helper()
	for _, step := range []func() error{
		func() error { return r.beat(t.Context()) },
		func() error { return r.takeOver(t.Context()) },
		func() error { return r.fetch(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}
