package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"throng"
	"throng/blob"
	"throng/engine"
	"throng/service/page"
	"throng/service/rowstore"
	"throng/sqldb"
)

// retryUnloaded is when to ask again where nothing has been loaded.
const retryUnloaded = 10 * time.Second

// orphanAge is how old a file that belongs to nothing must be: younger ones
// may belong to an upload that is being read. In a store that has to be swept it
// is how long a file may be read after it was deleted.
const orphanAge = 24 * time.Hour

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
		err = errors.Join(err, store.Sweep(ctx, now.Add(-orphanAge)))
	}
	if s.cfg.Sweep != nil {
		err = errors.Join(err, s.cfg.Sweep(ctx, now.Add(-orphanAge)))
	}
	all, listErr := s.cfg.Engine.Generations(ctx)
	if listErr != nil {
		return errors.Join(err, fmt.Errorf("list generations: %w", listErr))
	}
	return errors.Join(err, s.sweepOld(ctx), s.sweepAudiences(ctx, all), s.sweepUploads(ctx, all), s.sweepIncoming(ctx), s.sweepDeliveries(ctx), s.sweepInsights(ctx, all))
}

// SweepGenerations removes the generations that are neither current, nor used
// by a running build, nor among the last few or younger than these. Those that
// cannot be used are not counted among them.
func (s *Service) SweepGenerations(ctx context.Context) error {
	all, err := s.cfg.Engine.Generations(ctx)
	if err != nil {
		return fmt.Errorf("list generations: %w", err)
	}
	if len(all) <= s.cfg.KeepGenerations {
		return nil
	}
	used, err := s.db.RunningGenerations(ctx)
	if err != nil {
		return err
	}
	var errs []error
	usable := 0
	for _, info := range all { // newest first
		kept := usable < s.cfg.KeepGenerations
		if info.Err == nil {
			usable++
		}
		if kept || info.Current || slices.Contains(used, info.ID) {
			continue
		}
		if err := s.cfg.Engine.Remove(ctx, info.ID); err != nil && !errors.Is(err, engine.ErrNoGeneration) {
			errs = append(errs, fmt.Errorf("remove generation: %w", err))
		}
	}
	return errors.Join(errs...)
}

// sweepFiles removes the files below prefix that nobody needs. Their keys go on
// with the id of what they belong to; of finds what needed must know about it,
// once for each id.
func sweepFiles[T any](ctx context.Context, s *Service, prefix string, of func(id int64) (T, error), needed func(T, blob.Info) bool) error {
	known := map[int64]T{}
	for info, err := range s.cfg.Blobs.List(ctx, prefix) {
		if err != nil {
			return err
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "/")
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			continue // nothing of ours
		}
		owner, asked := known[id]
		if !asked {
			if owner, err = of(id); err != nil {
				return err
			}
			known[id] = owner
		}
		if needed(owner, info) {
			continue
		}
		if err := s.cfg.Blobs.Delete(ctx, info.Key); err != nil {
			return err
		}
	}
	return nil
}

// sweepAudiences removes files of deleted audiences, of attempts that died and
// of generations that are gone.
func (s *Service) sweepAudiences(ctx context.Context, all []engine.Info) error {
	old := s.now().Add(-orphanAge)
	of := func(id int64) (keptFiles, error) { return s.filesOf(ctx, id) }
	return sweepFiles(ctx, s, "audiences/", of, func(kept keptFiles, f blob.Info) bool {
		if kept.prefix != "" && strings.HasPrefix(f.Key, kept.prefix) {
			return !rowstore.Stale(f.Key, all)
		}
		return kept.young && f.ModTime.After(old)
	})
}

// keptFiles says which files an audience needs.
type keptFiles struct {
	prefix string // of their keys; "" is none
	// young files are kept, too, whatever their keys: other ones may be written
	// at any time.
	young bool
}

// filesOf tells which files an audience needs.
func (s *Service) filesOf(ctx context.Context, id int64) (keptFiles, error) {
	row, err := s.db.Audience(ctx, 0, id)
	if errors.Is(err, sqldb.ErrNotFound) {
		return keptFiles{}, nil
	}
	if err != nil {
		return keptFiles{}, err
	}
	d, err := readDetails(row)
	if err != nil {
		return keptFiles{}, err
	}
	if row.Status == sqldb.StatusRunning || d.Files == "" && row.Status == sqldb.StatusDone {
		return keptFiles{prefix: audiencePrefix(id)}, nil // a build may be writing
	}
	kept := keptFiles{young: row.Kind == string(throng.Device)}
	if d.Files != "" {
		kept.prefix = d.Files + "/"
	}
	return kept, nil
}

// sweepUploads removes old files of uploads that were never finished.
func (s *Service) sweepUploads(ctx context.Context, all []engine.Info) error {
	old := s.now().Add(-orphanAge)
	var candidates []string
	for info, err := range s.cfg.Blobs.List(ctx, "uploads/") {
		if err != nil {
			return err
		}
		switch {
		case rowstore.Stale(info.Key, all):
			if err := s.cfg.Blobs.Delete(ctx, info.Key); err != nil {
				return err
			}
		case info.ModTime.Before(old):
			candidates = append(candidates, info.Key)
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	used := map[string]bool{}
	for before := int64(0); ; {
		rows, more, err := s.db.ListUploads(ctx, sqldb.UploadFilter{BeforeID: before, Limit: page.Max})
		if err != nil {
			return err
		}
		for _, u := range rows {
			used[u.BlobKey] = true
			before = u.ID
		}
		if !more {
			break
		}
	}
	var errs []error
	for _, key := range candidates {
		if prefix := key[:strings.LastIndexByte(key, '/')]; !used[prefix] {
			errs = append(errs, s.cfg.Blobs.Delete(ctx, key))
		}
	}
	return errors.Join(errs...)
}

// sweepInsights removes the files of reports that are gone, and of attempts that
// died. Young ones may belong to an attempt that is under way.
func (s *Service) sweepInsights(ctx context.Context, all []engine.Info) error {
	old := s.now().Add(-orphanAge)
	of := func(id int64) (sqldb.Insight, error) { return orEmpty(s.db.Insight(ctx, id)) }
	return sweepFiles(ctx, s, "insights/", of, func(i sqldb.Insight, f blob.Info) bool {
		if i.BlobKey != "" && strings.HasPrefix(f.Key, reportPrefix(i.BlobKey)) {
			return !rowstore.Stale(f.Key, all)
		}
		return i.Status == sqldb.StatusRunning && f.ModTime.After(old)
	})
}

// sweepDeliveries removes the lists of deliveries that have ended.
func (s *Service) sweepDeliveries(ctx context.Context) error {
	of := func(id int64) (sqldb.Delivery, error) { return orEmpty(s.db.Delivery(ctx, 0, id)) }
	return sweepFiles(ctx, s, "deliveries/", of, func(d sqldb.Delivery, _ blob.Info) bool { return d.Status == sqldb.StatusRunning })
}

// orEmpty gives an empty row for one that is not there.
func orEmpty[T any](row T, err error) (T, error) {
	if errors.Is(err, sqldb.ErrNotFound) {
		return *new(T), nil
	}
	return row, err
}

// deleteFiles removes the blobs below a prefix but those below another.
func (s *Service) deleteFiles(ctx context.Context, prefix, but string) error {
	gone := func(key string) bool {
		return strings.HasPrefix(key, prefix) && (but == "" || !strings.HasPrefix(key, but))
	}
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
