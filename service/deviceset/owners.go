package deviceset

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
	"throng/service/rowstore"
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

// Owners finds who owns any device that was kept below a prefix on a generation. It
// wraps [blob.ErrNotFound] where there is none.
func (d *Sets) Owners(ctx context.Context, g engine.Generation, prefix string) (query.RowSet, error) {
	set, release, err := d.Hold(ctx, prefix)
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
	switch _, err := d.blobs.Stat(ctx, linesKey(prefix)); {
	case errors.Is(err, blob.ErrNotFound): // no raw advertising ids
	case err != nil:
		return nil, err
	default:
		rows, _, err := idlist.Match(ctx, d.blobs, g, maType, linesKey(prefix), idlist.AnyNumber)
		if err != nil {
			return nil, err
		}
		owners = append(owners, rows)
	}
	return rowstore.Union(ctx, g, owners)
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
