package storage

// BlockRows is the number of rows of a block, the unit of evaluation: its
// bitmap is 8 KiB and stays in the first cache.
const BlockRows = 1 << 16

// BlockWords is the number of 64-bit words of a block's bitmap.
const BlockWords = BlockRows / 64

// PartBlocks is the number of blocks of a part.
const PartBlocks = 16

// PartRows is the number of rows of a part.
const PartRows = PartBlocks * BlockRows

// ArrayMax is the largest cardinality stored as an array; above it a bitmap
// is smaller.
const ArrayMax = 4096

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
