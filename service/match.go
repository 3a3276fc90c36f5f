package service

import (
	"context"
	"errors"
	"fmt"

	"throng"
	"throng/device"
	"throng/identifier"
	"throng/sqldb"
)

// MatchOffer tells of each device whether the offer is for it: it is in any
// included audience, or the offer includes none, and it is in no excluded one.
// An id and its MD5 are one device. Ids that stand for no device, as the zeros
// of those who opted out, are well-formed and in no audience. NotFound where the
// offer was never put, Invalid with all malformed ids where there are any.
func (s *Service) MatchOffer(ctx context.Context, c *throng.Caller, offerID int64, devices []throng.DeviceID) ([]bool, error) {
	list, problems := lookedFor(devices)
	if len(problems) > 0 {
		return nil, throng.Refuse(throng.Invalid, problems)
	}
	for attempt := 0; ; attempt++ {
		o, err := s.recentOffer(ctx, c, offerID)
		if err != nil {
			return nil, err
		}
		matches, err := s.match(ctx, o, list)
		if attempt == maxOfferReads || !errors.Is(err, sqldb.ErrNotFound) {
			return matches, err
		}
		// An audience is deleted when no offer is for it any more. So the offer
		// was changed since it was read, maybe by another process.
		s.offers.Forget(offerKey{c.ID, offerID})
	}
}

// maxOfferReads is how often an offer is read again that changes while devices
// are looked for: more often than anybody changes one in that time.
const maxOfferReads = 3

// match tells of each device whether the offer is for it.
func (s *Service) match(ctx context.Context, o *throng.Offer, list []device.Wanted) ([]bool, error) {
	matches, excluded := make([]bool, len(list)), make([]bool, len(list))
	if err := s.findIn(ctx, o.Include, list, matches); err != nil {
		return nil, err
	}
	if err := s.findIn(ctx, o.Exclude, list, excluded); err != nil {
		return nil, err
	}
	for i := range matches {
		matches[i] = (matches[i] || len(o.Include) == 0) && !excluded[i]
	}
	return matches, nil
}

// findIn tells which of the devices are in any of the audiences.
func (s *Service) findIn(ctx context.Context, audiences []int64, list []device.Wanted, found []bool) error {
	for _, id := range audiences {
		set, release, err := s.deviceSet(ctx, id)
		if err != nil {
			return fmt.Errorf("open devices of audience %d: %w", id, err)
		}
		err = set.Find(list, found)
		release()
		if err != nil {
			return err
		}
	}
	return nil
}

// DeviceProblems tells which of the devices have malformed ids.
func DeviceProblems(devices []throng.DeviceID) []throng.Detail {
	_, problems := lookedFor(devices)
	return problems
}

// nobody is a device that is in no set.
var nobody = device.Wanted{Family: device.NumFamilies}

func lookedFor(devices []throng.DeviceID) (list []device.Wanted, problems []throng.Detail) {
	list = make([]device.Wanted, len(devices))
	var raw, normal []byte
	for i, d := range devices {
		raw = append(raw[:0], d.ID...)
		var reason identifier.Reason
		normal, reason = d.Type.Normalize(normal[:0], raw)
		family, _, known := device.FamilyOf(d.Type)
		switch {
		case known && (reason == identifier.ZeroID || reason == identifier.EmptyMD5):
			list[i] = nobody
			continue
		case known && reason == "":
			list[i].Family = family
			list[i].Key, known = device.KeyOf(d.Type, normal)
		}
		if !known || reason != "" {
			problems = append(problems, throng.Detail{Path: d.Path, Message: "is no id of the type " + string(d.Type)})
		}
	}
	return list, problems
}
