// Package extsort sorts more records than memory holds: sorted runs go to one
// file and are merged when they are read.
package extsort

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"slices"
	"sync"
)

const (
	refBytes = 16
	// fanIn is how many runs are merged at once; each has a buffer.
	fanIn      = 64
	runBuffer  = 64 << 10
	minArena   = 64 << 10
	maxArena   = 1 << 30 // offsets in it have 32 bits
	writeChunk = 1 << 20
)

var errDamaged = errors.New("read sorted records: file is damaged")

// Sorter holds records of a key and a payload, in order of the key's bytes,
// then of the payload's.
type Sorter struct {
	path   string
	memory int // of each writer

	mu   sync.Mutex
	file *os.File
	size int64
	runs []run
	kept []*Writer
}

// run is sorted records in the file.
type run struct{ off, n int64 }

// New returns a sorter whose writers each keep so many bytes in memory, and
// put the rest in a file at path, which must not exist and is made when it is
// needed.
func New(path string, memory int64) *Sorter {
	return &Sorter{path: path, memory: int(min(max(memory, 4<<10), maxArena))}
}

// Writer adds records. It is for one goroutine; a sorter has any number.
type Writer struct {
	s     *Sorter
	arena []byte // records: key length uvarint, payload length uvarint, both
	refs  []ref
}

type ref struct {
	prefix uint64 // of the key
	off    uint32
}

// Writer returns a new writer.
func (s *Sorter) Writer() *Writer {
	w := &Writer{s: s}
	s.mu.Lock()
	s.kept = append(s.kept, w)
	s.mu.Unlock()
	return w
}

// Add keeps a copy of a record.
func (w *Writer) Add(key, payload []byte) error {
	need := 2*binary.MaxVarintLen32 + len(key) + len(payload)
	if len(w.refs) > 0 && len(w.arena)+need+refBytes*(len(w.refs)+1) > w.s.memory {
		if err := w.spill(); err != nil {
			return err
		}
	}
	if w.arena == nil {
		w.arena = make([]byte, 0, min(minArena, w.s.memory))
	}
	var head [8]byte
	copy(head[:], key)
	w.refs = append(w.refs, ref{binary.BigEndian.Uint64(head[:]), uint32(len(w.arena))})
	w.arena = appendRecord(w.arena, key, payload)
	return nil
}

func appendRecord(dst, key, payload []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = binary.AppendUvarint(dst, uint64(len(payload)))
	return append(append(dst, key...), payload...)
}

// record reads the record at the start of b, and its length.
func record(b []byte) (key, payload []byte, n int) {
	k, i := binary.Uvarint(b)
	p, j := binary.Uvarint(b[i:])
	n = i + j + int(k) + int(p)
	return b[i+j:][:k], b[i+j+int(k):][:p], n
}

func (w *Writer) sort() {
	slices.SortFunc(w.refs, func(a, b ref) int {
		if c := cmp.Compare(a.prefix, b.prefix); c != 0 {
			return c
		}
		k, p, _ := record(w.arena[a.off:])
		l, q, _ := record(w.arena[b.off:])
		return compare(k, p, l, q)
	})
}

func compare(key, payload, otherKey, otherPayload []byte) int {
	if c := bytes.Compare(key, otherKey); c != 0 {
		return c
	}
	return bytes.Compare(payload, otherPayload)
}

// spill writes what is in memory as a run.
func (w *Writer) spill() error {
	w.sort()
	out, err := w.s.begin(int64(len(w.arena)))
	if err != nil {
		return err
	}
	for _, r := range w.refs {
		_, _, n := record(w.arena[r.off:])
		out.write(w.arena[r.off:][:n])
	}
	w.arena, w.refs = w.arena[:0], w.refs[:0]
	return out.end()
}

// runWriter writes a run whose length is known.
type runWriter struct {
	s   *Sorter
	run run
	at  int64
	buf []byte
	err error
}

// begin reserves room for a run.
func (s *Sorter) begin(n int64) (*runWriter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, fmt.Errorf("spill records: %w", err)
		}
		s.file = f
	}
	w := &runWriter{s: s, run: run{s.size, n}, at: s.size}
	s.size += n
	w.buf = make([]byte, 0, min(writeChunk, n))
	return w, nil
}

func (w *runWriter) write(b []byte) {
	if len(w.buf)+len(b) > cap(w.buf) {
		w.flush()
	}
	w.buf = append(w.buf, b...)
}

func (w *runWriter) flush() {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.s.file.WriteAt(w.buf, w.at)
		w.at += int64(len(w.buf))
	}
	w.buf = w.buf[:0]
}

func (w *runWriter) end() error {
	w.flush()
	if w.err != nil {
		return fmt.Errorf("spill records: %w", w.err)
	}
	w.s.mu.Lock()
	w.s.runs = append(w.s.runs, w.run)
	w.s.mu.Unlock()
	return nil
}

// Empty tells whether there are no records.
func (s *Sorter) Empty() bool {
	for _, w := range s.kept {
		if len(w.refs) > 0 {
			return false
		}
	}
	return len(s.runs) == 0
}

// Each passes all records to yield in their order, and ends with its error.
// What it passes is valid during the call. Nothing is added any more, and Each
// is called once.
func (s *Sorter) Each(yield func(key, payload []byte) error) error {
	for len(s.runs) > fanIn {
		group := s.runs[:fanIn]
		s.runs = slices.Clone(s.runs[fanIn:])
		n := int64(0)
		for _, r := range group {
			n += r.n
		}
		out, err := s.begin(n)
		if err != nil {
			return err
		}
		var scratch []byte
		if err := merge(s.cursors(group), func(key, payload []byte) error {
			scratch = appendRecord(scratch[:0], key, payload)
			out.write(scratch)
			return out.err
		}); err != nil {
			return err
		}
		if err := out.end(); err != nil {
			return err
		}
	}
	list := s.cursors(s.runs)
	for _, w := range s.kept {
		w.sort()
		list = append(list, &cursor{w: w})
	}
	return merge(list, yield)
}

func (s *Sorter) cursors(runs []run) []*cursor {
	var list []*cursor
	for _, r := range runs {
		in := bufio.NewReaderSize(io.NewSectionReader(s.file, r.off, r.n), runBuffer)
		list = append(list, &cursor{in: in, left: r.n})
	}
	return list
}

// cursor reads sorted records of a file or of memory.
type cursor struct {
	in   *bufio.Reader // nil: of w
	left int64         // bytes of the run
	buf  []byte
	w    *Writer
	at   int

	key, payload []byte
}

// next moves to the next record; ok is false at the end.
func (c *cursor) next() (ok bool, err error) {
	if c.in == nil {
		if c.at == len(c.w.refs) {
			return false, nil
		}
		c.key, c.payload, _ = record(c.w.arena[c.w.refs[c.at].off:])
		c.at++
		return true, nil
	}
	if c.left <= 0 {
		return false, nil
	}
	k, err := binary.ReadUvarint(c.in)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errDamaged, err)
	}
	p, err := binary.ReadUvarint(c.in)
	if err != nil || k > maxArena || p > maxArena {
		return false, errDamaged
	}
	c.buf = slices.Grow(c.buf[:0], int(k+p))[:k+p]
	if _, err := io.ReadFull(c.in, c.buf); err != nil {
		return false, fmt.Errorf("%w: %w", errDamaged, err)
	}
	c.left -= int64(uvarintLen(k)+uvarintLen(p)) + int64(k+p)
	c.key, c.payload = c.buf[:k:k], c.buf[k:]
	return true, nil
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// merge passes the records of all cursors on, by a heap of the cursors.
func merge(list []*cursor, yield func(key, payload []byte) error) error {
	heap := list[:0]
	for _, c := range list {
		ok, err := c.next()
		if err != nil {
			return err
		}
		if ok {
			heap = append(heap, c)
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		down(heap, i)
	}
	for len(heap) > 0 {
		c := heap[0]
		if err := yield(c.key, c.payload); err != nil {
			return err
		}
		ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			heap[0] = heap[len(heap)-1]
			heap = heap[:len(heap)-1]
		}
		down(heap, 0)
	}
	return nil
}

func down(heap []*cursor, i int) {
	less := func(a, b *cursor) bool { return compare(a.key, a.payload, b.key, b.payload) < 0 }
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(heap) && less(heap[child], heap[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}

// Close removes the file and forgets the records. A second call does nothing.
func (s *Sorter) Close() error {
	s.kept, s.runs = nil, nil
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.file.Close(), os.Remove(s.path))
	s.file = nil
	if err != nil {
		return fmt.Errorf("remove sorted records: %w", err)
	}
	return nil
}
