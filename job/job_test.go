package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/internal/pgtest"
	"throng/sqldb"
)

// eachDB runs a test on SQLite and, where there is one, on PostgreSQL.
func eachDB(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Run("sqlite", func(t *testing.T) { test(t, openDB(t, sqldb.Config{Dir: t.TempDir()})) })
	t.Run("postgres", func(t *testing.T) { test(t, openDB(t, sqldb.Config{URL: pgtest.URL(t)})) })
}

func openDB(t *testing.T, cfg sqldb.Config) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// clock is a time that stands until it is moved.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	passed time.Duration
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed
}

// advance lets time pass.
func (c *clock) advance(d time.Duration) {
	c.jump(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}

// jump sets the clock, and no time passes.
func (c *clock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newRunner makes a runner that is not started: tests call its steps.
func newRunner(t *testing.T, db *sqldb.DB, c *clock, kinds ...Kind) *Runner {
	t.Helper()
	r, err := New(db, Config{Owner: t.Name(), Now: c.Now, Elapsed: c.Elapsed, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	for _, k := range kinds {
		if err := r.Register(k); err != nil {
			t.Fatalf("Register = %v", err)
		}
	}
	return r
}

func enqueue(t *testing.T, r *Runner, j Job) int64 {
	t.Helper()
	var id int64
	err := r.db.Tx(t.Context(), func(tx *sqldb.Tx) (err error) {
		id, err = r.Enqueue(t.Context(), tx, j)
		return err
	})
	if err != nil {
		t.Fatalf("Enqueue = %v", err)
	}
	return id
}

// step starts what is due, waits until it has ended, and so on.
func step(t *testing.T, r *Runner) {
	t.Helper()
	if err := r.fetch(t.Context()); err != nil {
		t.Fatalf("fetch = %v", err)
	}
	r.executing.Wait()
}

func get(t *testing.T, r *Runner, id int64) Job {
	t.Helper()
	j, err := r.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get(%d) = %v", id, err)
	}
	return j
}

func wantState(t *testing.T, r *Runner, id int64, state State, attempts int) Job {
	t.Helper()
	j := get(t, r, id)
	if j.State != state || j.Attempts != attempts {
		t.Fatalf("job %d is %s after %d attempts (%s), want %s after %d", id, j.State, j.Attempts, j.LastError, state, attempts)
	}
	return j
}

func returns(err error) Handler { return func(context.Context, Job) error { return err } }

func TestEnqueue(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		c := newClock()
		var got []Job
		r := newRunner(t, db, c, Kind{Name: "k", Run: func(_ context.Context, j Job) error {
			got = append(got, j)
			return nil
		}})
		id := enqueue(t, r, Job{Kind: "k", Key: "key", OwnerRef: 7, Payload: []byte(`{"a":"\u0000"}`), Group: "g", Priority: 3, Concurrency: 2})
		if found, err := r.Find(t.Context(), "k", "key"); err != nil || found.ID != id {
			t.Errorf("Find = %+v, %v, want %d", found, err, id)
		}
		step(t, r)
		want := []Job{{
			ID: id, Kind: "k", Key: "key", OwnerRef: 7, Payload: []byte(`{"a":"\u0000"}`), Group: "g", Priority: 3,
			Concurrency: 2, RunAt: c.Now(), MaxAttempts: DefaultMaxAttempts, State: Running, Attempts: 1,
			HeartbeatAt: c.Now(), CreatedAt: c.Now(), claim: 1, leaseUntil: c.Now().Add(50 * time.Second),
		}}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Job{})); diff != "" {
			t.Errorf("the handler was given (-want +got):\n%s", diff)
		}
		wantState(t, r, id, Done, 1)

		wantErr := errors.New("no")
		err := db.Tx(t.Context(), func(tx *sqldb.Tx) error {
			if _, err := r.Enqueue(t.Context(), tx, Job{Kind: "k", Key: "rolled back"}); err != nil {
				return err
			}
			return wantErr
		})
		if !errors.Is(err, wantErr) {
			t.Fatal(err)
		}
		if _, err := r.Find(t.Context(), "k", "rolled back"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Find after rollback = %v, want ErrNotFound", err)
		}
	})
}

func TestRetrySchedule(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		c := newClock()
		broken := errors.New("broken")
		var failed []string
		r := newRunner(t, db, c, Kind{
			Name: "k",
			Run:  returns(broken),
			Failed: func(ctx context.Context, tx *sqldb.Tx, j Job, cause error) error {
				failed = append(failed, fmt.Sprintf("%s after %d: %v", j.State, j.Attempts, cause))
				return tx.SetMeta(ctx, "failed", "yes")
			},
		})
		id := enqueue(t, r, Job{Kind: "k", MaxAttempts: 5})
		for attempt, most := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
			step(t, r)
			j := wantState(t, r, id, Queued, attempt+1)
			if wait := j.RunAt.Sub(c.Now()); wait < most/2 || wait > most {
				t.Errorf("after attempt %d it waits %v, want %v to %v", attempt+1, wait, most/2, most)
			}
			if j.LastError != "broken" {
				t.Errorf("last error = %q, want broken", j.LastError)
			}
			c.advance(j.RunAt.Sub(c.Now()) - time.Microsecond)
			step(t, r)
			wantState(t, r, id, Queued, attempt+1) // not before its time
			c.advance(time.Microsecond)
		}
		step(t, r)
		wantState(t, r, id, Failed, 5)
		if diff := cmp.Diff([]string{"failed after 5: broken"}, failed); diff != "" {
			t.Errorf("Failed was called with (-want +got):\n%s", diff)
		}
		if v, err := db.Meta(t.Context(), "failed"); err != nil || v != "yes" {
			t.Errorf("what Failed wrote = %q, %v, want yes", v, err)
		}
	})
}

func TestBackoffBounds(t *testing.T) {
	r := newRunner(t, nil, newClock())
	for n := range 200 {
		if d := r.backoff(n); d <= 0 || d > r.cfg.MaxBackoff {
			t.Errorf("backoff(%d) = %v, want up to %v", n, d, r.cfg.MaxBackoff)
		}
	}
	if d := r.backoff(100); d < r.cfg.MaxBackoff/2 {
		t.Errorf("backoff(100) = %v, want at least %v", d, r.cfg.MaxBackoff/2)
	}
}

func TestOutcomes(t *testing.T) {
	type outcome struct {
		State    State
		Attempts int
		Wait     time.Duration
		Error    string
	}
	broken := errors.New("broken")
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		f := func(name string, run Handler, maxAttempts int, want outcome) {
			t.Helper()
			c := newClock()
			kind := "k " + name
			r := newRunner(t, db, c, Kind{Name: kind, Run: run})
			id := enqueue(t, r, Job{Kind: kind, MaxAttempts: maxAttempts})
			if _, err := r.claim(t.Context(), r.kinds[kind]); err != nil {
				t.Fatal(err)
			}
			r.executing.Wait()
			j := get(t, r, id)
			got := outcome{j.State, j.Attempts, max(j.RunAt.Sub(c.Now()), 0), j.LastError}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		f("done", returns(nil), 1, outcome{Done, 1, 0, ""})
		f("permanent", returns(Permanent(broken)), 5, outcome{Failed, 1, 0, "broken"})
		f("wrapped permanent", returns(fmt.Errorf("build: %w", Permanent(broken))), 5, outcome{Failed, 1, 0, "build: broken"})
		f("permanent nil", returns(Permanent(nil)), 5, outcome{Done, 1, 0, ""})
		f("retry after", returns(RetryAfter(time.Hour, broken)), 5, outcome{Queued, 1, time.Hour, "broken"})
		f("last retry", returns(RetryAfter(time.Hour, broken)), 1, outcome{Failed, 1, 0, "broken (again after 1h0m0s)"})
		f("unlimited", returns(RetryAfter(time.Hour, broken)), NoLimit, outcome{Queued, 1, time.Hour, "broken"})
		f("waits", returns(fmt.Errorf("store: %w", Wait(time.Minute, broken))), 1, outcome{Queued, 0, time.Minute, "broken"})
		f("permanent, though it could wait", returns(Permanent(Wait(time.Minute, broken))), 5, outcome{Failed, 1, 0, "broken (waits 1m0s)"})
		f("released", returns(Released), 1, outcome{Queued, 0, 0, ""})
		f("panic", func(context.Context, Job) error { panic("someone@example.com") }, 1, outcome{Failed, 1, 0, "handler panicked with a string"})
		f("runtime panic", func(_ context.Context, j Job) error {
			a := make([]int, j.Attempts-1)
			return fmt.Errorf("read %d", a[0])
		}, 1, outcome{Failed, 1, 0, "handler panicked: runtime error: index out of range [0] with length 0"})
		f("unclean text", returns(errors.New("a\x00b\xff")), 1, outcome{Failed, 1, 0, "a?b?"})
	})
}

func TestPriorityAndFairness(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		c := newClock()
		var order []string
		r := newRunner(t, db, c, Kind{Name: "k", Run: func(_ context.Context, j Job) error {
			order = append(order, j.Key)
			return nil
		}})
		for _, j := range []Job{
			{Key: "a1", Group: "a"},
			{Key: "a2", Group: "a"},
			{Key: "a3", Group: "a"},
			{Key: "a4", Group: "a"},
			{Key: "b1", Group: "b"},
			{Key: "b2", Group: "b"},
			{Key: "c1", Group: "c"},
			{Key: "urgent", Group: "a", Priority: 1},
			{Key: "later", Group: "d", RunAt: c.Now().Add(time.Second)},
		} {
			j.Kind = "k"
			enqueue(t, r, j)
		}
		for range 20 { // one worker; each job ends before the next is claimed
			step(t, r)
		}
		want := []string{"urgent", "b1", "c1", "a1", "b2", "a2", "a3", "a4"}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// hold is a handler that tells what runs and waits to be let go.
type hold struct {
	started chan Job
	end     chan error
}

func newHold() *hold { return &hold{started: make(chan Job, 100), end: make(chan error, 100)} }

func (h *hold) run(ctx context.Context, j Job) error {
	h.started <- j
	select {
	case err := <-h.end:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (h *hold) keys(t *testing.T, n int) map[string]bool {
	t.Helper()
	keys := make(map[string]bool)
	for range n {
		select {
		case j := <-h.started:
			keys[j.Key] = true
		case <-time.After(10 * time.Second):
			t.Fatalf("only %v started, want %d", keys, n)
		}
	}
	select {
	case j := <-h.started:
		t.Fatalf("%s started too", j.Key)
	default:
	}
	return keys
}

func TestConcurrencyLimitAndLeastRunning(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		h := newHold()
		r := newRunner(t, db, newClock(), Kind{Name: "k", Workers: 4, Run: h.run})
		for i := range 5 {
			enqueue(t, r, Job{Kind: "k", Group: "a", Concurrency: 2, Key: fmt.Sprintf("a%d", i)})
		}
		fetch := func() {
			t.Helper()
			if err := r.fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		fetch()
		if diff := cmp.Diff(map[string]bool{"a0": true, "a1": true}, h.keys(t, 2)); diff != "" {
			t.Errorf("running at the limit (-want +got):\n%s", diff)
		}
		for _, key := range []string{"b0", "b1", "b2"} {
			enqueue(t, r, Job{Kind: "k", Group: "b", Key: key})
		}
		fetch() // two workers are free; group a may have no more
		if diff := cmp.Diff(map[string]bool{"b0": true, "b1": true}, h.keys(t, 2)); diff != "" {
			t.Errorf("beside the limit (-want +got):\n%s", diff)
		}
		for range 4 {
			h.end <- nil
		}
		r.executing.Wait()
		fetch()
		if diff := cmp.Diff(map[string]bool{"a2": true, "b2": true, "a3": true}, h.keys(t, 3)); diff != "" {
			t.Errorf("after the first ended (-want +got):\n%s", diff)
		}
		for range 3 {
			h.end <- nil
		}
		r.executing.Wait()
	})
}
