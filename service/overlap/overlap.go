// Package overlap counts what some sets of people have in common: how many are in
// each choice of them, and in no other.
package overlap

import (
	"context"
	"fmt"
	"math/bits"
	"slices"

	"throng/engine"
	"throng/query"
)

// Sizes are how many people are in all sets of each choice: Sizes[m] is of the sets
// whose bits are in m. That of none is 0.
type Sizes []uint64

// Count counts who is in all of each choice of sets.
func Count(ctx context.Context, g engine.Generation, sets []query.RowSet) (Sizes, error) {
	size := make(Sizes, 1<<len(sets))
	for m := 1; m < len(size); m++ {
		if bits.OnesCount(uint(m)) == 1 {
			size[m] = sets[bits.TrailingZeros(uint(m))].Len()
			continue
		}
		var all query.And
		for i, set := range sets {
			if m&(1<<i) != 0 {
				all.Nodes = append(all.Nodes, query.Rows{Set: set})
			}
		}
		counts, err := g.Count(ctx, query.Definition{Steps: []query.Step{{Op: query.Include, Node: all}}}, 0)
		if err != nil {
			return nil, fmt.Errorf("intersect audiences: %w", err)
		}
		size[m] = counts.Exclude
	}
	return size, nil
}

// Exclusive is how many are in all sets of m and in no other, by inclusion and
// exclusion.
func (size Sizes) Exclusive(m int) uint64 {
	var n int64
	for more := m; more < len(size); more++ {
		if more&m != m {
			continue
		}
		if bits.OnesCount(uint(more^m))%2 == 0 {
			n += int64(size[more])
		} else {
			n -= int64(size[more])
		}
	}
	return uint64(n)
}

// Choices are all choices of sets, by how many they are, then in the order of the
// sets.
func (size Sizes) Choices() []int {
	masks := make([]int, 0, len(size)-1)
	for m := 1; m < len(size); m++ {
		masks = append(masks, m)
	}
	slices.SortFunc(masks, func(a, b int) int {
		if d := bits.OnesCount(uint(a)) - bits.OnesCount(uint(b)); d != 0 {
			return d
		}
		// The lowest bit is the audience named first.
		return int(int64(bits.Reverse32(uint32(b))) - int64(bits.Reverse32(uint32(a))))
	})
	return masks
}

// Share is n / of, nil of nothing.
func Share(n, of uint64) *float64 {
	if of == 0 {
		return nil
	}
	q := float64(n) / float64(of)
	return &q
}
