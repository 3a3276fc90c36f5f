package intern

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"throng/engine/bitmap/load/invert"
	"throng/query"
)

// None is the number of no term.
const None = ^uint32(0)

const (
	dictShards = 64
	arenaBytes = 1 << 20
	// termBytes is what a term takes beside its value and its slot: where it
	// lies, and at the end its final number and its place among the sorted.
	termBytes = 8 + 4 + 4 + 16
)

// Dictionary gives every distinct term a temporary number, in the order in
// which they happen to be met; final numbers come from sorting when all rows
// are read. Terms lie in arenas without a heap object each.
//
// Its memory is what the distinct terms take, some 60 bytes each beside their
// values, whatever the number of rows; it lies outside the heap. What it takes
// the stores of rows have to do without. When it is full it is frozen: what it
// does not hold by then goes to the overflow, term by term for good, so that
// no term is in both.
type Dictionary struct {
	limit  int64
	size   atomic.Int64
	frozen atomic.Bool
	shards [dictShards]dictShard
	// bounded says that the dictionary may freeze: all terms of the tables
	// that are kept in memory anyway are in it.
	bounded bool
	// declared is the bound of the numbers that may be of terms without a
	// row; used has a bit for each of them that has one.
	declared uint32
	used     []atomic.Uint64
}

// NewDictionary makes a dictionary that freezes, once it may, at so many bytes.
func NewDictionary(limit int64) *Dictionary { return &Dictionary{limit: limit} }

// Taken is how many bytes it takes. Anyone may ask at any time.
func (d *Dictionary) Taken() int64 { return d.size.Load() }

type dictShard struct {
	mu    sync.Mutex
	slots []uint64 // high half of the hash | index + 1; 0 where free
	pos   []uint64 // of each term: arena << 32 | offset
	arena [][]byte
	table []byte   // the mapping of slots and pos
	maps  [][]byte // all mappings
	_     [40]byte // neighbours' locks are on other cache lines
}

func termHash(field uint8, value []byte) uint64 {
	return (xxhash.Sum64(value) ^ uint64(field)) * 0x9e3779b97f4a7c15
}

// intern gives the number of a term, and its value as it lies in the arena;
// None where the dictionary is frozen and does not hold it.
func (d *Dictionary) intern(hash uint64, field uint8, value []byte) (uint32, []byte, error) {
	i := hash >> 58
	s := &d.shards[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	index, v, found := s.find(hash, field, value)
	if !found {
		// A term is refused for good: whoever asks for it next holds the lock
		// later, and sees that the dictionary is frozen.
		if d.frozen.Load() || !d.charge(s, len(value)) {
			return None, nil, nil
		}
		if err := d.insert(s, hash, field, value); err != nil {
			return 0, nil, err
		}
		index = uint32(len(s.pos) - 1)
		_, v = s.term(index)
	}
	return index*dictShards + uint32(i), v, nil
}

func (s *dictShard) find(hash uint64, field uint8, value []byte) (index uint32, v []byte, ok bool) {
	if len(s.slots) == 0 {
		return 0, nil, false
	}
	mask := uint64(len(s.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		slot := s.slots[at]
		if slot == 0 {
			return 0, nil, false
		}
		if slot>>32 != hash<<6>>32 {
			continue
		}
		index := uint32(slot) - 1
		if f, v := s.term(index); f == field && bytes.Equal(v, value) {
			return index, v, true
		}
	}
}

// full tells whether the slots do not hold one more term.
func (s *dictShard) full() bool { return 4*(len(s.pos)+1) > 3*len(s.slots) }

// charge counts the memory of one more term, with that of the slots that it
// makes necessary, and freezes the dictionary where there is not as much.
func (d *Dictionary) charge(s *dictShard, value int) bool {
	n := int64(1+binary.MaxVarintLen32+value) + termBytes
	if s.full() {
		n += int64(slotsAfter(s)-len(s.slots)) * 8
	}
	if d.size.Add(n) > d.limit && d.bounded || len(s.pos) >= invert.MaxTerms/dictShards {
		d.size.Add(-n)
		d.frozen.Store(true)
		return false
	}
	return true
}

func slotsAfter(s *dictShard) int { return max(512, 2*len(s.slots)) }

// insert adds a term that is not there and whose memory was charged.
func (d *Dictionary) insert(s *dictShard, hash uint64, field uint8, value []byte) error {
	if s.full() {
		if err := s.grow(); err != nil {
			return err
		}
	}
	mask := uint64(len(s.slots) - 1)
	at := hash & mask
	for s.slots[at] != 0 {
		at = (at + 1) & mask
	}
	need := 1 + binary.MaxVarintLen32 + len(value)
	last := len(s.arena) - 1
	if last < 0 || cap(s.arena[last])-len(s.arena[last]) < need {
		a, err := s.alloc(max(need, arenaBytes))
		if err != nil {
			return err
		}
		s.arena = append(s.arena, a[:0])
		last++
	}
	a := s.arena[last]
	s.pos = append(s.pos, uint64(last)<<32|uint64(len(a))) // grow made room
	a = append(a, field)
	a = binary.AppendUvarint(a, uint64(len(value)))
	s.arena[last] = append(a, value...)
	s.slots[at] = hash<<6>>32<<32 | uint64(len(s.pos))
	return nil
}

// alloc maps memory for the shard.
func (s *dictShard) alloc(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("allocate memory: %w", err)
	}
	s.maps = append(s.maps, b)
	return b, nil
}

// grow doubles the slots, and the room for terms with them.
func (s *dictShard) grow() error {
	n := slotsAfter(s)
	table, err := s.alloc(n*8 + n*6) // three terms for four slots
	if err != nil {
		return err
	}
	words := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(table))), len(table)/8)
	slots := words[:n:n]
	s.pos = append(words[n:n:len(words)], s.pos...)
	for i := range s.pos {
		f, v := s.term(uint32(i))
		h := termHash(f, v)
		at := h & uint64(n-1)
		for slots[at] != 0 {
			at = (at + 1) & uint64(n-1)
		}
		slots[at] = h<<6>>32<<32 | uint64(i+1)
	}
	s.slots = slots
	if s.table != nil {
		s.maps = slices.DeleteFunc(s.maps, func(b []byte) bool { return &b[0] == &s.table[0] })
		unix.Munmap(s.table) //nolint:errcheck // nothing can be done about it
	}
	s.table = table
	return nil
}

// Close gives the memory back. No value is valid any more.
func (d *Dictionary) Close() {
	for i := range d.shards {
		s := &d.shards[i]
		for _, b := range s.maps {
			unix.Munmap(b) //nolint:errcheck // nothing can be done about it
		}
		s.maps, s.table, s.slots, s.pos, s.arena = nil, nil, nil, nil, nil
	}
}

// term gives a term by its index in the shard.
func (s *dictShard) term(index uint32) (field uint8, value []byte) {
	p := s.pos[index]
	b := s.arena[p>>32][uint32(p):]
	n, k := binary.Uvarint(b[1:])
	return b[0], b[1+k:][:n]
}

// Term gives a term by its temporary number; the value is valid until Close. It is for when no other goroutine
// interns, or for whoever interned the term himself.
func (d *Dictionary) Term(t uint32) (field uint8, value []byte) {
	return d.shards[t%dictShards].term(t / dictShards)
}

// bound is above every number given so far.
func (d *Dictionary) bound() uint32 {
	n := 0
	for i := range d.shards {
		n = max(n, len(d.shards[i].pos))
	}
	return uint32(n) * dictShards
}

// Declare ends the numbers of terms that may turn out to have no row. From now
// on every row's term goes through use, and the memory is bounded.
func (d *Dictionary) Declare() {
	d.bounded = true
	d.declared = d.bound()
	d.used = make([]atomic.Uint64, (d.declared+63)/64)
}

// Declared is the number above those of terms that may turn out to have no
// row; 0 before Declare.
func (d *Dictionary) Declared() uint32 { return d.declared }

// Use notes that a row has the term.
func (d *Dictionary) Use(t uint32) {
	if t >= d.declared {
		return
	}
	if bit := uint64(1) << (t & 63); d.used[t>>6].Load()&bit == 0 {
		d.used[t>>6].Or(bit)
	}
}

func (d *Dictionary) isUsed(t uint32) bool {
	return t >= d.declared || d.used[t>>6].Load()>>(t&63)&1 != 0
}

type sortedTerm struct {
	prefix uint64 // the eight bytes of the value at hand
	term   uint32
	left   uint32 // bytes of the value from there on, at most 9
}

// sortTerms sorts terms of one field whose values have the first from bytes in
// common. Names often begin alike, and a value is far away in memory: each is
// looked at once for eight of its bytes, not once for each comparison.
func (d *Dictionary) sortTerms(terms []sortedTerm, from int) {
	const word = 8
	for i := range terms {
		_, v := d.Term(terms[i].term)
		var b [word]byte
		copy(b[:], v[from:])
		terms[i].prefix = binary.BigEndian.Uint64(b[:])
		terms[i].left = uint32(min(len(v)-from, word+1))
	}
	slices.SortFunc(terms, func(a, b sortedTerm) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return cmp.Compare(a.left, b.left) // zeros stand for bytes that are not there
	})
	for len(terms) > 0 {
		n := 1
		for n < len(terms) && terms[n].prefix == terms[0].prefix && terms[n].left == terms[0].left {
			n++
		}
		if n > 1 { // and so left is word+1: values are distinct
			d.sortTerms(terms[:n], from+word)
		}
		terms = terms[n:]
	}
}

// Number sorts the terms that rows have: order lists their temporary numbers
// field by field, by value; final gives the position in order by temporary
// number, None for the others.
func (d *Dictionary) Number(workers int) (order, final []uint32) {
	fields := len(query.TermFields()) + len(query.TextFields())
	byField := make([][]sortedTerm, fields)
	counts := make([]int, fields)
	for i := range d.shards {
		s := &d.shards[i]
		for j := range s.pos {
			f, _ := s.term(uint32(j))
			counts[f]++
		}
	}
	total := 0
	for f, n := range counts {
		byField[f] = make([]sortedTerm, 0, n)
		total += n
	}
	for i := range d.shards {
		s := &d.shards[i]
		for j := range s.pos {
			t := uint32(j)*dictShards + uint32(i)
			if d.isUsed(t) {
				f, _ := s.term(uint32(j))
				byField[f] = append(byField[f], sortedTerm{term: t})
			}
		}
	}
	var g errgroup.Group
	g.SetLimit(max(workers, 1))
	for _, terms := range byField {
		g.Go(func() error {
			d.sortTerms(terms, 0)
			return nil
		})
	}
	g.Wait() //nolint:errcheck // none returns one
	order = make([]uint32, 0, total)
	final = make([]uint32, d.bound())
	for i := range final {
		final[i] = None
	}
	for _, terms := range byField {
		for _, t := range terms {
			final[t.term] = uint32(len(order))
			order = append(order, t.term)
		}
	}
	return order, final
}

// Cache is one goroutine's way to the dictionary: it remembers the terms met
// most recently, which saves most of the locking.
type Cache struct {
	d     *Dictionary
	cache []cachedTerm
}

type cachedTerm struct {
	hash  uint64
	value []byte // in the arena
	term  uint32
	field uint8
	set   bool
}

const cachedTerms = 1 << 13

// NewCache makes a goroutine's way to the dictionary.
func (d *Dictionary) NewCache() *Cache {
	return &Cache{d: d, cache: make([]cachedTerm, cachedTerms)}
}

// Intern gives the number of a term, None where the dictionary is frozen and
// does not hold it.
func (t *Cache) Intern(field uint8, value []byte) (uint32, error) {
	hash := termHash(field, value)
	c := &t.cache[hash&(cachedTerms-1)]
	if c.hash == hash && c.set && c.field == field && bytes.Equal(c.value, value) {
		return c.term, nil
	}
	n, v, err := t.d.intern(hash, field, value)
	if err != nil || n == None {
		return n, err
	}
	*c = cachedTerm{hash: hash, value: v, term: n, field: field, set: true}
	return n, nil
}
