package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"throng"
	"throng/blob"
	"throng/engine"
	"throng/identifier"
	"throng/internal/logs"
	"throng/internal/seal"
	"throng/job"
	"throng/query"
	"throng/service/export"
	"throng/service/progress"
	"throng/service/record"
	"throng/sqldb"
)

// The kinds of jobs.
const (
	jobBuild    = "build"
	jobCallback = "callback"
)

// What a running build is at.
const (
	stepQueued  = "queued"
	stepMembers = "members"
	stepFiles   = "files"
	stepFinish  = "finishing"
)

const (
	// buildAttempts is how often a build is tried; what fails so often is no
	// passing trouble.
	buildAttempts   = 5
	callbackWorkers = 4
)

// JobDelivery is the kind of jobs that deliver audiences, which a process may
// run alone.
const JobDelivery = "delivery"

// register tells the job runner how to run builds, the reading of devices,
// reports, callbacks, deliveries and sweeps.
func (s *Service) register() error {
	return errors.Join(
		s.cfg.Jobs.Register(job.Kind{Name: jobBuild, Workers: s.cfg.BuildWorkers, Run: s.patient(s.repaired(s.build)), Failed: s.buildFailed}),
		s.cfg.Jobs.Register(job.Kind{Name: jobDevices, Workers: s.cfg.BuildWorkers, Run: s.patient(s.repaired(s.devices)), Failed: s.devicesFailed}),
		s.cfg.Jobs.Register(job.Kind{Name: jobInsight, Workers: insightWorkers, Run: s.patient(s.repaired(s.runInsight)), Failed: s.insightFailed}),
		s.cfg.Jobs.Register(job.Kind{Name: jobCallback, Workers: callbackWorkers, Run: s.patient(s.callBack), Failed: s.callbackFailed}),
		s.cfg.Jobs.Register(job.Kind{Name: JobDelivery, Workers: deliveryWorkers, Run: s.patient(s.runDelivery), Failed: s.deliveryLost}),
		s.cfg.Jobs.Register(job.Kind{Name: jobSweep, Run: s.runSweep, Failed: s.sweepFailed}),
	)
}

const (
	// awayPause is how long a job waits at least for what is away.
	awayPause = 2 * time.Second
	// awayTime is for how long after it was ordered a job waits so; afterwards
	// its attempts count.
	awayTime = 24 * time.Hour
)

// patient is a handler whose job waits where the database or the store of files
// is away. That is no fault of the job, and no attempt of it.
func (s *Service) patient(run job.Handler) job.Handler {
	return func(ctx context.Context, j job.Job) error {
		err := run(ctx, j)
		if throng.IsAway(err) && s.now().Sub(j.CreatedAt) < awayTime {
			return job.Wait(awayPause+rand.N(awayPause), err)
		}
		return err
	}
}

// nothingToDo tells, by the status or the error that reading it gave, that what
// a job is about was deleted or has ended.
func nothingToDo(status string, err error) bool {
	return errors.Is(err, sqldb.ErrNotFound) || err == nil && status != sqldb.StatusRunning
}

// built is what a build found; nothing of it shows until it is stored.
type built struct {
	files    string // prefix of the keys
	counts   engine.Counts
	details  record.Details // for the audience's row
	warnings []string
	outputs  []sqldb.Output
}

// build runs one build from its start. Run again after a death it writes files
// under other keys and comes to the same members, since the generation is kept
// in the row. Everything appears in the one transaction at its end.
func (s *Service) build(ctx context.Context, j job.Job) error {
	row, err := s.db.Audience(ctx, 0, j.OwnerRef)
	if nothingToDo(row.Status, err) {
		return nil // deleted or ended
	}
	if err != nil {
		return err
	}
	ctx = logs.With(ctx, slog.Int64("audience", row.ID))
	g, err := s.generationOf(ctx, row)
	if err != nil {
		return fmt.Errorf("hold generation: %w", err)
	}
	defer g.Release()
	info := g.Info()
	row.Generation, row.AsOf = info.ID, info.AsOf
	err = s.updateHeld(ctx, j, sqldb.AudienceUpdate{IfStatus: sqldb.StatusRunning, Generation: &row.Generation, AsOf: &row.AsOf})
	if errors.Is(err, sqldb.ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	b := built{files: record.AudiencePrefix(row.ID) + seal.NewSecret()[:12]}
	cleanup := context.WithoutCancel(ctx)
	if err = s.find(ctx, j, g, row, &b); err != nil {
		return permanent(errors.Join(err, s.deleteFiles(cleanup, b.files+"/", "")))
	}
	if err := s.store(ctx, b.files, func(tx *sqldb.Tx) error { return s.finish(ctx, tx, j, row, b) }); err != nil {
		return permanent(err)
	}
	// What else lies there is of attempts that died.
	if err := errors.Join(s.deleteFiles(cleanup, record.AudiencePrefix(row.ID), b.files+"/"), s.SweepGenerations(cleanup)); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "clean up after build", "audience", row.ID, "err", err)
	}
	return nil
}

// updateHeld changes a job's audience while the job is still this worker's: one
// that another has taken over writes nothing into what that makes.
func (s *Service) updateHeld(ctx context.Context, j job.Job, u sqldb.AudienceUpdate) error {
	return s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if err := s.cfg.Jobs.Check(ctx, tx, j); err != nil {
			return err
		}
		return tx.UpdateAudience(ctx, j.OwnerRef, u)
	})
}

// store runs the transaction that makes the files of a build known. They are
// deleted where it was certainly not committed; where nobody can tell, since
// the commit itself failed, they are left to the sweep.
func (s *Service) store(ctx context.Context, files string, fn func(tx *sqldb.Tx) error) error {
	doubt, err := s.try(ctx, fn)
	if err != nil && !doubt {
		return errors.Join(err, s.deleteFiles(context.WithoutCancel(ctx), files+"/", ""))
	}
	return err
}

// try runs a transaction. doubt tells of an error that it may have been
// committed nevertheless, since the commit itself failed: what it refers to must
// then stay, and the sweep finds what belongs to nothing.
func (s *Service) try(ctx context.Context, fn func(tx *sqldb.Tx) error) (doubt bool, err error) {
	err = s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		err := fn(tx)
		doubt = err == nil
		return err
	})
	return doubt && err != nil, err
}

// permanent marks the failures that another attempt would only repeat.
func permanent(err error) error {
	if permanentError(err) {
		return job.Permanent(err)
	}
	return err
}

func permanentError(err error) bool {
	return errors.Is(err, engine.ErrCorrupt) || errors.Is(err, engine.ErrFormat) || errors.Is(err, blob.ErrDamaged) ||
		throng.CodeOf(err) == throng.Invalid || throng.CodeOf(err) == throng.QuotaExceeded
}

// find does the work of a build: members, then files.
func (s *Service) find(ctx context.Context, j job.Job, g engine.Generation, row sqldb.Audience, b *built) error {
	p := s.follow(ctx, j)
	defer p.Stop()
	p.At(stepMembers, 0.02)
	rows, err := s.members(ctx, g, row, b)
	if err != nil {
		return err
	}
	if err := s.rows.Write(ctx, g, b.files, rows); err != nil {
		return fmt.Errorf("write members: %w", err)
	}
	p.At(stepFiles, 0.4)
	hidden := s.shown(rows.Len()) == nil
	types := retype[identifier.Type](row.Outputs)
	if hidden { // members are kept for later generations, and nothing else
		types = []identifier.Type{identifier.SSID}
	}
	files, err := export.Write(ctx, s.cfg.Blobs, g, rows, b.files, types, func(share float64) { p.At(stepFiles, 0.4+0.55*share) })
	if err != nil {
		return fmt.Errorf("write files: %w", err)
	}
	if !hidden {
		b.outputs = outputsOf(b.files, files)
	}
	p.At(stepFinish, 0.98)
	return nil
}

// outputsOf are the rows of files that were written below a prefix.
func outputsOf(prefix string, files []export.File) []sqldb.Output {
	rows := make([]sqldb.Output, len(files))
	for i, f := range files {
		rows[i] = sqldb.Output{
			Type: string(f.Type), People: int64(f.People), Rows: int64(f.Rows), Bytes: f.Bytes,
			SHA256: f.SHA256, BlobKey: export.TextKey(prefix, f.Type),
		}
	}
	return rows
}

// members finds whom an audience is made of.
func (s *Service) members(ctx context.Context, g engine.Generation, row sqldb.Audience, b *built) (rows query.RowSet, err error) {
	if b.details, err = record.Read(row); err != nil {
		return nil, err
	}
	switch {
	case b.details.Expansion != nil:
		return s.expand(ctx, g, row, b)
	case b.details.Cluster != nil:
		return s.clusterMembers(ctx, g, b)
	}
	params, err := definitionOf(row.Definition)
	if err != nil {
		return nil, err
	}
	c, err := s.compile(ctx, g, row.CallerID, params, false)
	if err != nil {
		return nil, err
	}
	if err := refuse(c.Problems, nil); err != nil {
		return nil, err // the dataset has changed since the definition was accepted
	}
	rows, counts, err := g.Select(ctx, c.Definition, engine.Alone)
	if err != nil {
		return nil, fmt.Errorf("select members: %w", err)
	}
	b.counts, b.warnings = counts, c.Warnings
	return rows, nil
}

// finish makes a build's result visible, all of it or nothing.
func (s *Service) finish(ctx context.Context, tx *sqldb.Tx, j job.Job, row sqldb.Audience, b built) error {
	if err := s.cfg.Jobs.Complete(ctx, tx, j); err != nil {
		return err
	}
	followed, err := s.followBuild(ctx, tx, row, b.counts.Exclude)
	if err != nil {
		return err
	}
	sizes, err := json.Marshal(b.counts.Steps)
	if err != nil {
		return err
	}
	b.details.Files = b.files
	more, err := json.Marshal(b.details)
	if err != nil {
		return err
	}
	var (
		status, step, progress = sqldb.StatusDone, "", 1.0
		size                   = int64(b.counts.Exclude)
		sizePtr                = &size
		sizesRaw, detailsRaw   = json.RawMessage(sizes), json.RawMessage(more)
		warnings               = slices.Concat(row.Warnings, b.warnings, followed)
		now                    = s.now()
	)
	err = tx.UpdateAudience(ctx, row.ID, sqldb.AudienceUpdate{
		IfStatus: sqldb.StatusRunning, Status: &status, Step: &step, Progress: &progress, HeartbeatAt: &now,
		FinishedAt: &now, Size: &sizePtr, ParameterSizes: &sizesRaw, Warnings: &warnings, Details: &detailsRaw,
	})
	if err != nil {
		return err
	}
	if err := tx.PutOutputs(ctx, row.ID, b.outputs); err != nil {
		return err
	}
	if err := s.withinOf(ctx, tx, row.CallerID); err != nil {
		return err
	}
	return s.announce(ctx, tx, row.ID)
}

// buildFailed ends an audience whose build has failed for good.
func (s *Service) buildFailed(ctx context.Context, tx *sqldb.Tx, j job.Job, cause error) error {
	row, err := tx.Audience(ctx, 0, j.OwnerRef)
	if nothingToDo(row.Status, err) {
		return nil
	}
	if err != nil {
		return err
	}
	s.cfg.Logger.ErrorContext(ctx, "build failed", "audience", row.ID, "err", cause)
	raw, err := json.Marshal(failureOf(cause))
	if err != nil {
		return err
	}
	status, step, now, failure := sqldb.StatusFailed, "", s.now(), json.RawMessage(raw)
	err = tx.UpdateAudience(ctx, row.ID, sqldb.AudienceUpdate{
		IfStatus: sqldb.StatusRunning, Status: &status, Step: &step, HeartbeatAt: &now, FinishedAt: &now, Error: &failure,
	})
	if err != nil {
		return err
	}
	if err := returnCredit(ctx, tx, row); err != nil {
		return err
	}
	if err := s.endWaiting(ctx, tx, row, "the build of the audience has failed"); err != nil {
		return err
	}
	return s.announce(ctx, tx, row.ID)
}

// failureOf says to the caller why a build failed.
func failureOf(cause error) throng.Failure {
	switch code := throng.CodeOf(cause); {
	case code == throng.Invalid:
		return throng.Failure{Code: string(code), Message: throng.MessageOf(cause)}
	case code == throng.QuotaExceeded, code == throng.StorageFull:
		return throng.Failure{Code: string(code), Message: throng.MessageOf(cause), Retry: true}
	case throng.IsAway(cause):
		return throng.Failure{Code: string(throng.Unavailable), Message: "the database or the store of files was away for too long", Retry: true}
	case errors.Is(cause, engine.ErrNoGeneration):
		return throng.Failure{Code: string(throng.Unavailable), Message: "no dataset is loaded", Retry: true}
	case errors.Is(cause, engine.ErrCorrupt):
		return throng.Failure{Code: string(throng.Internal), Message: "a file of the index is damaged; the operator must load the dataset again", Retry: true}
	case errors.Is(cause, engine.ErrFormat):
		return throng.Failure{Code: string(throng.Internal), Message: "the index was written by another version; the operator must load the dataset again", Retry: true}
	case errors.Is(cause, blob.ErrDamaged):
		return throng.Failure{Code: string(throng.Internal), Message: "a stored list that this is made of is damaged; send the upload again, or regenerate the audience", Retry: true}
	case errors.Is(cause, job.ErrDied):
		return throng.Failure{Code: string(throng.Internal), Message: "the server ended too often while it worked on this; the operator must find out why", Retry: true}
	default:
		return throng.Failure{Code: string(throng.Internal), Message: "the build ended with an internal error", Retry: true}
	}
}

// follow starts to write down how far the build of a job is, whose OwnerRef is the
// audience.
func (s *Service) follow(ctx context.Context, j job.Job) *progress.Progress {
	begin := func(step string) func() { return s.cfg.Observe.Step(ctx, j.Kind, step) }
	return progress.Follow(begin, func(step string, share float64) {
		now := s.now()
		err := s.updateHeld(ctx, j, sqldb.AudienceUpdate{IfStatus: sqldb.StatusRunning, Step: &step, Progress: &share, HeartbeatAt: &now})
		if err != nil && ctx.Err() == nil && !errors.Is(err, sqldb.ErrConflict) && !errors.Is(err, job.ErrLost) {
			s.cfg.Logger.WarnContext(ctx, "tell progress", "audience", j.OwnerRef, "err", err)
		}
	})
}
