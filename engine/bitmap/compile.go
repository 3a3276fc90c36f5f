package bitmap

import (
	"encoding/binary"
	"slices"
	"strings"

	"throng/engine"
	"throng/engine/bitmap/rowset"
	"throng/internal/words"
	"throng/query"
)

// node compiles a query node into one without double negations, unions of
// unions, or terms that nobody has.
func (c *compiler) node(q query.Node) (*node, error) {
	switch q := q.(type) {
	case nil:
		return none(), nil
	case query.And:
		kids, err := c.nodes(q.Nodes)
		return and(kids), err
	case query.Or:
		kids, err := c.nodes(q.Nodes)
		return or(kids), err
	case query.Not:
		kid, err := c.node(q.Node)
		if err != nil {
			return nil, err
		}
		return not(kid), nil
	case query.In:
		return c.in(q)
	case query.AtLeast:
		return c.atLeast(q)
	case query.Text:
		return c.text(q)
	case query.Rows:
		set, ok := q.Set.(*rowset.Set)
		if !ok || set.Stamp != c.gen.stamp {
			return nil, engine.ErrForeignRows
		}
		n := &node{op: opRows, rows: set}
		n.key = keyOf(opRows, 0, binary.LittleEndian.AppendUint64(nil, set.ID), nil)
		return n, nil
	}
	return none(), nil
}

func (c *compiler) nodes(qs []query.Node) ([]*node, error) {
	nodes := make([]*node, len(qs))
	for i, q := range qs {
		n, err := c.node(q)
		if err != nil {
			return nil, err
		}
		nodes[i] = n
	}
	return nodes, nil
}

// numbers looks up values of a field, ascending and distinct; those that
// nobody has are left out.
func (c *compiler) numbers(f query.Field, values []string) ([]uint32, error) {
	terms := make([]uint32, 0, len(values))
	for _, v := range values {
		if v == query.Unknown {
			continue
		}
		t, ok, err := c.gen.number(f, v)
		if err != nil {
			return nil, err
		}
		if ok {
			terms = append(terms, t)
		}
	}
	slices.Sort(terms)
	return slices.Compact(terms), nil
}

func (c *compiler) in(q query.In) (*node, error) {
	terms, err := c.numbers(q.Field, q.Values)
	if err != nil {
		return nil, err
	}
	n := c.union(terms)
	if !slices.Contains(q.Values, query.Unknown) || !hasUnknown(q.Field) {
		return n, nil
	}
	first, count := c.gen.termRange(q.Field)
	any := make([]uint32, count)
	for i := range any {
		any[i] = first + uint32(i)
	}
	return or([]*node{n, not(c.union(any))}), nil
}

// hasUnknown tells of which fields the rows without a term can be asked.
func hasUnknown(f query.Field) bool {
	return f == query.Age || f == query.Gender || f == query.Ethnicity
}

func (c *compiler) union(terms []uint32) *node {
	if len(terms) == 0 {
		return none()
	}
	return c.ofTerms(opUnion, 0, terms)
}

// ofTerms makes a node of distinct, ascending terms.
func (c *compiler) ofTerms(o op, k int, terms []uint32) *node {
	n := &node{op: o, k: k, terms: make([]int32, len(terms))}
	extra := make([]byte, 0, 4*len(terms))
	for i, t := range terms {
		n.terms[i] = int32(t)
		extra = binary.LittleEndian.AppendUint32(extra, t)
	}
	n.key = keyOf(o, k, extra, nil)
	return n
}

func (c *compiler) atLeast(q query.AtLeast) (*node, error) {
	terms, err := c.numbers(q.Field, q.Values)
	switch {
	case err != nil:
		return nil, err
	case q.K <= 1:
		return c.union(terms), nil
	case q.K > len(terms):
		return none(), nil
	case q.K == len(terms):
		kids := make([]*node, len(terms))
		for i := range terms {
			kids[i] = c.union(terms[i : i+1])
		}
		return and(kids), nil
	}
	return c.ofTerms(opLeast, q.K, terms), nil
}

// text compiles phrases. Those of one word are a union of terms; the others
// become candidates to verify, one node for each field and phrase.
func (c *compiler) text(q query.Text) (*node, error) {
	var kids []*node
	for _, s := range q.Phrases {
		phrase, ok := words.ParsePhrase(s)
		if !ok {
			continue
		}
		text, tokens := phraseText(s)
		for _, f := range q.Fields {
			terms, err := c.phraseTerms(f, phrase)
			switch {
			case err != nil:
				return nil, err
			case terms == nil: // a word that nobody used
			case tokens == 1:
				kids = append(kids, c.union(terms))
			default:
				n := c.ofTerms(opPhrase, 0, terms)
				n.field, n.phrase, n.text = f, phrase, text
				n.key = keyOf(opPhrase, 0, []byte(string(f)+"\x00"+text), nil)
				kids = append(kids, n)
			}
		}
	}
	return or(kids), nil
}

// phraseText gives the words of a phrase in one form, and how many they are.
func phraseText(s string) (text string, tokens int) {
	var b strings.Builder
	words.Tokens([]byte(s), func(sign byte, word []byte) bool {
		tokens++
		b.WriteByte(sign)
		b.Write(word)
		b.WriteByte(words.TokenStart)
		return true
	})
	return b.String(), tokens
}

// phraseTerms is the numbers of all index terms of the phrase in a text
// field, ascending, or nil where the field has not all of them.
func (c *compiler) phraseTerms(f query.Field, p words.Phrase) ([]uint32, error) {
	var terms []uint32
	for _, w := range p.Terms() {
		t, ok, err := c.gen.number(f, w)
		if !ok || err != nil {
			return nil, err
		}
		terms = append(terms, t)
	}
	slices.Sort(terms)
	return slices.Compact(terms), nil
}

func none() *node { return &node{op: opNone, key: keyOf(opNone, 0, nil, nil)} }
func all() *node  { return &node{op: opAll, key: keyOf(opAll, 0, nil, nil)} }

func not(kid *node) *node {
	switch kid.op {
	case opNone:
		return all()
	case opAll:
		return none()
	case opNot:
		return kid.kids[0]
	case opUnion, opLeast, opAnd, opOr, opPhrase, opRows:
	}
	return &node{op: opNot, kids: []*node{kid}, key: keyOf(opNot, 0, nil, [][32]byte{kid.key})}
}

// and makes the intersection. It flattens intersections among kids.
func and(kids []*node) *node {
	return combine(opAnd, kids, opAll, opNone)
}

// or makes the union. It flattens unions among kids.
func or(kids []*node) *node {
	return combine(opOr, kids, opNone, opAll)
}

// combine makes a node of kids: those that are neutral vanish, one that is
// absorbing is the whole answer.
func combine(o op, kids []*node, neutral, absorbing op) *node {
	var flat []*node
	for _, kid := range kids {
		switch kid.op {
		case neutral:
		case absorbing:
			return kid
		case o:
			flat = append(flat, kid.kids...)
		default:
			flat = append(flat, kid)
		}
	}
	slices.SortStableFunc(flat, cheapFirst)
	flat = slices.CompactFunc(flat, func(a, b *node) bool { return a.key == b.key })
	switch len(flat) {
	case 0:
		if neutral == opAll {
			return all()
		}
		return none()
	case 1:
		return flat[0]
	}
	keys := make([][32]byte, len(flat))
	for i, kid := range flat {
		keys[i] = kid.key
	}
	return &node{op: o, kids: flat, key: keyOf(o, 0, nil, keys)}
}

// cheapFirst orders kids so that what costs most to evaluate comes last, when
// it may not be needed any more; equal nodes come together.
func cheapFirst(a, b *node) int {
	if c := cost(a) - cost(b); c != 0 {
		return c
	}
	return slices.Compare(a.key[:], b.key[:])
}

func cost(n *node) int {
	switch n.op {
	case opNone, opAll:
		return 0
	case opRows:
		return 1
	case opUnion:
		return len(n.terms)
	case opLeast:
		return 4 * len(n.terms)
	case opPhrase:
		return 1 << 20
	case opAnd, opOr, opNot:
		sum := 1
		for _, kid := range n.kids {
			sum = min(sum+cost(kid), 1<<21)
		}
		return sum
	}
	return 0
}
