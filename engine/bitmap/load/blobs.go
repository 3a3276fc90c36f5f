package load

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// blobs keeps byte strings in memory up to a limit, and beyond it in a file.
// Any number of goroutines may add; all reading comes after all adding.
type blobs struct {
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

func newBlobs(path string, limit int64) *blobs { return &blobs{path: path, limit: limit} }

// add keeps a copy of data and returns its number, from 0.
func (b *blobs) add(data []byte) (int, error) {
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

// seal ends adding.
func (b *blobs) seal() error {
	if b.size == 0 {
		return nil
	}
	var err error
	if b.mapped, err = unix.Mmap(int(b.file.Fd()), 0, int(b.size), unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map spilt rows: %w", err)
	}
	return nil
}

// get gives a string, valid until drop or close.
func (b *blobs) get(id int) []byte {
	e := &b.list[id]
	if e.data != nil || e.n == 0 {
		return e.data
	}
	return b.mapped[e.off:][:e.n:e.n]
}

// drop says that a string is not needed any more.
func (b *blobs) drop(id int) {
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

// close removes the file.
func (b *blobs) close() error {
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
