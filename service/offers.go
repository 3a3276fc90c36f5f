package service

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"throng"
	"throng/service/record"
	"throng/sqldb"
)

// offerKey names an offer: each caller numbers their own.
type offerKey struct{ caller, offer int64 }

// PutOffer says whom an offer is for, in place of what was said of it before.
// It is durable when this returns, and used by the next MatchOffer of this
// process. NotFound where an audience is no device audience of the caller,
// Conflict where one has not been ready yet; details have the paths
// include[i] and exclude[i]. What is repeated counts once.
func (s *Service) PutOffer(ctx context.Context, c *throng.Caller, o throng.Offer) error {
	defer s.offers.Forget(offerKey{c.ID, o.ID})
	return s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if err := checkTargets(ctx, tx, c, o); err != nil {
			return err
		}
		return tx.PutOffer(ctx, sqldb.Offer{CallerID: c.ID, ID: o.ID, Include: distinct(o.Include), Exclude: distinct(o.Exclude), UpdatedAt: s.now()})
	})
}

// distinct gives each id once, in the order of the first ones.
func distinct(ids []int64) (once []int64) {
	for _, id := range ids {
		if !slices.Contains(once, id) {
			once = append(once, id)
		}
	}
	return once
}

// checkTargets finds what is wrong with an offer's audiences.
func checkTargets(ctx context.Context, tx *sqldb.Tx, c *throng.Caller, o throng.Offer) error {
	var missing, waiting []throng.Detail
	for _, list := range []struct {
		name string
		ids  []int64
	}{{"include", o.Include}, {"exclude", o.Exclude}} {
		for i, id := range list.ids {
			path := fmt.Sprintf("%s[%d]", list.name, i)
			row, err := tx.Audience(ctx, c.ID, id)
			if err == nil && row.Kind != string(throng.Device) {
				err = sqldb.ErrNotFound
			}
			if errors.Is(err, sqldb.ErrNotFound) {
				missing = append(missing, throng.Detail{Path: path, Message: "is no device audience of yours"})
				continue
			}
			var why string
			if err == nil {
				why, err = holdsDevices(row)
			}
			if err != nil {
				return err
			}
			if why != "" {
				waiting = append(waiting, throng.Detail{Path: path, Message: "is not ready: " + why})
			}
		}
	}
	switch {
	case len(missing) > 0:
		return throng.Refuse(throng.NotFound, append(missing, waiting...))
	case len(waiting) > 0:
		return throng.Refuse(throng.Conflict, waiting)
	}
	return nil
}

// holdsDevices tells whether files of an audience were read to their end. It
// stays so while others are read, and where these turn out to be bad. If not it
// tells why.
func holdsDevices(row sqldb.Audience) (why string, err error) {
	switch _, err = record.InUse(row); {
	case !errors.Is(err, record.ErrNoDevices):
		return "", err
	case row.Status == sqldb.StatusRunning:
		return "its files are still being read", nil
	default:
		return "its files could not be used", nil
	}
}

// Offer tells whom an offer is for. NotFound where it was never put.
func (s *Service) Offer(ctx context.Context, c *throng.Caller, id int64) (*throng.Offer, error) {
	row, err := s.db.Offer(ctx, c.ID, id)
	if err != nil {
		return nil, known(err, "offer %d was never given an audience", id)
	}
	return &throng.Offer{ID: row.ID, Include: row.Include, Exclude: row.Exclude}, nil
}

// recentOffer is Offer for who asks often. The lists are shared.
func (s *Service) recentOffer(ctx context.Context, c *throng.Caller, id int64) (*throng.Offer, error) {
	return s.offers.Get(offerKey{c.ID, id}, func() (*throng.Offer, error) { return s.Offer(ctx, c, id) })
}
