package intern

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
)

// numbersOf gives the numbers of all terms, which must come in order.
func numbersOf(t *testing.T, o *Overflow, order []uint32, want []string) map[string]uint32 {
	t.Helper()
	numbers := map[string]uint32{}
	if err := o.EachTerm(order, func(n uint32, field uint8, value []byte) error {
		k := string(append([]byte{field}, value...))
		if int(n) != len(numbers) || k != want[n] {
			return fmt.Errorf("term %d is %q, want %q", n, k, want[n])
		}
		numbers[k] = n
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return numbers
}

// rowsOf gives the rows of the terms of the overflow, sorted.
func rowsOf(t *testing.T, o *Overflow, terms []string) map[string][]uint32 {
	t.Helper()
	rows := map[string][]uint32{}
	s := o.Pairs()
	if s == nil {
		return rows
	}
	for b := range s.Partitions() {
		pieces, err := s.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pieces {
			for ; len(p) >= 6; p = p[6:] {
				k := terms[binary.LittleEndian.Uint32(p)]
				rows[k] = append(rows[k], uint32(b)*storage.BlockRows+uint32(binary.LittleEndian.Uint16(p[4:])))
			}
		}
	}
	for _, list := range rows {
		slices.Sort(list)
	}
	return rows
}

// TestOverflow gives numbers to terms, all of which the dictionary holds, some
// or hardly any, and compares them and the rows of the others with what was put
// in.
func TestOverflow(t *testing.T) {
	const fields, values, rows, workers, blocks = 3, 6000, 40_000, 3, 2
	key := func(i int) []byte { return fmt.Appendf([]byte{byte(i % fields)}, "value %d", i/fields) }
	for _, tt := range []struct {
		limit    int64
		overflow bool
	}{{1 << 30, false}, {1 << 17, true}, {1, true}} {
		t.Run(fmt.Sprint("limit=", tt.limit), func(t *testing.T) {
			d := NewDictionary(tt.limit)
			defer d.Close()
			dir := t.TempDir()
			mem := spill.NewMemory(1 << 20)
			defer mem.Close()
			first := d.NewCache()
			for i := range 2 * fields { // are held whatever the limit; the first one has no row
				if n, err := first.Intern(key(i)[0], key(i)[1:]); err != nil || n == None {
					t.Fatalf("Intern before Declare = %d, %v", n, err)
				}
			}
			d.Declare()
			o := NewOverflow(d, dir, 1<<17, workers)
			var mu sync.Mutex
			met := map[string]bool{}
			others := map[string][]uint32{} // rows of terms that are not held
			var wg sync.WaitGroup
			for g := range workers {
				rng := rand.New(rand.NewPCG(1, uint64(g)))
				cache, w := d.NewCache(), o.Writer()
				wg.Go(func() {
					for range rows {
						k, row := key(1+rng.IntN(values-1)), rng.Uint32N(blocks*storage.BlockRows)
						n, err := cache.Intern(k[0], k[1:])
						if err == nil && n == None {
							err = w.Add(k[0], k[1:], row)
						} else if err == nil {
							d.Use(n)
						}
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						met[string(k)] = true
						if n == None {
							others[string(k)] = append(others[string(k)], row)
						}
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			order, final := d.Number(workers)
			if err := o.Number(mem, blocks, order, final); err != nil {
				t.Fatal(err)
			}
			if (o.Pairs() != nil) != tt.overflow || len(others) > 0 != tt.overflow {
				t.Errorf("%d terms are not held, want some: %t", len(others), tt.overflow)
			}
			want := slices.Sorted(maps.Keys(met))
			if int(o.Terms()) != len(want) {
				t.Errorf("Terms = %d, want %d", o.Terms(), len(want))
			}
			numbers := numbersOf(t, o, order, want)
			for _, temporary := range order {
				f, v := d.Term(temporary)
				if k := string(append([]byte{f}, v...)); numbers[k] != final[temporary] {
					t.Errorf("final number of %q = %d, want %d", k, final[temporary], numbers[k])
				}
			}
			for f := range uint8(fields + 1) {
				n, _ := slices.BinarySearchFunc(want, f, func(k string, f uint8) int { return int(k[0]) - int(f) })
				if got := o.Before(order, f); int(got) != n {
					t.Errorf("Before(%d) = %d, want %d", f, got, n)
				}
			}
			got := rowsOf(t, o, want)
			for _, list := range others {
				slices.Sort(list)
			}
			if diff := cmp.Diff(others, got); diff != "" {
				t.Errorf("rows of the overflow (-want +got):\n%.2000s", diff)
			}
			if err := o.Close(); err != nil {
				t.Error(err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
