package bitmap

import (
	"sync/atomic"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/recall"
	"throng/engine/bitmap/rowset"
	"throng/engine/bitmap/storage"
)

// collector keeps the rows of a node while a plan evaluates it, block by
// block, for the cache. It gives up where they are too many. It is safe for
// concurrent use on different blocks.
type collector struct {
	cache  *recall.Sets
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
	limit := g.sets.Bound()
	if limit == 0 || !worthKeeping(n) {
		return nil
	}
	base := int64(g.blocks) * blockBytes
	c := &collector{cache: g.sets, most: limit / 2, before: g.sets.Ask(n.key)}
	if base > c.most {
		return nil
	}
	if !known {
		size = g.sizeAtMost(p, n)
	}
	// To collect what then finds no room costs as much as to keep it.
	if !g.sets.Room(base+min(int64(2*size), int64(g.blocks)*storage.BlockWords*8), c.before) || !c.reserve(base) {
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
	if c.bytes.Add(bytes) > c.most || !c.cache.Reserve(bytes, c.before) {
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
		c.cache.Release(c.bytes.Load())
		return
	}
	c.cache.Put(key, g.newRowSet(c.blocks), c.bytes.Load())
}
