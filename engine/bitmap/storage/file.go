// Package storage is the files of a generation: how each kind of them is
// written, mapped, verified and read. It knows bytes, rows and terms; what to
// ask of them, and how to make them of tables, is for its two users, the engine
// and load. docs/format.md draws every byte.
//
// Writers make nothing visible: a generation exists when its manifest, which
// sums all files, is durable, and is used when CURRENT names it. Whoever reads
// gets views of mapped memory, which end with Files.Close, and ErrCorrupt, with
// the name of the file, where bytes are not those that were written.
package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"throng/engine"
	"throng/engine/bitmap/kernel"
)

// ErrCorrupt is what every finding of a damaged file wraps. The error names
// the file.
var ErrCorrupt = engine.ErrCorrupt

// Every index file is laid out alike, all numbers little endian:
//
//	payload            what the readers map; starts at 0
//	padding            to a multiple of 8
//	meta               small; what finds the way in the payload
//	padding            to a multiple of 8
//	sums               CRC32C of each 64 KiB chunk of the payload, u32 each
//	padding            to a multiple of 8
//	footer (48 bytes)  magic, kind, format, the three lengths, CRC32C of meta,
//	                   sums and the footer itself
//
// The footer comes last so that a file is written in one pass, and so that one
// cut short is recognised at once. Footer, meta and sums are verified when a
// file is opened, and their checksum is compared with the manifest's, so that
// no file of another generation is taken for it; a chunk of the payload is
// verified when it is first touched, which is remembered. An open therefore
// costs next to nothing whatever the file's size, and nothing is ever read
// that was not verified before.
const (
	footerSize = 48
	chunkSize  = 1 << 16
	chunkShift = 16
	format     = 3
	magic      = "THRONGIX"
)

// The kinds of file.
const (
	kindPart = iota + 1
	kindColumn
	kindLookup
	kindDict
	kindAccounts
	kindPlaces
	kindForward
	kindNames
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// file is a mapped index file. It is safe for concurrent use until Close.
type file struct {
	path    string
	data    []byte // the whole mapping
	payload []byte
	meta    []byte
	sums    []uint32
	seen    []atomic.Uint64       // a bit a chunk: verified
	handle  *os.File              // kept open to see whether the file changes
	stat    unix.Stat_t           // when it was mapped
	head    uint32                // checksum of footer, meta and sums
	found   atomic.Pointer[error] // the first damage found
}

// corrupt is a damage of the file, which is remembered.
func (f *file) corrupt(what string) error {
	err := fmt.Errorf("%w: %s: %s", ErrCorrupt, f.path, what)
	f.found.CompareAndSwap(nil, &err)
	return err
}

// damage is the first damage found; nil where none was.
func (f *file) damage() error {
	if p := f.found.Load(); p != nil {
		return *p
	}
	return nil
}

// fault makes an error of an address of the mapping that could not be read;
// nil where the address is none of it.
func (f *file) fault(addr uintptr) error {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(f.data)))
	// The last page may go on behind the file's end.
	if len(f.data) == 0 || addr < start || addr-start >= (uintptr(len(f.data))+4095)&^4095 {
		return nil
	}
	return f.corrupt("cannot be read any more")
}

func (f *file) headSum() uint32 { return f.head }

// Changed tells of a file that was written to or cut short since it was mapped:
// what was verified before may have been replaced by anything. It wraps
// [ErrCorrupt]; nil where the file is as it was. It takes one system call.
func (f *file) Changed() error {
	var now unix.Stat_t
	if err := unix.Fstat(int(f.handle.Fd()), &now); err != nil {
		return fmt.Errorf("look at %s: %w", f.path, err)
	}
	if now.Size != f.stat.Size || now.Mtim != f.stat.Mtim {
		return f.corrupt("was changed while it was open")
	}
	return nil
}

func pad8(n uint64) uint64 { return (n + 7) &^ 7 }

// openFile maps a file and verifies what leads into its payload.
func openFile(path string, kind uint32) (*file, error) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, fmt.Errorf("open %s: index files need a little-endian machine", path)
	}
	f := &file{path: path}
	if err := f.mmap(); err != nil {
		f.Close()
		return nil, err
	}
	if err := f.readFooter(kind); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *file) readFooter(kind uint32) error {
	size := uint64(len(f.data))
	if size < footerSize || size%8 != 0 {
		return f.corrupt("cut short")
	}
	foot := f.data[size-footerSize:]
	if string(foot[:8]) != magic {
		return f.corrupt("no footer")
	}
	le := binary.LittleEndian
	if le.Uint32(foot[8:]) != kind {
		return f.corrupt("another kind of file")
	}
	payload, meta, sums := le.Uint64(foot[16:]), le.Uint64(foot[24:]), le.Uint64(foot[32:])
	rest := size - footerSize
	if payload > rest || meta > rest || sums > rest ||
		pad8(payload)+pad8(meta)+pad8(sums) != rest || sums != 4*chunks(payload) {
		return f.corrupt("lengths do not add up")
	}
	sum := crc32.Checksum(f.data[pad8(payload):size-8], castagnoli)
	if sum != le.Uint32(foot[40:]) || le.Uint32(foot[44:]) != 0 {
		return f.corrupt("checksum of the directory differs")
	}
	if le.Uint32(foot[12:]) != format { // only now: a flipped bit is damage
		return otherFormat(f.path, le.Uint32(foot[12:]))
	}
	f.head = sum
	f.payload = f.data[:payload:payload]
	// A copy: it was verified as a whole, and may not change any more when the
	// file does.
	f.meta = bytes.Clone(f.data[pad8(payload):][:meta])
	f.sums = view[uint32](f.data[pad8(payload)+pad8(meta):][:sums])
	f.seen = make([]atomic.Uint64, (len(f.sums)+63)/64)
	return nil
}

// otherFormat says that a file was written by another version.
func otherFormat[N uint32 | int](path string, have N) error {
	return fmt.Errorf("%w: %s has format %d, this version reads %d; load the dataset again", engine.ErrFormat, path, have, format)
}

func (f *file) mmap() error {
	var err error
	if f.handle, err = os.Open(f.path); err != nil {
		return fmt.Errorf("open index file: %w", err)
	}
	if err := unix.Fstat(int(f.handle.Fd()), &f.stat); err != nil {
		return fmt.Errorf("open index file: %w", err)
	}
	if f.stat.Size < footerSize || f.stat.Size > math.MaxInt {
		return f.corrupt("cut short")
	}
	f.data, err = unix.Mmap(int(f.handle.Fd()), 0, int(f.stat.Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %s: %w", f.path, err)
	}
	return nil
}

// Close unmaps the file: no slice of it may be used afterwards.
func (f *file) Close() error {
	var errs []error
	if f.data != nil {
		data := f.data
		f.data, f.payload, f.meta, f.sums = nil, nil, nil, nil
		errs = append(errs, unix.Munmap(data))
	}
	if f.handle != nil {
		errs = append(errs, f.handle.Close())
		f.handle = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("unmap %s: %w", f.path, err)
	}
	return nil
}

// Size is the file's size in bytes.
func (f *file) Size() int64 { return int64(len(f.data)) }

func chunks(payload uint64) uint64 { return (payload + chunkSize - 1) >> chunkShift }

// check verifies the chunks that hold n bytes of payload from off on, those
// that were not verified before.
func (f *file) check(off, n uint64) error {
	if off > uint64(len(f.payload)) || n > uint64(len(f.payload))-off {
		return f.corrupt("points outside the file")
	}
	if n == 0 {
		return nil
	}
	for c := off >> chunkShift; c <= (off+n-1)>>chunkShift; c++ {
		if f.seen[c>>6].Load()&(1<<(c&63)) != 0 {
			continue
		}
		from := c << chunkShift
		to := min(from+chunkSize, uint64(len(f.payload)))
		if crc32.Checksum(f.payload[from:to], castagnoli) != f.sums[c] {
			return f.corrupt(fmt.Sprintf("checksum differs at byte %d", from))
		}
		f.seen[c>>6].Or(1 << (c & 63))
	}
	return nil
}

// view reads b as numbers, without copying. b must be aligned, which holds for
// every offset that is a multiple of their size; a remainder is left out.
func view[T uint16 | uint32 | uint64 | Run | kernel.Line](b []byte) []T {
	var t T
	n := len(b) / int(unsafe.Sizeof(t))
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// bytesOf is the inverse of view.
func bytesOf[T uint16 | uint32 | uint64 | Run | kernel.Line](s []T) []byte {
	var t T
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(t)))
}
