package spill

import (
	"fmt"
	"math/bits"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	slabBytes = 1 << 20
	minChunk  = 1 << 9
	maxChunk  = 1 << 15
	hugePage  = 1 << 21 // of most machines
	// regionBytes is how much memory is mapped at once where much is allowed.
	regionBytes = 1 << 25
)

// Memory is what stores have in common. It hands out chunks of memory outside the heap, so that what a load
// keeps counts once, and neither doubles what the collector lets the heap grow
// to nor is scanned by it. Where the limit is reached, the store that holds
// most is written to its file. Only chunks that are being filled can exceed
// the limit; their sizes are chosen so that they do not.
type Memory struct {
	limit int64
	least int64
	// others tells what is taken elsewhere and must be done without, down to
	// least; nil for nothing.
	others func() int64

	mu      sync.Mutex
	regions [][]byte     // mapped
	fresh   []byte       // of the last region, not cut up yet
	free    [17][][]byte // by the logarithm of the size
	used    int64        // bytes handed out
	stores  []*Store
}

// NewMemory makes memory of so many bytes.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit} }

// Yield makes room for what is taken elsewhere, as others tells: of the limit
// it leaves that much, down to least. It is called before there are stores.
func (m *Memory) Yield(others func() int64, least int64) { m.others, m.least = others, least }

// take gives an empty chunk whose capacity is size, a power of two.
func (m *Memory) take(size int) ([]byte, error) {
	m.mu.Lock()
	for m.used+int64(size) > m.room() {
		s := m.largest()
		if s == nil {
			break
		}
		m.mu.Unlock()
		if err := s.spill(); err != nil {
			return nil, err
		}
		m.mu.Lock()
	}
	defer m.mu.Unlock()
	class := bits.TrailingZeros(uint(size))
	if len(m.free[class]) == 0 {
		slab, err := m.slab()
		if err != nil {
			return nil, err
		}
		for at := 0; at < slabBytes; at += size {
			m.free[class] = append(m.free[class], slab[at:at:at+size])
		}
	}
	last := len(m.free[class]) - 1
	chunk := m.free[class][last]
	m.free[class] = m.free[class][:last]
	m.used += int64(size)
	return chunk, nil
}

// slab gives memory that is cut up into chunks of one size. m.mu is held.
func (m *Memory) slab() ([]byte, error) {
	if len(m.fresh) == 0 {
		n, huge := slabBytes, m.limit >= 4*regionBytes
		if huge {
			n = regionBytes
		}
		region, fresh, err := mapMemory(n, huge)
		if err != nil {
			return nil, err
		}
		m.regions, m.fresh = append(m.regions, region), fresh
	}
	slab := m.fresh[:slabBytes:slabBytes]
	m.fresh = m.fresh[slabBytes:]
	return slab, nil
}

// mapMemory maps memory outside the heap. Huge says that all of it will be
// used, so that large pages are asked for: there are fewer faults when it is
// first touched, and fewer entries are needed to find it. mapping is for
// unmapping it.
func mapMemory(n int, huge bool) (mapping, b []byte, err error) {
	room := n
	if huge {
		room += hugePage
	}
	mapping, err = unix.Mmap(-1, 0, room, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("allocate memory: %w", err)
	}
	b = mapping
	if huge {
		b = b[-uintptr(unsafe.Pointer(unsafe.SliceData(b)))%hugePage:]
		adviseHuge(b[:n])
	}
	return mapping, b[:n:n], nil
}

func unmap(mapping []byte) {
	if mapping != nil {
		unix.Munmap(mapping) //nolint:errcheck // nothing can be done about it
	}
}

// Array is memory for numbers, at first for none. It is outside the heap where
// it is large, and must then be freed.
type Array[T uint16 | uint32] struct {
	all     []T
	mapping []byte
}

// arrayBytes is from which size on an array is outside the heap.
const arrayBytes = hugePage / 4

// Get gives memory for n numbers. What was given before must not be used any
// more; what it holds is kept where nothing larger is needed.
func (a *Array[T]) Get(n int) ([]T, error) {
	if n <= len(a.all) {
		return a.all[:n], nil
	}
	a.Free()
	size := n * int(unsafe.Sizeof(T(0)))
	if size < arrayBytes {
		a.all = make([]T, n)
		return a.all, nil
	}
	mapping, b, err := mapMemory((size+slabBytes-1)&^(slabBytes-1), true)
	if err != nil {
		return nil, err
	}
	a.mapping = mapping
	a.all = unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(T(0))))
	return a.all[:n], nil
}

// Size is how many bytes the array takes.
func (a *Array[T]) Size() int64 { return int64(len(a.all)) * int64(unsafe.Sizeof(T(0))) }

// Free gives the memory back; the array is empty again.
func (a *Array[T]) Free() {
	unmap(a.mapping)
	*a = Array[T]{}
}

func (m *Memory) room() int64 {
	if m.others == nil {
		return m.limit
	}
	return max(m.least, m.limit-m.others())
}

// Taken is how many bytes are handed out.
func (m *Memory) Taken() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// largest is the store with the most bytes to spill, nil where none has any
// worth it. m.mu is held.
func (m *Memory) largest() *Store {
	var found *Store
	most := int64(slabBytes) / 4
	for _, s := range m.stores {
		if n := s.full.Load(); n >= most && !s.sealed.Load() {
			found, most = s, n
		}
	}
	return found
}

// give takes chunks back that all have one capacity.
func (m *Memory) give(chunks [][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range chunks {
		if cap(c) > maxChunk || cap(c)&(cap(c)-1) != 0 {
			continue // of a single large record: from the heap
		}
		class := bits.TrailingZeros(uint(cap(c)))
		m.free[class] = append(m.free[class], c[:0])
		m.used -= int64(cap(c))
	}
}

// Close unmaps everything. No store is used any more.
func (m *Memory) Close() {
	for _, r := range m.regions {
		unmap(r)
	}
	m.regions, m.fresh = nil, nil
	clear(m.free[:])
}
