package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"throng"
	"throng/delivery"
	"throng/engine"
	"throng/identifier"
	"throng/internal/logs"
	"throng/internal/seal"
	"throng/job"
	"throng/service/devicelist"
	"throng/service/record"
	"throng/sqldb"
	"throng/webhook"
)

const (
	// deliveryWorkers are enough for one that sends and one that lists.
	deliveryWorkers = 2
	// maxFailures is after how many failures in a row a delivery is given up:
	// by the schedule of callbacks that takes 21 to 43 minutes.
	maxFailures = 10
)

// What a delivery is at, before its destination says.
const stepLists = "listing devices"

// deliveryState is how far a delivery is.
type deliveryState struct {
	Files string            `json:"files,omitempty"` // prefix of the lists' keys
	Lists []devicelist.List `json:"lists,omitempty"`
	// Remote is what the destination wants to know at the next step.
	Remote json.RawMessage `json:"remote,omitempty"`
}

// deliveryRun is one run of a delivery's job.
type deliveryRun struct {
	s      *Service
	j      job.Job
	row    sqldb.Delivery
	set    deliverySettings
	state  deliveryState
	report deliveryReport
}

// runDelivery takes a delivery from where it is to its end, as far as it comes.
func (s *Service) runDelivery(ctx context.Context, j job.Job) error {
	row, err := s.db.Delivery(ctx, 0, j.OwnerRef)
	if nothingToDo(row.Status, err) {
		return nil // canceled
	}
	if err != nil {
		return err
	}
	ctx = logs.With(ctx, slog.Int64("audience", row.AudienceID), slog.Int64("delivery", row.ID))
	r := &deliveryRun{s: s, j: j, row: row}
	if err := unmarshalAll(pair{row.Settings, &r.set}, pair{row.State, &r.state}, pair{row.Report, &r.report}); err != nil {
		return job.Permanent(fmt.Errorf("read delivery: %w", err))
	}
	err = r.run(ctx)
	switch {
	case err == nil:
		return r.end(ctx, sqldb.StatusDone, nil)
	case ctx.Err() != nil, errors.Is(err, job.ErrLost):
		return err // stopped, canceled, or another's by now
	}
	return r.failed(ctx, err)
}

// run takes step after step; it returns nil when all is done.
func (r *deliveryRun) run(ctx context.Context) error {
	if !r.row.NextAttemptAt.IsZero() {
		if err := r.store(ctx, r.row.Step, r.row.Error, time.Time{}); err != nil {
			return err
		}
	}
	if err := r.permitted(ctx); err != nil {
		return err
	}
	if r.state.Lists == nil {
		if err := r.list(ctx); err != nil {
			return err
		}
		if err := r.save(ctx, stepLists); err != nil {
			return err
		}
	}
	to, err := r.open()
	if err != nil {
		return err
	}
	lists := devicelist.Open(r.s.cfg.Blobs, r.state.Files, r.state.Lists)
	for {
		res, err := to.Step(ctx, lists, r.state.Remote)
		if res.State != nil {
			r.state.Remote, r.report.Sent = res.State, res.Sent
			r.report.RemoteID = res.RemoteID
		}
		if err != nil {
			return err
		}
		if res.Done {
			r.row.Failures = 0
			return nil
		}
		if err := r.save(ctx, res.Next); err != nil {
			return err
		}
	}
}

// permitted makes sure that the caller may still do what was ordered: a delivery
// can wait for long.
func (r *deliveryRun) permitted(ctx context.Context) error {
	c, err := r.s.db.CallerByID(ctx, r.row.CallerID)
	switch {
	case err != nil:
		return err
	case !c.RevokedAt.IsZero():
		return throng.Errorf(throng.Forbidden, "the caller is revoked")
	case !fromCaller(c).MayDownload(identifier.MAID):
		return throng.Errorf(throng.Forbidden, "%s is not among the types that you can download (can_download) any more", identifier.MAID)
	}
	return nil
}

// list finds the device ids of the audience's members.
func (r *deliveryRun) list(ctx context.Context) error {
	if err := r.store(ctx, stepLists, r.row.Error, time.Time{}); err != nil {
		return err
	}
	audience, err := r.s.db.Audience(ctx, r.row.CallerID, r.row.AudienceID)
	if errors.Is(err, sqldb.ErrNotFound) {
		return throng.Errorf(throng.NotFound, "the audience was deleted")
	}
	if err != nil {
		return err
	}
	g, err := r.s.generationOf(ctx, audience)
	if err != nil {
		return fmt.Errorf("hold generation: %w", err)
	}
	defer g.Release()
	rows, gone, err := r.s.memberRows(ctx, g, audience)
	if err != nil {
		return fmt.Errorf("find members: %w", err)
	}
	files := record.DeliveryPrefix(r.row.ID) + seal.NewSecret()[:12]
	cfg := devicelist.Config{Blobs: r.s.cfg.Blobs, TempDir: r.s.cfg.TempDir, Memory: r.s.cfg.SortMemory}
	lists, left, err := devicelist.Write(ctx, cfg, g, rows, files, devicelist.Choice{Platform: r.set.Platform, PlainAs: r.set.PlainAs})
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	if len(lists) == 0 {
		return nothingListed(rows.Len(), left)
	}
	r.warn(g, audience, gone, left)
	r.state = deliveryState{Files: files, Lists: lists}
	r.report = deliveryReport{Platform: devicelist.Platform(r.set.Platform, lists), Lists: lists}
	// What else lies there is of attempts that died.
	return r.s.deleteFiles(ctx, record.DeliveryPrefix(r.row.ID), files+"/")
}

// nothingListed says why there is nothing to send.
func nothingListed(members uint64, left devicelist.LeftOut) error {
	switch {
	case left.Plain > 0:
		return throng.Errorf(throng.Conflict, "no device id is known as what it is: %d mobile advertising ids are plain ma_id; "+
			"deliver again and say whether they are idfa or gaid (ma_id_as)", left.Plain)
	case left.Platform > 0:
		return throng.Errorf(throng.Conflict, "no device id is of the platform: %d are of another; deliver again with platform mix", left.Platform)
	}
	return throng.Errorf(throng.Conflict, "none of the %d members has a device id: there is nothing to deliver", members)
}

// warn tells of what is not as the caller may think.
func (r *deliveryRun) warn(g engine.Generation, a sqldb.Audience, gone uint64, left devicelist.LeftOut) {
	add := func(format string, args ...any) {
		r.row.Warnings = append(r.row.Warnings, fmt.Sprintf(format, args...))
	}
	if id := g.Info().ID; id != a.Generation {
		add("the dataset on which the audience was built is gone: its members were found again on the current one, and %d of them are not there any more", gone)
	}
	if left.Plain > 0 {
		add("%d plain ma_id are left out, since nobody says what they are; ma_id_as idfa or gaid sends them", left.Plain)
	}
	if left.Platform > 0 {
		add("%d device ids of the other platform are left out", left.Platform)
	}
}

// open gives the destination.
func (r *deliveryRun) open() (delivery.Destination, error) {
	kind := r.s.kind(r.row.Destination)
	if kind == nil {
		return nil, errNoKind(r.row.Destination)
	}
	secret, err := r.s.openSecret(r.row.SecretSealed, deliveryBinding(r.row.ID))
	if err != nil {
		return nil, err
	}
	set := r.set
	set.Platform = r.report.Platform
	return kind.Open(r.s.order(r.row, set), secret)
}

// save stores how far the delivery is, while the job is still this worker's. A
// step that succeeded ends a row of failures.
func (r *deliveryRun) save(ctx context.Context, step string) error {
	r.row.Failures = 0
	return r.store(ctx, step, nil, time.Time{})
}

func (r *deliveryRun) store(ctx context.Context, step string, failure json.RawMessage, next time.Time) error {
	state, err := json.Marshal(r.state)
	if err != nil {
		return fmt.Errorf("store delivery: %w", err)
	}
	report, err := json.Marshal(r.report)
	if err != nil {
		return fmt.Errorf("store delivery: %w", err)
	}
	return r.s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if err := r.s.cfg.Jobs.Check(ctx, tx, r.j); err != nil {
			return err
		}
		return tx.UpdateDelivery(ctx, r.row.ID, sqldb.DeliveryUpdate{
			Step: &step, State: new(json.RawMessage(state)), Report: new(json.RawMessage(report)), Warnings: &r.row.Warnings,
			Failures: &r.row.Failures, Error: &failure, NextAttemptAt: &next, UpdatedAt: r.s.now(),
		})
	})
}

// failed decides what becomes of a delivery whose step has failed.
func (r *deliveryRun) failed(ctx context.Context, cause error) error {
	failure, final := problemOf(cause)
	mends := r.s.mends(cause)
	final = final && !mends
	p, understood := errors.AsType[*delivery.Problem](cause)
	if !understood {
		p = &delivery.Problem{}
		r.s.cfg.Logger.ErrorContext(ctx, "deliver audience", "delivery", r.row.ID, "err", cause)
	}
	now := r.s.now()
	if !p.Until.IsZero() {
		if !r.set.Wait {
			return r.end(ctx, sqldb.StatusFailed, &failure)
		}
		return r.later(ctx, p.Until, "waiting until the receiver takes new files", nil)
	}
	if r.row.Failures++; final || r.row.Failures >= maxFailures {
		if !final {
			failure.Message += fmt.Sprintf("; it was tried %d times", r.row.Failures)
		}
		if !final && !mends {
			failure.Message += ". Deliver again when the receiver is well"
		}
		return r.end(ctx, sqldb.StatusFailed, &failure)
	}
	wait := max(r.s.cfg.DeliveryRetry(int(r.row.Failures)), p.RetryAfter)
	return r.later(ctx, now.Add(wait), r.row.Step, &failure)
}

// later hands the delivery back until an instant: no worker waits for it.
func (r *deliveryRun) later(ctx context.Context, at time.Time, step string, failure *throng.Failure) error {
	raw, err := wordFailure(failure)
	if err != nil {
		return err
	}
	if err := r.store(ctx, step, raw, at); err != nil {
		return err
	}
	return job.RetryAfter(at.Sub(r.s.now()), errors.New("not delivered yet"))
}

func wordFailure(f *throng.Failure) (json.RawMessage, error) {
	if f == nil {
		return nil, nil
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("word failure: %w", err)
	}
	return raw, nil
}

// end ends the delivery, with its job, in one transaction, and removes its
// lists.
func (r *deliveryRun) end(ctx context.Context, status string, failure *throng.Failure) error {
	raw, err := wordFailure(failure)
	if err != nil {
		return err
	}
	report, err := json.Marshal(r.report)
	if err != nil {
		return fmt.Errorf("store delivery: %w", err)
	}
	u := r.s.deliveryEnd(status, raw)
	u.Report, u.State = new(json.RawMessage(report)), new(json.RawMessage(nil))
	u.Warnings, u.Failures = &r.row.Warnings, &r.row.Failures
	err = r.s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if err := r.s.cfg.Jobs.Complete(ctx, tx, r.j); err != nil {
			return err
		}
		return tx.UpdateDelivery(ctx, r.row.ID, u)
	})
	if err != nil {
		return err
	}
	if err := r.s.deleteFiles(context.WithoutCancel(ctx), record.DeliveryPrefix(r.row.ID), ""); err != nil {
		r.s.cfg.Logger.ErrorContext(ctx, "delete files", "delivery", r.row.ID, "err", err) // the sweep finds them
	}
	return nil
}

// deliveryLost ends a delivery whose job ended otherwise than by itself.
func (s *Service) deliveryLost(ctx context.Context, tx *sqldb.Tx, j job.Job, cause error) error {
	s.cfg.Logger.ErrorContext(ctx, "delivery failed", "delivery", j.OwnerRef, "err", cause)
	raw, err := wordFailure(&throng.Failure{Code: string(throng.Internal), Message: "the delivery ended with an internal error", Retry: true})
	if err != nil {
		return err
	}
	err = tx.UpdateDelivery(ctx, j.OwnerRef, s.deliveryEnd(sqldb.StatusFailed, raw))
	if errors.Is(err, sqldb.ErrNotFound) { // ended already
		return nil
	}
	return err
}

// retryDelivery is how long a delivery waits after so many failures in a row.
func retryDelivery(failures int) time.Duration { return webhook.Schedule(failures, nil) }
