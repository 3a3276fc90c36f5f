package bitmap

import (
	"container/list"
	"sync"
	"sync/atomic"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

// A generation remembers what earlier counts have found: sizes of nodes and of
// what steps leave, which are small, and the rows of those nodes that cost much
// to evaluate, as far as there is room. So a preview of a definition in which
// one parameter changed evaluates that parameter, and for the others reads one
// set each.

// sizeCache keeps exact sizes of nodes. It is safe for concurrent use.
type sizeCache struct {
	off   bool // keep nothing
	mu    sync.Mutex
	sizes map[[32]byte]uint64
}

// maxSizes bounds a cache to some 5 MB.
const maxSizes = 1 << 16

func (c *sizeCache) get(key [32]byte) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.sizes[key]
	return n, ok
}

func (c *sizeCache) put(key [32]byte, n uint64) {
	if c.off {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sizes == nil {
		c.sizes = map[[32]byte]uint64{}
	}
	for old := range c.sizes { // any one: keys are as good as random
		if len(c.sizes) < maxSizes {
			break
		}
		delete(c.sizes, old)
	}
	c.sizes[key] = n
}

// setCache keeps the rows of nodes, those that were used last. It is safe for
// concurrent use.
type setCache struct {
	mu    sync.Mutex
	limit int64 // in bytes; 0 keeps nothing
	used  int64 // bytes of what is kept and of what is being collected
	sets  map[[32]byte]*list.Element
	order list.List // of *cachedSet, the one used last first
}

type cachedSet struct {
	key   [32]byte
	set   *rowSet
	bytes int64
}

// get gives the rows of a node, nil where they are not kept. They stay valid
// when they are forgotten meanwhile.
func (c *setCache) get(key [32]byte) *rowSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.sets[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedSet).set
}

// bound is how many bytes may be kept.
func (c *setCache) bound() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limit
}

// room tells whether so many bytes fit beside all that is kept.
func (c *setCache) room(bytes int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used+bytes <= c.limit
}

// reserve takes bytes for a set that is being collected, and forgets for it
// what was not used for longest. It returns false where there is no room.
func (c *setCache) reserve(bytes int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes > c.limit {
		return false
	}
	for c.used+bytes > c.limit {
		last := c.order.Back()
		if last == nil {
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
	c.used -= old.bytes
}

// release gives back what was reserved.
func (c *setCache) release(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used -= bytes
}

// put keeps a set, for which bytes were reserved.
func (c *setCache) put(key [32]byte, set *rowSet, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets[key] != nil { // another count was faster
		c.used -= bytes
		return
	}
	if c.sets == nil {
		c.sets = map[[32]byte]*list.Element{}
	}
	c.sets[key] = c.order.PushFront(&cachedSet{key, set, bytes})
}

// drop forgets everything and keeps nothing any more.
func (c *setCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = 0
	for c.order.Len() > 0 {
		c.forget(c.order.Back())
	}
}

// collector keeps the rows of a node while a plan evaluates it, block by
// block, for the cache. It gives up where they are too many. It is safe for
// concurrent use on different blocks.
type collector struct {
	cache  *setCache
	most   int64
	blocks []rowBlock
	bytes  atomic.Int64 // reserved
	full   atomic.Bool  // given up
}

// blockBytes is what a block of a set takes beside its rows.
const blockBytes = 48

// collect makes a collector for a node of a plan, nil where its rows are not
// to be kept. size is that of the node, where it is known.
func (g *core) collect(n *node, size uint64, known bool) *collector {
	limit := g.sets.bound()
	if limit == 0 || !worthKeeping(n) {
		return nil
	}
	base := int64(g.blocks) * blockBytes
	c := &collector{cache: &g.sets, most: limit / 2}
	if base > c.most {
		return nil
	}
	// What was counted before and is not kept was forgotten for others: they
	// are not to be forgotten for it now, or both would come and go for ever.
	if known && !g.sets.room(base+min(int64(2*size), int64(g.blocks)*storage.BlockWords*8)) {
		return nil
	}
	if !c.reserve(base) {
		return nil
	}
	c.blocks = make([]rowBlock, g.blocks)
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

func (c *collector) reserve(bytes int64) bool {
	if c.full.Load() {
		return false
	}
	if c.bytes.Add(bytes) > c.most || !c.cache.reserve(bytes) {
		c.bytes.Add(-bytes)
		c.full.Store(true)
		return false
	}
	return true
}

// add keeps the n rows of b, those of a block of the generation.
func (c *collector) add(block int, b *kernel.Block, n int) {
	if n > 0 && c.reserve(rowBytes(n)) {
		c.blocks[block] = newRowBlock(b, n)
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
