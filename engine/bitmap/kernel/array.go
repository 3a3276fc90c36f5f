package kernel

import "math/bits"

// OrArray adds rows to dst.
func OrArray(dst *Block, rows []uint16) {
	for len(rows) >= 4 {
		r := (*[4]uint16)(rows)
		dst[r[0]>>6] |= 1 << (r[0] & 63)
		dst[r[1]>>6] |= 1 << (r[1] & 63)
		dst[r[2]>>6] |= 1 << (r[2] & 63)
		dst[r[3]>>6] |= 1 << (r[3] & 63)
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
		dst[r[0]>>6] &^= 1 << (r[0] & 63)
		dst[r[1]>>6] &^= 1 << (r[1] & 63)
		dst[r[2]>>6] &^= 1 << (r[2] & 63)
		dst[r[3]>>6] &^= 1 << (r[3] & 63)
		rows = rows[4:]
	}
	for _, r := range rows {
		dst[r>>6] &^= 1 << (r & 63)
	}
}

// AndArray keeps the rows of dst that are among rows. What it has to clear is
// known from the order of rows, so it needs no second block.
func AndArray(dst *Block, rows []uint16) {
	next := 0 // the first word not yet done
	for i := 0; i < len(rows); {
		word := int(rows[i] >> 6)
		keep := uint64(1) << (rows[i] & 63)
		for i++; i < len(rows) && int(rows[i]>>6) == word; i++ {
			keep |= 1 << (rows[i] & 63)
		}
		for ; next < word; next++ {
			dst[next] = 0
		}
		dst[word] &= keep
		next = word + 1
	}
	clear(dst[next:])
}

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
