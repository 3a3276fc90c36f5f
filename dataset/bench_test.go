package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

func BenchmarkRead(b *testing.B) {
	root := os.Getenv("THRONG_TEST_DATA")
	if root == "" {
		b.Skip("THRONG_TEST_DATA is not set")
	}
	s, err := Open(filepath.Join(root, "respondents"))
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{Interests, Follows, People} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", name, workers), func(b *testing.B) {
				var rows atomic.Int64
				for b.Loop() {
					err := s.Tables[name].Read(b.Context(), workers, nil, func(batch *Batch) error {
						rows.Add(int64(batch.Rows()))
						return nil
					})
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(rows.Load())/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

// BenchmarkParseCSV parses text in memory with one core.
func BenchmarkParseCSV(b *testing.B) {
	for _, quoted := range []bool{false, true} {
		b.Run(fmt.Sprintf("quoted=%t", quoted), func(b *testing.B) {
			form := "p%08d,youtube,UC%010d\n"
			if quoted {
				form = "\"p%08d\",\"youtube\",\"UC%010d\"\n"
			}
			var text []byte
			rows := 0
			for ; len(text) < chunkSize-100; rows++ {
				text = fmt.Appendf(text, form, rows, rows*7919)
			}
			n := len(text)
			text = append(text, make([]byte, padding)...)
			f := &fileReader{reader: &reader{table: &Table{Name: Follows}}, columns: Columns(Follows)}
			c := &csvFile{fileReader: f, cols: []int{0, 1, 2}}
			batch := &Batch{}
			b.SetBytes(int64(n))
			for b.Loop() {
				batch.reset(f, 0)
				batch.data = text[:n]
				c.parse(batch, 1)
				if batch.Rows() != rows {
					b.Fatalf("rows = %d, want %d", batch.Rows(), rows)
				}
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
