package insight_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"throng/demo"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/insight"
	"throng/query"
)

// benchGeneration is a synthetic population of THRONG_BENCH_PEOPLE people
// (100,000), or the index of the folder THRONG_BENCH_INDEX, which is faster than
// to make one again.
func benchGeneration(b *testing.B) engine.Generation {
	b.Helper()
	index := os.Getenv("THRONG_BENCH_INDEX")
	made := index == ""
	if made {
		index = filepath.Join(b.TempDir(), "index")
	}
	e, err := bitmap.Open(index, bitmap.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	if made {
		people, err := strconv.Atoi(cmp.Or(os.Getenv("THRONG_BENCH_PEOPLE"), "100000"))
		if err != nil {
			b.Fatal(err)
		}
		dir := filepath.Join(b.TempDir(), "dataset")
		if err := demo.Generate(b.Context(), demo.Config{Dir: dir, People: people}); err != nil {
			b.Fatal(err)
		}
		if _, err := e.Load(b.Context(), dir, engine.LoadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	g, err := e.Acquire(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(g.Release)
	return g
}

// reportCPU tells the processor time of an operation, which other work on the
// machine does not change; call what it returns at the end.
func reportCPU(b *testing.B) func() {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64((used()-before).Microseconds())/1000/float64(b.N), "cpu-ms/op") }
}

// BenchmarkInsight counts all sixteen dimensions of about a tenth of the people
// and of all baselines, and reads the report. What is warm has the baselines.
func BenchmarkInsight(b *testing.B) {
	g := benchGeneration(b)
	places, err := g.Catalog().Places()
	if err != nil {
		b.Fatal(err)
	}
	definitions := insight.Definitions(places)
	baselines := func() []*insight.Group {
		groups := make([]*insight.Group, len(definitions))
		for i, d := range definitions {
			if groups[i], err = insight.CountDefinition(b.Context(), g, d); err != nil {
				b.Fatal(err)
			}
		}
		return groups
	}
	// Women of two age groups, about a tenth.
	rows, _, err := g.Select(b.Context(), query.Definition{Steps: []query.Step{
		{Op: query.Include, Node: query.In{Field: query.Gender, Values: []string{"female"}}},
		{Op: query.Filter, Node: query.In{Field: query.Age, Values: []string{"25-34", "35-44"}}},
	}}, 0)
	if err != nil {
		b.Fatal(err)
	}
	count := func(groups []*insight.Group) *insight.Counts {
		audience, err := insight.CountRows(b.Context(), g, "audience", rows)
		if err != nil {
			b.Fatal(err)
		}
		counts, err := insight.Keep(b.Context(), g, audience, groups, insight.DefaultMinimum)
		if err != nil {
			b.Fatal(err)
		}
		return counts
	}
	size := fmt.Sprintf("people=%d/members=%d", g.Info().People, rows.Len())
	b.Run("cold/"+size, func(b *testing.B) {
		b.ReportAllocs()
		defer reportCPU(b)()
		for b.Loop() {
			count(baselines())
		}
	})
	groups := baselines()
	b.Run("warm/"+size, func(b *testing.B) {
		b.ReportAllocs()
		defer reportCPU(b)()
		for b.Loop() {
			count(groups)
		}
	})
	counts := count(groups)
	for _, order := range insight.Orders() {
		b.Run("report/order="+string(order)+"/"+size, func(b *testing.B) {
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				if _, err := counts.Report("usa", 0, insight.Ask{Order: order}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("file/"+size, func(b *testing.B) {
		b.ReportAllocs()
		defer reportCPU(b)()
		for b.Loop() {
			again(b, counts)
		}
	})
}
