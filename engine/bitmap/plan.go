package bitmap

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"throng/engine"
	"throng/engine/bitmap/rowset"
	"throng/internal/words"
	"throng/query"
)

// op is what a node of a plan does. The set is smaller than that of query
// nodes: compiling leaves only what a block can be evaluated by.
type op uint8

const (
	opNone   op = iota // no row
	opAll              // every row
	opUnion            // any of terms
	opLeast            // at least k of terms; 2 <= k < len(terms)
	opAnd              // all of kids; at least two
	opOr               // any of kids; at least two
	opNot              // not the one kid
	opPhrase           // all of terms, and the phrase in the texts of field
	opRows             // the rows of a set
)

// node is a set of rows, ready to be evaluated on any block. It is immutable
// once its plan is made.
type node struct {
	op    op
	id    int     // position in plan.nodes
	k     int     // of opLeast
	terms []int32 // positions in plan.terms, ascending and distinct
	kids  []*node
	rows  *rowset.Set // of opRows

	field  query.Field // of opPhrase
	phrase words.Phrase
	text   string // the phrase's words, for the key

	// key tells nodes of one generation apart: equal keys are equal sets.
	key [32]byte
}

// tally is a size that a plan finds.
type tally struct {
	key  [32]byte // of the set, for the cache
	n    uint64   // where need is false
	need bool     // it has to be counted
}

// step is one step of a definition.
type step struct {
	index int
	op    query.Op
	node  *node
	alone tally // of its node
	// collect takes the rows of the node, where they are to be kept.
	collect *collector
	after   tally // of what is left after it; where it is the last of its kind the plan has that
}

// whole tells whether the step's node has to be evaluated by itself.
func (s *step) whole() bool { return s.alone.need || s.collect != nil }

// plan is a definition compiled for one generation. It is immutable while it
// runs.
type plan struct {
	want     engine.Sizes
	steps    []step
	includes []*step // in the order in which they are applied, like those below
	filters  []*step
	excludes []*step
	include  tally // after the includes
	filter   tally // after the filters
	exclude  tally // after the exclusions

	terms []uint32 // every term asked for, ascending
	nodes []*node
}

// compiler makes a plan. Nodes first hold term numbers, which finish turns
// into positions.
type compiler struct {
	gen *core
}

// compile turns a definition into a plan for the generation.
// engine.ErrForeignRows where it holds rows of another one.
func (g *core) compile(d query.Definition, want engine.Sizes) (*plan, error) {
	c := &compiler{gen: g}
	p := &plan{want: want, steps: make([]step, len(d.Steps))}
	for i, s := range d.Steps {
		n, err := c.node(s.Node)
		if err != nil {
			return nil, err
		}
		st := &p.steps[i]
		st.index, st.op, st.node = i, s.Op, n
		switch s.Op {
		case query.Include:
			p.includes = append(p.includes, st)
		case query.Filter:
			p.filters = append(p.filters, st)
		case query.Exclude:
			p.excludes = append(p.excludes, st)
		}
	}
	c.finish(p)
	return p, g.settle(nil, g.files.Dict)
}

// finish looks up what is known already, and numbers terms and nodes.
func (c *compiler) finish(p *plan) {
	for i := range p.steps {
		s := &p.steps[i]
		s.node = c.kept(s.node)
		s.alone.key = s.node.key
		if p.want&engine.Alone != 0 {
			c.find(&s.alone, s.node)
		}
	}
	c.totals(p)
	c.order(p)
	for i := range p.steps {
		p.number(p.steps[i].node)
	}
	slices.Sort(p.terms)
	p.terms = slices.Compact(p.terms)
	for _, n := range p.nodes {
		for i, t := range n.terms {
			at, _ := slices.BinarySearch(p.terms, uint32(t))
			n.terms[i] = int32(at)
		}
	}
}

// kept puts rows that are kept from earlier counts in the place of what they
// are the rows of.
func (c *compiler) kept(n *node) *node {
	if worthKeeping(n) {
		if set := c.gen.sets.Get(n.key); set != nil {
			return &node{op: opRows, rows: set, key: n.key}
		}
	}
	for i, kid := range n.kids {
		n.kids[i] = c.kept(kid)
	}
	return n
}

// number gives a node and its kids, which come before it, their numbers, and
// notes their terms.
func (p *plan) number(n *node) {
	for _, kid := range n.kids {
		p.number(kid)
	}
	if n.id < len(p.nodes) && p.nodes[n.id] == n {
		return // it is there already
	}
	n.id = len(p.nodes)
	p.nodes = append(p.nodes, n)
	for _, t := range n.terms {
		p.terms = append(p.terms, uint32(t))
	}
}

// find gives a node's size where it is known without evaluating it, and else
// says that it is needed.
func (c *compiler) find(t *tally, n *node) {
	size, ok := c.size(n)
	t.n, t.need = size, !ok
}

func (c *compiler) size(n *node) (uint64, bool) {
	switch n.op {
	case opNone:
		return 0, true
	case opAll:
		return c.gen.rows, true
	case opRows:
		return n.rows.Len(), true
	case opUnion:
		if len(n.terms) == 1 {
			people, err := c.gen.people(uint32(n.terms[0]))
			return people, err == nil // a damage is found again by the count
		}
	case opNot:
		if size, ok := c.size(n.kids[0]); ok {
			return c.gen.rows - size, true
		}
	case opLeast, opAnd, opOr, opPhrase:
	}
	return c.gen.sizes.Get(n.key)
}

// totals derives keys for the sizes after steps: each is that of a node made
// of the steps' nodes so far, whatever their order.
func (c *compiler) totals(p *plan) {
	if len(p.includes) == 0 {
		return // nobody, whatever follows
	}
	includes := func(n int) [32]byte { return keyOf(opOr, 0, nil, keysOf(p.includes[:n])) }
	p.include.key = includes(len(p.includes))
	filters := func(n int) [32]byte {
		return keyOf(opAnd, 0, nil, append(keysOf(p.filters[:n]), p.include.key))
	}
	p.filter.key = filters(len(p.filters))
	excludes := func(n int) [32]byte {
		if n == 0 {
			return p.filter.key
		}
		not := keyOf(opNot, 0, nil, [][32]byte{keyOf(opOr, 0, nil, keysOf(p.excludes[:n]))})
		return keyOf(opAnd, 0, nil, [][32]byte{p.filter.key, not})
	}
	p.exclude.key = excludes(len(p.excludes))
	for _, t := range []*tally{&p.include, &p.filter, &p.exclude} {
		c.recall(t)
	}
	if len(p.includes) == 1 && p.include.need {
		c.find(&p.include, p.includes[0].node)
	}
	if p.want&engine.After == 0 {
		return
	}
	for _, kind := range []struct {
		steps []*step
		key   func(n int) [32]byte
	}{{p.includes, includes}, {p.filters, filters}, {p.excludes, excludes}} {
		for i := range max(len(kind.steps)-1, 0) {
			s := kind.steps[i]
			s.after.key = kind.key(i + 1)
			if c.recall(&s.after); s.after.need && s.op == query.Include && i == 0 {
				c.find(&s.after, s.node)
			}
		}
	}
}

// recall looks a size up, and says that it is needed where it is not known.
func (c *compiler) recall(t *tally) {
	n, ok := c.gen.sizes.Get(t.key)
	t.n, t.need = n, !ok
}

// order puts filters and exclusions that cost least first, where nobody asks
// for the sizes in between: what is left may be nothing then.
func (c *compiler) order(p *plan) {
	if p.want&engine.After != 0 {
		return
	}
	cheap := func(a, b *step) int { return cheapFirst(a.node, b.node) }
	slices.SortStableFunc(p.filters, cheap)
	slices.SortStableFunc(p.excludes, cheap)
}

func keysOf(steps []*step) [][32]byte {
	keys := make([][32]byte, len(steps))
	for i, s := range steps {
		keys[i] = s.node.key
	}
	return keys
}

// keyOf is the canonical key of a node whose kids have these keys. It sorts
// keys: the order and the number of equal kids do not matter to a set.
func keyOf(o op, k int, extra []byte, keys [][32]byte) [32]byte {
	slices.SortFunc(keys, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	keys = slices.Compact(keys)
	b := make([]byte, 0, 16+len(extra)+32*len(keys))
	b = append(b, byte(o))
	b = binary.LittleEndian.AppendUint64(b, uint64(k))
	b = append(b, extra...)
	for _, key := range keys {
		b = append(b, key[:]...)
	}
	return sha256.Sum256(b)
}

// known tells whether nothing is left to count.
func (p *plan) known() bool {
	for i := range p.steps {
		if p.steps[i].alone.need || p.steps[i].after.need {
			return false
		}
	}
	return !p.include.need && !p.filter.need && !p.exclude.need
}
