// Package leap finds out that the clock has leapt ahead, as one that was set wrong
// does, and says whether what is old by it is.
package leap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"throng/sqldb"
)

const (
	// most is how much later it may be than at the last look at the clock, one
	// of which comes with every sweep, before the clock is thought to have leapt. What is kept for a day is
	// still kept for some hours where it leaps by less.
	most = 18 * time.Hour
	// pause is for how long after a leap nothing is removed for its age. Nobody
	// can tell a clock that is wrong from a server that was off; in that time who
	// knows can set it right.
	pause = 24 * time.Hour
)

// The meta keys of a trust, in microseconds since 1970.
const (
	metaSeen = "sweep_seen"
	metaHold = "sweep_hold"
)

// Trust says whether the clock is believed when it says that something is old.
type Trust struct {
	seen time.Time // what the clock showed when it was last looked at
	hold time.Time // until when nothing is removed for its age
}

// Reader reads what was noted: a database or a transaction.
type Reader interface {
	// Meta wraps [sqldb.ErrNotFound] where nothing was noted.
	Meta(ctx context.Context, key string) (string, error)
}

// Read reads what was noted when the clock was last looked at.
func Read(ctx context.Context, q Reader) (t Trust, err error) {
	for _, v := range []struct {
		key string
		at  *time.Time
	}{{metaSeen, &t.seen}, {metaHold, &t.hold}} {
		text, err := q.Meta(ctx, v.key)
		if errors.Is(err, sqldb.ErrNotFound) {
			continue
		}
		if err != nil {
			return t, err
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return t, fmt.Errorf("meta %s: %w", v.key, err)
		}
		*v.at = time.UnixMicro(n)
	}
	return t, nil
}

// leapt tells whether the clock is far ahead of where it was.
func (t Trust) leapt(now time.Time) bool { return !t.seen.IsZero() && now.Sub(t.seen) > most }

// Holds tells whether the clock is believed at an instant that it shows. A hold
// that ends later than any can that began now is of before the clock was set back.
func (t Trust) Holds(now time.Time) bool {
	return !t.leapt(now) && (!now.Before(t.hold) || t.hold.Sub(now) > pause)
}

// Look notes what the clock shows, and tells whether what is old by it may
// be removed.
func Look(ctx context.Context, db *sqldb.DB, now time.Time, logger *slog.Logger) (trusted bool, err error) {
	err = db.Tx(ctx, func(tx *sqldb.Tx) error {
		t, err := Read(ctx, tx)
		if err != nil {
			return err
		}
		if t.leapt(now) {
			before := t.seen
			t.hold = now.Add(pause)
			if err := tx.SetMeta(ctx, metaHold, strconv.FormatInt(t.hold.UnixMicro(), 10)); err != nil {
				return err
			}
			tx.AfterCommit(func() {
				logger.WarnContext(ctx, "the clock has leapt ahead, or no server ran for long: nothing is removed for its age for a day; if the clock is wrong, set it right",
					"was", before.UTC().Format(time.RFC3339), "is", now.Format(time.RFC3339), "until", t.hold.Format(time.RFC3339))
			})
		}
		t.seen = now
		trusted = t.Holds(now)
		return tx.SetMeta(ctx, metaSeen, strconv.FormatInt(now.UnixMicro(), 10))
	})
	if err != nil {
		return false, fmt.Errorf("look at the clock: %w", err)
	}
	return trusted, nil
}
