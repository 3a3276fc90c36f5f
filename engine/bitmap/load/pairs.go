package load

import (
	"encoding/binary"
	"errors"
	"math"

	"throng/engine/bitmap/storage"
)

// Pairs of row and term are kept block by block. In a chunk a pair is a
// uvarint of twice the temporary number of the term, plus one where the row is
// that of the pair before it; else the row within the block follows (u16).
// Exports are grouped by person, so most pairs take two or three bytes. The
// first pair of a chunk always holds its row.

const maxPair = binary.MaxVarintLen64 + 2

// pairWriter is one goroutine's way to the pairs.
type pairWriter struct {
	w    *writer
	d    *dictionary
	last []uint16 // row of the last pair of each open chunk
}

func newPairWriter(s *store, d *dictionary) *pairWriter {
	return &pairWriter{w: s.writer(), d: d, last: make([]uint16, len(s.parts))}
}

// add notes that a row has a term.
func (p *pairWriter) add(row, term uint32) error {
	p.d.use(term)
	block, r := int(row/storage.BlockRows), uint16(row)
	c, fresh, err := p.w.room(block, maxPair)
	if err != nil {
		return err
	}
	v := uint64(term) << 1
	if !fresh && p.last[block] == r {
		p.w.put(block, binary.AppendUvarint(c, v|1))
		return nil
	}
	p.last[block] = r
	c = binary.AppendUvarint(c, v)
	p.w.put(block, append(c, byte(r), byte(r>>8)))
	return nil
}

var errSpill = errors.New("read spilt rows: they are damaged")

// appendPairs appends the pairs of a piece: the term shifted by 16 bits, and
// the row.
func appendPairs(dst []uint64, piece []byte) ([]uint64, error) {
	var row uint64
	for len(piece) > 0 {
		v, n := uint64(piece[0]), 1
		if v >= 0x80 {
			if v, n = binary.Uvarint(piece); n <= 0 {
				return dst, errSpill
			}
		}
		piece = piece[n:]
		if v&1 == 0 {
			if len(piece) < 2 {
				return dst, errSpill
			}
			row = uint64(piece[0]) | uint64(piece[1])<<8
			piece = piece[2:]
		}
		if v>>1 > math.MaxUint32 {
			return dst, errSpill
		}
		dst = append(dst, v>>1<<16|row)
	}
	return dst, nil
}
