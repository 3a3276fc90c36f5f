package invert

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
)

// TestWriters writes pairs by several goroutines, with and without room for them
// in memory, and inverts them.
func TestWriters(t *testing.T) {
	const blocks, terms, workers = 3, 500, 4
	for _, limit := range []int64{1 << 30, 1} {
		mem := spill.NewMemory(limit)
		path := filepath.Join(t.TempDir(), "pairs")
		s := mem.NewStore(path, blocks, workers, 1<<16)
		var mu sync.Mutex
		want := [blocks]map[uint32]map[uint16]bool{}
		for b := range want {
			want[b] = map[uint32]map[uint16]bool{}
		}
		var wg sync.WaitGroup
		for g := range workers {
			w := NewWriter(s)
			rng := rand.New(rand.NewPCG(4, uint64(g)))
			wg.Go(func() {
				row := uint32(0)
				for i := range 60_000 {
					if i%3 == 0 {
						row = rng.Uint32N(blocks * storage.BlockRows)
					}
					term := uint32(rng.ExpFloat64() * terms / 10)
					if err := w.Add(row, term); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					of := want[row/storage.BlockRows]
					if of[term] == nil {
						of[term] = map[uint16]bool{}
					}
					of[term][uint16(row)] = true
					mu.Unlock()
				}
				w.Flush()
			})
		}
		wg.Wait()
		if _, err := os.Stat(path); (err == nil) != (limit == 1) {
			t.Errorf("limit %d: spill file: %v", limit, err)
		}
		final := make([]uint32, 1<<16)
		for i := range final {
			final[i] = uint32(len(final) - 1 - i)
		}
		v, err := newInverter(&Numbering{Final: final, Order: final, Terms: len(final)}) // a permutation that is its own inverse
		if err != nil {
			t.Fatal(err)
		}
		defer v.free()
		for b := range blocks {
			pieces, err := s.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			bt := new(blockLists)
			if err := v.invert(pieces, nil, allTerms, bt); err != nil {
				t.Fatal(err)
			}
			if !slices.IsSorted(bt.Terms) {
				t.Errorf("limit %d: terms of block %d are out of order", limit, b)
			}
			got := map[uint32][]uint16{}
			from := uint32(0)
			for i, term := range bt.Terms {
				got[uint32(len(final))-1-term] = bt.Rows[from:bt.Ends[i]]
				from = bt.Ends[i]
			}
			for term, rows := range want[b] {
				if list := slices.Sorted(maps.Keys(rows)); !slices.Equal(got[term], list) {
					t.Errorf("limit %d: term %d of block %d has %d rows, want %d", limit, term, b, len(got[term]), len(list))
				}
			}
			if len(got) != len(want[b]) {
				t.Errorf("limit %d: block %d has %d terms, want %d", limit, b, len(got), len(want[b]))
			}
			s.Release(b)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n := mem.Taken(); n != 0 {
			t.Errorf("limit %d: %d bytes of memory are not given back", limit, n)
		}
		mem.Close()
		if _, err := os.Stat(path); err == nil {
			t.Errorf("limit %d: spill file is left", limit)
		}
	}
}

func TestPairsDamaged(t *testing.T) {
	v, err := newInverter(&Numbering{Terms: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer v.free()
	for _, piece := range [][]byte{{0}, {0, 1}, {1, 0, 0}, {0, 0, 0x80, 100, 0, 0}, {0, 0, 0x81, 1, 0, 0}} {
		if err := v.invert([][]byte{piece}, nil, allTerms, new(blockLists)); err == nil {
			t.Errorf("invert(%x) = nil, want an error", piece)
		}
	}
	for _, piece := range [][]byte{{0}, {2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0}, {255, 255, 255, 255, 0, 0}} {
		if err := v.invert(nil, [][]byte{piece}, allTerms, new(blockLists)); err == nil {
			t.Errorf("invert(rare %x) = nil, want an error", piece)
		}
	}
}
