package bitmap

import (
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

// A node meets a block of rows in four ways: fill, or, and, andNot. Each has
// its own path where that saves a pass over a block, and takes a scratch block
// where it does not. No block passed to them ever has rows beyond the last.

// may tells whether n can have rows in a block of the bound part; all whether
// the directory says that it has every row there.
func (w *worker) may(n *node, block int) bool { return w.masks[n.id]>>block&1 != 0 }
func (w *worker) all(n *node, block int) bool { return w.fulls[n.id]>>block&1 != 0 }

// fill makes dst the rows of n. Where it returns false there are none and the
// content of dst is arbitrary.
func (w *worker) fill(dst *kernel.Block, n *node, block int) (bool, error) {
	if !w.may(n, block) {
		return false, nil
	}
	if w.all(n, block) {
		kernel.Fill(dst, w.rowsOf(block))
		return true, nil
	}
	switch n.op {
	case opNone:
		return false, nil
	case opAll: // it is full
	case opUnion:
		w.union(dst, n, block)
		return true, nil
	case opLeast:
		return w.least(dst, n, block), nil
	case opAnd:
		return w.intersect(dst, n, block)
	case opOr:
		return w.anyOf(dst, n, block)
	case opNot:
		some, err := w.fill(dst, n.kids[0], block)
		if some {
			kernel.Complement(dst, w.rowsOf(block))
		} else {
			kernel.Fill(dst, w.rowsOf(block))
		}
		return true, err
	case opPhrase:
		w.allTerms(dst, n, block)
		return true, w.verify(dst, n, block)
	case opRows:
		b := n.rows.Block(w.part, block)
		if b.Bits != nil {
			*dst = *b.Bits
		} else {
			clear(dst[:])
			kernel.OrArray(dst, b.Array)
		}
		return true, nil
	}
	return false, nil
}

// or adds the rows of n to dst. It returns false where it knows that n has
// none.
func (w *worker) or(dst *kernel.Block, n *node, block int) (bool, error) {
	if !w.may(n, block) {
		return false, nil
	}
	if w.all(n, block) {
		kernel.Fill(dst, w.rowsOf(block))
		return true, nil
	}
	switch n.op {
	case opUnion:
		for _, t := range n.terms {
			w.posts[t].Container(block).AddTo(dst)
		}
		return true, nil
	case opOr:
		some := false
		for _, kid := range n.kids {
			in, err := w.or(dst, kid, block)
			if err != nil {
				return false, err
			}
			some = some || in
		}
		return some, nil
	case opRows:
		if b := n.rows.Block(w.part, block); b.Bits != nil {
			kernel.Or(dst, b.Bits)
		} else {
			kernel.OrArray(dst, b.Array)
		}
		return true, nil
	case opPhrase: // what is in dst already need not be verified
		tmp := w.take()
		defer w.give()
		w.allTerms(tmp, n, block)
		kernel.AndNot(tmp, dst)
		if err := w.verify(tmp, n, block); err != nil {
			return false, err
		}
		kernel.Or(dst, tmp)
		return true, nil
	case opNone, opAll, opLeast, opAnd, opNot:
	}
	tmp := w.take()
	defer w.give()
	some, err := w.fill(tmp, n, block)
	if some {
		kernel.Or(dst, tmp)
	}
	return some, err
}

// and keeps those of the have rows of dst that n has, too, and returns how
// many are left. Where that is 0 the content of dst is arbitrary.
func (w *worker) and(dst *kernel.Block, n *node, block, have int) (int, error) {
	if have == 0 || !w.may(n, block) {
		return 0, nil
	}
	if w.all(n, block) {
		return have, nil
	}
	switch n.op {
	case opUnion:
		if len(n.terms) == 1 {
			return w.andContainer(dst, w.posts[n.terms[0]].Container(block)), nil
		}
	case opAnd:
		var err error
		for _, kid := range n.kids {
			if have, err = w.and(dst, kid, block, have); have == 0 || err != nil {
				return 0, err
			}
		}
		return have, nil
	case opNot:
		return w.andNot(dst, n.kids[0], block, have)
	case opRows:
		return w.andContainer(dst, n.rows.Block(w.part, block).Container()), nil
	case opPhrase: // only what is in dst need be verified
		for _, t := range n.terms {
			if w.andContainer(dst, w.posts[t].Container(block)) == 0 {
				return 0, nil
			}
		}
		if err := w.verify(dst, n, block); err != nil {
			return 0, err
		}
		return kernel.Count(dst), nil
	case opNone, opAll, opLeast, opOr:
	}
	tmp := w.take()
	defer w.give()
	some, err := w.fill(tmp, n, block)
	if !some || err != nil {
		return 0, err
	}
	return kernel.AndCount(dst, tmp), nil
}

// andNot removes the rows of n from the have rows of dst and returns how many
// are left. Where that is 0 the content of dst is arbitrary.
func (w *worker) andNot(dst *kernel.Block, n *node, block, have int) (int, error) {
	if have == 0 || w.all(n, block) {
		return 0, nil
	}
	if !w.may(n, block) {
		return have, nil
	}
	switch n.op {
	case opUnion:
		for _, t := range n.terms {
			andNotContainer(dst, w.posts[t].Container(block))
		}
		return kernel.Count(dst), nil
	case opOr:
		var err error
		for _, kid := range n.kids {
			if have, err = w.andNot(dst, kid, block, have); have == 0 || err != nil {
				return 0, err
			}
		}
		return have, nil
	case opNot:
		return w.and(dst, n.kids[0], block, have)
	case opRows:
		andNotContainer(dst, n.rows.Block(w.part, block).Container())
		return kernel.Count(dst), nil
	case opAnd, opPhrase: // only what is in dst matters
		tmp := w.take()
		defer w.give()
		*tmp = *dst
		out, err := w.and(tmp, n, block, have)
		if out == 0 || err != nil {
			return have, err
		}
		return kernel.AndNotCount(dst, tmp), nil
	case opNone, opAll, opLeast:
	}
	tmp := w.take()
	defer w.give()
	some, err := w.fill(tmp, n, block)
	if !some || err != nil {
		return have, err
	}
	return kernel.AndNotCount(dst, tmp), nil
}

// union makes dst the rows with any of the node's terms; one has some here.
func (w *worker) union(dst *kernel.Block, n *node, block int) {
	fresh := true // dst is not yet written to
	for _, t := range n.terms {
		c := w.posts[t].Container(block)
		switch {
		case c.Kind == storage.None:
			continue
		case fresh && c.Kind == storage.Bitmap:
			*dst = *kernel.AsBlock(c.Bitmap)
		case fresh:
			clear(dst[:])
			c.AddTo(dst)
		default:
			c.AddTo(dst)
		}
		fresh = false
	}
}

// intersect makes dst the rows that all kids have.
func (w *worker) intersect(dst *kernel.Block, n *node, block int) (bool, error) {
	have := 0
	for i, kid := range n.kids {
		var err error
		if i == 0 {
			var some bool
			if some, err = w.fill(dst, kid, block); some {
				have = kernel.Rows // as good as any number but 0
			}
		} else {
			have, err = w.and(dst, kid, block, have)
		}
		if have == 0 || err != nil {
			return false, err
		}
	}
	return true, nil
}

// anyOf makes dst the rows that any of the kids has.
func (w *worker) anyOf(dst *kernel.Block, n *node, block int) (bool, error) {
	some := false
	for _, kid := range n.kids {
		var in bool
		var err error
		if some {
			_, err = w.or(dst, kid, block)
		} else {
			in, err = w.fill(dst, kid, block)
		}
		if err != nil {
			return false, err
		}
		some = some || in
	}
	return some, nil
}

// allTerms makes dst the rows with all of the node's terms; each has a
// container here.
func (w *worker) allTerms(dst *kernel.Block, n *node, block int) {
	clear(dst[:])
	w.posts[n.terms[0]].Container(block).AddTo(dst)
	for _, t := range n.terms[1:] {
		if w.andContainer(dst, w.posts[t].Container(block)) == 0 {
			clear(dst[:])
			return
		}
	}
}

func andNotContainer(dst *kernel.Block, c storage.Container) {
	switch c.Kind {
	case storage.None:
	case storage.Array:
		kernel.AndNotArray(dst, c.Array)
	case storage.Bitmap:
		kernel.AndNot(dst, kernel.AsBlock(c.Bitmap))
	case storage.Runs:
		for _, r := range c.Runs {
			kernel.AndNotRange(dst, r.Start, r.Last)
		}
	}
}

// andContainer keeps the rows of dst that are in c and returns how many they
// are. Where that is 0 the content of dst is arbitrary.
func (w *worker) andContainer(dst *kernel.Block, c storage.Container) int {
	switch c.Kind {
	case storage.None:
		return 0
	case storage.Bitmap:
		return kernel.AndCount(dst, kernel.AsBlock(c.Bitmap))
	case storage.Array, storage.Runs:
	}
	// Making it a block takes less time than finding what to clear between
	// its rows.
	tmp := w.take()
	defer w.give()
	clear(tmp[:])
	c.AddTo(tmp)
	return kernel.AndCount(dst, tmp)
}
