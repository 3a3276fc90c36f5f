package storage

import "throng/engine/bitmap/kernel"

// BlockRows is the number of rows of a block, the unit of evaluation: its
// bitmap is 8 KiB and stays in the first cache.
const BlockRows = 1 << 16

// BlockWords is the number of 64-bit words of a block's bitmap.
const BlockWords = BlockRows / 64

// PartBlocks is the number of blocks of a part.
const PartBlocks = 16

// PartRows is the number of rows of a part.
const PartRows = PartBlocks * BlockRows

// ArrayMax is the largest cardinality stored as an array. Up to twice as many
// rows an array would be smaller than a bitmap, but each of its rows costs a
// count about as much as four words of the bitmap do: half as many take a
// fifth of the time. What this adds to all postings is 3 to 7 per cent.
const ArrayMax = 2048

// runsMax is up to how many runs replace a bitmap: those of half its size.
// More would save little, and cost a count more than the bitmap.
const runsMax = BlockWords

// Kind is how a container is stored.
type Kind uint8

// The kinds of container.
const (
	None   Kind = iota // no row
	Array              // sorted row numbers
	Bitmap             // a bit a row
	Runs               // sorted, disjoint, not touching
)

// Run is the rows from Start to Last, both in.
type Run struct{ Start, Last uint16 }

// Container is the rows of one term in one block. Its slices alias the mapped
// file and must not be written to.
type Container struct {
	Kind   Kind
	Card   int      // rows in it, 0 for None
	Array  []uint16 // of Array
	Bitmap []uint64 // of Bitmap, BlockWords long
	Runs   []Run    // of Runs
}

// AddTo adds the rows of the container to dst.
func (c Container) AddTo(dst *kernel.Block) {
	switch c.Kind {
	case None:
	case Array:
		kernel.OrArray(dst, c.Array)
	case Bitmap:
		kernel.Or(dst, kernel.AsBlock(c.Bitmap))
	case Runs:
		for _, r := range c.Runs {
			kernel.OrRange(dst, r.Start, r.Last)
		}
	}
}
