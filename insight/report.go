package insight

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"throng/engine"
)

// Report compares the audience with a named baseline that was counted with it.
// floor is the number of people below which no count of the baseline is told; 0
// where all are. The error says in words for callers why the baseline cannot
// be asked for and is a [*BaselineError].
func (c *Counts) Report(baseline string, floor uint64, ask Ask) (*Report, error) {
	at := slices.IndexFunc(c.Baselines, func(b BaselineCounts) bool { return b.Name == baseline })
	if at < 0 {
		return nil, &BaselineError{Name: baseline, Message: "is none of " + strings.Join(c.names(), ", ") + " or audience:ID"}
	}
	b := c.Baselines[at]
	if b.Problem != "" {
		return nil, &BaselineError{Name: baseline, Message: "cannot be used: " + b.Problem}
	}
	r := c.start(Baseline{Name: b.Name, Size: b.Size}, &ask)
	for i := range r.Dimensions {
		col := &c.columns[i]
		r.dimension(i, col, side{counts: col.based[at], known: col.knownBased[at], size: b.Size, floor: floor}, ask)
	}
	return r, nil
}

// Against compares the audience with a group that was counted since, on a
// generation with this catalog.
func (c *Counts) Against(cat engine.Catalog, other *Group, floor uint64, ask Ask) (*Report, error) {
	columns, err := c.based(cat, other)
	if err != nil {
		return nil, err
	}
	r := c.start(Baseline{Name: other.Name, Size: other.Size}, &ask)
	for i := range r.Dimensions {
		col := columns[i]
		r.dimension(i, &c.columns[i], side{counts: col.based[0], known: col.knownBased[0], size: other.Size, floor: floor}, ask)
	}
	return r, nil
}

// BaselineError says why a baseline cannot be asked for, in words for callers
// that go behind the name of the field.
type BaselineError struct{ Name, Message string }

// Error names the baseline.
func (e *BaselineError) Error() string { return fmt.Sprintf("baseline %q %s", e.Name, e.Message) }

func (c *Counts) names() (names []string) {
	for _, b := range c.Baselines {
		names = append(names, b.Name)
	}
	return names
}

// start begins a report, and fills in what the question leaves out.
func (c *Counts) start(b Baseline, ask *Ask) *Report {
	ask.Minimum = max(ask.Minimum, c.Minimum, 1)
	if ask.Order == "" {
		ask.Order = ByIndex
	}
	if ask.Limit == 0 {
		ask.Limit = DefaultLimit
	}
	r := &Report{
		Generation: c.Generation, AsOf: c.AsOf, Hash: c.Hash, Size: c.Size, Baseline: b, Minimum: ask.Minimum,
		Warnings: c.Warnings, Unclustered: c.Unclustered, Source: c.Source, License: c.License,
	}
	for _, other := range c.Baselines {
		if other.Problem == "" {
			r.Baselines = append(r.Baselines, Baseline{Name: other.Name, Size: other.Size})
		}
	}
	for _, d := range Dimensions() {
		r.Dimensions = append(r.Dimensions, DimensionReport{Dimension: d})
	}
	for _, cl := range c.Clusters {
		if cl.Size < ask.Minimum {
			r.Unclustered += cl.Size
			continue
		}
		r.Clusters = append(r.Clusters, cl.from(ask.Minimum))
	}
	return r
}

// side is a dimension of a baseline.
type side struct {
	counts []uint32 // parallel to the column's terms
	known  uint64
	size   uint64
	floor  uint64 // below which no count is told
}

func (r *Report) dimension(i int, col *column, base side, ask Ask) {
	d := &r.Dimensions[i]
	members, others := r.Size, base.size
	if d.OfKnown {
		members, others = col.known, base.known
		d.Coverage = &Coverage{
			Share:         coverage(col.known, r.Size, ask.Minimum),
			BaselineShare: coverage(base.known, base.size, base.floor),
		}
	}
	terms := make([]ranked, 0, min(len(col.ids), 4*ask.Limit))
	for k, count := range col.counts {
		if uint64(count) < ask.Minimum {
			continue
		}
		t := ranked{at: k, ratio: math.NaN()}
		if based := uint64(base.counts[k]); based > 0 && based >= base.floor {
			t.ratio, t.error = ratio(uint64(count), members, based, others)
		}
		if ask.Order == ByIndex && !t.stands() {
			continue
		}
		if ask.Order == ByName {
			t.name = strings.ToLower(col.name(k))
		}
		terms = append(terms, t)
	}
	slices.SortFunc(terms, col.order(ask.Order))
	d.Total = len(terms)
	for _, t := range terms[:min(len(terms), ask.Limit)] {
		d.Terms = append(d.Terms, col.term(t, members, base, others))
	}
}

// coverage is the share of people of whom a value is known; nil where these are
// fewer than a minimum, or nobody is there.
func coverage(known, size, minimum uint64) *float64 {
	if size == 0 || known > 0 && known < minimum {
		return nil
	}
	share := float64(known) / float64(size)
	return &share
}

// ranked is a term by its position, and how it compares.
type ranked struct {
	at    int
	ratio float64 // of the shares; NaN where there is none
	error float64 // standard error of its logarithm
	name  string  // in lower case, for ByName alone
}

// ratio is how much more common a term is among members than among others, and
// the standard error of the logarithm of that (of Katz and others, 1978).
func ratio(count, members, based, others uint64) (of, stdErr float64) {
	// Products of counts are exact, so that equal ratios are equal numbers, and
	// those are in the order of their counts.
	of = (float64(count) * float64(others)) / (float64(members) * float64(based))
	variance := 1/float64(count) - 1/float64(members) + 1/float64(based) - 1/float64(others)
	return of, math.Sqrt(max(variance, 0))
}

// z95 is the two-sided 95 % point of the normal distribution, as the contract
// has it.
const z95 = 1.96

// interval gives index, low and high.
func (t ranked) interval() (index, low, high float64) {
	index = 100 * t.ratio
	return index, index * math.Exp(-z95*t.error), index * math.Exp(z95*t.error)
}

// stands tells whether the interval excludes 100. It computes the nearer end
// alone, as interval does: this is most of the work on a report.
func (t ranked) stands() bool {
	switch index := 100 * t.ratio; {
	case index > 100:
		return index*math.Exp(-z95*t.error) > 100
	case index < 100:
		return index*math.Exp(z95*t.error) < 100
	}
	return false // as common, or NaN
}

// order compares terms as an order lists them; ties are by id.
func (c *column) order(o Order) func(a, b ranked) int {
	byCount := func(a, b ranked) int {
		return cmp.Or(cmp.Compare(c.counts[b.at], c.counts[a.at]), cmp.Compare(a.at, b.at))
	}
	switch o {
	case ByCount:
		return byCount
	case ByName:
		return func(a, b ranked) int { return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.at, b.at)) }
	default:
		return func(a, b ranked) int { return cmp.Or(cmp.Compare(b.ratio, a.ratio), byCount(a, b)) }
	}
}

func (c *column) name(at int) string {
	if c.names[at] == "" {
		return c.ids[at]
	}
	return c.names[at]
}

func (c *column) term(r ranked, members uint64, base side, others uint64) Term {
	t := Term{ID: c.ids[r.at], Name: c.name(r.at), Count: uint64(c.counts[r.at])}
	t.Share = float64(t.Count) / float64(members)
	if based := uint64(base.counts[r.at]); based >= base.floor {
		share := 0.0
		if others > 0 {
			share = float64(based) / float64(others)
		}
		t.BaselineCount, t.BaselineShare = &based, &share
	}
	if !math.IsNaN(r.ratio) {
		index, low, high := r.interval()
		t.Index, t.Low, t.High = &index, &low, &high
	}
	return t
}
