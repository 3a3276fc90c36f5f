package storage

import "throng/engine/bitmap/kernel"

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
