package job

import (
	"context"
	"errors"
	"testing"
	"time"

	"throng/sqldb"
)

// jumps are what happens to clocks: a wrong summer time, a wrong day, a broken
// battery.
var jumps = map[string]time.Duration{
	"hour ahead": time.Hour, "day ahead": 24 * time.Hour, "year ahead": 365 * 24 * time.Hour,
	"hour back": -time.Hour, "day back": -24 * time.Hour, "year back": -365 * 24 * time.Hour,
}

// eachJump runs a test with each jump, on each database.
func eachJump(t *testing.T, test func(t *testing.T, db *sqldb.DB, d time.Duration)) {
	for name, d := range jumps {
		t.Run(name, func(t *testing.T) {
			eachDB(t, func(t *testing.T, db *sqldb.DB) { test(t, db, d) })
		})
	}
}

// However a clock jumps, what runs goes on, and is not run twice; what a dead
// worker was running is taken over in time; what waits has its turn; and the same
// when the clock jumps back to what it was.
func TestClockJumps(t *testing.T) {
	eachJump(t, func(t *testing.T, db *sqldb.DB, d time.Duration) {
		c, lives, dies := newClock(), newHold(), newHold()
		dead := newRunner(t, db, c, Kind{Name: "dies", Run: dies.run})
		r := newRunner(t, db, c, Kind{Name: "dies", Run: lives.run}, Kind{Name: "lives", Run: lives.run}, Kind{Name: "later", Run: lives.run})
		orphan := enqueue(t, dead, Job{Kind: "dies"})
		dead.tick(t)
		dies.keys(t, 1) // and from here on it has no heartbeat
		living := enqueue(t, r, Job{Kind: "lives"})
		r.tick(t)
		lives.keys(t, 1)
		waiting := enqueue(t, r, Job{Kind: "lives"})
		later := enqueue(t, r, Job{Kind: "later", RunAt: c.Now().Add(time.Minute)})

		c.jump(d)
		for range 9 { // 45 s: nobody is dead
			c.advance(5 * time.Second)
			r.tick(t)
		}
		wantState(t, r, orphan, Running, 1)
		if j := wantState(t, r, living, Running, 1); j.Deaths != 0 {
			t.Errorf("the job that lives died %d times, want 0", j.Deaths)
		}
		if d > 0 {
			lives.keys(t, 1) // later is due
		}
		for range 3 {
			c.advance(5 * time.Second)
			r.tick(t)
		}
		if j := get(t, r, orphan); j.Deaths != 1 {
			t.Errorf("the job whose worker is dead is %s after %d deaths a minute after its last sign, want it taken over", j.State, j.Deaths)
		}
		lives.keys(t, 1) // that of the dead
		c.advance(time.Minute)
		r.tick(t)
		if d < 0 {
			lives.keys(t, 1) // later, as long after it was added as was said
		}
		wantState(t, r, later, Running, 1)
		c.jump(-d)
		r.tick(t)
		if j := wantState(t, r, living, Running, 1); j.Deaths != 0 {
			t.Errorf("the job that lives died %d times when the clock was right again, want 0", j.Deaths)
		}
		for range 3 {
			lives.end <- nil
		}
		r.executing.Wait()
		r.tick(t)
		lives.keys(t, 1) // the one that waited
		lives.end <- nil
		r.executing.Wait()
		for _, id := range []int64{orphan, living, waiting, later} {
			wantState(t, r, id, Done, 1)
		}
		dies.end <- nil
		dead.executing.Wait()
		wantState(t, r, orphan, Done, 1)
	})
}

// A clock that was ahead and is set right: what was added, and what has failed,
// while it was ahead, waits as long as it was to wait, and no longer.
func TestClockSetRight(t *testing.T) {
	for _, d := range []time.Duration{time.Hour, 365 * 24 * time.Hour} {
		t.Run(d.String(), func(t *testing.T) {
			eachDB(t, func(t *testing.T, db *sqldb.DB) { testSetRight(t, db, d) })
		})
	}
}

func testSetRight(t *testing.T, db *sqldb.DB, d time.Duration) {
	c := newClock()
	outcomes := make(chan error, 1)
	r := newRunner(t, db, c, Kind{Name: "fails", Run: func(context.Context, Job) error {
		c.jump(d)
		return <-outcomes
	}}, Kind{Name: "k", Run: returns(nil)})
	failed := enqueue(t, r, Job{Kind: "fails"})
	outcomes <- RetryAfter(10*time.Minute, errors.New("no"))
	step(t, r) // begun before the jump, and ended after it
	now := enqueue(t, r, Job{Kind: "k", Key: "now"})
	soon := enqueue(t, r, Job{Kind: "k", Key: "soon", RunAt: c.Now().Add(time.Minute)})

	c.jump(-d)
	step(t, r)
	wantState(t, r, now, Queued, 0) // nobody has looked yet
	r.tick(t)
	r.executing.Wait()
	wantState(t, r, now, Done, 1)
	if j := wantState(t, r, soon, Queued, 0); !j.RunAt.Equal(c.Now().Add(time.Minute)) || j.CreatedAt.After(c.Now()) {
		t.Errorf("added at %v, due at %v, want at most %v and a minute later", j.CreatedAt, j.RunAt, c.Now())
	}
	if j := wantState(t, r, failed, Queued, 1); !j.RunAt.Equal(c.Now().Add(10 * time.Minute)) {
		t.Errorf("what failed is due at %v, want ten minutes after %v", j.RunAt, c.Now())
	}
	c.advance(time.Minute)
	r.tick(t)
	r.executing.Wait()
	wantState(t, r, soon, Done, 1)
	wantState(t, r, failed, Queued, 1)
}

// Of two servers one has a clock that is off. Neither takes what the other is
// running, and each runs what the other has added.
func TestClocksDiffer(t *testing.T) {
	eachJump(t, func(t *testing.T, db *sqldb.DB, d time.Duration) {
		right, wrong, ha, hb := newClock(), newClock(), newHold(), newHold()
		a := newRunner(t, db, right, Kind{Name: "a", Run: ha.run}, Kind{Name: "of b", Run: returns(nil)})
		b := newRunner(t, db, wrong, Kind{Name: "b", Run: hb.run}, Kind{Name: "of a", Run: returns(nil)})
		ofA, ofB := enqueue(t, a, Job{Kind: "a"}), enqueue(t, b, Job{Kind: "b"})
		a.tick(t)
		ha.keys(t, 1)
		b.tick(t)
		hb.keys(t, 1)
		wrong.jump(d)
		fromA, fromB := enqueue(t, a, Job{Kind: "of a"}), enqueue(t, b, Job{Kind: "of b"})
		for range 60 { // five minutes
			right.advance(5 * time.Second)
			wrong.advance(5 * time.Second)
			a.tick(t)
			b.tick(t)
		}
		for _, id := range []int64{ofA, ofB} {
			if j := wantState(t, a, id, Running, 1); j.Deaths != 0 {
				t.Errorf("job %d died %d times, want 0", id, j.Deaths)
			}
		}
		ha.end <- nil
		hb.end <- nil
		for _, r := range []*Runner{a, b} {
			r.executing.Wait()
		}
		for _, id := range []int64{ofA, ofB, fromA, fromB} {
			wantState(t, a, id, Done, 1)
		}
	})
}

// A worker that cannot reach the database keeps what it runs for as long as its
// lease lasts, whatever the clock says.
func TestLeaseOutlastsJump(t *testing.T) {
	db := openDB(t, sqldb.Config{Dir: t.TempDir()})
	c, h := newClock(), newHold()
	r := newRunner(t, db, c, Kind{Name: "k", Run: func(ctx context.Context, j Job) error {
		h.started <- j
		return errors.Join(<-h.end, context.Cause(ctx))
	}})
	id := enqueue(t, r, Job{Kind: "k"})
	if err := r.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.keys(t, 1)
	c.jump(24 * time.Hour)
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.beat(dead); err == nil {
		t.Error("beat with a dead database = nil, want an error")
	}
	h.end <- nil
	r.executing.Wait()
	wantState(t, r, id, Done, 1)
}

// tick does what a runner does again and again.
func (r *Runner) tick(t *testing.T) {
	t.Helper()
	for _, step := range []func() error{
		func() error { return r.beat(t.Context()) },
		func() error { return r.takeOver(t.Context()) },
		func() error { return r.mend(t.Context()) },
		func() error { return r.fetch(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}
