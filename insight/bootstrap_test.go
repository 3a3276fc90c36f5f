package insight_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"throng/engine/enginetest"
	"throng/engine/enginetest/model"
	"throng/insight"
	"throng/query"
)

// resamples is how often people are drawn anew.
const resamples = 10_000

// drawn is by how many standard errors a bound of the bootstrap may be off by
// chance: a bound of so many draws has the standard deviation √(0.025 · 0.975 /
// draws) / φ(1.96), and 4.5 of these are exceeded once in 150,000 bounds.
func drawn() float64 {
	const density = 0.05844 // of the normal distribution at 1.96
	return 4.5 * math.Sqrt(0.025*0.975/resamples) / density
}

// bounds are the 2.5 and 97.5 percent points of the index's logarithm when people
// are drawn anew.
func bounds(rng *rand.Rand, draw func(*rand.Rand) cells) (low, high float64) {
	list := make([]float64, resamples)
	for i := range list {
		list[i] = draw(rng).logIndex()
	}
	slices.Sort(list)
	return list[resamples*25/1000-1], list[resamples*975/1000]
}

// comparison is one term of one report, and who has it.
type comparison struct {
	name string
	term insight.Term
	cells
}

// logs are the logarithm of the index / 100, and its standard error by the bounds.
func (c comparison) logs() (at, stdErr float64) {
	return math.Log(*c.term.Index / 100), math.Log(*c.term.High / *c.term.Low) / (2 * 1.96)
}

// fewest is the smaller of the counts, on which it depends how far the logarithm
// of an index is from normal.
func (c comparison) fewest() uint64 { return min(c.term.Count, *c.term.BaselineCount) }

// Of the audience and of the baseline at least enough have a term that is compared,
// and lacking have it not: else whole counts are too far from normal.
// TestIntervalOfFew tells what holds of fewer.
const (
	enough  = 20
	lacking = 100
)

// comparisons are terms of random audiences of a population: of people with
// one random term, all or some, against everyone, against the others, and against
// the people with another term.
func comparisons(t *testing.T, rng *rand.Rand, w *world, n int) (out []comparison) {
	t.Helper()
	people := w.m.People()
	common := commonTerms(w)
	for tries := 0; len(out) < n; tries++ {
		if tries > 50*n {
			t.Fatalf("%d comparisons of %d are found", len(out), n)
		}
		a, b := common[rng.IntN(len(common))], common[rng.IntN(len(common))]
		if a == b {
			continue
		}
		what, members := a.String(), a.people(w.m)
		if rng.IntN(3) == 0 {
			rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
			members = members[:len(members)/(2+rng.IntN(8))]
			what = "some " + what
		}
		in := set(members)
		for _, than := range []struct {
			name   string
			people []string
		}{
			{"everyone", people},
			{"the others", slices.DeleteFunc(slices.Clone(people), func(k string) bool { return in[k] })},
			{b.String(), b.people(w.m)},
		} {
			if c, ok := compareTerm(t, rng, w, members, than.people); ok && len(out) < n {
				c.name = fmt.Sprintf("%s among %s against %s", c.name, what, than.name)
				out = append(out, c)
			}
		}
	}
	return out
}

func set(keys []string) map[string]bool {
	in := make(map[string]bool, len(keys))
	for _, k := range keys {
		in[k] = true
	}
	return in
}

// value is one value of a field.
type value struct {
	field query.Field
	id    string
}

func (v value) String() string { return string(v.field) + "=" + v.id }

// people are those who have it.
func (v value) people(m *model.Model) []string {
	return slices.Sorted(maps.Keys(m.EvalNode(query.In{Field: v.field, Values: []string{v.id}})))
}

// commonTerms are those that a twentieth to two thirds of all people have.
func commonTerms(w *world) (out []value) {
	for i, d := range insight.Dimensions() {
		all := w.baselines[insight.Global][i]
		for _, id := range slices.Sorted(maps.Keys(all.counts)) {
			if n := int(all.counts[id]); n >= all.people/20 && n <= all.people*2/3 {
				out = append(out, value{d.Field, id})
			}
		}
	}
	return out
}

// compareTerm picks a term that enough of each have, of any dimension, and gives
// what the report says of it; false where there is none.
func compareTerm(t *testing.T, rng *rand.Rand, w *world, members, others []string) (c comparison, ok bool) {
	t.Helper()
	audience, err := insight.CountRows(t.Context(), w.g, "audience", rowsOf(t, w.g, members))
	if err != nil {
		t.Fatal(err)
	}
	counts, err := insight.Keep(t.Context(), w.g, audience, nil, enough)
	if err != nil {
		t.Fatal(err)
	}
	group, err := insight.CountRows(t.Context(), w.g, "others", rowsOf(t, w.g, others))
	if err != nil {
		t.Fatal(err)
	}
	r, err := counts.Against(w.g.Catalog(), group, 0, insight.Ask{Order: insight.ByCount, Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Dimensions {
		d := &r.Dimensions[i]
		d.Terms = slices.DeleteFunc(d.Terms, func(term insight.Term) bool {
			missing := func(n uint64, share float64) float64 { return float64(n)/share - float64(n) }
			return *term.BaselineCount < enough || missing(term.Count, term.Share) < lacking ||
				missing(*term.BaselineCount, *term.BaselineShare) < lacking
		})
	}
	dimensions := slices.DeleteFunc(r.Dimensions, func(d insight.DimensionReport) bool { return len(d.Terms) == 0 })
	if len(dimensions) == 0 {
		return c, false
	}
	d := dimensions[rng.IntN(len(dimensions))]
	c.term = d.Terms[rng.IntN(len(d.Terms))]
	c.name = d.Name + "=" + c.term.ID
	c.cells = cellsOf(w.m, d.Dimension, c.term.ID, members, others)
	return c, true
}

// cellsOf counts plainly who has a term.
func cellsOf(m *model.Model, d insight.Dimension, term string, members, others []string) (c cells) {
	a, b := set(members), set(others)
	var groups [outside / 3][]string
	for _, k := range members {
		at := audienceOnly / 3
		if b[k] {
			at = both / 3
		}
		groups[at] = append(groups[at], k)
	}
	for _, k := range others {
		if !a[k] {
			groups[baselineOnly/3] = append(groups[baselineOnly/3], k)
		}
	}
	for i, keys := range groups {
		have, known := m.Breakdown(keys, d.Field)
		if !d.OfKnown {
			known = uint64(len(keys))
		}
		n := uint64(have[term])
		c[3*i], c[3*i+without], c[3*i+with] = uint64(len(keys))-known, known-n, n
	}
	return c
}

// TestInterval holds the intervals of 20 terms of a random population to a
// bootstrap, and looks how often they hold what is true.
func TestInterval(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 3))
		dir := t.TempDir()
		if err := enginetest.RandomDataset(rng, dir, enginetest.Options{People: 3000}); err != nil {
			t.Fatal(err)
		}
		checkIntervals(t, rng, comparisons(t, rng, newWorld(t, dir), 20))
	})
}

func checkIntervals(t *testing.T, rng *rand.Rand, list []comparison) {
	for _, c := range list {
		bootstrap(t, rng, c)
		coverage(t, rng, c)
	}
}

// bootstrap draws people anew. Where audience and baseline are drawn each by
// itself the bounds are those of the report; where the people of both are drawn
// once for both, the interval is narrower by what these have in common.
//
// A bound may differ by what is chance in the bootstrap (drawn), and by what the
// logarithm of a ratio of so few differs from normal: its mean is off by half its
// variance, its skewness moves the bounds by up to (1.96² − 1) / 6 · 2/√n standard
// errors, and counts are whole. From 20 on that is together less than 2.5/√n of
// them, for the smaller count n.
func bootstrap(t *testing.T, rng *rand.Rand, c comparison) {
	t.Helper()
	at, stdErr := c.logs()
	if low := math.Log(*c.term.Low / 100); math.Abs(at-c.logIndex()) > 1e-12 || math.Abs(at-1.96*stdErr-low) > 1e-12 {
		t.Errorf("%s: logarithms of index and low are %.6f and %.6f, want %.6f and %.6f; cells %v", c.name, at, low, c.logIndex(), at-1.96*stdErr, c.cells)
	}
	few := 2.5 / math.Sqrt(float64(c.fewest()))
	check := func(what string, se float64, draw func(*rand.Rand) cells) float64 {
		low, high := at-1.96*se, at+1.96*se
		wantLow, wantHigh := bounds(rng, draw)
		slack := drawn()*se + few*stdErr
		off := max(math.Abs(low-wantLow), math.Abs(high-wantHigh))
		if off > slack {
			t.Errorf("%s: logarithm of the index %.4f in %.4f..%.4f, by the bootstrap of %s %.4f..%.4f, may differ by %.4f; cells %v",
				c.name, at, low, high, what, wantLow, wantHigh, slack, c.cells)
		}
		return off / slack
	}
	samples := check("samples", stdErr, c.samples)
	own := math.Sqrt(max(stdErr*stdErr-c.overlap(), 0))
	people := check("people", own, c.population)
	t.Logf("%-70s n=%-6d index %6.1f, se %.4f; off by %.2f and %.2f of what may be; width without what is in common %.3f",
		c.name, c.fewest(), *c.term.Index, stdErr, samples, people, own/stdErr)
}

// coverage draws audiences and baselines of a world in which the index is what it
// is here, and counts how many of their intervals hold it: of both drawn each by
// itself 95 %, give or take two; of people drawn once for both that or more, since
// the interval leaves out of account what these have in common.
func coverage(t *testing.T, rng *rand.Rand, c comparison) {
	t.Helper()
	truth := 100 * math.Exp(c.logIndex())
	if held, _ := holds(rng, truth, c.samples, 1); held < 0.93 || held > 0.97 {
		t.Errorf("%s: %.4f of the intervals of samples hold the truth, want 0.93 to 0.97; cells %v", c.name, held, c.cells)
	}
	most := 1.0
	if c.overlap() == 0 {
		most = 0.97
	}
	if held, _ := holds(rng, truth, c.population, 1); held < 0.93 || held > most {
		t.Errorf("%s: %.4f of the intervals of people hold the truth, want 0.93 to %.2f; cells %v", c.name, held, most, c.cells)
	}
}

// holds is the share of draws whose interval holds the true index, among those
// that are listed with an interval: at least minimum of the audience have the term,
// and somebody of the baseline. listed is the share of these.
func holds(rng *rand.Rand, truth float64, draw func(*rand.Rand) cells, minimum uint64) (share, listed float64) {
	held, of := 0, 0
	for range resamples {
		count, members, based, others := draw(rng).sides()
		if count < minimum || based == 0 {
			continue
		}
		of++
		if r := insight.IntervalOf(count, members, based, others); *r.Low <= truth && truth <= *r.High {
			held++
		}
	}
	return float64(held) / float64(of), float64(of) / resamples
}

// rare is a term that so many of 10,000 members are expected to have, and so many
// of a million others.
func rare(count, based uint64) (c cells) {
	c[audienceOnly+with], c[audienceOnly+without] = count, 10_000-count
	c[baselineOnly+with], c[baselineOnly+without] = based, 1_000_000-based
	return c
}

// TestIntervalOfFew looks how often intervals hold the truth where so few are
// expected to have a term that normality is far: never much less than 95 %.
func TestIntervalOfFew(t *testing.T) {
	rng := rand.New(rand.NewPCG(20, 26))
	for _, count := range []uint64{5, 10, 20, 50, 100} {
		for _, based := range []uint64{1, 2, 3, 5, 10, 20, 100, 1000} {
			c := rare(count, based)
			most := 0.99
			if min(count, based) >= 10 {
				most = 0.97
			}
			if held, _ := holds(rng, 100*math.Exp(c.logIndex()), c.samples, 1); held < 0.93 || held > most {
				t.Errorf("%d of 10,000 against %d of 1,000,000: %.4f of the intervals hold the truth, want 0.93 to %.2f", count, based, held, most)
			}
		}
	}
}

// TestIntervalOfMany does so where most have the term: what all have varies less.
func TestIntervalOfMany(t *testing.T) {
	rng := rand.New(rand.NewPCG(26, 20))
	for _, c := range []cells{
		{0, 0, 0, 0, 1000, 2000, 0, 500, 4500},
		{0, 0, 0, 0, 200, 4800, 0, 6000, 3000},
		{0, 0, 0, 0, 5000, 500, 0, 300, 2700},
	} {
		if held, _ := holds(rng, 100*math.Exp(c.logIndex()), c.samples, 1); held < 0.94 || held > 0.96 {
			t.Errorf("cells %v: %.4f of the intervals hold the truth, want 0.94 to 0.96", c, held)
		}
	}
}

// TestMinimumSelects shows what no interval can heal: a term that only chance
// brings above the minimum is listed with too high an index. From the minimum on
// it is of no matter.
func TestMinimumSelects(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 10))
	for _, test := range []struct {
		expected     uint64
		listed, held [2]float64
	}{
		{5, [2]float64{0.02, 0.05}, [2]float64{0, 0.4}},
		{8, [2]float64{0.25, 0.32}, [2]float64{0.85, 0.93}},
		{10, [2]float64{0.5, 0.58}, [2]float64{0.93, 0.97}},
		{15, [2]float64{0.9, 0.96}, [2]float64{0.93, 0.98}},
	} {
		c := rare(test.expected, 100)
		held, listed := holds(rng, 100*math.Exp(c.logIndex()), c.samples, insight.DefaultMinimum)
		if held < test.held[0] || held > test.held[1] || listed < test.listed[0] || listed > test.listed[1] {
			t.Errorf("%d expected: listed %.3f of the time, of which %.3f hold the truth, want %v and %v", test.expected, listed, held, test.listed, test.held)
		}
	}
}
