package sqldb

import (
	"context"
	"time"
)

// Offer says whom an advertisement is for.
type Offer struct {
	CallerID  int64
	ID        int64   // the caller's own number
	Include   []int64 // audiences, by id; none is everyone
	Exclude   []int64
	UpdatedAt time.Time
}

// PutOffer stores an offer, in place of an older one of its caller and id.
func (q Queries) PutOffer(ctx context.Context, o Offer) error {
	err := q.h.write(ctx, func(x conn) error {
		if _, err := x.exec(ctx, `INSERT INTO offers (caller_id, offer_id, updated_at) VALUES (?, ?, ?)
			ON CONFLICT (caller_id, offer_id) DO UPDATE SET updated_at = excluded.updated_at`,
			o.CallerID, o.ID, micros(o.UpdatedAt)); err != nil {
			return err
		}
		if _, err := x.exec(ctx, `DELETE FROM offer_audiences WHERE caller_id = ? AND offer_id = ?`, o.CallerID, o.ID); err != nil {
			return err
		}
		for excluded, ids := range [][]int64{o.Include, o.Exclude} {
			for _, id := range ids {
				if _, err := x.exec(ctx, `INSERT INTO offer_audiences (caller_id, offer_id, audience_id, excluded)
					VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`, o.CallerID, o.ID, id, excluded); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return wrap("put offer", err)
}

// Offer returns a caller's offer, or [ErrNotFound] when it was never put.
func (q Queries) Offer(ctx context.Context, callerID, id int64) (Offer, error) {
	o := Offer{CallerID: callerID, ID: id}
	err := q.h.read(ctx, func(x conn) error {
		err := x.queryRow(ctx, `SELECT updated_at FROM offers WHERE caller_id = ? AND offer_id = ?`, callerID, id).
			Scan(instant{&o.UpdatedAt})
		if err != nil {
			return err
		}
		for excluded, ids := range []*[]int64{&o.Include, &o.Exclude} {
			rows, err := x.query(ctx, `SELECT audience_id FROM offer_audiences
				WHERE caller_id = ? AND offer_id = ? AND excluded = ? ORDER BY audience_id`, callerID, id, excluded)
			if *ids, err = collect(rows, err, scanID); err != nil {
				return err
			}
		}
		return nil
	})
	return o, wrap("read offer", err)
}

// TargetedAudiences returns which of the audiences an offer includes or
// excludes, in the order of their ids.
func (q Queries) TargetedAudiences(ctx context.Context, audienceIDs ...int64) ([]int64, error) {
	w := where{}
	w.addIDs(`audience_id`, audienceIDs)
	return readRows(ctx, q, "read targeted audiences", scanID, `SELECT DISTINCT audience_id FROM offer_audiences`+w.String()+` ORDER BY audience_id`, w.args...)
}
