package sqldb

import (
	"context"
	"time"
)

// SecretKind says what a secret of a caller is for.
type SecretKind string

// The secrets that can be replaced.
const (
	SecretToken   SecretKind = "token"
	SecretAPIKey  SecretKind = "api_key"
	SecretWebhook SecretKind = "webhook"
)

// OldSecret is a secret that another one has replaced.
type OldSecret struct {
	CallerID int64
	Kind     SecretKind
	Hash     string // of a token
	Sealed   string // of the other kinds, as the caller had it
	EndsAt   time.Time
}

// KeepOldSecret stores a secret that goes on until EndsAt.
func (q Queries) KeepOldSecret(ctx context.Context, s OldSecret) error {
	err := q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `INSERT INTO old_secrets (caller_id, kind, hash, sealed, ends_at) VALUES (?, ?, ?, ?, ?)`,
			s.CallerID, string(s.Kind), s.Hash, s.Sealed, micros(s.EndsAt))
		return err
	})
	return wrap("keep old secret", err)
}

// EndOldSecrets lets no old secret of a kind go on for longer than until at.
func (q Queries) EndOldSecrets(ctx context.Context, callerID int64, kind SecretKind, at time.Time) error {
	err := q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `UPDATE old_secrets SET ends_at = ? WHERE caller_id = ? AND kind = ? AND ends_at > ?`,
			micros(at), callerID, string(kind), micros(at))
		return err
	})
	return wrap("end old secrets", err)
}

// OldSecrets returns the old secrets of a kind that are still valid, the newest
// first.
func (q Queries) OldSecrets(ctx context.Context, callerID int64, kind SecretKind, now time.Time) ([]OldSecret, error) {
	return readRows(ctx, q, "read old secrets", scanOldSecret, `SELECT caller_id, kind, hash, sealed, ends_at FROM old_secrets
		WHERE caller_id = ? AND kind = ? AND ends_at > ? ORDER BY id DESC`, callerID, string(kind), micros(now))
}

func scanOldSecret(row scanner) (s OldSecret, err error) {
	err = row.Scan(&s.CallerID, &s.Kind, &s.Hash, &s.Sealed, instant{&s.EndsAt})
	return s, err
}

// CallerByOldToken returns the caller, revoked or not, who had a token that is
// still valid, or [ErrNotFound].
func (q Queries) CallerByOldToken(ctx context.Context, hash string, now time.Time) (Caller, error) {
	return readRow(ctx, q, "read caller", scanCaller, `SELECT `+callerColumns+` FROM callers WHERE id =
		(SELECT MAX(caller_id) FROM old_secrets WHERE hash = ? AND kind = ? AND ends_at > ?)`, hash, string(SecretToken), micros(now))
}

// SweepOldSecrets removes those that have ended.
func (q Queries) SweepOldSecrets(ctx context.Context, now time.Time) error {
	err := q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `DELETE FROM old_secrets WHERE ends_at <= ?`, micros(now))
		return err
	})
	return wrap("sweep old secrets", err)
}

// DeleteCallerSessions ends every session of a caller's on the web page.
func (q Queries) DeleteCallerSessions(ctx context.Context, callerID int64) error {
	err := q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `DELETE FROM sessions WHERE caller_id = ?`, callerID)
		return err
	})
	return wrap("delete sessions", err)
}
