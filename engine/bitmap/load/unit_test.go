package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine/bitmap/storage"
	"throng/query"
)

// TestPairs writes pairs by several goroutines, with and without room for them
// in memory, and inverts them.
func TestPairs(t *testing.T) {
	const blocks, terms, workers = 3, 500, 4
	for _, limit := range []int64{1 << 30, 1} {
		mem := newMemory(limit)
		path := filepath.Join(t.TempDir(), "pairs")
		s := mem.newStore(path, blocks, workers, 1<<16)
		var mu sync.Mutex
		want := [blocks]map[uint32]map[uint16]bool{}
		for b := range want {
			want[b] = map[uint32]map[uint16]bool{}
		}
		var wg sync.WaitGroup
		for g := range workers {
			w := newPairWriter(s)
			rng := rand.New(rand.NewPCG(4, uint64(g)))
			wg.Go(func() {
				row := uint32(0)
				for i := range 60_000 {
					if i%3 == 0 {
						row = rng.Uint32N(blocks * storage.BlockRows)
					}
					term := uint32(rng.ExpFloat64() * terms / 10)
					if err := w.add(row, term); err != nil {
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
				w.flush()
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
		v, err := newInverter(&numbering{final: final, order: final, terms: len(final)}) // a permutation that is its own inverse
		if err != nil {
			t.Fatal(err)
		}
		defer v.free()
		for b := range blocks {
			pieces, err := s.read(b)
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
			s.release(b)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
		if mem.used != 0 {
			t.Errorf("limit %d: %d bytes of memory are not given back", limit, mem.used)
		}
		mem.close()
		if _, err := os.Stat(path); err == nil {
			t.Errorf("limit %d: spill file is left", limit)
		}
	}
}

// TestLargeRecord keeps records larger than any chunk.
func TestLargeRecord(t *testing.T) {
	mem := newMemory(1)
	defer mem.close()
	s := mem.newStore(filepath.Join(t.TempDir(), "x"), 1, 1, 1<<20)
	w := s.writer()
	want := 0
	for _, n := range []int{10, 3 * maxChunk, 100, 1 << 20, 1} {
		c, _, err := w.room(0, n)
		if err != nil {
			t.Fatal(err)
		}
		w.put(0, append(c, make([]byte, n)...))
		want += n
	}
	w.flush()
	pieces, err := s.read(0)
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, p := range pieces {
		got += len(p)
	}
	if got != want {
		t.Errorf("store holds %d bytes, want %d", got, want)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func TestBlobs(t *testing.T) {
	for _, limit := range []int64{1 << 20, 100, 0} {
		b := newBlobs(filepath.Join(t.TempDir(), "blobs"), limit)
		var wg sync.WaitGroup
		var mu sync.Mutex
		want := map[int]string{}
		for g := range 4 {
			wg.Go(func() {
				for i := range 50 {
					s := fmt.Sprint(g, i)
					if i == 7 {
						s = ""
					}
					id, err := b.add([]byte(s))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					want[id] = s
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if err := b.seal(); err != nil {
			t.Fatal(err)
		}
		got := map[int]string{}
		for id := range b.list {
			got[id] = string(b.get(id))
			b.drop(id)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDictionary(t *testing.T) {
	d := &dictionary{limit: 1 << 30}
	first := d.newTerms()
	unused, err := first.intern(0, []byte("unused"))
	if err != nil {
		t.Fatal(err)
	}
	used, err := first.intern(3, []byte("used"))
	if err != nil {
		t.Fatal(err)
	}
	d.declare()
	d.use(used)
	var wg sync.WaitGroup
	var mu sync.Mutex
	numbers := map[string]uint32{}
	for range 4 {
		wg.Go(func() {
			terms := d.newTerms()
			for i := range 30_000 {
				field, value := uint8(i%5+4), fmt.Sprintf("value %d", i%9000)
				n, err := terms.intern(field, []byte(value))
				if err != nil {
					t.Error(err)
					return
				}
				d.use(n)
				key := fmt.Sprintf("%d%s", field, value)
				mu.Lock()
				if old, ok := numbers[key]; ok && old != n {
					t.Errorf("%s has the numbers %d and %d", key, old, n)
				}
				numbers[key] = n
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	order, final := d.number(2)
	if len(order) != len(numbers)+1 {
		t.Errorf("%d terms are numbered, want %d", len(order), len(numbers)+1)
	}
	if final[unused] != noTerm || final[used] != 0 {
		t.Errorf("unused term is number %d, the first used one %d", final[unused], final[used])
	}
	last := ""
	for i, n := range order {
		f, v := d.term(n)
		if key := fmt.Sprintf("%02d%s", f, v); key <= last {
			t.Errorf("term %d, %s, comes after %s", i, key, last)
		} else {
			last = key
		}
		if final[n] != uint32(i) {
			t.Errorf("final number of term %d = %d, want %d", n, final[n], i)
		}
	}
	if fields := len(query.TermFields()) + len(query.TextFields()); fields > 255 {
		t.Errorf("%d fields do not fit a byte", fields)
	}
}

// TestSortTerms sorts values that begin alike, have zeros, or are empty.
func TestSortTerms(t *testing.T) {
	d := &dictionary{limit: 1 << 30}
	rng := rand.New(rand.NewPCG(2, 3))
	terms := d.newTerms()
	want := map[string]bool{}
	for range 3000 {
		v := make([]byte, rng.IntN(40))
		for i := range v {
			if v[i] = 'a'; i > 5 && rng.IntN(6) == 0 {
				v[i] = byte(rng.IntN(2))
			}
		}
		if _, err := terms.intern(1, v); err != nil {
			t.Fatal(err)
		}
		want[string(v)] = true
	}
	order, _ := d.number(1)
	var got []string
	for _, n := range order {
		_, v := d.term(n)
		got = append(got, string(v))
	}
	if !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("%d values are out of order", len(got))
	}
}

func TestPairsDamaged(t *testing.T) {
	v, err := newInverter(&numbering{terms: 100})
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

func TestInOrder(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		var under atomic.Int32
		var got []int
		err := inOrder(t.Context(), 100, workers, func(i int) (int, error) {
			under.Add(1)
			return i * i, nil
		}, func(i, v int) error {
			if n := under.Add(-1); int(n) > workers+2 {
				t.Errorf("%d workers: %d things at once", workers, n)
			}
			got = append(got, v-i*i+i)
			return nil
		})
		if err != nil || len(got) != 100 || !slices.IsSorted(got) {
			t.Errorf("%d workers: inOrder = %v, used %v", workers, err, got)
		}
	}
	boom := errors.New("boom")
	if err := inOrder(t.Context(), 50, 3, func(i int) (int, error) {
		if i == 20 {
			return 0, boom
		}
		return i, nil
	}, func(int, int) error { return nil }); !errors.Is(err, boom) {
		t.Errorf("inOrder = %v, want %v", err, boom)
	}
	if err := inOrder(t.Context(), 50, 3, func(i int) (int, error) { return i, nil }, func(i, _ int) error {
		if i == 20 {
			return boom
		}
		return nil
	}); !errors.Is(err, boom) {
		t.Errorf("inOrder = %v, want %v", err, boom)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := inOrder(ctx, 50, 3, func(i int) (int, error) { return i, nil }, func(int, int) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("inOrder = %v, want %v", err, context.Canceled)
	}
}
