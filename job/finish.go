package job

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"throng/sqldb"
)

// execute runs a claimed job and records how it ended.
func (r *Runner) execute(kind Kind, e *execution) {
	var ended func(Outcome)
	e.ctx, ended = r.cfg.Observe.Start(e.ctx, e.job)
	err := r.call(kind, e)
	// While the outcome is being recorded the lease is kept, and the job keeps
	// its worker: else it would be run again for a database that was away.
	r.record(kind, e, err)
	r.dismiss(e)
	ended(e.ended)
	r.signal()
}

// call runs the handler; a panic becomes an error.
func (r *Runner) call(kind Kind, e *execution) (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.cfg.Logger.ErrorContext(e.ctx, "job handler panicked", "kind", kind.Name, "job", e.job.ID, "stack", string(debug.Stack()))
			err = panicError(v)
		}
	}()
	return kind.Run(e.ctx, e.job)
}

// panicError tells what the runtime says; what else a handler threw may hold
// what must not be written down.
func panicError(v any) error {
	if err, ok := v.(runtime.Error); ok {
		return fmt.Errorf("handler panicked: %w", err)
	}
	return fmt.Errorf("handler panicked with a %T", v)
}

// record writes the outcome, trying again for as long as a lease: an outcome
// that cannot be written then is dropped, and the job run again.
func (r *Runner) record(kind Kind, e *execution, err error) {
	pause := 50 * time.Millisecond
	for start := time.Now(); ; pause = min(2*pause, time.Second) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), r.cfg.Lease/2)
		recordErr := r.db.Tx(ctx, func(tx *sqldb.Tx) error { return r.conclude(ctx, tx, kind, e, err) })
		cancel()
		if recordErr == nil || errors.Is(recordErr, ErrLost) {
			return
		}
		r.cfg.Logger.ErrorContext(e.ctx, "record job", "kind", kind.Name, "job", e.job.ID, "err", recordErr)
		r.mu.Lock()
		stopping := r.stopping
		r.mu.Unlock()
		if stopping || time.Since(start) > r.cfg.Lease {
			e.ended = AttemptLost
			return
		}
		time.Sleep(pause)
	}
}

// conclude decides what becomes of a job whose handler has returned.
func (r *Runner) conclude(ctx context.Context, tx *sqldb.Tx, kind Kind, e *execution, err error) error {
	j, now := e.job, r.cfg.Now()
	stored, readErr := read(ctx, tx, `id = ?`, j.ID)
	e.ended = AttemptLost
	if errors.Is(readErr, ErrNotFound) {
		return ErrLost
	}
	if readErr != nil {
		return readErr
	}
	if stored.State != Running || stored.claim != j.claim {
		e.ended = outcomeOf(stored, j)
		return ErrLost // canceled, completed by the handler, or taken over
	}
	var retry retryError
	var wait waitError
	var permanent permanentError
	isPermanent := errors.As(err, &permanent)
	switch {
	case err == nil:
		e.ended = AttemptDone
		return r.set(ctx, tx, j, Done, now, "")
	case errors.Is(err, Released), handedBack(e.ctx, err, isPermanent):
		e.ended = AttemptReleased
		return r.requeue(ctx, tx, j, j.Attempts-1, now, stored.LastError)
	case !isPermanent && errors.As(err, &wait):
		e.ended = AttemptRetried
		return r.requeue(ctx, tx, j, j.Attempts-1, now.Add(wait.delay), wait.err.Error())
	case isPermanent, j.LastAttempt():
		e.ended = AttemptFailed
		return r.fail(ctx, tx, kind, j, err)
	case errors.As(err, &retry):
		e.ended = AttemptRetried
		return r.requeue(ctx, tx, j, j.Attempts, now.Add(retry.delay), retry.err.Error())
	}
	e.ended = AttemptRetried
	return r.requeue(ctx, tx, j, j.Attempts, now.Add(r.backoff(j.Attempts)), err.Error())
}

// handedBack tells whether an error is only the echo of our stopping.
func handedBack(ctx context.Context, err error, permanent bool) bool {
	if !errors.Is(context.Cause(ctx), ErrStopping) {
		return false
	}
	return !permanent || errors.Is(err, context.Canceled) || errors.Is(err, ErrStopping)
}

// backoff is the wait after the n-th attempt: doubling, and between a half and
// the whole of it, so that jobs that failed together do not return together.
func (r *Runner) backoff(n int) time.Duration {
	d := r.cfg.MaxBackoff
	if shift := max(n-1, 0); shift < 30 && r.cfg.Backoff<<shift < d {
		d = r.cfg.Backoff << shift
	}
	return within(d)
}

// maxErrorLen bounds what is kept of an error, in bytes.
const maxErrorLen = 2000

func (r *Runner) set(ctx context.Context, tx *sqldb.Tx, j Job, state State, now time.Time, lastError string) error {
	_, err := tx.Exec(ctx, `UPDATE jobs SET state = ?, finished_at = ?, lease_until = NULL, last_error = ? WHERE id = ?`,
		string(state), now.UnixMicro(), clean(lastError), j.ID)
	return err
}

func (r *Runner) requeue(ctx context.Context, tx *sqldb.Tx, j Job, attempts int, at time.Time, lastError string) error {
	now := r.cfg.Now().UnixMicro() // see mend
	_, err := tx.Exec(ctx, `UPDATE jobs SET state = ?, attempts = ?, run_at = ?, lease_owner = '', lease_until = NULL,
		last_error = ?, heartbeat_at = ?, created_at = CASE WHEN created_at > ? THEN ? ELSE created_at END WHERE id = ?`,
		string(Queued), max(attempts, 0), at.UnixMicro(), clean(lastError), now, now, now, j.ID)
	tx.AfterCommit(r.signal)
	return err
}

func (r *Runner) fail(ctx context.Context, tx *sqldb.Tx, kind Kind, j Job, cause error) error {
	if err := r.set(ctx, tx, j, Failed, r.cfg.Now(), cause.Error()); err != nil {
		return err
	}
	if kind.Failed == nil {
		return nil
	}
	j.State, j.LastError = Failed, cause.Error()
	return kind.Failed(ctx, tx, j, cause)
}

// Complete makes a running job done as part of a transaction, so that it is
// done if and only if what else the transaction changes has happened. It
// returns [ErrLost] when the lease is not held any more, having been canceled
// or taken over: the transaction must then be given up. The handler returns nil
// afterwards.
func (r *Runner) Complete(ctx context.Context, tx *sqldb.Tx, j Job) error {
	if err := r.Check(ctx, tx, j); err != nil {
		return err
	}
	return wrap("complete job", r.set(ctx, tx, j, Done, r.cfg.Now(), ""))
}

// Check returns [ErrLost] unless the job is still leased to the handler that
// was given j. Within the transaction that stays true.
func (r *Runner) Check(ctx context.Context, tx *sqldb.Tx, j Job) error {
	stored, err := read(ctx, tx, `id = ?`, j.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrLost
	case err != nil:
		return fmt.Errorf("check job: %w", err)
	case stored.State != Running || stored.claim != j.claim:
		return ErrLost
	}
	return nil
}

// ReleaseOwned takes up the jobs that a dead process of this runner's owner was
// running and returns how many those were: they are queued or, after
// [Config.MaxDeaths], failed. Start does so by itself where [Config.Owner] is set.
func (r *Runner) ReleaseOwned(ctx context.Context) (n int, err error) {
	err = r.db.Tx(ctx, func(tx *sqldb.Tx) error {
		n = 0
		jobs, err := readAll(ctx, tx, `state = ? AND lease_owner = ? ORDER BY id`, string(Running), r.owner)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if r.runs(j.ID) {
				continue
			}
			if err := r.bury(ctx, tx, j); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, wrap("release jobs", err)
}

// runs tells whether a job runs here. Asked in a transaction it is exact, since
// a claim puts the job there before it commits.
func (r *Runner) runs(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running[id] != nil
}

// bury decides what becomes of a job whose worker died. The job of a kind that
// is not known here is queued in any case: who runs it will see to its end.
func (r *Runner) bury(ctx context.Context, tx *sqldb.Tx, j Job) error {
	j.Deaths++
	if _, err := tx.Exec(ctx, `UPDATE jobs SET deaths = ? WHERE id = ?`, j.Deaths, j.ID); err != nil {
		return err
	}
	tx.AfterCommit(func() { r.cfg.Observe.Died(j) })
	if kind, known := r.kinds[j.Kind]; known && j.Deaths >= r.cfg.MaxDeaths {
		return r.fail(ctx, tx, kind, j, fmt.Errorf("%w, for the %d. time", ErrDied, j.Deaths))
	}
	return r.requeue(ctx, tx, j, j.Attempts-1, r.cfg.Now().Add(afterDeath(j.Deaths)), ErrDied.Error())
}

// afterDeath is how long a job waits after a death: not at all after the first
// two, then longer, so that others have their turn before one that may be the
// cause; never so long that it is missed.
func afterDeath(deaths int) time.Duration {
	if deaths <= 2 {
		return 0
	}
	return min(time.Second<<min(deaths-3, 3), 5*time.Second)
}

// clean makes an error's text fit for the database: not too long, and without
// what PostgreSQL refuses, broken UTF-8 and NUL bytes.
func clean(text string) string {
	text = text[:min(len(text), maxErrorLen)]
	return strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
}
