package load

import "math/bits"

// ranks tells how many bits of a set come before one.
type ranks struct {
	set   []uint64
	base  []uint32 // before each word
	total uint32
}

func newRanks(set []uint64) *ranks {
	r := &ranks{set: set, base: make([]uint32, len(set))}
	for i, w := range set {
		r.base[i] = r.total
		r.total += uint32(bits.OnesCount64(w))
	}
	return r
}

func (r *ranks) of(i uint32) uint32 {
	return r.base[i>>6] + uint32(bits.OnesCount64(r.set[i>>6]&(1<<(i&63)-1)))
}
