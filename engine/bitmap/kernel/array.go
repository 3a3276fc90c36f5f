package kernel

import (
	"math/bits"
	"unsafe"
)

// ahead is how many lines of memory Prefetch asks for at most. Beyond, the
// processor notices by itself that they are read one after the other.
const ahead = 16

// Prefetch asks for the rows, which are used soon: the arrays of a block lie
// far from each other, and the first lines of each would have to be waited for.
func Prefetch(rows []uint16) {
	if len(rows) > 0 {
		prefetch(unsafe.SliceData(rows), min((len(rows)+31)/32, ahead))
	}
}

// OrArray adds rows to dst.
func OrArray(dst *Block, rows []uint16) { use.orArray(dst, rows) }

// AndNotArray removes rows from dst.
func AndNotArray(dst *Block, rows []uint16) { use.andNotArray(dst, rows) }

// CountArray returns how many of rows are in b.
func CountArray(b *Block, rows []uint16) int {
	var n uint64
	for _, r := range rows {
		n += b[r>>6] >> (r & 63) & 1
	}
	return int(n)
}

// OrRange adds the rows from first to last, both in, to dst.
func OrRange(dst *Block, first, last uint16) {
	from, to := first>>6, last>>6
	head, tail := ^uint64(0)<<(first&63), ^uint64(0)>>(63-last&63)
	if from == to {
		dst[from] |= head & tail
		return
	}
	dst[from] |= head
	for i := from + 1; i < to; i++ {
		dst[i] = ^uint64(0)
	}
	dst[to] |= tail
}

// AndNotRange removes the rows from first to last, both in, from dst.
func AndNotRange(dst *Block, first, last uint16) {
	from, to := first>>6, last>>6
	head, tail := ^uint64(0)<<(first&63), ^uint64(0)>>(63-last&63)
	if from == to {
		dst[from] &^= head & tail
		return
	}
	dst[from] &^= head
	clear(dst[from+1 : to])
	dst[to] &^= tail
}

// AppendRows appends the rows of b to rows, in order.
func AppendRows(rows []uint16, b *Block) []uint16 {
	for i, w := range b {
		for base := uint16(i) << 6; w != 0; w &= w - 1 {
			rows = append(rows, base|uint16(bits.TrailingZeros64(w)))
		}
	}
	return rows
}
