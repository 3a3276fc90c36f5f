package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"throng/bench/population"
	"throng/engine"
	"throng/query"
)

// pair compiles parameters for both sides.
func (s *stack) pair(ctx context.Context, p parameters) (one, all query.Definition, err error) {
	if one, err = s.one.compile(ctx, p.json()); err != nil {
		return one, all, err
	}
	all, err = s.all.compile(ctx, p.json())
	return one, all, err
}

// sized checks that a count's one size is what it was.
func sized(want uint64) func(engine.Counts) error {
	return func(c engine.Counts) error {
		if c.Exclude != want {
			return fmt.Errorf("counted %d, want %d", c.Exclude, want)
		}
		return nil
	}
}

// same wraps a count of another library.
func same(want uint64, count func() uint64) func() error {
	return func() error {
		if n := count(); n != want {
			return fmt.Errorf("counted %d, want %d", n, want)
		}
		return nil
	}
}

// counted checks a definition's size on both sides.
func (r *run) counted(ctx context.Context, what string, one, all query.Definition, want uint64) error {
	for _, d := range []struct {
		side *side
		q    query.Definition
	}{{r.stack.one, one}, {r.stack.all, all}} {
		c, err := d.side.generation.Count(ctx, d.q, 0)
		if err != nil {
			return err
		}
		equal(r, what, c.Exclude, want)
	}
	return nil
}

// rowUnion measures row 2.
func (r *run) rowUnion(ctx context.Context) error {
	s := r.stack
	bitmaps := groupBitmaps(s.people, population.Union)
	want := roaring.FastOr(bitmaps...).GetCardinality()
	values := s.people.Values(population.Union)
	one, all, err := s.pair(ctx, parameters{{"operation": "OR", "twitter_followers": accounts(1, 0, values...)}})
	if err != nil {
		return err
	}
	if err := r.counted(ctx, "row 2", one, all, want); err != nil {
		return err
	}
	floor, err := s.touch(fieldTerms(query.Twitter, values...))
	if err != nil {
		return err
	}
	timings, steady, err := measure(ctx, r.cfg.Rounds,
		s.one.counting(ctx, oneCore, byCPU, one, 0, sized(want)),
		s.all.counting(ctx, allCores, byWall, all, 0, sized(want)),
		variant{name: "roaring HeapOr", run: same(want, func() uint64 { return roaring.HeapOr(bitmaps...).GetCardinality() })},
		variant{name: "roaring FastOr", run: same(want, func() uint64 { return roaring.FastOr(bitmaps...).GetCardinality() })},
		variant{name: "roaring ParOr", clock: byWall, run: same(want, func() uint64 { return roaring.ParOr(0, bitmaps...).GetCardinality() })},
		floor.floor(&r.sink),
	)
	if err != nil {
		return err
	}
	row := Row{ID: "2", Work: "union of 10 terms, densities 0.0001 to 0.3", Unsteady: !steady}
	row.times(timings...)
	row.side("", timings[0], timings[1], timings[5], timings[2:5]...)
	row.figure("touched", "MB", float64(floor.bytes)/1e6)
	row.milliseconds(timings[0], 16, r.cfg.People)
	row.faster(timings[0], timings[2], 3.5)
	r.add(row)
	return nil
}

// cardinality is how many rows bitmaps have together.
func cardinality(bitmaps []*roaring.Bitmap) (n uint64) {
	for _, b := range bitmaps {
		n += b.GetCardinality()
	}
	return n
}

// extremes are those of the highest and of the lowest median.
func extremes(timings []*timing) (slowest, fastest *timing) {
	slowest, fastest = timings[0], timings[0]
	for _, t := range timings[1:] {
		if t.median() > slowest.median() {
			slowest = t
		}
		if t.median() < fastest.median() {
			fastest = t
		}
	}
	return slowest, fastest
}

// rowAtLeast measures row 3.
func (r *run) rowAtLeast(ctx context.Context) error {
	s := r.stack
	if err := r.checkMany(ctx); err != nil {
		return err
	}
	bitmaps := groupBitmaps(s.people, population.Fifty)
	count := make([]uint8, s.people.People)
	values := s.people.Values(population.Fifty)
	floor, err := s.touch(fieldTerms(query.Twitter, values...))
	if err != nil {
		return err
	}
	var ours, parallel []variant
	var two uint64
	for _, k := range []int{2, 3, 5, 10} {
		want := counters(uint8(k), bitmaps, count)
		one, all, err := s.pair(ctx, parameters{{"operation": "OR", "twitter_followers": accounts(k, 0, values...)}})
		if err != nil {
			return err
		}
		if err := r.counted(ctx, fmt.Sprintf("row 3, k = %d", k), one, all, want); err != nil {
			return err
		}
		ours = append(ours, s.one.counting(ctx, fmt.Sprintf("k = %d, one core", k), byCPU, one, 0, sized(want)))
		parallel = append(parallel, s.all.counting(ctx, fmt.Sprintf("k = %d, all cores", k), byWall, all, 0, sized(want)))
		if k == 2 {
			two = want
			equal(r, "row 3, roaring", atLeast(2, bitmaps).GetCardinality(), want)
		}
	}
	variants := slices.Concat(ours, parallel, []variant{
		{name: "counters of people, k = 2", run: same(two, func() uint64 { return counters(2, bitmaps, count) })},
		{name: "roaring loop, k = 2", run: same(two, func() uint64 { return atLeast(2, bitmaps).GetCardinality() })},
		floor.floor(&r.sink),
	})
	timings, steady, err := measure(ctx, r.cfg.Rounds, variants...)
	if err != nil {
		return err
	}
	row := Row{ID: "3", Work: fmt.Sprintf("at least k of 50 accounts, %.3g million edges", float64(cardinality(bitmaps))/1e6), Unsteady: !steady}
	row.times(timings...)
	row.figure("touched", "MB", float64(floor.bytes)/1e6)
	n := len(ours)
	for i, t := range timings[:n] {
		name := strings.TrimSuffix(t.name, ", "+oneCore) + " of 50 accounts"
		if i == 0 {
			row.side(name, t, timings[n], timings[2*n+2], timings[2*n], timings[2*n+1])
		} else {
			row.side(name, t, timings[n+i], timings[2*n+2])
		}
	}
	slowest, fastest := extremes(timings[:n])
	row.milliseconds(slowest, 36, r.cfg.People)
	row.faster(slowest, timings[2*n], 9)
	row.atMost("slowest k / fastest", "x", ratio(slowest, fastest), 1.15)
	r.add(row)
	return nil
}

// checkMany checks that one person who follows 300 of 5,000 listed accounts is
// a member at cutoff 10, and whoever else is.
func (r *run) checkMany(ctx context.Context) error {
	s := r.stack
	follows := map[uint32]int{}
	m := s.people.Maker()
	from, to := s.people.Group(population.Rare)
	for t := from; t < to; t++ {
		for b := range s.people.Blocks() {
			for _, row := range m.Members(t, b) {
				follows[uint32(b*population.BlockPeople)+uint32(row)]++
			}
		}
	}
	want := uint64(0)
	for _, n := range follows {
		if n >= 10 {
			want++
		}
	}
	one, all, err := s.pair(ctx, parameters{{"operation": "OR", "twitter_followers": accounts(10, 0, s.people.Values(population.Rare)...)}})
	if err != nil {
		return err
	}
	return r.counted(ctx, "row 3, 300 of 5,000 accounts at cutoff 10", one, all, want)
}
