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
//	entries  u64 each, in order of the hash: [next 32 bits of the hash | row]
//	buckets  u32 each, 2^bits + 1 of them: the first entry of the bucket
//
// where a bucket is the keys whose hashes begin with the same bits, two to four
// of them on average. meta: entries u64, bits u32, zero u32.
const (
	lookupMeta    = 16
	lookupPerSlot = 4
	maxLookupBits = 32
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
	bits    uint
	entries []uint64
	buckets []uint32
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
	n, b := le.Uint64(l.meta), uint(le.Uint32(l.meta[8:]))
	if b > maxLookupBits || n > math.MaxUint32 ||
		uint64(len(l.payload)) != 8*n+4*(1<<b+1) {
		return l.corrupt("directory does not fit the file")
	}
	l.bits = b
	l.entries = view[uint64](l.payload[:8*n])
	l.buckets = view[uint32](l.payload[8*n:])
	return nil
}

// Keys is the number of pairs of key and row.
func (l *Lookup) Keys() uint64 { return uint64(len(l.entries)) }

// Candidates passes the rows that may own a key with this hash to yield until
// it returns false. The caller compares the key itself; the rows that own one
// and the same key come in ascending order.
// An error wraps [ErrCorrupt].
func (l *Lookup) Candidates(hash uint64, yield func(row uint32) bool) error {
	touched := l.touched()
	s, err := l.span(hash, &touched)
	if err != nil {
		return err
	}
	entries, tag := l.entries[s.from:s.to], l.tag(hash)
	if len(entries) > crowd { // they are in order, but where somebody flipped bits
		i, _ := slices.BinarySearchFunc(entries, tag, func(e uint64, tag uint32) int { return cmp.Compare(uint32(e>>32), tag) })
		entries = entries[i:]
		n, _ := slices.BinarySearchFunc(entries, tag, func(e uint64, tag uint32) int {
			if uint32(e>>32) > tag {
				return 1
			}
			return -1
		})
		entries = entries[:n]
	}
	for _, e := range entries {
		if uint32(e>>32) == tag && !yield(uint32(e)) {
			return nil
		}
	}
	return nil
}

// span is the entries of a bucket.
type span struct{ from, to uint32 }

// tag is what the tags of entries with this hash are.
func (l *Lookup) tag(hash uint64) uint32 { return uint32(hash << l.bits >> 32) }

// touched remembers which chunks were found to be verified last, so that those
// who look at buckets in order ask once a chunk.
type touched struct{ buckets, entries uint64 }

func (l *Lookup) touched() touched { return touched{math.MaxUint64, math.MaxUint64} }

// span verifies and gives the entries of a hash's bucket.
func (l *Lookup) span(hash uint64, t *touched) (s span, err error) {
	i := hash >> (64 - l.bits) // a shift by 64 gives 0
	s = span{l.buckets[i], l.buckets[i+1]}
	return s, l.verify(&s, i, t)
}

// verify verifies the entries of bucket i, and the numbers that tell which
// they are.
func (l *Lookup) verify(s *span, i uint64, t *touched) error {
	at := uint64(len(l.entries))*8 + 4*i
	if c := at >> chunkShift; c != t.buckets || (at+7)>>chunkShift != c {
		if err := l.check(at, 8); err != nil {
			return err
		}
		t.buckets = c
	}
	if s.from > s.to || uint64(s.to) > uint64(len(l.entries)) {
		return l.corrupt("buckets are out of order")
	}
	at, end := 8*uint64(s.from), 8*uint64(s.to)
	if c := at >> chunkShift; s.from < s.to && (c != t.entries || (end-1)>>chunkShift != c) {
		if err := l.check(at, end-at); err != nil {
			return err
		}
		t.entries = c
	}
	return nil
}

// LookupWriter writes a lookup. It is for one goroutine.
type LookupWriter struct {
	w       *fileWriter
	name    string
	bits    uint
	buckets *tail
	begun   uint64 // buckets whose first entry is known
	n, want uint64
	last    uint64 // hash
	row     uint32
}

// NewLookupWriter creates the file of a lookup of at most n pairs under dir.
func NewLookupWriter(dir, name string, n uint64) (*LookupWriter, error) {
	if n > math.MaxUint32 {
		return nil, errors.New("write lookup: more than 2^32 keys of one type")
	}
	w, err := newFileWriter(join(dir, name), kindLookup)
	if err != nil {
		return nil, err
	}
	return &LookupWriter{w: w, name: name, bits: LookupBits(n), buckets: newTail(w, "buckets"), want: n}, nil
}

// LookupBits is how many leading bits of a hash choose the bucket, in a lookup
// of n pairs.
func LookupBits(n uint64) uint {
	return uint(min(bits.Len64(n/lookupPerSlot), maxLookupBits))
}

// Add writes a pair. Pairs come in ascending order of hash, then row.
func (lw *LookupWriter) Add(hash uint64, row uint32) error {
	if lw.n > 0 && (hash < lw.last || hash == lw.last && row < lw.row) {
		return errors.New("write lookup: hashes are out of order")
	}
	if lw.n == lw.want {
		return errors.New("write lookup: more keys than announced")
	}
	lw.begin(hash>>(64-lw.bits) + 1)
	lw.last, lw.row = hash, row
	lw.n++
	e := [1]uint64{uint64(uint32(hash<<lw.bits>>32))<<32 | uint64(row)}
	lw.w.write(bytesOf(e[:]))
	return lw.w.err
}

// begin says that the next entry is the first of all buckets below n that have
// none yet.
func (lw *LookupWriter) begin(n uint64) {
	for ; lw.begun < n; lw.begun++ {
		lw.buckets.add32(uint32(lw.n))
	}
}

// Close ends the lookup and makes it durable.
func (lw *LookupWriter) Close() (FileSum, error) {
	lw.begin(1<<lw.bits + 1)
	lw.buckets.end()
	le := binary.LittleEndian
	meta := le.AppendUint64(nil, lw.n)
	meta = le.AppendUint32(meta, uint32(lw.bits))
	return lw.w.finish(lw.name, le.AppendUint32(meta, 0))
}

// Abort closes the file without ending it. After Close it does nothing.
func (lw *LookupWriter) Abort() {
	lw.buckets.close()
	lw.w.abort()
}
