package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"throng"
	"throng/blob"
	"throng/service/sweep"
)

// retryUnloaded is when to ask again where nothing has been loaded.
const retryUnloaded = 10 * time.Second

// Ready says why nothing can be counted; nil when it can. A damage that was
// found in the index counts: whatever touches it fails, until another
// generation is loaded.
func (s *Service) Ready(ctx context.Context) error {
	g, err := s.cfg.Engine.Acquire(ctx, "")
	if err != nil {
		return fmt.Errorf("hold generation: %w", err)
	}
	defer g.Release()
	return g.Info().Err
}

// Sweep removes what is no longer needed by anybody, or no longer to be kept:
// generations, answers, sessions, old audiences and files that belong to nothing.
// The job that StartSweeps begins calls it every hour, in one process of all.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.now()
	_, err := s.db.SweepAnswers(ctx, now.Add(-answerLife))
	err = errors.Join(err, s.db.SweepSessions(ctx, now), s.db.SweepOldSecrets(ctx, now), s.SweepGenerations(ctx))
	if store, ok := s.cfg.Blobs.(blob.Sweeper); ok {
		err = errors.Join(err, store.Sweep(ctx, now.Add(-sweep.OrphanAge)))
	}
	if s.cfg.Sweep != nil {
		err = errors.Join(err, s.cfg.Sweep(ctx, now.Add(-sweep.OrphanAge)))
	}
	all, listErr := s.cfg.Engine.Generations(ctx)
	if listErr != nil {
		return errors.Join(err, fmt.Errorf("list generations: %w", listErr))
	}
	return errors.Join(err, s.sweepOld(ctx), s.sweeper().Files(ctx, now.Add(-sweep.OrphanAge), now.Add(-incomingLife), all))
}

// SweepGenerations removes the generations that are neither current, nor used
// by a running build, nor among the last few or younger than these.
func (s *Service) SweepGenerations(ctx context.Context) error {
	return s.sweeper().Generations(ctx, s.cfg.KeepGenerations)
}

func (s *Service) sweeper() *sweep.Sweeper {
	return &sweep.Sweeper{DB: s.db, Engine: s.cfg.Engine, Blobs: s.cfg.Blobs}
}

// deleteFiles removes the blobs below a prefix but those below another.
func (s *Service) deleteFiles(ctx context.Context, prefix, but string) error {
	gone := func(key string) bool { return lies(key, prefix, but) }
	s.rows.Forget(func(below string) bool { return gone(below + "/") })
	s.reports.Forget(gone)
	var mu sync.Mutex
	var failures []error // guarded by mu
	deletions, ctx := errgroup.WithContext(ctx)
	deletions.SetLimit(deletionsAtOnce)
	for info, err := range s.cfg.Blobs.List(ctx, prefix) {
		if err != nil {
			return errors.Join(err, deletions.Wait())
		}
		if !gone(info.Key) {
			continue
		}
		deletions.Go(func() error {
			err := s.cfg.Blobs.Delete(ctx, info.Key)
			if throng.IsAway(err) {
				return err // as would be the others; the sweep finds them
			}
			mu.Lock()
			defer mu.Unlock()
			failures = append(failures, err)
			return nil
		})
	}
	err := deletions.Wait()
	return errors.Join(append(failures, err)...)
}

// deletionsAtOnce hides the way to a bucket, and leaves it room for others.
const deletionsAtOnce = 8

// lies tells whether a key is below a prefix and not below another, "" for none.
func lies(key, prefix, but string) bool {
	return strings.HasPrefix(key, prefix) && (but == "" || !strings.HasPrefix(key, but))
}
