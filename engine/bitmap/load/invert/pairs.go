package invert

import (
	"encoding/binary"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
)

// Pairs of row and term are kept block by block as units of three bytes, which
// [kernel.SplitPairs] takes apart:
//
//	head  1 in the highest bit, 7 high bits of terms, row within the block u16
//	term  0 in the highest bit, 23 low bits of its temporary number
//
// The first unit of a chunk is a head.
const (
	unitBytes = 3
	unitHead  = 1 << 23
	rowBits   = 16
	lowBits   = 23
)

// MaxTerms is how many terms there may be: the temporary numbers of pairs are
// below.
const MaxTerms = 1 << (lowBits + 7)

// noTerm is the number of no term.
const noTerm = ^uint32(0)

// Writer is one goroutine's way to the pairs. It is flushed at the end.
type Writer struct {
	s    *spill.Store
	open []openPairs // by block
}

// openPairs is a chunk that is being filled.
type openPairs struct {
	buf  []byte // all of it
	n    int    // bytes filled
	last uint32 // head that holds; 0, which is none, in an empty chunk
}

// NewWriter makes a writer to a store of which each partition is a block of
// rows.
func NewWriter(s *spill.Store) *Writer {
	return &Writer{s: s, open: make([]openPairs, s.Partitions())}
}

// refill hands a chunk over and opens an empty one.
func (p *Writer) refill(block int) (err error) {
	c := &p.open[block]
	p.s.Keep(block, c.buf[:c.n])
	*c = openPairs{}
	c.buf, err = p.s.Chunk()
	c.buf = c.buf[:cap(c.buf)]
	return err
}

// Flush hands all chunks over.
func (p *Writer) Flush() {
	for b := range p.open {
		c := &p.open[b]
		p.s.Keep(b, c.buf[:c.n])
		*c = openPairs{}
	}
}

// Add notes that a row has a term.
func (p *Writer) Add(row, term uint32) error {
	c := &p.open[row/storage.BlockRows]
	if len(c.buf)-c.n < 8 { // two units are written as eight bytes
		if err := p.refill(int(row / storage.BlockRows)); err != nil {
			return err
		}
	}
	head := unitHead | term>>lowBits<<rowBits | row%storage.BlockRows
	low := term % (1 << lowBits)
	if head != c.last {
		c.last = head
		binary.LittleEndian.PutUint64(c.buf[c.n:], uint64(low)<<(8*unitBytes)|uint64(head))
		c.n += 2 * unitBytes
		return nil
	}
	binary.LittleEndian.PutUint32(c.buf[c.n:], low)
	c.n += unitBytes
	return nil
}

// AddAll notes that a row has all of some terms.
func (p *Writer) AddAll(row uint32, terms []uint32) error {
	const some = 64 // fit the smallest chunk together
	c, r := &p.open[row/storage.BlockRows], unitHead|row%storage.BlockRows
	for len(terms) > 0 {
		k := min(some, len(terms))
		if len(c.buf)-c.n < 2*unitBytes*k+8 { // what is written last are eight bytes
			if err := p.refill(int(row / storage.BlockRows)); err != nil {
				return err
			}
		}
		c.put(r, terms[:k])
		terms = terms[k:]
	}
	return nil
}

// put writes the units of a row's terms.
func (c *openPairs) put(r uint32, terms []uint32) {
	out, n, last := c.buf[c.n:], 0, c.last
	for len(terms) > 0 {
		high := terms[0] >> lowBits
		if head := r | high<<rowBits; head != last {
			last = head
			binary.LittleEndian.PutUint32(out[n:], head)
			n += unitBytes
		}
		i := 0
		for ; i+1 < len(terms) && terms[i]>>lowBits == high && terms[i+1]>>lowBits == high; i += 2 {
			two := uint64(terms[i]%(1<<lowBits)) | uint64(terms[i+1]%(1<<lowBits))<<(8*unitBytes)
			binary.LittleEndian.PutUint64(out[n:], two)
			n += 2 * unitBytes
		}
		if i < len(terms) && terms[i]>>lowBits == high {
			binary.LittleEndian.PutUint32(out[n:], terms[i]%(1<<lowBits))
			n += unitBytes
			i++
		}
		terms = terms[i:]
	}
	c.n += n
	c.last = last
}

// pairBuffer is pairs, taken apart: as many as stay in the caches beside what
// is counted.
type pairBuffer struct {
	terms [pairsAtOnce + kernel.PairSlack]uint32
	rows  [pairsAtOnce + kernel.PairSlack]uint16
}

const pairsAtOnce = 1 << 13

// each takes the pairs of a piece apart and passes them on, some at a time.
func (b *pairBuffer) each(piece []byte, use func(terms []uint32, rows []uint16) bool) error {
	if len(piece)%unitBytes != 0 || len(piece) > 0 && piece[unitBytes-1]&(unitHead>>16) == 0 {
		return spill.ErrDamaged
	}
	n, head := 0, uint32(0)
	for len(piece) > 0 {
		some := piece[:min(len(piece), pairsAtOnce*unitBytes)]
		piece = piece[len(some):]
		n, head = kernel.SplitPairs(b.terms[:], b.rows[:], some, head)
		if !use(b.terms[:n], b.rows[:n]) {
			return spill.ErrDamaged
		}
	}
	return nil
}

// countPairs adds up how many pairs each term has. It returns false where a
// term is none.
func countPairs(counts, terms []uint32) bool {
	for _, t := range terms {
		if t >= uint32(len(counts)) {
			return false
		}
		counts[t]++
	}
	return true
}

// noPlace is where the rows of a term go that is left out.
const noPlace = ^uint32(0)

// placePairs puts rows, which were counted, where the next row of each term
// goes.
func placePairs(out []uint16, next, terms []uint32, rows []uint16) bool {
	rows = rows[:len(terms)]
	for i, t := range terms {
		if t >= uint32(len(next)) {
			return false
		}
		at := next[t]
		if at >= uint32(len(out)) {
			if at == noPlace {
				continue
			}
			return false
		}
		out[at] = rows[i]
		next[t] = at + 1
	}
	return true
}

// Pairs of final terms come in order of term, then row, and are records of
// term u32 and row within the block u16.
const finalPair = 6

// FinalWriter is the one way to pairs of final terms. It is flushed at the end.
type FinalWriter struct{ w *spill.Writer }

// NewFinalWriter makes a writer to a store of which each partition is a block of
// rows.
func NewFinalWriter(s *spill.Store) *FinalWriter { return &FinalWriter{s.Writer()} }

// Add notes that a row has a term, by its final number. Terms come in order.
func (p *FinalWriter) Add(row, term uint32) error {
	block := int(row / storage.BlockRows)
	c, _, err := p.w.Room(block, finalPair)
	if err != nil {
		return err
	}
	c = binary.LittleEndian.AppendUint32(c, term)
	p.w.Put(block, binary.LittleEndian.AppendUint16(c, uint16(row)))
	return nil
}

// Flush hands all chunks over.
func (p *FinalWriter) Flush() { p.w.Flush() }
