package service

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"throng"
	"throng/service/page"
	"throng/service/record"
	"throng/service/sweep"
	"throng/sqldb"
)

// eraseAtOnce is how many ids are read at once of what is to be erased.
const eraseAtOnce = 200

// each calls erase for the ids that list gives, page by page, until there are no
// more. What cannot be erased is left, for the next time, and does not keep the
// rest.
func each(ctx context.Context, list func(after int64, limit int) ([]int64, error), erase func(id int64) error) error {
	var errs []error
	for after := int64(0); ; {
		ids, err := list(after, eraseAtOnce)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		for _, id := range ids {
			if ctx.Err() != nil {
				return errors.Join(append(errs, context.Cause(ctx))...)
			}
			if err := erase(id); err != nil {
				errs = append(errs, err)
			}
			after = id
		}
		if len(ids) < eraseAtOnce {
			return errors.Join(errs...)
		}
	}
}

// sweepOld erases what was deleted a day ago, and what has been kept for longer
// than it is to be: audiences, and uploads that none of those that are left uses.
func (s *Service) sweepOld(ctx context.Context) error {
	err := each(ctx, func(after int64, limit int) ([]int64, error) {
		return s.db.DeletedAudiences(ctx, s.now().Add(-sweep.OrphanAge), after, limit)
	}, func(id int64) error {
		if err := s.db.EraseAudience(ctx, id); err != nil {
			return err
		}
		s.dropFiles(ctx, id)
		return nil
	})
	if s.cfg.KeepAudiences <= 0 {
		return err
	}
	before := s.now().Add(-s.cfg.KeepAudiences)
	return errors.Join(err,
		each(ctx, func(after int64, limit int) ([]int64, error) {
			return s.db.EndedAudiences(ctx, before, after, limit)
		}, func(id int64) error { return s.expireAudience(ctx, id, before) }),
		each(ctx, func(after int64, limit int) ([]int64, error) {
			return s.db.UnusedUploads(ctx, before, after, limit)
		}, func(id int64) error { return s.expireUpload(ctx, id, before) }),
	)
}

// expireAudience erases an audience that is too old, unless something uses it.
func (s *Service) expireAudience(ctx context.Context, id int64, before time.Time) error {
	gone := false
	err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		row, err := tx.Audience(ctx, 0, id)
		if errors.Is(err, sqldb.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		pending, err := tx.HasPendingCallback(ctx, id)
		if err != nil || pending || row.Status == sqldb.StatusRunning || !row.UpdatedAt.Before(before) {
			return err // it is not what it was when it was found
		}
		if err := errors.Join(notDelivered(ctx, tx, id), s.remove(ctx, tx, row)); err != nil {
			return err
		}
		gone = true
		return tx.EraseAudience(ctx, id)
	})
	if throng.CodeOf(err) == throng.Conflict && err != nil {
		return nil // used; it goes when it no longer is
	}
	if err != nil || !gone {
		return err
	}
	s.dropFiles(ctx, id)
	s.cfg.Logger.InfoContext(ctx, "audience erased", "audience", id, "reason", "older than it is to be kept")
	return nil
}

// expireUpload erases an upload that is too old, unless something uses it.
func (s *Service) expireUpload(ctx context.Context, id int64, before time.Time) error {
	var row sqldb.Upload
	err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		unused, err := tx.UnusedUploads(ctx, before, id-1, 1)
		if err != nil || len(unused) == 0 || unused[0] != id {
			return err
		}
		if row, err = tx.Upload(ctx, id); err != nil {
			return err
		}
		return tx.DeleteUpload(ctx, id)
	})
	if err != nil || row.ID == 0 {
		return err
	}
	s.cfg.Logger.InfoContext(ctx, "upload erased", "upload", id, "reason", "older than it is to be kept")
	return s.deleteFiles(context.WithoutCancel(ctx), row.BlobKey+"/", "")
}

// EraseCaller ends a caller's access and erases all that was theirs: audiences,
// running or not, uploads, files sent, offers, deliveries, callbacks, kept
// answers, credentials and keys. The name stays, and is nobody else's. Where it is
// interrupted it can be called again, also for a caller that was revoked before.
// done is told how many audiences and uploads are erased so far. NotFound where
// there is no such caller.
func (s *Service) EraseCaller(ctx context.Context, name string, done func(audiences, uploads int)) error {
	if err := s.RevokeCaller(ctx, name); err != nil {
		return err
	}
	row, err := s.callerNamed(ctx, name)
	if err != nil {
		return err
	}
	audiences, uploads := 0, 0
	for before := -1; before < audiences+uploads; { // until nothing came while it was erased
		before = audiences + uploads
		if err := s.stopAll(ctx, row.ID); err != nil {
			return err
		}
		if err := s.eraseAudiences(ctx, row.ID, func() { audiences++; done(audiences, uploads) }); err != nil {
			return err
		}
		if err := s.eraseFiles(ctx, row.ID, func() { uploads++; done(audiences, uploads) }); err != nil {
			return err
		}
	}
	s.cfg.Logger.InfoContext(ctx, "caller erased", "caller", row.ID, "audiences", audiences, "uploads", uploads)
	return s.db.EraseSecrets(ctx, row.ID)
}

func (s *Service) eraseAudiences(ctx context.Context, callerID int64, done func()) error {
	return each(ctx, func(after int64, limit int) ([]int64, error) {
		return s.db.CallerAudiences(ctx, callerID, after, limit)
	}, func(id int64) error {
		if err := s.db.EraseAudience(ctx, id); err != nil {
			return err
		}
		s.dropFiles(ctx, id)
		done()
		return nil
	})
}

// eraseFiles erases a caller's uploads, and what was sent to addresses. Files go
// first: of a row that is gone nobody knows them.
func (s *Service) eraseFiles(ctx context.Context, callerID int64, done func()) error {
	for more := true; more; {
		var list []sqldb.Upload
		var err error
		if list, more, err = s.db.ListUploads(ctx, sqldb.UploadFilter{CallerID: callerID, Limit: page.Max}); err != nil {
			return err
		}
		for _, u := range list {
			if err := s.deleteFiles(ctx, u.BlobKey+"/", ""); err != nil {
				return err
			}
			if err := s.db.DeleteUpload(ctx, u.ID); err != nil && !errors.Is(err, sqldb.ErrNotFound) {
				return err
			}
			done()
		}
	}
	gone, err := s.db.EraseIncoming(ctx, callerID)
	for _, in := range gone { // what is left here the sweep finds
		err = errors.Join(err, s.cfg.Blobs.Delete(ctx, record.IncomingPrefix+in.Slot))
		if in.BlobKey != "" {
			err = errors.Join(err, s.cfg.Blobs.Delete(ctx, in.BlobKey))
		}
	}
	return err
}

// stopAll ends everything that runs for a caller, and removes their offers.
func (s *Service) stopAll(ctx context.Context, callerID int64) error {
	for _, kind := range []struct {
		list func(tx *sqldb.Tx) ([]int64, error)
		end  func(tx *sqldb.Tx, id int64) error
	}{
		{
			func(tx *sqldb.Tx) ([]int64, error) { return tx.RunningDeliveries(ctx, callerID, eraseAtOnce) },
			func(tx *sqldb.Tx, id int64) error {
				return errors.Join(s.cancelJob(ctx, tx, JobDelivery, id), tx.UpdateDelivery(ctx, id, s.deliveryEnd(sqldb.StatusCanceled, nil)))
			},
		},
		{
			func(tx *sqldb.Tx) ([]int64, error) { return tx.PendingCallbacks(ctx, callerID, eraseAtOnce) },
			func(tx *sqldb.Tx, id int64) error {
				status, now, never := sqldb.CallbackFailed, s.now(), time.Time{}
				return errors.Join(s.cancelJob(ctx, tx, jobCallback, id),
					tx.UpdateCallback(ctx, id, sqldb.CallbackUpdate{Status: &status, FinishedAt: &now, NextAttemptAt: &never}))
			},
		},
		{
			func(tx *sqldb.Tx) ([]int64, error) {
				rows, _, err := tx.ListAudiences(ctx, sqldb.AudienceFilter{CallerID: callerID, Status: sqldb.StatusRunning, Limit: eraseAtOnce})
				ids := make([]int64, len(rows))
				for i, r := range rows {
					ids[i] = r.ID
				}
				return ids, err
			},
			func(tx *sqldb.Tx, id int64) error {
				now := s.now()
				// Deleted, so that no worker finds it; erased a moment later.
				status := sqldb.StatusCanceled
				return errors.Join(s.cancelJob(ctx, tx, jobBuild, id), s.cancelJob(ctx, tx, jobDevices, id),
					tx.UpdateAudience(ctx, id, sqldb.AudienceUpdate{Status: &status, FinishedAt: &now, DeletedAt: &now}))
			},
		},
	} {
		for {
			ended := 0
			err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
				ids, err := kind.list(tx)
				for _, id := range ids {
					err = errors.Join(err, kind.end(tx, id))
				}
				ended = len(ids)
				return err
			})
			if err != nil {
				return fmt.Errorf("end what runs: %w", err)
			}
			if ended < eraseAtOnce {
				break
			}
		}
	}
	s.offers.ForgetAll()
	return s.db.EraseOffers(ctx, callerID)
}

func (s *Service) cancelJob(ctx context.Context, tx *sqldb.Tx, kind string, id int64) error {
	_, err := s.cfg.Jobs.CancelTx(ctx, tx, kind, strconv.FormatInt(id, 10))
	return err
}
