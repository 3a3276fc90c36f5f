package storage

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

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
	lineSlots     = 12
	lineShift     = 6 // of bytes a line
	lineFull      = lineSlots + 1
	fullSlots     = lineSlots - 2 // of a line that is too full
)

// line is where the entries of one range of hashes are.
type line struct {
	rows [lineSlots]uint32
	// tags are eight to a word, the first in the lowest bits; the upper half of
	// the last word is how many there are.
	tags [2]uint64
}

func (ln *line) number() uint32 { return uint32(ln.tags[1] >> 32) }

// slots is how many entries are in the line itself.
func (ln *line) slots() uint32 {
	if n := ln.number(); n != lineFull {
		return n
	}
	return fullSlots
}

// tag is the tag of a slot.
func (ln *line) tag(slot uint32) uint8 { return uint8(ln.tags[slot/8] >> (8 * (slot % 8))) }

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
func HashKey(k hexkey.Key) uint64 { return mix(k.Hi ^ mix(k.Lo)) }

// mix is a permutation of the words in which every bit of what goes in changes
// about half of those that come out.
func mix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}

// Lookup is a mapped lookup. It is safe for concurrent use until Close.
type Lookup struct {
	*file
	keys  uint64
	lines []line
	rest  []uint64
}

// OpenLookup maps a lookup.
func OpenLookup(path string) (*Lookup, error) {
	f, err := openFile(path, kindLookup)
	if err != nil {
		return nil, err
	}
	l := &Lookup{file: f}
	if err := l.open(); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

func (l *Lookup) open() error {
	if len(l.meta) != lookupMeta {
		return l.corrupt("directory has a wrong length")
	}
	le := binary.LittleEndian
	l.keys = le.Uint64(l.meta)
	size, lines := uint64(len(l.payload)), le.Uint64(l.meta[8:])
	if l.keys > math.MaxUint32 || (lines == 0) != (l.keys == 0) ||
		lines > size>>lineShift || size%8 != 0 || (size-lines<<lineShift)/8 > l.keys {
		return l.corrupt("directory does not fit the file")
	}
	l.lines = view[line](l.payload[:lines<<lineShift])
	l.rest = view[uint64](l.payload[lines<<lineShift:])
	return nil
}

// Keys is the number of pairs of key and row.
func (l *Lookup) Keys() uint64 { return l.keys }

// place is the line of a hash, and its tag there.
func (l *Lookup) place(hash uint64) (at uint64, tag uint32) {
	at, behind := bits.Mul64(hash, uint64(len(l.lines)))
	return at, uint32(behind >> 32)
}

// Candidates passes the rows that may own a key with this hash to yield until
// it returns false. The caller compares the key itself; the rows that own one
// and the same key come in ascending order.
// An error wraps [ErrCorrupt].
func (l *Lookup) Candidates(hash uint64, yield func(row uint32) bool) error {
	if len(l.lines) == 0 {
		return nil
	}
	at, tag := l.place(hash)
	if err := l.check(at<<lineShift, 1<<lineShift); err != nil {
		return err
	}
	ln := &l.lines[at]
	n := ln.number()
	if n > lineFull {
		return l.badLine()
	}
	for s := range ln.slots() {
		if ln.tag(s) == uint8(tag>>24) && !yield(ln.rows[s]) {
			return nil
		}
	}
	if n < lineFull {
		return nil
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

// tagSlots are the bits that [line.same] may give, by how many entries there
// are: slot s is bit s div 8 of the byte s mod 8.
var tagSlots = func() (masks [lineFull + 1]uint64) {
	for n := range masks {
		ln := line{tags: [2]uint64{1: uint64(n) << 32}}
		for s := range ln.slots() {
			masks[n] |= 1 << (s/8 + s%8*8)
		}
	}
	return masks
}()

// slot is the slot of the lowest bit of what [line.same] gives; any where there
// is none.
func slot(same uint64) int {
	bit := bits.TrailingZeros64(same) & 63
	return bit&1*8 + bit>>3
}

// same tells which of the entries of a line, whose number is n, up to lineFull,
// have a tag, in bits that slot reads. All are compared at once, eight to a word.
func (ln *line) same(tag uint32, n uint32) uint64 {
	const each, low = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f
	sought := uint64(tag>>24) * each
	a, b := ln.tags[0]^sought, ln.tags[1]^sought
	// The highest bit of each byte becomes 0 where all of them are.
	a, b = a|(a&low+low), b|(b&low+low)
	return tagSlots[n] &^ (a>>7&each | b>>6&(each<<1))
}

// restOf verifies and gives the entries of a line that are not in it.
func (l *Lookup) restOf(ln *line) ([]uint64, error) {
	first, n := uint64(ln.rows[fullSlots]), uint64(ln.rows[fullSlots+1])
	if first+n > uint64(len(l.rest)) {
		return nil, l.badLine()
	}
	rest := l.rest[first:][:n]
	return rest, l.check(uint64(len(l.lines))<<lineShift+8*first, 8*n)
}

func (l *Lookup) badLine() error { return l.corrupt("a line contradicts itself") }

// Verify reads all entries: that they are in order, and as many as there are
// keys. An error wraps [ErrCorrupt].
func (l *Lookup) Verify() error {
	if err := l.check(0, uint64(len(l.payload))); err != nil {
		return err
	}
	keys, rests := uint64(0), uint64(0)
	for i := range l.lines {
		ln := &l.lines[i]
		n := ln.number()
		if n > lineFull {
			return l.badLine()
		}
		if n == lineFull {
			rest, err := l.restOf(ln)
			if err != nil {
				return err
			}
			if uint64(ln.rows[fullSlots]) != rests || len(rest) <= lineSlots-fullSlots ||
				!slices.IsSortedFunc(rest, func(a, b uint64) int { return cmp.Compare(a>>32, b>>32) }) ||
				uint8(rest[0]>>56) < ln.tag(fullSlots-1) {
				return l.badLine()
			}
			rests += uint64(len(rest))
		}
		for s := range ln.slots() {
			if s > 0 && ln.tag(s) < ln.tag(s-1) {
				return l.badLine()
			}
		}
		keys += uint64(ln.slots())
	}
	if rests != uint64(len(l.rest)) || keys+rests != l.keys {
		return l.corrupt("has another number of entries than it says")
	}
	return nil
}

// LookupWriter writes a lookup. It is for one goroutine.
type LookupWriter struct {
	w       *fileWriter
	name    string
	lines   uint64
	at      uint64 // the line being filled; those before it are written
	line    line
	in      uint32                        // how many entries it has
	kept    [lineSlots - fullSlots]uint64 // as in rest, those that move there when it is too full
	rest    *tail
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
	w, err := newFileWriter(join(dir, name), kindLookup)
	if err != nil {
		return nil, err
	}
	lines := (n + lookupPerLine - 1) / lookupPerLine
	return &LookupWriter{w: w, name: name, lines: lines, rest: newTail(w, "rest"), want: n}, nil
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
	if lw.in < lineSlots {
		ln.rows[lw.in] = row
		ln.tags[lw.in/8] |= behind >> 56 << (8 * (lw.in % 8))
		if lw.in >= fullSlots {
			lw.kept[lw.in-fullSlots] = e
		}
		lw.in++
		return lw.w.err
	}
	if lw.in == lineSlots {
		lw.in = lineFull
		ln.rows[fullSlots], ln.rows[fullSlots+1] = uint32(lw.resting), 0
		ln.tags[fullSlots/8] &= 1<<(8*(fullSlots%8)) - 1
		for _, e := range lw.kept {
			lw.add(e)
		}
	}
	lw.add(e)
	return lw.w.err
}

// add adds an entry to the rest of the line.
func (lw *LookupWriter) add(e uint64) {
	lw.rest.add64(e)
	lw.line.rows[fullSlots+1]++
	lw.resting++
}

// begin writes all lines before the line n.
func (lw *LookupWriter) begin(n uint64) {
	for ; lw.at < n; lw.at++ {
		lw.line.tags[1] |= uint64(lw.in) << 32
		l := [1]line{lw.line}
		lw.w.write(bytesOf(l[:]))
		lw.line, lw.in = line{}, 0
	}
}

// Close ends the lookup and makes it durable.
func (lw *LookupWriter) Close() (FileSum, error) {
	lw.begin(lw.lines)
	lw.rest.end()
	meta := binary.LittleEndian.AppendUint64(nil, lw.n)
	return lw.w.finish(lw.name, binary.LittleEndian.AppendUint64(meta, lw.lines))
}

// Abort closes the file without ending it. After Close it does nothing.
func (lw *LookupWriter) Abort() {
	lw.rest.close()
	lw.w.abort()
}
