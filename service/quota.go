package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"throng"
	"throng/sqldb"
)

// retryWaiting is when to send another build where too many wait: some of them
// will have ended by then.
const retryWaiting = 10 * time.Second

const (
	mib = 1 << 20
	// unlimited is more than anybody sends, and bears to be added to.
	unlimited = 1 << 62
)

// storedQueries are what a DB and a transaction have in common.
type storedQueries interface {
	StoredBytes(ctx context.Context, callerID int64) (sqldb.Stored, error)
}

// room tells how many bytes more may be kept for a caller, at least one.
// QuotaExceeded where there is no room.
func (s *Service) room(ctx context.Context, q storedQueries, c *throng.Caller) (int64, error) {
	limit := c.Limits.StoredMiB
	if limit <= 0 {
		return unlimited, nil
	}
	stored, err := q.StoredBytes(ctx, c.ID)
	if err != nil {
		return 0, err
	}
	if left := limit*mib - stored.Total(); left > 0 {
		return left, nil
	}
	return 0, errQuota(stored, limit)
}

// mostStored is what a caller may store, in bytes. Of an upload nobody knows
// before its end whether it is there already, and takes no room.
func mostStored(c *throng.Caller) int64 {
	if c.Limits.StoredMiB <= 0 {
		return unlimited
	}
	return c.Limits.StoredMiB * mib
}

// within makes sure, in the transaction that stores more for a caller, that it
// is no more than may be stored. QuotaExceeded.
func (s *Service) within(ctx context.Context, tx *sqldb.Tx, c *throng.Caller) error {
	limit := c.Limits.StoredMiB
	if limit <= 0 {
		return nil
	}
	stored, err := tx.StoredBytes(ctx, c.ID)
	if err != nil {
		return err
	}
	if stored.Total() > limit*mib {
		return errQuota(stored, limit)
	}
	return nil
}

// withinOf is within for a caller who is not at hand.
func (s *Service) withinOf(ctx context.Context, tx *sqldb.Tx, callerID int64) error {
	row, err := tx.CallerByID(ctx, callerID)
	if err != nil {
		return err
	}
	return s.within(ctx, tx, fromCaller(row))
}

// errNoRoom ends the writing of what is more than may be stored.
var errNoRoom = errors.New("no room")

// noRoom words errNoRoom: as if more was stored already.
func (s *Service) noRoom(ctx context.Context, c *throng.Caller, more sqldb.Stored) error {
	stored, err := s.db.StoredBytes(ctx, c.ID)
	if err != nil {
		return err
	}
	stored.Uploads += more.Uploads
	stored.Incoming += more.Incoming
	return errQuota(stored, c.Limits.StoredMiB)
}

func errQuota(stored sqldb.Stored, limit int64) error {
	part := func(n int64) string { return fmt.Sprintf("%.1f", float64(n)/mib) }
	return throng.Errorf(throng.QuotaExceeded, "%s MiB would be stored of the %d MiB that you may store (uploads %s, files of audiences %s, device audiences %s, "+
		"files sent to addresses %s): delete uploads or audiences; files sent to addresses go %d hours after they were last used",
		part(stored.Total()), limit, part(stored.Uploads), part(stored.Outputs), part(stored.Devices), part(stored.Incoming), int(incomingLife/time.Hour))
}

// mayWait makes sure, in the transaction that adds work of a kind, that not too
// much of it waits already. RateLimited.
func (s *Service) mayWait(ctx context.Context, tx *sqldb.Tx, c *throng.Caller, kind string) error {
	limit := c.Limits.WaitingBuilds
	if limit <= 0 {
		return nil
	}
	n, err := s.cfg.Jobs.Waiting(ctx, tx, kind, group(c.ID))
	if err != nil || n < limit {
		return err
	}
	plural := map[string]string{jobBuild: "builds", jobDevices: "lists of devices", JobDelivery: "deliveries"}[kind]
	e := throng.Errorf(throng.RateLimited, "%d of your %s wait for their turn, as many as may wait; send this one again when some have ended", n, plural)
	e.RetryAfter = retryWaiting
	return e
}
