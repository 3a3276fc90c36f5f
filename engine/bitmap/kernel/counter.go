package kernel

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

// AddBlock adds weight to the counts of the rows of b; those that would pass
// MaxCount stay there.
func (c *Counters) AddBlock(b *Block, weight uint8) {
	for i, w := range b {
		if w == 0 {
			continue
		}
		counts := (*[64]uint8)(c[i*64:])
		for j := 0; j < 64; j += 8 {
			part := uint8(w >> j)
			if part == 0 {
				continue
			}
			at := (*[8]uint8)(counts[j:])
			store(at, addSaturating(load(at), spread[part]*uint64(weight)))
		}
	}
}

// AtLeast makes dst the rows whose count is k or more. k is from 1.
func (c *Counters) AtLeast(dst *Block, k uint8) {
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
			if x == 0 {
				continue
			}
			z := (x | highBits) - low
			ge := (x&only | ^(x^limit)&z) & highBits
			w |= (ge >> 7) * gather >> 56 << j
		}
		dst[i] = w
	}
}

// load reads eight counts as one word; the compiler makes it one instruction.
func load(b *[8]uint8) uint64 {
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

func store(b *[8]uint8, w uint64) {
	b[0], b[1], b[2], b[3] = uint8(w), uint8(w>>8), uint8(w>>16), uint8(w>>24)
	b[4], b[5], b[6], b[7] = uint8(w>>32), uint8(w>>40), uint8(w>>48), uint8(w>>56)
}

// addSaturating adds byte by byte, each sum at most MaxCount.
func addSaturating(x, y uint64) uint64 {
	sum := (x &^ highBits) + (y &^ highBits) // no carry leaves a byte
	// A byte overflows where both high bits are set, or one of them and the
	// carry of the other seven bits.
	over := (x & y & highBits) | ((x | y) & sum & highBits)
	sum ^= (x ^ y) & highBits
	return sum | (over>>7)*MaxCount
}
