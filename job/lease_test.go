package job

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"throng/sqldb"
)

func TestTakeOver(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		c := newClock()
		ha, hb := newHold(), newHold()
		lostCause := make(chan error, 1)
		completed := make(chan error, 1)
		var a *Runner
		a = newRunner(t, db, c, Kind{Name: "k", Run: func(ctx context.Context, j Job) error {
			ha.run(ctx, j)
			lostCause <- context.Cause(ctx)
			ctx = context.WithoutCancel(ctx)
			completed <- db.Tx(ctx, func(tx *sqldb.Tx) error { return a.Complete(ctx, tx, j) })
			return nil
		}})
		b := newRunner(t, db, c, Kind{Name: "k", Run: hb.run})
		id := enqueue(t, a, Job{Kind: "k"})
		if err := a.fetch(ctx); err != nil {
			t.Fatal(err)
		}
		ha.keys(t, 1)

		steps := func(r *Runner) {
			t.Helper()
			if err := r.takeOver(ctx); err != nil {
				t.Fatal(err)
			}
			if err := r.fetch(ctx); err != nil {
				t.Fatal(err)
			}
		}
		c.advance(50 * time.Second)
		if err := a.beat(ctx); err != nil { // renews to 100 s
			t.Fatal(err)
		}
		steps(b)
		c.advance(45 * time.Second)
		steps(b)
		hb.keys(t, 0)
		wantState(t, b, id, Running, 1)

		c.advance(10 * time.Second)
		steps(b)
		steps(b) // a second time there is nothing to take
		hb.keys(t, 1)
		if j := wantState(t, b, id, Running, 1); j.Deaths != 1 {
			t.Errorf("job died %d times, want 1", j.Deaths)
		}

		if err := a.beat(ctx); err != nil {
			t.Fatal(err)
		}
		if cause := <-lostCause; !errors.Is(cause, ErrLost) {
			t.Errorf("cause of the first worker's context = %v, want ErrLost", cause)
		}
		if err := <-completed; !errors.Is(err, ErrLost) {
			t.Errorf("Complete by the first worker = %v, want ErrLost", err)
		}
		a.executing.Wait()
		wantState(t, b, id, Running, 1) // what the first returned changed nothing
		hb.end <- nil
		b.executing.Wait()
		wantState(t, b, id, Done, 1)
	})
}

// A worker that cannot reach the database stops before another may begin.
func TestLeaseEndsWithoutHeartbeat(t *testing.T) {
	db := openDB(t, sqldb.Config{Dir: t.TempDir()})
	c := newClock()
	cause := make(chan error, 1)
	h := newHold()
	r := newRunner(t, db, c, Kind{Name: "k", Run: func(ctx context.Context, j Job) error {
		err := h.run(ctx, j)
		cause <- context.Cause(ctx)
		return err
	}})
	enqueue(t, r, Job{Kind: "k"})
	if err := r.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.keys(t, 1)
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.beat(dead); err == nil {
		t.Error("beat with a dead database = nil, want an error")
	}
	select {
	case err := <-cause:
		t.Fatalf("ended within its lease: %v", err)
	default:
	}
	c.advance(time.Minute)
	if err := r.beat(dead); err == nil {
		t.Error("beat with a dead database = nil, want an error")
	}
	if err := <-cause; !errors.Is(err, ErrLost) {
		t.Errorf("cause = %v, want ErrLost", err)
	}
	r.executing.Wait()
}

func TestComplete(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		var r *Runner
		wantErr := errors.New("no")
		r = newRunner(t, db, newClock(), Kind{Name: "k", Run: func(ctx context.Context, j Job) error {
			return db.Tx(ctx, func(tx *sqldb.Tx) error {
				if err := r.Complete(ctx, tx, j); err != nil {
					return err
				}
				if j.Attempts == 1 {
					return RetryAfter(0, wantErr) // rolls the completion back
				}
				return tx.SetMeta(ctx, "result", "here")
			})
		}})
		id := enqueue(t, r, Job{Kind: "k"})
		if _, err := r.claim(t.Context(), r.kinds["k"]); err != nil {
			t.Fatal(err)
		}
		r.executing.Wait()
		wantState(t, r, id, Queued, 1)
		step(t, r)
		wantState(t, r, id, Done, 2)
		if v, err := db.Meta(t.Context(), "result"); err != nil || v != "here" {
			t.Errorf("result = %q, %v, want here", v, err)
		}
	})
}

// A job is not failed before the product's record of it is.
func TestFailedHookErrs(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		calls := 0
		r := newRunner(t, db, newClock(), Kind{
			Name: "k",
			Run:  returns(Permanent(errors.New("broken"))),
			Failed: func(ctx context.Context, tx *sqldb.Tx, _ Job, _ error) error {
				if calls++; calls == 1 {
					return errors.Join(tx.SetMeta(ctx, "first", "x"), errors.New("not now"))
				}
				return tx.SetMeta(ctx, "second", "x")
			},
		})
		id := enqueue(t, r, Job{Kind: "k"})
		step(t, r)
		wantState(t, r, id, Failed, 1)
		if _, err := db.Meta(t.Context(), "first"); calls != 2 || !errors.Is(err, sqldb.ErrNotFound) {
			t.Errorf("Failed was called %d times, the first kept its change: %v; want 2, ErrNotFound", calls, err)
		}
		if _, err := db.Meta(t.Context(), "second"); err != nil {
			t.Errorf("the second call's change: %v", err)
		}
	})
}

func TestCancel(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		c := newClock()
		h := newHold()
		causes := make(chan error, 2)
		kind := Kind{Name: "k", Workers: 1, Run: func(ctx context.Context, j Job) error {
			err := h.run(ctx, j)
			causes <- context.Cause(ctx)
			return err
		}, Failed: func(context.Context, *sqldb.Tx, Job, error) error {
			t.Error("Failed was called for a canceled job")
			return nil
		}}
		r, other := newRunner(t, db, c, kind), newRunner(t, db, c, kind)
		first := enqueue(t, r, Job{Kind: "k", Key: "first", MaxAttempts: 1})
		waiting := enqueue(t, r, Job{Kind: "k", Key: "waiting"})
		second := enqueue(t, r, Job{Kind: "k", Key: "second", MaxAttempts: 1})
		cancel := func(r *Runner, key string, want int) {
			t.Helper()
			if n, err := r.Cancel(ctx, "k", key); err != nil || n != want {
				t.Errorf("Cancel(%s) = %d, %v, want %d", key, n, err, want)
			}
		}
		fetch := func() {
			t.Helper()
			if err := r.fetch(ctx); err != nil {
				t.Fatal(err)
			}
		}

		fetch()
		h.keys(t, 1)
		cancel(r, "waiting", 1)
		cancel(r, "first", 1)
		if cause := <-causes; !errors.Is(cause, ErrCanceled) { // at once, without a heartbeat
			t.Errorf("cause = %v, want ErrCanceled", cause)
		}
		r.executing.Wait()
		wantState(t, r, first, Canceled, 1)
		wantState(t, r, waiting, Canceled, 0)
		cancel(r, "first", 0)
		cancel(r, "absent", 0)

		fetch()
		h.keys(t, 1)
		cancel(other, "second", 1)
		if err := r.beat(ctx); err != nil {
			t.Fatal(err)
		}
		if cause := <-causes; !errors.Is(cause, ErrCanceled) {
			t.Errorf("cause after another process canceled = %v, want ErrCanceled", cause)
		}
		r.executing.Wait()
		wantState(t, r, second, Canceled, 1)
	})
}

func stop(t *testing.T, r *Runner) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Errorf("Stop = %v", err)
	}
}

func start(t *testing.T, r *Runner) {
	t.Helper()
	if err := r.Start(t.Context()); err != nil {
		t.Fatalf("Start = %v", err)
	}
}

// waitFor polls the table until a job is in a state.
func waitFor(t *testing.T, r *Runner, id int64, state State) Job {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		j := get(t, r, id)
		if j.State == state {
			return j
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %d is %s (%s), want %s", id, j.State, j.LastError, state)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestExactlyOnceWithTwoRunners(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		const jobs = 100
		var mu sync.Mutex
		runs := make(map[int64]int)
		kind := Kind{Name: "k", Workers: 3, Run: func(_ context.Context, j Job) error {
			mu.Lock()
			defer mu.Unlock()
			runs[j.ID]++
			return nil
		}}
		var runners []*Runner
		for i := range 2 {
			r, err := New(db, Config{Owner: fmt.Sprintf("server %d", i)})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Register(kind); err != nil {
				t.Fatal(err)
			}
			runners = append(runners, r)
		}
		var ids []int64
		for i := range jobs {
			ids = append(ids, enqueue(t, runners[0], Job{Kind: "k", Group: fmt.Sprint(i % 3)}))
		}
		for _, r := range runners {
			start(t, r)
		}
		for _, id := range ids {
			waitFor(t, runners[0], id, Done)
		}
		for _, r := range runners {
			stop(t, r)
		}
		for _, id := range ids {
			if runs[id] != 1 {
				t.Errorf("job %d ran %d times, want once", id, runs[id])
			}
		}
	})
}

// An enqueued job runs at once, not at the next poll.
func TestWake(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		r, err := New(db, Config{Poll: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Register(Kind{Name: "k", Run: returns(nil)}); err != nil {
			t.Fatal(err)
		}
		start(t, r)
		defer stop(t, r)
		for range 3 {
			waitFor(t, r, enqueue(t, r, Job{Kind: "k", Group: "g", Concurrency: 1}), Done)
		}
	})
}

func TestStopHandsBack(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		h := newHold()
		f := func(run Handler, want State, attempts int) {
			t.Helper()
			r, err := New(db, Config{Owner: "o"})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Register(Kind{Name: "k", Run: run}); err != nil {
				t.Fatal(err)
			}
			id := enqueue(t, r, Job{Kind: "k", MaxAttempts: 1})
			start(t, r)
			<-h.started
			stop(t, r)
			stop(t, r)
			wantState(t, r, id, want, attempts)
			if _, err := r.Cancel(t.Context(), "k", ""); err != nil {
				t.Fatal(err)
			}
		}
		f(h.run, Queued, 0)
		f(func(ctx context.Context, j Job) error { h.run(ctx, j); return errors.New("write: broken pipe") }, Queued, 0)
		f(func(ctx context.Context, j Job) error { return Permanent(h.run(ctx, j)) }, Queued, 0)
		f(func(ctx context.Context, j Job) error { h.run(ctx, j); return Permanent(errors.New("really")) }, Failed, 1)
		f(func(ctx context.Context, j Job) error { h.run(ctx, j); return nil }, Done, 1)
	})
}

// A handler that does not listen holds up Stop until its time is over, and its
// job stays leased: it may still be running.
func TestStopGivesUp(t *testing.T) {
	db := openDB(t, sqldb.Config{Dir: t.TempDir()})
	started, end := make(chan bool), make(chan bool)
	r, err := New(db, Config{Owner: "o"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Register(Kind{Name: "k", Run: func(context.Context, Job) error { started <- true; <-end; return nil }}); err != nil {
		t.Fatal(err)
	}
	id := enqueue(t, r, Job{Kind: "k"})
	start(t, r)
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop = %v, want the context's error", err)
	}
	wantState(t, r, id, Running, 1)
	close(end)
	stop(t, r)
	wantState(t, r, id, Done, 1)
}

func TestPruneAndStats(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		c := newClock()
		r := newRunner(t, db, c, Kind{Name: "k", Run: returns(nil)})
		old := enqueue(t, r, Job{Kind: "k"})
		step(t, r)
		c.advance(time.Hour)
		recent := enqueue(t, r, Job{Kind: "k"})
		step(t, r)
		queued := enqueue(t, r, Job{Kind: "other"})
		if n, err := r.Prune(t.Context(), c.Now()); err != nil || n != 1 {
			t.Errorf("Prune = %d, %v, want 1", n, err)
		}
		if _, err := r.Get(t.Context(), old); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get of a pruned job = %v, want ErrNotFound", err)
		}
		wantState(t, r, recent, Done, 1)
		wantState(t, r, queued, Queued, 0)
		stats, err := r.Stats(t.Context())
		if got, want := fmt.Sprint(stats), "[{k done 1} {other queued 1}]"; err != nil || got != want {
			t.Errorf("Stats = %s, %v, want %s", got, err, want)
		}
	})
}

func TestBadUse(t *testing.T) {
	db := openDB(t, sqldb.Config{Dir: t.TempDir()})
	if _, err := New(db, Config{Lease: time.Second}); err == nil {
		t.Error("New with a lease shorter than three heartbeats = nil, want an error")
	}
	r := newRunner(t, db, newClock(), Kind{Name: "k", Run: returns(nil)})
	for _, k := range []Kind{{}, {Name: "x"}, {Run: returns(nil)}, {Name: "k", Run: returns(nil)}, {Name: "x", Run: returns(nil), Workers: -1}} {
		if err := r.Register(k); err == nil {
			t.Errorf("Register(%q) = nil, want an error", k.Name)
		}
	}
	err := db.Tx(t.Context(), func(tx *sqldb.Tx) error {
		for _, j := range []Job{{}, {Kind: "k", Concurrency: -1}, {Kind: "k", MaxAttempts: -2}} {
			if _, err := r.Enqueue(t.Context(), tx, j); err == nil {
				t.Errorf("Enqueue(%+v) = nil, want an error", j)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	start(t, r)
	defer stop(t, r)
	if err := r.Start(t.Context()); err == nil {
		t.Error("second Start = nil, want an error")
	}
	if err := r.Register(Kind{Name: "late", Run: returns(nil)}); err == nil {
		t.Error("Register after Start = nil, want an error")
	}
}

// A runner that is for one kind only leaves the jobs of others to others.
func TestOnly(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		r := newRunner(t, db, newClock(), Kind{Name: "build", Run: returns(nil)}, Kind{Name: "deliver", Run: returns(nil)})
		build := enqueue(t, r, Job{Kind: "build"})
		deliver := enqueue(t, r, Job{Kind: "deliver"})
		r.Only("deliver")
		start(t, r)
		waitFor(t, r, deliver, Done)
		stop(t, r)
		wantState(t, r, build, Queued, 0)
	})
}
