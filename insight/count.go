package insight

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"throng/engine"
	"throng/query"
)

// Counts are all that reports of one audience may need, whatever their
// baseline, order and limit. They do not change once made, and are safe for
// concurrent use.
type Counts struct {
	Head
	// columns are the dimensions, in the order of [Dimensions].
	columns []column
	// bytes is the size of the file that they were read from, of which their texts
	// are parts.
	bytes int64
}

// Bytes is about how much memory counts take that were read from a file.
func (c *Counts) Bytes() int64 {
	n := c.bytes
	for i := range c.columns {
		each := int64(36) // two texts without their bytes, and a count
		for _, based := range c.columns[i].based {
			if based != nil {
				each += 4
			}
		}
		n += each * int64(len(c.columns[i].ids))
	}
	return n
}

// Head is what is known of an audience beside its terms. Whoever makes Counts
// fills in Hash, Clusters, Unclustered and Warnings before they are written.
type Head struct {
	Generation string    `json:"generation"`
	AsOf       time.Time `json:"as_of"`
	Hash       string    `json:"hash"`
	Size       uint64    `json:"size"`
	Source     string    `json:"source,omitempty"`
	License    string    `json:"license,omitempty"`
	// Minimum is the number of members below which no term is kept.
	Minimum     uint64           `json:"minimum"`
	Baselines   []BaselineCounts `json:"baselines"`
	Clusters    []Cluster        `json:"clusters,omitempty"`
	Unclustered uint64           `json:"unclustered,omitempty"`
	Warnings    []string         `json:"warnings,omitempty"`
}

// BaselineCounts is a named baseline that was counted with an audience, or the
// reason why it could not be.
type BaselineCounts struct {
	Name    string `json:"name"`
	Size    uint64 `json:"size"`
	Problem string `json:"problem,omitempty"`
}

// column is the terms of one dimension that enough members have, by id in the
// order of its bytes; the slices are parallel.
type column struct {
	known      uint64   // members of whom any value is known
	knownBased []uint64 // the same of the baselines, in the order of Head.Baselines
	ids        []string
	names      []string // "" where it is the id
	counts     []uint32
	based      [][]uint32 // by baseline; nil for one with a problem
}

// CountRows counts some people of a generation. One pass over the index tells
// all dimensions.
func CountRows(ctx context.Context, g engine.Generation, name string, rows query.RowSet) (*Group, error) {
	counts, err := g.Breakdown(ctx, rows, fields())
	if err != nil {
		return nil, fmt.Errorf("count terms of %s: %w", name, err)
	}
	return &Group{Name: name, Size: rows.Len(), Counts: counts}, nil
}

// CountDefinition counts a named baseline on a generation.
func CountDefinition(ctx context.Context, g engine.Generation, d Definition) (*Group, error) {
	if d.Problem != "" {
		return &Group{Name: d.Name, Problem: d.Problem}, nil
	}
	rows, _, err := g.Select(ctx, d.Query, 0)
	if err != nil {
		return nil, fmt.Errorf("find people of baseline %s: %w", d.Name, err)
	}
	return CountRows(ctx, g, d.Name, rows)
}

// Keep gathers what reports need: of the terms that at least minimum members
// have (at least one), their names and how many have them in each group. All
// groups were counted on the generation.
func Keep(ctx context.Context, g engine.Generation, audience *Group, baselines []*Group, minimum uint64) (*Counts, error) {
	info := g.Info()
	c := &Counts{Head: Head{
		Generation: info.ID, AsOf: info.AsOf.UTC(), Size: audience.Size, Source: info.Source, License: info.License, Minimum: max(minimum, 1),
		Baselines: make([]BaselineCounts, len(baselines)),
	}}
	for i, b := range baselines {
		c.Baselines[i] = BaselineCounts{Name: b.Name, Size: b.Size, Problem: b.Problem}
	}
	// Names are looked up one by one, which is most of the work: each dimension
	// has a goroutine.
	all := Dimensions()
	c.columns = make([]column, len(all))
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, d := range all {
		wg.Go(func() {
			var err error
			if c.columns[i], err = keepColumn(ctx, g.Catalog(), d, i, audience, baselines, c.Minimum); err != nil {
				errs[i] = fmt.Errorf("name terms of %s: %w", d.Name, err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// lookEvery is after how many terms it is looked whether to go on.
const lookEvery = 1024

func keepColumn(
	ctx context.Context, cat engine.Catalog, d Dimension, at int, audience *Group, baselines []*Group, minimum uint64,
) (column, error) {
	mine := audience.Counts[at]
	n := 0
	for _, count := range mine.Counts {
		if uint64(count) >= minimum {
			n++
		}
	}
	col := column{
		known: mine.Known, knownBased: make([]uint64, len(baselines)), ids: make([]string, 0, n),
		names: make([]string, 0, n), counts: make([]uint32, 0, n), based: make([][]uint32, len(baselines)),
	}
	name, err := namer(cat, d)
	if err != nil {
		return col, err
	}
	for b, group := range baselines {
		if group.Problem == "" {
			col.knownBased[b], col.based[b] = group.Counts[at].Known, make([]uint32, 0, n)
		}
	}
	for i, count := range mine.Counts {
		if uint64(count) < minimum {
			continue
		}
		if len(col.ids)%lookEvery == 0 && ctx.Err() != nil {
			return col, ctx.Err()
		}
		term, err := cat.TermAt(d.Field, i)
		if err != nil {
			return col, err
		}
		called, err := name(term.Value)
		if err != nil {
			return col, err
		}
		if called == term.Value {
			called = ""
		}
		col.ids, col.names, col.counts = append(col.ids, term.Value), append(col.names, called), append(col.counts, count)
		for b, group := range baselines {
			if group.Problem == "" {
				col.based[b] = append(col.based[b], group.Counts[at].Counts[i])
			}
		}
	}
	return col, nil
}

// namer tells what the terms of a dimension are called; "" where a term has no
// name beside its id.
func namer(cat engine.Catalog, d Dimension) (func(id string) (string, error), error) {
	switch {
	case d.Field == query.Affinity:
		tree, err := cat.Affinities()
		if err != nil {
			return nil, err
		}
		return func(id string) (string, error) {
			if a, ok := tree.Lookup(id); ok {
				return a.Name, nil
			}
			return "", nil
		}, nil
	case d.Place != "":
		places, err := cat.Places()
		if err != nil {
			return nil, err
		}
		return func(id string) (string, error) {
			p, _ := places.Lookup(d.Place, id)
			return p.Name, nil
		}, nil
	case d.Network:
		return func(id string) (string, error) {
			a, _, err := cat.Account(d.Field, id)
			if a.Name == "" {
				return a.ScreenName, err
			}
			return a.Name, err
		}, nil
	}
	return func(string) (string, error) { return "", nil }, nil
}

// based gives the terms of the counts in another group, which was counted on a
// generation with this catalog: a column of a baseline that was not kept. The
// generations may differ: terms are found by their id.
func (c *Counts) based(cat engine.Catalog, other *Group) ([]column, error) {
	list := make([]column, len(c.columns))
	for i, d := range Dimensions() {
		mine, theirs := c.columns[i], other.Counts[i]
		col := column{knownBased: []uint64{theirs.Known}, based: [][]uint32{make([]uint32, len(mine.ids))}}
		at, n := 0, cat.NumTerms(d.Field)
		for k, id := range mine.ids {
			for ; at < n; at++ {
				term, err := cat.TermAt(d.Field, at)
				if err != nil {
					return nil, fmt.Errorf("find terms of %s: %w", d.Name, err)
				}
				if term.Value >= id {
					if term.Value == id {
						col.based[0][k] = theirs.Counts[at]
					}
					break
				}
			}
		}
		list[i] = col
	}
	return list, nil
}
