package bitmap

import (
	"math/bits"

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

	include, filter, exclude uint64   // totals so far
	sizes                    []uint64 // sizes of steps so far

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
	w.include, w.filter, w.exclude = 0, 0, 0
	w.sizes = resize(w.sizes, len(p.steps))
	w.posts = resize(w.posts, len(p.terms))
	w.masks = resize(w.masks, len(p.nodes))
	clear(w.sizes)
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
	for _, n := range w.plan.nodes { // kids come before their parents
		w.masks[n.id] = w.mask(n, part)
	}
	w.part = part
	return nil
}

// mask is an upper bound of the blocks where n has rows.
func (w *worker) mask(n *node, part int) uint16 {
	var m uint16
	switch n.op {
	case opNone:
	case opAll, opNot:
		m = ^uint16(0)
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
		var present [storage.PartBlocks]int
		for _, t := range n.terms {
			for b := w.posts[t].Mask(); b != 0; b &= b - 1 {
				present[bits.TrailingZeros16(b)]++
			}
		}
		for b, have := range present {
			if have >= n.k {
				m |= 1 << b
			}
		}
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
		m = n.rows.mask(part)
	}
	return m
}

// live is the blocks of the bound part that have to be evaluated.
func (w *worker) live(keep bool) uint16 {
	var live, need uint16
	for _, s := range w.plan.includes {
		live |= w.masks[s.node.id]
	}
	if w.plan.include.known {
		for _, s := range w.plan.filters {
			live &= w.masks[s.node.id]
		}
		if !keep && w.plan.filter.known && w.plan.exclude.known {
			live = 0
		}
	}
	for i := range w.plan.steps {
		if s := &w.plan.steps[i]; s.need {
			need |= w.masks[s.node.id]
		}
	}
	return live | need
}

// rowsOf is how many rows a block of the bound part has.
func (w *worker) rowsOf(block int) int {
	return min(w.gen.files.Parts[w.part].Rows()-block*storage.BlockRows, storage.BlockRows)
}

// block evaluates the plan on a block of the bound part, and adds to the
// totals and to the sizes of the steps that are asked for. The rows of the
// definition are in w.acc afterwards; n is how many.
func (w *worker) block(block int) (n int, err error) {
	p := w.plan
	clear(w.acc[:])
	some := false // acc may have rows
	for _, s := range p.includes {
		if err := w.apply(s, block, &some); err != nil {
			return 0, err
		}
	}
	if some {
		n = kernel.Count(w.acc)
	}
	w.include += uint64(n)
	n, err = w.narrow(p.filters, block, n)
	if err != nil {
		return 0, err
	}
	w.filter += uint64(n)
	n, err = w.narrow(p.excludes, block, n)
	if err != nil {
		return 0, err
	}
	w.exclude += uint64(n)
	return n, nil
}

// narrow applies filters or exclusions to the n rows of w.acc and returns how
// many are left.
func (w *worker) narrow(steps []*step, block, n int) (int, error) {
	some := n > 0
	for _, s := range steps {
		if err := w.apply(s, block, &some); err != nil {
			return 0, err
		}
	}
	switch {
	case !some:
		return 0, nil
	case len(steps) > 0:
		return kernel.Count(w.acc), nil
	}
	return n, nil
}

// apply puts a step on w.acc, and counts its node alone where that is asked
// for. some tells whether w.acc may have rows; where it is false, w.acc is
// empty.
func (w *worker) apply(s *step, block int, some *bool) error {
	if s.need {
		return w.applyCounted(s, block, some)
	}
	var in bool
	var err error
	switch s.op {
	case query.Include:
		in, err = w.or(w.acc, s.node, block)
		*some = *some || in
	case query.Filter:
		if *some {
			*some, err = w.and(w.acc, s.node, block)
		}
	case query.Exclude:
		if *some {
			err = w.andNot(w.acc, s.node, block)
		}
	}
	return err
}

func (w *worker) applyCounted(s *step, block int, some *bool) error {
	tmp := w.acc
	if s.op != query.Include || *some {
		tmp = w.take()
		defer w.give()
	}
	in, err := w.fill(tmp, s.node, block)
	if err != nil {
		return err
	}
	if in {
		w.sizes[s.index] += uint64(kernel.Count(tmp))
	}
	switch {
	case s.op == query.Include && tmp == w.acc:
		if *some = in; !in {
			clear(w.acc[:])
		}
	case s.op == query.Include && in:
		kernel.Or(w.acc, tmp)
	case s.op == query.Filter && *some:
		if *some = in; in {
			kernel.And(w.acc, tmp)
		} else {
			clear(w.acc[:])
		}
	case s.op == query.Exclude && *some && in:
		kernel.AndNot(w.acc, tmp)
	}
	return nil
}
