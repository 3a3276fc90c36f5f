package bitmap

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"throng/engine"
	"throng/engine/bitmap/rowset"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/query"
)

// printedFixture makes a generation of people each of whom has one MD5 and a
// twitter id, of whom a tenth, spread out, live in the country "tenth".
func printedFixture(tb testing.TB, rows int) *generation {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, uint64(rows)))
	f := newFixture(rows)
	f.ids[identifier.SSID] = map[int][]string{} // nobody asks for keys
	f.addTerm(query.Country, "tenth", sample(rng, rows, 0.1))
	dir := tb.TempDir()
	f.write(tb, dir, "00000001")
	folder := filepath.Join(dir, "00000001")
	m, err := storage.ReadManifest(folder)
	must(tb, err)
	for _, t := range []identifier.Type{identifier.MD5, identifier.TwitterID} {
		c, err := storage.NewColumnWriter(folder, storage.ColumnName(t), uint32(rows))
		must(tb, err)
		var value [16]byte
		for r := range rows {
			v := value[:]
			if t == identifier.MD5 {
				for i := range v {
					v[i] = byte(rng.Uint32())
				}
			} else {
				v = fmt.Appendf(v[:0], "%d", rng.Uint64N(1e10))
			}
			must(tb, c.Add(uint32(r), v, false))
		}
		sum, err := c.Close()
		must(tb, err)
		m.Files = append(m.Files, sum)
		l, err := storage.NewLookupWriter(folder, storage.LookupName(t), 0) // nobody asks for rows
		must(tb, err)
		sum, err = l.Close()
		must(tb, err)
		m.Files = append(m.Files, sum)
	}
	must(tb, storage.WriteManifest(folder, m))
	return acquire(tb, openTest(tb, dir), "")
}

// BenchmarkStream prints a tenth of the people to nowhere and to a file,
// beside the same by the standard library, value by value from the same
// column.
func BenchmarkStream(b *testing.B) {
	for _, rows := range []int{1e6, 1e7} {
		if testing.Short() && rows > 1e6 {
			continue
		}
		b.Run(fmt.Sprintf("people=%.0e", float64(rows)), func(b *testing.B) {
			g := printedFixture(b, rows)
			set, _, err := g.Select(b.Context(), one(query.In{Field: query.Country, Values: []string{"tenth"}}), 0)
			must(b, err)
			own := func(t ...identifier.Type) func(*testing.B, io.Writer) {
				return func(b *testing.B, w io.Writer) {
					must(b, g.Stream(b.Context(), set, t, func(batch *engine.Batch) error {
						_, err := w.Write(batch.Lines)
						return err
					}))
				}
			}
			library := func(b *testing.B, w io.Writer) { printByLibrary(b, w, g, set.(*rowset.Set)) }
			for _, to := range []string{"nowhere", "file"} {
				for _, way := range []struct {
					name  string
					types float64
					print func(*testing.B, io.Writer)
				}{
					{"md5/library", 1, library},
					{"md5/own", 1, own(identifier.MD5)},
					{"twitter_id/own", 1, own(identifier.TwitterID)},
					{"both/own", 2, own(identifier.MD5, identifier.TwitterID)},
				} {
					b.Run(fmt.Sprintf("to=%s/%s", to, way.name), func(b *testing.B) {
						w := destination(b, to)
						way.print(b, w) // checksums, and the file's first pages
						defer reportCPU(b, "value", float64(set.Len())*way.types)()
						for b.Loop() {
							if f, ok := w.(*os.File); ok {
								_, err := f.Seek(0, io.SeekStart)
								must(b, err)
								must(b, f.Truncate(0))
							}
							way.print(b, w)
						}
					})
				}
			}
		})
	}
}

func destination(b *testing.B, to string) io.Writer {
	b.Helper()
	if to == "nowhere" {
		return io.Discard
	}
	f, err := os.Create(filepath.Join(b.TempDir(), "text"))
	must(b, err)
	b.Cleanup(func() { must(b, f.Close()) })
	return f
}

func printByLibrary(b *testing.B, w io.Writer, g *generation, set *rowset.Set) {
	b.Helper()
	out := bufio.NewWriterSize(w, 128<<10)
	column := g.columns[identifier.MD5]
	var rows []uint16
	for i := range set.Blocks {
		block, err := column.Block(i)
		must(b, err)
		rows = set.Blocks[i].Rows(rows)
		for _, row := range rows {
			from, _ := block.Range(int(row))
			if _, err := out.WriteString(hex.EncodeToString(block.Value(from))); err != nil {
				b.Fatal(err)
			}
			if err := out.WriteByte('\n'); err != nil {
				b.Fatal(err)
			}
		}
	}
	must(b, out.Flush())
}
