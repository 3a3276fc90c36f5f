package storage

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"throng/engine/bitmap/format"
	"throng/engine/bitmap/kernel"
	"throng/internal/hexkey"
)

// A lookup finds the rows that may own a key, by the key's hash. Its payload is
//
//	lines  64 bytes each
//	rest   u64 each: [tag | row], of lines that are too full
//
// The hash, read as a fraction from 0 up to 1, times the number of lines is the
// line; the first bits of what is behind the point are the tag, so that entries
// in order of the hash are in order of line and tag. A line is
//
//	rows   u32 each, 12 of them
//	tags   a byte each, 12 of them: the first bits of the tag
//	number u32: how many of them there are; where there are more, 13, which
//	       stands for the first 10, and the last two rows for where in rest the
//	       others begin and how many they are, with tags of 32 bits
//
// in order of the hash, then row. So whoever looks for a key waits for the
// memory once. There are six entries to a line, and one line in 110 has more than
// 12. A tag of a byte is that of another key in one of 43 cases, which costs less
// than room for longer ones. meta: entries u64, lines u64.
const (
	lookupMeta    = 16
	lookupPerLine = 6
	lineShift     = 6 // of bytes a line
)

// Hash is the hash of a key in the form that [Codec.Key] gives.
func Hash(key []byte) uint64 {
	if len(key) == 16 {
		return HashKey(KeyOf(key))
	}
	return xxhash.Sum64(key)
}

// HashKey is the Hash of the 16 bytes of a key. Keys whose last eight bytes
// are the same have different hashes, so that these and the hash say which key
// it is.
func HashKey(k hexkey.Key) uint64 { return kernel.HashKey(k) }

// Lookup is a mapped lookup. It is safe for concurrent use until Close.
type Lookup struct {
	*format.File
	keys  uint64
	lines []kernel.Line
	rest  []uint64
}

// OpenLookup maps a lookup.
func OpenLookup(path string) (*Lookup, error) {
	f, err := format.Open(path, format.KindLookup)
	if err != nil {
		return nil, err
	}
	l := &Lookup{File: f}
	if err := l.open(); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

func (l *Lookup) open() error {
	if len(l.Meta()) != lookupMeta {
		return l.Corrupt("directory has a wrong length")
	}
	le := binary.LittleEndian
	l.keys = le.Uint64(l.Meta())
	size, lines := uint64(len(l.Payload())), le.Uint64(l.Meta()[8:])
	if l.keys > math.MaxUint32 || (lines == 0) != (l.keys == 0) ||
		lines > size>>lineShift || size%8 != 0 || (size-lines<<lineShift)/8 > l.keys {
		return l.Corrupt("directory does not fit the file")
	}
	l.lines = format.View[kernel.Line](l.Payload()[:lines<<lineShift])
	l.rest = format.View[uint64](l.Payload()[lines<<lineShift:])
	return nil
}

// Keys is the number of pairs of key and row.
func (l *Lookup) Keys() uint64 { return l.keys }

// Candidates passes the rows that may own a key with this hash to yield until
// it returns false. The caller compares the key itself; the rows that own one
// and the same key come in ascending order.
// An error wraps [ErrCorrupt].
func (l *Lookup) Candidates(hash uint64, yield func(row uint32) bool) error {
	if len(l.lines) == 0 {
		return nil
	}
	at := kernel.PlaceOf(hash, len(l.lines))
	tag := at.Tag
	if err := l.checkLine(at.Line); err != nil {
		return err
	}
	ln := &l.lines[at.Line]
	if ln.Number() > kernel.LineFull {
		return l.badLine()
	}
	for s := range ln.Slots() {
		if ln.Tag(s) == uint8(tag>>24) && !yield(ln.Rows[s]) {
			return nil
		}
	}
	rest, err := l.restOf(ln)
	if err != nil {
		return err
	}
	// They are in order, but where somebody flipped bits.
	i, _ := slices.BinarySearchFunc(rest, tag, func(e uint64, tag uint32) int { return cmp.Compare(uint32(e>>32), tag) })
	for _, e := range rest[i:] {
		if uint32(e>>32) != tag || !yield(uint32(e)) {
			return nil
		}
	}
	return nil
}

// checkLine verifies the chunk that has a line.
func (l *Lookup) checkLine(line uint32) error {
	if l.Verified(line >> (format.ChunkShift - lineShift)) {
		return nil
	}
	return l.Check(uint64(line)<<lineShift, 1<<lineShift)
}

// restOf verifies and gives the entries of a line that are not in it.
func (l *Lookup) restOf(ln *kernel.Line) ([]uint64, error) {
	if ln.Number() != kernel.LineFull {
		return nil, nil
	}
	first, n := uint64(ln.Rows[kernel.FullSlots]), uint64(ln.Rows[kernel.FullSlots+1])
	if first+n > uint64(len(l.rest)) {
		return nil, l.badLine()
	}
	rest := l.rest[first:][:n]
	return rest, l.Check(uint64(len(l.lines))<<lineShift+8*first, 8*n)
}

func (l *Lookup) badLine() error { return l.Corrupt("a line contradicts itself") }

// Verify reads all entries: that they are in order, and as many as there are
// keys. An error wraps [ErrCorrupt].
func (l *Lookup) Verify() error {
	if err := l.Check(0, uint64(len(l.Payload()))); err != nil {
		return err
	}
	keys, rests := uint64(0), uint64(0)
	for i := range l.lines {
		ln := &l.lines[i]
		if ln.Number() > kernel.LineFull {
			return l.badLine()
		}
		rest, err := l.restOf(ln)
		if err != nil {
			return err
		}
		slots := ln.Slots()
		for s := uint32(1); s < slots; s++ {
			if ln.Tag(s) < ln.Tag(s-1) {
				return l.badLine()
			}
		}
		if ln.Number() == kernel.LineFull && (uint64(ln.Rows[kernel.FullSlots]) != rests ||
			len(rest) <= kernel.LineSlots-kernel.FullSlots || uint8(rest[0]>>56) < ln.Tag(slots-1) ||
			!slices.IsSortedFunc(rest, func(a, b uint64) int { return cmp.Compare(a>>32, b>>32) })) {
			return l.badLine()
		}
		keys, rests = keys+uint64(slots), rests+uint64(len(rest))
	}
	if rests != uint64(len(l.rest)) || keys+rests != l.keys {
		return l.Corrupt("has another number of entries than it says")
	}
	return nil
}

// LookupWriter writes a lookup. It is for one goroutine.
type LookupWriter struct {
	w       *format.Writer
	lines   uint64
	at      uint64 // the line being filled; those before it are written
	line    kernel.Line
	in      uint32                                      // how many entries it has
	kept    [kernel.LineSlots - kernel.FullSlots]uint64 // as in rest, those that move there when it is too full
	rest    *format.Tail
	resting uint64 // entries of rest
	n, want uint64
	last    uint64 // hash
	row     uint32
}

// NewLookupWriter creates the file of a lookup of n pairs under dir.
func NewLookupWriter(dir, name string, n uint64) (*LookupWriter, error) {
	if n > math.MaxUint32 {
		return nil, errors.New("write lookup: more than 2^32 keys of one type")
	}
	w, err := format.Create(dir, name, format.KindLookup)
	if err != nil {
		return nil, err
	}
	lines := (n + lookupPerLine - 1) / lookupPerLine
	return &LookupWriter{w: w, lines: lines, rest: format.NewTail(w, "rest"), want: n}, nil
}

// Add writes a pair. Pairs come in ascending order of hash, then row.
func (lw *LookupWriter) Add(hash uint64, row uint32) error {
	if lw.n > 0 && (hash < lw.last || hash == lw.last && row < lw.row) {
		return errors.New("write lookup: hashes are out of order")
	}
	if lw.n == lw.want {
		return errors.New("write lookup: more keys than announced")
	}
	at, behind := bits.Mul64(hash, lw.lines)
	lw.begin(at)
	lw.last, lw.row = hash, row
	lw.n++
	ln, e := &lw.line, behind>>32<<32|uint64(row)
	if lw.in < kernel.LineSlots {
		ln.Rows[lw.in] = row
		ln.Tags[lw.in/8] |= behind >> 56 << (8 * (lw.in % 8))
		if lw.in >= kernel.FullSlots {
			lw.kept[lw.in-kernel.FullSlots] = e
		}
		lw.in++
		return lw.w.Err()
	}
	if lw.in == kernel.LineSlots {
		lw.in = kernel.LineFull
		ln.Rows[kernel.FullSlots], ln.Rows[kernel.FullSlots+1] = uint32(lw.resting), 0
		ln.Tags[kernel.FullSlots/8] &= 1<<(8*(kernel.FullSlots%8)) - 1
		for _, e := range lw.kept {
			lw.add(e)
		}
	}
	lw.add(e)
	return lw.w.Err()
}

// add adds an entry to the rest of the line.
func (lw *LookupWriter) add(e uint64) {
	lw.rest.Add64(e)
	lw.line.Rows[kernel.FullSlots+1]++
	lw.resting++
}

// begin writes all lines before the line n.
func (lw *LookupWriter) begin(n uint64) {
	for ; lw.at < n; lw.at++ {
		lw.line.Tags[1] |= uint64(lw.in) << 32
		l := [1]kernel.Line{lw.line}
		lw.w.Append(format.Bytes(l[:]))
		lw.line, lw.in = kernel.Line{}, 0
	}
}

// Close ends the lookup and makes it durable.
func (lw *LookupWriter) Close() (FileSum, error) {
	lw.begin(lw.lines)
	lw.rest.End()
	meta := binary.LittleEndian.AppendUint64(nil, lw.n)
	return lw.w.Finish(binary.LittleEndian.AppendUint64(meta, lw.lines))
}

// Abort closes the file without ending it. After Close it does nothing.
func (lw *LookupWriter) Abort() {
	lw.rest.Close()
	lw.w.Abort()
}
