package kernel

import (
	"math/bits"
	"sync"
)

// OrArray adds rows to dst.
func OrArray(dst *Block, rows []uint16) {
	for len(rows) >= 4 {
		r := (*[4]uint16)(rows)
		// Sixteen bits would be widened again after each shift.
		r0, r1, r2, r3 := uint(r[0]), uint(r[1]), uint(r[2]), uint(r[3])
		dst[r0>>6] |= 1 << (r0 & 63)
		dst[r1>>6] |= 1 << (r1 & 63)
		dst[r2>>6] |= 1 << (r2 & 63)
		dst[r3>>6] |= 1 << (r3 & 63)
		rows = rows[4:]
	}
	for _, r := range rows {
		dst[r>>6] |= 1 << (r & 63)
	}
}

// AndNotArray removes rows from dst.
func AndNotArray(dst *Block, rows []uint16) {
	for len(rows) >= 4 {
		r := (*[4]uint16)(rows)
		r0, r1, r2, r3 := uint(r[0]), uint(r[1]), uint(r[2]), uint(r[3])
		dst[r0>>6] &^= 1 << (r0 & 63)
		dst[r1>>6] &^= 1 << (r1 & 63)
		dst[r2>>6] &^= 1 << (r2 & 63)
		dst[r3>>6] &^= 1 << (r3 & 63)
		rows = rows[4:]
	}
	for _, r := range rows {
		dst[r>>6] &^= 1 << (r & 63)
	}
}

// AndArray keeps the rows of dst that are among rows. Making rows a block
// takes less time than finding what to clear between them, however few they
// are.
func AndArray(dst *Block, rows []uint16) {
	keep, ok := scratch.Get().(*Block)
	if !ok {
		keep = new(Block)
	}
	clear(keep[:])
	OrArray(keep, rows)
	And(dst, keep)
	scratch.Put(keep)
}

// scratch has blocks for AndArray. On the stack they would not stay: And calls
// through a variable, so that its arguments go to the heap.
var scratch sync.Pool

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
