package device

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"

	"throng/internal/hexkey"
)

var (
	// ErrCorrupt is what every finding of a damaged set wraps. The error names
	// the file and what of it does not hold.
	ErrCorrupt = errors.New("set of devices is damaged")
	// ErrFormat says that another version has written a set.
	ErrFormat = errors.New("set of devices was written by another version")
	// ErrClosed says that a set was closed before it was asked.
	ErrClosed = errors.New("set of devices is closed")
)

// Set is distinct keys by family, in a file that is mapped and never changed.
// It is safe for concurrent use until Close.
type Set struct {
	name     string
	data     []byte
	mapped   bool
	families [NumFamilies]setFamily
}

type setFamily struct {
	count uint64
	shift uint
	keys  []byte
	dir   []byte
}

// OpenSet maps a set and verifies all of it, which reads it once. A file that
// is damaged or cut short is refused by an error that wraps ErrCorrupt, one of
// another version by ErrFormat. The file may be removed while it is open, and
// must not be changed.
func OpenSet(path string) (*Set, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open set: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("open set: %w", err)
	}
	s := &Set{name: path, mapped: true}
	if info.Size() < footerSize || info.Size() > math.MaxInt {
		return nil, s.corrupt("it is cut short")
	}
	if s.data, err = unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("map set: %w", err)
	}
	if err := s.guard(s.verify); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close unmaps the set. It must not be in use.
func (s *Set) Close() error {
	data := s.data
	s.data, s.families = nil, [NumFamilies]setFamily{}
	if data == nil || !s.mapped {
		return nil
	}
	if err := unix.Munmap(data); err != nil {
		return fmt.Errorf("unmap set: %w", err)
	}
	return nil
}

// Size is the size of the file in bytes.
func (s *Set) Size() int64 { return int64(len(s.data)) }

// Len is how many devices of a family there are.
func (s *Set) Len(f Family) uint64 {
	if f >= NumFamilies {
		return 0
	}
	return s.families[f].count
}

func (s *Set) corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrCorrupt, s.name, fmt.Sprintf(format, args...))
}

// verify finds the families in the file, and whether all of it is as it was
// written.
func (s *Set) verify() error {
	le := binary.LittleEndian
	if len(s.data) < footerSize {
		return s.corrupt("it is cut short")
	}
	body, foot := s.data[:len(s.data)-footerSize], s.data[len(s.data)-footerSize:]
	if string(foot[:8]) != setMagic {
		return s.corrupt("it has no footer, so it is cut short or no set at all")
	}
	tail := foot[footerSize-tailSize:]
	if le.Uint32(tail[8:]) != crc32.Checksum(foot[:footerSize-8], castagnoli) || le.Uint32(tail[12:]) != 0 {
		return s.corrupt("the checksum of the footer differs")
	}
	if format, n := le.Uint32(foot[8:]), le.Uint32(foot[12:]); format != setFormat || n != NumFamilies {
		return fmt.Errorf("%w: %s has format %d, this version reads %d", ErrFormat, s.name, format, setFormat)
	}
	if le.Uint64(tail) != uint64(len(s.data)) {
		return s.corrupt("it has %d bytes, want %d", len(s.data), le.Uint64(tail))
	}
	for i := range s.families {
		f, n := &s.families[i], le.Uint64(foot[headSize+i*familySize:])
		if n > uint64(len(body))/keySize {
			return s.corrupt("the %s ids are cut short", Family(i))
		}
		f.count = n
		f.keys, body = body[:n*keySize], body[n*keySize:]
	}
	for i := range s.families {
		f, at := &s.families[i], foot[headSize+i*familySize:]
		bits := uint(le.Uint32(at[8:]))
		if bits != bitsFor(f.count) || dirLen(bits) > uint64(len(body)) {
			return s.corrupt("the directory of %s ids does not fit", Family(i))
		}
		f.shift = 64 - bits
		f.dir, body = body[:dirLen(bits)], body[dirLen(bits):]
		if err := s.verifyFamily(Family(i), le.Uint32(at[12:]), le.Uint32(at[16:])); err != nil {
			return err
		}
	}
	if len(body) != 0 {
		return s.corrupt("it has %d bytes too many", len(body))
	}
	return nil
}

func (s *Set) verifyFamily(f Family, keysSum, dirSum uint32) error {
	x := &s.families[f]
	switch {
	case crc32.Checksum(x.keys, castagnoli) != keysSum:
		return s.corrupt("the checksum of the %s ids differs", f)
	case crc32.Checksum(x.dir, castagnoli) != dirSum:
		return s.corrupt("the checksum of the directory of %s ids differs", f)
	}
	// Checksums tell what happened to a file. That lookups stay within it is
	// seen to all the same, whoever wrote it.
	last := uint64(0)
	for p := range 1<<(64-x.shift) + 1 {
		n := x.start(uint64(p))
		if n < last || n > x.count {
			return s.corrupt("the directory of %s ids is out of order", f)
		}
		last = n
	}
	if last != x.count {
		return s.corrupt("the directory of %s ids is out of order", f)
	}
	return nil
}

// start is how many keys begin with less than a prefix.
func (x *setFamily) start(prefix uint64) uint64 {
	return uint64(binary.LittleEndian.Uint32(x.dir[4*prefix:]))
}

func (x *setFamily) key(i uint64) hexkey.Key {
	raw := x.keys[i*keySize : i*keySize+keySize]
	return hexkey.Key{Hi: binary.LittleEndian.Uint64(raw), Lo: binary.LittleEndian.Uint64(raw[8:])}
}

// fewKeys are looked at one after the other.
const fewKeys = 8

// Contains tells whether a device is in the set. It takes no memory. Where the
// file cannot be read any more, the error wraps ErrCorrupt.
func (s *Set) Contains(f Family, k hexkey.Key) (found bool, err error) {
	if s.data == nil {
		return false, ErrClosed
	}
	if f >= NumFamilies || s.families[f].count == 0 {
		return false, nil
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer s.recover(&err)
	x := &s.families[f]
	prefix := k.Hi >> x.shift
	return x.has(k, x.start(prefix), x.start(prefix+1)), nil
}

// has tells whether a key is among those from one place to before another.
func (x *setFamily) has(k hexkey.Key, from, to uint64) bool {
	for to-from > fewKeys {
		if mid := (from + to) / 2; x.key(mid).Less(k) {
			from = mid + 1
		} else {
			to = mid + 1
		}
	}
	for ; from < to; from++ {
		if x.key(from) == k {
			return true
		}
	}
	return false
}

// Each passes the keys of a family in order to yield, until it returns false.
func (s *Set) Each(f Family, yield func(hexkey.Key) bool) error {
	if s.data == nil {
		return ErrClosed
	}
	if f >= NumFamilies {
		return nil
	}
	return s.guard(func() error {
		x := &s.families[f]
		for i := range x.count {
			if !yield(x.key(i)) {
				break
			}
		}
		return nil
	})
}

// guard makes an error of what would end the process otherwise: a page of the
// file that cannot be read.
func (s *Set) guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer s.recover(&err)
	return fn()
}

func (s *Set) recover(err *error) {
	p := recover()
	if p == nil {
		return
	}
	fault, ok := p.(interface{ Addr() uintptr })
	start := uintptr(unsafe.Pointer(unsafe.SliceData(s.data)))
	// The last page may go on behind the file's end.
	if !ok || fault.Addr() < start || fault.Addr()-start >= uintptr(pad(len(s.data), os.Getpagesize())) {
		panic(p)
	}
	*err = s.corrupt("it cannot be read any more")
}

func pad(n, to int) int { return (n + to - 1) / to * to }
