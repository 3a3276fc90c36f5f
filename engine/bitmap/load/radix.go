package load

import (
	"cmp"
	"math/bits"
	"slices"
)

// radixBits are sorted by in one pass: 2,048 counters stay in the first cache.
const radixBits = 11

// radixSort sorts keys by so many bits above the lowest shift ones, stably. It
// needs a second slice of the same length, and returns the sorted one first.
func radixSort(keys, swap []uint64, shift, width int) (sorted, other []uint64) {
	passes := (width + radixBits - 1) / radixBits
	step := (width + passes - 1) / passes
	for pass := range passes {
		by := shift + pass*step
		mask := uint64(1)<<step - 1
		var count [1 << radixBits]uint32
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

// hashRow is a key's hash and whose key it is.
type hashRow struct {
	hash uint64
	row  uint32
}

func compareHashRows(a, b hashRow) int {
	if a.hash != b.hash {
		return cmp.Compare(a.hash, b.hash)
	}
	return cmp.Compare(a.row, b.row)
}

// sortHashes sorts by hash, then row. The hashes have their first bits in
// common. It needs a second slice of the same length, and returns the sorted
// one first.
//
// Hashes are spread evenly, so that after as many bits as the list is long
// hardly any two are left that are not told apart.
func sortHashes(list, swap []hashRow, first int) (sorted, other []hashRow) {
	width := min(bits.Len(uint(len(list))), 2*radixBits)
	passes := (width + radixBits - 1) / radixBits
	for pass := range passes {
		by := 64 - first - width + pass*radixBits
		mask := uint64(1)<<min(radixBits, width-pass*radixBits) - 1
		var count [1 << radixBits]uint32
		for i := range list {
			count[list[i].hash>>by&mask]++
		}
		at := uint32(0)
		for i, n := range count[:mask+1] {
			count[i] = at
			at += n
		}
		for _, h := range list {
			d := h.hash >> by & mask
			swap[count[d]] = h
			count[d]++
		}
		list, swap = swap, list
	}
	shift := 64 - first - width
	for from := 0; from < len(list); {
		to := from + 1
		for to < len(list) && list[to].hash>>shift == list[from].hash>>shift {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(list[from:to], compareHashRows)
		}
		from = to
	}
	return list, swap
}
