//go:build unix

package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// benchBlock is a block with each row at probability p.
func benchBlock(p float64) *Block {
	rng := rand.New(rand.NewPCG(1, 2))
	b := new(Block)
	for r := range Rows {
		if rng.Float64() < p {
			b[r/64] |= 1 << (r % 64)
		}
	}
	return b
}

// BenchmarkPaths runs every implementation of every kernel in turns, so that
// other work on the machine meets all of them, and reports the best turn of
// each in nanoseconds per call. Compare only the figures of one line.
func BenchmarkPaths(b *testing.B) {
	a := newArguments(b, atEnd)
	*a.dst, *a.src = *benchBlock(0.5), *benchBlock(0.3)
	for i := range a.in {
		*a.in[i] = *benchBlock(float64(1+i) / 10)
	}
	for _, call := range calls {
		for r := range a.counts {
			a.counts[r] = uint8(r * 7 % 13)
		}
		a.k, a.n = 1, 1000
		copy(a.array(), AppendRows(nil, benchBlock(0.016)))
		b.Run(call.name, func(b *testing.B) { turns(b, func(k *kernels) { call.f(k, a) }) })
	}
}

// turns runs f with every implementation in turns.
func turns(b *testing.B, f func(k *kernels)) {
	const calls = 20
	paths := implementations()
	best := make([]float64, len(paths))
	for i := range best {
		best[i] = math.Inf(1)
	}
	for b.Loop() {
		for i, k := range paths {
			start := time.Now()
			for range calls {
				f(k)
			}
			best[i] = min(best[i], float64(time.Since(start).Nanoseconds())/calls)
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, k := range paths {
		b.ReportMetric(best[i], "ns/"+k.name)
	}
}

func BenchmarkArray(b *testing.B) {
	for _, n := range []int{64, 1000, 4000} {
		rows := AppendRows(nil, benchBlock(float64(n)/Rows))
		dst, c, s := benchBlock(0.1), new(Counters), new(Slices)
		s.grow(5)
		for _, test := range []struct {
			name string
			f    func()
		}{
			{"Or", func() { OrArray(dst, rows) }},
			{"AndNot", func() { AndNotArray(dst, rows) }},
			{"Counters", func() { c.AddArray(rows) }},
			{"Slices", func() { s.added = 0; s.AddArray(rows) }},
			{"Saturating", func() { c.AddArraySaturating(rows) }},
		} {
			b.Run(fmt.Sprintf("%s/rows=%d", test.name, n), func(b *testing.B) {
				for b.Loop() {
					test.f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rows)), "ns/row")
			})
		}
	}
}

func BenchmarkSlices(b *testing.B) {
	var in [7]*Block
	for i := range in {
		in[i] = benchBlock(float64(1+i) / 10)
	}
	var s Slices
	for range 10 {
		s.Add(&in, 7)
	}
	dst, c := new(Block), new(Counters)
	for _, test := range []struct {
		name string
		f    func()
	}{
		{"Add", func() { s.added -= 7; s.Add(&in, 7) }},
		{"AtLeast", func() { s.AtLeast(dst, 3) }},
		{"Counters", func() { c.AtLeast(dst, &s, 3, 70) }},
	} {
		b.Run(test.name, func(b *testing.B) {
			for b.Loop() {
				test.f()
			}
		})
	}
}
