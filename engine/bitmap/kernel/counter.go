package kernel

import (
	"encoding/binary"
	"math/bits"
)

// Counters holds a count for each row of a block: 64 KiB, which stay in the
// second cache.
type Counters [Rows]uint8

// MaxCount is the largest count; adding to it saturates where a function says
// so and must not happen elsewhere.
const MaxCount = 255

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

// AddArray counts rows once more. No count may be MaxCount already.
func (c *Counters) AddArray(rows []uint16) {
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

// AddArraySaturating counts rows once more; a count of MaxCount stays.
func (c *Counters) AddArraySaturating(rows []uint16) {
	for _, r := range rows {
		n := uint32(c[r]) + 1
		c[r] = uint8(n - n>>8)
	}
}

// AddArrayUntil counts rows once more and adds those whose count is then k to
// dst. No count may be MaxCount already. It is for few rows, which Remove
// resets one by one.
func (c *Counters) AddArrayUntil(rows []uint16, k uint8, dst *Block) {
	for _, r := range rows {
		n := c[r] + 1
		c[r] = n
		if n == k {
			dst[r>>6] |= 1 << (r & 63)
		}
	}
}

// Reset makes the counts of rows 0.
func (c *Counters) Reset(rows []uint16) {
	for _, r := range rows {
		c[r] = 0
	}
}

// AddBlock adds weight to the counts of the rows of b. None may pass MaxCount.
func (c *Counters) AddBlock(b *Block, weight uint8) {
	shift := bits.TrailingZeros8(weight) & 7
	if weight != 1<<shift {
		c.AddBlockSaturating(b, weight)
		return
	}
	for i, w := range b {
		if w == 0 {
			continue
		}
		counts := (*[64]uint8)(c[i*64:])
		for j := 0; j < 64; j += 8 {
			at := (*[8]uint8)(counts[j:])
			store(at, load(at)+spread[uint8(w>>j)]<<shift)
		}
	}
}

// AddBlockSaturating adds weight to the counts of the rows of b; those that
// would pass MaxCount stay there.
func (c *Counters) AddBlockSaturating(b *Block, weight uint8) {
	for i, w := range b {
		if w == 0 {
			continue
		}
		counts := (*[64]uint8)(c[i*64:])
		for j := 0; j < 64; j += 8 {
			at := (*[8]uint8)(counts[j:])
			store(at, addSaturating(load(at), spread[uint8(w>>j)]*uint64(weight)))
		}
	}
}

// AtLeast makes dst the rows whose count is k or more. k is from 1; most is
// at least as large as every count.
func (c *Counters) AtLeast(dst *Block, k uint8, most int) {
	if most > 127 || k > 127 {
		c.atLeast(dst, k)
		return
	}
	// Of a byte below 128, the highest bit of x + 128−k tells whether x >= k.
	add := uint64(128-k) * lowBits
	for i := range dst {
		counts := (*[64]uint8)(c[i*64:])
		dst[i] = ge(load((*[8]uint8)(counts[0:])), add) |
			ge(load((*[8]uint8)(counts[8:])), add)<<8 |
			ge(load((*[8]uint8)(counts[16:])), add)<<16 |
			ge(load((*[8]uint8)(counts[24:])), add)<<24 |
			ge(load((*[8]uint8)(counts[32:])), add)<<32 |
			ge(load((*[8]uint8)(counts[40:])), add)<<40 |
			ge(load((*[8]uint8)(counts[48:])), add)<<48 |
			ge(load((*[8]uint8)(counts[56:])), add)<<56
	}
}

// ge collects the highest bits of the bytes of x + add.
func ge(x, add uint64) uint64 { return ((x + add) & highBits >> 7) * gather >> 56 }

// atLeast is AtLeast for counts of any size.
func (c *Counters) atLeast(dst *Block, k uint8) {
	limit := uint64(k) * lowBits
	low := limit &^ highBits
	// Of a byte, x >= k where x has the high bit and k has not, or where both
	// agree in it and the other seven bits say so.
	only := ^limit & highBits
	for i := range dst {
		counts := (*[64]uint8)(c[i*64:])
		var w uint64
		for j := 0; j < 64; j += 8 {
			x := load((*[8]uint8)(counts[j:]))
			z := (x | highBits) - low
			ge := (x&only | ^(x^limit)&z) & highBits
			w |= (ge >> 7) * gather >> 56 << j
		}
		dst[i] = w
	}
}

// load and store take eight counts as one word, in one instruction.
func load(b *[8]uint8) uint64     { return binary.LittleEndian.Uint64(b[:]) }
func store(b *[8]uint8, w uint64) { binary.LittleEndian.PutUint64(b[:], w) }

// addSaturating adds byte by byte, each sum at most MaxCount.
func addSaturating(x, y uint64) uint64 {
	sum := (x &^ highBits) + (y &^ highBits) // no carry leaves a byte
	// A byte overflows where both high bits are set, or one of them and the
	// carry of the other seven bits.
	over := (x & y & highBits) | ((x | y) & sum & highBits)
	sum ^= (x ^ y) & highBits
	return sum | (over>>7)*MaxCount
}
