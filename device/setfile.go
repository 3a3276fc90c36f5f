package device

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"throng/internal/hexkey"
)

// A set is one file, written in one pass, all numbers little endian:
//
//	keys          of each family in its order: u64 × 2 a key, ascending
//	directories   of each family in its order: u32 × (2^bits + 1), padded to 8:
//	              how many of its keys begin with less than these bits, and
//	              last how many there are
//	footer        magic, format, number of families; of each family how many
//	              keys, bits, CRC32C of keys and of directory; size of the
//	              file; CRC32C of the footer
//
// The footer comes last so that a file cut short is recognised at once.
const (
	setMagic    = "THRONGDS"
	setFormat   = 1
	keySize     = 16
	headSize    = 16
	familySize  = 24
	tailSize    = 16
	footerSize  = headSize + NumFamilies*familySize + tailSize
	setBuffer   = 128 << 10
	maxSetCount = math.MaxUint32 // directories count in u32
)

const (
	// bucketKeys is how many keys begin alike at most, if they are spread as
	// sums are: so many lie in four cache lines, and the directory takes half
	// a byte to two a key.
	bucketKeys = 16
	// maxBits bounds a directory to 16 MiB.
	maxBits = 22
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bitsFor is the size of the directory for so many keys.
func bitsFor(n uint64) (bits uint) {
	for bits < maxBits && n>>bits > bucketKeys {
		bits++
	}
	return bits
}

// dirLen is the length of a directory in bytes, padding included.
func dirLen(bits uint) uint64 { return pad8(4 * (1<<bits + 1)) }

func pad8(n uint64) uint64 { return (n + 7) &^ 7 }

// SetWriter writes a set. It is for one goroutine. Nothing that it writes is a
// set before Close has returned nil.
type SetWriter struct {
	w      *bufio.Writer
	size   uint64
	family Family
	begun  bool
	last   hexkey.Key

	families [NumFamilies]writtenFamily
	err      error
}

type writtenFamily struct {
	count   uint64
	atMost  uint64
	bits    uint
	dir     []uint32 // of full buckets; the rest is filled in at the end
	keysSum uint32
	dirSum  uint32
}

// NewSetWriter starts a set. The caller closes w, after Close.
func NewSetWriter(w io.Writer) *SetWriter {
	return &SetWriter{w: bufio.NewWriterSize(w, setBuffer)}
}

// Begin has the keys that follow belong to a family; families come in the
// order of their numbers, each once. There will be atMost keys or fewer: it
// decides how much memory is taken, and nothing of the file.
func (s *SetWriter) Begin(f Family, atMost uint64) error {
	if s.err == nil && (f >= NumFamilies || s.begun && f <= s.family) {
		s.err = errors.New("write set: families are out of order")
	}
	if s.err != nil {
		return s.err
	}
	s.family, s.begun = f, true
	s.families[f] = writtenFamily{atMost: min(atMost, maxSetCount), bits: bitsFor(atMost)}
	return nil
}

// Add adds a key, which is greater than the one before it.
func (s *SetWriter) Add(k hexkey.Key) error {
	if s.err != nil {
		return s.err
	}
	f := &s.families[s.family]
	if !s.begun || f.count > 0 && !s.last.Less(k) || f.count == f.atMost {
		s.err = errors.New("write set: keys are out of order, or too many")
		return s.err
	}
	for prefix := k.Hi >> (64 - f.bits); uint64(len(f.dir)) <= prefix; {
		f.dir = append(f.dir, uint32(f.count))
	}
	s.last = k
	f.count++
	var raw [keySize]byte
	putKey(&raw, k)
	f.keysSum = crc32.Update(f.keysSum, castagnoli, raw[:])
	s.write(raw[:])
	return s.err
}

func (s *SetWriter) write(b []byte) {
	if s.err != nil {
		return
	}
	n, err := s.w.Write(b)
	s.size += uint64(n)
	if err != nil {
		s.err = fmt.Errorf("write set: %w", err)
	}
}

// Close writes what finds the keys.
func (s *SetWriter) Close() error {
	le := binary.LittleEndian
	foot := append(make([]byte, 0, footerSize), setMagic...)
	foot = le.AppendUint32(foot, setFormat)
	foot = le.AppendUint32(foot, NumFamilies)
	for i := range s.families {
		f := &s.families[i]
		f.fold()
		s.writeDir(f)
		foot = le.AppendUint64(foot, f.count)
		foot = le.AppendUint32(foot, uint32(f.bits))
		foot = le.AppendUint32(foot, f.keysSum)
		foot = le.AppendUint32(foot, f.dirSum)
		foot = le.AppendUint32(foot, 0)
	}
	foot = le.AppendUint64(foot, s.size+footerSize)
	foot = le.AppendUint32(foot, crc32.Checksum(foot, castagnoli))
	foot = le.AppendUint32(foot, 0)
	s.write(foot)
	if s.err != nil {
		return s.err
	}
	if err := s.w.Flush(); err != nil {
		s.err = fmt.Errorf("write set: %w", err)
		return s.err
	}
	s.err = errors.New("write set: it is closed")
	return nil
}

// fold completes a directory and makes it as small as its keys ask for, so
// that a set depends on nothing but its keys.
func (f *writtenFamily) fold() {
	for uint64(len(f.dir)) <= 1<<f.bits {
		f.dir = append(f.dir, uint32(f.count))
	}
	bits := bitsFor(f.count)
	if step := 1 << (f.bits - bits); step > 1 {
		for i := range 1<<bits + 1 {
			f.dir[i] = f.dir[i*step]
		}
		f.dir = f.dir[:1<<bits+1]
	}
	f.bits = bits
}

func (s *SetWriter) writeDir(f *writtenFamily) {
	var raw [8]byte
	written := uint64(0)
	for _, n := range f.dir {
		binary.LittleEndian.PutUint32(raw[:4], n)
		f.dirSum = crc32.Update(f.dirSum, castagnoli, raw[:4])
		s.write(raw[:4])
		written += 4
	}
	zeros := [8]byte{}
	pad := zeros[:dirLen(f.bits)-written]
	f.dirSum = crc32.Update(f.dirSum, castagnoli, pad)
	s.write(pad)
	f.dir = nil
}

func putKey(raw *[keySize]byte, k hexkey.Key) {
	binary.LittleEndian.PutUint64(raw[:8], k.Hi)
	binary.LittleEndian.PutUint64(raw[8:], k.Lo)
}
