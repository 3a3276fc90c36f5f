package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
)

// FileSum is what the manifest says of a file.
type FileSum struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	CRC32C uint32 `json:"crc32c"` // of the whole file
	// Head is the checksum that the footer of an index file holds: of footer,
	// meta and sums, and so of all of it. 0 for the other files.
	Head uint32 `json:"head,omitempty"`
}

// Writer writes an index file in one pass. The first error stays, and is what
// Finish returns. It is for one goroutine.
type Writer struct {
	path string
	name string
	kind uint32
	file *os.File
	buf  []byte // unwritten; begins with a chunk
	n    uint64 // payload so far
	sums []uint32
	crc  uint32 // of everything written to the file
	size int64
	err  error
}

const writeBuffer = 8 * ChunkSize

// Create creates a file of a kind within a folder; name has slashes. It must not
// exist, where it would lie must.
func Create(dir, name string, kind uint32) (*Writer, error) {
	path := filepath.Join(dir, filepath.FromSlash(name))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create index file: %w", err)
	}
	return &Writer{path: path, name: name, kind: kind, file: f, buf: make([]byte, 0, writeBuffer)}, nil
}

// Len is how many bytes the payload has so far.
func (w *Writer) Len() uint64 { return w.n }

// Err is the first error, which Finish will return.
func (w *Writer) Err() error { return w.err }

// Path is where the file is.
func (w *Writer) Path() string { return w.path }

// Append appends to the payload.
func (w *Writer) Append(b []byte) {
	for len(b) > 0 {
		if len(w.buf) >= writeBuffer {
			w.drain()
		}
		k := min(writeBuffer-len(w.buf), len(b))
		w.buf = append(w.buf, b[:k]...)
		w.n += uint64(k)
		b = b[k:]
	}
}

// Reserve gives memory for n more bytes, in which a piece of the payload is
// made in its place. What Commit is then told of it is appended.
func (w *Writer) Reserve(n int) []byte {
	if cap(w.buf)-len(w.buf) < n {
		w.drain()
		if cap(w.buf)-len(w.buf) < n {
			w.buf = append(make([]byte, 0, writeBuffer+n), w.buf...)
		}
	}
	return w.buf[len(w.buf) : len(w.buf)+n]
}

// Commit appends the first n bytes of what Reserve gave.
func (w *Writer) Commit(n int) {
	w.buf = w.buf[:len(w.buf)+n]
	w.n += uint64(n)
}

// Align pads the payload to a multiple of n, a power of two up to 8.
func (w *Writer) Align(n uint64) {
	var zero [8]byte
	w.Append(zero[:-w.n&(n-1)])
}

// drain writes the whole chunks of the buffer. Their checksums make up the
// file's, so that every byte is summed once.
func (w *Writer) drain() {
	whole := len(w.buf) &^ (ChunkSize - 1)
	for b := w.buf[:whole]; len(b) > 0; b = b[ChunkSize:] {
		sum := crc32.Checksum(b[:ChunkSize], castagnoli)
		w.sums = append(w.sums, sum)
		w.crc = beforeChunk(w.crc) ^ sum
	}
	w.flush(w.buf[:whole])
	w.buf = w.buf[:copy(w.buf, w.buf[whole:])]
}

func (w *Writer) flush(b []byte) {
	w.size += int64(len(b))
	if w.err == nil && len(b) > 0 {
		_, w.err = w.file.Write(b)
	}
}

// chunkShifts is what a checksum becomes when a chunk of zeros follows, for
// each byte of it: that is linear.
var chunkShifts = sync.OnceValue(func() *[4][256]uint32 {
	var zeros [ChunkSize]byte
	var t [4][256]uint32
	for i := range 32 {
		t[i/8][1<<(i%8)] = ^crc32.Update(^(uint32(1) << i), castagnoli, zeros[:])
	}
	for k := range t {
		for v := range t[k] {
			if low := v & -v; v != low {
				t[k][v] = t[k][low] ^ t[k][v^low]
			}
		}
	}
	return &t
})

// beforeChunk is a checksum's share in that of the same bytes with a chunk
// after them.
func beforeChunk(sum uint32) uint32 {
	t := chunkShifts()
	return t[0][sum&0xff] ^ t[1][sum>>8&0xff] ^ t[2][sum>>16&0xff] ^ t[3][sum>>24]
}

// Finish ends the file with its directory, makes it durable and closes it.
func (w *Writer) Finish(meta []byte) (FileSum, error) {
	w.drain()
	if len(w.buf) > 0 {
		w.sums = append(w.sums, crc32.Checksum(w.buf, castagnoli))
	}
	le := binary.LittleEndian
	w.buf = Padded(w.buf)
	last := len(w.buf)
	tail := Padded(append(w.buf, meta...))
	for _, s := range w.sums {
		tail = le.AppendUint32(tail, s)
	}
	tail = Padded(tail)
	tail = append(tail, magic...)
	tail = le.AppendUint32(tail, w.kind)
	tail = le.AppendUint32(tail, Version)
	tail = le.AppendUint64(tail, w.n)
	tail = le.AppendUint64(tail, uint64(len(meta)))
	tail = le.AppendUint64(tail, 4*uint64(len(w.sums)))
	head := crc32.Checksum(tail[last:], castagnoli)
	tail = le.AppendUint64(tail, uint64(head))
	w.crc = crc32.Update(w.crc, castagnoli, tail)
	w.flush(tail)
	w.buf = nil
	err := w.err
	if err == nil {
		err = w.file.Sync()
	}
	if err = errors.Join(err, w.file.Close()); err != nil {
		return FileSum{}, fmt.Errorf("write %s: %w", w.path, err)
	}
	w.file = nil
	return FileSum{Name: w.name, Size: w.size, CRC32C: w.crc, Head: head}, nil
}

// Abort closes the file, which is left to whoever removes the folder. After
// Finish it does nothing.
func (w *Writer) Abort() {
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
}
