package storage

import (
	"bytes"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// blockLists turns lists around: block by block instead of term by term.
func blockLists(lists map[uint32]*[PartBlocks][]uint16) *[PartBlocks]*BlockLists {
	var blocks [PartBlocks]*BlockLists
	for _, term := range slices.Sorted(maps.Keys(lists)) {
		for b, l := range lists[term] {
			if len(l) == 0 {
				continue
			}
			if blocks[b] == nil {
				blocks[b] = new(BlockLists)
			}
			bl := blocks[b]
			bl.Terms = append(bl.Terms, term)
			bl.Rows = append(bl.Rows, l...)
			bl.Ends = append(bl.Ends, uint32(len(bl.Rows)))
		}
	}
	for _, b := range blocks {
		if b != nil {
			b.Rows = slices.Grow(b.Rows, RowsSlack)
		}
	}
	return &blocks
}

// manyLists adds short lists of many terms, and long ones of few.
func manyLists(lists map[uint32]*[PartBlocks][]uint16, rows int) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		l := new([PartBlocks][]uint16)
		for range 1 + rng.IntN(4) {
			n := min(1+int(rng.ExpFloat64()*8), 3*shortArray)
			b := rng.IntN((rows + BlockRows - 1) / BlockRows)
			for range n {
				l[b] = append(l[b], uint16(rng.IntN(min(rows-b*BlockRows, BlockRows))))
			}
			slices.Sort(l[b])
			l[b] = slices.Compact(l[b])
		}
		lists[20_000+rng.Uint32N(1<<20)] = l
	}
}

// TestMerge writes parts from blocks: they must be the same, to the byte, as if
// written term by term.
func TestMerge(t *testing.T) {
	for _, rows := range []int{1, 5000, BlockRows + 1, 3*BlockRows + 17, PartRows} {
		if testing.Short() && rows == PartRows {
			continue
		}
		lists := partLists(rows)
		manyLists(lists, rows)
		want, err := os.ReadFile(writePart(t, t.TempDir(), rows, lists))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "parts"), 0o700); err != nil {
			t.Fatal(err)
		}
		w, err := NewPartWriter(dir, PartName(0), PartRows, rows)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Merge(blockLists(lists)); err != nil {
			t.Fatal(err)
		}
		terms, people := w.Terms()
		for i, term := range terms {
			n := 0
			for _, l := range lists[term] {
				n += len(l)
			}
			if people[i] != uint32(n) {
				t.Errorf("%d rows: term %d has %d rows, want %d", rows, term, people[i], n)
			}
		}
		sum, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, PartName(0)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d rows: merged part differs from that written term by term", rows)
		}
		// The file's checksum is made up of those of its chunks.
		if whole := crc32.Checksum(got, castagnoli); sum.CRC32C != whole || sum.Size != int64(len(got)) {
			t.Errorf("%d rows: sum of %d bytes is %x, want %x of %d", rows, sum.Size, sum.CRC32C, whole, len(got))
		}
	}
}

// TestMergeRefuses gives lists that contradict themselves.
func TestMergeRefuses(t *testing.T) {
	room := func(rows ...uint16) []uint16 { return slices.Grow(rows, RowsSlack) }
	for name, l := range map[string]BlockLists{
		"no end":        {Terms: []uint32{1, 2}, Ends: []uint32{1}, Rows: room(1)},
		"ends too soon": {Terms: []uint32{1}, Ends: []uint32{1}, Rows: room(1, 2)},
		"no slack":      {Terms: []uint32{1}, Ends: []uint32{1}, Rows: []uint16{1}},
		"no rows":       {Terms: []uint32{1, 2}, Ends: []uint32{0, 1}, Rows: room(1)},
		"ends disorder": {Terms: []uint32{1, 2, 3}, Ends: []uint32{2, 1, 3}, Rows: room(1, 2, 3)},
		"terms twice":   {Terms: []uint32{1, 1}, Ends: []uint32{1, 2}, Rows: room(1, 2)},
		"terms fall":    {Terms: []uint32{2, 1}, Ends: []uint32{1, 2}, Rows: room(1, 2)},
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "parts"), 0o700); err != nil {
			t.Fatal(err)
		}
		w, err := NewPartWriter(dir, PartName(0), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Merge(&[PartBlocks]*BlockLists{&l}); err == nil {
			t.Errorf("%s: Merge = nil, want an error", name)
		}
		w.Abort()
	}
}
