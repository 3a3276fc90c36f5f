package bitmap

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"throng/engine"
	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/rowset"
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
	set   *rowset.Set
	not   bool // those who are not in set are counted
	n     uint64
	how   method
	wants [][2]uint32 // ranges of terms that are asked for, ascending
	known []int       // which of KnownFields are asked for

	mu     sync.Mutex // guards what follows
	counts []uint32   // by term
	knows  []uint64   // rows that have a value, by position in KnownFields
}

func (g *core) newBreakdown(set *rowset.Set, fields []query.Field, how method) (*breakdown, error) {
	b := &breakdown{gen: g, set: set, not: 2*set.Len() > g.rows, n: set.Len(), how: how}
	if b.not {
		b.n = g.rows - set.Len()
	}
	for _, f := range fields {
		if !slices.Contains(forward.CountedFields(), f) {
			return nil, fmt.Errorf("break down rows: terms of field %s are not counted", f)
		}
		if first, n := g.termRange(f); n > 0 {
			b.wants = append(b.wants, [2]uint32{first, first + n})
		}
		if i := slices.Index(forward.KnownFields(), f); i >= 0 {
			b.known = append(b.known, i)
		}
	}
	slices.SortFunc(b.wants, func(x, y [2]uint32) int { return int(int64(x[0]) - int64(y[0])) })
	b.wants = slices.Compact(b.wants)
	slices.Sort(b.known)
	b.known = slices.Compact(b.known)
	limit, _ := g.termRange(query.Active)
	b.counts = make([]uint32, limit)
	b.knows = make([]uint64, len(forward.KnownFields()))
	if b.how == chosen && b.n > 0 {
		return b, b.choose()
	}
	return b, nil
}

// choose takes the way that costs less.
func (b *breakdown) choose() error {
	live := 0
	for i := range b.set.Blocks {
		if n := b.set.Blocks[i].N; b.not && n < b.gen.rowsOf(i) || !b.not && n > 0 {
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
	for _, f := range forward.CountedFields() {
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
	return b.gen.eachChunk(ctx, func(ctx context.Context, chunks iter.Seq2[int, int]) error {
		w := newBreaker(b)
		if err := b.gen.guard(func() error {
			for first, n := range chunks {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := w.chunk(first, n); err != nil {
					return err
				}
			}
			return nil
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
		if k := slices.Index(forward.KnownFields(), f); k >= 0 {
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
	sums := make([]uint64, len(forward.KnownFields()))
	for _, f := range g.files.Forwards {
		for block := range f.Blocks() {
			for i := range sums {
				sums[i] += uint64(f.KnownCount(block, i))
			}
		}
	}
	return sums, nil
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
