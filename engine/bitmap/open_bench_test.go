package bitmap

import (
	"os"
	"testing"

	"throng/query"
	"throng/reference"
)

// BenchmarkOpen opens the index folder THRONG_BENCH_INDEX and counts; then it
// uses the affinities and the places as well.
func BenchmarkOpen(b *testing.B) {
	dir := os.Getenv("THRONG_BENCH_INDEX")
	if dir == "" {
		b.Skip("THRONG_BENCH_INDEX is not set")
	}
	for _, bench := range []struct {
		name string
		use  func(c interface {
			Places() (*reference.Table, error)
		})
	}{
		{"count", nil},
		{"places", func(c interface {
			Places() (*reference.Table, error)
		}) {
			places, err := c.Places()
			must(b, err)
			places.Lookup(reference.City, "x")
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				e, err := Open(dir, Config{})
				must(b, err)
				g, err := e.Acquire(b.Context(), "")
				must(b, err)
				_, err = g.Count(b.Context(), one(query.In{Field: query.Gender, Values: []string{"male"}}), 0)
				must(b, err)
				if bench.use != nil {
					tree, err := g.Catalog().Affinities()
					must(b, err)
					tree.Lookup("x")
					bench.use(g.Catalog())
				}
				g.Release()
				must(b, e.Close())
			}
		})
	}
}
