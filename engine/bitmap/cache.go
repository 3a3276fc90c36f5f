package bitmap

import (
	"container/list"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/rowset"
	"throng/engine/bitmap/storage"
)

// A generation remembers what earlier counts have found: sizes of nodes and of
// what steps leave, which are small, and the rows of those nodes that cost much
// to evaluate, as far as there is room. So a preview of a definition in which
// one parameter changed evaluates that parameter, and for the others reads one
// set each.

// sizeCache keeps exact sizes of nodes. It takes its memory, 2.6 MB, with the
// first, so that a server's does not grow for as long as it meets new
// definitions. It is safe for concurrent use.
type sizeCache struct {
	off   bool // keep nothing
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

// line is where a node's size has its place: keys are as good as random.
func (c *sizeCache) line(key [32]byte) *sizeLine {
	return &c.lines[binary.LittleEndian.Uint64(key[:])%sizeLines]
}

func (c *sizeCache) get(key [32]byte) (uint64, bool) {
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

func (c *sizeCache) put(key [32]byte, n uint64) {
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

// setCache keeps the rows of nodes, those that were used last. A set is
// forgotten for another only where that was asked for later than this: somebody
// who tries one value after the other in one parameter does not push out the
// parameters that stay, nor what will never come again. It is safe for
// concurrent use.
type setCache struct {
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

// get gives the rows of a node, nil where they are not kept. They stay valid
// when they are forgotten meanwhile.
func (c *setCache) get(key [32]byte) *rowset.Set {
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

// ask notes that a node is asked for and tells when it was before, 0 for never.
func (c *setCache) ask(key [32]byte) (before uint64) {
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

// bound is how many bytes may be kept.
func (c *setCache) bound() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limit
}

// room tells whether so many bytes fit beside what was used since before.
func (c *setCache) room(bytes int64, before uint64) bool {
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

// reserve takes bytes for a set that is being collected, and forgets for it
// what was not used since before, what was not used for longest first. It
// returns false where there is no room.
func (c *setCache) reserve(bytes int64, before uint64) bool {
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

func (c *setCache) forget(e *list.Element) {
	old := c.order.Remove(e).(*cachedSet)
	delete(c.sets, old.key)
	if c.asked != nil {
		c.asked[old.key] = old.asked
	}
	c.used -= old.bytes
}

// release gives back what was reserved.
func (c *setCache) release(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used -= bytes
}

// put keeps a set, for which bytes were reserved.
func (c *setCache) put(key [32]byte, set *rowset.Set, bytes int64) {
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

// drop forgets everything and keeps nothing any more.
func (c *setCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = 0
	for c.order.Len() > 0 {
		c.forget(c.order.Back())
	}
	c.asked = nil
}

// collector keeps the rows of a node while a plan evaluates it, block by
// block, for the cache. It gives up where they are too many. It is safe for
// concurrent use on different blocks.
type collector struct {
	cache  *setCache
	most   int64
	before uint64 // when the node was asked for before
	blocks []rowset.Block
	bytes  atomic.Int64 // reserved
	full   atomic.Bool  // given up
}

// blockBytes is what a block of a set takes beside its rows.
const blockBytes = 48

// collect makes a collector for a node of a plan, nil where its rows are not
// to be kept. size is that of the node, where it is known.
func (g *core) collect(p *plan, n *node, size uint64, known bool) *collector {
	limit := g.sets.bound()
	if limit == 0 || !worthKeeping(n) {
		return nil
	}
	base := int64(g.blocks) * blockBytes
	c := &collector{cache: &g.sets, most: limit / 2, before: g.sets.ask(n.key)}
	if base > c.most {
		return nil
	}
	if !known {
		size = g.sizeAtMost(p, n)
	}
	// To collect what then finds no room costs as much as to keep it.
	if !g.sets.room(base+min(int64(2*size), int64(g.blocks)*storage.BlockWords*8), c.before) || !c.reserve(base) {
		return nil
	}
	c.blocks = make([]rowset.Block, g.blocks)
	return c
}

// worthKeeping tells whether evaluating a node costs much more than reading
// its rows. Terms are as good as kept: they lie in the index.
func worthKeeping(n *node) bool {
	switch n.op {
	case opNone, opAll, opRows:
	case opUnion:
		return len(n.terms) > 2
	case opLeast, opPhrase, opAnd, opOr:
		return true
	case opNot:
		return worthKeeping(n.kids[0])
	}
	return false
}

// sizeAtMost is an upper bound of the size of a plan's node, by the sizes of
// its terms.
func (g *core) sizeAtMost(p *plan, n *node) uint64 {
	sum := uint64(0)
	switch n.op {
	case opNone:
		return 0
	case opRows:
		return n.rows.Len()
	case opUnion, opLeast:
		for _, t := range n.terms {
			sum += g.peopleAtMost(p.terms[t])
		}
		sum /= uint64(max(n.k, 1))
	case opPhrase:
		sum = g.rows
		for _, t := range n.terms {
			sum = min(sum, g.peopleAtMost(p.terms[t]))
		}
	case opAnd:
		sum = g.rows
		for _, kid := range n.kids {
			sum = min(sum, g.sizeAtMost(p, kid))
		}
	case opOr:
		for _, kid := range n.kids {
			sum += g.sizeAtMost(p, kid)
		}
	case opAll, opNot:
		sum = g.rows
	}
	return min(sum, g.rows)
}

// peopleAtMost is how many people have a term; everybody where that cannot be
// read, which the count will find, too.
func (g *core) peopleAtMost(term uint32) uint64 {
	if people, err := g.people(term); err == nil {
		return people
	}
	return g.rows
}

func (c *collector) reserve(bytes int64) bool {
	if c.full.Load() {
		return false
	}
	if c.bytes.Add(bytes) > c.most || !c.cache.reserve(bytes, c.before) {
		c.bytes.Add(-bytes)
		c.full.Store(true)
		return false
	}
	return true
}

// add keeps the n rows of b, those of a block of the generation.
func (c *collector) add(block int, b *kernel.Block, n int) {
	if n > 0 && c.reserve(rowset.Bytes(n)) {
		c.blocks[block] = rowset.NewBlock(b, n)
	}
}

// done hands the set to the cache, or gives back what it took.
func (c *collector) done(g *core, key [32]byte, complete bool) {
	if !complete || c.full.Load() {
		c.cache.release(c.bytes.Load())
		return
	}
	c.cache.put(key, g.newRowSet(c.blocks), c.bytes.Load())
}
