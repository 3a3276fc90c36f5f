package kernel

import "encoding/binary"

// Pairs of a row of a block and a term are kept as units of three bytes:
//
//	head  1 in the highest bit, 7 high bits of terms, row u16
//	term  0 in the highest bit, 23 low bits
//
// A head holds until the next one; no two follow each other, and the first
// unit is one. So terms of one row take three bytes each, and where the next
// unit is does not depend on what this one says.
const (
	unitBytes = 3
	unitHead  = 1 << 23
	headBits  = 16
	termBits  = 23
	highTerms = 1<<7 - 1
)

// pairGroup is how many units are taken apart at once.
const pairGroup = 16

// PairSlack is how many pairs more than there are there must be memory for
// behind the slices that [SplitPairs] fills.
const PairSlack = pairGroup

// SplitPairs takes units apart that follow those of a head, 0 where there are
// none: terms[i] is a term that row rows[i] has. It returns how many there are,
// and the last head. Both slices must have room for as many pairs as there are
// units, and PairSlack more.
func SplitPairs(terms []uint32, rows []uint16, units []byte, head uint32) (n int, last uint32) {
	return useListers.split(terms, rows, units, head)
}

func splitPairs(terms []uint32, rows []uint16, units []byte, head uint32) (n int, last uint32) {
	for i := 0; i+unitBytes <= len(units); i += unitBytes {
		u := uint32(units[i+2])<<16 | uint32(binary.LittleEndian.Uint16(units[i:]))
		if u&unitHead != 0 {
			head = u
			continue
		}
		terms[n], rows[n] = head>>headBits&highTerms<<termBits|u, uint16(head)
		n++
	}
	return n, head
}
