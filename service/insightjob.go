package service

import (
	"context" //nolint:gosec // a name for contents, which the contract wants; nothing is proved by it
	"encoding/json"
	"errors"
	"fmt"

	"throng"
	"throng/engine"
	"throng/insight"
	"throng/internal/seal"
	"throng/job"
	"throng/service/record"
	"throng/service/reportstore"
	"throng/sqldb"
)

// jobInsight is the kind of jobs that make reports.
const jobInsight = "insight"

// insightWorkers is one: a count of all terms uses all cores by itself.
const insightWorkers = 1

// runInsight makes a report from its start. Run again after a death it writes
// another file and comes to the same counts. The report appears in the one
// transaction at its end.
func (s *Service) runInsight(ctx context.Context, j job.Job) error {
	i, err := s.db.Insight(ctx, j.OwnerRef)
	if nothingToDo(i.Status, err) {
		return nil // deleted or ended
	}
	if err != nil {
		return err
	}
	row, err := s.db.Audience(ctx, 0, j.OwnerRef)
	if errors.Is(err, sqldb.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.countable(row); err != nil {
		return job.Permanent(err)
	}
	g, err := s.generationOf(ctx, row)
	if err != nil {
		return fmt.Errorf("hold generation: %w", err)
	}
	defer g.Release()
	counts, more, err := s.countAudience(ctx, g, row)
	if err != nil {
		return permanent(err)
	}
	files := record.InsightPrefix(row.ID) + seal.NewSecret()[:12]
	cleanup := context.WithoutCancel(ctx)
	if err := s.keepClusters(ctx, g, row, files, counts); err != nil {
		return permanent(errors.Join(err, s.deleteFiles(cleanup, files+"/", "")))
	}
	if err := s.reports.Write(ctx, record.CountsKey(files), counts); err != nil {
		return errors.Join(err, s.deleteFiles(cleanup, files+"/", ""))
	}
	i.Hash, i.Generation, i.BlobKey, i.Details = counts.Hash, counts.Generation, record.CountsKey(files), more
	if err := s.store(ctx, files, func(tx *sqldb.Tx) error { return s.finishInsight(ctx, tx, j, row, i, counts) }); err != nil {
		return err
	}
	if err := s.deleteFiles(cleanup, record.InsightPrefix(row.ID), files+"/"); err != nil { // of attempts that died
		s.cfg.Logger.ErrorContext(ctx, "clean up after insight", "audience", row.ID, "err", err)
	}
	return nil
}

// finishInsight makes a report visible, whole.
func (s *Service) finishInsight(ctx context.Context, tx *sqldb.Tx, j job.Job, row sqldb.Audience, i sqldb.Insight, counts *insight.Counts) error {
	if err := s.cfg.Jobs.Complete(ctx, tx, j); err != nil {
		return err
	}
	// The address may have been changed meanwhile.
	now, err := tx.Insight(ctx, row.ID)
	if err != nil {
		return err
	}
	i.CallbackURL, i.Status, i.FinishedAt = now.CallbackURL, sqldb.StatusDone, s.now()
	if err := tx.PutInsight(ctx, i); err != nil {
		return err
	}
	return s.announceInsight(ctx, tx, row, i, counts)
}

// insightFailed ends a report that has failed for good.
func (s *Service) insightFailed(ctx context.Context, tx *sqldb.Tx, j job.Job, cause error) error {
	i, err := tx.Insight(ctx, j.OwnerRef)
	if nothingToDo(i.Status, err) {
		return nil
	}
	if err != nil {
		return err
	}
	row, err := tx.Audience(ctx, 0, j.OwnerRef)
	if err != nil {
		return err
	}
	s.cfg.Logger.ErrorContext(ctx, "insight failed", "audience", row.ID, "err", cause)
	failure := failureOf(cause)
	switch code := throng.CodeOf(cause); {
	case code == throng.Conflict:
		failure = throng.Failure{Code: string(code), Message: throng.MessageOf(cause)}
	case failure.Code == string(throng.Internal) && !errors.Is(cause, engine.ErrCorrupt) && !errors.Is(cause, engine.ErrFormat):
		failure.Message = "the insight ended with an internal error"
	}
	return s.failInsight(ctx, tx, row, i, failure)
}

// countAudience counts an audience and all named baselines on a generation.
// more is what the report's row holds beside it.
func (s *Service) countAudience(ctx context.Context, g engine.Generation, row sqldb.Audience) (counts *insight.Counts, more json.RawMessage, err error) {
	rows, gone, err := s.memberRows(ctx, g, row)
	if err != nil {
		return nil, nil, fmt.Errorf("find members: %w", err)
	}
	baselines, err := s.countBaselines(ctx, g)
	if err != nil {
		return nil, nil, err
	}
	audience, err := insight.CountRows(ctx, g, audienceName(row.ID), rows)
	if err != nil {
		return nil, nil, err
	}
	if counts, err = insight.Keep(ctx, g, audience, baselines, s.cfg.InsightMinimum); err != nil {
		return nil, nil, err
	}
	if counts.Hash, err = reportstore.MembersHash(ctx, g, rows); err != nil {
		return nil, nil, err
	}
	if gone > 0 {
		counts.Warnings = append(counts.Warnings, fmt.Sprintf("%d of the members of the audience are not in the dataset any more", gone))
	}
	var d insightDetails
	if row.Kind == string(throng.Device) {
		if d.Files, err = record.InUse(row); err != nil {
			return nil, nil, err
		}
	}
	more, err = json.Marshal(d)
	return counts, more, err
}
