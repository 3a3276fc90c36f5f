package insight_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// cells are how many people there are of each sort that matters to one term's
// index: in the audience or not, in the baseline or not, and what is known of the
// term. Who is in neither is of no matter.
//
// To draw as many people anew, with replacement, is to draw the cells from the
// multinomial distribution with their shares: people of one cell are alike, so
// nothing but their number enters the index. That is exact, and a draw costs 9
// numbers instead of 305,281; TestCellsArePeople compares the two.
type cells [outside]uint64

// The cells: both in audience and baseline, in the audience alone, in the
// baseline alone; each of unknown value, without the term, and with it.
const (
	both         = 0
	audienceOnly = 3
	baselineOnly = 6
	outside      = 9

	without = 1
	with    = 2
)

// sides are how many of the audience have the term, of how many of whom it is
// known, and the same of the baseline.
func (c cells) sides() (count, members, based, others uint64) {
	count, based = c[both+with]+c[audienceOnly+with], c[both+with]+c[baselineOnly+with]
	return count, count + c[both+without] + c[audienceOnly+without], based, based + c[both+without] + c[baselineOnly+without]
}

// logIndex is the logarithm of the index / 100.
func (c cells) logIndex() float64 {
	count, members, based, others := c.sides()
	return math.Log(float64(count)/float64(members)) - math.Log(float64(based)/float64(others))
}

// overlap is by how much the people that audience and baseline share lower the
// variance of the index's logarithm: twice the covariance of the logarithms of
// the shares. It is never negative.
func (c cells) overlap() float64 {
	count, members, based, others := c.sides()
	p, q := float64(count)/float64(members), float64(based)/float64(others)
	yes, no := float64(c[both+with]), float64(c[both+without])
	return 2 * (yes*(1-p)*(1-q) + no*p*q) / (float64(count) * float64(based))
}

// of gives the cells of an audience or a baseline alone.
func (c cells) of(first int) (out cells) {
	for k := range 3 {
		out[first+k] = c[first+k] + c[both+k]
	}
	return out
}

// population draws as many people anew as there are in all, each with whatever
// they are in.
func (c cells) population(rng *rand.Rand) cells { return multinomial(rng, c) }

// samples draws the audience and the baseline anew, each by itself.
func (c cells) samples(rng *rand.Rand) cells {
	a, b := multinomial(rng, c.of(audienceOnly)), multinomial(rng, c.of(baselineOnly))
	copy(a[baselineOnly:], b[baselineOnly:])
	return a
}

// multinomial draws as many people anew as are in all cells.
func multinomial(rng *rand.Rand, c cells) (out cells) {
	var left uint64
	for _, n := range c {
		left += n
	}
	draws := left
	for i, n := range c {
		out[i] = binomial(rng, draws, float64(n)/float64(max(left, 1)))
		draws, left = draws-out[i], left-n
	}
	return out
}

// binomial draws from the binomial distribution: a uniform number is used up by
// the probabilities of the likeliest number and of those around it.
func binomial(rng *rand.Rand, n uint64, p float64) uint64 {
	if n == 0 || p <= 0 {
		return 0
	}
	if p >= 1 {
		return n
	}
	mode := min(uint64(float64(n+1)*p), n)
	lg := func(n uint64) float64 { v, _ := math.Lgamma(float64(n) + 1); return v }
	most := math.Exp(lg(n) - lg(mode) - lg(n-mode) + float64(mode)*math.Log(p) + float64(n-mode)*math.Log1p(-p))
	u := rng.Float64() - most
	odds := p / (1 - p)
	low, high, pLow, pHigh := mode, mode, most, most
	for u >= 0 && (low > 0 || high < n) {
		if high < n {
			pHigh *= float64(n-high) / float64(high+1) * odds
			high++
			if u -= pHigh; u < 0 {
				return high
			}
		}
		if low > 0 {
			pLow *= float64(low) / float64(n-low+1) / odds
			low--
			if u -= pLow; u < 0 {
				return low
			}
		}
		if pLow+pHigh < 1e-18 { // what is left is rounding
			break
		}
	}
	return mode
}

// TestCellsArePeople draws people one by one, and cells, and compares how the
// indices are distributed (Kolmogorov and Smirnov: chance exceeds this distance
// once in 100,000 times).
func TestCellsArePeople(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	for _, c := range []cells{
		{0, 400, 60, 0, 0, 0, 0, 500, 40},      // an audience in its baseline
		{30, 100, 25, 10, 80, 30, 50, 90, 45},  // in common in part, and unknown
		{0, 0, 0, 100, 300, 100, 0, 200, 300},  // apart
		{0, 50, 200, 0, 20, 5, 200, 150, 1000}, // what most have
	} {
		var people []int // the cell of each
		for at, n := range c {
			for range n {
				people = append(people, at)
			}
		}
		const draws = 4000
		one, all := make([]float64, draws), make([]float64, draws)
		for i := range draws {
			var drawn cells
			for range people {
				drawn[people[rng.IntN(len(people))]]++
			}
			one[i], all[i] = drawn.logIndex(), c.population(rng).logIndex()
		}
		if got, most := distance(one, all), math.Sqrt(math.Log(2/1e-5)/draws); got > most {
			t.Errorf("cells %v: indices of people drawn one by one and at once are %.4f apart, want %.4f at most", c, got, most)
		}
	}
}

// distance is the largest between the distribution functions of two samples of
// the same size.
func distance(a, b []float64) (most float64) {
	slices.Sort(a)
	slices.Sort(b)
	for _, x := range a {
		// Equal values count together.
		i, _ := slices.BinarySearch(a, math.Nextafter(x, math.Inf(1)))
		j, _ := slices.BinarySearch(b, math.Nextafter(x, math.Inf(1)))
		most = max(most, math.Abs(float64(i-j))/float64(len(a)))
	}
	return most
}
