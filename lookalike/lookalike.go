// Package lookalike finds people who resemble an audience. From what its
// members have and a sample of all others have not, it learns what every term
// weighs; whoever's terms weigh most resembles the audience most.
//
// Weights are those of a logistic regression over terms: what a term tells
// about being a member, given all others that somebody has, so that ten terms
// which say the same do not count ten times. A penalty on their squares keeps
// weights of terms that few people have near 0. The same audience and
// generation give the same weights, on any number of cores.
package lookalike

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"throng/engine"
	"throng/query"
)

// ErrNothingToLearn says that no term is held by enough members to be used, or
// that there is nobody to tell them from.
var ErrNothingToLearn = errors.New("nothing sets the audience apart from others")

const (
	// scale is what a weight of 1, a factor e in the odds, is in scores.
	scale = 1024
	// maxSeed and maxOthers bound what is learnt from: more members than these
	// change weights by less than the penalty does.
	maxSeed, maxOthers = 100_000, 200_000
	// manyPeople is how many a sample is taken of without their numbers, which
	// take four bytes each.
	manyPeople = 4 << 20
	// maxTerms bounds the terms that weigh: those that tell most.
	maxTerms = 1 << 16
	// heldOutOf is of how many members one is kept to measure with.
	heldOutOf = 10
	// minHeldOut is how many members are kept at least for a measure to be given.
	minHeldOut = 2
	// numStrongest is how many terms explain a model.
	numStrongest = 20
)

// Config is what may be learnt from. Its zero value is usable.
type Config struct {
	// Fields are those whose terms weigh. Defaults to Fields(false).
	Fields []query.Field
	// Minimum is how many members of the audience must have a term for it to
	// weigh anything. Defaults to 10; 1 is the least.
	Minimum uint32
	// Workers is how many goroutines learn at once. Results do not depend on it.
	// Defaults to GOMAXPROCS.
	Workers int
}

func (c Config) withDefaults() Config {
	if c.Fields == nil {
		c.Fields = Fields(false)
	}
	c.Minimum = cmp.Or(c.Minimum, 10)
	c.Workers = cmp.Or(c.Workers, runtime.GOMAXPROCS(0))
	return c
}

// Fields are the fields that may weigh: never ethnicity, gender and age only
// where it is allowed.
func Fields(genderAndAge bool) []query.Field {
	fields := []query.Field{
		query.City, query.Region, query.DMA, query.Country, query.Affinity, query.JobTitle, query.Employer,
		query.Personality, query.Twitter, query.Twitch, query.YouTube, query.Instagram, query.TikTok,
	}
	if genderAndAge {
		fields = append(fields, query.Gender, query.Age)
	}
	return fields
}

// Term is what one term weighs.
type Term struct {
	Field query.Field
	// Index is its number in the field, as of Catalog.TermAt.
	Index int
	// Weight is the logarithm of the factor by which it changes the odds of
	// being a member.
	Weight float64
	// Seed and Others are how many have it of the members learnt from, and of
	// all who are not members.
	Seed, Others uint32
}

// Model is what was learnt. It is immutable and belongs to one generation.
type Model struct {
	// Weights are in the order of Config.Fields, for engine.Analyst.Score.
	Weights []engine.Weights
	// Terms are the 20 strongest ones, the strongest first.
	Terms []Term
	// AUC is how often a member who was not learnt from scores more than one of
	// all others who were not, ties being half; NaN where HeldOut is 0.
	AUC float64
	// HeldOut and Others are how many members and others AUC is about.
	HeldOut, Others uint64
	// Learnt is how many terms weigh anything.
	Learnt int
}

// Learn learns what sets the rows of seed apart from all others. It returns
// ErrNothingToLearn, what the engine returns, or that ctx is done.
func Learn(ctx context.Context, g engine.Generation, seed query.RowSet, cfg Config) (*Model, error) {
	l := &learner{Config: cfg.withDefaults(), gen: g, seed: seed, many: manyPeople}
	for _, step := range []func(context.Context) error{l.split, l.choose, l.read} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("learn from audience: %w", err)
		}
	}
	weights, err := l.data.fit(ctx, len(l.terms), l.Workers)
	if err != nil {
		return nil, fmt.Errorf("learn from audience: %w", err)
	}
	m := l.model(weights)
	if err := l.measure(ctx, m); err != nil {
		return nil, fmt.Errorf("measure likeness: %w", err)
	}
	return m, nil
}

// learner is one Learn.
type learner struct {
	Config
	gen  engine.Generation
	seed query.RowSet
	many uint64 // people of whom a sample is taken without their numbers

	train, heldOut query.RowSet // of the seed
	others, rest   query.RowSet // a sample of those not in the seed; all others of them

	terms  []Term   // that weigh
	number []uint32 // what number in terms a term has, in the order of Analyst.Terms
	data   examples
}

// split parts the members, and everybody else, into those who are learnt from
// and those who are measured with.
func (l *learner) split(ctx context.Context) error {
	numbers, err := l.gen.RowNumbers(l.seed)
	if err != nil {
		return err
	}
	var train, heldOut []uint32
	for _, n := range numbers {
		if mix(uint64(n)^0x7e57)%heldOutOf == 0 {
			heldOut = append(heldOut, n)
		} else {
			train = append(train, n)
		}
	}
	if len(heldOut) < minHeldOut {
		train, heldOut = numbers, nil
	}
	if l.train, err = l.gen.RowsNumbered(train); err != nil {
		return err
	}
	if l.heldOut, err = l.gen.RowsNumbered(heldOut); err != nil {
		return err
	}
	return l.splitOthers(ctx)
}

// splitOthers takes a sample of those who are no members, at most half of them.
func (l *learner) splitOthers(ctx context.Context) (err error) {
	if l.rest, err = l.without(ctx, query.And{}, l.seed); err != nil {
		return err
	}
	rest := l.rest.Len()
	n := min(maxOthers, max(2*l.train.Len(), maxOthers/10), (rest+1)/2)
	var numbers []uint32
	if people := l.gen.Info().People; people > l.many && 2*rest > people {
		// Nobody's numbers need be listed: some of the sample are members.
		numbers = sample(people, n)
	} else {
		all, err := l.gen.RowNumbers(l.rest)
		if err != nil {
			return err
		}
		numbers = sample(rest, n)
		for i, at := range numbers {
			numbers[i] = all[at]
		}
	}
	if l.others, err = l.gen.RowsNumbered(numbers); err != nil {
		return err
	}
	if l.others, err = l.without(ctx, query.Rows{Set: l.others}, l.seed); err != nil {
		return err
	}
	l.rest, err = l.without(ctx, query.And{}, l.seed, l.others)
	return err
}

func (l *learner) without(ctx context.Context, n query.Node, sets ...query.RowSet) (query.RowSet, error) {
	d := query.Definition{Steps: []query.Step{{Op: query.Include, Node: n}}}
	for _, s := range sets {
		d.Steps = append(d.Steps, query.Step{Op: query.Exclude, Node: query.Rows{Set: s}})
	}
	rows, _, err := l.gen.Select(ctx, d, 0)
	return rows, err
}

// mix spreads numbers evenly over all.
func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// sample picks n of so many numbers, one from each of n equal stretches.
func sample(of, n uint64) []uint32 {
	out := make([]uint32, 0, n)
	for i := range n {
		from, to := of*i/n, of*(i+1)/n
		out = append(out, uint32(from+mix(i^0x5a3b1e)%(to-from)))
	}
	return out
}

// choose finds the terms that may weigh something.
func (l *learner) choose(ctx context.Context) error {
	members, err := l.gen.Breakdown(ctx, l.train, l.Fields)
	if err != nil {
		return err
	}
	all, _, err := l.gen.Select(ctx, query.Definition{Steps: []query.Step{{Node: query.And{}}}}, 0)
	if err != nil {
		return err
	}
	everyone, err := l.gen.Breakdown(ctx, all, l.Fields)
	if err != nil {
		return err
	}
	whole, err := l.gen.Breakdown(ctx, l.seed, l.Fields)
	if err != nil {
		return err
	}
	s, r := float64(l.train.Len()), float64(all.Len()-l.seed.Len())
	if s == 0 || r == 0 {
		return ErrNothingToLearn
	}
	type candidate struct {
		Term
		at   uint32
		tell float64
	}
	var terms []candidate
	at := uint32(0)
	for i, f := range l.Fields {
		for j, n := range members[i].Counts {
			if n >= l.Minimum {
				t := Term{Field: f, Index: j, Seed: n, Others: everyone[i].Counts[j] - whole[i].Counts[j]}
				terms = append(terms, candidate{t, at + uint32(j), tell(float64(n), s, float64(t.Others), r)})
			}
		}
		at += uint32(len(members[i].Counts))
	}
	if len(terms) > maxTerms {
		slices.SortFunc(terms, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(b.tell, a.tell), cmp.Compare(a.at, b.at))
		})
		terms = terms[:maxTerms]
		slices.SortFunc(terms, func(a, b candidate) int { return cmp.Compare(a.at, b.at) })
	}
	if len(terms) == 0 {
		return ErrNothingToLearn
	}
	l.number = slices.Repeat([]uint32{none}, int(at))
	for i, t := range terms {
		l.number[t.at] = uint32(i)
		l.terms = append(l.terms, t.Term)
	}
	return nil
}

// tell is how many standard errors two shares are apart, squared.
func tell(a, n, b, m float64) float64 {
	p, q, both := a/n, b/m, (a+b)/(n+m)
	return (p - q) * (p - q) / (both*(1-both)*(1/n+1/m) + 1e-300)
}

// read reads what those who are learnt from have.
func (l *learner) read(ctx context.Context) error {
	train := l.train
	if train.Len() > maxSeed {
		numbers, err := l.gen.RowNumbers(train)
		if err != nil {
			return err
		}
		some := sample(uint64(len(numbers)), maxSeed)
		for i, n := range some {
			some[i] = numbers[n]
		}
		if train, err = l.gen.RowsNumbered(some); err != nil {
			return err
		}
	}
	for _, of := range []struct {
		rows   query.RowSet
		member bool
	}{{train, true}, {l.others, false}} {
		var mu sync.Mutex
		from := len(l.data.batches)
		err := l.gen.Terms(ctx, of.rows, l.Fields, func(h *engine.Held) error {
			b := newBatch(h, l.number, of.member)
			mu.Lock()
			defer mu.Unlock()
			l.data.batches = append(l.data.batches, b)
			return nil
		})
		if err != nil {
			return err
		}
		slices.SortFunc(l.data.batches[from:], func(a, b *batch) int { return cmp.Compare(a.first, b.first) })
	}
	l.data.members, l.data.others = float64(train.Len()), float64(l.others.Len())
	if l.data.others == 0 {
		return ErrNothingToLearn
	}
	return nil
}

// model makes a model of what terms weigh.
func (l *learner) model(weights []float64) *Model {
	m := &Model{AUC: math.NaN()}
	at := map[query.Field]int{}
	for i, f := range l.Fields {
		at[f] = i
		m.Weights = append(m.Weights, engine.Weights{Field: f, Of: make([]int16, l.gen.Catalog().NumTerms(f))})
	}
	for i := range l.terms {
		t := &l.terms[i]
		w := math.Round(max(-math.MaxInt16, min(math.MaxInt16, weights[i]*scale)))
		t.Weight = w / scale
		m.Weights[at[t.Field]].Of[t.Index] = int16(w)
		if w != 0 {
			m.Learnt++
		}
	}
	m.Terms = slices.Clone(l.terms)
	slices.SortStableFunc(m.Terms, func(a, b Term) int { return cmp.Compare(math.Abs(b.Weight), math.Abs(a.Weight)) })
	m.Terms = slices.Clone(m.Terms[:min(len(m.Terms), numStrongest)])
	return m
}

// measure finds how well the model tells members who were not learnt from.
func (l *learner) measure(ctx context.Context, m *Model) error {
	m.HeldOut, m.Others = l.heldOut.Len(), l.rest.Len()
	if m.HeldOut == 0 || m.Others == 0 {
		m.HeldOut, m.Others = 0, 0
		return nil
	}
	auc, err := AUC(ctx, l.gen, m.Weights, l.heldOut, l.rest)
	m.AUC = auc
	return err
}
