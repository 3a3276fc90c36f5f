package bitmap

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"throng/engine"
	"throng/identifier"
	"throng/query"
)

// heap is the bytes in use once what is not is collected.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// spent is the processor time of the process.
func spent(b *testing.B) time.Duration {
	var u unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOpen opens the index folder THRONG_BENCH_INDEX and asks questions,
// each for the first time, in the order in which they are told of: processor
// time, and how much memory the process keeps after each.
func BenchmarkOpen(b *testing.B) {
	dir := os.Getenv("THRONG_BENCH_INDEX")
	if dir == "" {
		b.Skip("THRONG_BENCH_INDEX is not set")
	}
	type step struct {
		name string
		ask  func(g engine.Generation) error
	}
	women := one(query.In{Field: query.Gender, Values: []string{"female"}})
	var rows query.RowSet
	steps := []step{
		{"count", func(g engine.Generation) error { _, err := g.Count(b.Context(), women, 0); return err }},
		{"affinities", func(g engine.Generation) error { _, err := g.Catalog().Affinities(); return err }},
		{"places", func(g engine.Generation) error { _, err := g.Catalog().Places(); return err }},
		{"term", func(g engine.Generation) error {
			_, _, err := g.Catalog().Term(query.Twitter, "500000")
			return err
		}},
		{"account", func(g engine.Generation) error {
			_, _, err := g.Catalog().Account(query.Twitter, "500000")
			return err
		}},
		{"named", func(g engine.Generation) error {
			_, err := g.Catalog().AccountsNamed(query.Twitter, "name_77")
			return err
		}},
		{"first-names", func(g engine.Generation) error {
			_, _, err := g.Catalog().Search(b.Context(), query.JobTitle, "", 0, 20)
			return err
		}},
		{"names", func(g engine.Generation) error {
			_, _, err := g.Catalog().Search(b.Context(), query.JobTitle, "chef 4", 0, 20)
			return err
		}},
		{"no-names", func(g engine.Generation) error {
			_, _, err := g.Catalog().Search(b.Context(), query.JobTitle, "astronaut", 0, 20)
			return err
		}},
		{"no-names-again", func(g engine.Generation) error {
			_, _, err := g.Catalog().Search(b.Context(), query.JobTitle, "cosmonaut", 0, 20)
			return err
		}},
		{"select", func(g engine.Generation) (err error) {
			rows, _, err = g.Select(b.Context(), women, 0)
			return err
		}},
		{"breakdown", func(g engine.Generation) error {
			_, err := g.Breakdown(b.Context(), rows, []query.Field{query.Country, query.Age})
			return err
		}},
		{"stream", func(g engine.Generation) error {
			return g.Stream(b.Context(), rows, identifier.Types(), func(*engine.Batch) error { return nil })
		}},
	}
	rounds := 0
	for b.Loop() {
		rounds++
		base := heap()
		note := func(name string, before time.Duration) {
			b.ReportMetric(float64(spent(b)-before)/1e6, "ms-"+name) // of the last round
			b.ReportMetric(float64(int64(heap()-base))/(1<<20), "MiB-after-"+name)
		}
		t := spent(b)
		e, err := Open(dir, Config{})
		must(b, err)
		g, err := e.Acquire(b.Context(), "")
		must(b, err)
		note("open", t)
		for _, s := range steps {
			t := spent(b)
			must(b, s.ask(g))
			note(s.name, t)
		}
		rows = nil
		g.Release()
		must(b, e.Close())
	}
}
