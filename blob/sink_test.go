package blob

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// memory is a blob in memory whose Write fails once it has so many bytes; 0
// never does.
type memory struct {
	bytes.Buffer
	most      int
	committed bool
}

var errFull = errors.New("full")

func (m *memory) Write(p []byte) (int, error) {
	if m.most > 0 && m.Len()+len(p) > m.most {
		return 0, errFull
	}
	return m.Buffer.Write(p)
}

func (m *memory) Commit() error { m.committed = true; return nil }
func (m *memory) Abort() error  { return nil }

func TestSink(t *testing.T) {
	for _, size := range []int{0, 1, sinkBuffer - 1, sinkBuffer, sinkBuffer + 1, 5*sinkBuffer + 3} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * 7 >> 3)
		}
		var m memory
		sum := sha256.New()
		k := NewSink(&m, sum)
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 1000+len(rest)/3)
			if got, err := k.Write(rest[:n]); got != n || err != nil {
				t.Fatalf("Write of %d bytes = %d, %v", n, got, err)
			}
			rest = rest[n:]
		}
		if err := k.Commit(); err != nil || !m.committed {
			t.Errorf("%d bytes: Commit = %v, committed %t", size, err, m.committed)
		}
		k.Abort()
		if !bytes.Equal(m.Bytes(), want) || k.Size() != int64(size) {
			t.Errorf("%d bytes are written and %d counted, want %d", m.Len(), k.Size(), size)
		}
		if want := sha256.Sum256(want); !bytes.Equal(sum.Sum(nil), want[:]) {
			t.Errorf("%d bytes: another sum", size)
		}
	}
}

// An error of the blob ends the writing, and nothing is committed.
func TestSinkFull(t *testing.T) {
	m := memory{most: 2 * sinkBuffer}
	k := NewSink(&m, nil)
	defer k.Abort()
	var err error
	for range 100 {
		if _, err = k.Write(make([]byte, sinkBuffer)); err != nil {
			break
		}
	}
	if !errors.Is(err, errFull) {
		t.Errorf("Write = %v, want %v", err, errFull)
	}
	if err := k.Commit(); !errors.Is(err, errFull) || m.committed {
		t.Errorf("Commit = %v, want %v", err, errFull)
	}
}

func TestSinkTake(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), sinkBuffer/4)
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		from          io.Reader
		most          int
		read, written error
	}{
		"whole":      {from: bytes.NewReader(text)},
		"breaks off": {from: io.MultiReader(bytes.NewReader(text), iotest.ErrReader(broken)), read: broken},
		"no room":    {from: bytes.NewReader(text), most: 1, written: errFull},
	} {
		m := memory{most: c.most}
		k := NewSink(&m, nil)
		read, written := k.Take(c.from)
		if written == nil && read == nil {
			written = k.Commit()
		}
		k.Abort()
		if !errors.Is(read, c.read) || !errors.Is(written, c.written) {
			t.Errorf("%s: Take = %v, %v, want %v, %v", name, read, written, c.read, c.written)
		}
		if whole := bytes.Equal(m.Bytes(), text); c.most == 0 && c.read == nil && !whole {
			t.Errorf("%s: %d bytes are taken, want %d", name, m.Len(), len(text))
		}
	}
}
