package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// tail is numbers that follow in the payload of a file what is still being
// written. The first few are kept in memory, the others in a file beside it.
type tail struct {
	w    *fileWriter
	path string
	buf  []byte
	file *os.File
}

// tailMemory is how many bytes a tail keeps.
const tailMemory = 1 << 20

func newTail(w *fileWriter, name string) *tail { return &tail{w: w, path: w.path + "." + name} }

func (t *tail) add32(n uint32) {
	t.buf = binary.LittleEndian.AppendUint32(t.buf, n)
	if len(t.buf) >= tailMemory {
		t.spill()
	}
}

func (t *tail) add64(n uint64) {
	t.buf = binary.LittleEndian.AppendUint64(t.buf, n)
	if len(t.buf) >= tailMemory {
		t.spill()
	}
}

// spill empties the buffer. An error becomes that of the file.
func (t *tail) spill() {
	if t.file == nil && t.w.err == nil {
		t.file, t.w.err = os.OpenFile(t.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if t.w.err == nil {
		_, t.w.err = t.file.Write(t.buf)
	}
	t.buf = t.buf[:0]
}

// end writes the numbers to the payload.
func (t *tail) end() {
	if t.file != nil && t.w.err == nil {
		_, t.w.err = t.file.Seek(0, io.SeekStart)
		b := make([]byte, chunkSize)
		for t.w.err == nil {
			n, err := t.file.Read(b)
			t.w.write(b[:n])
			if errors.Is(err, io.EOF) {
				break
			}
			t.w.err = err
		}
	}
	t.w.write(t.buf)
	t.close()
}

// close removes the file.
func (t *tail) close() {
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
