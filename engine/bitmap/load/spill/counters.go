package spill

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Counters are many numbers, from 0. Where they take more memory than they
// may, they lie in a file that is mapped, which the system can write out.
type Counters struct {
	N    []uint32
	data []byte // the mapping; nil: of the heap
	file *os.File
}

// NewCounters makes n counters, which may take so many bytes of memory.
func NewCounters(path string, n int, memory int64) (_ *Counters, err error) {
	if 4*int64(n) <= memory {
		return &Counters{N: make([]uint32, n)}, nil
	}
	c := &Counters{}
	if c.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, fmt.Errorf("spill counts: %w", err)
	}
	err = c.file.Truncate(4 * int64(n))
	if err == nil {
		c.data, err = unix.Mmap(int(c.file.Fd()), 0, 4*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("spill counts: %w", err)
	}
	c.N = unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(c.data))), n)
	return c, nil
}

// Close removes the file.
func (c *Counters) Close() {
	if c.file == nil {
		return
	}
	var err error
	if c.data != nil {
		err = unix.Munmap(c.data)
	}
	// What is left goes with the work folder.
	_ = errors.Join(err, c.file.Close(), os.Remove(c.file.Name()))
	c.N, c.data, c.file = nil, nil, nil
}
