package kernel

import (
	"encoding/binary"
	"math/bits"
)

// portable is for every machine. Its loops are unrolled as far as that pays.
var portable = kernels{
	name:   "portable",
	or:     orGo,
	and:    andGo,
	andNot: andNotGo,
	count:  countGo,

	orCount:     orCountGo,
	andCount:    andCountGo,
	andNotCount: andNotCountGo,

	add7: add7Go,
	add1: add1Go,

	sum7:     sum7Go,
	atLeast7: atLeast7Go,

	addBlock:           addBlockGo,
	addBlockSaturating: addBlockSaturatingGo,
	atLeast:            atLeastGo,
	atLeastLow:         atLeastLowGo,

	orArray:     orArrayGo,
	andNotArray: andNotArrayGo,
	addArray:    addArrayGo,
}

func orGo(dst, src *[Words]uint64) {
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

func andGo(dst, src *[Words]uint64) {
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

func andNotGo(dst, src *[Words]uint64) {
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

func countGo(b *[Words]uint64) int {
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

func orCountGo(dst, src *[Words]uint64) int {
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

func andCountGo(dst, src *[Words]uint64) int {
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

func andNotCountGo(dst, src *[Words]uint64) int {
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

// add7Go adds the blocks of in to the slices p0, p1 and p2, makes carry what
// is carried on and returns whether that is anything.
func add7Go(in *[7]*[Words]uint64, p0, p1, p2, carry *[Words]uint64) bool {
	a0, a1, a2, a3, a4, a5, a6 := in[0], in[1], in[2], in[3], in[4], in[5], in[6]
	var some uint64
	for i := range Words {
		s1, c1 := add3(a0[i], a1[i], a2[i])
		s2, c2 := add3(a3[i], a4[i], a5[i])
		one, c3 := add3(s1, s2, a6[i])
		two, four := add3(c1, c2, c3)
		var up, out uint64
		p0[i], up = p0[i]^one, p0[i]&one
		p1[i], up = add3(p1[i], two, up)
		p2[i], out = add3(p2[i], four, up)
		carry[i] = out
		some |= out
	}
	return some != 0
}

// sum7Go makes the slices the sums of in.
func sum7Go(in *[7]*[Words]uint64, p0, p1, p2 *[Words]uint64) {
	a0, a1, a2, a3, a4, a5, a6 := in[0], in[1], in[2], in[3], in[4], in[5], in[6]
	for i := range Words {
		s1, c1 := add3(a0[i], a1[i], a2[i])
		s2, c2 := add3(a3[i], a4[i], a5[i])
		one, c3 := add3(s1, s2, a6[i])
		p0[i] = one
		p1[i], p2[i] = add3(c1, c2, c3)
	}
}

// atLeast7Go makes dst the rows that k or more of in have.
func atLeast7Go(dst *[Words]uint64, in *[7]*[Words]uint64, k int) {
	a0, a1, a2, a3, a4, a5, a6 := in[0], in[1], in[2], in[3], in[4], in[5], in[6]
	// All bits of below are those of a digit of k, the other way round.
	below0, below1, below2 := uint64(k&1)-1, uint64(k>>1&1)-1, uint64(k>>2&1)-1
	for i := range dst {
		s1, c1 := add3(a0[i], a1[i], a2[i])
		s2, c2 := add3(a3[i], a4[i], a5[i])
		one, c3 := add3(s1, s2, a6[i])
		two, four := add3(c1, c2, c3)
		// Digit by digit from the lowest, the sum so far is at least k's where
		// two of three say so: the digit, k's digit being 0, and those below.
		ge := one | below0
		ge = two&below1 | (two|below1)&ge
		dst[i] = four&below2 | (four|below2)&ge
	}
}

// add1Go adds carry to the slice p, makes it what is carried on and returns
// whether that is anything.
func add1Go(p, carry *[Words]uint64) bool {
	var some uint64
	for i := 0; i < Words; i += 4 {
		p, c := (*[4]uint64)(p[i:]), (*[4]uint64)(carry[i:])
		p[0], c[0] = p[0]^c[0], p[0]&c[0]
		p[1], c[1] = p[1]^c[1], p[1]&c[1]
		p[2], c[2] = p[2]^c[2], p[2]&c[2]
		p[3], c[3] = p[3]^c[3], p[3]&c[3]
		some |= c[0] | c[1] | c[2] | c[3]
	}
	return some != 0
}

// add3 adds three bits: their sum is low + 2·high.
func add3(a, b, c uint64) (low, high uint64) {
	x := a ^ b
	return x ^ c, a&b | x&c
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
	// gather, multiplied with a word that has only lowest bits of its bytes,
	// collects them, in order, in the highest byte.
	gather = 0x0102040810204080
)

// spread has, for each byte, its bits as the lowest bits of eight bytes.
var spread = func() (t [256]uint64) {
	for b := range t {
		for i := range 8 {
			t[b] |= uint64(b) >> i & 1 << (8 * i)
		}
	}
	return t
}()

// addBlockGo adds weight to the counts of the rows of b. None may pass
// MaxCount.
func addBlockGo(c *[Rows]uint8, b *[Words]uint64, weight uint8) {
	shift := bits.TrailingZeros8(weight) & 7
	if weight != 1<<shift {
		addBlockSaturatingGo(c, b, weight)
		return
	}
	for i, w := range b {
		if w == 0 {
			continue
		}
		counts := (*[64]uint8)(c[i*64:])
		add(counts, 0, spread[uint8(w)]<<shift)
		add(counts, 8, spread[uint8(w>>8)]<<shift)
		add(counts, 16, spread[uint8(w>>16)]<<shift)
		add(counts, 24, spread[uint8(w>>24)]<<shift)
		add(counts, 32, spread[uint8(w>>32)]<<shift)
		add(counts, 40, spread[uint8(w>>40)]<<shift)
		add(counts, 48, spread[uint8(w>>48)]<<shift)
		add(counts, 56, spread[uint8(w>>56)]<<shift)
	}
}

// addBlockSaturatingGo adds weight to the counts of the rows of b, to MaxCount
// at most.
func addBlockSaturatingGo(c *[Rows]uint8, b *[Words]uint64, weight uint8) {
	for i, w := range b {
		if w == 0 {
			continue
		}
		counts := (*[64]uint8)(c[i*64:])
		addSaturating(counts, 0, spread[uint8(w)]*uint64(weight))
		addSaturating(counts, 8, spread[uint8(w>>8)]*uint64(weight))
		addSaturating(counts, 16, spread[uint8(w>>16)]*uint64(weight))
		addSaturating(counts, 24, spread[uint8(w>>24)]*uint64(weight))
		addSaturating(counts, 32, spread[uint8(w>>32)]*uint64(weight))
		addSaturating(counts, 40, spread[uint8(w>>40)]*uint64(weight))
		addSaturating(counts, 48, spread[uint8(w>>48)]*uint64(weight))
		addSaturating(counts, 56, spread[uint8(w>>56)]*uint64(weight))
	}
}

// atLeastGo makes dst the rows whose count, with the slices of low, is k or
// more, and every count 0.
func atLeastGo(dst *[Words]uint64, c *[Rows]uint8, low *[3]*[Words]uint64, k uint8) {
	limit := uint64(k) * lowBits
	lower := limit &^ highBits
	only := ^limit & highBits
	for i := range dst {
		counts := (*[64]uint8)(c[i*64:])
		if p0, p1, p2 := wordsOf(low, i); p0|p1|p2 != 0 {
			for j := 0; j < 64; j += 8 {
				addSaturating(counts, j, sum(p0>>j, p1>>j, p2>>j))
			}
		}
		dst[i] = geAny(load((*[8]uint8)(counts[0:])), limit, lower, only) |
			geAny(load((*[8]uint8)(counts[8:])), limit, lower, only)<<8 |
			geAny(load((*[8]uint8)(counts[16:])), limit, lower, only)<<16 |
			geAny(load((*[8]uint8)(counts[24:])), limit, lower, only)<<24 |
			geAny(load((*[8]uint8)(counts[32:])), limit, lower, only)<<32 |
			geAny(load((*[8]uint8)(counts[40:])), limit, lower, only)<<40 |
			geAny(load((*[8]uint8)(counts[48:])), limit, lower, only)<<48 |
			geAny(load((*[8]uint8)(counts[56:])), limit, lower, only)<<56
		clear(counts[:])
	}
}

// wordsOf are the words of three slices; 0 where there are none.
func wordsOf(low *[3]*[Words]uint64, i int) (p0, p1, p2 uint64) {
	if low == nil {
		return 0, 0, 0
	}
	return low[0][i], low[1][i], low[2][i]
}

// sum is, in each byte, what the lowest bits of three slices are worth.
func sum(p0, p1, p2 uint64) uint64 {
	return spread[uint8(p0)] + spread[uint8(p1)]<<1 + spread[uint8(p2)]<<2
}

// geAny collects which bytes of x are at least those of limit, of which low is
// all but the high bits and only the high bits that it has not: where x has
// the high bit and limit has not, or where both agree in it and the other
// seven bits say so.
func geAny(x, limit, low, only uint64) uint64 {
	z := (x | highBits) - low
	return ((x&only | ^(x^limit)&z) & highBits >> 7) * gather >> 56
}

// atLeastLowGo is atLeastGo where k and every sum are below 128.
func atLeastLowGo(dst *[Words]uint64, c *[Rows]uint8, low *[3]*[Words]uint64, k uint8) {
	// Of a byte below 128, the highest bit of x + 128−k tells whether x >= k.
	add := uint64(128-k) * lowBits
	for i := range dst {
		counts := (*[64]uint8)(c[i*64:])
		p0, p1, p2 := wordsOf(low, i)
		switch {
		case p0|p1|p2 == 0:
			dst[i] = ge(load((*[8]uint8)(counts[0:])), add) |
				ge(load((*[8]uint8)(counts[8:])), add)<<8 |
				ge(load((*[8]uint8)(counts[16:])), add)<<16 |
				ge(load((*[8]uint8)(counts[24:])), add)<<24 |
				ge(load((*[8]uint8)(counts[32:])), add)<<32 |
				ge(load((*[8]uint8)(counts[40:])), add)<<40 |
				ge(load((*[8]uint8)(counts[48:])), add)<<48 |
				ge(load((*[8]uint8)(counts[56:])), add)<<56
		case p1|p2 == 0:
			dst[i] = ge(load((*[8]uint8)(counts[0:]))+spread[uint8(p0)], add) |
				ge(load((*[8]uint8)(counts[8:]))+spread[uint8(p0>>8)], add)<<8 |
				ge(load((*[8]uint8)(counts[16:]))+spread[uint8(p0>>16)], add)<<16 |
				ge(load((*[8]uint8)(counts[24:]))+spread[uint8(p0>>24)], add)<<24 |
				ge(load((*[8]uint8)(counts[32:]))+spread[uint8(p0>>32)], add)<<32 |
				ge(load((*[8]uint8)(counts[40:]))+spread[uint8(p0>>40)], add)<<40 |
				ge(load((*[8]uint8)(counts[48:]))+spread[uint8(p0>>48)], add)<<48 |
				ge(load((*[8]uint8)(counts[56:]))+spread[uint8(p0>>56)], add)<<56
		default:
			dst[i] = ge(load((*[8]uint8)(counts[0:]))+sum(p0, p1, p2), add) |
				ge(load((*[8]uint8)(counts[8:]))+sum(p0>>8, p1>>8, p2>>8), add)<<8 |
				ge(load((*[8]uint8)(counts[16:]))+sum(p0>>16, p1>>16, p2>>16), add)<<16 |
				ge(load((*[8]uint8)(counts[24:]))+sum(p0>>24, p1>>24, p2>>24), add)<<24 |
				ge(load((*[8]uint8)(counts[32:]))+sum(p0>>32, p1>>32, p2>>32), add)<<32 |
				ge(load((*[8]uint8)(counts[40:]))+sum(p0>>40, p1>>40, p2>>40), add)<<40 |
				ge(load((*[8]uint8)(counts[48:]))+sum(p0>>48, p1>>48, p2>>48), add)<<48 |
				ge(load((*[8]uint8)(counts[56:]))+sum(p0>>56, p1>>56, p2>>56), add)<<56
		}
		clear(counts[:])
	}
}

// ge collects the highest bits of the bytes of x + add.
func ge(x, add uint64) uint64 { return ((x + add) & highBits >> 7) * gather >> 56 }

// add adds to the eight counts from j on.
func add(counts *[64]uint8, j int, w uint64) {
	at := (*[8]uint8)(counts[j:])
	store(at, load(at)+w)
}

// load and store take eight counts as one word, in one instruction.
func load(b *[8]uint8) uint64     { return binary.LittleEndian.Uint64(b[:]) }
func store(b *[8]uint8, w uint64) { binary.LittleEndian.PutUint64(b[:], w) }

// addSaturating adds to the eight counts from j on, byte by byte, each sum at
// most MaxCount.
func addSaturating(counts *[64]uint8, j int, y uint64) {
	at := (*[8]uint8)(counts[j:])
	x := load(at)
	sum := (x &^ highBits) + (y &^ highBits) // no carry leaves a byte
	// A byte overflows where both high bits are set, or one of them and the
	// carry of the other seven bits.
	over := (x & y & highBits) | ((x | y) & sum & highBits)
	sum ^= (x ^ y) & highBits
	store(at, sum|(over>>7)*MaxCount)
}

// Several rows in turn: the loop costs as much as one of them.

func orArrayGo(dst *[Words]uint64, rows []uint16) {
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

func andNotArrayGo(dst *[Words]uint64, rows []uint16) {
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

func addArrayGo(c *[Rows]uint8, rows []uint16) {
	for len(rows) >= 4 {
		r := (*[4]uint16)(rows)
		c[r[0]]++
		c[r[1]]++
		c[r[2]]++
		c[r[3]]++
		rows = rows[4:]
	}
	for _, r := range rows {
		c[r]++
	}
}
