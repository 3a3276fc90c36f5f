package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// BenchmarkGenerate writes 200,000 people, of all tables, on all cores.
func BenchmarkGenerate(b *testing.B) {
	const people = 8 * chunkPeople
	parent, rows := b.TempDir(), int64(0)
	for i := 0; b.Loop(); i++ {
		dir := filepath.Join(parent, fmt.Sprint(i))
		if err := Generate(b.Context(), Config{People: people, Seed: 5, Dir: dir}); err != nil {
			b.Fatal(err)
		}
		if rows == 0 {
			rows = countRows(b, dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func countRows(b *testing.B, dir string) (rows int64) {
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.parquet"))
	if err != nil || len(paths) == 0 {
		b.Fatal(err)
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			b.Fatal(err)
		}
		table, err := parquet.OpenFile(f, info.Size())
		if err != nil {
			b.Fatal(err)
		}
		rows += table.NumRows()
	}
	return rows
}
