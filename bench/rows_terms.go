package bench

import (
	"context"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"throng/bench/population"
	"throng/engine"
	"throng/query"
)

// audience is people of whom all terms are counted: those who follow one of the
// accounts of population.Union.
type audience struct {
	share  float64 // of all people
	union  int     // position in the group
	target float64 // milliseconds for 100 million people
	times  float64 // as fast as AndCardinality
}

func audiences() []audience {
	return []audience{{1e-4, 0, 10, 30}, {.01, 3, 250, 30}, {.3, 9, 600, 5}}
}

// rowTerms measures row 5: how many of some people have each of 10,000 terms.
func (r *run) rowTerms(ctx context.Context) error {
	s := r.stack
	terms := groupBitmaps(s.people, population.Channels)
	values := s.people.Values(population.Channels)
	unions := groupBitmaps(s.people, population.Union)
	floor, err := s.touch(fieldTerms(query.YouTube, values...))
	if err != nil {
		return err
	}
	row := Row{ID: "5", Work: fmt.Sprintf("count all of %d terms in an audience, %.3g million edges", len(terms), float64(edgesOf(terms))/1e6)}
	for _, a := range audiences() {
		if err := r.audience(ctx, &row, a, unions[a.union], terms, floor); err != nil {
			return err
		}
	}
	row.figure("touched by a pass over all postings", "MB", float64(floor.bytes)/1e6)
	r.add(row)
	return nil
}

func edgesOf(list []*roaring.Bitmap) (n uint64) {
	for _, b := range list {
		n += b.GetCardinality()
	}
	return n
}

// audience adds the figures of one audience to the row.
func (r *run) audience(ctx context.Context, row *Row, a audience, members *roaring.Bitmap, terms []*roaring.Bitmap, floor *touched) error {
	s := r.stack
	people := s.people
	account := people.Values(population.Union)[a.union]
	want := make([]uint32, len(terms))
	byHand := func() {
		for i, b := range terms {
			want[i] = uint32(b.AndCardinality(members))
		}
	}
	byHand()
	one, all, err := s.pair(ctx, parameters{{"operation": "OR", "twitter_followers": accounts(1, 0, account)}})
	if err != nil {
		return err
	}
	size := fmt.Sprintf("%.3g people", float64(members.GetCardinality()))
	counting := func(name string, c clock, d *side, q query.Definition) (variant, error) {
		rows, _, err := d.generation.Select(ctx, q, 0)
		if err != nil {
			return variant{}, err
		}
		got, err := d.termCounts(ctx, rows, people.Values(population.Channels))
		if err != nil {
			return variant{}, err
		}
		equalAll(r, "row 5, "+size, got, want)
		return variant{name: size + ", " + name, clock: c, run: func() error {
			_, err := d.generation.Breakdown(ctx, rows, []query.Field{query.YouTube})
			return err
		}}, nil
	}
	first, err := counting(oneCore, byCPU, s.one, one)
	if err != nil {
		return err
	}
	both, err := counting(allCores, byWall, s.all, all)
	if err != nil {
		return err
	}
	timings, steady, err := measure(ctx, r.cfg.Rounds, first, both,
		variant{name: "roaring AndCardinality, " + size, run: func() error { byHand(); return nil }}, floor.floor(&r.sink))
	if err != nil {
		return err
	}
	row.Unsteady = row.Unsteady || !steady
	row.times(timings...)
	row.side("terms of "+size, timings[0], timings[1], timings[3], timings[2])
	row.milliseconds(timings[0], a.target, people.People)
	row.faster(timings[0], timings[2], a.times)
	return nil
}

// termCounts counts the terms of rows, in the order of values.
func (d *side) termCounts(ctx context.Context, rows query.RowSet, values []string) ([]uint32, error) {
	list, err := d.generation.Breakdown(ctx, rows, []query.Field{query.YouTube})
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("counted %d fields, want 1", len(list))
	}
	return d.inOrder(list[0], values)
}

func (d *side) inOrder(b engine.Breakdown, values []string) ([]uint32, error) {
	counts := make([]uint32, len(values))
	for i, n := range b.Counts {
		t, err := d.generation.Catalog().TermAt(b.Field, i)
		if err != nil {
			return nil, err
		}
		at, ok := slices.BinarySearch(values, t.Value)
		if !ok {
			return nil, fmt.Errorf("counted %s, which is none of the terms", t.Value)
		}
		counts[at] = n
	}
	return counts, nil
}
