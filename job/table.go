package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"throng/sqldb"
)

// querier is a transaction or a reader.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

const columns = `id, kind, key, owner_ref, payload, priority, group_key, concurrency, state, run_at, attempts,
	deaths, max_attempts, claim, lease_until, heartbeat_at, created_at, finished_at, last_error, trace`

func scan(row interface{ Scan(...any) error }) (Job, error) {
	var (
		j                            Job
		state, payload               string
		runAt, createdAt             int64
		leaseUntil, beat, finishedAt sql.NullInt64
	)
	err := row.Scan(&j.ID, &j.Kind, &j.Key, &j.OwnerRef, &payload, &j.Priority, &j.Group, &j.Concurrency, &state, &runAt,
		&j.Attempts, &j.Deaths, &j.MaxAttempts, &j.claim, &leaseUntil, &beat, &createdAt, &finishedAt, &j.LastError, &j.Trace)
	j.State = State(state)
	if payload != "" {
		j.Payload = []byte(payload)
	}
	j.RunAt, j.CreatedAt = time.UnixMicro(runAt).UTC(), time.UnixMicro(createdAt).UTC()
	j.leaseUntil, j.HeartbeatAt, j.FinishedAt = instant(leaseUntil), instant(beat), instant(finishedAt)
	return j, err
}

func instant(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}

func read(ctx context.Context, q querier, condition string, args ...any) (Job, error) {
	j, err := scan(q.QueryRow(ctx, `SELECT `+columns+` FROM jobs WHERE `+condition, args...))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return j, err
}

func readAll(ctx context.Context, q querier, condition string, args ...any) ([]Job, error) {
	rows, err := q.Query(ctx, `SELECT `+columns+` FROM jobs WHERE `+condition, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Job
	for rows.Next() {
		j, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, j)
	}
	return all, rows.Err()
}

// Enqueue adds a job in the caller's transaction and returns its id. Once that
// commits, the runner of this process looks for work at once, others within
// their Poll.
func (r *Runner) Enqueue(ctx context.Context, tx *sqldb.Tx, j Job) (id int64, err error) {
	if j.Kind == "" || j.Concurrency < 0 || j.MaxAttempts < NoLimit {
		return 0, fmt.Errorf("enqueue job: kind %q, concurrency %d, max attempts %d", j.Kind, j.Concurrency, j.MaxAttempts)
	}
	if j.MaxAttempts == 0 {
		j.MaxAttempts = DefaultMaxAttempts
	}
	if j.Trace == "" {
		j.Trace = r.cfg.Observe.Carry(ctx)
	}
	now := r.cfg.Now()
	if j.RunAt.IsZero() {
		j.RunAt = now
	}
	err = tx.QueryRow(ctx, `INSERT INTO jobs (kind, key, owner_ref, payload, priority, group_key, concurrency, state, run_at,
		attempts, deaths, max_attempts, claim, lease_owner, created_at, last_error, trace)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, 0, '', ?, '', ?) RETURNING id`,
		j.Kind, j.Key, j.OwnerRef, string(j.Payload), j.Priority, j.Group, j.Concurrency, string(Queued),
		j.RunAt.UnixMicro(), j.MaxAttempts, now.UnixMicro(), clean(j.Trace)).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("enqueue job: %w", err)
	}
	tx.AfterCommit(r.signal)
	return id, nil
}

// Waiting returns how many jobs of a kind and group wait for their turn.
func (r *Runner) Waiting(ctx context.Context, tx *sqldb.Tx, kind, group string) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM jobs WHERE state = 'queued' AND kind = ? AND group_key = ?`, kind, group).Scan(&n)
	return n, wrap("count waiting jobs", err)
}

// Get returns a job, or [ErrNotFound].
func (r *Runner) Get(ctx context.Context, id int64) (j Job, err error) {
	err = r.db.View(ctx, func(q sqldb.Reader) error {
		j, err = read(ctx, q, `id = ?`, id)
		return err
	})
	return j, wrap("read job", err)
}

// Find returns the newest job of a kind and key, or [ErrNotFound].
func (r *Runner) Find(ctx context.Context, kind, key string) (j Job, err error) {
	err = r.db.View(ctx, func(q sqldb.Reader) error {
		j, err = read(ctx, q, `kind = ? AND key = ? ORDER BY id DESC LIMIT 1`, kind, key)
		return err
	})
	return j, wrap("read job", err)
}

// OpenTx counts the jobs of a kind and key that are queued or running.
func (r *Runner) OpenTx(ctx context.Context, tx *sqldb.Tx, kind, key string) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM jobs WHERE kind = ? AND key = ? AND state IN (?, ?)`,
		kind, key, string(Queued), string(Running)).Scan(&n)
	return n, wrap("count jobs", err)
}

// Cancel cancels the jobs of a kind and key that are queued or running, and
// returns how many those were. One that runs in this process has its context
// ended at once, one elsewhere within a heartbeat; from here on no result of
// either counts. Failed hooks are not called.
func (r *Runner) Cancel(ctx context.Context, kind, key string) (n int, err error) {
	err = r.db.Tx(ctx, func(tx *sqldb.Tx) error {
		n, err = r.CancelTx(ctx, tx, kind, key)
		return err
	})
	return n, err
}

// CancelTx is Cancel as part of a transaction; it takes effect at its commit.
func (r *Runner) CancelTx(ctx context.Context, tx *sqldb.Tx, kind, key string) (int, error) {
	jobs, err := readAll(ctx, tx, `kind = ? AND key = ? AND state IN (?, ?)`, kind, key, string(Queued), string(Running))
	if err != nil {
		return 0, fmt.Errorf("cancel job: %w", err)
	}
	ids := make([]int64, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
		if _, err := tx.Exec(ctx, `UPDATE jobs SET state = ?, finished_at = ?, lease_until = NULL WHERE id = ?`,
			string(Canceled), r.cfg.Now().UnixMicro(), j.ID); err != nil {
			return 0, fmt.Errorf("cancel job: %w", err)
		}
	}
	tx.AfterCommit(func() {
		r.end(ids, ErrCanceled)
		r.signal()
	})
	return len(ids), nil
}

// Prune removes the jobs that ended before an instant and returns how many.
// A started runner does so by itself; see [Config.Keep].
func (r *Runner) Prune(ctx context.Context, before time.Time) (n int64, err error) {
	err = r.db.Tx(ctx, func(tx *sqldb.Tx) error {
		result, err := tx.Exec(ctx, `DELETE FROM jobs WHERE finished_at < ?`, before.UnixMicro())
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	return n, wrap("prune jobs", err)
}

// Stat is how many jobs of a kind are in a state.
type Stat struct {
	Kind  string
	State State
	N     int64
}

// Stats counts the jobs in the table, for metrics, by kind and state.
func (r *Runner) Stats(ctx context.Context) (all []Stat, err error) {
	err = r.db.View(ctx, func(q sqldb.Reader) error {
		rows, err := q.Query(ctx, `SELECT kind, state, COUNT(*) FROM jobs GROUP BY kind, state ORDER BY kind, state`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s Stat
			var state string
			if err := rows.Scan(&s.Kind, &state, &s.N); err != nil {
				return err
			}
			s.State = State(state)
			all = append(all, s)
		}
		return rows.Err()
	})
	return all, wrap("count jobs", err)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
