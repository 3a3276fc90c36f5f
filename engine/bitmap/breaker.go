package bitmap

import (
	"math/bits"
	"slices"

	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

// breaker counts terms for one goroutine.
type breaker struct {
	*breakdown
	counts []uint32
	knows  []uint64
	tally  *forward.Tally
	rows   [storage.PartBlocks]members
	tmp    *kernel.Block
	list   []uint16
}

// members is the rows of one block that are counted.
type members struct {
	n     int
	array []uint16      // where there are few; else bits
	bits  *kernel.Block // nil where it was not made yet
	own   *kernel.Block // memory for bits
}

func newBreaker(b *breakdown) *breaker {
	w := &breaker{
		breakdown: b, counts: make([]uint32, len(b.counts)), knows: make([]uint64, len(b.knows)),
		tmp: new(kernel.Block),
	}
	if b.how != byTerm {
		w.tally = &forward.Tally{Rare: w.counts}
	}
	return w
}

// chunk counts n blocks, from first on, which are of one part.
func (w *breaker) chunk(first, n int) error {
	part, from := first/storage.PartBlocks, first%storage.PartBlocks
	to := from + n
	var live uint16
	for b := from; b < to; b++ {
		m := &w.rows[b]
		w.take(m, part, b)
		if m.n > 0 {
			live |= 1 << b
		}
	}
	if live == 0 {
		return nil
	}
	for m := live; m != 0; m &= m - 1 {
		if err := w.countKnown(part, bits.TrailingZeros16(m)); err != nil {
			return err
		}
	}
	if w.how == byTerm {
		for _, want := range w.wants {
			if err := w.postings(part, live, want[0], want[1]); err != nil {
				return err
			}
		}
		return nil
	}
	return w.records(part, live)
}

// take finds the rows of a block that are counted.
func (w *breaker) take(m *members, part, block int) {
	have := w.set.Block(part, block)
	limit := w.gen.rowsOf(part*storage.PartBlocks + block)
	m.n, m.array, m.bits = have.N, have.Array, have.Bits
	if !w.not {
		return
	}
	m.n, m.array = limit-have.N, nil
	if m.n == 0 {
		return
	}
	if m.own == nil {
		m.own = new(kernel.Block)
	}
	switch {
	case have.N == 0:
		kernel.Fill(m.own, limit)
	case have.Bits != nil:
		*m.own = *have.Bits
		kernel.Complement(m.own, limit)
	default:
		kernel.Fill(m.own, limit)
		kernel.AndNotArray(m.own, have.Array)
	}
	m.bits = m.own
}

// rowsOf is how many rows a block of the generation has.
func (g *core) rowsOf(block int) int {
	return min(int(g.rows)-block*storage.BlockRows, storage.BlockRows)
}

// block is the rows as bits.
func (m *members) block() *kernel.Block {
	if m.bits == nil {
		if m.own == nil {
			m.own = new(kernel.Block)
		}
		clear(m.own[:])
		kernel.OrArray(m.own, m.array)
		m.bits = m.own
	}
	return m.bits
}

// records counts the terms of members by the forward index.
func (w *breaker) records(part int, live uint16) error {
	f := w.gen.files.Forwards[part]
	terms, dense, err := f.Codes()
	if err != nil {
		return err
	}
	var pairs, many float64 // terms, and dense ones, of as many rows as are counted
	for m := live; m != 0; m &= m - 1 {
		b := bits.TrailingZeros16(m)
		share := float64(w.rows[b].n) / float64(w.gen.rowsOf(part*storage.PartBlocks+b))
		pairs += share * float64(f.Pairs(b))
		many += share * float64(f.DensePairs(b))
	}
	if pairs*few < float64(len(terms)) {
		return w.fewRecords(f, live)
	}
	read := many*costPair <= float64(dense*bits.OnesCount16(live))*costBitmap || w.how == byRecord
	for m := live; m != 0; m &= m - 1 {
		b := bits.TrailingZeros16(m)
		section, err := f.Block(b)
		if err != nil {
			return err
		}
		if rows := &w.rows[b]; rows.array != nil {
			err = section.CountRows(w.tally, rows.array, read)
		} else {
			err = section.Count(w.tally, rows.bits, read)
		}
		if err != nil {
			return err
		}
	}
	if err := f.Take(w.tally, w.counts); err != nil {
		return err
	}
	if read {
		return nil
	}
	for _, t := range terms[:dense] {
		if err := w.postings(part, live, t, t+1); err != nil {
			return err
		}
	}
	return nil
}

// few is how many codes of a part are tallied, or not, in the time that one
// term takes without a tally.
const few = 4

// fewRecords counts the terms of members, so few that tallies of all codes
// would take longer.
func (w *breaker) fewRecords(f *forward.Index, live uint16) error {
	for m := live; m != 0; m &= m - 1 {
		b := bits.TrailingZeros16(m)
		section, err := f.Block(b)
		if err != nil {
			return err
		}
		rows := w.rows[b].array
		if rows == nil {
			w.list = kernel.AppendRows(w.list[:0], w.rows[b].bits)
			rows = w.list
		}
		if err := section.CountFew(w.tally, w.counts, rows); err != nil {
			return err
		}
	}
	return nil
}

// postings counts the terms from first up to end by their postings.
func (w *breaker) postings(part int, live uint16, first, end uint32) error {
	if !w.wanted(first) {
		return nil
	}
	return w.gen.files.Parts[part].EachTermOf(first, end, func(term uint32, ps *storage.Postings) bool {
		n := 0
		for m := live & ps.Mask(); m != 0; m &= m - 1 {
			b := bits.TrailingZeros16(m)
			n += w.both(&w.rows[b], ps.Container(b))
		}
		w.counts[term] += uint32(n)
		return true
	})
}

// both is how many rows two sets of a block have in common.
func (w *breaker) both(m *members, c storage.Container) int {
	switch c.Kind {
	case storage.Array:
		return w.bothArray(m, c.Array)
	case storage.Bitmap:
		return w.bothBits(m, kernel.AsBlock(c.Bitmap))
	case storage.Runs:
		n := 0
		b := m.block()
		for _, r := range c.Runs {
			n += countRange(b, r.Start, r.Last)
		}
		return n
	case storage.None:
	}
	return 0
}

func (w *breaker) bothArray(m *members, list []uint16) int {
	const few = 32 // bisecting takes some steps
	if m.array == nil || m.bits != nil || len(m.array)*few > len(list) {
		return kernel.CountArray(m.block(), list)
	}
	n := 0
	for _, r := range m.array {
		i, ok := slices.BinarySearch(list, r)
		list = list[i:]
		if ok {
			n++
		}
	}
	return n
}

func (w *breaker) bothBits(m *members, b *kernel.Block) int {
	const few = 512 // beyond them a whole block is faster
	if m.array != nil && len(m.array) < few {
		return kernel.CountArray(b, m.array)
	}
	*w.tmp = *m.block()
	return kernel.AndCount(w.tmp, b)
}

// countRange is how many of the rows from first to last, both in, are in b.
func countRange(b *kernel.Block, first, last uint16) int {
	from, to := first>>6, last>>6
	head, tail := ^uint64(0)<<(first&63), ^uint64(0)>>(63-last&63)
	if from == to {
		return bits.OnesCount64(b[from] & head & tail)
	}
	n := bits.OnesCount64(b[from]&head) + bits.OnesCount64(b[to]&tail)
	for _, w := range b[from+1 : to] {
		n += bits.OnesCount64(w)
	}
	return n
}

// countKnown counts the members of a block that have a value of each field.
func (w *breaker) countKnown(part, block int) error {
	if len(w.known) == 0 {
		return nil
	}
	section, err := w.gen.files.Forwards[part].Block(block)
	if err != nil {
		return err
	}
	m := &w.rows[block]
	for _, i := range w.known {
		switch k := section.Known(i); {
		case k.Bitmap != nil:
			w.knows[i] += uint64(w.bothBits(m, kernel.AsBlock(k.Bitmap)))
		case k.Not:
			w.knows[i] += uint64(m.n - w.bothArray(m, k.Array))
		default:
			w.knows[i] += uint64(w.bothArray(m, k.Array))
		}
	}
	return nil
}
