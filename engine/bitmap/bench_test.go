package bitmap

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"throng/engine"
	"throng/engine/bitmap/recall"
	"throng/identifier"
	"throng/query"
)

// sample picks each row with probability p.
func sample(rng *rand.Rand, rows int, p float64) []uint32 {
	out := make([]uint32, 0, int(float64(rows)*p*1.1)+16)
	scale := 1 / math.Log1p(-p)
	for r := int(math.Log(1-rng.Float64()) * scale); r < rows; r += 1 + int(math.Log(1-rng.Float64())*scale) {
		out = append(out, uint32(r))
	}
	return out
}

// benchFixture has the terms of a definition of seven parameters, as dense
// as they are among people.
func benchFixture(rows int) *fixture {
	rng := rand.New(rand.NewPCG(1, uint64(rows)))
	f := newFixture(rows)
	f.ids[identifier.SSID] = map[int][]string{} // nobody asks for keys
	for i, p := range []float64{0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.3, 0.1, 0.001, 0.0001} {
		f.addTerm(query.Affinity, strconv.Itoa(i), sample(rng, rows, p))
	}
	f.addTerm(query.Country, "0", sample(rng, rows, 0.3))
	f.addTerm(query.Country, "1", sample(rng, rows, 0.2))
	f.addTerm(query.Gender, "female", sample(rng, rows, 0.49))
	f.addTerm(query.Active, "180", sample(rng, rows, 0.6))
	f.addTerm(query.Employer, "uploaded", sample(rng, rows, 0.003))
	for i := range 50 {
		f.addTerm(query.Twitter, strconv.Itoa(i), sample(rng, rows, 0.1/float64(i+1)))
	}
	return f
}

// benchGeneration opens the generation of benchFixture.
func benchGeneration(b *testing.B, rows int) *generation {
	b.Helper()
	dir := b.TempDir()
	benchFixture(rows).write(b, dir, "00000001")
	e, err := Open(dir, Config{})
	must(b, err)
	b.Cleanup(func() { must(b, e.Close()) })
	g, err := e.Acquire(b.Context(), "")
	must(b, err)
	b.Cleanup(g.Release)
	return g.(*generation)
}

func names(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, strconv.Itoa(i))
	}
	return out
}

func seven(uploaded query.RowSet) query.Definition {
	return query.Definition{Steps: []query.Step{
		{Op: query.Include, Node: query.In{Field: query.Affinity, Values: names(0, 5)}},
		{Op: query.Filter, Node: query.In{Field: query.Country, Values: names(0, 2)}},
		{Op: query.Filter, Node: query.In{Field: query.Gender, Values: []string{"female"}}},
		{Op: query.Filter, Node: query.AtLeast{K: 2, Field: query.Twitter, Values: names(0, 5)}},
		{Op: query.Filter, Node: query.In{Field: query.Active, Values: []string{"180"}}},
		{Op: query.Exclude, Node: query.In{Field: query.Affinity, Values: names(5, 6)}},
		{Op: query.Exclude, Node: query.Rows{Set: uploaded}},
	}}
}

func one(n query.Node) query.Definition {
	return query.Definition{Steps: []query.Step{{Node: n}}}
}

func BenchmarkCount(b *testing.B) {
	for _, rows := range []int{1e6, 1e7} {
		b.Run(fmt.Sprintf("rows=%.0e", float64(rows)), func(b *testing.B) {
			if testing.Short() && rows > 1e6 {
				b.Skip("short")
			}
			g := benchGeneration(b, rows)
			uploaded, _, err := g.Select(b.Context(), one(query.In{Field: query.Employer, Values: []string{"uploaded"}}), 0)
			must(b, err)
			for _, test := range []struct {
				name string
				d    query.Definition
				want engine.Sizes
			}{
				{"seven", seven(uploaded), engine.After},
				{"seven/alone", seven(uploaded), engine.Alone},
				{"seven/whole", seven(uploaded), 0},
				{"union10", one(query.In{Field: query.Affinity, Values: names(0, 10)}), 0},
				{"2of50", one(query.AtLeast{K: 2, Field: query.Twitter, Values: names(0, 50)}), 0},
				{"3of50", one(query.AtLeast{K: 3, Field: query.Twitter, Values: names(0, 50)}), 0},
				{"5of50", one(query.AtLeast{K: 5, Field: query.Twitter, Values: names(0, 50)}), 0},
				{"10of50", one(query.AtLeast{K: 10, Field: query.Twitter, Values: names(0, 50)}), 0},
				{"and", one(query.And{Nodes: []query.Node{
					query.In{Field: query.Country, Values: names(0, 1)}, query.In{Field: query.Country, Values: names(1, 2)},
				}}), 0},
			} {
				b.Run(test.name, func(b *testing.B) {
					b.ReportAllocs()
					defer reportCPU(b, "op", 1)()
					for b.Loop() {
						g.sizes, g.sets = recall.NewSizes(true), recall.NewSets(0) // else it costs nothing
						_, err := g.Count(b.Context(), test.d, test.want)
						must(b, err)
					}
				})
			}
			b.Run("seven/edited", func(b *testing.B) {
				g.sizes, g.sets = recall.NewSizes(false), recall.NewSets(defaultCache)
				d := seven(uploaded)
				rng := rand.New(rand.NewPCG(3, 4))
				edit := func() { // each time follows any of five other accounts
					var values []string
					for range 5 {
						values = append(values, strconv.Itoa(3+rng.IntN(47)))
					}
					d.Steps[0].Node = query.In{Field: query.Twitter, Values: values}
					_, err := g.Count(b.Context(), d, engine.Alone)
					must(b, err)
				}
				edit()
				b.ReportAllocs()
				defer reportCPU(b, "op", 1)()
				for b.Loop() {
					edit()
				}
			})
			b.Run("select", func(b *testing.B) {
				for b.Loop() {
					_, _, err := g.Select(b.Context(), seven(uploaded), 0)
					must(b, err)
				}
			})
		})
	}
}

func BenchmarkIdentifiers(b *testing.B) {
	const rows = 300_000
	rng := rand.New(rand.NewPCG(1, 2))
	f := newFixture(rows)
	for r := range rows {
		f.addID(identifier.MD5, r, fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64()))
	}
	dir := b.TempDir()
	f.write(b, dir, "00000001")
	e, err := Open(dir, Config{})
	must(b, err)
	b.Cleanup(func() { must(b, e.Close()) })
	h, err := e.Acquire(b.Context(), "")
	must(b, err)
	b.Cleanup(h.Release)
	var values [][]byte
	for r := range rows {
		values = append(values, []byte(f.ids[identifier.MD5][r][0]))
	}
	b.Run("match", func(b *testing.B) {
		defer reportCPU(b, "value", rows)()
		for b.Loop() {
			_, n, err := h.Match(b.Context(), identifier.MD5, func(yield func([]byte) bool) {
				for _, v := range values {
					if !yield(v) {
						return
					}
				}
			})
			must(b, err)
			if n != rows {
				b.Fatalf("%d matched, want %d", n, rows)
			}
		}
	})
	set, _, err := h.Select(b.Context(), everyone(), 0)
	must(b, err)
	b.Run("stream", func(b *testing.B) {
		defer reportCPU(b, "value", rows)()
		for b.Loop() {
			must(b, h.Stream(b.Context(), set, []identifier.Type{identifier.MD5}, func(*engine.Batch) error { return nil }))
		}
	})
}

// reportCPU, deferred with its result, reports the processor time of all
// goroutines for each of so many units an operation: what a busy machine does
// not change.
func reportCPU(b *testing.B, unit string, units float64) func() {
	b.Helper()
	spent := func() time.Duration {
		var u syscall.Rusage
		must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	start := spent()
	return func() {
		b.ReportMetric(float64(spent()-start)/float64(b.N)/units, "cpu-ns/"+unit)
	}
}
