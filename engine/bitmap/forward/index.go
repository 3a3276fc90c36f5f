// Package forward is the forward index of a part: what each of its rows has. A
// [Writer] writes it, block by block, of sections that an [Encoder] makes; an
// [Index] is one mapped, which counts the terms of rows ([Block.Count]), adds up
// their weights ([Block.Weigh]) and lists them ([Block.Numbers]). It knows rows,
// terms and codes; which terms are what is the dictionary's, and which way of
// counting is cheaper is for the engine.
//
// Loops over rows look at records without verifying each: a block's section is
// verified by [Index.Block], as its codes are by [Index.Codes], and what such a
// record says is held to its bounds. Errors of damage wrap [engine.ErrCorrupt]
// and name the file.
package forward

import (
	"encoding/binary"

	"throng/engine/bitmap/format"
)

// A forward index holds, for each row of a part, its counted terms. Terms have
// codes, which are the part's own: the 255 that most rows have are one byte,
// the 65,536 after them two, the others their numbers, three bytes or four.
//
// Its payload is the terms of the codes (u32), then a section for each block,
// aligned to 8:
//
//	records   of each row: a head, then codes of dense terms and of other
//	          frequent ones (u8), of others (u16, less those before), numbers
//	          of rare ones. slack bytes; padding
//	offsets   where rows 0, 32, 64 … begin (u32), where each row begins from
//	          there (u16); one more stands for the end. Or all u32; padding
//	known     for each of KnownFields, which rows have a value; padding each
//
// A head is one byte, the number of dense terms and 16 times that of frequent
// ones; or 0xFF and a byte each, where either does not fit. Where the part has
// rare terms, the number of those of two bytes follows (uvarint).
//
// meta: first row u32, rows u32, counted terms u32, codes u32, dense u16,
// dense and frequent u16, flags u32; for each block the offset of its section
// u64, terms of all rows u32, dense ones among them u32, bytes of records u32,
// flags u32, and for each known field u32: what is listed, and how many.
const (
	metaBytes  = 24
	shortCodes = 255 // codes of one byte
	longCodes  = 1 << 16
	// denseShare is how many times a term's rows make up the part, at most,
	// for the term to be a dense one: the postings of those are bitmaps.
	denseShare = format.BlockRows / format.ArrayMax
	groupRows  = 32 // rows that share a base
	escape     = 0xff
	// slack is how far a reader may look past the end of the records.
	slack = 64

	maxRecords = 1<<32 - 1<<16

	flagRare = 1 // flag of a part: some terms have no code
	flagWide = 1 // flag of a block: offsets are u32
)

// What is listed of a known field.
const (
	knownArray  = iota // rows that have a value
	knownNot           // rows that have none
	knownBitmap        // a bit a row; the number is of rows that have a value
)

type knownRows struct {
	kind uint32
	n    uint32
}

const knownFields = 9

// blockMeta is what meta says of a block.
type blockMeta struct {
	at      uint64
	pairs   uint32
	dense   uint32 // of the pairs
	records uint32
	flags   uint32
	known   [knownFields]knownRows
}

const blockMetaBytes = 24 + 4*knownFields

func (b *blockMeta) append(meta []byte) []byte {
	le := binary.LittleEndian
	meta = le.AppendUint64(meta, b.at)
	meta = le.AppendUint32(meta, b.pairs)
	meta = le.AppendUint32(meta, b.dense)
	meta = le.AppendUint32(meta, b.records)
	meta = le.AppendUint32(meta, b.flags)
	for _, k := range b.known {
		meta = le.AppendUint32(meta, k.kind<<30|k.n)
	}
	return meta
}

func readBlockMeta(meta []byte) (b blockMeta) {
	le := binary.LittleEndian
	b.at, b.pairs, b.dense = le.Uint64(meta), le.Uint32(meta[8:]), le.Uint32(meta[12:])
	b.records, b.flags = le.Uint32(meta[16:]), le.Uint32(meta[20:])
	for i := range b.known {
		v := le.Uint32(meta[24+4*i:])
		b.known[i] = knownRows{v >> 30, v & (1<<30 - 1)}
	}
	return b
}

// offsetBytes is what the offsets of a block take, without padding.
func offsetBytes(rows int, flags uint32) uint64 {
	n := uint64(rows + 1)
	if flags&flagWide != 0 {
		return 4 * n
	}
	return 4*uint64(rows/groupRows+1) + 2*n
}

// bytes is what the list takes, without padding.
func (k knownRows) bytes() uint64 {
	if k.kind == knownBitmap {
		return 8 * format.BlockWords
	}
	return 2 * uint64(k.n)
}

// Index is a mapped forward index of a part. It is safe for concurrent use
// until Close.
type Index struct {
	*format.File
	first  uint32
	rows   int
	limit  uint32 // terms are below
	terms  []uint32
	dense  int
	short  int
	rare   bool
	blocks []blockMeta
}

// Open maps a forward index.
func Open(path string) (*Index, error) {
	f, err := format.Open(path, format.KindForward)
	if err != nil {
		return nil, err
	}
	w := &Index{File: f}
	if err := w.open(); err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

func (f *Index) open() error {
	if len(f.Meta()) < metaBytes {
		return f.Corrupt("directory has a wrong length")
	}
	le := binary.LittleEndian
	f.first, f.limit = le.Uint32(f.Meta()), le.Uint32(f.Meta()[8:])
	rows, codes := le.Uint32(f.Meta()[4:]), uint64(le.Uint32(f.Meta()[12:]))
	f.dense, f.short = int(le.Uint16(f.Meta()[16:])), int(le.Uint16(f.Meta()[18:]))
	f.rare = le.Uint32(f.Meta()[20:])&flagRare != 0
	if rows > format.PartRows || f.first%format.PartRows != 0 || codes > shortCodes+longCodes ||
		f.dense > f.short || f.short > shortCodes || uint64(f.short) > codes || 4*codes > uint64(len(f.Payload())) {
		return f.Corrupt("directory does not fit the file")
	}
	f.rows = int(rows)
	n := (f.rows + format.BlockRows - 1) / format.BlockRows
	if len(f.Meta()) != metaBytes+n*blockMetaBytes {
		return f.Corrupt("directory has a wrong length")
	}
	f.terms = format.View[uint32](f.Payload()[:4*codes])
	at := 4 * codes
	for i := range n {
		b := readBlockMeta(f.Meta()[metaBytes+i*blockMetaBytes:])
		size := format.Pad8(uint64(b.records)+slack) + offsetBytes(f.rowsOf(i), b.flags)
		for _, k := range b.known {
			if k.kind > knownBitmap || int(k.n) > f.rowsOf(i) {
				return f.Corrupt("directory contradicts itself")
			}
			size = format.Pad8(size) + k.bytes()
		}
		if at = format.Pad8(at); b.at != at || size > uint64(len(f.Payload())) || at+size > uint64(len(f.Payload())) {
			return f.Corrupt("directory does not fit the file")
		}
		at += size
		f.blocks = append(f.blocks, b)
	}
	if at != uint64(len(f.Payload())) {
		return f.Corrupt("directory does not fit the file")
	}
	return nil
}

// rowsOf is how many rows a block of the part has.
func (f *Index) rowsOf(block int) int { return min(f.rows-block*format.BlockRows, format.BlockRows) }

// FirstRow is the number of the part's first row.
func (f *Index) FirstRow() uint32 { return f.first }

// Rows is the number of rows of the part.
func (f *Index) Rows() int { return f.rows }

// Limit is the number of counted terms of the generation.
func (f *Index) Limit() uint32 { return f.limit }

// Pairs is how many terms the rows of a block have together.
func (f *Index) Pairs(block int) uint32 { return f.blocks[block].pairs }

// PairsOfPart is how many terms all rows of the part have together.
func (f *Index) PairsOfPart() (n uint64) {
	for i := range f.blocks {
		n += uint64(f.blocks[i].pairs)
	}
	return n
}

// DensePairs is how many of them are of dense terms.
func (f *Index) DensePairs(block int) uint32 { return f.blocks[block].dense }

// Blocks is the number of blocks of the part.
func (f *Index) Blocks() int { return len(f.blocks) }

// KnownCount is how many rows of a block have a value of the i-th of
// KnownFields.
func (f *Index) KnownCount(block, i int) int {
	k := f.blocks[block].known[i]
	if k.kind == knownNot {
		return f.rowsOf(block) - int(k.n)
	}
	return int(k.n)
}

// Codes gives the terms that have a code, by code. The first dense ones are
// those that many of the part's rows have, one in denseShare. The slice aliases
// the mapping. An error wraps [engine.ErrCorrupt].
func (f *Index) Codes() (terms []uint32, dense int, err error) {
	if err := f.Check(0, 4*uint64(len(f.terms))); err != nil {
		return nil, 0, err
	}
	return f.terms, f.dense, nil
}

// Block is the section of one block. It aliases the mapping and is
// valid until the file is closed.
type Block struct {
	f       *Index
	rows    int
	records []byte // with slack
	end     uint32 // of the records
	bases   []uint32
	offsets []uint16
	wide    []uint32
	known   [knownFields]KnownRows
}

// KnownRows is the rows of a block of which a field has any value: those of
// Array, or all others where Not is set, or those of Bitmap.
type KnownRows struct {
	Array  []uint16
	Not    bool
	Bitmap []uint64 // format.BlockWords long
}

// Block gives the section of a block of the part, verified. An error wraps
// [engine.ErrCorrupt].
func (f *Index) Block(block int) (Block, error) {
	m := &f.blocks[block]
	end := uint64(len(f.Payload()))
	if block+1 < len(f.blocks) {
		end = f.blocks[block+1].at
	}
	if err := f.Check(m.at, end-m.at); err != nil {
		return Block{}, err
	}
	data := f.Payload()[m.at:end]
	b := Block{f: f, rows: f.rowsOf(block), end: m.records}
	at := format.Pad8(uint64(m.records) + slack)
	b.records = data[:at]
	n := offsetBytes(b.rows, m.flags)
	offsets := data[at:][:n]
	if m.flags&flagWide != 0 {
		b.wide = format.View[uint32](offsets)
	} else {
		bases := 4 * (b.rows/groupRows + 1)
		b.bases, b.offsets = format.View[uint32](offsets[:bases]), format.View[uint16](offsets[bases:])
	}
	at += n
	for i, k := range m.known {
		at = format.Pad8(at)
		list := data[at:][:k.bytes()]
		if k.kind == knownBitmap {
			b.known[i].Bitmap = format.View[uint64](list)
		} else {
			b.known[i].Array, b.known[i].Not = format.View[uint16](list), k.kind == knownNot
		}
		at += k.bytes()
	}
	return b, nil
}

// Known is which rows of the block have a value of the i-th of KnownFields.
func (b *Block) Known(i int) KnownRows { return b.known[i] }

// offset is where the record of a row begins; row may be the number of rows.
func (b *Block) offset(row int) uint32 {
	if b.wide != nil {
		return b.wide[row]
	}
	return b.bases[row/groupRows] + uint32(b.offsets[row])
}

func (b *Block) corrupt() error { return b.f.Corrupt("terms of a row are not sound") }

// record is the codes of one row.
type record struct {
	dense    []byte
	frequent []byte
	long     []byte // two bytes each
	rare     []byte
}

// record takes the record of a row apart; ok is false where it contradicts
// itself.
func (b *Block) record(row int) (r record, ok bool) {
	from, to := b.offset(row), b.offset(row+1)
	if from >= to || to > b.end {
		return r, false
	}
	data := b.records[from:to]
	n, m := int(data[0]&15), int(data[0]>>4)
	data = data[1:]
	if n+m == 30 { // escape
		if len(data) < 2 {
			return r, false
		}
		n, m = int(data[0]), int(data[1])
		data = data[2:]
	}
	long := uint64(len(data) - n - m)
	if b.f.rare {
		v, k := binary.Uvarint(data)
		if k <= 0 || v > longCodes {
			return r, false
		}
		data, long = data[k:], 2*v
	}
	if n+m > len(data) || long > uint64(len(data)-n-m) {
		return r, false
	}
	r.dense, r.frequent = data[:n], data[n:n+m]
	data = data[n+m:]
	r.long, r.rare = data[:long], data[long:]
	return r, len(r.long)%2 == 0 && len(r.rare)%rareBytes(b.f.limit) == 0
}

// Terms appends the terms of a row of the block to dst: first those of dense
// codes, then of frequent, then of other ones, then those without a code, each
// ascending. Codes must have been verified. An error wraps [engine.ErrCorrupt].
func (b *Block) Terms(dst []uint32, row int) ([]uint32, error) {
	r, ok := b.record(row)
	if !ok {
		return dst, b.corrupt()
	}
	terms := b.f.terms
	for _, code := range r.dense {
		if int(code) >= b.f.dense {
			return dst, b.corrupt()
		}
		dst = append(dst, terms[code])
	}
	for _, code := range r.frequent {
		if int(code) < b.f.dense || int(code) >= b.f.short {
			return dst, b.corrupt()
		}
		dst = append(dst, terms[code])
	}
	terms = terms[b.f.short:]
	for long := r.long; len(long) > 0; long = long[2:] {
		code := int(binary.LittleEndian.Uint16(long))
		if code >= len(terms) {
			return dst, b.corrupt()
		}
		dst = append(dst, terms[code])
	}
	for width := rareBytes(b.f.limit); len(r.rare) > 0; r.rare = r.rare[width:] {
		t := rareTerm(r.rare, width)
		if t >= b.f.limit {
			return dst, b.corrupt()
		}
		dst = append(dst, t)
	}
	return dst, nil
}

func rareTerm(b []byte, width int) uint32 {
	t := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
	if width == 4 {
		t |= uint32(b[3]) << 24
	}
	return t
}
