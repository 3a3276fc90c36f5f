package bitmap

import (
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

// A node meets a block of rows in four ways: fill, or, and, andNot. Each has
// its own path where that saves a pass over a block, and takes a scratch block
// where it does not. No block passed to them ever has rows beyond the last.

// may tells whether n can have rows in a block of the bound part.
func (w *worker) may(n *node, block int) bool { return w.masks[n.id]>>block&1 != 0 }

// fill makes dst the rows of n. Where it returns false there are none and the
// content of dst is arbitrary.
func (w *worker) fill(dst *kernel.Block, n *node, block int) (bool, error) {
	if !w.may(n, block) {
		return false, nil
	}
	switch n.op {
	case opNone:
		return false, nil
	case opAll:
		kernel.Fill(dst, w.rowsOf(block))
		return true, nil
	case opUnion:
		w.union(dst, n, block)
		return true, nil
	case opLeast:
		return w.least(dst, n, block), nil
	case opAnd:
		return w.intersect(dst, n, block)
	case opOr:
		clear(dst[:])
		return w.or(dst, n, block)
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
		b := n.rows.block(w.part, block)
		if b.bits != nil {
			*dst = *b.bits
		} else {
			clear(dst[:])
			kernel.OrArray(dst, b.array)
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
	switch n.op {
	case opUnion:
		for _, t := range n.terms {
			orContainer(dst, w.posts[t].Container(block))
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
		if b := n.rows.block(w.part, block); b.bits != nil {
			kernel.Or(dst, b.bits)
		} else {
			kernel.OrArray(dst, b.array)
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

// and keeps the rows of dst that n has, too. It returns false where it knows
// that none is left.
func (w *worker) and(dst *kernel.Block, n *node, block int) (bool, error) {
	if !w.may(n, block) {
		clear(dst[:])
		return false, nil
	}
	switch n.op {
	case opAll:
		return true, nil
	case opUnion:
		if len(n.terms) == 1 {
			w.andContainer(dst, w.posts[n.terms[0]].Container(block))
			return true, nil
		}
	case opAnd:
		for _, kid := range n.kids {
			if some, err := w.and(dst, kid, block); !some || err != nil {
				return false, err
			}
		}
		return true, nil
	case opNot:
		return true, w.andNot(dst, n.kids[0], block)
	case opRows:
		if b := n.rows.block(w.part, block); b.bits != nil {
			kernel.And(dst, b.bits)
		} else {
			kernel.AndArray(dst, b.array)
		}
		return true, nil
	case opPhrase: // only what is in dst need be verified
		for _, t := range n.terms {
			w.andContainer(dst, w.posts[t].Container(block))
		}
		return true, w.verify(dst, n, block)
	case opNone, opLeast, opOr:
	}
	tmp := w.take()
	defer w.give()
	some, err := w.fill(tmp, n, block)
	if err != nil {
		return false, err
	}
	if !some {
		clear(dst[:])
		return false, nil
	}
	kernel.And(dst, tmp)
	return true, nil
}

// andNot removes the rows of n from dst.
func (w *worker) andNot(dst *kernel.Block, n *node, block int) error {
	if !w.may(n, block) {
		return nil
	}
	switch n.op {
	case opUnion:
		for _, t := range n.terms {
			andNotContainer(dst, w.posts[t].Container(block))
		}
		return nil
	case opOr:
		for _, kid := range n.kids {
			if err := w.andNot(dst, kid, block); err != nil {
				return err
			}
		}
		return nil
	case opNot:
		_, err := w.and(dst, n.kids[0], block)
		return err
	case opRows:
		if b := n.rows.block(w.part, block); b.bits != nil {
			kernel.AndNot(dst, b.bits)
		} else {
			kernel.AndNotArray(dst, b.array)
		}
		return nil
	case opAnd, opPhrase: // only what is in dst matters
		tmp := w.take()
		defer w.give()
		*tmp = *dst
		some, err := w.and(tmp, n, block)
		if some {
			kernel.AndNot(dst, tmp)
		}
		return err
	case opNone, opAll, opLeast:
	}
	tmp := w.take()
	defer w.give()
	some, err := w.fill(tmp, n, block)
	if some {
		kernel.AndNot(dst, tmp)
	}
	return err
}

// union makes dst the rows with any of the node's terms.
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
			orContainer(dst, c)
		default:
			orContainer(dst, c)
		}
		fresh = false
	}
}

// intersect makes dst the rows that all kids have.
func (w *worker) intersect(dst *kernel.Block, n *node, block int) (bool, error) {
	some, err := w.fill(dst, n.kids[0], block)
	for _, kid := range n.kids[1:] {
		if !some || err != nil {
			return false, err
		}
		some, err = w.and(dst, kid, block)
	}
	return some, err
}

// allTerms makes dst the rows with all of the node's terms; each has a
// container here.
func (w *worker) allTerms(dst *kernel.Block, n *node, block int) {
	clear(dst[:])
	orContainer(dst, w.posts[n.terms[0]].Container(block))
	for _, t := range n.terms[1:] {
		w.andContainer(dst, w.posts[t].Container(block))
	}
}

func orContainer(dst *kernel.Block, c storage.Container) {
	switch c.Kind {
	case storage.None:
	case storage.Array:
		kernel.OrArray(dst, c.Array)
	case storage.Bitmap:
		kernel.Or(dst, kernel.AsBlock(c.Bitmap))
	case storage.Runs:
		for _, r := range c.Runs {
			kernel.OrRange(dst, r.Start, r.Last)
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

// andContainer keeps the rows of dst that are in c.
func (w *worker) andContainer(dst *kernel.Block, c storage.Container) {
	switch c.Kind {
	case storage.None:
		clear(dst[:])
	case storage.Array:
		kernel.AndArray(dst, c.Array)
	case storage.Bitmap:
		kernel.And(dst, kernel.AsBlock(c.Bitmap))
	case storage.Runs:
		next := 0 // the first row not yet decided
		for _, r := range c.Runs {
			if int(r.Start) > next {
				kernel.AndNotRange(dst, uint16(next), r.Start-1)
			}
			next = int(r.Last) + 1
		}
		if next < kernel.Rows {
			kernel.AndNotRange(dst, uint16(next), kernel.Rows-1)
		}
	}
}
