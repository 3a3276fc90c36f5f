package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"throng"
	"throng/engine"
	"throng/identifier"
	"throng/job"
	"throng/service/page"
	"throng/service/record"
	"throng/sqldb"
)

// queries are what a DB and a transaction have in common.
type queries interface {
	Audience(ctx context.Context, callerID, id int64) (sqldb.Audience, error)
	CallerByID(ctx context.Context, id int64) (sqldb.Caller, error)
	Outputs(ctx context.Context, audienceID int64) ([]sqldb.Output, error)
	Insight(ctx context.Context, audienceID int64) (sqldb.Insight, error)
}

// creditOf is what building an audience costs.
func creditOf(d record.Details) sqldb.CreditKind {
	if d.Expansion != nil {
		return sqldb.CreditExpansions
	}
	return sqldb.CreditBuilds
}

// returnCredit gives back what a build cost that came to nothing.
func returnCredit(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience) error {
	d, err := record.Read(row)
	if err != nil {
		return err
	}
	return tx.ReturnCredit(ctx, row.CallerID, creditOf(d))
}

// CreateAudience accepts a definition and starts its build. It spends a credit
// of builds. When it returns, audience, job and the answer kept for once are
// durable. ErrAnswered where once was carried out before; RateLimited where too
// many builds wait, QuotaExceeded where nothing more may be stored.
func (s *Service) CreateAudience(ctx context.Context, c *throng.Caller, def Definition, once *Once) (*throng.Audience, error) {
	g, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer g.Release()
	k, err := s.check(ctx, g, c, &def)
	if err != nil {
		return nil, err
	}
	raw, err := throng.MarshalParameters(def.Parameters)
	if err != nil {
		return nil, fmt.Errorf("store parameters: %w", err)
	}
	return s.start(ctx, c, sqldb.Audience{
		Name: def.Name, Description: def.Description, Definition: raw, Warnings: k.warnings,
		CallbackURL: def.CallbackURL, InsightCallbackURL: def.InsightCallbackURL, AutoInsight: def.AutoInsight,
		Outputs: retype[string](k.outputs),
	}, k, once)
}

// RegenerateAudience builds an audience's definition again on the current
// generation, as a new audience.
func (s *Service) RegenerateAudience(ctx context.Context, c *throng.Caller, id int64, b Build, once *Once) (*throng.Audience, error) {
	row, err := s.audienceRow(ctx, s.db, c, id)
	if err != nil {
		return nil, err
	}
	if row.Kind != string(throng.Built) {
		return nil, throng.Errorf(throng.Conflict, "audience %d is a list of devices: it has no definition to build again", id)
	}
	if err := definedAudience(row); err != nil {
		return nil, err
	}
	def := Definition{Name: row.Name, Description: row.Description, Build: b}
	if def.Parameters, err = definitionOf(row.Definition); err != nil {
		return nil, err
	}
	g, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer g.Release()
	k, err := s.check(ctx, g, c, &def)
	if err != nil {
		return nil, err
	}
	if b.Outputs == nil { // those of the original, as far as they are still allowed
		k.keepOutputs(c, row)
	}
	return s.start(ctx, c, sqldb.Audience{
		Name: row.Name, Description: row.Description, Definition: row.Definition, Warnings: k.warnings,
		CallbackURL: b.CallbackURL, InsightCallbackURL: b.InsightCallbackURL, AutoInsight: b.AutoInsight,
		Outputs: retype[string](k.outputs), SourceID: &row.ID,
	}, k, once)
}

// start stores a new audience with everything that belongs to it.
func (s *Service) start(ctx context.Context, c *throng.Caller, a sqldb.Audience, k checked, once *Once) (*throng.Audience, error) {
	more, err := record.Read(a)
	if err != nil {
		return nil, err
	}
	now := s.now()
	a.CallerID, a.Kind, a.Status, a.Step = c.ID, string(throng.Built), sqldb.StatusRunning, stepQueued
	a.CreatedAt, a.HeartbeatAt = now, now
	var made throng.Audience
	err = s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if err := s.mayWait(ctx, tx, c, jobBuild); err != nil {
			return err
		}
		if _, err := s.room(ctx, tx, c); err != nil {
			return err
		}
		err := tx.SpendCredit(ctx, c.ID, creditOf(more))
		if errors.Is(err, sqldb.ErrExhausted) {
			return throng.Errorf(throng.CreditsExhausted, "no credits for %s are left", creditOf(more))
		}
		if err != nil {
			return err
		}
		if err := stillThere(ctx, tx, c.ID, k); err != nil {
			return err
		}
		if a.ID, err = tx.InsertAudience(ctx, a); err != nil {
			return err
		}
		if err := errors.Join(tx.AddUses(ctx, a.ID, sqldb.UseUpload, k.uploads...),
			tx.AddUses(ctx, a.ID, sqldb.UseAudience, k.audiences...)); err != nil {
			return err
		}
		_, err = s.cfg.Jobs.Enqueue(ctx, tx, job.Job{
			Kind: jobBuild, Key: strconv.FormatInt(a.ID, 10), OwnerRef: a.ID,
			Group: group(c.ID), Concurrency: c.ConcurrentBuilds, MaxAttempts: buildAttempts,
		})
		if err != nil {
			return err
		}
		if made, err = s.view(ctx, tx, a, c); err != nil {
			return err
		}
		return s.keep(ctx, tx, c, once, &made)
	})
	if err != nil {
		return nil, err
	}
	return &made, nil
}

// group is the name under which a caller's jobs share the workers with others'.
func group(callerID int64) string { return strconv.FormatInt(callerID, 10) }

// stillThere makes sure that nothing that was found by check was deleted since.
func stillThere(ctx context.Context, tx *sqldb.Tx, callerID int64, k checked) error {
	gone := throng.Errorf(throng.Conflict, "an upload or audience that the definition uses was deleted meanwhile")
	for _, id := range k.uploads {
		if _, err := tx.Upload(ctx, id); errors.Is(err, sqldb.ErrNotFound) {
			return gone
		} else if err != nil {
			return err
		}
	}
	for _, id := range k.audiences {
		if _, err := tx.Audience(ctx, callerID, id); errors.Is(err, sqldb.ErrNotFound) {
			return gone
		} else if err != nil {
			return err
		}
	}
	return nil
}

// audienceRow finds a caller's audience.
func (s *Service) audienceRow(ctx context.Context, q queries, c *throng.Caller, id int64) (sqldb.Audience, error) {
	if id <= 0 {
		return sqldb.Audience{}, throng.Errorf(throng.NotFound, "audience %d does not exist", id)
	}
	row, err := q.Audience(ctx, c.ID, id)
	return row, known(err, "audience %d does not exist", id)
}

// Audience tells how an audience stands.
func (s *Service) Audience(ctx context.Context, c *throng.Caller, id int64) (*throng.Audience, error) {
	row, err := s.audienceRow(ctx, s.db, c, id)
	if err != nil {
		return nil, err
	}
	a, err := s.view(ctx, s.db, row, c)
	return &a, err
}

// ListAudiences lists a caller's audiences, newest first; next is "" at the end.
func (s *Service) ListAudiences(ctx context.Context, c *throng.Caller, f AudienceFilter) ([]throng.Audience, string, error) {
	limit, before, problems := page.ReadByID(f.Page)
	if f.Kind == "" {
		f.Kind = throng.Built
	}
	if f.Kind != throng.Built && f.Kind != throng.Device {
		problems = append(problems, throng.Detail{Path: "kind", Message: "must be built or device"})
	}
	if f.Status != "" && !slices.Contains([]throng.Status{throng.Running, throng.Done, throng.Failed, throng.Canceled}, f.Status) {
		problems = append(problems, throng.Detail{Path: "status", Message: "must be running, done, failed or canceled"})
	}
	if err := refuse(problems, nil); err != nil {
		return nil, "", err
	}
	rows, more, err := s.db.ListAudiences(ctx, sqldb.AudienceFilter{
		CallerID: c.ID, Query: f.Query, Status: string(f.Status), Kind: string(f.Kind), BeforeID: before, Limit: limit,
	})
	if err != nil {
		return nil, "", err
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	insights, err := s.db.Insights(ctx, ids...)
	if err != nil {
		return nil, "", err
	}
	list := make([]throng.Audience, len(rows))
	for i, row := range rows {
		if list[i], err = s.view(ctx, withInsights{s.db, insights}, row, c); err != nil {
			return nil, "", err
		}
	}
	next := ""
	if more {
		next = page.AfterID(rows[len(rows)-1].ID)
	}
	return list, next, nil
}

// view is an audience as the caller may see it.
func (s *Service) view(ctx context.Context, q queries, row sqldb.Audience, c *throng.Caller) (throng.Audience, error) {
	a := throng.Audience{
		ID: row.ID, CallerID: row.CallerID, Kind: throng.AudienceKind(row.Kind), Name: row.Name, Description: row.Description,
		Status: throng.Status(row.Status), Step: row.Step, Progress: row.Progress, Heartbeat: row.HeartbeatAt,
		Generation: row.Generation, AsOf: row.AsOf, CreatedAt: row.CreatedAt, FinishedAt: row.FinishedAt, Warnings: row.Warnings,
	}
	if err := unmarshalAll(pair{row.Definition, &a.Parameters}, pair{row.Error, &a.Failure}); err != nil {
		return a, fmt.Errorf("read audience %d: %w", row.ID, err)
	}
	if err := madeOf(row, &a); err != nil {
		return a, err
	}
	var err error
	if a.Insight, err = insightState(ctx, q, row); err != nil || row.Size == nil {
		return a, err
	}
	var sizes []uint64
	if err := unmarshalAll(pair{row.ParameterSizes, &sizes}); err != nil {
		return a, fmt.Errorf("read audience %d: %w", row.ID, err)
	}
	for _, n := range sizes {
		a.ParameterSizes = append(a.ParameterSizes, s.shown(n))
	}
	if a.Size = s.shown(uint64(*row.Size)); a.Size == nil {
		a.SizeHidden = s.hiddenReason()
		return a, nil
	}
	outputs, err := q.Outputs(ctx, row.ID)
	if err != nil {
		return a, err
	}
	for _, t := range identifier.Outputs() {
		for _, o := range outputs {
			if o.Type == string(t) && c.MayView(t) {
				a.Outputs = append(a.Outputs, throng.Output{
					Type: t, People: uint64(o.People), Rows: uint64(o.Rows), Bytes: o.Bytes, SHA256: o.SHA256,
				})
			}
		}
	}
	return a, nil
}

type pair struct {
	raw json.RawMessage
	to  any
}

func unmarshalAll(pairs ...pair) error {
	for _, p := range pairs {
		if len(p.raw) == 0 {
			continue
		}
		if err := json.Unmarshal(p.raw, p.to); err != nil {
			return err
		}
	}
	return nil
}

// CancelAudience ends a running build and gives its credit back; the audience
// stays. A second time it changes nothing. Conflict where the build has ended.
func (s *Service) CancelAudience(ctx context.Context, c *throng.Caller, id int64) error {
	return s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		row, err := s.audienceRow(ctx, tx, c, id)
		switch {
		case err != nil:
			return err
		case row.Status == sqldb.StatusCanceled:
			return nil
		case row.Status != sqldb.StatusRunning:
			return throng.Errorf(throng.Conflict, "audience %d is not running: its status is %s", id, row.Status)
		}
		return s.cancel(ctx, tx, row)
	})
}

// cancel ends a running build within a transaction.
func (s *Service) cancel(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience) error {
	if row.Kind != string(throng.Built) {
		return throng.Errorf(throng.Conflict, "audience %d is a list of devices, which cannot be canceled", row.ID)
	}
	if _, err := s.cfg.Jobs.CancelTx(ctx, tx, jobBuild, strconv.FormatInt(row.ID, 10)); err != nil {
		return err
	}
	status, step, now := sqldb.StatusCanceled, "", s.now()
	err := tx.UpdateAudience(ctx, row.ID, sqldb.AudienceUpdate{
		IfStatus: sqldb.StatusRunning, Status: &status, Step: &step, HeartbeatAt: &now, FinishedAt: &now,
	})
	if err != nil {
		return err
	}
	if err := returnCredit(ctx, tx, row); err != nil {
		return err
	}
	return s.endWaiting(ctx, tx, row, "the build of the audience was canceled")
}

// DeleteAudience ends an audience's build, if it runs, and removes it with its
// files. Conflict while a running build or an offer uses it, or it is being
// delivered.
func (s *Service) DeleteAudience(ctx context.Context, c *throng.Caller, id int64) error {
	err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		row, err := s.audienceRow(ctx, tx, c, id)
		if err != nil {
			return err
		}
		if err := notDelivered(ctx, tx, id); err != nil {
			return err
		}
		return s.remove(ctx, tx, row)
	})
	if err != nil {
		return err
	}
	s.dropFiles(ctx, id)
	return nil
}

// generationOf holds the generation that a build began with, or the current
// one where it has not begun or that is gone.
func (s *Service) generationOf(ctx context.Context, row sqldb.Audience) (engine.Generation, error) {
	if row.Generation != "" {
		g, err := s.cfg.Engine.Acquire(ctx, row.Generation)
		if !errors.Is(err, engine.ErrNoGeneration) {
			return g, err
		}
	}
	return s.cfg.Engine.Acquire(ctx, "")
}
