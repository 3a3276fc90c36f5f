package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"throng/sqldb"
)

// fetch claims and starts jobs until no worker is free or none is due.
func (r *Runner) fetch(ctx context.Context) error {
	due, err := r.due(ctx)
	if err != nil {
		return fmt.Errorf("look for due jobs: %w", err)
	}
	for _, name := range due {
		kind := r.kinds[name]
		for r.free(kind) {
			claimed, err := r.claim(ctx, kind)
			if err != nil {
				return fmt.Errorf("claim job: %w", err)
			}
			if !claimed {
				break
			}
		}
	}
	return nil
}

// due lists the kinds of which a job is due and a worker is free, in the order of
// registration. It is one question for all of them, since most looks find
// nothing and the database may be far away.
func (r *Runner) due(ctx context.Context) (names []string, err error) {
	var parts []string
	var args []any
	now := r.cfg.Now().UnixMicro()
	for i, name := range r.names {
		if r.free(r.kinds[name]) {
			parts = append(parts, fmt.Sprintf(`SELECT %d AS n WHERE EXISTS (SELECT 1 FROM jobs WHERE state = 'queued' AND kind = ? AND run_at <= ?)`, i))
			args = append(args, name, now)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	err = r.db.View(ctx, func(q sqldb.Reader) error {
		rows, err := q.Query(ctx, strings.Join(parts, " UNION ALL ")+" ORDER BY n", args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				return err
			}
			names = append(names, r.names[n])
		}
		return rows.Err()
	})
	return names, err
}

func (r *Runner) free(kind Kind) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	busy := 0
	for _, e := range r.running {
		if e.job.Kind == kind.Name {
			busy++
		}
	}
	return !r.stopping && busy < kind.Workers
}

// nextJob finds the job of a kind whose turn it is; see the package's words on
// fairness. Of the jobs that wait, which may be many, it reads an index only, and
// compares one of each group, priority and limit with the others.
const nextJob = `
	WITH busy AS (SELECT group_key, COUNT(*) AS n FROM jobs WHERE state = 'running' AND kind = ? GROUP BY group_key),
	due AS (SELECT group_key, priority, concurrency, MIN(id) AS id FROM jobs
		WHERE state = 'queued' AND kind = ? AND run_at <= ? GROUP BY group_key, priority, concurrency)
	SELECT d.id FROM due d
	LEFT JOIN busy b ON b.group_key = d.group_key
	LEFT JOIN job_groups g ON g.kind = ? AND g.group_key = d.group_key
	WHERE d.concurrency = 0 OR COALESCE(b.n, 0) < d.concurrency
	ORDER BY d.priority DESC, COALESCE(b.n, 0), COALESCE(g.served, 0), d.id LIMIT 1`

func (r *Runner) next(ctx context.Context, q querier, kind string) (id int64, found bool, err error) {
	err = q.QueryRow(ctx, nextJob, kind, kind, r.cfg.Now().UnixMicro(), kind).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return id, err == nil, err
}

// claim leases the next job of a kind and starts it; false when there is none.
// Write transactions run one at a time, so two runners never claim one job.
func (r *Runner) claim(ctx context.Context, kind Kind) (bool, error) {
	var found bool
	err := r.db.View(ctx, func(q sqldb.Reader) (err error) { // asking costs no write
		_, found, err = r.next(ctx, q, kind.Name)
		return err
	})
	if err != nil || !found {
		return false, err
	}
	var e *execution
	err = r.db.Tx(ctx, func(tx *sqldb.Tx) error {
		id, found, err := r.next(ctx, tx, kind.Name)
		if err != nil || !found {
			return err
		}
		j, err := r.lease(ctx, tx, id)
		if err != nil {
			return err
		}
		e = r.admit(ctx, j) // before the commit: a Cancel that follows it finds the job here
		return nil
	})
	if err != nil {
		if e != nil {
			r.dismiss(e)
			r.executing.Done()
		}
		return false, err
	}
	if e == nil {
		return false, nil
	}
	go func() {
		defer r.executing.Done()
		r.execute(kind, e)
	}()
	return true, nil
}

// lease marks a job as running here.
func (r *Runner) lease(ctx context.Context, tx *sqldb.Tx, id int64) (Job, error) {
	now := r.cfg.Now()
	until := now.Add(r.cfg.Lease)
	if _, err := tx.Exec(ctx, `UPDATE jobs SET state = ?, attempts = attempts + 1, claim = claim + 1, lease_owner = ?,
		lease_until = ?, heartbeat_at = ? WHERE id = ?`,
		string(Running), r.owner, until.UnixMicro(), now.UnixMicro(), id); err != nil {
		return Job{}, err
	}
	j, err := read(ctx, tx, `id = ?`, id)
	if err != nil {
		return Job{}, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO job_groups (kind, group_key, served)
		VALUES (?, ?, (SELECT COALESCE(MAX(served), 0) + 1 FROM job_groups WHERE kind = ?))
		ON CONFLICT (kind, group_key) DO UPDATE SET served = excluded.served`, j.Kind, j.Group, j.Kind)
	return j, err
}

func (r *Runner) admit(ctx context.Context, j Job) *execution {
	e := &execution{job: j, lease: r.cfg.Elapsed() + r.cfg.Lease}
	e.ctx, e.cancel = context.WithCancelCause(context.WithoutCancel(ctx)) // Stop ends it, with its own cause
	r.executing.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[j.ID] = e
	return e
}

// dismiss forgets an execution and frees its worker.
func (r *Runner) dismiss(e *execution) {
	r.mu.Lock()
	if r.running[e.job.ID] == e {
		delete(r.running, e.job.ID)
	}
	r.mu.Unlock()
	e.cancel(nil)
}

// beat renews the leases of what runs here, and ends what is no longer ours: it
// was canceled, or another took it over, or no heartbeat came through for so
// long that another may have.
func (r *Runner) beat(ctx context.Context) error {
	r.mu.Lock()
	held := make([]*execution, 0, len(r.running))
	for _, e := range r.running {
		held = append(held, e)
	}
	r.mu.Unlock()
	if len(held) == 0 {
		return nil
	}
	now, ends := r.cfg.Now(), r.cfg.Elapsed()+r.cfg.Lease
	until := now.Add(r.cfg.Lease)
	lost := make(map[*execution]error)
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Lease/2)
	defer cancel()
	err := r.db.Tx(ctx, func(tx *sqldb.Tx) error {
		clear(lost)
		for _, e := range held {
			cause, err := renew(ctx, tx, e.job, now, until)
			if err != nil {
				return err
			}
			if cause != nil {
				lost[e] = cause
			}
		}
		return nil
	})
	if err != nil {
		r.endExpired(held)
		return fmt.Errorf("renew leases: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range held {
		if cause := lost[e]; cause != nil {
			e.cancel(cause)
		} else {
			e.lease = ends
		}
	}
	return nil
}

// renew extends one lease, or returns why it is not held any more.
func renew(ctx context.Context, tx *sqldb.Tx, j Job, now, until time.Time) (cause, err error) {
	stored, err := read(ctx, tx, `id = ?`, j.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrLost, nil
	case err != nil:
		return nil, err
	case stored.State == Canceled:
		return ErrCanceled, nil
	case stored.claim != j.claim:
		return ErrLost, nil
	case stored.State != Running:
		return nil, nil // ended by its own handler, which may still tidy up
	}
	_, err = tx.Exec(ctx, `UPDATE jobs SET lease_until = ?, heartbeat_at = ? WHERE id = ?`,
		until.UnixMicro(), now.UnixMicro(), j.ID)
	return nil, err
}

// endExpired ends the executions whose leases have run out.
func (r *Runner) endExpired(held []*execution) {
	now := r.cfg.Elapsed()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range held {
		if now >= e.lease {
			e.cancel(ErrLost)
		}
	}
}
