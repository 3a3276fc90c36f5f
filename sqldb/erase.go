package sqldb

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// EndedAudiences returns the ids, above after and in their order, of audiences
// that are not deleted, not running, and whose end, or whose last files where
// these came later, was before an instant.
func (q Queries) EndedAudiences(ctx context.Context, before time.Time, after int64, limit int) ([]int64, error) {
	return q.ids(ctx, "find ended audiences", `SELECT id FROM audiences WHERE deleted_at IS NULL AND status <> ? AND id > ?
		AND COALESCE(finished_at, created_at) < ? AND updated_at < ? ORDER BY id`, limit, StatusRunning, after, micros(before), micros(before))
}

// DeletedAudiences returns the ids, above after and in their order, of audiences
// that were deleted before an instant and have no callback on its way.
func (q Queries) DeletedAudiences(ctx context.Context, before time.Time, after int64, limit int) ([]int64, error) {
	return q.ids(ctx, "find deleted audiences", `SELECT id FROM audiences WHERE deleted_at < ? AND id > ? AND NOT EXISTS
		(SELECT 1 FROM callbacks c WHERE c.audience_id = audiences.id AND c.status = ?) ORDER BY id`,
		limit, micros(before), after, CallbackPending)
}

// UnusedUploads returns the ids, above after and in their order, of uploads that
// were made before an instant and that no audience uses which is there.
func (q Queries) UnusedUploads(ctx context.Context, before time.Time, after int64, limit int) ([]int64, error) {
	return q.ids(ctx, "find unused uploads", `SELECT id FROM uploads WHERE created_at < ? AND id > ? AND NOT EXISTS
		(SELECT 1 FROM uses u JOIN audiences a ON a.id = u.audience_id
		WHERE u.kind = ? AND u.used_id = uploads.id AND a.deleted_at IS NULL) ORDER BY id`, limit, micros(before), after, UseUpload)
}

func (q Queries) ids(ctx context.Context, doing, query string, limit int, args ...any) ([]int64, error) {
	return readRows(ctx, q, doing, scanID, query+fmt.Sprintf(" LIMIT %d", limit), args...)
}

// HasPendingCallback tells whether a callback of an audience is on its way.
func (q Queries) HasPendingCallback(ctx context.Context, audienceID int64) (has bool, err error) {
	err = q.h.read(ctx, func(x conn) error {
		var one int
		err := x.queryRow(ctx, `SELECT 1 FROM callbacks WHERE audience_id = ? AND status = ? LIMIT 1`, audienceID, CallbackPending).Scan(&one)
		has = err == nil
		return err
	})
	if err = wrap("read callbacks", err); errors.Is(err, ErrNotFound) {
		err = nil
	}
	return has, err
}

// EraseAudience removes the row of an audience and every other that is of it:
// its outputs, callbacks with their bodies, deliveries, report and public link,
// and its place in offers. Its id is not used again. Where there is none it does
// nothing. Its files are the caller's of this method to delete, afterwards.
func (q Queries) EraseAudience(ctx context.Context, id int64) error {
	err := q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `DELETE FROM callback_attempts WHERE callback_id IN (SELECT id FROM callbacks WHERE audience_id = ?)`, id)
		for _, table := range ofAudience {
			if err == nil {
				_, err = x.exec(ctx, `DELETE FROM `+table+` WHERE audience_id = ?`, id)
			}
		}
		if err == nil {
			_, err = x.exec(ctx, `DELETE FROM audiences WHERE id = ?`, id)
		}
		return err
	})
	return wrap("erase audience", err)
}

// ofAudience are the tables whose rows are of the audience that they name, and
// go with it.
var ofAudience = []string{"callbacks", "deliveries", "public_links", "insights", "outputs", "uses", "offer_audiences"}

// CallerAudiences returns the ids, above after and in their order, of all
// audiences of a caller, deleted or not.
func (q Queries) CallerAudiences(ctx context.Context, callerID, after int64, limit int) ([]int64, error) {
	return q.ids(ctx, "list audiences", `SELECT id FROM audiences WHERE caller_id = ? AND id > ? ORDER BY id`, limit, callerID, after)
}

// PendingCallbacks returns the ids of a caller's callbacks that are on their way.
func (q Queries) PendingCallbacks(ctx context.Context, callerID int64, limit int) ([]int64, error) {
	return q.ids(ctx, "list callbacks", `SELECT id FROM callbacks WHERE caller_id = ? AND status = ? ORDER BY id`, limit, callerID, CallbackPending)
}

// RunningDeliveries returns the ids of a caller's deliveries that run.
func (q Queries) RunningDeliveries(ctx context.Context, callerID int64, limit int) ([]int64, error) {
	return q.ids(ctx, "list deliveries", `SELECT id FROM deliveries WHERE caller_id = ? AND status = ? ORDER BY id`, limit, callerID, StatusRunning)
}

// EraseOffers removes the offers of a caller.
func (q Queries) EraseOffers(ctx context.Context, callerID int64) error {
	err := q.h.write(ctx, func(x conn) error {
		if _, err := x.exec(ctx, `DELETE FROM offer_audiences WHERE caller_id = ?`, callerID); err != nil {
			return err
		}
		_, err := x.exec(ctx, `DELETE FROM offers WHERE caller_id = ?`, callerID)
		return err
	})
	return wrap("erase offers", err)
}

// EraseIncoming removes the addresses that were given to a caller, and returns
// them: their files are to be deleted.
func (q Queries) EraseIncoming(ctx context.Context, callerID int64) (gone []Incoming, err error) {
	err = q.h.write(ctx, func(x conn) error {
		rows, err := x.query(ctx, `DELETE FROM incoming WHERE caller_id = ? RETURNING `+incomingColumns, callerID)
		gone, err = collect(rows, err, scanIncoming)
		return err
	})
	return gone, wrap("erase incoming", err)
}

// EraseSecrets removes all by which a caller could be known or spoken for: the
// tokens and keys, kept answers, credentials and sessions. The caller's name and
// id stay, and are nobody else's.
func (q Queries) EraseSecrets(ctx context.Context, callerID int64) error {
	err := q.h.write(ctx, func(x conn) error {
		for _, query := range []string{
			`DELETE FROM idempotency WHERE caller_id = ?`,
			`DELETE FROM credentials WHERE caller_id = ?`,
			`DELETE FROM sessions WHERE caller_id = ?`,
			`DELETE FROM old_secrets WHERE caller_id = ?`,
			// The columns are unique, so that what fills them has to be.
			`UPDATE callers SET token_hash = 'erased ' || id, token_id = '', access_key = 'erased ' || id, api_key_sealed = '',
				webhook_secret_sealed = '' WHERE id = ?`,
		} {
			if _, err := x.exec(ctx, query, callerID); err != nil {
				return err
			}
		}
		return nil
	})
	return wrap("erase secrets", err)
}
