package bench

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"throng/bench/population"
	"throng/engine"
	"throng/query"
)

// queryParameters are those of row 1a: six parameters over sixteen terms. That
// people were active is asked, as the API has it, together with the accounts
// that they follow. five is what stands for the accounts.
func (s *stack) queryParameters(five map[string]any) parameters {
	p := s.people
	return parameters{
		{"operation": "OR", "affinities": map[string]any{"affinities": ids(p.Values(population.Interests)...)}},
		{"operation": "AND", "location": map[string]any{"countries": ids(s.country...)}},
		{"operation": "AND", "gender": map[string]any{"genders": []string{"male"}}},
		{"operation": "AND", "twitter_followers": five},
		{"operation": "NOT", "affinities": map[string]any{"affinities": ids(p.Values(population.Excluded)...)}},
		{"operation": "NOT", "upload": map[string]any{"keys": []string{s.upload}, "type": "md5"}},
	}
}

func (s *stack) query() json.RawMessage {
	return s.queryParameters(accounts(2, activeDays, s.people.Values(population.Five)...)).json()
}

// queryTerms are the terms that the query touches in the index. The rows of
// the upload lie in memory.
func (s *stack) queryTerms() []fieldTerm {
	p := s.people
	return slices.Concat(
		fieldTerms(query.Affinity, p.Values(population.Interests)...),
		fieldTerms(query.Country, s.country...),
		fieldTerms(query.Gender, "male"),
		fieldTerms(query.Twitter, p.Values(population.Five)...),
		fieldTerms(query.Active, "180"),
		fieldTerms(query.Affinity, p.Values(population.Excluded)...),
	)
}

// queryBitmaps are the sets that the query is made of.
type queryBitmaps struct {
	traits
	interests, five    []*roaring.Bitmap
	excluded, uploaded *roaring.Bitmap
}

func newQueryBitmaps(p *population.Population) *queryBitmaps {
	return &queryBitmaps{
		traits: traitsOf(p), interests: groupBitmaps(p, population.Interests), five: groupBitmaps(p, population.Five),
		excluded: groupBitmaps(p, population.Excluded)[0], uploaded: groupBitmaps(p, population.Uploaded)[0],
	}
}

// sizes evaluates the query parameter by parameter and gives the size after
// each.
func (q *queryBitmaps) sizes() []uint64 {
	sizes := make([]uint64, 0, 6)
	set := roaring.FastOr(q.interests...)
	note := func() { sizes = append(sizes, set.GetCardinality()) }
	note()
	set.And(roaring.FastOr(q.countries...))
	note()
	set.And(q.male)
	note()
	followed := atLeast(2, q.five)
	followed.And(q.active)
	set.And(followed)
	note()
	set.AndNot(q.excluded)
	note()
	set.AndNot(q.uploaded)
	note()
	return sizes
}

// sizesNarrowed is sizes with the accounts first cut down to those who are left:
// what somebody may think of who knows the data.
func (q *queryBitmaps) sizesNarrowed() []uint64 {
	sizes := make([]uint64, 0, 6)
	set := roaring.FastOr(q.interests...)
	note := func() { sizes = append(sizes, set.GetCardinality()) }
	note()
	set.And(roaring.FastOr(q.countries...))
	note()
	set.And(q.male)
	note()
	set.And(q.active)
	left := make([]*roaring.Bitmap, len(q.five))
	for i, b := range q.five {
		left[i] = roaring.And(set, b)
	}
	set = atLeast(2, left)
	note()
	set.AndNot(q.excluded)
	note()
	set.AndNot(q.uploaded)
	note()
	return sizes
}

// alone is the size of each parameter by itself.
func (q *queryBitmaps) alone() []uint64 {
	followed := atLeast(2, q.five)
	followed.And(q.active)
	return []uint64{
		roaring.FastOr(q.interests...).GetCardinality(), roaring.FastOr(q.countries...).GetCardinality(),
		q.male.GetCardinality(), followed.GetCardinality(), q.excluded.GetCardinality(), q.uploaded.GetCardinality(),
	}
}

// counting is the variant that counts a definition on a side, and checks the
// answer every time.
func (d *side) counting(ctx context.Context, name string, c clock, q query.Definition, want engine.Sizes, answer func(engine.Counts) error) variant {
	return variant{name: name, clock: c, run: func() error {
		counts, err := d.generation.Count(ctx, q, want)
		if err != nil {
			return err
		}
		return answer(counts)
	}}
}

// The names of variants that most rows have.
const (
	oneCore  = "one core"
	allCores = "all cores"
)

// rowQuery measures rows 1a and 1b.
func (r *run) rowQuery(ctx context.Context) error {
	s := r.stack
	q := newQueryBitmaps(s.people)
	after, alone := q.sizes(), q.alone()
	equalAll(r, "row 1a, roaring narrowed", q.sizesNarrowed(), after)
	floor, err := s.touch(s.queryTerms())
	if err != nil {
		return err
	}
	one, err := s.one.compile(ctx, s.query())
	if err != nil {
		return err
	}
	all, err := s.all.compile(ctx, s.query())
	if err != nil {
		return err
	}
	for _, d := range []struct {
		side *side
		q    query.Definition
	}{{s.one, one}, {s.all, all}} {
		counts, err := d.side.generation.Count(ctx, d.q, engine.After|engine.Alone)
		if err != nil {
			return err
		}
		equalAll(r, "row 1a, sizes after each parameter", counts.After, after)
		equalAll(r, "row 1b, sizes of each parameter alone", counts.Steps, alone)
		equalAll(r, "row 1b, sizes of the three steps", []uint64{counts.Include, counts.Filter, counts.Exclude},
			[]uint64{after[0], after[3], after[5]})
	}
	same := func(c engine.Counts) error { return changed(c.After, after) }
	sameAlone := func(c engine.Counts) error { return changed(c.Steps, alone) }
	checked := func(f func() []uint64) func() error { return func() error { return changed(f(), after) } }
	timings, steady, err := measure(ctx, r.cfg.Rounds,
		s.one.counting(ctx, oneCore, byCPU, one, engine.After, same),
		s.all.counting(ctx, allCores, byWall, all, engine.After, same),
		variant{name: "roaring FastOr", run: checked(q.sizes)},
		variant{name: "roaring narrowed", run: checked(q.sizesNarrowed)},
		floor.floor(&r.sink),
		s.one.counting(ctx, "alone, one core", byCPU, one, engine.Alone, sameAlone),
		s.all.counting(ctx, "alone, all cores", byWall, all, engine.Alone, sameAlone),
	)
	if err != nil {
		return err
	}
	row := Row{ID: "1a", Work: "6 parameters over 16 terms, size after every one", Unsteady: !steady}
	row.times(timings[:5]...)
	row.side("", timings[0], timings[1], timings[4], timings[2], timings[3])
	row.figure("touched", "MB", float64(floor.bytes)/1e6)
	first, both, fast, stream := timings[0], timings[1], timings[2], timings[4]
	row.milliseconds(first, 35, r.cfg.People)
	row.milliseconds(both, 18, r.cfg.People)
	row.faster(first, fast, 4)
	row.faster(both, fast, 8)
	row.atMost("one core / floor", "x", ratio(first, stream), 7)
	r.add(row)
	return r.rowAlone(ctx, timings, steady, alone)
}

// rowAlone finishes row 1b: the preview's sizes, and what they cost where they
// are known.
func (r *run) rowAlone(ctx context.Context, cold []*timing, steady bool, alone []uint64) error {
	if !r.wanted("1b") {
		return nil
	}
	s := r.stack
	kept, err := s.openSide(ctx, keeping())
	if err != nil {
		return err
	}
	defer kept.close()
	d, err := kept.compile(ctx, s.query())
	if err != nil {
		return err
	}
	again, _, err := measure(ctx, r.cfg.Rounds,
		kept.counting(ctx, "again, all known", byWall, d, engine.Alone, func(c engine.Counts) error { return changed(c.Steps, alone) }))
	if err != nil {
		return err
	}
	row := Row{ID: "1b", Work: "the same as a preview: every parameter alone, and the three steps", Unsteady: !steady}
	row.times(cold[5], cold[6])
	row.side("every parameter alone", cold[5], cold[6], cold[4])
	row.side("again, all known", nil, again[0], nil)
	row.times(again...)
	row.atMost("alone / after, one core", "x", ratio(cold[5], cold[0]), 2)
	row.atMost("again, all known", "ms", 1e3*again[0].median(), 1)
	r.add(row)
	return nil
}
