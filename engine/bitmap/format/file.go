// Package format is what all index files have in common: how the payload of a
// file is framed by checksums, how it is mapped and verified as it is touched,
// and how rows are cut into blocks and parts. What a payload means is for the
// packages that read it, storage and forward. docs/format.md draws every byte.
//
// A file is written in one pass and is durable when [Writer.Finish] returns. A
// mapped one gives views of its memory, which end with [File.Close]. Where bytes
// are not those that were written, errors wrap [engine.ErrCorrupt] and name the
// file.
package format

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
)

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
	// FooterSize is in bytes.
	FooterSize = 48
	// ChunkSize is how many bytes of payload have a checksum of their own.
	ChunkSize = 1 << ChunkShift
	// ChunkShift is its logarithm.
	ChunkShift = 16
	// Version is the format of index files and of the folder that holds them.
	Version = 3

	magic = "THRONGIX"
)

// The kinds of file.
const (
	KindPart uint32 = iota + 1
	KindColumn
	KindLookup
	KindDict
	KindAccounts
	KindPlaces
	KindForward
	KindNames
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// File is a mapped index file. It is safe for concurrent use until Close.
type File struct {
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

// Corrupt makes an error of a damage of the file, which is remembered.
func (f *File) Corrupt(what string) error {
	err := fmt.Errorf("%w: %s: %s", engine.ErrCorrupt, f.path, what)
	f.found.CompareAndSwap(nil, &err)
	return err
}

// Damage is the first damage found; nil where none was.
func (f *File) Damage() error {
	if p := f.found.Load(); p != nil {
		return *p
	}
	return nil
}

// Fault makes an error of an address of the mapping that could not be read;
// nil where the address is none of it.
func (f *File) Fault(addr uintptr) error {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(f.data)))
	// The last page may go on behind the file's end.
	if len(f.data) == 0 || addr < start || addr-start >= (uintptr(len(f.data))+4095)&^4095 {
		return nil
	}
	return f.Corrupt("cannot be read any more")
}

// Head is the checksum that the footer holds: of footer, meta and sums, and so of
// all of the file.
func (f *File) Head() uint32 { return f.head }

// Payload is what the readers of a kind of file look at. Bytes must be verified
// by [File.Check] before they are. It aliases the mapping and is nil after
// Close.
func (f *File) Payload() []byte { return f.payload }

// Meta is a copy of what finds the way in the payload, verified, and shared.
func (f *File) Meta() []byte { return f.meta }

// Changed tells of a file that was written to or cut short since it was mapped:
// what was verified before may have been replaced by anything. It wraps
// [engine.ErrCorrupt]; nil where the file is as it was. It takes one system call.
func (f *File) Changed() error {
	var now unix.Stat_t
	if err := unix.Fstat(int(f.handle.Fd()), &now); err != nil {
		return fmt.Errorf("look at %s: %w", f.path, err)
	}
	if now.Size != f.stat.Size || now.Mtim != f.stat.Mtim {
		return f.Corrupt("was changed while it was open")
	}
	return nil
}

// Open maps a file of a kind and verifies what leads into its payload. Its error
// wraps [engine.ErrCorrupt], or [engine.ErrFormat] where another version wrote
// the file.
func Open(path string, kind uint32) (*File, error) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, fmt.Errorf("open %s: index files need a little-endian machine", path)
	}
	f := &File{path: path}
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

func (f *File) readFooter(kind uint32) error {
	size := uint64(len(f.data))
	if size < FooterSize || size%8 != 0 {
		return f.Corrupt("cut short")
	}
	foot := f.data[size-FooterSize:]
	if string(foot[:8]) != magic {
		return f.Corrupt("no footer")
	}
	le := binary.LittleEndian
	if le.Uint32(foot[8:]) != kind {
		return f.Corrupt("another kind of file")
	}
	payload, meta, sums := le.Uint64(foot[16:]), le.Uint64(foot[24:]), le.Uint64(foot[32:])
	rest := size - FooterSize
	if payload > rest || meta > rest || sums > rest ||
		Pad8(payload)+Pad8(meta)+Pad8(sums) != rest || sums != 4*Chunks(payload) {
		return f.Corrupt("lengths do not add up")
	}
	sum := crc32.Checksum(f.data[Pad8(payload):size-8], castagnoli)
	if sum != le.Uint32(foot[40:]) || le.Uint32(foot[44:]) != 0 {
		return f.Corrupt("checksum of the directory differs")
	}
	if le.Uint32(foot[12:]) != Version { // only now: a flipped bit is damage
		return OtherVersion(f.path, le.Uint32(foot[12:]))
	}
	f.head = sum
	f.payload = f.data[:payload:payload]
	// A copy: it was verified as a whole, and may not change any more when the
	// file does.
	f.meta = bytes.Clone(f.data[Pad8(payload):][:meta])
	f.sums = View[uint32](f.data[Pad8(payload)+Pad8(meta):][:sums])
	f.seen = make([]atomic.Uint64, (len(f.sums)+63)/64)
	return nil
}

// OtherVersion says that a file was written by another version.
func OtherVersion[N uint32 | int](path string, have N) error {
	return fmt.Errorf("%w: %s has format %d, this version reads %d; load the dataset again", engine.ErrFormat, path, have, Version)
}

func (f *File) mmap() error {
	var err error
	if f.handle, err = os.Open(f.path); err != nil {
		return fmt.Errorf("open index file: %w", err)
	}
	if err := unix.Fstat(int(f.handle.Fd()), &f.stat); err != nil {
		return fmt.Errorf("open index file: %w", err)
	}
	if f.stat.Size < FooterSize || f.stat.Size > math.MaxInt {
		return f.Corrupt("cut short")
	}
	f.data, err = unix.Mmap(int(f.handle.Fd()), 0, int(f.stat.Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %s: %w", f.path, err)
	}
	return nil
}

// Close unmaps the file: no slice of it may be used afterwards.
func (f *File) Close() error {
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
func (f *File) Size() int64 { return int64(len(f.data)) }

// Chunks is how many chunks a payload of so many bytes has.
func Chunks(payload uint64) uint64 { return (payload + ChunkSize - 1) >> ChunkShift }

// Verified tells whether a chunk was verified, whose number is its place in the
// payload by ChunkShift.
func (f *File) Verified(chunk uint32) bool { return f.seen[chunk>>6].Load()&(1<<(chunk&63)) != 0 }

// Check verifies the chunks that hold n bytes of payload from off on, those
// that were not verified before.
func (f *File) Check(off, n uint64) error {
	if off > uint64(len(f.payload)) || n > uint64(len(f.payload))-off {
		return f.Corrupt("points outside the file")
	}
	if n == 0 {
		return nil
	}
	for c := off >> ChunkShift; c <= (off+n-1)>>ChunkShift; c++ {
		if f.seen[c>>6].Load()&(1<<(c&63)) != 0 {
			continue
		}
		from := c << ChunkShift
		to := min(from+ChunkSize, uint64(len(f.payload)))
		if crc32.Checksum(f.payload[from:to], castagnoli) != f.sums[c] {
			return f.Corrupt(fmt.Sprintf("checksum differs at byte %d", from))
		}
		f.seen[c>>6].Or(1 << (c & 63))
	}
	return nil
}
