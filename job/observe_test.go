package job

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/sqldb"
)

type carried struct{}

// watched is an observer that writes down what it is told.
type watched struct {
	mu   sync.Mutex
	told []string
}

func (w *watched) tell(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, text)
}

func (w *watched) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

func (w *watched) observer() Observer {
	return Observer{
		Carry: func(ctx context.Context) string {
			text, _ := ctx.Value(carried{}).(string)
			return text
		},
		Start: func(ctx context.Context, j Job) (context.Context, func(Outcome)) {
			return context.WithValue(ctx, carried{}, j.Trace), func(o Outcome) { w.tell(j.Key + " " + j.Trace + " " + string(o)) }
		},
		Died: func(j Job) { w.tell(j.Key + " " + j.Trace + " died") },
	}
}

// TestObserver runs a job of every end, and looks at what is told of it and
// what of its context goes with it.
func TestObserver(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		c, w := newClock(), new(watched)
		kind := Kind{Name: "k", Workers: 1}
		r, err := New(db, Config{Owner: t.Name(), Now: c.Now, Logger: slog.New(slog.DiscardHandler), Observe: w.observer()})
		if err != nil {
			t.Fatal(err)
		}
		kind.Run = func(ctx context.Context, j Job) error {
			if got := ctx.Value(carried{}); got != "from "+j.Key {
				t.Errorf("context of %s carries %v", j.Key, got)
			}
			switch j.Key {
			case "done":
				return nil
			case "completed":
				return db.Tx(ctx, func(tx *sqldb.Tx) error { return r.Complete(ctx, tx, j) })
			case "permanent":
				return Permanent(errors.New("never"))
			case "retried":
				return RetryAfter(time.Hour, errors.New("later"))
			case "plain":
				return errors.New("once more")
			case "canceled":
				_, err := r.Cancel(ctx, "k", j.Key)
				return err
			}
			return RetryAfter(time.Hour, Released)
		}
		if err := r.Register(kind); err != nil {
			t.Fatal(err)
		}
		if !r.LastLook().IsZero() {
			t.Error("the table was asked before the start")
		}
		keys := []string{"done", "completed", "permanent", "retried", "plain", "canceled"}
		for _, key := range keys {
			ctx := context.WithValue(t.Context(), carried{}, "from "+key)
			err := db.Tx(ctx, func(tx *sqldb.Tx) error {
				_, err := r.Enqueue(ctx, tx, Job{Kind: "k", Key: key})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if claimed, err := r.claim(t.Context(), kind); err != nil || !claimed {
				t.Fatalf("claim = %t, %v", claimed, err)
			}
			r.executing.Wait()
		}
		want := []string{
			"done from done done", "completed from completed done", "permanent from permanent failed",
			"retried from retried retried", "plain from plain retried", "canceled from canceled canceled",
		}
		if diff := cmp.Diff(want, w.all()); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// TestQueues counts what waits, what is due and what runs, on a clock that is moved.
func TestQueues(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		c := newClock()
		begun, end := make(chan struct{}), make(chan struct{})
		kind := Kind{Name: "a", Workers: 1, Run: func(context.Context, Job) error {
			close(begun)
			<-end
			return nil
		}}
		r := newRunner(t, db, c, kind, Kind{Name: "b", Run: func(context.Context, Job) error { return nil }})
		start := c.Now()
		check := func(want ...Queue) {
			t.Helper()
			got, err := r.Queues(t.Context())
			if err != nil {
				t.Fatalf("Queues = %v", err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Queues (-want +got):\n%s", diff)
			}
		}
		check(Queue{Kind: "a"}, Queue{Kind: "b"})
		enqueue(t, r, Job{Kind: "a"})
		if claimed, err := r.claim(t.Context(), kind); err != nil || !claimed {
			t.Fatalf("claim = %t, %v", claimed, err)
		}
		<-begun
		c.advance(time.Minute)
		enqueue(t, r, Job{Kind: "a"})
		enqueue(t, r, Job{Kind: "a", RunAt: start.Add(time.Hour)})
		enqueue(t, r, Job{Kind: "unknown"})
		c.advance(time.Minute)
		check(
			Queue{Kind: "a", Waiting: 2, Due: 1, OldestDue: start.Add(time.Minute), Running: 1, OldestBeat: start},
			Queue{Kind: "b"},
		)
		close(end)
		r.executing.Wait()
		c.advance(time.Hour)
		check(Queue{Kind: "a", Waiting: 2, Due: 2, OldestDue: start.Add(time.Minute)}, Queue{Kind: "b"})
	})
}

// TestObserverDeath has a job taken up that a dead process was running.
func TestObserverDeath(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		c, w := newClock(), new(watched)
		dead := newRunner(t, db, c)
		id := enqueue(t, dead, Job{Kind: "k", Key: "x", Trace: "given"})
		if err := db.Tx(t.Context(), func(tx *sqldb.Tx) error {
			_, err := dead.lease(t.Context(), tx, id)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		r, err := New(db, Config{Owner: t.Name(), Now: c.Now, Logger: slog.New(slog.DiscardHandler), Observe: w.observer()})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := r.ReleaseOwned(t.Context()); err != nil || n != 1 {
			t.Fatalf("ReleaseOwned = %d, %v, want 1", n, err)
		}
		if diff := cmp.Diff([]string{"x given died"}, w.all()); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}
