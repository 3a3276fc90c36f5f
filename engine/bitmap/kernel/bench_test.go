package kernel

import (
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
	dst, src := benchBlock(0.5), benchBlock(0.3)
	counters := new([Rows]uint8)
	for r := range counters {
		counters[r] = uint8(r * 7 % 13)
	}
	in := [7]*Block{src, benchBlock(0.2), src, src, benchBlock(0.1), src, src}
	p := [3]*Block{benchBlock(0.5), benchBlock(0.4), benchBlock(0.3)}
	for _, test := range []struct {
		name string
		f    func(k *kernels)
	}{
		{"Or", func(k *kernels) { k.or(dst, src) }},
		{"And", func(k *kernels) { k.and(dst, src) }},
		{"AndNot", func(k *kernels) { k.andNot(dst, src) }},
		{"Count", func(k *kernels) { k.count(src) }},
		{"OrCount", func(k *kernels) { k.orCount(dst, src) }},
		{"AndCount", func(k *kernels) { k.andCount(dst, src) }},
		{"AndNotCount", func(k *kernels) { k.andNotCount(dst, src) }},
		{"Add7", func(k *kernels) { k.add7(&in, p[0], p[1], p[2], dst) }},
		{"Add1", func(k *kernels) { k.add1(p[0], dst) }},
		{"AddBlock", func(k *kernels) { k.addBlock(counters, src, 1) }},
		{"AddBlockSaturating", func(k *kernels) { k.addBlockSaturating(counters, src, 3) }},
		{"AtLeast", func(k *kernels) { k.atLeast(dst, counters, 3) }},
		{"AtLeastLow", func(k *kernels) { k.atLeastLow(dst, counters, 3) }},
	} {
		b.Run(test.name, func(b *testing.B) { turns(b, test.f) })
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
