package service

import (
	"context"

	"throng"
	"throng/engine"
	"throng/identifier"
	"throng/query"
	"throng/service/export"
	"throng/service/idlist"
	"throng/service/record"
	"throng/sqldb"
)

// uploadRows finds who owns any identifier of an upload on a generation. What
// was found before is kept beside the upload's lines, for the last generation
// that asked.
func (s *Service) uploadRows(ctx context.Context, g engine.Generation, u sqldb.Upload) (query.RowSet, error) {
	return s.rows.Find(ctx, g, u.BlobKey, func() (query.RowSet, error) {
		return s.matchLines(ctx, g, identifier.Type(u.Type), linesKey(u.BlobKey), u.Matched+u.Unmatched)
	})
}

// memberRows finds the members of a finished audience on a generation, and how
// many of them are gone. Those of a list of devices are whoever owns any.
func (s *Service) memberRows(ctx context.Context, g engine.Generation, a sqldb.Audience) (rows query.RowSet, gone uint64, err error) {
	if a.Kind == string(throng.Device) {
		rows, err = s.deviceOwners(ctx, g, a)
		return rows, 0, err
	}
	d, err := record.Read(a)
	if err != nil {
		return nil, 0, err
	}
	if a.Size == nil {
		return nil, 0, nil
	}
	rows, err = s.rows.Find(ctx, g, d.Files, func() (query.RowSet, error) {
		return s.matchLines(ctx, g, identifier.SSID, export.TextKey(d.Files, identifier.SSID), *a.Size)
	})
	if err != nil {
		return nil, 0, err
	}
	return rows, uint64(*a.Size) - rows.Len(), nil
}

// matchLines matches the lines of a blob, of which so many were written.
func (s *Service) matchLines(ctx context.Context, g engine.Generation, t identifier.Type, key string, written int64) (query.RowSet, error) {
	rows, _, err := idlist.Match(ctx, s.cfg.Blobs, g, t, key, written)
	return rows, err
}
