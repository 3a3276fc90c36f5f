package service

import (
	"context"
	"errors"

	"throng"
	"throng/blob"
	"throng/engine"
	"throng/identifier"
	"throng/query"
	"throng/service/export"
	"throng/service/idlist"
	"throng/sqldb"
)

// uploadRows finds who owns any identifier of an upload on a generation. What
// was found before is kept beside the upload's lines, for the last generation
// that asked.
func (s *Service) uploadRows(ctx context.Context, g engine.Generation, u sqldb.Upload) (query.RowSet, error) {
	return s.rows(ctx, g, u.BlobKey, func() (query.RowSet, error) {
		return s.matchLines(ctx, g, identifier.Type(u.Type), linesKey(u.BlobKey), u.Matched+u.Unmatched)
	})
}

// finished tells whether an audience has members. A list of devices has, once
// it was read, also while other files are read in their place.
func finished(a sqldb.Audience) bool {
	if a.Kind == string(throng.Device) {
		_, err := usedPrefix(a)
		return err == nil
	}
	return a.Status == sqldb.StatusDone
}

// memberRows finds the members of a finished audience on a generation, and how
// many of them are gone. Those of a list of devices are whoever owns any.
func (s *Service) memberRows(ctx context.Context, g engine.Generation, a sqldb.Audience) (rows query.RowSet, gone uint64, err error) {
	if a.Kind == string(throng.Device) {
		rows, err = s.deviceOwners(ctx, g, a)
		return rows, 0, err
	}
	d, err := readDetails(a)
	if err != nil {
		return nil, 0, err
	}
	if a.Size == nil {
		return nil, 0, nil
	}
	rows, err = s.rows(ctx, g, d.Files, func() (query.RowSet, error) {
		return s.matchLines(ctx, g, identifier.SSID, export.TextKey(d.Files, identifier.SSID), *a.Size)
	})
	if err != nil {
		return nil, 0, err
	}
	return rows, uint64(*a.Size) - rows.Len(), nil
}

// rowsPrefix begins the names of kept sets of rows; a generation's id follows.
const rowsPrefix = "rows-"

func rowsKey(prefix, generation string) string { return prefix + "/" + rowsPrefix + generation }

// rows gives the set kept under a prefix for a generation, from memory where it
// was used a short time ago, or finds and keeps it. A kept set that cannot be
// read is found anew.
func (s *Service) rows(ctx context.Context, g engine.Generation, prefix string, find func() (query.RowSet, error)) (query.RowSet, error) {
	info := g.Info()
	cacheKey := newRowCacheKey(prefix, info)
	if rows, ok := s.kept.Get(cacheKey); ok {
		return rows, nil
	}
	rows, err := s.readOrFind(ctx, g, rowsKey(prefix, info.ID), find)
	if err != nil {
		return nil, err
	}
	s.kept.putRows(cacheKey, rows, info.People)
	return rows, nil
}

func (s *Service) readOrFind(ctx context.Context, g engine.Generation, key string, find func() (query.RowSet, error)) (query.RowSet, error) {
	rows, err := s.readRows(ctx, g, key)
	if err == nil {
		return rows, nil
	}
	if !errors.Is(err, blob.ErrNotFound) {
		s.cfg.Logger.WarnContext(ctx, "read kept rows", "key", key, "err", err)
	}
	if rows, err = find(); err != nil {
		return nil, err
	}
	// They are found again where they cannot be kept, as on a full disk.
	if err := s.writeRows(ctx, g, key, rows); err != nil && ctx.Err() == nil {
		s.cfg.Logger.WarnContext(ctx, "keep rows", "key", key, "err", err)
	}
	return rows, nil
}

func (s *Service) readRows(ctx context.Context, g engine.Generation, key string) (query.RowSet, error) {
	r, err := s.cfg.Blobs.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return g.ReadRows(r)
}

func (s *Service) writeRows(ctx context.Context, g engine.Generation, key string, rows query.RowSet) error {
	w, err := s.cfg.Blobs.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	if err := g.WriteRows(w, rows); err != nil {
		return err
	}
	return w.Commit()
}

// matchLines matches the lines of a blob, of which so many were written.
func (s *Service) matchLines(ctx context.Context, g engine.Generation, t identifier.Type, key string, written int64) (query.RowSet, error) {
	rows, _, err := idlist.Match(ctx, s.cfg.Blobs, g, t, key, written)
	return rows, err
}
