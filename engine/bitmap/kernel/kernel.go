// Package kernel holds the inner loops of the evaluation: operations on one
// block of 65,536 rows, kept as a bitmap of 8 KiB that stays in the first
// cache.
//
// Nothing here allocates, and nothing checks its input: containers must be
// what package storage promises, arrays strictly ascending, runs disjoint.
// Arguments must not alias unless a function says that they may. Functions
// are safe for concurrent use on different blocks.
package kernel

import "math/bits"

const (
	// Rows is the number of rows of a block.
	Rows = 1 << 16
	// Words is the number of 64-bit words of a block.
	Words = Rows / 64
)

// Block is a bitmap with a bit for each row of a block: row r is bit r%64 of
// word r/64.
type Block = [Words]uint64

// AsBlock views a bitmap container as a block, without copying.
func AsBlock(words []uint64) *Block { return (*Block)(words) }

// Or adds the rows of src to dst. They may be the same block.
func Or(dst, src *Block) {
	for i := 0; i < Words; i += 8 {
		d, s := (*[8]uint64)(dst[i:]), (*[8]uint64)(src[i:])
		d[0] |= s[0]
		d[1] |= s[1]
		d[2] |= s[2]
		d[3] |= s[3]
		d[4] |= s[4]
		d[5] |= s[5]
		d[6] |= s[6]
		d[7] |= s[7]
	}
}

// And keeps the rows of dst that src has, too. They may be the same block.
func And(dst, src *Block) {
	for i := 0; i < Words; i += 8 {
		d, s := (*[8]uint64)(dst[i:]), (*[8]uint64)(src[i:])
		d[0] &= s[0]
		d[1] &= s[1]
		d[2] &= s[2]
		d[3] &= s[3]
		d[4] &= s[4]
		d[5] &= s[5]
		d[6] &= s[6]
		d[7] &= s[7]
	}
}

// AndNot removes the rows of src from dst. They may be the same block.
func AndNot(dst, src *Block) {
	for i := 0; i < Words; i += 8 {
		d, s := (*[8]uint64)(dst[i:]), (*[8]uint64)(src[i:])
		d[0] &^= s[0]
		d[1] &^= s[1]
		d[2] &^= s[2]
		d[3] &^= s[3]
		d[4] &^= s[4]
		d[5] &^= s[5]
		d[6] &^= s[6]
		d[7] &^= s[7]
	}
}

// Count returns the number of rows in b.
func Count(b *Block) int {
	var n0, n1, n2, n3 int
	for i := 0; i < Words; i += 8 {
		w := (*[8]uint64)(b[i:])
		n0 += bits.OnesCount64(w[0]) + bits.OnesCount64(w[4])
		n1 += bits.OnesCount64(w[1]) + bits.OnesCount64(w[5])
		n2 += bits.OnesCount64(w[2]) + bits.OnesCount64(w[6])
		n3 += bits.OnesCount64(w[3]) + bits.OnesCount64(w[7])
	}
	return n0 + n1 + n2 + n3
}

// OrCount is Or that returns the number of rows in dst afterwards.
func OrCount(dst, src *Block) int {
	var n0, n1, n2, n3 int
	for i := 0; i < Words; i += 4 {
		d, s := (*[4]uint64)(dst[i:]), (*[4]uint64)(src[i:])
		w0, w1, w2, w3 := d[0]|s[0], d[1]|s[1], d[2]|s[2], d[3]|s[3]
		d[0], d[1], d[2], d[3] = w0, w1, w2, w3
		n0 += bits.OnesCount64(w0)
		n1 += bits.OnesCount64(w1)
		n2 += bits.OnesCount64(w2)
		n3 += bits.OnesCount64(w3)
	}
	return n0 + n1 + n2 + n3
}

// AndCount is And that returns the number of rows in dst afterwards.
func AndCount(dst, src *Block) int {
	var n0, n1, n2, n3 int
	for i := 0; i < Words; i += 4 {
		d, s := (*[4]uint64)(dst[i:]), (*[4]uint64)(src[i:])
		w0, w1, w2, w3 := d[0]&s[0], d[1]&s[1], d[2]&s[2], d[3]&s[3]
		d[0], d[1], d[2], d[3] = w0, w1, w2, w3
		n0 += bits.OnesCount64(w0)
		n1 += bits.OnesCount64(w1)
		n2 += bits.OnesCount64(w2)
		n3 += bits.OnesCount64(w3)
	}
	return n0 + n1 + n2 + n3
}

// AndNotCount is AndNot that returns the number of rows in dst afterwards.
func AndNotCount(dst, src *Block) int {
	var n0, n1, n2, n3 int
	for i := 0; i < Words; i += 4 {
		d, s := (*[4]uint64)(dst[i:]), (*[4]uint64)(src[i:])
		w0, w1, w2, w3 := d[0]&^s[0], d[1]&^s[1], d[2]&^s[2], d[3]&^s[3]
		d[0], d[1], d[2], d[3] = w0, w1, w2, w3
		n0 += bits.OnesCount64(w0)
		n1 += bits.OnesCount64(w1)
		n2 += bits.OnesCount64(w2)
		n3 += bits.OnesCount64(w3)
	}
	return n0 + n1 + n2 + n3
}

// Fill makes b the first n rows and no other. n is from 0 to Rows.
func Fill(b *Block, n int) {
	full := n / 64
	for i := range full {
		b[i] = ^uint64(0)
	}
	clear(b[full:])
	if n%64 != 0 {
		b[full] = 1<<(n%64) - 1
	}
}

// Complement makes b the rows among the first n that it did not have. Rows
// from n on are not in it afterwards.
func Complement(b *Block, n int) {
	for i := range b {
		b[i] = ^b[i]
	}
	if n == Rows {
		return
	}
	clear(b[(n+63)/64:])
	if n%64 != 0 {
		b[n/64] &= 1<<(n%64) - 1
	}
}

// IsEmpty reports whether b has no row.
func IsEmpty(b *Block) bool {
	for i := 0; i < Words; i += 8 {
		w := (*[8]uint64)(b[i:])
		if w[0]|w[1]|w[2]|w[3]|w[4]|w[5]|w[6]|w[7] != 0 {
			return false
		}
	}
	return true
}
