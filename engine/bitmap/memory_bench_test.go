package bitmap

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"testing"
	"time"

	"throng/engine"
	"throng/identifier"
	"throng/query"
)

// BenchmarkCountMemory counts the definition that most of its size can be made
// of: nine parameters of 10,000 accounts each, as many as a body of 1 MiB holds,
// of which people must follow ten. It reports by how much memory in use grew at
// most while one was counted, beside what was there before.
func BenchmarkCountMemory(b *testing.B) {
	for _, rows := range []int{1e6, 1e7} {
		b.Run(fmt.Sprintf("rows=%.0e", float64(rows)), func(b *testing.B) {
			if testing.Short() && rows > 1e6 {
				b.Skip("short")
			}
			const parameters, values = 9, 10_000
			rng := rand.New(rand.NewPCG(1, uint64(rows)))
			f := newFixture(rows)
			f.ids[identifier.SSID] = map[int][]string{} // nobody asks for keys
			for i := range parameters * values {
				f.addTerm(query.Twitter, strconv.Itoa(i), sample(rng, rows, 1e-5))
			}
			g := f.open(b)
			var def query.Definition
			for i := range parameters {
				def.Steps = append(def.Steps, query.Step{Op: query.Include, Node: query.AtLeast{K: 10, Field: query.Twitter, Values: names(i*values, (i+1)*values)}})
			}
			b.ReportAllocs()
			most := uint64(0)
			for k := 0; b.Loop(); k++ {
				def.Steps[0].Node = query.AtLeast{K: 10 + k, Field: query.Twitter, Values: names(0, values)} // not counted before
				runtime.GC()
				before := inUse()
				peak := watchHeap()
				if _, err := g.Count(b.Context(), def, engine.Alone); err != nil {
					b.Fatal(err)
				}
				most = max(most, peak()-before)
			}
			b.ReportMetric(float64(most)/(1<<20), "MiB-peak")
		})
	}
}

// open writes a fixture and opens its generation.
func (f *fixture) open(b *testing.B) *generation {
	b.Helper()
	dir := b.TempDir()
	f.write(b, dir, "00000001")
	e, err := Open(dir, Config{})
	must(b, err)
	b.Cleanup(func() { must(b, e.Close()) })
	g, err := e.Acquire(b.Context(), "")
	must(b, err)
	b.Cleanup(g.Release)
	return g.(*generation)
}

func inUse() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// watchHeap watches the memory in use until it is asked for the most.
func watchHeap() (most func() uint64) {
	done := make(chan struct{})
	peak := inUse()
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, inUse())
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() uint64 {
		close(done)
		wg.Wait()
		return max(peak, inUse())
	}
}
