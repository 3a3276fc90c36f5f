package storage

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// A lookup finds the rows that may own a key, by the key's hash. Its payload is
//
//	entries  u64 each, in order of the hash: [next 32 bits of the hash | row]
//	buckets  u32 each, 2^bits + 1 of them: the first entry of the bucket
//
// where a bucket is the keys whose hashes begin with the same bits, eight of
// them on average. meta: entries u64, bits u32, zero u32.
const (
	lookupMeta    = 16
	lookupPerSlot = 8
	maxLookupBits = 32
)

// Hash is the hash of a key in the form that [Codec.Key] gives.
func Hash(key []byte) uint64 { return xxhash.Sum64(key) }

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

// bucket verifies and returns the entries among which hash must be, and what
// their tags must be.
func (l *Lookup) bucket(hash uint64) (entries []uint64, tag uint32, err error) {
	i := hash >> (64 - l.bits) // a shift by 64 gives 0
	base := uint64(len(l.entries)) * 8
	if err := l.check(base+4*i, 8); err != nil {
		return nil, 0, err
	}
	from, to := l.buckets[i], l.buckets[i+1]
	if from > to || uint64(to) > uint64(len(l.entries)) {
		return nil, 0, l.corrupt("buckets are out of order")
	}
	if err := l.check(8*uint64(from), 8*uint64(to-from)); err != nil {
		return nil, 0, err
	}
	return l.entries[from:to], uint32(hash << l.bits >> 32), nil
}

// Candidates passes the rows that may own a key with this hash to yield until
// it returns false. The caller compares the key itself; the rows that own one
// and the same key come in ascending order.
// An error wraps [ErrCorrupt].
func (l *Lookup) Candidates(hash uint64, yield func(row uint32) bool) error {
	entries, tag, err := l.bucket(hash)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if uint32(e>>32) == tag && !yield(uint32(e)) {
			return nil
		}
	}
	return nil
}

// Batch does what Candidates does for many hashes, and is faster than one by
// one: all buckets are looked up before any of them is read, so that the
// memory works on many at once. i is the position of the hash.
func (l *Lookup) Batch(hashes []uint64, yield func(i int, row uint32)) error {
	const group = 64
	var entries [group][]uint64
	var tags [group]uint32
	for start := 0; start < len(hashes); start += group {
		part := hashes[start:min(start+group, len(hashes))]
		var touch uint32
		for _, h := range part {
			touch |= l.buckets[h>>(64-l.bits)]
		}
		_ = touch
		for i, h := range part {
			var err error
			if entries[i], tags[i], err = l.bucket(h); err != nil {
				return err
			}
		}
		for i := range part {
			for _, e := range entries[i] {
				if uint32(e>>32) == tags[i] {
					yield(start+i, uint32(e))
				}
			}
		}
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
