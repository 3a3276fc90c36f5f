package load

import (
	"fmt"
	"math/bits"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	slabBytes = 1 << 20
	minChunk  = 1 << 9
	maxChunk  = 1 << 15
)

// memory hands out chunks of memory outside the heap, so that what a load
// keeps counts once, and neither doubles what the collector lets the heap grow
// to nor is scanned by it. Where the limit is reached, the store that holds
// most is written to its file. Only chunks that are being filled can exceed
// the limit; their sizes are chosen so that they do not.
type memory struct {
	limit int64
	least int64
	// others tells what is taken elsewhere and must be done without, down to
	// least; nil for nothing.
	others func() int64

	mu     sync.Mutex
	slabs  [][]byte
	free   [17][][]byte // by the logarithm of the size
	used   int64        // bytes handed out
	stores []*store
}

func newMemory(limit int64) *memory { return &memory{limit: limit} }

// take gives an empty chunk whose capacity is size, a power of two.
func (m *memory) take(size int) ([]byte, error) {
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
		slab, err := unix.Mmap(-1, 0, slabBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			return nil, fmt.Errorf("allocate memory: %w", err)
		}
		m.slabs = append(m.slabs, slab)
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

func (m *memory) room() int64 {
	if m.others == nil {
		return m.limit
	}
	return max(m.least, m.limit-m.others())
}

// largest is the store with the most bytes to spill, nil where none has any
// worth it. m.mu is held.
func (m *memory) largest() *store {
	var found *store
	most := int64(slabBytes) / 4
	for _, s := range m.stores {
		if n := s.full.Load(); n >= most && !s.sealed.Load() {
			found, most = s, n
		}
	}
	return found
}

// give takes chunks back that all have one capacity.
func (m *memory) give(chunks [][]byte) {
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

// close unmaps everything.
func (m *memory) close() {
	for _, s := range m.slabs {
		unix.Munmap(s) //nolint:errcheck // nothing can be done about it
	}
	m.slabs = nil
	clear(m.free[:])
}
