package bitmap

import (
	"math/bits"
	"slices"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// worker evaluates a plan block by block. It owns all memory that this takes,
// and is reused from plan to plan. It is for one goroutine.
type worker struct {
	gen  *core
	plan *plan

	part  int // which part postings and masks are of; -1 for none
	posts []storage.Postings
	masks []uint16 // for each node, the blocks of the part where it may have rows
	fulls []uint16 // for each node, the blocks where the directory says that it has all rows

	sums sums // so far

	acc   *kernel.Block
	stack []*kernel.Block // scratch; the first used are taken
	used  int

	counters *kernel.Counters // all zero between nodes
	slices   kernel.Slices
	arrays   [][]uint16 // of opLeast in the block at hand
	dense    []storage.Container
	group    [7]*kernel.Block // what slices adds at once
	tail     [7]*kernel.Block // copies of containers that are no bitmaps
	empty    *kernel.Block

	// texts verifies phrases; the last section used is kept.
	texts textReader
}

func newWorker() *worker {
	return &worker{acc: new(kernel.Block)}
}

// reset prepares the worker for a plan.
func (w *worker) reset(g *core, p *plan) {
	w.gen, w.plan, w.part = g, p, -1
	w.sums.reset(len(p.steps))
	w.posts = resize(w.posts, len(p.terms))
	w.masks = resize(w.masks, len(p.nodes))
	w.fulls = resize(w.fulls, len(p.nodes))
	w.used = 0
	w.texts.reset(g)
}

// release forgets everything that belongs to a generation, so that a pooled
// worker keeps no mapping alive.
func (w *worker) release() {
	clear(w.posts)
	clear(w.arrays[:cap(w.arrays)])
	clear(w.dense[:cap(w.dense)])
	clear(w.group[:])
	w.gen, w.plan = nil, nil
	w.texts.reset(nil)
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// take gives a scratch block whose content is arbitrary; give hands the last
// one taken back.
func (w *worker) take() *kernel.Block {
	if w.used == len(w.stack) {
		w.stack = append(w.stack, new(kernel.Block))
	}
	w.used++
	return w.stack[w.used-1]
}

func (w *worker) give() { w.used-- }

// bind finds the postings of a part, and which of its blocks can have rows.
func (w *worker) bind(part int) error {
	if w.part == part {
		return nil
	}
	w.part = -1
	file := w.gen.files.Parts[part]
	for i, t := range w.plan.terms {
		ps, err := file.Postings(t)
		if err != nil {
			return err
		}
		w.posts[i] = ps
	}
	w.part = part
	for _, n := range w.plan.nodes { // kids come before their parents
		w.masks[n.id], w.fulls[n.id] = w.mask(n), w.full(n)
	}
	return nil
}

// mask is an upper bound of the blocks where n has rows.
func (w *worker) mask(n *node) uint16 {
	var m uint16
	switch n.op {
	case opNone:
	case opAll:
		m = ^uint16(0)
	case opNot:
		m = ^w.fulls[n.kids[0].id]
	case opUnion:
		for _, t := range n.terms {
			m |= w.posts[t].Mask()
		}
	case opPhrase:
		m = ^uint16(0)
		for _, t := range n.terms {
			m &= w.posts[t].Mask()
		}
	case opLeast:
		m = w.blocksOfLeast(n, func(ps *storage.Postings) uint16 { return ps.Mask() })
	case opAnd:
		m = ^uint16(0)
		for _, kid := range n.kids {
			m &= w.masks[kid.id]
		}
	case opOr:
		for _, kid := range n.kids {
			m |= w.masks[kid.id]
		}
	case opRows:
		m = n.rows.Mask(w.part)
	}
	return m
}

// full is a lower bound of the blocks where n has all rows.
func (w *worker) full(n *node) uint16 {
	var m uint16
	switch n.op {
	case opNone, opPhrase, opRows:
	case opAll:
		m = ^uint16(0)
	case opNot:
		m = ^w.masks[n.kids[0].id]
	case opUnion:
		for _, t := range n.terms {
			m |= w.fullOf(&w.posts[t])
		}
	case opLeast:
		m = w.blocksOfLeast(n, w.fullOf)
	case opAnd:
		m = ^uint16(0)
		for _, kid := range n.kids {
			m &= w.fulls[kid.id]
		}
	case opOr:
		for _, kid := range n.kids {
			m |= w.fulls[kid.id]
		}
	}
	return m
}

// fullOf is the blocks of which the postings have all rows.
func (w *worker) fullOf(ps *storage.Postings) (m uint16) {
	// They are runs there, or bitmaps in a last block that is short.
	for left := ps.Runs() & ps.Mask(); left != 0; left &= left - 1 {
		if b := bits.TrailingZeros16(left); ps.Card(b) == w.rowsOf(b) {
			m |= 1 << b
		}
	}
	return m
}

// blocksOfLeast is the blocks that are among those of at least k of the
// node's terms.
func (w *worker) blocksOfLeast(n *node, of func(*storage.Postings) uint16) (m uint16) {
	var present [storage.PartBlocks]int
	for _, t := range n.terms {
		for b := of(&w.posts[t]); b != 0; b &= b - 1 {
			present[bits.TrailingZeros16(b)]++
		}
	}
	for b, have := range present {
		if have >= n.k {
			m |= 1 << b
		}
	}
	return m
}

// live is the blocks of the bound part that have to be evaluated: those where
// any size that is needed may be other than 0, and with keep those where the
// definition may have rows.
func (w *worker) live(keep bool) uint16 {
	p := w.plan
	var chain, live uint16                           // where rows may be left; what has to be evaluated
	last := func(steps []*step, total *tally) bool { // any size of the kind is needed
		return total.need || slices.ContainsFunc(steps, func(s *step) bool { return s.after.need })
	}
	for _, s := range p.includes {
		chain |= w.masks[s.node.id]
	}
	if last(p.includes, &p.include) {
		live = chain
	}
	for i, s := range p.filters {
		chain &= w.masks[s.node.id]
		if s.after.need || i == len(p.filters)-1 && p.filter.need {
			live |= chain
		}
	}
	if keep || p.filter.need || last(p.excludes, &p.exclude) {
		live |= chain
	}
	for i := range p.steps {
		if s := &p.steps[i]; s.whole() {
			live |= w.masks[s.node.id]
		}
	}
	return live
}

// rowsOf is how many rows a block of the bound part has.
func (w *worker) rowsOf(block int) int {
	return min(w.gen.files.Parts[w.part].Rows()-block*storage.BlockRows, storage.BlockRows)
}

// block evaluates the plan on a block of the bound part, and adds to the sums.
// The n rows of the definition are in w.acc afterwards; where n is 0 its
// content is arbitrary.
func (w *worker) block(block int) (n int, err error) {
	p := w.plan
	for _, s := range p.includes {
		if n, err = w.include(s, block, n); err != nil {
			return 0, err
		}
		w.sums.after[s.index] += uint64(n)
	}
	w.sums.include += uint64(n)
	for _, s := range p.filters {
		if n, err = w.narrow(s, block, n); err != nil {
			return 0, err
		}
		w.sums.after[s.index] += uint64(n)
	}
	w.sums.filter += uint64(n)
	for _, s := range p.excludes {
		if n, err = w.narrow(s, block, n); err != nil {
			return 0, err
		}
		w.sums.after[s.index] += uint64(n)
	}
	w.sums.exclude += uint64(n)
	return n, nil
}

// include adds the rows of an include to the n of w.acc and returns how many
// there are then.
func (w *worker) include(s *step, block, n int) (int, error) {
	switch {
	case !w.may(s.node, block):
		return n, nil
	case n == 0:
		some, err := w.fill(w.acc, s.node, block)
		if !some || err != nil {
			return 0, err
		}
		return w.alone(s, w.acc, block), nil
	case !s.whole():
		some, err := w.or(w.acc, s.node, block)
		if !some || err != nil {
			return n, err
		}
		return kernel.Count(w.acc), nil
	}
	tmp := w.take()
	defer w.give()
	some, err := w.fill(tmp, s.node, block)
	if !some || err != nil {
		return n, err
	}
	w.alone(s, tmp, block)
	return kernel.OrCount(w.acc, tmp), nil
}

// alone counts the rows of a step's node by itself, which are b, and keeps
// them where that is asked for.
func (w *worker) alone(s *step, b *kernel.Block, block int) int {
	n := kernel.Count(b)
	w.sums.alone[s.index] += uint64(n)
	if s.collect != nil {
		s.collect.add(w.part*storage.PartBlocks+block, b, n)
	}
	return n
}

// narrow applies a filter or an exclusion to the n rows of w.acc and returns
// how many are left.
func (w *worker) narrow(s *step, block, n int) (int, error) {
	switch {
	case s.whole():
		return w.narrowCounted(s, block, n)
	case n == 0:
		return 0, nil
	case s.op == query.Exclude:
		return w.andNot(w.acc, s.node, block, n)
	}
	return w.and(w.acc, s.node, block, n)
}

// narrowCounted is narrow that counts the step's node alone, too.
func (w *worker) narrowCounted(s *step, block, n int) (int, error) {
	tmp := w.take()
	defer w.give()
	some, err := w.fill(tmp, s.node, block)
	if err != nil {
		return 0, err
	}
	if some {
		w.alone(s, tmp, block)
	}
	switch {
	case n == 0, s.op == query.Filter && !some:
		return 0, nil
	case s.op == query.Filter:
		return kernel.AndCount(w.acc, tmp), nil
	case some:
		return kernel.AndNotCount(w.acc, tmp), nil
	}
	return n, nil
}
