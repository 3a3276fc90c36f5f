package job

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"throng/sqldb"
)

// TestDatabaseComesBack has every look for jobs fail for a while: the runner
// goes on looking, and runs what is due once it can be found again.
func TestDatabaseComesBack(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		failed := make(chan struct{}, 1000)
		r, err := New(db, Config{Poll: 2 * time.Millisecond, Logger: slog.New(tellErrors{failed})})
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan struct{}, 1)
		if err := r.Register(Kind{Name: "k", Run: func(context.Context, Job) error { ran <- struct{}{}; return nil }}); err != nil {
			t.Fatal(err)
		}
		rename(t, db, "jobs", "jobs_away")
		if err := r.Start(t.Context()); err == nil {
			t.Cleanup(func() { stop(t, r) })
		} else {
			t.Fatal(err)
		}
		for range 5 {
			select {
			case <-failed:
			case <-time.After(time.Minute):
				t.Fatal("the runner does not look for jobs any more")
			}
		}
		rename(t, db, "jobs_away", "jobs")
		enqueue(t, r, Job{Kind: "k"})
		select {
		case <-ran:
		case <-time.After(time.Minute):
			t.Fatal("the job is not run")
		}
	})
}

func rename(t *testing.T, db *sqldb.DB, from, to string) {
	t.Helper()
	if err := db.Tx(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(t.Context(), `ALTER TABLE `+from+` RENAME TO `+to)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// tellErrors is a log whose errors are told.
type tellErrors struct{ failed chan<- struct{} }

func (h tellErrors) Enabled(context.Context, slog.Level) bool { return true }
func (h tellErrors) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h tellErrors) WithGroup(string) slog.Handler            { return h }
func (h tellErrors) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		select {
		case h.failed <- struct{}{}:
		default:
		}
	}
	return nil
}
