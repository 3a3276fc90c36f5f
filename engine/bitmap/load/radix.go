package load

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
