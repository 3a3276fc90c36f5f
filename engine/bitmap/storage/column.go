package storage

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"throng/engine/bitmap/format"
)

// A column holds any number of byte strings for each row, in one section a
// block. A section is, in this order, each part only where needed:
//
//	data      the values on end; padding to 8
//	present   a bit a row: has values            (not where every row has)
//	shared    a bit a value: see ColumnWriter    (where any is)
//	ends      u32 a present row: values up to it (not where all have one)
//	bases     u32 each 64 values: offset in data (not where the width is fixed)
//	ranks     u16 each 64 rows: present before   (with present)
//	lengths   u16 a value: its end, from its base (with bases; u32 where flagged)
//
// so that a row with one value of a fixed width costs its bytes alone, and
// one of any width two bytes more. meta: rows u32, blocks u32, values u64, and
// for each block: offset u64, bytes of data u32, values u32, rows present u32,
// width u16, flags u16.
const (
	columnMeta    = 16
	columnSection = 24
)

// The flags of a section.
const (
	flagPresent = 1 << iota
	flagShared
	flagEnds
	flagFixed
	flagWide
)

// Column is a mapped column. It is safe for concurrent use until Close.
type Column struct {
	*format.File
	rows   uint32
	values uint64
	ok     []atomic.Uint64 // a bit a block: its numbers were verified
}

// OpenColumn maps a column.
func OpenColumn(path string) (*Column, error) {
	f, err := format.Open(path, format.KindColumn)
	if err != nil {
		return nil, err
	}
	c := &Column{File: f}
	if err := c.open(); err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

func (c *Column) open() error {
	if len(c.Meta()) < columnMeta {
		return c.Corrupt("directory has a wrong length")
	}
	le := binary.LittleEndian
	c.rows, c.values = le.Uint32(c.Meta()), le.Uint64(c.Meta()[8:])
	blocks := (uint64(c.rows) + BlockRows - 1) / BlockRows
	if uint64(le.Uint32(c.Meta()[4:])) != blocks || uint64(len(c.Meta())) != columnMeta+blocks*columnSection {
		return c.Corrupt("directory has a wrong length")
	}
	c.ok = make([]atomic.Uint64, (blocks+63)/64)
	return nil
}

// Rows is the number of rows of the generation.
func (c *Column) Rows() uint32 { return c.rows }

// Values is the number of values of all rows.
func (c *Column) Values() uint64 { return c.values }

// Blocks is the number of blocks.
func (c *Column) Blocks() int { return (int(c.rows) + BlockRows - 1) / BlockRows }

// ColumnBlock is the values of one block. It aliases the mapping and is valid
// until the column is closed. Rows and values are counted within the block.
type ColumnBlock struct {
	rows, values, have int
	flags              uint16
	width              int
	data               []byte
	present, shared    []uint64
	ends, bases        []uint32
	ranks, short       []uint16
	long               []uint32
}

// Block gives the values of a block. An error wraps [ErrCorrupt].
func (c *Column) Block(b int) (ColumnBlock, error) {
	var cb ColumnBlock
	if b < 0 || b >= c.Blocks() {
		return cb, c.Corrupt("no such block")
	}
	le := binary.LittleEndian
	m := c.Meta()[columnMeta+b*columnSection:]
	off, size := le.Uint64(m), uint64(le.Uint32(m[8:]))
	values, have := uint64(le.Uint32(m[12:])), uint64(le.Uint32(m[16:]))
	cb.flags = le.Uint16(m[22:])
	cb.width = int(le.Uint16(m[20:]))
	cb.rows = min(BlockRows, int(c.rows)-b*BlockRows)
	cb.values, cb.have = int(values), int(have)
	if have > uint64(cb.rows) || off%8 != 0 {
		return cb, c.Corrupt("section contradicts itself")
	}
	counts := sectionCounts(cb.flags, uint64(cb.rows), values, have)
	need := format.Pad8(size)
	for i, n := range counts {
		need += n * sectionWidths[i]
	}
	if err := c.Check(off, need); err != nil {
		return cb, err
	}
	cb.data = c.Payload()[off:][:size:size]
	at := off + format.Pad8(size)
	next := func(i int) []byte {
		b := c.Payload()[at:][:counts[i]*sectionWidths[i]]
		at += uint64(len(b))
		return b
	}
	cb.present, cb.shared = format.View[uint64](next(0)), format.View[uint64](next(1))
	cb.ends, cb.bases, cb.long = format.View[uint32](next(2)), format.View[uint32](next(3)), format.View[uint32](next(4))
	cb.ranks, cb.short = format.View[uint16](next(5)), format.View[uint16](next(6))
	if c.ok[b>>6].Load()&(1<<(b&63)) == 0 {
		if !cb.valid() {
			return cb, c.Corrupt("section contradicts itself")
		}
		c.ok[b>>6].Or(1 << (b & 63))
	}
	return cb, nil
}

// sectionWidths and sectionCounts say how many numbers of how many bytes each
// array of a section has, in the order in which they are stored.
var sectionWidths = [7]uint64{8, 8, 4, 4, 4, 2, 2}

func sectionCounts(flags uint16, rows, values, have uint64) (n [7]uint64) {
	if flags&flagPresent != 0 {
		n[0] = (rows + 63) / 64
		n[5] = n[0]
	}
	if flags&flagShared != 0 {
		n[1] = (values + 63) / 64
	}
	if flags&flagEnds != 0 {
		n[2] = have
	}
	if flags&flagFixed == 0 {
		n[3] = (values + 63) / 64
		if flags&flagWide != 0 {
			n[4] = values
		} else {
			n[6] = values
		}
	}
	return n
}

// valid makes sure that no number of the section leads outside it.
func (cb *ColumnBlock) valid() bool {
	if !cb.validRows() {
		return false
	}
	if cb.flags&flagFixed != 0 {
		return cb.width*cb.values == len(cb.data)
	}
	end := uint64(0)
	for v := range cb.values {
		if v&63 == 0 && uint64(cb.bases[v>>6]) != end {
			return false
		}
		e := uint64(cb.bases[v>>6])
		if cb.long != nil {
			e += uint64(cb.long[v])
		} else {
			e += uint64(cb.short[v])
		}
		if e < end {
			return false
		}
		end = e
	}
	return end == uint64(len(cb.data))
}

func (cb *ColumnBlock) validRows() bool {
	if cb.flags&flagPresent != 0 {
		n := 0
		for i, w := range cb.present {
			if int(cb.ranks[i]) != n&0xffff {
				return false
			}
			n += bits.OnesCount64(w)
		}
		if r := cb.rows & 63; r != 0 && cb.present[len(cb.present)-1]>>r != 0 {
			return false
		}
		if n != cb.have {
			return false
		}
	} else if cb.have != cb.rows {
		return false
	}
	if cb.flags&flagEnds == 0 {
		return cb.values == cb.have
	}
	end := uint32(0)
	for _, e := range cb.ends {
		if e < end {
			return false
		}
		end = e
	}
	return int(end) == cb.values
}

// Values is the number of values of the block.
func (cb *ColumnBlock) Values() int { return cb.values }

// Range says which values a row has: from up to, not including, to.
func (cb *ColumnBlock) Range(row int) (from, to int) {
	if cb.flags&flagPresent != 0 {
		w := cb.present[row>>6]
		if w>>(row&63)&1 == 0 {
			return 0, 0
		}
		row = int(cb.ranks[row>>6]) + bits.OnesCount64(w&(1<<(row&63)-1))
	}
	if cb.flags&flagEnds == 0 {
		return row, row + 1
	}
	if row > 0 {
		from = int(cb.ends[row-1])
	}
	return from, int(cb.ends[row])
}

// Value is a value as it is stored. It must not be written to.
func (cb *ColumnBlock) Value(v int) []byte {
	from, to := cb.bounds(uint32(v))
	return cb.data[from:to:to]
}

// bounds says where in data a value is.
func (cb *ColumnBlock) bounds(v uint32) (from, to uint32) {
	if cb.flags&flagFixed != 0 {
		from = v * uint32(cb.width)
		return from, from + uint32(cb.width)
	}
	base := cb.bases[v>>6]
	from, to = base, base
	if cb.long != nil {
		to += cb.long[v]
		if v&63 != 0 {
			from += cb.long[v-1]
		}
	} else {
		to += uint32(cb.short[v])
		if v&63 != 0 {
			from += uint32(cb.short[v-1])
		}
	}
	return from, to
}

// Shared tells whether another row of the generation has the same value, too.
func (cb *ColumnBlock) Shared(v int) bool {
	return cb.shared != nil && cb.shared[v>>6]>>(v&63)&1 != 0
}

// AnyShared tells whether any value of the block is shared.
func (cb *ColumnBlock) AnyShared() bool { return cb.shared != nil }
