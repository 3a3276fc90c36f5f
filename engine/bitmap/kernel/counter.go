package kernel

// Counters holds a count for each row of a block: 64 KiB, which stay in the
// second cache.
type Counters [Rows]uint8

// MaxCount is the largest count; adding to it saturates where a function says
// so and must not happen elsewhere.
const MaxCount = 255

// AddArray counts rows once more. No count may be MaxCount already.
func (c *Counters) AddArray(rows []uint16) { use.addArray((*[Rows]uint8)(c), rows) }

// AddArraySaturating counts rows once more; a count of MaxCount stays.
func (c *Counters) AddArraySaturating(rows []uint16) {
	for _, r := range rows {
		n := uint32(c[r]) + 1
		c[r] = uint8(n - n>>8)
	}
}

// AddArrayUntil counts rows once more and adds those whose count is then k to
// dst. No count may be MaxCount already. It is for few rows, which Reset
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
	use.addBlock((*[Rows]uint8)(c), b, weight)
}

// AddBlockSaturating adds weight to the counts of the rows of b; those that
// would pass MaxCount stay there.
func (c *Counters) AddBlockSaturating(b *Block, weight uint8) {
	use.addBlockSaturating((*[Rows]uint8)(c), b, weight)
}

// AtLeast makes dst the rows whose count, with that of s, is k or more, and
// every count 0. s may be nil; k is from 1; most is at least as large as every
// sum. Sums that would pass MaxCount count as that.
func (c *Counters) AtLeast(dst *Block, s *Slices, k uint8, most int) {
	var low *[3]*[Words]uint64
	if s != nil {
		low = s.low(c, most)
	}
	if most < 128 && k < 128 {
		use.atLeastLow(dst, (*[Rows]uint8)(c), low, k)
	} else {
		use.atLeast(dst, (*[Rows]uint8)(c), low, k)
	}
}
