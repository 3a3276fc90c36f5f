package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// PartWriter writes a part, term by term. It is for one goroutine.
type PartWriter struct {
	w       *fileWriter
	name    string
	first   uint32
	rows    int
	terms   []uint32
	entries []uint32
	head    []byte
	bitmap  [BlockWords]uint64
	runs    []Run
}

// NewPartWriter creates the file of a part under dir. first is the number of
// its first row, a multiple of PartRows; rows how many it has.
func NewPartWriter(dir, name string, first uint32, rows int) (*PartWriter, error) {
	w, err := newFileWriter(join(dir, name), kindPart)
	if err != nil {
		return nil, err
	}
	return &PartWriter{w: w, name: name, first: first, rows: rows}, nil
}

// PartName is the name of the file of a part within a generation's folder.
func PartName(part int) string { return fmt.Sprintf("parts/%05d.part", part) }

// Add writes the rows of a term: for each block the numbers within the block,
// ascending and distinct. Terms come in ascending order; one without rows is
// left out.
func (pw *PartWriter) Add(term uint32, lists *[PartBlocks][]uint16) error {
	if n := len(pw.terms); n > 0 && pw.terms[n-1] >= term {
		return errors.New("write part: terms are out of order")
	}
	var mask uint16
	total, last := 0, 0
	for b, l := range lists {
		if len(l) > 0 {
			mask |= 1 << b
			total += len(l)
			last = b
		}
	}
	if total == 0 {
		return nil
	}
	pw.terms = append(pw.terms, term)
	if total == 1 {
		pw.entries = append(pw.entries, entrySingle|uint32(last)<<16|uint32(lists[last][0]))
		return nil
	}
	pw.w.align(entryUnit)
	if pw.w.n > maxPartOffset {
		return errors.New("write part: postings of one part exceed 4 GiB")
	}
	entry := uint32(pw.w.n / entryUnit)
	bitmaps, runs, counts := choose(lists)
	if bitmaps|runs == 0 {
		pw.arrays(mask, lists)
	} else {
		entry |= entryMixed
		pw.mixed(mask, bitmaps, runs, counts, lists)
	}
	pw.entries = append(pw.entries, entry)
	return pw.w.err
}

// choose decides how each block is stored: as an array or, above ArrayMax
// rows, as a bitmap, unless runs take fewer bytes than the array would and at
// most half of the bitmap's.
func choose(lists *[PartBlocks][]uint16) (bitmaps, runs uint16, counts [PartBlocks]int) {
	for b, l := range lists {
		most := len(l)/2 - 1 + len(l)%2 // runs that are smaller than the array
		if len(l) > ArrayMax {
			most = min(most, runsMax)
			bitmaps |= 1 << b
		}
		// Lists of few runs are quickly told from others.
		if len(l) > 2 && int(l[len(l)-1]-l[0]) < len(l)*8 || len(l) > ArrayMax {
			if counts[b] = countRuns(l); counts[b] <= most {
				runs |= 1 << b
				bitmaps &^= 1 << b
			}
		}
	}
	return bitmaps, runs, counts
}

func countRuns(l []uint16) int {
	n := 0
	for i := range l {
		if i == 0 || l[i] != l[i-1]+1 {
			n++
		}
	}
	return n
}

func (pw *PartWriter) arrays(mask uint16, lists *[PartBlocks][]uint16) {
	pw.head = binary.LittleEndian.AppendUint16(pw.head[:0], mask)
	pw.cards(mask, lists)
	pw.w.write(pw.head)
	for _, l := range lists {
		pw.w.write(bytesOf(l))
	}
}

func (pw *PartWriter) cards(mask uint16, lists *[PartBlocks][]uint16) {
	for m := mask; m != 0; m &= m - 1 {
		l := lists[bits.TrailingZeros16(m)]
		pw.head = binary.LittleEndian.AppendUint16(pw.head, uint16(len(l)-1))
	}
}

func (pw *PartWriter) mixed(mask, bitmaps, runs uint16, counts [PartBlocks]int, lists *[PartBlocks][]uint16) {
	le := binary.LittleEndian
	pw.head = le.AppendUint16(pw.head[:0], mask)
	pw.head = le.AppendUint16(pw.head, bitmaps)
	pw.head = le.AppendUint16(pw.head, runs)
	pw.cards(mask, lists)
	for m := runs; m != 0; m &= m - 1 {
		pw.head = le.AppendUint16(pw.head, uint16(counts[bits.TrailingZeros16(m)]-1))
	}
	pw.w.write(pw.head)
	if bitmaps != 0 {
		pw.w.align(8)
	}
	for m := bitmaps; m != 0; m &= m - 1 {
		clear(pw.bitmap[:])
		for _, r := range lists[bits.TrailingZeros16(m)] {
			pw.bitmap[r>>6] |= 1 << (r & 63)
		}
		pw.w.write(bytesOf(pw.bitmap[:]))
	}
	for m := mask &^ (bitmaps | runs); m != 0; m &= m - 1 {
		pw.w.write(bytesOf(lists[bits.TrailingZeros16(m)]))
	}
	for m := runs; m != 0; m &= m - 1 {
		pw.runs = appendRuns(pw.runs[:0], lists[bits.TrailingZeros16(m)])
		pw.w.write(bytesOf(pw.runs))
	}
}

func appendRuns(dst []Run, l []uint16) []Run {
	for i := range l {
		if i == 0 || l[i] != l[i-1]+1 {
			dst = append(dst, Run{Start: l[i]})
		}
		dst[len(dst)-1].Last = l[i]
	}
	return dst
}

// Close ends the part and makes it durable.
func (pw *PartWriter) Close() (FileSum, error) {
	pw.w.align(entryUnit)
	off := pw.w.n
	pw.w.write(bytesOf(pw.terms))
	pw.w.write(bytesOf(pw.entries))
	le := binary.LittleEndian
	meta := le.AppendUint32(nil, pw.first)
	meta = le.AppendUint32(meta, uint32(pw.rows))
	meta = le.AppendUint32(meta, uint32(len(pw.terms)))
	meta = le.AppendUint32(meta, 0)
	meta = le.AppendUint64(meta, off)
	return pw.w.finish(pw.name, meta)
}

// Abort closes the file without ending it. After Close it does nothing.
func (pw *PartWriter) Abort() { pw.w.abort() }
