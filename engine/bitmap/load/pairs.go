package load

import (
	"encoding/binary"
	"errors"

	"throng/engine/bitmap/storage"
)

// Pairs of row and term are kept block by block as units of three bytes:
//
//	head  1 in the highest bit, 7 high bits of terms, row within the block u16
//	term  0 in the highest bit, 23 low bits of its temporary number
//
// A head holds until the next one, and the first unit of a chunk is one. So
// terms of one row take three bytes each, and where the next unit is does not
// depend on what this one says: reading one waits for nothing.
const (
	unitBytes = 3
	unitHead  = 1 << 23
	unitRoom  = 1 // a unit is written as four bytes, of which the last is overwritten
	rowBits   = 16
	lowBits   = 23
	termLimit = 1 << (lowBits + 7)
)

// pairWriter is one goroutine's way to the pairs.
type pairWriter struct {
	w    *writer
	last []uint32 // head of each open chunk
}

func newPairWriter(s *store) *pairWriter {
	return &pairWriter{w: s.writer(), last: make([]uint32, len(s.parts))}
}

// add notes that a row has a term.
func (p *pairWriter) add(row, term uint32) error {
	block := int(row / storage.BlockRows)
	c, fresh, err := p.w.room(block, 2*unitBytes+unitRoom)
	if err != nil {
		return err
	}
	n := len(c)
	b := c[n : n+2*unitBytes+unitRoom]
	head := unitHead | term>>lowBits<<rowBits | row%storage.BlockRows
	if fresh || p.last[block] != head {
		p.last[block] = head
		binary.LittleEndian.PutUint32(b, head)
		b = b[unitBytes:]
		n += unitBytes
	}
	binary.LittleEndian.PutUint32(b, term%(1<<lowBits))
	p.w.put(block, c[:n+unitBytes])
	return nil
}

// addAll notes that a row has all of some terms.
func (p *pairWriter) addAll(row uint32, terms []uint32) error {
	const some = 64 // fit the smallest chunk together
	block, r := int(row/storage.BlockRows), unitHead|row%storage.BlockRows
	for len(terms) > 0 {
		c, fresh, err := p.w.room(block, 2*unitBytes*some+unitRoom)
		if err != nil {
			return err
		}
		n, last := len(c), p.last[block]
		if fresh {
			last = 0 // of no unit
		}
		c = c[:cap(c)]
		k := min(some, len(terms))
		for _, t := range terms[:k] {
			if head := r | t>>lowBits<<rowBits; head != last {
				last = head
				binary.LittleEndian.PutUint32(c[n:], head)
				n += unitBytes
			}
			binary.LittleEndian.PutUint32(c[n:], t%(1<<lowBits))
			n += unitBytes
		}
		p.last[block] = last
		p.w.put(block, c[:n])
		terms = terms[k:]
	}
	return nil
}

var errSpill = errors.New("read spilt rows: they are damaged")

// unit reads the first one of a piece.
func unit(piece []byte) uint32 {
	return uint32(piece[0]) | uint32(piece[1])<<8 | uint32(piece[2])<<16
}

// countPairs adds up how many pairs of a piece each term has.
func countPairs(counts []uint32, piece []byte) error {
	if len(piece)%unitBytes != 0 || len(piece) > 0 && unit(piece)&unitHead == 0 {
		return errSpill
	}
	high := uint32(0)
	for ; len(piece) >= unitBytes; piece = piece[unitBytes:] {
		u := unit(piece)
		if u&unitHead != 0 {
			high = u &^ unitHead >> rowBits << lowBits
			continue
		}
		t := high | u
		if t >= uint32(len(counts)) {
			return errSpill
		}
		counts[t]++
	}
	return nil
}

// placePairs puts the rows of a piece, which was counted, where the next row
// of each term goes.
func placePairs(rows []uint16, next []uint32, piece []byte) error {
	high, row := uint32(0), uint16(0)
	for ; len(piece) >= unitBytes; piece = piece[unitBytes:] {
		u := unit(piece)
		if u&unitHead != 0 {
			high, row = u&^unitHead>>rowBits<<lowBits, uint16(u)
			continue
		}
		t := high | u
		if t >= uint32(len(next)) {
			return errSpill
		}
		at := next[t]
		if at >= uint32(len(rows)) {
			return errSpill
		}
		rows[at] = row
		next[t] = at + 1
	}
	return nil
}

// Pairs of final terms come in order of term, then row, and are records of
// term u32 and row within the block u16.
const finalPair = 6

// addFinal notes that a row has a term, by its final number.
func (p *pairWriter) addFinal(row, term uint32) error {
	block := int(row / storage.BlockRows)
	c, _, err := p.w.room(block, finalPair)
	if err != nil {
		return err
	}
	c = binary.LittleEndian.AppendUint32(c, term)
	p.w.put(block, binary.LittleEndian.AppendUint16(c, uint16(row)))
	return nil
}
