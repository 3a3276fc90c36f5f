package service

import (
	"context"
	"errors"

	"throng"
	"throng/blob"
	"throng/engine"
	"throng/identifier"
	"throng/service/idlist"
	"throng/sqldb"
)

// recount brings the counts of a caller's uploads to the current generation:
// those of another one are matched anew, and what is found is kept. An upload
// whose lines are gone is being deleted and stays as it is; so does one whose
// lines are damaged, which a build with it tells. Unavailable where no generation
// is loaded, or where too many uploads are under way.
func (s *Service) recount(ctx context.Context, c *throng.Caller, uploads []sqldb.Upload) error {
	if len(uploads) == 0 {
		return nil
	}
	g, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer g.Release()
	var leave func()
	for i := range uploads {
		u := &uploads[i]
		if u.Generation == g.Info().ID {
			continue
		}
		if leave == nil {
			if leave, err = s.mayUpload(ctx, c); err != nil {
				return err
			}
			defer leave()
		}
		switch err := s.recountOne(ctx, g, u); {
		case errors.Is(err, blob.ErrDamaged):
			s.cfg.Logger.ErrorContext(ctx, "count upload anew", "upload", u.ID, "err", err)
		case err != nil && !errors.Is(err, blob.ErrNotFound):
			return err
		}
	}
	return nil
}

func (s *Service) recountOne(ctx context.Context, g engine.Generation, u *sqldb.Upload) error {
	_, matched, err := idlist.Match(ctx, s.cfg.Blobs, g, identifier.Type(u.Type), linesKey(u.BlobKey), u.Matched+u.Unmatched)
	if err != nil {
		return err
	}
	u.Matched, u.Unmatched = int64(matched), u.Matched+u.Unmatched-int64(matched)
	u.Generation = g.Info().ID
	// They are counted again where they cannot be kept, as on a full disk.
	if err := keepCounts(ctx, s.db.Queries, *u); err != nil && ctx.Err() == nil {
		s.cfg.Logger.WarnContext(ctx, "keep counts of upload", "err", err)
	}
	return nil
}

// keepCounts writes how many lines of an upload its generation knows, unless the
// upload was deleted meanwhile.
func keepCounts(ctx context.Context, q sqldb.Queries, u sqldb.Upload) error {
	err := q.UpdateUpload(ctx, u.ID, sqldb.UploadUpdate{Matched: &u.Matched, Unmatched: &u.Unmatched, Generation: &u.Generation})
	if errors.Is(err, sqldb.ErrNotFound) {
		return nil
	}
	return err
}
