package load

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/query"
)

// writeTables writes a dataset folder: the content of each file by its name.
func writeTables(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// openCurrent opens the generation that CURRENT names.
func openCurrent(t testing.TB, index string) *storage.Files {
	t.Helper()
	id, err := storage.ReadCurrent(index)
	if err != nil {
		t.Fatal(err)
	}
	g, err := storage.OpenGeneration(filepath.Join(index, id))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// facts is everything an index says, by person: "field=value", "type:value"
// with "!" before a value that is shared, and "field~stream" of texts, in the
// order of the index where that matters.
func facts(t testing.TB, g *storage.Files) map[string][]string {
	t.Helper()
	keys := make([]string, g.Manifest.Rows)
	out := map[string][]string{}
	eachValue(t, g.Keys, func(row int, v []byte, _ bool) {
		keys[row] = string(v)
		out[keys[row]] = append(out[keys[row]], fmt.Sprintf("row=%d", row))
	})
	for _, p := range g.Parts {
		people := map[uint32]uint64{}
		err := p.EachTerm(func(term uint32, ps storage.Postings) bool {
			field := query.Field("")
			for _, f := range storage.Fields() {
				if first, n := g.Dict.Range(f); term >= first && term < first+n {
					field = f
				}
			}
			for b := range storage.PartBlocks {
				c := ps.Container(b)
				rows := rowsOf(c)
				if len(rows) != c.Card || !slices.IsSorted(rows) {
					t.Errorf("term %d block %d: %d rows, want %d sorted", term, b, len(rows), c.Card)
				}
				people[term] += uint64(len(rows))
				for _, r := range rows {
					k := keys[int(p.FirstRow())+b*storage.BlockRows+int(r)]
					value, err := g.Dict.Value(term)
					if err != nil {
						t.Fatal(err)
					}
					out[k] = append(out[k], string(field)+"="+string(value))
				}
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		for term := range g.Dict.Terms() {
			if n, err := g.Dict.People(term); len(g.Parts) == 1 && (err != nil || n != people[term]) {
				t.Errorf("People(%d) = %d, %v, want %d", term, n, err, people[term])
			}
		}
	}
	for typ, c := range g.IDs {
		if typ == identifier.SSID {
			continue
		}
		codec := storage.CodecOf(typ)
		eachValue(t, c, func(row int, v []byte, shared bool) {
			s := string(typ) + ":" + string(codec.Decode(nil, v))
			if shared {
				s += "!"
			}
			out[keys[row]] = append(out[keys[row]], s)
			if l := g.Lookups[typ]; l != nil {
				found := false
				if err := l.Candidates(storage.Hash(codec.Key(nil, v)), func(r uint32) bool {
					found = found || int(r) == row
					return true
				}); err != nil || !found {
					t.Errorf("%s of row %d is not found by its lookup: %v", typ, row, err)
				}
			}
		})
	}
	for f, c := range g.Texts {
		eachValue(t, c, func(row int, v []byte, _ bool) {
			out[keys[row]] = append(out[keys[row]], string(f)+"~"+strings.NewReplacer("\x1f", "|", "\x1e", ".").Replace(string(v)))
		})
	}
	for k := range out {
		slices.Sort(out[k])
	}
	return out
}

func eachValue(t testing.TB, c *storage.Column, yield func(row int, v []byte, shared bool)) {
	t.Helper()
	for b := range c.Blocks() {
		cb, err := c.Block(b)
		if err != nil {
			t.Fatal(err)
		}
		for r := range min(storage.BlockRows, int(c.Rows())-b*storage.BlockRows) {
			from, to := cb.Range(r)
			for v := from; v < to; v++ {
				yield(b*storage.BlockRows+r, cb.Value(v), cb.Shared(v))
			}
		}
	}
}

func rowsOf(c storage.Container) []uint16 {
	var rows []uint16
	switch c.Kind {
	case storage.None:
	case storage.Array:
		rows = append(rows, c.Array...)
	case storage.Bitmap:
		for r := range storage.BlockRows {
			if c.Bitmap[r>>6]>>(r&63)&1 != 0 {
				rows = append(rows, uint16(r))
			}
		}
	case storage.Runs:
		for _, run := range c.Runs {
			for r := int(run.Start); r <= int(run.Last); r++ {
				rows = append(rows, uint16(r))
			}
		}
	}
	return rows
}

// sums reads the files of a generation that must not depend on how it was
// loaded.
func sums(g *storage.Files) []storage.FileSum {
	var list []storage.FileSum
	for _, f := range g.Manifest.Files {
		if f.Name != storage.ReportName { // it tells the time
			list = append(list, f)
		}
	}
	return list
}
