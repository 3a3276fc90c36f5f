package spill

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Blobs keeps byte strings in memory, of the heap, up to a limit, and beyond it
// in a file. Any number of goroutines may add; all reading comes after all adding.
type Blobs struct {
	path  string
	limit int64

	mu     sync.Mutex
	list   []blob
	held   int64
	file   *os.File
	size   int64
	mapped []byte
}

type blob struct {
	data []byte // nil where spilt
	off  int64
	n    int
}

// NewBlobs makes blobs of which so many bytes stay in memory.
func NewBlobs(path string, limit int64) *Blobs { return &Blobs{path: path, limit: limit} }

// Add keeps a copy of data and returns its number, from 0.
func (b *Blobs) Add(data []byte) (int, error) {
	b.mu.Lock()
	id := len(b.list)
	if b.held+int64(len(data)) <= b.limit {
		b.held += int64(len(data))
		b.list = append(b.list, blob{n: len(data)})
		b.mu.Unlock()
		c := append(make([]byte, 0, len(data)), data...)
		b.mu.Lock()
		b.list[id].data = c
		b.mu.Unlock()
		return id, nil
	}
	if b.file == nil {
		f, err := os.OpenFile(b.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			b.mu.Unlock()
			return 0, fmt.Errorf("spill rows: %w", err)
		}
		b.file = f
	}
	off := b.size
	b.size += int64(len(data))
	b.list = append(b.list, blob{off: off, n: len(data)})
	b.mu.Unlock()
	if _, err := b.file.WriteAt(data, off); err != nil {
		return 0, fmt.Errorf("spill rows: %w", err)
	}
	return id, nil
}

// Seal ends adding. It comes before Get.
func (b *Blobs) Seal() error {
	if b.size == 0 {
		return nil
	}
	var err error
	if b.mapped, err = unix.Mmap(int(b.file.Fd()), 0, int(b.size), unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map spilt rows: %w", err)
	}
	return nil
}

// Get gives a string, valid until Drop or Close.
func (b *Blobs) Get(id int) []byte {
	e := &b.list[id]
	if e.data != nil || e.n == 0 {
		return e.data
	}
	return b.mapped[e.off:][:e.n:e.n]
}

// Drop says that a string is not needed any more.
func (b *Blobs) Drop(id int) {
	e := &b.list[id]
	if e.data != nil {
		e.data, e.n = nil, 0
		return
	}
	page := int64(os.Getpagesize())
	if from, to := (e.off+page-1)/page*page, (e.off+int64(e.n))/page*page; from < to {
		unix.Madvise(b.mapped[from:to], unix.MADV_DONTNEED) //nolint:errcheck // only advice
	}
}

// Close removes the file.
func (b *Blobs) Close() error {
	b.list = nil
	var err error
	if b.mapped != nil {
		err = unix.Munmap(b.mapped)
		b.mapped = nil
	}
	if b.file != nil {
		err = errors.Join(err, b.file.Close(), os.Remove(b.path))
		b.file = nil
	}
	if err != nil {
		return fmt.Errorf("remove spilt rows: %w", err)
	}
	return nil
}
