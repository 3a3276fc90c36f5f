// Package recall remembers what earlier counts of a generation have found: sizes
// of nodes and of what steps leave, which are small, and the rows of those nodes
// that cost much to evaluate, as far as there is room. So a preview of a
// definition in which one parameter changed evaluates that parameter, and for the
// others reads one set each.
//
// A node is told by its key, a hash of all that its rows depend on.
package recall

import (
	"container/list"
	"encoding/binary"
	"sync"

	"throng/engine/bitmap/rowset"
)

// Sizes keeps exact sizes of nodes. It takes its memory, 2.6 MB, with the
// first, so that a server's does not grow for as long as it meets new
// definitions. It is safe for concurrent use.
type Sizes struct {
	off   bool
	mu    sync.Mutex
	lines []sizeLine
	turn  int // whose place in a full line is taken next
}

// sizeLine holds the sizes of four nodes whose keys share their first bits. A
// key of zeros is a free place: no node has that hash.
type sizeLine [4]struct {
	key  [32]byte
	size uint64
}

// sizeLines is a power of two.
const sizeLines = 1 << 14

// NewSizes makes a cache of sizes; off keeps nothing.
func NewSizes(off bool) *Sizes { return &Sizes{off: off} }

// line is where a node's size has its place: keys are as good as random.
func (c *Sizes) line(key [32]byte) *sizeLine {
	return &c.lines[binary.LittleEndian.Uint64(key[:])%sizeLines]
}

// Get gives the size of a node, where it is kept.
func (c *Sizes) Get(key [32]byte) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lines == nil {
		return 0, false
	}
	for _, e := range c.line(key) {
		if e.key == key {
			return e.size, true
		}
	}
	return 0, false
}

// Put keeps the size of a node.
func (c *Sizes) Put(key [32]byte, n uint64) {
	if c.off {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lines == nil {
		c.lines = make([]sizeLine, sizeLines)
	}
	line := c.line(key)
	c.turn = (c.turn + 1) % len(line)
	at := c.turn
	for i, e := range line {
		if e.key == key || e.key == [32]byte{} {
			at = i
			break
		}
	}
	line[at].key, line[at].size = key, n
}

// Sets keeps the rows of nodes, those that were used last. A set is
// forgotten for another only where that was asked for later than this: somebody
// who tries one value after the other in one parameter does not push out the
// parameters that stay, nor what will never come again. It is safe for
// concurrent use.
type Sets struct {
	mu    sync.Mutex
	limit int64 // in bytes; 0 keeps nothing
	used  int64 // bytes of what is kept and of what is being collected
	sets  map[[32]byte]*list.Element
	order list.List // of *cachedSet, the one used last first

	clock uint64              // counts what is asked for
	asked map[[32]byte]uint64 // when each node that is worth keeping was last asked for
}

type cachedSet struct {
	key   [32]byte
	set   *rowset.Set
	bytes int64
	asked uint64 // when it was used last
}

// maxAsked bounds what is remembered of nodes to some 200 KB.
const maxAsked = 1 << 12

// NewSets makes a cache of so many bytes.
func NewSets(limit int64) *Sets { return &Sets{limit: limit} }

// Get gives the rows of a node, nil where they are not kept. They stay valid
// when they are forgotten meanwhile.
func (c *Sets) Get(key [32]byte) *rowset.Set {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.sets[key]
	if e == nil {
		return nil
	}
	c.clock++
	e.Value.(*cachedSet).asked = c.clock
	c.order.MoveToFront(e)
	return e.Value.(*cachedSet).set
}

// Ask notes that a node is asked for and tells when it was before, 0 for never.
func (c *Sets) Ask(key [32]byte) (before uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		c.asked = map[[32]byte]uint64{}
	}
	before = c.asked[key]
	for old := range c.asked { // any one: keys are as good as random
		if before != 0 || len(c.asked) < maxAsked {
			break
		}
		delete(c.asked, old)
	}
	c.clock++
	c.asked[key] = c.clock
	return before
}

// Bound is how many bytes may be kept.
func (c *Sets) Bound() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limit
}

// Room tells whether so many bytes fit beside what was used since before.
func (c *Sets) Room(bytes int64, before uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	free := c.limit - c.used
	for e := c.order.Back(); e != nil && free < bytes; e = e.Prev() {
		old := e.Value.(*cachedSet)
		if old.asked >= before {
			break
		}
		free += old.bytes
	}
	return free >= bytes
}

// Reserve takes bytes for a set that is being collected, and forgets for it
// what was not used since before, what was not used for longest first. It
// returns false where there is no room.
func (c *Sets) Reserve(bytes int64, before uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.used+bytes > c.limit {
		last := c.order.Back()
		if last == nil || last.Value.(*cachedSet).asked >= before {
			return false
		}
		c.forget(last)
	}
	c.used += bytes
	return true
}

func (c *Sets) forget(e *list.Element) {
	old := c.order.Remove(e).(*cachedSet)
	delete(c.sets, old.key)
	if c.asked != nil {
		c.asked[old.key] = old.asked
	}
	c.used -= old.bytes
}

// Release gives back what was reserved.
func (c *Sets) Release(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used -= bytes
}

// Put keeps a set, for which bytes were reserved.
func (c *Sets) Put(key [32]byte, set *rowset.Set, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets[key] != nil { // another count was faster
		c.used -= bytes
		return
	}
	if c.sets == nil {
		c.sets = map[[32]byte]*list.Element{}
	}
	c.clock++
	c.sets[key] = c.order.PushFront(&cachedSet{key, set, bytes, c.clock})
}

// Kept tells how many sets are kept, and how many bytes they take.
func (c *Sets) Kept() (sets int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; e = e.Next() {
		bytes += e.Value.(*cachedSet).bytes
	}
	return len(c.sets), bytes
}

// Held is how many bytes are taken by what is kept and what is being collected.
func (c *Sets) Held() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

// Drop forgets everything and keeps nothing any more.
func (c *Sets) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = 0
	for c.order.Len() > 0 {
		c.forget(c.order.Back())
	}
	c.asked = nil
}
