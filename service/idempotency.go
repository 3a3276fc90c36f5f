package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"throng"
	"throng/service/leap"
	"throng/sqldb"
)

// ErrAnswered says that a request with the same key was carried out meanwhile;
// Answered gives its answer.
var ErrAnswered = errors.New("the request was answered before")

// answerLife is how long an answer is given again.
const answerLife = 24 * time.Hour

// Answered gives the answer that the same request was given before, nil where
// there is none. Conflict where the key was used for another body; a BodyHash
// of "" is not compared, since it is not known yet.
func (s *Service) Answered(ctx context.Context, c *throng.Caller, once Once) (*Kept, error) {
	a, err := s.db.Answer(ctx, c.ID, once.Method, once.Path, once.Key)
	if errors.Is(err, sqldb.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if over, err := s.over(ctx, s.db, a); over || err != nil {
		return nil, err
	}
	if once.BodyHash != "" && a.BodyHash != once.BodyHash {
		return nil, errOtherBody()
	}
	return &Kept{Status: a.Status, Body: []byte(a.Response)}, nil
}

// over tells whether an answer is too old to be given again. A clock that has just
// leapt ahead does not make it so: the request would be carried out twice.
func (s *Service) over(ctx context.Context, q leap.Reader, a sqldb.Answer) (bool, error) {
	now := s.now()
	if !a.CreatedAt.Before(now.Add(-answerLife)) {
		return false, nil
	}
	t, err := leap.Read(ctx, q)
	return t.Holds(now), err
}

func errOtherBody() error {
	return throng.Errorf(throng.Conflict, "the idempotency key was used for another request before")
}

// keep stores the answer in the transaction of what the request made. Where
// another process was first, the transaction ends with ErrAnswered.
func (s *Service) keep(ctx context.Context, tx *sqldb.Tx, c *throng.Caller, once *Once, made any) error {
	if once == nil {
		return nil
	}
	now := s.now()
	before, err := tx.Answer(ctx, c.ID, once.Method, once.Path, once.Key)
	if err == nil {
		over, overErr := s.over(ctx, tx, before)
		if overErr != nil {
			return overErr
		}
		if over {
			if _, err := tx.SweepAnswers(ctx, now.Add(-answerLife)); err != nil {
				return err
			}
			err = sqldb.ErrNotFound
		}
	}
	switch {
	case err == nil && before.BodyHash != once.BodyHash:
		return errOtherBody()
	case err == nil:
		return ErrAnswered
	case !errors.Is(err, sqldb.ErrNotFound):
		return err
	}
	status, body, err := once.Answer(made)
	if err != nil {
		return fmt.Errorf("word answer: %w", err)
	}
	return tx.PutAnswer(ctx, sqldb.Answer{
		CallerID: c.ID, Method: once.Method, Path: once.Path, Key: once.Key, BodyHash: once.BodyHash,
		Status: status, Response: string(body), CreatedAt: now,
	})
}
