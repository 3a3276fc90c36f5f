package bench

import (
	"os"
	"testing"
	"time"
)

func TestTmpBig(t *testing.T) {
	dir := os.Getenv("BENCH_DIR")
	if dir == "" {
		t.Skip()
	}
	people := 10_000_000
	p, err := NewPopulation(people, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	rows, err := p.Write(t.Context(), dir, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := time.Since(start)
	t.Logf("%d rows in %v, %.2f M/s", rows, d, float64(rows)/d.Seconds()/1e6)
}
