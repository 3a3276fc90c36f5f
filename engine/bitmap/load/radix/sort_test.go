package radix

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSort(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 1000, 100_000} {
		for _, tt := range []struct{ shift, width int }{{0, 64}, {32, 32}, {32, 1}, {7, 11}, {20, 12}, {32, 25}} {
			keys := make([]uint64, n)
			for i := range keys {
				keys[i] = rng.Uint64() >> (64 - tt.width - tt.shift)
			}
			want := slices.Clone(keys)
			slices.SortStableFunc(want, func(a, b uint64) int { return cmp.Compare(a>>tt.shift, b>>tt.shift) })
			if got, _ := Sort(keys, make([]uint64, n), tt.shift, tt.width); !slices.Equal(got, want) {
				t.Errorf("Sort of %d keys by %d bits above %d is not in order", n, tt.width, tt.shift)
			}
		}
	}
}

func TestSortHashes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 2, 5, 1000, 100_000} {
		for _, first := range []int{0, 6, 8} {
			for _, alike := range []bool{false, true} {
				list := make([]HashRow, n)
				for i := range list {
					list[i] = HashRow{Hash: rng.Uint64() >> first, Row: rng.Uint32()}
					if alike { // many hashes more than once, or told apart by their last bits
						list[i].Hash &= 0xff
					}
				}
				want := slices.SortedFunc(slices.Values(list), compareHashRows)
				if got, _ := SortHashes(list, make([]HashRow, n), first); !slices.Equal(got, want) {
					t.Errorf("SortHashes of %d hashes with %d bits in common, alike %t, is not in order", n, first, alike)
				}
			}
		}
	}
}
