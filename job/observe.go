package job

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"throng/sqldb"
)

// Outcome is what became of one attempt.
type Outcome string

// The outcomes.
const (
	AttemptDone     Outcome = "done"
	AttemptFailed   Outcome = "failed"   // for good
	AttemptRetried  Outcome = "retried"  // it will be tried again
	AttemptReleased Outcome = "released" // handed back; it does not count
	AttemptCanceled Outcome = "canceled"
	AttemptLost     Outcome = "lost" // another took it over, or its end could not be recorded
)

// Observer is told what jobs do, so that they can be counted, timed and traced
// by who knows how. What is nil is not told. The functions must be quick, safe
// for concurrent use, and must not panic.
type Observer struct {
	// Carry gives what of the context of [Runner.Enqueue] goes with the job, as
	// Job.Trace: at most some hundred bytes.
	Carry func(ctx context.Context) string
	// Start is told that an attempt begins. Its handler gets the context that
	// comes back; ended is called once the outcome is recorded.
	Start func(ctx context.Context, j Job) (_ context.Context, ended func(Outcome))
	// Died is told of an attempt that the death of its process cut short, by who
	// takes the job up again.
	Died func(j Job)
}

func (o Observer) withDefaults() Observer {
	if o.Carry == nil {
		o.Carry = func(context.Context) string { return "" }
	}
	if o.Start == nil {
		o.Start = func(ctx context.Context, _ Job) (context.Context, func(Outcome)) { return ctx, func(Outcome) {} }
	}
	if o.Died == nil {
		o.Died = func(Job) {}
	}
	return o
}

// outcomeOf tells what became of an attempt whose job was found as stored
// when it was to be recorded: done by Complete, or no longer its own.
func outcomeOf(stored, j Job) Outcome {
	switch {
	case stored.claim != j.claim:
		return AttemptLost
	case stored.State == Done:
		return AttemptDone
	case stored.State == Canceled:
		return AttemptCanceled
	}
	return AttemptLost
}

// LastLook is when this runner last looked for jobs without an error; zero
// before it did. It looks every [Config.Poll] while it runs.
func (r *Runner) LastLook() time.Time {
	if at := r.looked.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Queue is what waits and runs of one kind, in all processes.
type Queue struct {
	Kind string
	// Waiting is how many are queued; Due is how many of them could run now.
	Waiting, Due int64
	// OldestDue is since when the one that waits longest could run; zero where
	// none is due.
	OldestDue time.Time
	// Running is how many run; OldestBeat is the heartbeat of the one that has
	// shown no sign of life for longest; zero where none runs.
	Running    int64
	OldestBeat time.Time
}

// Queues tells of every registered kind, in the order of registration, what
// waits and runs of it. It reads an index, not the jobs that have ended.
func (r *Runner) Queues(ctx context.Context) ([]Queue, error) {
	found := map[string]*Queue{}
	all := make([]Queue, len(r.names))
	for i, name := range r.names {
		all[i].Kind = name
		found[name] = &all[i]
	}
	now := r.cfg.Now().UnixMicro()
	err := r.db.View(ctx, func(q sqldb.Reader) error {
		if err := countInto(ctx, q, found, `SELECT kind, COUNT(*), COALESCE(SUM(CASE WHEN run_at <= ? THEN 1 ELSE 0 END), 0),
			MIN(CASE WHEN run_at <= ? THEN run_at END) FROM jobs WHERE state = 'queued' GROUP BY kind`,
			func(k *Queue, n, due int64, oldest time.Time) { k.Waiting, k.Due, k.OldestDue = n, due, oldest }, now, now); err != nil {
			return err
		}
		return countInto(ctx, q, found, `SELECT kind, COUNT(*), 0, MIN(heartbeat_at) FROM jobs WHERE state = 'running' GROUP BY kind`,
			func(k *Queue, n, _ int64, oldest time.Time) { k.Running, k.OldestBeat = n, oldest })
	})
	return all, wrap("count jobs", err)
}

func countInto(ctx context.Context, q sqldb.Reader, found map[string]*Queue, query string,
	set func(k *Queue, n, due int64, oldest time.Time), args ...any,
) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			kind   string
			n, due int64
			oldest sql.NullInt64
		)
		if err := rows.Scan(&kind, &n, &due, &oldest); err != nil {
			return err
		}
		if k := found[kind]; k != nil {
			set(k, n, due, instant(oldest))
		}
	}
	return rows.Err()
}

// Kinds gives the names of the registered kinds, in the order of registration.
func (r *Runner) Kinds() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.names)
}
