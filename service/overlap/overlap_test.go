package overlap

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// sizesOf counts people by the sets that they are in.
func sizesOf(sets int, people []int) Sizes {
	size := make(Sizes, 1<<sets)
	for m := 1; m < len(size); m++ {
		for _, in := range people {
			if in&m == m {
				size[m]++
			}
		}
	}
	return size
}

func TestExclusive(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for sets := 1; sets <= 6; sets++ {
		people := make([]int, 500)
		want := make([]uint64, 1<<sets)
		for i := range people {
			people[i] = rng.IntN(1 << sets)
			want[people[i]]++
		}
		size := sizesOf(sets, people)
		for m := 1; m < len(size); m++ {
			if got := size.Exclusive(m); got != want[m] {
				t.Errorf("%d sets: Exclusive(%b) = %d, want %d", sets, m, got, want[m])
			}
		}
	}
}

func TestChoices(t *testing.T) {
	if got, want := make(Sizes, 8).Choices(), []int{0b001, 0b010, 0b100, 0b011, 0b101, 0b110, 0b111}; !slices.Equal(got, want) {
		t.Errorf("choices of three = %b, want %b", got, want)
	}
	for sets := 1; sets <= 6; sets++ {
		all := make(Sizes, 1<<sets).Choices()
		if len(all) != 1<<sets-1 || bits.OnesCount(uint(all[len(all)-1])) != sets {
			t.Errorf("%d sets have %d choices, of which the last is %b", sets, len(all), all[len(all)-1])
		}
	}
}

func TestShare(t *testing.T) {
	if got := Share(1, 0); got != nil {
		t.Errorf("Share(1, 0) = %v, want nil", *got)
	}
	if got := Share(1, 4); got == nil || *got != 0.25 {
		t.Errorf("Share(1, 4) = %v, want 0.25", got)
	}
}
