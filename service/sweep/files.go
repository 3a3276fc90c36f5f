package sweep

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"throng"
	"throng/blob"
	"throng/engine"
	"throng/service/record"
	"throng/service/rowstore"
	"throng/sqldb"
)

// each removes the files below prefix that nobody needs. Their keys go on
// with the id of what they belong to; of finds what needed must know about it,
// once for each id.
func each[T any](ctx context.Context, s *Sweeper, prefix string, of func(id int64) (T, error), needed func(T, blob.Info) bool) error {
	known := map[int64]T{}
	for info, err := range s.Blobs.List(ctx, prefix) {
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
		if err := s.Blobs.Delete(ctx, info.Key); err != nil {
			return err
		}
	}
	return nil
}

// audiences removes files of deleted audiences, of attempts that died and
// of generations that are gone.
func (s *Sweeper) audiences(ctx context.Context, old time.Time, all []engine.Info) error {
	of := func(id int64) (keptFiles, error) { return s.filesOf(ctx, id) }
	return each(ctx, s, "audiences/", of, func(kept keptFiles, f blob.Info) bool {
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
func (s *Sweeper) filesOf(ctx context.Context, id int64) (keptFiles, error) {
	row, err := s.DB.Audience(ctx, 0, id)
	if errors.Is(err, sqldb.ErrNotFound) {
		return keptFiles{}, nil
	}
	if err != nil {
		return keptFiles{}, err
	}
	d, err := record.Read(row)
	if err != nil {
		return keptFiles{}, err
	}
	if row.Status == sqldb.StatusRunning || d.Files == "" && row.Status == sqldb.StatusDone {
		return keptFiles{prefix: record.AudiencePrefix(id)}, nil // a build may be writing
	}
	kept := keptFiles{young: row.Kind == string(throng.Device)}
	if d.Files != "" {
		kept.prefix = d.Files + "/"
	}
	return kept, nil
}

// uploadsAtOnce is how many uploads are read at once.
const uploadsAtOnce = 500

// uploads removes old files of uploads that were never finished.
func (s *Sweeper) uploads(ctx context.Context, old time.Time, all []engine.Info) error {
	var candidates []string
	for info, err := range s.Blobs.List(ctx, "uploads/") {
		if err != nil {
			return err
		}
		switch {
		case rowstore.Stale(info.Key, all):
			if err := s.Blobs.Delete(ctx, info.Key); err != nil {
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
		rows, more, err := s.DB.ListUploads(ctx, sqldb.UploadFilter{BeforeID: before, Limit: uploadsAtOnce})
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
			errs = append(errs, s.Blobs.Delete(ctx, key))
		}
	}
	return errors.Join(errs...)
}

// insights removes the files of reports that are gone, and of attempts that
// died. Young ones may belong to an attempt that is under way.
func (s *Sweeper) insights(ctx context.Context, old time.Time, all []engine.Info) error {
	of := func(id int64) (sqldb.Insight, error) { return orEmpty(s.DB.Insight(ctx, id)) }
	return each(ctx, s, "insights/", of, func(i sqldb.Insight, f blob.Info) bool {
		if i.BlobKey != "" && strings.HasPrefix(f.Key, record.ReportPrefix(i.BlobKey)) {
			return !rowstore.Stale(f.Key, all)
		}
		return i.Status == sqldb.StatusRunning && f.ModTime.After(old)
	})
}

// deliveries removes the lists of deliveries that have ended.
func (s *Sweeper) deliveries(ctx context.Context) error {
	of := func(id int64) (sqldb.Delivery, error) { return orEmpty(s.DB.Delivery(ctx, 0, id)) }
	return each(ctx, s, "deliveries/", of, func(d sqldb.Delivery, _ blob.Info) bool { return d.Status == sqldb.StatusRunning })
}

// orEmpty gives an empty row for one that is not there.
func orEmpty[T any](row T, err error) (T, error) {
	if errors.Is(err, sqldb.ErrNotFound) {
		return *new(T), nil
	}
	return row, err
}

// incoming removes addresses that nobody used for long, with their files,
// and files that belong to none.
func (s *Sweeper) incoming(ctx context.Context, old time.Time) error {
	gone, err := s.DB.SweepIncoming(ctx, old)
	errs := []error{err}
	for _, row := range gone {
		errs = append(errs, s.Blobs.Delete(ctx, record.IncomingPrefix+row.Slot))
		if row.BlobKey != "" {
			errs = append(errs, s.Blobs.Delete(ctx, row.BlobKey))
		}
	}
	var orphans []string
	for _, prefix := range []string{record.IncomingPrefix, record.ReceivedPrefix} {
		for info, err := range s.Blobs.List(ctx, prefix) {
			if err != nil {
				return errors.Join(append(errs, err)...)
			}
			if info.ModTime.Before(old) {
				orphans = append(orphans, info.Key)
			}
		}
	}
	if len(orphans) == 0 {
		return errors.Join(errs...)
	}
	keys, slots, err := s.DB.IncomingKeys(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, key := range orphans {
		slot, ok := strings.CutPrefix(key, record.IncomingPrefix)
		if used := keys[key] || ok && slots[slot]; !used {
			errs = append(errs, s.Blobs.Delete(ctx, key))
		}
	}
	return errors.Join(errs...)
}
