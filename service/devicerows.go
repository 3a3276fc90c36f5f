package service

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"throng/blob"
	"throng/device"
	"throng/engine"
	"throng/identifier"
	"throng/internal/hexkey"
	"throng/query"
	"throng/service/idlist"
	"throng/sqldb"
)

// maType is the type of advertising ids of which the dataset does not say whose
// they are.
const maType = identifier.MAID

// passing matches what each passes to it on a generation; where that is nil
// each does its work all the same.
func passing(ctx context.Context, g engine.Generation, t identifier.Type, each func(yield func([]byte) bool) error) (query.RowSet, error) {
	if g == nil {
		return nil, each(func([]byte) bool { return true })
	}
	var failed error
	rows, _, err := g.Match(ctx, t, func(yield func([]byte) bool) { failed = each(yield) })
	if err != nil {
		return nil, fmt.Errorf("match devices: %w", err)
	}
	return rows, failed
}

// union is whoever is in any of the sets.
func union(ctx context.Context, g engine.Generation, sets []query.RowSet) (query.RowSet, error) {
	var or query.Or
	for _, rows := range sets {
		if rows != nil && rows.Len() > 0 {
			or.Nodes = append(or.Nodes, query.Rows{Set: rows})
		}
	}
	rows, _, err := g.Select(ctx, query.Definition{Steps: []query.Step{{Op: query.Include, Node: or}}}, 0)
	if err != nil {
		return nil, fmt.Errorf("unite owners: %w", err)
	}
	return rows, nil
}

// deviceOwners finds who owns any device of an audience on a generation.
func (s *Service) deviceOwners(ctx context.Context, g engine.Generation, a sqldb.Audience) (query.RowSet, error) {
	rows, err := s.deviceOwnersNow(ctx, g, a)
	if !errors.Is(err, blob.ErrNotFound) {
		return rows, err
	}
	// An update may just have replaced the files.
	if a, err = s.db.Audience(ctx, 0, a.ID); err != nil {
		return nil, err
	}
	return s.deviceOwnersNow(ctx, g, a)
}

func (s *Service) deviceOwnersNow(ctx context.Context, g engine.Generation, a sqldb.Audience) (query.RowSet, error) {
	prefix, err := usedPrefix(a)
	if err != nil {
		return nil, err
	}
	return s.rows.Find(ctx, g, prefix, func() (query.RowSet, error) { return s.matchDevices(ctx, g, prefix) })
}

// matchDevices matches devices that were read before.
func (s *Service) matchDevices(ctx context.Context, g engine.Generation, prefix string) (query.RowSet, error) {
	set, release, err := s.holdSet(ctx, prefix)
	if err != nil {
		return nil, err
	}
	defer release()
	var owners []query.RowSet
	var digits [hexkey.SumLen]byte
	for _, f := range device.Families() {
		if set.Len(f) == 0 {
			continue
		}
		rows, err := passing(ctx, g, f.MD5(), func(yield func([]byte) bool) error {
			return set.Each(f, func(k hexkey.Key) bool { return yield(k.Append(digits[:0])) })
		})
		if err != nil {
			return nil, err
		}
		owners = append(owners, rows)
	}
	switch _, err := s.cfg.Blobs.Stat(ctx, linesKey(prefix)); {
	case errors.Is(err, blob.ErrNotFound): // no raw advertising ids
	case err != nil:
		return nil, err
	default:
		rows, err := s.matchLines(ctx, g, maType, linesKey(prefix), idlist.AnyNumber)
		if err != nil {
			return nil, err
		}
		owners = append(owners, rows)
	}
	return union(ctx, g, owners)
}

// comparedTypes are the types of raw ids in a dataset that may be those of sums
// in any list, each with the families whose they may be.
func comparedTypes(c *device.Collector) (families map[identifier.Type][]device.Family, types []identifier.Type) {
	families = map[identifier.Type][]device.Family{}
	for _, f := range device.Families() {
		if !c.Suspects(f) {
			continue
		}
		of := []identifier.Type{f.Raw()}
		if f.Raw().AlsoMA() {
			of = append(of, maType)
		}
		for _, t := range of {
			if families[t] = append(families[t], f); !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
	}
	return families, types
}

// normalOf is the normal form of an id of the dataset as one of a family: an
// advertising id is written in lower case there.
func normalOf(f device.Family, printed []byte) []byte {
	normal, reason := f.Raw().Normalize(nil, printed)
	if reason != "" {
		return printed
	}
	return normal
}
