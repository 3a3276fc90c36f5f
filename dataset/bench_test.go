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

// BenchmarkFormats reads 500,000 follows of each format.
func BenchmarkFormats(b *testing.B) {
	records := follows(500_000)
	for name, data := range map[string][]byte{
		"follows.csv": followsCSV(records), "follows.ndjson": followsNDJSON(b, records), "follows.parquet": parquetOf(b, records, 100_000),
	} {
		dir := b.TempDir()
		write(b, dir, name, data)
		tab := table(b, dir, Follows)
		b.Run(fmt.Sprintf("%s/rows=%d", tab.Files[0].Format, len(records)), func(b *testing.B) {
			for b.Loop() {
				if err := tab.Read(b.Context(), 1, nil, func(*Batch) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(records)*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkDecode decodes real rows that are in memory.
func BenchmarkDecode(b *testing.B) {
	env := Env{AsOf: asOf, Places: places(b)}
	person := rowOf(People, "so2016-12345", "", "", "25-34", "male", "white", "c1", "", "", "231", "2026-10-30T12:00:00Z")
	follow := rowOf(Follows, "so2016-12345", "youtube", "UC1234567890")
	b.Run("people", func(b *testing.B) {
		var p PersonRow
		for b.Loop() {
			if o := p.Decode(person, 0, env); !o.OK() {
				b.Fatal(o)
			}
		}
	})
	b.Run("follows", func(b *testing.B) {
		var f FollowRow
		for b.Loop() {
			if o := f.Decode(follow, 0); !o.OK() {
				b.Fatal(o)
			}
		}
	})
}
