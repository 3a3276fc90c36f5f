// Package cluster finds groups of people who share tastes: from 2 to 20, as
// many as the data has.
//
// Members and what they have make a graph. In a sample of it, communities of
// members and terms are found that hold more edges than chance would give them
// (louvain.go); their number is that for which this is most so. What the
// members of each have more often than all others is then what everybody is
// held to, and each member goes where most of what they have is at home. The same
// audience and generation give the same groups, on any number of cores.
package cluster

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"throng/engine"
	"throng/query"
)

const (
	// Most and Fewest are how many clusters there are, if any.
	Most, Fewest = 20, 2
	// maxSample bounds the members whose communities are looked for.
	maxSample = 50_000
	// maxTerms bounds the terms that they are found by: those of most members.
	maxTerms = 1 << 16
	// common is the share of members from which on a term tells nobody apart.
	common = 0.95
	// leastMembers is how many members are a group.
	leastMembers = 10
	// leastShare is the share of members, of whom anything is known, below which
	// a community is no cluster.
	leastShare = 0.01
	// tries is how often communities are looked for, each time in another order;
	// the best of them are taken.
	tries = 3
	// rounds is how often clusters are made better by what their members have.
	rounds = 10
)

// Config is what clusters are found by. Its zero value is usable.
type Config struct {
	// Fields are those whose terms are looked at. Defaults to Fields().
	Fields []query.Field
	// Minimum is how many members a term, and a cluster, has at least, the
	// latter never less than 10. Defaults to 10.
	Minimum uint32
	// Workers is how many goroutines work at once. Results do not depend on it.
	// Defaults to GOMAXPROCS.
	Workers int
}

func (c Config) withDefaults() Config {
	if c.Fields == nil {
		c.Fields = Fields()
	}
	c.Minimum = cmp.Or(c.Minimum, 10)
	c.Workers = cmp.Or(c.Workers, runtime.GOMAXPROCS(0))
	return c
}

// Fields are affinities and accounts followed, which tastes show in.
func Fields() []query.Field {
	return []query.Field{query.Affinity, query.Twitter, query.Twitch, query.YouTube, query.Instagram, query.TikTok}
}

// Result is the clusters of an audience. Sizes add up to that of the audience.
type Result struct {
	// Clusters are none, or from Fewest to Most; the largest first.
	Clusters []Cluster
	// Unclustered is how many members are in none: those with nothing to go by.
	Unclustered uint64
	// Modularity tells how far apart they are, from 0 to 1.
	Modularity float64
}

// Cluster is members who share tastes.
type Cluster struct {
	Rows query.RowSet
	// Terms are those that set them apart from the audience, most telling first:
	// terms that they have more often than it, and Minimum of them have.
	Terms []Term
}

// Term is a term of a cluster's members.
type Term struct {
	Field query.Field
	// Index is its number in the field, as of Catalog.TermAt.
	Index int
	// Members and Audience are how many members of the cluster and of the
	// audience have it.
	Members, Audience uint32
}

// Find finds the clusters of rows. It returns what the engine returns, or that
// ctx is done.
func Find(ctx context.Context, g engine.Generation, rows query.RowSet, cfg Config) (*Result, error) {
	f := &finder{Config: cfg.withDefaults(), gen: g, rows: rows}
	r, err := f.find(ctx)
	if err != nil {
		return nil, fmt.Errorf("find clusters: %w", err)
	}
	return r, nil
}

// finder is one Find.
type finder struct {
	Config
	gen    engine.Generation
	rows   query.RowSet
	counts []engine.Breakdown // of the audience
	number []uint32           // what a term is numbered here, in the order of Analyst.Terms
	terms  int
}

// least is how many members a cluster has at least.
func (f *finder) least() int { return max(int(f.Minimum), leastMembers) }

// none is the number of a term that is not looked at.
const none = math.MaxUint32

func (f *finder) find(ctx context.Context) (*Result, error) {
	all := &Result{Unclustered: f.rows.Len()}
	if err := f.choose(ctx); err != nil || f.terms == 0 {
		return all, err
	}
	s, err := f.sample(ctx)
	if err != nil || len(s.ends) == 0 {
		return all, err
	}
	graph := newGraph(s.ends, s.held, f.terms)
	of, err := graph.best(ctx)
	if err != nil {
		return nil, err
	}
	labels, n := graph.largest(of, len(s.ends), f.least())
	if n < Fewest {
		return all, nil
	}
	if labels, n, err = s.proved(ctx, labels, n, f.terms, f.Workers); err != nil || n < Fewest {
		return all, err
	}
	return f.assign(ctx, newProfile(s, labels, n, f.terms), graph.sharp(labels, n))
}

// choose finds the terms that are looked at.
func (f *finder) choose(ctx context.Context) (err error) {
	if f.counts, err = f.gen.Breakdown(ctx, f.rows, f.Fields); err != nil {
		return err
	}
	type candidate struct{ at, n uint32 }
	var terms []candidate
	at := uint32(0)
	for _, b := range f.counts {
		for _, n := range b.Counts {
			if n >= f.Minimum && float64(n) < common*float64(f.rows.Len()) {
				terms = append(terms, candidate{at, n})
			}
			at++
		}
	}
	if len(terms) > maxTerms {
		slices.SortFunc(terms, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.at, b.at)) })
		terms = terms[:maxTerms]
		slices.SortFunc(terms, func(a, b candidate) int { return cmp.Compare(a.at, b.at) })
	}
	f.number = slices.Repeat([]uint32{none}, int(at))
	for i, t := range terms {
		f.number[t.at] = uint32(i)
	}
	f.terms = len(terms)
	return nil
}

// people is what some members have: those who have anything.
type people struct {
	ends []uint32
	held []uint32
}

// sample reads what some members have, one of each of equal stretches.
func (f *finder) sample(ctx context.Context) (*people, error) {
	rows := f.rows
	if n := rows.Len(); n > maxSample {
		numbers, err := f.gen.RowNumbers(rows)
		if err != nil {
			return nil, err
		}
		rng := rand.New(rand.NewPCG(3, 4))
		some := make([]uint32, maxSample)
		for i := range uint64(maxSample) {
			from, to := n*i/maxSample, n*(i+1)/maxSample
			some[i] = numbers[from+rng.Uint64N(to-from)]
		}
		if rows, err = f.gen.RowsNumbered(some); err != nil {
			return nil, err
		}
	}
	type batch struct {
		first uint64
		people
	}
	var mu sync.Mutex
	var batches []batch
	err := f.gen.Terms(ctx, rows, f.Fields, func(h *engine.Held) error {
		b := batch{first: h.First}
		from := uint32(0)
		for _, end := range h.Ends {
			before := len(b.held)
			b.held = f.append(b.held, h.Terms[from:end])
			if len(b.held) > before {
				b.ends = append(b.ends, uint32(len(b.held)))
			}
			from = end
		}
		mu.Lock()
		defer mu.Unlock()
		batches = append(batches, b)
		return nil
	})
	slices.SortFunc(batches, func(a, b batch) int { return cmp.Compare(a.first, b.first) })
	s := &people{}
	for _, b := range batches {
		at := uint32(len(s.held))
		s.held = append(s.held, b.held...)
		for _, end := range b.ends {
			s.ends = append(s.ends, at+end)
		}
	}
	return s, err
}

// append appends the numbers of the terms that are looked at.
func (f *finder) append(dst, terms []uint32) []uint32 {
	for _, t := range terms {
		if n := f.number[t]; n != none {
			dst = append(dst, n)
		}
	}
	return dst
}

// assign puts every member into a cluster, or none.
func (f *finder) assign(ctx context.Context, p *profile, modularity float64) (*Result, error) {
	numbers, err := f.gen.RowNumbers(f.rows)
	if err != nil {
		return nil, err
	}
	labels := make([]uint8, len(numbers))
	err = f.gen.Terms(ctx, f.rows, f.Fields, func(h *engine.Held) error {
		var terms []uint32
		scores := make([]float64, p.n)
		from := uint32(0)
		for i, end := range h.Ends {
			terms = f.append(terms[:0], h.Terms[from:end])
			labels[h.First+uint64(i)] = uint8(p.best(terms, scores))
			from = end
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	lists := make([][]uint32, p.n+1)
	for i, l := range labels {
		lists[l] = append(lists[l], numbers[i])
	}
	r := &Result{Modularity: modularity}
	for _, list := range lists[:p.n] {
		if len(list) < f.least() {
			continue
		}
		rows, err := f.gen.RowsNumbered(list)
		if err != nil {
			return nil, err
		}
		r.Clusters = append(r.Clusters, Cluster{Rows: rows})
	}
	if len(r.Clusters) < Fewest {
		return &Result{Unclustered: f.rows.Len()}, nil
	}
	slices.SortStableFunc(r.Clusters, func(a, b Cluster) int { return cmp.Compare(b.Rows.Len(), a.Rows.Len()) })
	r.Unclustered = f.rows.Len()
	for i := range r.Clusters {
		c := &r.Clusters[i]
		r.Unclustered -= c.Rows.Len()
		if c.Terms, err = f.telling(ctx, c.Rows); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// telling finds the terms that set rows apart from the audience.
func (f *finder) telling(ctx context.Context, rows query.RowSet) ([]Term, error) {
	counts, err := f.gen.Breakdown(ctx, rows, f.Fields)
	if err != nil {
		return nil, err
	}
	type candidate struct {
		Term
		z float64
	}
	var terms []candidate
	n, all := float64(rows.Len()), float64(f.rows.Len())
	for i, b := range counts {
		for j, c := range b.Counts {
			if c < f.Minimum {
				continue
			}
			whole := f.counts[i].Counts[j]
			p, q := float64(c)/n, float64(whole)/all
			if p > q {
				z := (p - q) / math.Sqrt(q*(1-q)/n+1e-300)
				terms = append(terms, candidate{Term{Field: b.Field, Index: j, Members: c, Audience: whole}, z})
			}
		}
	}
	slices.SortStableFunc(terms, func(a, b candidate) int { return cmp.Compare(b.z, a.z) })
	out := make([]Term, min(len(terms), maxTelling))
	for i := range out {
		out[i] = terms[i].Term
	}
	return out, nil
}

// maxTelling is how many terms of a cluster are told, at most.
const maxTelling = 50
