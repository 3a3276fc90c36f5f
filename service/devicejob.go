package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"throng"
	"throng/blob"
	"throng/device"
	"throng/engine"
	"throng/internal/logs"
	"throng/internal/seal"
	"throng/job"
	"throng/query"
	"throng/service/deviceset"
	"throng/service/record"
	"throng/sqldb"
)

// jobDevices reads the files of a device audience.
const jobDevices = "devices"

// devices reads the files of a device audience. Run again after a death it
// writes files under other keys and comes to the same devices, since the files
// do not change. Everything appears in the one transaction at its end.
func (s *Service) devices(ctx context.Context, j job.Job) error {
	row, err := s.db.Audience(ctx, 0, j.OwnerRef)
	if nothingToDo(row.Status, err) {
		return nil // deleted or ended
	}
	if err != nil {
		return err
	}
	ctx = logs.With(ctx, slog.Int64("audience", row.ID))
	d, err := record.Read(row)
	if err != nil {
		return err
	}
	if d.Devices == nil {
		return job.Permanent(fmt.Errorf("read devices of audience %d: %w", row.ID, record.ErrNoDevices))
	}
	found := deviceset.Found{Prefix: record.AudiencePrefix(row.ID) + seal.NewSecret()[:12]}
	cleanup := context.WithoutCancel(ctx)
	bad, err := s.findDevices(ctx, j, d.Devices.Sources, &found)
	if err != nil {
		return permanent(errors.Join(err, s.deleteFiles(cleanup, found.Prefix+"/", "")))
	}
	before, after := d.Files, found.Prefix
	if bad != nil && d.Devices.Counts != nil {
		before, after = after, before
	}
	release := s.prepareSet(ctx, row.ID, after)
	defer release()
	changed := s.sets.Change(row.ID)
	err = s.store(ctx, found.Prefix, func(tx *sqldb.Tx) error {
		if err := s.cfg.Jobs.Complete(ctx, tx, j); err != nil {
			return err
		}
		if bad != nil {
			return s.refuseDevices(ctx, tx, row, d, found, bad)
		}
		return s.finishDevices(ctx, tx, row, d, found)
	})
	if err != nil {
		changed("", s.cfg.Now())
		s.sets.Discard(found.Prefix)
		return permanent(err)
	}
	if bad != nil && d.Devices.Counts == nil {
		after = "" // there is no set
	}
	changed(after, s.cfg.Now())
	// Nothing but these: the next files may be read already. What attempts that
	// died have left is found by Sweep.
	if before != "" && before != after {
		if err := s.deleteFiles(cleanup, before+"/", ""); err != nil {
			s.cfg.Logger.ErrorContext(ctx, "clean up after reading devices", "audience", row.ID, "err", err)
		}
	}
	return nil
}

// prepareSet opens the set of an audience's new files before they are used,
// where an offer asks it on every bid. It stays open until release is called,
// and then as long as it is used.
func (s *Service) prepareSet(ctx context.Context, id int64, prefix string) (release func()) {
	if ids, err := s.db.TargetedAudiences(ctx, id); err == nil && len(ids) > 0 {
		if _, release, err := s.sets.Hold(ctx, prefix); err == nil { // who asks next is told of an error
			return release
		}
	}
	return func() {}
}

// findDevices does the work: it reads all files, then writes and matches what
// they hold. bad is what makes the files of no use, which is the caller's doing.
func (s *Service) findDevices(ctx context.Context, j job.Job, sources []deviceset.Source, found *deviceset.Found) (bad *throng.Failure, err error) {
	p := s.follow(ctx, j)
	defer p.Stop()
	p.At(deviceset.StepReading, 0.01)
	g, err := s.cfg.Engine.Acquire(ctx, "")
	switch {
	case errors.Is(err, engine.ErrNoGeneration):
		g = nil
		found.Warnings = append(found.Warnings, "no dataset is loaded yet, so nobody is known to own any of the devices")
	case err != nil:
		return nil, fmt.Errorf("hold generation: %w", err)
	default:
		defer g.Release()
	}
	cfg := deviceset.Config{Blobs: s.cfg.Blobs, Rows: s.rows, Memory: s.cfg.SortMemory, TempDir: s.cfg.TempDir, Limit: s.cfg.UploadLimit}
	if bad, err := deviceset.Read(ctx, cfg, g, sources, found, p.At); bad != nil || err != nil {
		return bad, err
	}
	p.At(stepFinish, 0.98)
	return nil, nil
}

// finishDevices makes the devices of an audience visible, all of them or none.
func (s *Service) finishDevices(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, d record.Details, found deviceset.Found) error {
	d.Files = found.Prefix
	d.Devices.Counts, d.Devices.Lists = &found.Counts, found.Lists
	warnings := slices.Concat(d.Devices.Given, found.Warnings)
	people := int64(found.Counts.People)
	size := &people
	err := s.endDevices(ctx, tx, row, d, sqldb.AudienceUpdate{
		Size: &size, Warnings: &warnings, Generation: &found.Info.ID, AsOf: &found.Info.AsOf, Bytes: &found.Bytes,
	}, nil)
	if err != nil {
		return err
	}
	return s.withinOf(ctx, tx, row.CallerID)
}

// refuseDevices ends an audience whose files are of no use. Those before stay
// in use; where there were none, what was found shows what is wrong.
func (s *Service) refuseDevices(
	ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, d record.Details, found deviceset.Found, bad *throng.Failure,
) error {
	u := sqldb.AudienceUpdate{}
	if d.Devices.Counts == nil {
		warnings := slices.Concat(d.Devices.Given, found.Warnings)
		d.Files, d.Devices.Lists, u.Warnings = found.Prefix, found.Lists, &warnings
	}
	return s.endDevices(ctx, tx, row, d, u, bad)
}

// endDevices writes down that the files of an audience are not being read any
// more.
func (s *Service) endDevices(
	ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, d record.Details, u sqldb.AudienceUpdate, bad *throng.Failure,
) error {
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	status, step, progress, now, failure := sqldb.StatusDone, "", 1.0, s.now(), json.RawMessage(nil)
	if bad != nil {
		status = sqldb.StatusFailed
		if failure, err = json.Marshal(bad); err != nil {
			return err
		}
	}
	details := json.RawMessage(raw)
	u.IfStatus, u.Status, u.Step, u.Progress, u.Details, u.Error = sqldb.StatusRunning, &status, &step, &progress, &details, &failure
	u.HeartbeatAt, u.FinishedAt = &now, &now
	return tx.UpdateAudience(ctx, row.ID, u)
}

// devicesFailed ends an audience whose files could not be read for good.
func (s *Service) devicesFailed(ctx context.Context, tx *sqldb.Tx, j job.Job, cause error) error {
	row, err := tx.Audience(ctx, 0, j.OwnerRef)
	if nothingToDo(row.Status, err) {
		return nil
	}
	if err != nil {
		return err
	}
	s.cfg.Logger.ErrorContext(ctx, "reading devices failed", "audience", row.ID, "err", cause)
	d, err := record.Read(row)
	if err != nil {
		return err
	}
	failure := failureOf(cause)
	return s.endDevices(ctx, tx, row, d, sqldb.AudienceUpdate{}, &failure)
}

// addInvalidLines tells of the lines that were refused.
func (s *Service) addInvalidLines(ctx context.Context, row sqldb.Audience, a *throng.DeviceAudience) error {
	d, err := record.Read(row)
	if err != nil || !slices.ContainsFunc(a.Files, func(f throng.DeviceFile) bool { return f.Invalid > 0 }) {
		return err
	}
	lines, err := deviceset.Refused(ctx, s.cfg.Blobs, d.Files)
	if errors.Is(err, blob.ErrNotFound) {
		return nil // other files took their place just now
	}
	if err != nil {
		return fmt.Errorf("read invalid lines: %w", err)
	}
	for i := range min(len(lines), len(a.Files)) {
		a.Files[i].InvalidLines = lines[i]
	}
	return nil
}

// deviceOwners finds who owns any device of an audience on a generation.
func (s *Service) deviceOwners(ctx context.Context, g engine.Generation, a sqldb.Audience) (query.RowSet, error) {
	rows, err := s.deviceOwnersNow(ctx, g, a)
	if !errors.Is(err, blob.ErrNotFound) {
		return rows, err
	}
	// An update may just have replaced the files.
	if a, err = s.db.Audience(ctx, 0, a.ID); err != nil {
		return nil, err
	}
	return s.deviceOwnersNow(ctx, g, a)
}

func (s *Service) deviceOwnersNow(ctx context.Context, g engine.Generation, a sqldb.Audience) (query.RowSet, error) {
	prefix, err := record.InUse(a)
	if err != nil {
		return nil, err
	}
	return s.rows.Find(ctx, g, prefix, func() (query.RowSet, error) { return s.sets.Owners(ctx, g, prefix) })
}

// deviceSet holds the set of an audience that was read once, until release is
// called. record.ErrNoDevices where there is none.
func (s *Service) deviceSet(ctx context.Context, audienceID int64) (set *device.Set, release func(), err error) {
	return s.sets.Of(ctx, audienceID, s.cfg.Now(), func() (string, error) { return s.devicePrefix(ctx, audienceID) })
}

// devicePrefix is where the files of an audience are.
func (s *Service) devicePrefix(ctx context.Context, id int64) (string, error) {
	row, err := s.db.Audience(ctx, 0, id)
	if err != nil {
		return "", err
	}
	return record.InUse(row)
}
