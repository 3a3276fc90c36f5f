package storage

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"throng/query"
)

// Counted says which terms a forward index holds: those of CountedFields,
// which have the first numbers of the dictionary.
type Counted struct {
	// Starts are the first terms of the fields, in their order, and the end of
	// the last.
	Starts []uint32
	// Scored is the one term of query.Scored; NoTerm where nobody has it.
	Scored uint32
}

// NoTerm is the number of no term.
const NoTerm = ^uint32(0)

// CountedFields are the fields whose terms a forward index holds, in the order
// in which they are numbered: all that are a fact about a person and no text.
// The caller owns the slice.
func CountedFields() []query.Field {
	return slices.DeleteFunc(query.TermFields(), func(f query.Field) bool {
		return f == query.Active || f == query.Scored
	})
}

// SingleFields are those of which a row has at most one term. The caller owns
// the slice.
func SingleFields() []query.Field {
	return []query.Field{query.Age, query.Gender, query.Ethnicity, query.City, query.Region, query.DMA, query.Country}
}

func hasOne(f query.Field) bool { return slices.Contains(SingleFields(), f) }

// KnownFields are the counted fields of which a row may have several terms, so
// that a forward index notes which rows have any. The caller owns the slice.
func KnownFields() []query.Field { return slices.DeleteFunc(CountedFields(), hasOne) }

// CountedOf is for terms that are all of one field.
func CountedOf(field query.Field, terms uint32) Counted {
	c := Counted{Starts: []uint32{0}, Scored: NoTerm}
	end := uint32(0)
	for _, f := range CountedFields() {
		if f == field {
			end = terms
		}
		c.Starts = append(c.Starts, end)
	}
	return c
}

// Limit is the number of terms that are counted.
func (c Counted) Limit() uint32 { return c.Starts[len(c.Starts)-1] }

// End is from which term on a forward index needs none: what is neither counted
// nor says who has a score.
func (c Counted) End() uint32 {
	if c.Scored != NoTerm {
		return c.Scored + 1
	}
	return c.Limit()
}

// ForwardCodes gives the terms of one part their codes.
type ForwardCodes struct {
	counted Counted
	terms   []uint32 // by code: dense, frequent, then others
	dense   int
	short   int // dense and frequent ones
	rare    bool
	codes   []uint32 // by term; noCode for those that are rare or not there
}

const noCode = NoTerm

// NewForwardCodes gives codes to the terms of a part of so many rows: terms
// ascend and are all that rows of the part have, people[i] is how many rows
// have terms[i]. What is not counted is left out. The same counts give the
// same codes. reuse, where not nil, is what was given for an earlier part and
// is no longer used.
func NewForwardCodes(counted Counted, rows int, terms, people []uint32, reuse *ForwardCodes) *ForwardCodes {
	c := reuse
	if c == nil {
		c = &ForwardCodes{codes: make([]uint32, counted.Limit())}
	}
	c.counted, c.terms = counted, c.terms[:0]
	n, _ := slices.BinarySearch(terms, counted.Limit())
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(people[b], people[a]), cmp.Compare(a, b))
	})
	c.dense = 0
	for c.dense < min(n, forwardShort) && uint64(people[order[c.dense]])*forwardDense >= uint64(rows) {
		c.dense++
	}
	c.short = min(n, forwardShort)
	coded := min(n, forwardShort+forwardLong)
	c.rare = coded < n
	slices.Sort(order[:c.dense])
	slices.Sort(order[c.dense:c.short])
	slices.Sort(order[c.short:coded])
	for i := range c.codes {
		c.codes[i] = noCode
	}
	for code, i := range order[:coded] {
		c.codes[terms[i]] = uint32(code)
		c.terms = append(c.terms, terms[i])
	}
	return c
}

// rareBytes is how many bytes a rare term takes.
func rareBytes(limit uint32) int {
	if limit > 1<<24 {
		return 4
	}
	return 3
}

// ForwardEncoder makes sections of a forward index. It keeps its memory from
// block to block and is for one goroutine.
type ForwardEncoder struct {
	counts []uint64 // of each row: terms of each class, 8, 8, 24 and 24 bits
	at     []uint32 // where the next code of each row goes
	known  [BlockWords]uint64
	rows   []uint16
}

// Encoded is the section of one block.
type Encoded struct {
	data  []byte
	block forwardBlock
}

// A row's counts of terms by class lie in one word.
const (
	countDense    = 0
	countFrequent = 8
	countLong     = 16
	countRare     = 40
	maxRowTerms   = 1<<24 - 1
)

func (c *ForwardCodes) class(term uint32) (shift int, code uint32) {
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

var errForwardRow = errors.New("write forward index: a row has more than 2^24 terms")

// Encode makes the section of a block of so many rows: terms ascend, and the
// rows of terms[i], ascending, are lists[ends[i-1]:ends[i]]. Terms that are not
// counted are passed over. buf, where not nil, is the memory of a section that
// is no longer used.
func (e *ForwardEncoder) Encode(c *ForwardCodes, rows int, terms, ends []uint32, lists []uint16, buf *Encoded) (*Encoded, error) {
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
	buf.block = forwardBlock{}
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
func (e *ForwardEncoder) layout(c *ForwardCodes, rows int, buf *Encoded) error {
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
		return errForwardRow
	}
	if total > maxForwardRecords {
		return errors.New("write forward index: the records of a block exceed 4 GiB")
	}
	buf.block.records = uint32(total)
	for from := 0; from <= rows; from += forwardGroup {
		if e.offset(min(from+forwardGroup-1, rows), total)-e.offset(from, total) > 1<<16-1 {
			buf.block.flags |= forwardWide
		}
	}
	buf.data = cleared(buf.data, int(pad8(total+forwardSlack)+offsetBytes(rows, buf.block.flags)))
	e.offsets(rows, total, buf)
	for r, n := range e.counts {
		e.at[r] += uint32(head(buf.data[e.at[r]:], n, c.rare))
	}
	return nil
}

// offset is where the record of a row begins, and behind the last row their end.
func (e *ForwardEncoder) offset(r int, total uint64) uint64 {
	if r < len(e.at) {
		return uint64(e.at[r])
	}
	return total
}

// offsets writes where each row's record begins, and the end of the last.
func (e *ForwardEncoder) offsets(rows int, total uint64, buf *Encoded) {
	le := binary.LittleEndian
	out := buf.data[pad8(total+forwardSlack):]
	if buf.block.flags&forwardWide != 0 {
		for r := range rows + 1 {
			le.PutUint32(out[4*r:], uint32(e.offset(r, total)))
		}
		return
	}
	short := out[4*(rows/forwardGroup+1):]
	base := uint64(0)
	for r := range rows + 1 {
		at := e.offset(r, total)
		if r%forwardGroup == 0 {
			base = at
			le.PutUint32(out[r/forwardGroup*4:], uint32(base))
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
		b[0], b[1], b[2] = forwardEscape, d, f
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
func (e *ForwardEncoder) scatter(c *ForwardCodes, data []byte, class int, code uint32, rows []uint16) {
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
func (e *ForwardEncoder) knownRows(c *ForwardCodes, rows int, terms []uint32, list func(int) []uint16, buf *Encoded) {
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
func (e *ForwardEncoder) writeKnown(rows int, buf *Encoded) knownRows {
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
		buf.data = append(padded(buf.data), bytesOf(e.known[:])...)
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
	buf.data = append(padded(buf.data), bytesOf(e.rows)...)
	return k
}

// ForwardWriter writes the forward index of a part, block by block. It is for
// one goroutine.
type ForwardWriter struct {
	w      *fileWriter
	name   string
	first  uint32
	rows   int
	codes  *ForwardCodes
	blocks []forwardBlock
}

// ForwardName is the name of the file of a part's forward index within a
// generation's folder.
func ForwardName(part int) string { return fmt.Sprintf("parts/%05d.forward", part) }

// NewForwardWriter creates the file of a part under dir. first is the number
// of its first row, a multiple of PartRows; rows how many it has.
func NewForwardWriter(dir, name string, first uint32, rows int, codes *ForwardCodes) (*ForwardWriter, error) {
	w, err := newFileWriter(join(dir, name), kindForward)
	if err != nil {
		return nil, err
	}
	fw := &ForwardWriter{w: w, name: name, first: first, rows: rows, codes: codes}
	w.write(bytesOf(codes.terms))
	return fw, w.err
}

// Add writes the section of the next block, which may be used again afterwards.
func (fw *ForwardWriter) Add(e *Encoded) error {
	fw.w.align(8)
	b := e.block
	b.at = fw.w.n
	fw.w.write(e.data)
	fw.blocks = append(fw.blocks, b)
	return fw.w.err
}

// Close ends the file and makes it durable.
func (fw *ForwardWriter) Close() (FileSum, error) {
	le := binary.LittleEndian
	meta := le.AppendUint32(nil, fw.first)
	meta = le.AppendUint32(meta, uint32(fw.rows))
	meta = le.AppendUint32(meta, fw.codes.counted.Limit())
	meta = le.AppendUint32(meta, uint32(len(fw.codes.terms)))
	meta = le.AppendUint16(meta, uint16(fw.codes.dense))
	meta = le.AppendUint16(meta, uint16(fw.codes.short))
	flags := uint32(0)
	if fw.codes.rare {
		flags |= forwardRare
	}
	meta = le.AppendUint32(meta, flags)
	for i := range fw.blocks {
		meta = fw.blocks[i].append(meta)
	}
	return fw.w.finish(fw.name, meta)
}

// Abort closes the file without ending it. After Close it does nothing.
func (fw *ForwardWriter) Abort() { fw.w.abort() }
