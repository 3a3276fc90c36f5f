package kernel

// kernels is an implementation of the loops over whole blocks.
type kernels struct {
	name string

	or, and, andNot func(dst, src *[Words]uint64)
	count           func(b *[Words]uint64) int
	// The same, returning the number of rows in dst afterwards.
	orCount, andCount, andNotCount func(dst, src *[Words]uint64) int

	// add7 adds seven blocks to the three lowest slices, makes carry what is
	// carried on and returns whether that is anything; add1 adds carry to a
	// slice in the same manner.
	add7 func(in *[7]*[Words]uint64, p0, p1, p2, carry *[Words]uint64) bool
	add1 func(p, carry *[Words]uint64) bool
	// sum7 makes three slices the sums of seven blocks; atLeast7 makes dst the
	// rows that k or more of them have, k from 1 to 7.
	sum7     func(in *[7]*[Words]uint64, p0, p1, p2 *[Words]uint64)
	atLeast7 func(dst *[Words]uint64, in *[7]*[Words]uint64, k int)

	// No count passes MaxCount in addBlock; counts stay there in the other.
	addBlock, addBlockSaturating func(c *[Rows]uint8, b *[Words]uint64, weight uint8)
	// atLeast makes dst the rows whose count, with the three slices of low
	// (which may be nil), is k or more, and every count 0. Sums and k are below
	// 128 in atLeastLow; those beyond MaxCount stay there in the other.
	atLeast, atLeastLow func(dst *[Words]uint64, c *[Rows]uint8, low *[3]*[Words]uint64, k uint8)

	orArray, andNotArray func(dst *[Words]uint64, rows []uint16)
	// No count is MaxCount already.
	addArray func(c *[Rows]uint8, rows []uint16)
}

// use is the implementation in use: the last of those that the processor can
// run. Only tests write to it.
var use = implementations()[len(implementations())-1]

// Name tells which implementation is in use, by its vector instructions.
func Name() string { return use.name }
