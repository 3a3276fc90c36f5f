package storage

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"

	"throng/engine/bitmap/format"
)

// A part holds the postings of PartRows rows, of the last part fewer.
//
// Its payload is, for each term, its containers on end, then two parallel
// arrays, the directory: the numbers of the terms that have rows here,
// ascending (u32), and where each is found (u32). The two highest bits of the
// latter say how:
//
//	1x…  the term has one row, whose number within the part is the low 20
//	     bits: block in bits 16-19, row of the block in bits 0-15
//	00…  arrays only; the low 30 bits are the offset in units of 4 bytes:
//	     u16 mask of the blocks present, cardinality−1 of each (u16), arrays
//	01…  any containers, offset as above: u16 masks of the blocks present, of
//	     those stored as bitmaps and of those stored as runs; cardinality−1 of
//	     each block (u16); number of runs of each block stored so (u16);
//	     padding to 8 where there are bitmaps; bitmaps; arrays; runs
//
// meta: first row u32, rows u32, terms u32, zero u32, offset of the directory u64.
const (
	partMeta      = 24
	entrySingle   = 1 << 31
	entryMixed    = 1 << 30
	entryOffset   = entryMixed - 1
	entryUnit     = 4
	maxPartOffset = entryOffset * entryUnit
)

// Part is a mapped part. It is safe for concurrent use until Close.
type Part struct {
	*format.File
	first     uint32
	rows      int
	postings  uint64 // where the directory starts
	terms     []uint32
	entries   []uint32
	directory func() error // verifies the directory, once
}

// OpenPart maps a part.
func OpenPart(path string) (*Part, error) {
	f, err := format.Open(path, format.KindPart)
	if err != nil {
		return nil, err
	}
	p := &Part{File: f}
	if err := p.open(); err != nil {
		f.Close()
		return nil, err
	}
	p.directory = sync.OnceValue(p.checkDirectory)
	return p, nil
}

func (p *Part) open() error {
	if len(p.Meta()) != partMeta {
		return p.Corrupt("directory has a wrong length")
	}
	le := binary.LittleEndian
	rows, terms, off := le.Uint32(p.Meta()[4:]), uint64(le.Uint32(p.Meta()[8:])), le.Uint64(p.Meta()[16:])
	p.first = le.Uint32(p.Meta())
	if rows > PartRows || p.first%PartRows != 0 || off%4 != 0 ||
		off > uint64(len(p.Payload())) || uint64(len(p.Payload()))-off != 8*terms {
		return p.Corrupt("directory does not fit the file")
	}
	p.rows, p.postings = int(rows), off
	p.terms = format.View[uint32](p.Payload()[off:][:4*terms])
	p.entries = format.View[uint32](p.Payload()[off+4*terms:])
	return nil
}

func (p *Part) checkDirectory() error {
	if err := p.Check(p.postings, uint64(len(p.Payload()))-p.postings); err != nil {
		return err
	}
	for i := 1; i < len(p.terms); i++ {
		if p.terms[i-1] >= p.terms[i] {
			return p.Corrupt("terms are out of order")
		}
	}
	return nil
}

// FirstRow is the number of the part's first row.
func (p *Part) FirstRow() uint32 { return p.first }

// Rows is the number of rows of the part.
func (p *Part) Rows() int { return p.rows }

// Terms is the number of terms that have rows in the part.
func (p *Part) Terms() int { return len(p.terms) }

// Postings finds the rows of a term in the part; its zero value, where none
// has the term. An error wraps [ErrCorrupt].
func (p *Part) Postings(term uint32) (Postings, error) {
	if err := p.directory(); err != nil {
		return Postings{}, err
	}
	i, ok := slices.BinarySearch(p.terms, term)
	if !ok {
		return Postings{}, nil
	}
	return p.postingsAt(i)
}

// EachTerm passes the terms of the part in ascending order to yield, until it
// returns false. An error wraps [ErrCorrupt].
func (p *Part) EachTerm(yield func(term uint32, ps Postings) bool) error {
	if err := p.directory(); err != nil {
		return err
	}
	for i, t := range p.terms {
		ps, err := p.postingsAt(i)
		if err != nil {
			return err
		}
		if !yield(t, ps) {
			return nil
		}
	}
	return nil
}

// Postings is the rows of one term in one part: at most one container a block.
// It aliases the mapping and is valid until the part is closed.
type Postings struct {
	mask, bitmaps, runs uint16
	single              bool
	// data is the postings' own piece of the file; cards its cardinalities−1
	// by rank of the block among those present.
	data  []byte
	cards []uint16
	// at says where in data the container of a block is, and how long.
	at  [PartBlocks]uint32
	len [PartBlocks]uint32
}

// postingsAt reads entry i of the directory. All lengths are verified before
// anything is sliced by them.
func (p *Part) postingsAt(i int) (Postings, error) {
	e := p.entries[i]
	if e&entrySingle != 0 {
		block := e >> 16 & (PartBlocks - 1)
		ps := Postings{mask: 1 << block, single: true}
		ps.data = format.Bytes(p.entries[i : i+1])[:2] // the low half comes first
		ps.len[block] = 2
		return ps, nil
	}
	off := uint64(e&entryOffset) * entryUnit
	if off+2 > p.postings {
		return Postings{}, p.Corrupt("postings lie outside the file")
	}
	var ps Postings
	var err error
	if e&entryMixed != 0 {
		err = p.mixed(&ps, off)
	} else {
		err = p.arrays(&ps, off)
	}
	return ps, err
}

func (p *Part) arrays(ps *Postings, off uint64) error {
	room := p.postings - off
	if err := p.Check(off, min(room, 2+2*PartBlocks)); err != nil {
		return err
	}
	data := p.Payload()[off:p.postings]
	ps.mask = binary.LittleEndian.Uint16(data)
	n := uint64(bits.OnesCount16(ps.mask))
	end := 2 + 2*n
	if ps.mask == 0 || end > room {
		return p.Corrupt("postings lie outside the file")
	}
	ps.cards = format.View[uint16](data[2:end])
	k := 0
	for m := ps.mask; m != 0; m &= m - 1 {
		b := bits.TrailingZeros16(m)
		size := 2 * (uint64(ps.cards[k]) + 1)
		ps.at[b], ps.len[b] = uint32(end), uint32(size)
		end += size
		k++
	}
	if end > room {
		return p.Corrupt("postings lie outside the file")
	}
	ps.data = data[:end]
	return p.Check(off, end)
}

func (p *Part) mixed(ps *Postings, off uint64) error {
	room := p.postings - off
	if err := p.Check(off, min(room, 6+4*PartBlocks)); err != nil {
		return err
	}
	data := p.Payload()[off:p.postings]
	if room < 6 {
		return p.Corrupt("postings lie outside the file")
	}
	le := binary.LittleEndian
	ps.mask, ps.bitmaps, ps.runs = le.Uint16(data), le.Uint16(data[2:]), le.Uint16(data[4:])
	if ps.mask == 0 || (ps.bitmaps|ps.runs)&^ps.mask != 0 || ps.bitmaps&ps.runs != 0 {
		return p.Corrupt("postings contradict themselves")
	}
	n, r := uint64(bits.OnesCount16(ps.mask)), uint64(bits.OnesCount16(ps.runs))
	end := 6 + 2*n + 2*r
	if end > room {
		return p.Corrupt("postings lie outside the file")
	}
	ps.cards = format.View[uint16](data[6 : 6+2*n])
	runs := format.View[uint16](data[6+2*n : end])
	if ps.bitmaps != 0 {
		end = format.Pad8(off+end) - off
	}
	for m := ps.bitmaps; m != 0; m &= m - 1 {
		b := bits.TrailingZeros16(m)
		ps.at[b], ps.len[b] = uint32(end), BlockWords*8
		end += BlockWords * 8
	}
	for m := ps.mask &^ (ps.bitmaps | ps.runs); m != 0; m &= m - 1 {
		b := bits.TrailingZeros16(m)
		size := 2 * uint64(ps.Card(b))
		ps.at[b], ps.len[b] = uint32(end), uint32(size)
		end += size
	}
	for m := ps.runs; m != 0; m &= m - 1 {
		b := bits.TrailingZeros16(m)
		size := 4 * (uint64(runs[0]) + 1)
		runs = runs[1:]
		ps.at[b], ps.len[b] = uint32(end), uint32(size)
		end += size
	}
	if end > room {
		return p.Corrupt("postings lie outside the file")
	}
	ps.data = data[:end]
	return p.Check(off, end)
}

// Empty tells whether no row of the part has the term.
func (ps *Postings) Empty() bool { return ps.mask == 0 }

// Mask has a bit for each block that has rows.
func (ps *Postings) Mask() uint16 { return ps.mask }

// Runs has a bit for each block whose rows are stored as runs.
func (ps *Postings) Runs() uint16 { return ps.runs }

// Card is the number of rows in a block.
func (ps *Postings) Card(block int) int {
	bit := uint16(1) << block
	switch {
	case ps.mask&bit == 0:
		return 0
	case ps.single:
		return 1
	default:
		return int(ps.cards[bits.OnesCount16(ps.mask&(bit-1))]) + 1
	}
}

// Container is the rows in a block, of kind None where there are none.
func (ps *Postings) Container(block int) Container {
	bit := uint16(1) << block
	if ps.mask&bit == 0 {
		return Container{}
	}
	b := ps.data[ps.at[block]:][:ps.len[block]]
	c := Container{Kind: Array, Card: ps.Card(block)}
	switch {
	case ps.bitmaps&bit != 0:
		c.Kind, c.Bitmap = Bitmap, format.View[uint64](b)
	case ps.runs&bit != 0:
		c.Kind, c.Runs = Runs, format.View[Run](b)
	default:
		c.Array = format.View[uint16](b)
	}
	return c
}
