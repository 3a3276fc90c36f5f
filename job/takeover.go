package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"throng/sqldb"
)

// sign is a sign of life that was seen of a job. Whoever waits for the next one
// counts the time by its own Elapsed: what clocks say, here or there, and what is
// done to them meanwhile, makes nobody dead.
type sign struct {
	claim int64
	beat  time.Time     // as its worker wrote it
	at    time.Duration // when it was given, of our Elapsed
}

// takeOver queues the jobs whose leases have run out, each in a transaction of
// its own, so that one whose Failed hook errs does not hold up the others.
func (r *Runner) takeOver(ctx context.Context) error {
	var held []Job
	err := r.db.View(ctx, func(q sqldb.Reader) (err error) {
		held, err = readAll(ctx, q, `state = ?`, string(Running))
		return err
	})
	if err != nil {
		return fmt.Errorf("take over jobs: %w", err)
	}
	var errs []error
	for _, seen := range r.silent(held) {
		errs = append(errs, r.db.Tx(ctx, func(tx *sqldb.Tx) error {
			j, err := read(ctx, tx, `id = ?`, seen.ID)
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			if err != nil || j.State != Running || j.claim != seen.claim || !j.HeartbeatAt.Equal(seen.HeartbeatAt) {
				return err // another was quicker, or its worker lives after all
			}
			return r.bury(ctx, tx, j)
		}))
	}
	return wrap("take over jobs", errors.Join(errs...))
}

// silent gives those of the jobs that run of which there was no sign of life for
// as long as a lease.
func (r *Runner) silent(held []Job) (dead []Job) {
	now := r.cfg.Elapsed()
	// A sign that is new here was given since the last look. The clocks tell when,
	// where they agree.
	most := min(now-r.lookedAt, r.cfg.Heartbeat)
	signs := make(map[int64]sign, len(held))
	for _, j := range held {
		s, known := r.signs[j.ID]
		if !known || s.claim != j.claim || !s.beat.Equal(j.HeartbeatAt) {
			age := min(max(r.cfg.Now().Sub(j.HeartbeatAt), 0), most)
			s = sign{claim: j.claim, beat: j.HeartbeatAt, at: now - age}
		}
		signs[j.ID] = s
		if now-s.at >= r.cfg.Lease {
			dead = append(dead, j)
		}
	}
	r.signs, r.lookedAt = signs, now
	return dead
}

// mend sees to the jobs that wait and were added, or handed back, by a clock that
// has been set back since, or that was ahead of ours: left alone they would wait
// until ours is there. They keep the time that they had to wait. What differs by
// less than a lease is left.
func (r *Runner) mend(ctx context.Context) error {
	now := r.cfg.Now()
	const ahead = `state = ? AND run_at > ? AND COALESCE(heartbeat_at, created_at) > ?`
	least := now.Add(r.cfg.Lease).UnixMicro()
	var found []Job
	err := r.db.View(ctx, func(q sqldb.Reader) (err error) {
		found, err = readAll(ctx, q, ahead, string(Queued), least, least)
		return err
	})
	if err != nil || len(found) == 0 {
		return wrap("mend jobs", err)
	}
	err = r.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if found, err = readAll(ctx, tx, ahead, string(Queued), least, least); err != nil {
			return err
		}
		for _, j := range found {
			written := j.CreatedAt
			if !j.HeartbeatAt.IsZero() {
				written = j.HeartbeatAt
			}
			at := now.Add(max(j.RunAt.Sub(written), 0))
			if _, err := tx.Exec(ctx, `UPDATE jobs SET run_at = ?, heartbeat_at = ?, created_at = ? WHERE id = ?`,
				at.UnixMicro(), now.UnixMicro(), min(j.CreatedAt.UnixMicro(), now.UnixMicro()), j.ID); err != nil {
				return err
			}
		}
		tx.AfterCommit(r.signal)
		return nil
	})
	if err != nil {
		return fmt.Errorf("mend jobs: %w", err)
	}
	r.cfg.Logger.WarnContext(ctx, "jobs were queued by a clock that was ahead: the clock was set back, or that of another server differs; "+
		"they keep the time that they had to wait", "jobs", len(found))
	return nil
}
