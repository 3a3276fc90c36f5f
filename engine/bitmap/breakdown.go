package bitmap

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"throng/engine"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// There are two ways to count all terms of an audience. The forward index
// tells what each member has, so its cost follows the members; the postings
// tell who has each term, so theirs follows all people who have any of the
// terms asked for. Members are counted by the forward index, but for terms
// that many people have: these are stored as bitmaps, which are intersected
// with the audience faster than as many members are looked at, unless they
// are few. The postings alone count where the fields asked for are a small
// part of what members have. Of an audience of more than half of all people
// those who are not in it are counted.
//
// The costs are in nanoseconds of one core, measured with two million to ten
// million people and up to a million terms. What matters is their ratios, and
// of these that the ways meet where the costs do.
const (
	costMember = 8.0  // a member's record, where it is near the one before
	costSeek   = 65.0 // what comes on top where it is far away
	costPair   = 1.2  // a term in a member's record
	costList   = 90.0 // a list of rows of a term in a block
	costEdge   = 1.5  // a row in it
	costBitmap = 400. // a bitmap with the audience
	costTerm   = 60.0 // the postings of a term in a part
)

// dense is as much as one of so many rows, from which postings are bitmaps.
const dense = storage.BlockRows / storage.ArrayMax

// method is how Breakdown counts.
type method int

const (
	chosen   method = iota
	byPerson        // the forward index, with postings of dense terms
	byRecord        // the forward index alone
	byTerm          // the postings alone
)

// Breakdown implements engine.Generation.
func (g *generation) Breakdown(ctx context.Context, rows query.RowSet, fields []query.Field) (counts []engine.Breakdown, err error) {
	err = g.guard(func() (err error) {
		counts, err = g.breakdown(ctx, rows, fields, chosen)
		return err
	})
	return counts, g.settle(err)
}

func (g *generation) breakdown(ctx context.Context, rows query.RowSet, fields []query.Field, how method) ([]engine.Breakdown, error) {
	set, err := g.own(rows)
	if err != nil {
		return nil, err
	}
	b, err := g.newBreakdown(set, fields, how)
	if err != nil {
		return nil, err
	}
	if b.n > 0 {
		if err := b.run(ctx); err != nil {
			return nil, err
		}
	}
	return b.result(fields)
}

// breakdown is one count of all terms of some fields.
type breakdown struct {
	gen   *core
	set   *rowSet
	not   bool // those who are not in set are counted
	n     uint64
	how   method
	wants [][2]uint32 // ranges of terms that are asked for, ascending
	known []int       // which of KnownFields are asked for

	mu     sync.Mutex // guards what follows
	counts []uint32   // by term
	knows  []uint64   // rows that have a value, by position in KnownFields
}

func (g *core) newBreakdown(set *rowSet, fields []query.Field, how method) (*breakdown, error) {
	b := &breakdown{gen: g, set: set, not: 2*set.n > g.rows, n: set.n, how: how}
	if b.not {
		b.n = g.rows - set.n
	}
	for _, f := range fields {
		if !slices.Contains(storage.CountedFields(), f) {
			return nil, fmt.Errorf("break down rows: terms of field %s are not counted", f)
		}
		if first, n := g.termRange(f); n > 0 {
			b.wants = append(b.wants, [2]uint32{first, first + n})
		}
		if i := slices.Index(storage.KnownFields(), f); i >= 0 {
			b.known = append(b.known, i)
		}
	}
	slices.SortFunc(b.wants, func(x, y [2]uint32) int { return int(int64(x[0]) - int64(y[0])) })
	b.wants = slices.Compact(b.wants)
	slices.Sort(b.known)
	b.known = slices.Compact(b.known)
	limit, _ := g.termRange(query.Active)
	b.counts = make([]uint32, limit)
	b.knows = make([]uint64, len(storage.KnownFields()))
	if b.how == chosen && b.n > 0 {
		return b, b.choose()
	}
	return b, nil
}

// choose takes the way that costs less.
func (b *breakdown) choose() error {
	live := 0
	for i := range b.set.blocks {
		if n := b.set.blocks[i].n; b.not && n < b.gen.rowsOf(i) || !b.not && n > 0 {
			live++
		}
	}
	rows, blocks := float64(b.gen.rows), float64(b.gen.blocks)
	share, part := float64(b.n)/rows, float64(live)/blocks
	near := share / part // of the blocks that have members
	far := (1 - near) * (1 - near) * (1 - near)
	far *= far
	person, term := float64(b.n)*(costMember+costSeek*far), 0.0
	parts := float64(len(b.gen.files.Parts)) * part
	pairs, lists := 0.0, 0.0
	for _, f := range b.gen.files.Forwards {
		pairs += float64(f.PairsOfPart())
	}
	for _, w := range b.wants {
		lists += float64(w[1] - w[0])
	}
	if b.how = byPerson; person+pairs*share*costPair < lists*parts*costTerm {
		return nil // whoever has the terms
	}
	for _, f := range storage.CountedFields() {
		first, n := b.gen.termRange(f)
		people, err := b.gen.files.Dict.Peoples(first, n)
		if err != nil {
			return err
		}
		wanted := b.wanted(first)
		for _, p := range people {
			has := float64(p)
			byRow := has * share * costPair
			byList := has*part*costEdge + min(has, blocks)*part*costList
			if has*dense >= rows {
				byList = blocks * part * costBitmap
				byRow = min(byRow, byList)
			}
			person += byRow
			if wanted {
				term += byList + costTerm*parts
			}
		}
	}
	if term < person {
		b.how = byTerm
	}
	return nil
}

// wanted tells whether a term is asked for.
func (b *breakdown) wanted(term uint32) bool {
	for _, w := range b.wants {
		if w[0] <= term && term < w[1] {
			return true
		}
	}
	return false
}

// run counts on all cores.
func (b *breakdown) run(ctx context.Context) error {
	g := b.gen
	chunk := g.chunk()
	chunks := (g.blocks + chunk - 1) / chunk
	var next atomic.Int64
	return g.parallel(ctx, chunks, func(ctx context.Context) error {
		w := newBreaker(b)
		if err := g.guard(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= chunks {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := w.chunk(i*chunk, chunk); err != nil {
					return err
				}
			}
		}); err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		for t, n := range w.counts {
			b.counts[t] += n
		}
		for i, n := range w.knows {
			b.knows[i] += n
		}
		return nil
	})
}

// result is what was counted, field by field.
func (b *breakdown) result(fields []query.Field) ([]engine.Breakdown, error) {
	out := make([]engine.Breakdown, len(fields))
	all, err := b.gen.knownRows()
	if err != nil {
		return nil, err
	}
	for i, f := range fields {
		first, n := b.gen.termRange(f)
		o := engine.Breakdown{Field: f, Counts: make([]uint32, n)}
		if n > 0 {
			copy(o.Counts, b.counts[first:first+n])
		}
		if b.not {
			people, err := b.gen.files.Dict.Peoples(first, n)
			if err != nil {
				return nil, err
			}
			for t, p := range people {
				o.Counts[t] = p - o.Counts[t]
			}
		}
		if k := slices.Index(storage.KnownFields(), f); k >= 0 {
			if o.Known = b.knows[k]; b.not {
				o.Known = all[k] - o.Known
			}
		} else {
			for _, c := range o.Counts { // a row has one term of the field
				o.Known += uint64(c)
			}
		}
		out[i] = o
	}
	return out, nil
}

// knownRows is how many rows have a value of each of KnownFields.
func (g *core) knownRows() ([]uint64, error) {
	sums := make([]uint64, len(storage.KnownFields()))
	for _, f := range g.files.Forwards {
		for block := range f.Blocks() {
			for i := range sums {
				sums[i] += uint64(f.KnownCount(block, i))
			}
		}
	}
	return sums, nil
}

// breaker counts terms for one goroutine.
type breaker struct {
	*breakdown
	counts []uint32
	knows  []uint64
	tally  *storage.Tally
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
		w.tally = &storage.Tally{Rare: w.counts}
	}
	return w
}

// chunk counts n blocks, from first on, which are of one part.
func (w *breaker) chunk(first, n int) error {
	part, from := first/storage.PartBlocks, first%storage.PartBlocks
	to := min(from+n, from+w.gen.blocks-first)
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
	have := w.set.block(part, block)
	limit := w.gen.rowsOf(part*storage.PartBlocks + block)
	m.n, m.array, m.bits = have.n, have.array, have.bits
	if !w.not {
		return
	}
	m.n, m.array = limit-have.n, nil
	if m.n == 0 {
		return
	}
	if m.own == nil {
		m.own = new(kernel.Block)
	}
	switch {
	case have.n == 0:
		kernel.Fill(m.own, limit)
	case have.bits != nil:
		*m.own = *have.bits
		kernel.Complement(m.own, limit)
	default:
		kernel.Fill(m.own, limit)
		kernel.AndNotArray(m.own, have.array)
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
func (w *breaker) fewRecords(f *storage.Forward, live uint16) error {
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
		if err := section.CountFew(w.counts, rows); err != nil {
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

// NumTerms implements engine.Catalog.
func (c *catalog) NumTerms(f query.Field) int {
	_, n := c.core.termRange(f)
	return int(n)
}

// TermAt implements engine.Catalog.
func (c *catalog) TermAt(f query.Field, i int) (engine.Term, error) {
	first, n := c.core.termRange(f)
	if i < 0 || i >= int(n) {
		return engine.Term{}, fmt.Errorf("find term: field %s has none numbered %d", f, i)
	}
	return c.core.term(first + uint32(i))
}
