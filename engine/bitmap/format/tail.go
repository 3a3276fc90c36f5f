package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Tail is numbers that follow in the payload of a file what is still being
// written. The first few are kept in memory, the others in a file beside it.
type Tail struct {
	w    *Writer
	path string
	buf  []byte
	file *os.File
}

// TailMemory is how many bytes a Tail keeps in memory.
const TailMemory = 1 << 20

// NewTail makes the tail of a file, which spills into one beside it: its name and
// the given one.
func NewTail(w *Writer, name string) *Tail { return &Tail{w: w, path: w.path + "." + name} }

// Add32 adds a number.
func (t *Tail) Add32(n uint32) {
	t.buf = binary.LittleEndian.AppendUint32(t.buf, n)
	if len(t.buf) >= TailMemory {
		t.spill()
	}
}

// Add64 adds a number of 64 bits.
func (t *Tail) Add64(n uint64) {
	t.buf = binary.LittleEndian.AppendUint64(t.buf, n)
	if len(t.buf) >= TailMemory {
		t.spill()
	}
}

// spill empties the buffer. An error becomes that of the file.
func (t *Tail) spill() {
	if t.file == nil && t.w.err == nil {
		t.file, t.w.err = os.OpenFile(t.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if t.w.err == nil {
		_, t.w.err = t.file.Write(t.buf)
	}
	t.buf = t.buf[:0]
}

// End writes the numbers to the payload and removes the file beside it.
func (t *Tail) End() {
	if t.file != nil && t.w.err == nil {
		_, t.w.err = t.file.Seek(0, io.SeekStart)
		b := make([]byte, ChunkSize)
		for t.w.err == nil {
			n, err := t.file.Read(b)
			t.w.Append(b[:n])
			if errors.Is(err, io.EOF) {
				break
			}
			t.w.err = err
		}
	}
	t.w.Append(t.buf)
	t.Close()
}

// Close removes the file beside it. After End it does nothing.
func (t *Tail) Close() {
	t.buf = nil
	if t.file == nil {
		return
	}
	err := errors.Join(t.file.Close(), os.Remove(t.path))
	t.file = nil
	if err != nil && t.w.err == nil {
		t.w.err = fmt.Errorf("remove spilt numbers: %w", err)
	}
}
