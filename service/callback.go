package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"throng"
	"throng/internal/logs"
	"throng/job"
	"throng/service/page"
	"throng/sqldb"
	"throng/webhook"
)

// announce stores the callback of a build that has ended, with the body that a
// question for the audience is answered at this moment, and the job to deliver
// it. Without a callback_url it does nothing.
func (s *Service) announce(ctx context.Context, tx *sqldb.Tx, audienceID int64) error {
	row, err := tx.Audience(ctx, 0, audienceID)
	if err != nil || row.CallbackURL == "" {
		return err
	}
	caller, err := tx.CallerByID(ctx, row.CallerID)
	if err != nil {
		return err
	}
	a, err := s.view(ctx, tx, row, fromCaller(caller))
	if err != nil {
		return err
	}
	body, err := s.cfg.Render(a)
	if err != nil {
		return fmt.Errorf("word callback: %w", err)
	}
	now := s.now()
	id, err := tx.InsertCallback(ctx, sqldb.Callback{
		AudienceID: row.ID, CallerID: row.CallerID, Event: "audience", URL: row.CallbackURL, Body: body,
		Status: sqldb.CallbackPending, NextAttemptAt: now, CreatedAt: now,
	})
	if err != nil {
		return err
	}
	return s.enqueueCallback(ctx, tx, id, row.CallerID)
}

func (s *Service) enqueueCallback(ctx context.Context, tx *sqldb.Tx, id, callerID int64) error {
	_, err := s.cfg.Jobs.Enqueue(ctx, tx, job.Job{
		Kind: jobCallback, Key: strconv.FormatInt(id, 10), OwnerRef: id,
		Group: strconv.FormatInt(callerID, 10), MaxAttempts: job.NoLimit,
	})
	return err
}

// callBack makes one attempt and records it. It answers when to come back; an
// attempt cut short by our own end is none.
func (s *Service) callBack(ctx context.Context, j job.Job) error {
	c, err := s.db.Callback(ctx, 0, j.OwnerRef)
	if errors.Is(err, sqldb.ErrNotFound) || err == nil && c.Status != sqldb.CallbackPending {
		return nil
	}
	if err != nil {
		return err
	}
	ctx = logs.With(ctx, slog.Int64("audience", c.AudienceID), slog.Int64("callback", c.ID))
	caller, err := s.db.CallerByID(ctx, c.CallerID)
	if err != nil {
		return err
	}
	keys, err := s.opened(ctx, caller, sqldb.SecretWebhook, caller.WebhookSecretSealed, webhookBinding(caller.Name))
	if err != nil {
		return err
	}
	at := s.now()
	result := s.cfg.Sender.Send(ctx, webhook.Message{
		ID: "callback_" + strconv.FormatInt(c.ID, 10), URL: c.URL, Secret: keys[0], Older: keys[1:], Body: c.Body,
	})
	if result.Aborted {
		return job.Released
	}
	again, retry := webhook.Next(j.Attempts, result, j.CreatedAt, s.now(), nil) // a replay has another job
	if err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if err := s.cfg.Jobs.Check(ctx, tx, j); err != nil {
			return err
		}
		return s.recordAttempt(ctx, tx, c, sqldb.Attempt{
			CallbackID: c.ID, At: at, HTTPStatus: status(result.Status), Error: result.Err, MS: result.Duration.Milliseconds(),
		}, result, again, retry)
	}); err != nil {
		return err
	}
	if retry {
		return job.RetryAfter(again.Sub(s.now()), errors.New("not delivered yet"))
	}
	if state := callbackState(result); state != sqldb.CallbackDelivered { // the error is in our own words
		s.cfg.Logger.WarnContext(ctx, "callback not delivered", "status", state, "attempts", c.Attempts+1, "err", result.Err)
	}
	return nil
}

// callbackState is that of a callback of which no further attempt is made.
func callbackState(result webhook.Result) string {
	switch {
	case result.OK():
		return sqldb.CallbackDelivered
	case result.Refused:
		return sqldb.CallbackRefused
	}
	return sqldb.CallbackFailed
}

func status(code int) *int64 {
	if code == 0 {
		return nil
	}
	n := int64(code)
	return &n
}

func (s *Service) recordAttempt(
	ctx context.Context, tx *sqldb.Tx, c sqldb.Callback, a sqldb.Attempt, result webhook.Result, again time.Time, retry bool,
) error {
	if _, err := tx.AddAttempt(ctx, a); err != nil {
		return err
	}
	now, state := s.now(), sqldb.CallbackPending
	u := sqldb.CallbackUpdate{Status: &state, NextAttemptAt: &again}
	if !retry {
		state, again, u.FinishedAt = callbackState(result), time.Time{}, &now
	}
	if !retry {
		tx.AfterCommit(func() { s.cfg.Observe.CallbackEnded(state) })
	}
	return tx.UpdateCallback(ctx, c.ID, u)
}

// callbackFailed ends a callback whose job ended otherwise than by an attempt.
func (s *Service) callbackFailed(ctx context.Context, tx *sqldb.Tx, j job.Job, cause error) error {
	s.cfg.Logger.ErrorContext(ctx, "deliver callback", "callback", j.OwnerRef, "err", cause)
	state, now, never := sqldb.CallbackFailed, s.now(), time.Time{}
	err := tx.UpdateCallback(ctx, j.OwnerRef, sqldb.CallbackUpdate{Status: &state, FinishedAt: &now, NextAttemptAt: &never})
	if errors.Is(err, sqldb.ErrNotFound) {
		return nil
	}
	tx.AfterCommit(func() { s.cfg.Observe.CallbackEnded(state) })
	return err
}

// Callbacks lists a caller's callbacks, newest first.
func (s *Service) Callbacks(ctx context.Context, c *throng.Caller, f CallbackFilter) ([]Callback, string, error) {
	limit, before, problems := page.ReadByID(f.Page)
	states := []string{sqldb.CallbackPending, sqldb.CallbackDelivered, sqldb.CallbackFailed, sqldb.CallbackRefused}
	if f.Status != "" && !slices.Contains(states, f.Status) {
		problems = append(problems, throng.Detail{Path: "status", Message: "must be pending, delivered, failed or refused"})
	}
	if err := refuse(problems, nil); err != nil {
		return nil, "", err
	}
	rows, more, err := s.db.ListCallbacks(ctx, sqldb.CallbackFilter{CallerID: c.ID, Status: f.Status, BeforeID: before, Limit: limit})
	if err != nil {
		return nil, "", err
	}
	list, err := s.callbacks(ctx, rows...)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if more {
		next = page.AfterID(rows[len(rows)-1].ID)
	}
	return list, next, nil
}

// Callback finds a caller's callback.
func (s *Service) Callback(ctx context.Context, c *throng.Caller, id int64) (*Callback, error) {
	row, err := s.db.Callback(ctx, c.ID, id)
	if err != nil {
		return nil, known(err, "callback %d does not exist", id)
	}
	list, err := s.callbacks(ctx, row)
	if err != nil {
		return nil, err
	}
	return &list[0], nil
}

func (s *Service) callbacks(ctx context.Context, rows ...sqldb.Callback) ([]Callback, error) {
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	attempts, err := s.db.Attempts(ctx, ids...)
	if err != nil {
		return nil, err
	}
	list := make([]Callback, len(rows))
	for i, r := range rows {
		list[i] = *fromCallback(r, attempts[r.ID])
	}
	return list, nil
}

func fromCallback(r sqldb.Callback, attempts []sqldb.Attempt) *Callback {
	c := &Callback{ID: r.ID, AudienceID: r.AudienceID, URL: r.URL, Status: r.Status, NextAttemptAt: r.NextAttemptAt}
	for _, a := range attempts {
		c.Attempts = append(c.Attempts, Attempt{At: a.At, HTTPStatus: int(or(a.HTTPStatus, 0)), Error: a.Error, MS: a.MS})
	}
	return c
}

// ReplayCallback sends a callback again with the same id and body, whatever
// became of it; for 24 hours from now it is tried.
func (s *Service) ReplayCallback(ctx context.Context, c *throng.Caller, id int64, once *Once) (*Callback, error) {
	var made *Callback
	err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		row, err := tx.Callback(ctx, c.ID, id)
		if err != nil {
			return known(err, "callback %d does not exist", id)
		}
		if row.Status == sqldb.CallbackPending {
			// It would be sent anyway; now is sooner.
			if _, err := s.cfg.Jobs.CancelTx(ctx, tx, jobCallback, strconv.FormatInt(id, 10)); err != nil {
				return err
			}
		}
		state, now, never := sqldb.CallbackPending, s.now(), time.Time{}
		err = tx.UpdateCallback(ctx, id, sqldb.CallbackUpdate{Status: &state, NextAttemptAt: &now, FinishedAt: &never})
		if err != nil {
			return err
		}
		if err := s.enqueueCallback(ctx, tx, id, row.CallerID); err != nil {
			return err
		}
		row.Status, row.NextAttemptAt = state, now
		attempts, err := tx.Attempts(ctx, id)
		if err != nil {
			return err
		}
		made = fromCallback(row, attempts[id])
		return s.keep(ctx, tx, c, once, made)
	})
	return made, err
}
