// Package rowset keeps sets of rows of one generation: in memory, block by block,
// and in a file. Sets are immutable once made, and so safe for concurrent use;
// what they give is theirs and must not be changed.
package rowset

import (
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

// Set is the rows of one generation that somebody keeps: block by block the
// smaller of a bitmap and an array, so at most 0.125 MB a million rows. It is
// immutable once made.
type Set struct {
	Stamp  [32]byte // of the generation: unlike that of every other
	ID     uint64   // unlike that of every other set of the generation's engine
	n      uint64
	Blocks []Block // one for each block of the generation
}

// Block is the rows of a block: of its bitmap, where there is one, else of
// its array.
type Block struct {
	N     int // rows
	Array []uint16
	Bits  *kernel.Block
}

// Len is the number of rows in the set.
func (s *Set) Len() uint64 { return s.n }

// Block gives the rows of a block of a part.
func (s *Set) Block(part, block int) *Block {
	return &s.Blocks[part*storage.PartBlocks+block]
}

// Mask has a bit for each block of a part that has rows.
func (s *Set) Mask(part int) (m uint16) {
	from := part * storage.PartBlocks
	for i := range s.Blocks[from:min(from+storage.PartBlocks, len(s.Blocks))] {
		if s.Blocks[from+i].N > 0 {
			m |= 1 << i
		}
	}
	return m
}

// Container gives the rows as a part would.
func (b *Block) Container() storage.Container {
	switch {
	case b.N == 0:
		return storage.Container{}
	case b.Bits != nil:
		return storage.Container{Kind: storage.Bitmap, Card: b.N, Bitmap: b.Bits[:]}
	}
	return storage.Container{Kind: storage.Array, Card: b.N, Array: b.Array}
}

// NewBlock copies the rows of b, of which there are n.
func NewBlock(b *kernel.Block, n int) Block {
	switch {
	case n == 0:
		return Block{}
	case n <= storage.ArrayMax:
		return Block{N: n, Array: kernel.AppendRows(make([]uint16, 0, n), b)}
	}
	bits := new(kernel.Block)
	*bits = *b
	return Block{N: n, Bits: bits}
}

// Bytes is how many bytes NewBlock takes for n rows.
func Bytes(n int) int64 {
	if n <= storage.ArrayMax {
		return int64(2 * n)
	}
	return storage.BlockWords * 8
}

// New makes a set of blocks, which it keeps, of the generation with a stamp.
func New(stamp [32]byte, id uint64, blocks []Block) *Set {
	s := &Set{Stamp: stamp, ID: id, Blocks: blocks}
	for i := range blocks {
		s.n += uint64(blocks[i].N)
	}
	return s
}

// Rows gives the rows of a block in order: in scratch, where it makes them.
func (b *Block) Rows(scratch []uint16) []uint16 {
	if b.Bits == nil {
		return b.Array
	}
	return kernel.AppendRows(scratch[:0], b.Bits)
}
