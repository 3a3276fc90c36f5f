package bitmap

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

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
	rows  *rowSet // of opRows

	field  query.Field // of opPhrase
	phrase words.Phrase
	text   string // the phrase's words, for the key

	// key tells nodes of one generation apart: equal keys are equal sets.
	key [32]byte
}

// step is one step of a definition.
type step struct {
	index int
	op    query.Op
	node  *node
	size  uint64 // where known
	need  bool   // size has to be counted
}

// total is one of the sizes of the definition as a whole.
type total struct {
	key   [32]byte
	size  uint64
	known bool
}

// plan is a definition compiled for one generation. It is immutable while it
// runs.
type plan struct {
	steps    []step
	includes []*step
	filters  []*step
	excludes []*step
	include  total // after the includes
	filter   total // after the filters
	exclude  total // after the exclusions

	terms []uint32 // every term asked for, ascending
	nodes []*node
}

// compiler makes a plan. Nodes first hold term numbers, which finish turns
// into positions.
type compiler struct {
	gen   *core
	terms []uint32
}

// compile turns a definition into a plan for the generation.
// engine.ErrForeignRows where it holds rows of another one.
func (g *core) compile(d query.Definition) (*plan, error) {
	c := &compiler{gen: g}
	p := &plan{steps: make([]step, len(d.Steps))}
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
	return p, nil
}

// finish numbers terms and nodes, and looks up what is known already.
func (c *compiler) finish(p *plan) {
	slices.Sort(c.terms)
	p.terms = slices.Compact(c.terms)
	seen := map[*node]bool{}
	var walk func(n *node)
	walk = func(n *node) {
		for _, kid := range n.kids {
			walk(kid)
		}
		if seen[n] {
			return
		}
		seen[n] = true
		n.id = len(p.nodes)
		p.nodes = append(p.nodes, n)
		for i, t := range n.terms {
			at, _ := slices.BinarySearch(p.terms, uint32(t))
			n.terms[i] = int32(at)
		}
	}
	for i := range p.steps {
		s := &p.steps[i]
		c.sizeOf(s)
		walk(s.node)
	}
	c.totals(p)
}

// sizeOf finds a step's size without evaluating it, where that is possible.
func (c *compiler) sizeOf(s *step) {
	n, ok := c.size(s.node)
	s.size, s.need = n, !ok
}

func (c *compiler) size(n *node) (uint64, bool) {
	switch n.op {
	case opNone:
		return 0, true
	case opAll:
		return c.gen.rows, true
	case opRows:
		return n.rows.n, true
	case opUnion:
		if len(n.terms) == 1 {
			return c.gen.people(uint32(n.terms[0])), true
		}
	case opNot:
		if size, ok := c.size(n.kids[0]); ok {
			return c.gen.rows - size, true
		}
	case opLeast, opAnd, opOr, opPhrase:
	}
	return c.gen.sizes.get(n.key)
}

// totals derives keys for the sizes of the whole: each is that of a node made
// of the steps' nodes, whatever their order.
func (c *compiler) totals(p *plan) {
	inc := keyOf(opOr, 0, nil, keysOf(p.includes))
	fil := keyOf(opAnd, 0, nil, append(keysOf(p.filters), inc))
	exc := fil
	if len(p.excludes) > 0 {
		not := keyOf(opNot, 0, nil, [][32]byte{keyOf(opOr, 0, nil, keysOf(p.excludes))})
		exc = keyOf(opAnd, 0, nil, [][32]byte{fil, not})
	}
	p.include, p.filter, p.exclude = total{key: inc}, total{key: fil}, total{key: exc}
	for _, t := range []*total{&p.include, &p.filter, &p.exclude} {
		t.size, t.known = c.gen.sizes.get(t.key)
	}
	if len(p.includes) == 1 && !p.includes[0].need {
		p.include.size, p.include.known = p.includes[0].size, true
	}
	if len(p.includes) == 0 {
		p.include.known, p.filter.known, p.exclude.known = true, true, true
	}
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

// known tells whether nothing is left to evaluate.
func (p *plan) known() bool {
	for i := range p.steps {
		if p.steps[i].need {
			return false
		}
	}
	return p.include.known && p.filter.known && p.exclude.known
}
