// Package radix sorts many numbers digit by digit, in time that grows with how
// many there are: keys of which some bits count, and hashes of which few have
// their first bits in common. What is sorted needs room for a second list of the
// same length and nothing else. One call is one goroutine's.
package radix

import (
	"cmp"
	"math/bits"
	"slices"
)

// digit bits are sorted by in one pass: 2,048 counters stay in the first cache.
const digit = 11

// Sort sorts keys, stably, by their bits above the lowest shift ones: of these
// the lowest width may be set, which is 1 or more. It needs a second slice of
// the same length, and returns the sorted one first.
func Sort(keys, swap []uint64, shift, width int) (sorted, other []uint64) {
	passes := (width + digit - 1) / digit
	step := (width + passes - 1) / passes
	for pass := range passes {
		by := shift + pass*step
		mask := uint64(1)<<step - 1
		var count [1 << digit]uint32
		for _, k := range keys {
			count[k>>by&mask]++
		}
		at := uint32(0)
		for i, n := range count[:mask+1] {
			count[i] = at
			at += n
		}
		for _, k := range keys {
			d := k >> by & mask
			swap[count[d]] = k
			count[d]++
		}
		keys, swap = swap, keys
	}
	return keys, swap
}

// HashRow is a key's hash and whose key it is.
type HashRow struct {
	Hash uint64
	Row  uint32
}

func compareHashRows(a, b HashRow) int {
	if a.Hash != b.Hash {
		return cmp.Compare(a.Hash, b.Hash)
	}
	return cmp.Compare(a.Row, b.Row)
}

// SortHashes sorts by hash, then row. The hashes have their first bits, so many
// of them, in common. It needs a second slice of the same length, and returns
// the sorted one first.
//
// Hashes are spread evenly, so that after as many bits as the list is long
// hardly any two are left that are not told apart.
func SortHashes(list, swap []HashRow, first int) (sorted, other []HashRow) {
	width := min(bits.Len(uint(len(list))), 2*digit)
	passes := (width + digit - 1) / digit
	for pass := range passes {
		by := 64 - first - width + pass*digit
		mask := uint64(1)<<min(digit, width-pass*digit) - 1
		var count [1 << digit]uint32
		for i := range list {
			count[list[i].Hash>>by&mask]++
		}
		at := uint32(0)
		for i, n := range count[:mask+1] {
			count[i] = at
			at += n
		}
		for _, h := range list {
			d := h.Hash >> by & mask
			swap[count[d]] = h
			count[d]++
		}
		list, swap = swap, list
	}
	shift := 64 - first - width
	for from := 0; from < len(list); {
		to := from + 1
		for to < len(list) && list[to].Hash>>shift == list[from].Hash>>shift {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(list[from:to], compareHashRows)
		}
		from = to
	}
	return list, swap
}
