package forward

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"

	"throng/engine/bitmap/format"
	"throng/query"
)

// Encoder makes sections of a forward index. It keeps its memory from
// block to block and is for one goroutine.
type Encoder struct {
	counts []uint64 // of each row: terms of each class, 8, 8, 24 and 24 bits
	at     []uint32 // where the next code of each row goes
	known  [format.BlockWords]uint64
	rows   []uint16
}

// Encoded is the section of one block.
type Encoded struct {
	data  []byte
	block blockMeta
}

// A row's counts of terms by class lie in one word.
const (
	countDense    = 0
	countFrequent = 8
	countLong     = 16
	countRare     = 40
	maxRowTerms   = 1<<24 - 1
)

func (c *Codes) class(term uint32) (shift int, code uint32) {
	code = c.codes[term]
	switch {
	case code == noCode:
		return countRare, term
	case code < uint32(c.dense):
		return countDense, code
	case code < uint32(c.short):
		return countFrequent, code
	default:
		return countLong, code - uint32(c.short)
	}
}

var errRow = errors.New("write forward index: a row has more than 2^24 terms")

// Encode makes the section of a block of so many rows: terms ascend, and the
// rows of terms[i], ascending, are lists[ends[i-1]:ends[i]]. Terms that are not
// counted are passed over. buf, where not nil, is the memory of a section that
// is no longer used.
func (e *Encoder) Encode(c *Codes, rows int, terms, ends []uint32, lists []uint16, buf *Encoded) (*Encoded, error) {
	if buf == nil {
		buf = new(Encoded)
	}
	n, _ := slices.BinarySearch(terms, c.counted.Limit())
	list := func(i int) []uint16 {
		from := uint32(0)
		if i > 0 {
			from = ends[i-1]
		}
		return lists[from:ends[i]]
	}
	e.counts = cleared(e.counts, rows)
	for i, t := range terms[:n] {
		shift, _ := c.class(t)
		for _, r := range list(i) {
			e.counts[r] += 1 << shift
		}
	}
	buf.block = blockMeta{}
	if n > 0 {
		buf.block.pairs = ends[n-1]
	}
	if err := e.layout(c, rows, buf); err != nil {
		return nil, err
	}
	for _, class := range [...]int{countDense, countFrequent, countLong, countRare} {
		for i, t := range terms[:n] {
			if shift, code := c.class(t); shift == class {
				e.scatter(c, buf.data, class, code, list(i))
			}
		}
	}
	e.knownRows(c, rows, terms, list, buf)
	return buf, nil
}

func cleared[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// layout decides where the records lie, and writes their heads and offsets.
func (e *Encoder) layout(c *Codes, rows int, buf *Encoded) error {
	if cap(e.at) < rows {
		e.at = make([]uint32, rows)
	}
	e.at = e.at[:rows]
	rare := uint64(rareBytes(c.counted.Limit()))
	total, pairs := uint64(0), uint64(0)
	for r, n := range e.counts {
		e.at[r] = uint32(total)
		buf.block.dense += uint32(n & 0xff)
		short, long, far := n&0xff+n>>countFrequent&0xff, n>>countLong&maxRowTerms, n>>countRare
		pairs += short + long + far
		size := 1 + short + 2*long + rare*far
		if escaped(n) {
			size += 2
		}
		if c.rare {
			size += uvarintLen(long)
		}
		total += size
	}
	if pairs != uint64(buf.block.pairs) { // a count did not fit its bits
		return errRow
	}
	if total > maxRecords {
		return errors.New("write forward index: the records of a block exceed 4 GiB")
	}
	buf.block.records = uint32(total)
	for from := 0; from <= rows; from += groupRows {
		if e.offset(min(from+groupRows-1, rows), total)-e.offset(from, total) > 1<<16-1 {
			buf.block.flags |= flagWide
		}
	}
	buf.data = cleared(buf.data, int(format.Pad8(total+slack)+offsetBytes(rows, buf.block.flags)))
	e.offsets(rows, total, buf)
	for r, n := range e.counts {
		e.at[r] += uint32(head(buf.data[e.at[r]:], n, c.rare))
	}
	return nil
}

// offset is where the record of a row begins, and behind the last row their end.
func (e *Encoder) offset(r int, total uint64) uint64 {
	if r < len(e.at) {
		return uint64(e.at[r])
	}
	return total
}

// offsets writes where each row's record begins, and the end of the last.
func (e *Encoder) offsets(rows int, total uint64, buf *Encoded) {
	le := binary.LittleEndian
	out := buf.data[format.Pad8(total+slack):]
	if buf.block.flags&flagWide != 0 {
		for r := range rows + 1 {
			le.PutUint32(out[4*r:], uint32(e.offset(r, total)))
		}
		return
	}
	short := out[4*(rows/groupRows+1):]
	base := uint64(0)
	for r := range rows + 1 {
		at := e.offset(r, total)
		if r%groupRows == 0 {
			base = at
			le.PutUint32(out[r/groupRows*4:], uint32(base))
		}
		le.PutUint16(short[2*r:], uint16(at-base))
	}
}

func escaped(n uint64) bool {
	d, f := n&0xff, n>>countFrequent&0xff
	return d > 15 || f > 15 || d == 15 && f == 15
}

// head writes what comes before the codes of a record, and returns its length.
func head(b []byte, n uint64, rare bool) int {
	d, f := byte(n), byte(n>>countFrequent)
	k := 1
	if escaped(n) {
		b[0], b[1], b[2] = escape, d, f
		k = 3
	} else {
		b[0] = d | f<<4
	}
	if rare {
		k += binary.PutUvarint(b[k:], n>>countLong&maxRowTerms)
	}
	return k
}

func uvarintLen(v uint64) uint64 { return uint64(bits.Len64(v|1)+6) / 7 }

// scatter adds a code to the records of rows.
func (e *Encoder) scatter(c *Codes, data []byte, class int, code uint32, rows []uint16) {
	at := e.at
	switch class {
	case countDense, countFrequent:
		for _, r := range rows {
			data[at[r]] = byte(code)
			at[r]++
		}
	case countLong:
		for _, r := range rows {
			binary.LittleEndian.PutUint16(data[at[r]:], uint16(code))
			at[r] += 2
		}
	case countRare:
		width := uint32(rareBytes(c.counted.Limit()))
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], code)
		for _, r := range rows {
			copy(data[at[r]:], b[:width])
			at[r] += width
		}
	}
}

// knownRows appends, for each field of which a row may have several terms,
// which rows have any.
func (e *Encoder) knownRows(c *Codes, rows int, terms []uint32, list func(int) []uint16, buf *Encoded) {
	known := 0
	for i, f := range CountedFields() {
		if hasOne(f) {
			continue
		}
		from, to := c.counted.Starts[i], c.counted.Starts[i+1]
		if f == query.Personality { // any score makes it known, not only a high one
			from, to = c.counted.Scored, c.counted.Scored
			if from != NoTerm {
				to++
			}
		}
		first, _ := slices.BinarySearch(terms, from)
		clear(e.known[:])
		for i := first; i < len(terms) && terms[i] < to; i++ {
			for _, r := range list(i) {
				e.known[r>>6] |= 1 << (r & 63)
			}
		}
		buf.block.known[known] = e.writeKnown(rows, buf)
		known++
	}
}

// writeKnown appends the rows of e.known as what is smallest.
func (e *Encoder) writeKnown(rows int, buf *Encoded) knownRows {
	n := 0
	for _, w := range e.known {
		n += bits.OnesCount64(w)
	}
	k := knownRows{kind: knownBitmap, n: uint32(n)}
	words := (rows + 63) / 64
	flip := uint64(0)
	switch {
	case 2*n <= 8*words && n <= rows-n:
		k.kind = knownArray
	case 2*(rows-n) <= 8*words:
		k.kind, k.n = knownNot, uint32(rows-n)
		flip = ^uint64(0)
	}
	if k.kind == knownBitmap {
		buf.data = append(format.Padded(buf.data), format.Bytes(e.known[:])...)
		return k
	}
	e.rows = e.rows[:0]
	for i, w := range e.known[:words] {
		w ^= flip
		if i == words-1 && rows%64 != 0 {
			w &= 1<<(rows%64) - 1
		}
		for ; w != 0; w &= w - 1 {
			e.rows = append(e.rows, uint16(i<<6|bits.TrailingZeros64(w)))
		}
	}
	buf.data = append(format.Padded(buf.data), format.Bytes(e.rows)...)
	return k
}
