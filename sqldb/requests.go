package sqldb

import (
	"context"
	"fmt"
	"time"
)

// Answer is what a request with an idempotency key was answered.
type Answer struct {
	CallerID  int64
	Method    string
	Path      string
	Key       string
	BodyHash  string
	Status    int // HTTP
	Response  string
	CreatedAt time.Time
}

// PutAnswer stores an answer; put it in the transaction of what the request
// made. [ErrExists] when the key has one already: then another process was
// first, and the transaction must be given up.
func (q Queries) PutAnswer(ctx context.Context, a Answer) error {
	err := q.h.write(ctx, func(x conn) error {
		n, err := x.count(ctx, `INSERT INTO idempotency (caller_id, method, path, key, body_hash, status, response, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			a.CallerID, a.Method, a.Path, a.Key, a.BodyHash, a.Status, a.Response, micros(a.CreatedAt))
		if err == nil && n == 0 {
			err = ErrExists
		}
		return err
	})
	return wrap("put answer", err)
}

// Answer returns what was stored for a key, or [ErrNotFound]. It does not look
// at its age; [Queries.SweepAnswers] removes the old ones.
func (q Queries) Answer(ctx context.Context, callerID int64, method, path, key string) (a Answer, err error) {
	err = q.h.read(ctx, func(x conn) error {
		return x.queryRow(ctx, `SELECT caller_id, method, path, key, body_hash, status, response, created_at FROM idempotency
			WHERE caller_id = ? AND method = ? AND path = ? AND key = ?`, callerID, method, path, key).
			Scan(&a.CallerID, &a.Method, &a.Path, &a.Key, &a.BodyHash, &a.Status, &a.Response, instant{&a.CreatedAt})
	})
	return a, wrap("read answer", err)
}

// SweepAnswers removes the answers made before an instant and returns how many.
func (q Queries) SweepAnswers(ctx context.Context, before time.Time) (n int64, err error) {
	err = q.h.write(ctx, func(x conn) error {
		n, err = x.count(ctx, `DELETE FROM idempotency WHERE created_at < ?`, micros(before))
		return err
	})
	return n, wrap("sweep answers", err)
}

// Session is one browser that a caller signed in.
type Session struct {
	IDHash    string // of the cookie, which is stored nowhere
	CallerID  int64
	ExpiresAt time.Time
}

// PutSession stores a session.
func (q Queries) PutSession(ctx context.Context, s Session) error {
	err := q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `INSERT INTO sessions (id_hash, caller_id, expires_at) VALUES (?, ?, ?)`,
			s.IDHash, s.CallerID, micros(s.ExpiresAt))
		return err
	})
	return wrap("put session", err)
}

// Session returns a session that has not expired by now, or [ErrNotFound].
func (q Queries) Session(ctx context.Context, idHash string, now time.Time) (s Session, err error) {
	err = q.h.read(ctx, func(x conn) error {
		return x.queryRow(ctx, `SELECT id_hash, caller_id, expires_at FROM sessions WHERE id_hash = ? AND expires_at > ?`,
			idHash, micros(now)).Scan(&s.IDHash, &s.CallerID, instant{&s.ExpiresAt})
	})
	return s, wrap("read session", err)
}

// DeleteSession ends a session; it is no error when there is none.
func (q Queries) DeleteSession(ctx context.Context, idHash string) error {
	err := q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `DELETE FROM sessions WHERE id_hash = ?`, idHash)
		return err
	})
	return wrap("delete session", err)
}

// SweepSessions removes the sessions that have expired by now.
func (q Queries) SweepSessions(ctx context.Context, now time.Time) error {
	err := q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `DELETE FROM sessions WHERE expires_at <= ?`, micros(now))
		return err
	})
	return wrap("sweep sessions", err)
}

// Meta returns a value kept for the database as a whole, or [ErrNotFound].
func (q Queries) Meta(ctx context.Context, key string) (value string, err error) {
	err = q.h.read(ctx, func(x conn) error {
		return x.queryRow(ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&value)
	})
	return value, wrap("read meta", err)
}

// SetMeta stores a value for the database as a whole.
func (q Queries) SetMeta(ctx context.Context, key, value string) error {
	err := q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `INSERT INTO meta (key, value) VALUES (?, ?)
			ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
		return err
	})
	return wrap("set meta", err)
}

// InitMeta stores a value unless there is one, and returns the one that stands:
// where several processes make up a value, all get the first.
func (q Queries) InitMeta(ctx context.Context, key, value string) (stands string, err error) {
	err = q.h.write(ctx, func(x conn) error {
		if _, err := x.exec(ctx, `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING`, key, value); err != nil {
			return err
		}
		return x.queryRow(ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&stands)
	})
	if err != nil {
		return "", fmt.Errorf("init meta: %w", err)
	}
	return stands, nil
}
