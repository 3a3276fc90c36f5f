package storage

import (
	"errors"
	"math/bits"
	"slices"

	"throng/engine/bitmap/format"
	"throng/engine/bitmap/forward"
)

// BlockLists is the rows of one block by term.
type BlockLists struct {
	Terms []uint32 // ascending
	// Ends says where the rows of each term end: those of Terms[i] are
	// Rows[Ends[i-1]:Ends[i]], at least one, ascending and distinct.
	Ends []uint32
	// Rows has memory for RowsSlack more rows behind its end, which may be
	// looked at.
	Rows []uint16
}

// RowsSlack is how much room there must be behind the rows of BlockLists.
const RowsSlack = 32

const (
	// Up to so many rows an array is copied as if it had so many: that takes
	// fewer instructions than to ask how many it has.
	shortArray = 16
	// mergeWindow is how many terms are gathered from all blocks at once. It
	// keeps what is known of them in the first cache.
	mergeWindow = 4096
)

// merger walks the terms of the blocks of a part.
type merger struct {
	blocks [PartBlocks]BlockLists // with their slack; without terms where there is none
	seen   [PartBlocks]int        // terms that are in masks, or were
	at     [PartBlocks]int        // next term of each block
	from   [PartBlocks]uint32     // where its rows begin
	masks  [mergeWindow]uint16    // blocks that have each term of the window
	// Of the term at hand, by rank of the block among those that have it.
	start, n [PartBlocks]uint32
}

var errBlockLists = errors.New("write part: lists of a block contradict themselves")

func (m *merger) begin(blocks *[PartBlocks]*BlockLists) error {
	*m = merger{}
	for b, l := range blocks {
		if l == nil || len(l.Terms) == 0 {
			continue
		}
		n := len(l.Rows)
		if len(l.Ends) != len(l.Terms) || int(l.Ends[len(l.Ends)-1]) != n || cap(l.Rows) < n+RowsSlack || !slices.IsSorted(l.Ends) {
			return errBlockLists
		}
		m.blocks[b] = BlockLists{Terms: l.Terms, Ends: l.Ends, Rows: l.Rows[:n+RowsSlack]}
	}
	return nil
}

// least is the least term that is in no window yet, forward.NoTerm at the end.
func (m *merger) least() uint32 {
	t := forward.NoTerm
	for b := range m.blocks {
		if terms := m.blocks[b].Terms; m.seen[b] < len(terms) {
			t = min(t, terms[m.seen[b]])
		}
	}
	return t
}

// window finds out which blocks have the next terms, from first on; false at
// the end.
func (m *merger) window() (first uint32, ok bool) {
	for b := range m.blocks {
		ok = ok || m.seen[b] < len(m.blocks[b].Terms)
	}
	first = m.least() &^ (mergeWindow - 1)
	for b := range m.blocks {
		bit := uint16(1) << b
		i := m.seen[b]
		for terms := m.blocks[b].Terms; i < len(terms) && terms[i]-first < mergeWindow; i++ {
			m.masks[terms[i]-first] |= bit
		}
		m.seen[b] = i
	}
	return first, ok
}

// Merge writes rows of all blocks of a part, of which nil stands for one without
// any. Where it is called again, all terms are higher than those before.
func (pw *PartWriter) Merge(blocks *[PartBlocks]*BlockLists) error {
	if pw.merge == nil {
		pw.merge = new(merger)
	}
	m := pw.merge
	if err := m.begin(blocks); err != nil {
		return err
	}
	if n := len(pw.terms); n > 0 && m.least() <= pw.terms[n-1] {
		return errTermOrder
	}
	for {
		first, ok := m.window()
		if !ok {
			if m.at != m.seen { // a term came twice
				return errBlockLists
			}
			return pw.w.Err()
		}
		for i, mask := range m.masks {
			if mask == 0 {
				continue
			}
			m.masks[i] = 0
			if err := pw.mergeTerm(first+uint32(i), mask); err != nil {
				return err
			}
		}
	}
}

// mergeTerm writes the rows of the next term, which the blocks of mask have.
func (pw *PartWriter) mergeTerm(term uint32, mask uint16) error {
	m := pw.merge
	k, total, other := 0, uint32(0), uint32(0)
	for left := mask; left != 0; left &= left - 1 {
		b := bits.TrailingZeros16(left) & (PartBlocks - 1)
		l := &m.blocks[b]
		i, from := m.at[b], m.from[b]
		to := l.Ends[i]
		n := to - from
		if n == 0 || l.Terms[i] != term {
			return errBlockLists
		}
		m.at[b], m.from[b] = i+1, to
		m.start[k&(PartBlocks-1)], m.n[k&(PartBlocks-1)] = from, n
		k++
		total += n
		other |= (n - 1) / shortArray
		if n > 2 && mayBeRuns(l.Rows[from], l.Rows[to-1], n) {
			other = 1
		}
	}
	if total == 1 {
		b := bits.TrailingZeros16(mask) & (PartBlocks - 1)
		pw.note(term, 1, entrySingle|uint32(b)<<16|uint32(m.blocks[b].Rows[m.start[0]]))
		return nil
	}
	entry, err := pw.postings()
	if err != nil {
		return err
	}
	if other == 0 {
		pw.shortArrays(mask)
	} else {
		var lists [PartBlocks][]uint16
		k := 0
		for left := mask; left != 0; left &= left - 1 {
			b := bits.TrailingZeros16(left) & (PartBlocks - 1)
			lists[b] = m.blocks[b].Rows[m.start[k]:][:m.n[k]]
			k++
		}
		entry |= pw.lists(mask, &lists)
	}
	pw.note(term, int(total), entry)
	return nil
}

// shortArrays writes postings of arrays that are all short.
func (pw *PartWriter) shortArrays(mask uint16) {
	m := pw.merge
	out := format.View[uint16](pw.w.Reserve(postingsRoom))
	out[0] = mask
	at := 1 + bits.OnesCount16(mask)
	k := 0
	for left := mask; left != 0; left &= left - 1 {
		b := bits.TrailingZeros16(left) & (PartBlocks - 1)
		n := m.n[k&(PartBlocks-1)]
		out[1+k] = uint16(n - 1)
		*(*[shortArray]uint16)(out[at:]) = *(*[shortArray]uint16)(m.blocks[b].Rows[m.start[k&(PartBlocks-1)]:])
		at += int(n)
		k++
	}
	out[at] = 0 // padding
	pw.w.Commit(2 * (at + at&1))
}
