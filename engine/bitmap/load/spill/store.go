package spill

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrDamaged is what a reader of records returns that are not as they were
// written.
var ErrDamaged = errors.New("read spilt rows: they are damaged")

// Store keeps records partition by partition, in no order, in memory or in
// one file that is written sequentially. Records are written by any number of
// writers and read when all of these are flushed.
type Store struct {
	mem   *Memory
	path  string
	chunk int
	full  atomic.Int64 // bytes in full chunks in memory
	// sealed says that reading has begun: what is in memory stays there.
	sealed atomic.Bool

	mu     sync.Mutex
	parts  []partition
	file   *os.File
	size   int64
	mapped []byte
	err    error
}

// partition is the records of one partition.
type partition struct {
	chunks [][]byte
	spilt  []extent
	bytes  int64
}

type extent struct{ off, n int64 }

// NewStore makes a store of so many partitions, into which so many writers
// write at once. open is how many bytes their open chunks may take together.
// The file is made when there is no more room in memory.
func (m *Memory) NewStore(path string, partitions, writers int, open int64) *Store {
	chunk := int64(maxChunk)
	for chunk > minChunk && chunk*int64(partitions)*int64(writers) > open {
		chunk /= 2
	}
	s := &Store{mem: m, path: path, chunk: int(chunk), parts: make([]partition, partitions)}
	m.mu.Lock()
	m.stores = append(m.stores, s)
	m.mu.Unlock()
	return s
}

// Partitions is how many there are.
func (s *Store) Partitions() int { return len(s.parts) }

// Chunk gives an empty chunk to who fills it himself, up to its capacity, and
// then has it kept.
func (s *Store) Chunk() ([]byte, error) { return s.mem.take(s.chunk) }

// Keep takes over a chunk of whole records, or one that stayed empty.
func (s *Store) Keep(p int, chunk []byte) {
	if len(chunk) == 0 {
		if cap(chunk) > 0 {
			s.mem.give([][]byte{chunk})
		}
		return
	}
	s.mu.Lock()
	s.parts[p].chunks = append(s.parts[p].chunks, chunk)
	s.parts[p].bytes += int64(len(chunk))
	s.mu.Unlock()
	s.full.Add(int64(cap(chunk)))
}

// spill writes what is in memory to the file, partition by partition.
func (s *Store) spill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.sealed.Load() {
		return s.err
	}
	if s.file == nil {
		if s.file, s.err = os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); s.err != nil {
			return fmt.Errorf("spill rows: %w", s.err)
		}
	}
	buf := make([]byte, 0, slabBytes)
	flush := func() {
		if s.err == nil && len(buf) > 0 {
			_, s.err = s.file.Write(buf)
		}
		buf = buf[:0]
	}
	for i := range s.parts {
		p := &s.parts[i]
		start := s.size
		for _, c := range p.chunks {
			if len(buf)+len(c) > cap(buf) {
				flush()
			}
			buf = append(buf, c...)
			s.size += int64(len(c))
			s.full.Add(-int64(cap(c)))
		}
		if s.size > start {
			p.spilt = append(p.spilt, extent{start, s.size - start})
		}
		s.mem.give(p.chunks)
		p.chunks = nil
	}
	flush()
	if s.err != nil {
		return fmt.Errorf("spill rows: %w", s.err)
	}
	return nil
}

// Read gives the records of a partition, as pieces of whole records, those of
// one writer in the order in which it wrote them. They are valid until Release.
func (s *Store) Read(p int) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed.Store(true)
	part := &s.parts[p]
	pieces := part.chunks
	if len(part.spilt) == 0 {
		return pieces, nil
	}
	if s.mapped == nil {
		var err error
		s.mapped, err = unix.Mmap(int(s.file.Fd()), 0, int(s.size), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return nil, fmt.Errorf("map spilt rows: %w", err)
		}
	}
	pieces = make([][]byte, 0, len(part.spilt)+len(part.chunks))
	for _, e := range part.spilt {
		pieces = append(pieces, s.mapped[e.off:e.off+e.n])
	}
	return append(pieces, part.chunks...), nil
}

// Bytes is the size of a partition, also once it is released.
func (s *Store) Bytes(p int) int64 { return s.parts[p].bytes }

// Release gives the memory of a partition back; its records are gone.
func (s *Store) Release(p int) {
	s.mu.Lock()
	part := &s.parts[p]
	chunks, spilt := part.chunks, part.spilt
	part.chunks, part.spilt = nil, nil
	for _, c := range chunks {
		s.full.Add(-int64(cap(c)))
	}
	s.mu.Unlock()
	s.mem.give(chunks)
	if s.mapped == nil {
		return
	}
	page := int64(os.Getpagesize())
	for _, e := range spilt {
		from, to := (e.off+page-1)/page*page, (e.off+e.n)/page*page
		if from < to {
			unix.Madvise(s.mapped[from:to], unix.MADV_DONTNEED) //nolint:errcheck // only advice
		}
	}
}

// Close removes the file and gives back what is left.
func (s *Store) Close() error {
	for p := range s.parts {
		s.Release(p)
	}
	var err error
	if s.mapped != nil {
		err = unix.Munmap(s.mapped)
		s.mapped = nil
	}
	if s.file != nil {
		err = errors.Join(err, s.file.Close(), os.Remove(s.path))
		s.file = nil
	}
	if err != nil {
		return fmt.Errorf("remove spilt rows: %w", err)
	}
	return nil
}

// Writer fills chunks of a store. It is for one goroutine, and flushed at the
// end.
type Writer struct {
	s    *Store
	open [][]byte
}

// Writer makes a writer.
func (s *Store) Writer() *Writer { return &Writer{s: s, open: make([][]byte, len(s.parts))} }

// Room gives the open chunk of a partition with room for n more bytes. What
// is appended to it is kept by Put. fresh says that the chunk is empty.
func (w *Writer) Room(p, n int) (chunk []byte, fresh bool, err error) {
	c := w.open[p]
	if cap(c)-len(c) >= n {
		return c, len(c) == 0, nil
	}
	w.s.Keep(p, c)
	w.open[p] = nil
	if n > w.s.chunk {
		w.open[p] = make([]byte, 0, n)
		return w.open[p], true, nil
	}
	w.open[p], err = w.s.Chunk()
	return w.open[p], true, err
}

// Put keeps what was appended to the open chunk of a partition.
func (w *Writer) Put(p int, chunk []byte) { w.open[p] = chunk }

// Flush hands all open chunks over.
func (w *Writer) Flush() {
	for p, c := range w.open {
		w.s.Keep(p, c)
		w.open[p] = nil
	}
}
