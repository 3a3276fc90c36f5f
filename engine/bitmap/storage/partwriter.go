package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"throng/engine/bitmap/format"
)

// PartWriter writes a part, term by term. It is for one goroutine.
type PartWriter struct {
	w       *format.Writer
	first   uint32
	rows    int
	terms   []uint32
	people  []uint32 // of each of the terms
	entries []uint32
	merge   *merger
}

// maxPostings is what the postings of a term take at most: all blocks bitmaps.
const maxPostings = 6 + 4*PartBlocks + 8 + PartBlocks*BlockWords*8

// postingsRoom is the memory that postings are made in: short arrays are
// copied as shortArray rows, whatever their length.
const postingsRoom = (maxPostings + 2*shortArray + 7) &^ 7

// NewPartWriter creates the file of a part under dir. first is the number of
// its first row, a multiple of PartRows; rows how many it has.
func NewPartWriter(dir, name string, first uint32, rows int) (*PartWriter, error) {
	w, err := format.Create(dir, name, format.KindPart)
	if err != nil {
		return nil, err
	}
	return &PartWriter{w: w, first: first, rows: rows}, nil
}

// PartName is the name of the file of a part within a generation's folder.
func PartName(part int) string { return fmt.Sprintf("parts/%05d.part", part) }

// Terms lists the terms written so far, and how many rows each of them has.
// The slices belong to the writer.
func (pw *PartWriter) Terms() (terms, people []uint32) { return pw.terms, pw.people }

var (
	errTermOrder = errors.New("write part: terms are out of order")
	errPartSize  = errors.New("write part: postings of one part exceed 4 GiB")
)

// Add writes the rows of a term: for each block the numbers within the block,
// ascending and distinct. Terms come in ascending order; one without rows is
// left out.
func (pw *PartWriter) Add(term uint32, lists *[PartBlocks][]uint16) error {
	if n := len(pw.terms); n > 0 && pw.terms[n-1] >= term {
		return errTermOrder
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
	entry := entrySingle | uint32(last)<<16
	if total == 1 {
		entry |= uint32(lists[last][0])
	} else {
		var err error
		if entry, err = pw.postings(); err != nil {
			return err
		}
		entry |= pw.lists(mask, lists)
	}
	pw.note(term, total, entry)
	return pw.w.Err()
}

func (pw *PartWriter) note(term uint32, people int, entry uint32) {
	pw.terms = append(pw.terms, term)
	pw.people = append(pw.people, uint32(people))
	pw.entries = append(pw.entries, entry)
}

// postings begins the next postings and gives their entry.
func (pw *PartWriter) postings() (entry uint32, err error) {
	pw.w.Align(entryUnit)
	if pw.w.Len() > maxPartOffset {
		return 0, errPartSize
	}
	return uint32(pw.w.Len() / entryUnit), nil
}

// lists writes postings, by whatever containers are right for them, and tells
// what their entry has to say of that.
func (pw *PartWriter) lists(mask uint16, lists *[PartBlocks][]uint16) (flags uint32) {
	bitmaps, runs, counts := choose(lists)
	out := pw.w.Reserve(postingsRoom)
	if bitmaps|runs == 0 {
		pw.w.Commit(putArrays(out, mask, lists))
		return 0
	}
	pw.w.Commit(putMixed(out, pw.w.Len(), mask, bitmaps, runs, &counts, lists))
	return entryMixed
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
		if len(l) > 2 && mayBeRuns(l[0], l[len(l)-1], uint32(len(l))) || len(l) > ArrayMax {
			if counts[b] = countRuns(l); counts[b] <= most {
				runs |= 1 << b
				bitmaps &^= 1 << b
			}
		}
	}
	return bitmaps, runs, counts
}

// mayBeRuns tells whether so many rows from first to last are so near each
// other that runs are looked for.
func mayBeRuns(first, last uint16, n uint32) bool { return uint32(last-first) < 8*n }

func countRuns(l []uint16) int {
	n := 0
	last := l[0]
	for _, r := range l[1:] { // without a branch: in order or not is as good as random
		n += int((uint32(r-last-1) | -uint32(r-last-1)) >> 31)
		last = r
	}
	return n + 1
}

func putArrays(out []byte, mask uint16, lists *[PartBlocks][]uint16) int {
	n := 2
	binary.LittleEndian.PutUint16(out, mask)
	n += putCards(out[n:], mask, lists)
	for m := mask; m != 0; m &= m - 1 {
		n += copy(out[n:], format.Bytes(lists[bits.TrailingZeros16(m)]))
	}
	return n
}

func putCards(out []byte, mask uint16, lists *[PartBlocks][]uint16) int {
	n := 0
	for m := mask; m != 0; m &= m - 1 {
		binary.LittleEndian.PutUint16(out[n:], uint16(len(lists[bits.TrailingZeros16(m)])-1))
		n += 2
	}
	return n
}

// putMixed makes postings that begin at an offset of the file.
func putMixed(out []byte, offset uint64, mask, bitmaps, runs uint16, counts *[PartBlocks]int, lists *[PartBlocks][]uint16) int {
	le := binary.LittleEndian
	le.PutUint16(out, mask)
	le.PutUint16(out[2:], bitmaps)
	le.PutUint16(out[4:], runs)
	n := 6
	n += putCards(out[n:], mask, lists)
	for m := runs; m != 0; m &= m - 1 {
		le.PutUint16(out[n:], uint16(counts[bits.TrailingZeros16(m)]-1))
		n += 2
	}
	if bitmaps != 0 {
		end := int(format.Pad8(offset+uint64(n)) - offset)
		clear(out[n:end])
		n = end
	}
	for m := bitmaps; m != 0; m &= m - 1 {
		bitmap := format.View[uint64](out[n : n+8*BlockWords])
		clear(bitmap)
		setBits((*[BlockWords]uint64)(bitmap), lists[bits.TrailingZeros16(m)])
		n += 8 * BlockWords
	}
	for m := mask &^ (bitmaps | runs); m != 0; m &= m - 1 {
		n += copy(out[n:], format.Bytes(lists[bits.TrailingZeros16(m)]))
	}
	for m := runs; m != 0; m &= m - 1 {
		b := bits.TrailingZeros16(m)
		n += putRuns(format.View[Run](out[n:n+4*counts[b]]), lists[b])
	}
	return n
}

// setBits sets the bits of rows, which ascend. Neighbours mostly fall into one
// word, where each would wait for the one before; so four stretches of the
// rows are taken by turns.
func setBits(bitmap *[BlockWords]uint64, rows []uint16) {
	k := len(rows) / 4
	a, b, c, d := rows[:k], rows[k:2*k], rows[2*k:3*k], rows[3*k:4*k]
	for i, r := range a {
		bitmap[r>>6] |= 1 << (r & 63)
		r = b[i]
		bitmap[r>>6] |= 1 << (r & 63)
		r = c[i]
		bitmap[r>>6] |= 1 << (r & 63)
		r = d[i]
		bitmap[r>>6] |= 1 << (r & 63)
	}
	for _, r := range rows[4*k:] {
		bitmap[r>>6] |= 1 << (r & 63)
	}
}

// putRuns makes runs, as many as dst holds, and tells how many bytes they take.
func putRuns(dst []Run, l []uint16) int {
	n := -1
	for i := range l {
		if i == 0 || l[i] != l[i-1]+1 {
			n++
			dst[n].Start = l[i]
		}
		dst[n].Last = l[i]
	}
	return 4 * (n + 1)
}

// Close ends the part and makes it durable.
func (pw *PartWriter) Close() (FileSum, error) {
	pw.w.Align(entryUnit)
	off := pw.w.Len()
	pw.w.Append(format.Bytes(pw.terms))
	pw.w.Append(format.Bytes(pw.entries))
	le := binary.LittleEndian
	meta := le.AppendUint32(nil, pw.first)
	meta = le.AppendUint32(meta, uint32(pw.rows))
	meta = le.AppendUint32(meta, uint32(len(pw.terms)))
	meta = le.AppendUint32(meta, 0)
	meta = le.AppendUint64(meta, off)
	return pw.w.Finish(meta)
}

// Abort closes the file without ending it. After Close it does nothing.
func (pw *PartWriter) Abort() { pw.w.Abort() }
