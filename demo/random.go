package demo

import (
	"math"
	"math/rand/v2"
)

// mix is the finaliser of SplitMix64: a bijection of 64-bit words whose output
// looks random.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hash draws a word that depends on nothing but its arguments.
func hash(seed uint64, parts ...uint64) uint64 {
	for _, p := range parts {
		seed = mix(seed ^ mix(p))
	}
	return seed
}

// hashString is FNV-1a.
func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// stream returns the source of randomness of one purpose, so that what one
// table draws never shifts another.
func stream(seed uint64, purpose string, part uint64) *rand.Rand {
	p := hashString(purpose)
	return rand.New(rand.NewPCG(hash(seed, p, part), hash(seed, part, p)))
}

// chance is true with probability p.
func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

// lognormal draws a count of at most limit.
func lognormal(r *rand.Rand, mu, sigma float64, limit int) int {
	return min(int(math.Round(math.Exp(mu+sigma*r.NormFloat64()))), limit)
}

// sampler draws indexes by weight in constant time (Walker's alias method).
// It is read-only once made.
type sampler struct{ columns []samplerColumn }

type samplerColumn struct {
	keep  uint32 // probability of keeping the column drawn, as a share of 2^32
	alias uint32
}

func newSampler(weights []float64) sampler {
	n := len(weights)
	s := sampler{make([]samplerColumn, n)}
	var sum float64
	for _, w := range weights {
		sum += w
	}
	scaled := make([]float64, n)
	var small, large []int
	for i, w := range weights {
		scaled[i] = w * float64(n) / sum
		if scaled[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for i := range n {
		s.columns[i] = samplerColumn{math.MaxUint32, uint32(i)}
	}
	for len(small) > 0 && len(large) > 0 {
		lo, hi := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		s.columns[lo] = samplerColumn{uint32(scaled[lo] * math.MaxUint32), uint32(hi)}
		scaled[hi] -= 1 - scaled[lo]
		if scaled[hi] < 1 {
			large = large[:len(large)-1]
			small = append(small, hi)
		}
	}
	return s
}

// draw returns an index; it must not be called on an empty sampler.
func (s sampler) draw(r *rand.Rand) int {
	x := r.Uint64()
	i := (x >> 32) * uint64(len(s.columns)) >> 32
	c := s.columns[i]
	if uint32(x) <= c.keep {
		return int(i)
	}
	return int(c.alias)
}

func (s sampler) empty() bool { return len(s.columns) == 0 }

// zipf returns the weights r^-s of n ranks from 1.
func zipf(n int, s float64) []float64 { return mandelbrot(n, s, 0) }

// mandelbrot returns the weights (r+shift)^-s of n ranks from 1.
func mandelbrot(n int, s, shift float64) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = math.Pow(float64(i+1)+shift, -s)
	}
	return w
}

// pick returns one of the strings, each as likely.
func pick(r *rand.Rand, list []string) string { return list[r.IntN(len(list))] }
