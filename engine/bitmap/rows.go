package bitmap

import (
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

// rowSet is the rows of one generation that somebody keeps: block by block the
// smaller of a bitmap and an array, so at most 0.125 MB a million rows. It is
// immutable once made.
type rowSet struct {
	gen    [32]byte // stamp of the generation
	id     uint64   // unlike that of every other set of the generation's engine
	n      uint64
	blocks []rowBlock // one for each block of the generation
}

// rowBlock is the rows of a block: of its bitmap, where there is one, else of
// its array.
type rowBlock struct {
	n     int
	array []uint16
	bits  *kernel.Block
}

// Len is the number of rows in the set.
func (s *rowSet) Len() uint64 { return s.n }

// block gives the rows of a block of a part.
func (s *rowSet) block(part, block int) *rowBlock {
	return &s.blocks[part*storage.PartBlocks+block]
}

// mask has a bit for each block of a part that has rows.
func (s *rowSet) mask(part int) (m uint16) {
	from := part * storage.PartBlocks
	for i := range s.blocks[from:min(from+storage.PartBlocks, len(s.blocks))] {
		if s.blocks[from+i].n > 0 {
			m |= 1 << i
		}
	}
	return m
}

// container gives the rows as a part would.
func (b *rowBlock) container() storage.Container {
	switch {
	case b.n == 0:
		return storage.Container{}
	case b.bits != nil:
		return storage.Container{Kind: storage.Bitmap, Card: b.n, Bitmap: b.bits[:]}
	}
	return storage.Container{Kind: storage.Array, Card: b.n, Array: b.array}
}

// newRowBlock copies n rows out of b.
func newRowBlock(b *kernel.Block, n int) rowBlock {
	switch {
	case n == 0:
		return rowBlock{}
	case n <= storage.ArrayMax:
		return rowBlock{n: n, array: kernel.AppendRows(make([]uint16, 0, n), b)}
	}
	bits := new(kernel.Block)
	*bits = *b
	return rowBlock{n: n, bits: bits}
}

// rowBytes is how many bytes newRowBlock takes for n rows.
func rowBytes(n int) int64 {
	if n <= storage.ArrayMax {
		return int64(2 * n)
	}
	return storage.BlockWords * 8
}

// newRowSet makes a set of blocks, which it keeps.
func (g *core) newRowSet(blocks []rowBlock) *rowSet {
	s := &rowSet{gen: g.stamp, id: g.setID(), blocks: blocks}
	for i := range blocks {
		s.n += uint64(blocks[i].n)
	}
	return s
}

// each yields the rows of a block in order.
func (b *rowBlock) each(scratch []uint16) []uint16 {
	if b.bits == nil {
		return b.array
	}
	return kernel.AppendRows(scratch[:0], b.bits)
}
