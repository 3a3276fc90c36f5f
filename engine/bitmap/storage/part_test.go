package storage

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// partLists makes postings of every kind of container, also mixed.
func partLists(rows int) map[uint32]*[PartBlocks][]uint16 {
	rng := rand.New(rand.NewPCG(1, 2))
	lists := map[uint32]*[PartBlocks][]uint16{}
	put := func(term uint32, keep func(row int) bool) {
		l := new([PartBlocks][]uint16)
		for r := range rows {
			if keep(r) {
				l[r/BlockRows] = append(l[r/BlockRows], uint16(r%BlockRows))
			}
		}
		lists[term] = l
	}
	put(3, func(r int) bool { return r == rows-1 })
	put(4, func(r int) bool { return r == 0 })
	put(7, func(r int) bool { return r%1000 == 1 })
	put(8, func(int) bool { return true })
	put(9, func(int) bool { return rng.IntN(2) == 0 })
	put(10, func(r int) bool { return r < 100 || r > BlockRows && r < BlockRows+7 })
	put(1000, func(r int) bool { return r < BlockRows && r%3 == 0 || r >= BlockRows && r%4000 == 0 })
	put(1<<32-1, func(r int) bool { return r/5000%2 == 0 || r%9000 == 7 })
	put(500, func(int) bool { return false })
	return lists
}

func writePart(t testing.TB, dir string, rows int, lists map[uint32]*[PartBlocks][]uint16) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "parts"), 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := NewPartWriter(dir, PartName(0), PartRows, rows)
	if err != nil {
		t.Fatal(err)
	}
	terms := make([]uint32, 0, len(lists))
	for term := range lists {
		terms = append(terms, term)
	}
	slices.Sort(terms)
	for _, term := range terms {
		if err := w.Add(term, lists[term]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, PartName(0))
}

func rowsOf(c Container) []uint16 {
	var rows []uint16
	switch c.Kind {
	case None:
	case Array:
		rows = append(rows, c.Array...)
	case Bitmap:
		for r := range BlockRows {
			if c.Bitmap[r>>6]>>(r&63)&1 != 0 {
				rows = append(rows, uint16(r))
			}
		}
	case Runs:
		for _, run := range c.Runs {
			for r := int(run.Start); r <= int(run.Last); r++ {
				rows = append(rows, uint16(r))
			}
		}
	}
	return rows
}

func TestPart(t *testing.T) {
	for _, rows := range []int{1, 64, 5000, BlockRows, BlockRows + 1, 3*BlockRows + 17} {
		lists := partLists(rows)
		p, err := OpenPart(writePart(t, t.TempDir(), rows, lists))
		if err != nil {
			t.Fatal(err)
		}
		if p.FirstRow() != PartRows || p.Rows() != rows {
			t.Errorf("part holds %d rows from %d, want %d from %d", p.Rows(), p.FirstRow(), rows, PartRows)
		}
		kinds := map[Kind]bool{}
		for term, want := range lists {
			ps, err := p.Postings(term)
			if err != nil {
				t.Fatal(err)
			}
			for b := range PartBlocks {
				c := ps.Container(b)
				kinds[c.Kind] = true
				got := rowsOf(c)
				if !slices.Equal(got, want[b]) || c.Card != len(got) || ps.Card(b) != len(got) {
					t.Errorf("rows %d: Postings(%d) block %d: %d rows of kind %d, card %d, want %d rows", rows, term, b, len(got), c.Kind, c.Card, len(want[b]))
				}
				if present := ps.Mask()>>b&1 != 0; present != (len(want[b]) > 0) {
					t.Errorf("rows %d: mask of term %d block %d = %v", rows, term, b, present)
				}
			}
			if ps.Empty() != (ps.Mask() == 0) {
				t.Errorf("Empty of term %d contradicts its mask", term)
			}
		}
		if rows > 3*BlockRows {
			want := map[Kind]bool{None: true, Array: true, Bitmap: true, Runs: true}
			if diff := cmp.Diff(want, kinds); diff != "" {
				t.Errorf("kinds of containers (-want +got):\n%s", diff)
			}
		}
		if ps, err := p.Postings(12345); err != nil || !ps.Empty() {
			t.Errorf("Postings(12345) = %v, %v, want nobody", ps.Mask(), err)
		}
		var terms []uint32
		if err := p.EachTerm(func(term uint32, _ Postings) bool { terms = append(terms, term); return true }); err != nil {
			t.Fatal(err)
		}
		if !slices.IsSorted(terms) || len(terms) != p.Terms() {
			t.Errorf("EachTerm gives %v, want %d ascending terms", terms, p.Terms())
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
