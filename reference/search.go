package reference

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"sync"

	"throng/internal/words"
)

// searchIndex holds the places of one kind in the order in which they are
// found, with their folded names one after the other.
type searchIndex struct {
	order []int32 // in places.list
	names []byte
	ends  []int32 // of each name
}

func (x *searchIndex) name(n int) []byte {
	start := int32(0)
	if n > 0 {
		start = x.ends[n-1]
	}
	return x.names[start:x.ends[n]]
}

func newPlaces(k Kind) *places {
	ps := &places{byID: map[string]int32{}}
	ps.index = sync.OnceValue(func() *searchIndex { return newSearchIndex(k, ps.list) })
	ps.byName = sync.OnceValue(func() map[string]int32 { return indexNames(ps.list) })
	return ps
}

func newSearchIndex(k Kind, list []Place) *searchIndex {
	var all []byte
	folded := make([][]byte, len(list)) // views of all, once it has stopped growing
	ends := make([]int, len(list))
	for i, p := range list {
		all = words.FoldName(all, p.Name)
		ends[i] = len(all)
	}
	start := 0
	for i, end := range ends {
		folded[i], start = all[start:end], end
	}
	x := &searchIndex{
		order: make([]int32, len(list)),
		names: make([]byte, 0, len(all)),
		ends:  make([]int32, 0, len(list)),
	}
	for i := range list {
		x.order[i] = int32(i)
	}
	slices.SortStableFunc(x.order, func(a, b int32) int {
		if k == DMA {
			return compareIDs(list[a].ID, list[b].ID)
		}
		return bytes.Compare(folded[a], folded[b])
	})
	for _, i := range x.order {
		x.names = append(x.names, folded[i]...)
		x.ends = append(x.ends, int32(len(x.names)))
	}
	return x
}

// compareIDs compares numbers as numbers, and puts other ids behind them.
func compareIDs(a, b string) int {
	x, errA := strconv.ParseUint(a, 10, 64)
	y, errB := strconv.ParseUint(b, 10, 64)
	switch {
	case errA == nil && errB == nil:
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
	case errA == nil:
		return -1
	case errB == nil:
		return 1
	default:
		return cmp.Compare(a, b)
	}
}
