package service

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"throng/job"
	"throng/service/leap"
	"throng/service/sweep"
	"throng/sqldb"
)

const (
	// jobSweep is the kind of the one job that sweeps, and its key.
	jobSweep = "sweep"
	// sweepEvery is how long after a sweep the next one is due, at most.
	sweepEvery = time.Hour
)

// StartSweeps makes sure that the job of the sweep waits or runs: one for all
// servers of the database, however many start.
func (s *Service) StartSweeps(ctx context.Context) error {
	err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		switch n, err := s.cfg.Jobs.OpenTx(ctx, tx, jobSweep, jobSweep); {
		case err != nil:
			return err
		case n > 0:
			return nil
		}
		return s.nextSweep(ctx, tx, s.now())
	})
	if err != nil {
		return fmt.Errorf("start sweeps: %w", err)
	}
	return nil
}

// nextSweep makes the job of the next sweep.
func (s *Service) nextSweep(ctx context.Context, tx *sqldb.Tx, at time.Time) error {
	_, err := s.cfg.Jobs.Enqueue(ctx, tx, job.Job{Kind: jobSweep, Key: jobSweep, RunAt: at, MaxAttempts: job.NoLimit})
	return err
}

// runSweep sweeps, and sees to the next one. What fails is tried again, later each
// time; how often does not matter. After a leap of the clock only what does not go
// by age is removed.
func (s *Service) runSweep(ctx context.Context, j job.Job) error {
	trusted, err := leap.Look(ctx, s.db, s.now(), s.cfg.Logger)
	switch {
	case err != nil:
	case trusted:
		err = s.Sweep(ctx)
	default:
		err = s.SweepGenerations(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.cfg.Logger.ErrorContext(ctx, "sweep", "err", err)
		}
		return err
	}
	return s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if err := s.cfg.Jobs.Complete(ctx, tx, j); err != nil {
			return err
		}
		return s.nextSweep(ctx, tx, s.now().Add(sweepEvery-rand.N(sweepEvery/8)))
	})
}

// sweepFailed is called where the process died with every attempt: the next sweep
// is due in its time all the same.
func (s *Service) sweepFailed(ctx context.Context, tx *sqldb.Tx, _ job.Job, cause error) error {
	s.cfg.Logger.ErrorContext(ctx, "sweep failed", "err", cause)
	return s.nextSweep(ctx, tx, s.now().Add(sweepEvery))
}

// SweepHere removes what this process alone can: copies of generations that nobody
// needs, and temporary files that processes left which died. Call it at the start
// and every hour.
func (s *Service) SweepHere(ctx context.Context) error {
	err := s.SweepGenerations(ctx)
	if t, trustErr := leap.Read(ctx, s.db); trustErr != nil || !t.Holds(s.now()) {
		return errors.Join(err, trustErr)
	}
	return errors.Join(err, sweep.Temp(s.cfg.TempDir, s.now().Add(-sweep.OrphanAge)))
}

// ClockSet is to be called when the clock was set, by much, while the process ran.
func (s *Service) ClockSet(ctx context.Context) error {
	_, err := leap.Look(ctx, s.db, s.now(), s.cfg.Logger)
	return err
}
