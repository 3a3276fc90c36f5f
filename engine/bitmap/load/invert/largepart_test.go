package invert

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// TestLargePart inverts parts of many times the budget. What is held must not
// exceed it by more than what is lost to sizes of arrays, and the files must be
// the same as with memory for everything.
func TestLargePart(t *testing.T) {
	const rows, terms = storage.PartRows/4 + 1000, 3000
	pairs := 6_000_000
	if testing.Short() {
		pairs /= 4
	}
	invert := func(dir string, memory, budget int64) int64 {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, "parts"), 0o700); err != nil {
			t.Fatal(err)
		}
		mem := spill.NewMemory(memory)
		defer mem.Close()
		s := mem.NewStore(filepath.Join(dir, "pairs"), blocksOf(rows), 1, memory/8)
		more := mem.NewStore(filepath.Join(dir, "more"), blocksOf(rows), 1, memory/8)
		w, finals := NewWriter(s), NewFinalWriter(more)
		rng := rand.New(rand.NewPCG(3, 4))
		for range pairs {
			// Few terms have most of the rows; the final number of t is 2t.
			if err := w.Add(rng.Uint32N(rows), rng.Uint32N(1+rng.Uint32N(terms))); err != nil {
				t.Fatal(err)
			}
		}
		for term := uint32(1); term < 2*terms; term += 2 {
			if err := finals.Add(rng.Uint32N(rows), term); err != nil {
				t.Fatal(err)
			}
		}
		w.Flush()
		finals.Flush()
		order, final := make([]uint32, terms), make([]uint32, terms)
		for i := range order {
			order[i], final[i] = uint32(i), uint32(2*i)
		}
		counted := forward.CountedOf(query.Affinity, terms)
		v := newInversion(Config{
			Dir: dir, Rows: rows, Workers: 2, Budget: budget, Pairs: s, More: more,
			Numbers: Numbering{Final: final, Order: order, Terms: terms}, People: make([]uint32, 2*terms),
			Counted: &counted,
		})
		if err := v.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return v.most
	}
	const budget = 2 << 20
	few, much := t.TempDir(), t.TempDir()
	all := invert(much, 1<<28, 1<<28)
	held := invert(few, 1<<20, budget)
	if most := int64(budget) * 2; held > most || all < 2*held {
		t.Errorf("held %d bytes of blocks, want %d at most; with memory for all, %d", held, most, all)
	}
	for _, name := range []string{storage.PartName(0), forward.Name(0)} {
		want, err := os.ReadFile(filepath.Join(much, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(few, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs", name)
		}
	}
}
