package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
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

// fileWriter writes an index file in one pass. The first error stays, and is
// what finish returns.
type fileWriter struct {
	path string
	kind uint32
	file *os.File
	buf  []byte // unwritten; chunkSize multiples are flushed
	n    uint64 // payload so far
	sums []uint32
	crc  uint32 // of everything flushed
	size int64
	err  error
}

const writeBuffer = 8 * chunkSize

// newFileWriter creates the file, which must not exist.
func newFileWriter(path string, kind uint32) (*fileWriter, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create index file: %w", err)
	}
	return &fileWriter{path: path, kind: kind, file: f, buf: make([]byte, 0, writeBuffer)}, nil
}

// write appends to the payload.
func (w *fileWriter) write(b []byte) {
	w.n += uint64(len(b))
	for len(b) > 0 {
		k := min(cap(w.buf)-len(w.buf), len(b))
		w.buf = append(w.buf, b[:k]...)
		b = b[k:]
		if len(w.buf) == cap(w.buf) {
			w.sumChunks()
			w.flush()
		}
	}
}

// align pads the payload to a multiple of n, a power of two up to 8.
func (w *fileWriter) align(n uint64) {
	var zero [8]byte
	w.write(zero[:-w.n&(n-1)])
}

func (w *fileWriter) sumChunks() {
	for b := w.buf; len(b) > 0; {
		k := min(chunkSize, len(b))
		w.sums = append(w.sums, crc32.Checksum(b[:k], castagnoli))
		b = b[k:]
	}
}

func (w *fileWriter) flush() {
	w.crc = crc32.Update(w.crc, castagnoli, w.buf)
	w.size += int64(len(w.buf))
	if w.err == nil {
		_, w.err = w.file.Write(w.buf)
	}
	w.buf = w.buf[:0]
}

// finish ends the file with its directory, makes it durable and closes it.
func (w *fileWriter) finish(name string, meta []byte) (FileSum, error) {
	w.sumChunks()
	w.buf = padded(w.buf)
	w.flush()
	le := binary.LittleEndian
	tail := padded(append(w.buf, meta...))
	for _, s := range w.sums {
		tail = le.AppendUint32(tail, s)
	}
	tail = padded(tail)
	tail = append(tail, magic...)
	tail = le.AppendUint32(tail, w.kind)
	tail = le.AppendUint32(tail, format)
	tail = le.AppendUint64(tail, w.n)
	tail = le.AppendUint64(tail, uint64(len(meta)))
	tail = le.AppendUint64(tail, 4*uint64(len(w.sums)))
	head := crc32.Checksum(tail, castagnoli)
	tail = le.AppendUint64(tail, uint64(head))
	w.buf = tail
	w.flush()
	w.buf = nil
	err := w.err
	if err == nil {
		err = w.file.Sync()
	}
	if err = errors.Join(err, w.file.Close()); err != nil {
		return FileSum{}, fmt.Errorf("write %s: %w", w.path, err)
	}
	w.file = nil
	return FileSum{Name: name, Size: w.size, CRC32C: w.crc, Head: head}, nil
}

// abort closes the file, which is left to whoever removes the folder.
func (w *fileWriter) abort() {
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
}

func padded(b []byte) []byte {
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}
