package load

import (
	"os"
	"strconv"
	"testing"

	"throng/engine"
)

// BenchmarkLoad loads the dataset in the folder THRONG_BENCH_DATASET, with so
// many bytes of memory as THRONG_BENCH_MEMORY says, and reports rows a second.
func BenchmarkLoad(b *testing.B) {
	dir := os.Getenv("THRONG_BENCH_DATASET")
	if dir == "" {
		b.Skip("THRONG_BENCH_DATASET is not set")
	}
	memory, _ := strconv.ParseInt(os.Getenv("THRONG_BENCH_MEMORY"), 10, 64) // 0: the default
	rows := uint64(0)
	for b.Loop() {
		r, err := Load(b.Context(), b.TempDir(), dir, engine.LoadOptions{Memory: memory})
		if err != nil {
			b.Fatal(err)
		}
		for _, t := range r.Tables {
			rows += t.Rows
		}
		b.ReportMetric(float64(r.Bytes)/float64(r.People), "bytes/person")
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
