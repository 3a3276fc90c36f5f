package bitmap

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"throng/engine"
	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/rowset"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// heldRows is how many rows Terms and Score pass at once.
const heldRows = 4096

// termRanges are the terms of some fields, numbered on end: those from first
// on, n of them, are numbered from at on.
type termRange struct{ first, n, at uint32 }

// termsOf is where the terms of fields are, in the order of fields.
func (g *core) termsOf(fields []query.Field) ([]termRange, error) {
	out := make([]termRange, len(fields))
	at := uint32(0)
	for i, f := range fields {
		if !slices.Contains(forward.CountedFields(), f) {
			return nil, fmt.Errorf("look at terms of rows: those of field %s are not listed", f)
		}
		if slices.Contains(fields[:i], f) {
			return nil, fmt.Errorf("look at terms of rows: field %s is there twice", f)
		}
		first, n := g.termRange(f)
		out[i] = termRange{first, n, at}
		at += n
	}
	return out, nil
}

// number is the number of a term, or forward.NoNumber.
func number(ranges []termRange, term uint32) uint32 {
	for _, r := range ranges {
		if i := term - r.first; i < r.n {
			return r.at + i
		}
	}
	return forward.NoNumber
}

// pass is one pass over what each of some rows has.
type pass struct {
	gen    *core
	set    *rowset.Set
	firsts []uint64 // position of the first row of each block in the set
}

// passer is what one goroutine does in a pass.
type passer interface {
	// part is called before the blocks of a part.
	part(f *forward.Index) error
	// rows is called for rows of a block; at is the position of the first one in
	// the set, base the number of row 0 of the block.
	rows(b *forward.Block, at uint64, base uint32, rows []uint16) error
}

func (g *generation) pass(ctx context.Context, rows query.RowSet, make func() passer) error {
	set, err := g.own(rows)
	if err != nil {
		return err
	}
	p := &pass{gen: g.core, set: set, firsts: []uint64{0}}
	for i := range set.Blocks {
		p.firsts = append(p.firsts, p.firsts[i]+uint64(set.Blocks[i].N))
	}
	return g.settle(g.eachChunk(ctx, func(ctx context.Context, chunks iter.Seq2[int, int]) error {
		return g.guard(func() error {
			w := passWorker{pass: p, passer: make(), part: -1}
			for first, n := range chunks {
				if err := w.chunk(ctx, first, n); err != nil {
					return err
				}
			}
			return nil
		})
	}))
}

// passWorker is one goroutine of a pass.
type passWorker struct {
	*pass
	passer passer
	part   int      // that passer was told of last; -1 for none
	list   []uint16 // rows of a block whose set is a bitmap
}

// chunk passes n blocks, from first on, which are of one part.
func (w *passWorker) chunk(ctx context.Context, first, n int) error {
	part := first / storage.PartBlocks
	f := w.gen.files.Forwards[part]
	if part != w.part {
		if _, _, err := f.Codes(); err != nil {
			return err
		}
		if err := w.passer.part(f); err != nil {
			return err
		}
		w.part = part
	}
	for block := first; block < first+n; block++ {
		if w.set.Blocks[block].N == 0 {
			continue
		}
		section, err := f.Block(block % storage.PartBlocks)
		if err != nil {
			return err
		}
		if err := w.block(ctx, &section, block); err != nil {
			return err
		}
	}
	return nil
}

// block passes the rows of a block, some at a time.
func (w *passWorker) block(ctx context.Context, section *forward.Block, block int) error {
	set := &w.set.Blocks[block]
	rows := set.Rows(w.list)
	if set.Bits != nil {
		w.list = rows
	}
	for i := 0; i < len(rows); i += heldRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		some := rows[i:min(i+heldRows, len(rows))]
		if err := w.passer.rows(section, w.firsts[block]+uint64(i), uint32(block)*storage.BlockRows, some); err != nil {
			return err
		}
	}
	return nil
}

// Terms implements engine.Analyst.
func (g *generation) Terms(ctx context.Context, rows query.RowSet, fields []query.Field, visit func(*engine.Held) error) error {
	ranges, err := g.termsOf(fields)
	if err != nil {
		return err
	}
	return g.pass(ctx, rows, func() passer { return &holder{ranges: ranges, visit: visit} })
}

// holder lists what rows have.
type holder struct {
	ranges   []termRange
	visit    func(*engine.Held) error
	numberer forward.Numberer
	held     engine.Held
}

func (h *holder) part(f *forward.Index) error {
	return h.numberer.Take(f, func(term uint32) uint32 { return number(h.ranges, term) })
}

func (h *holder) rows(b *forward.Block, at uint64, base uint32, rows []uint16) (err error) {
	held := &h.held
	held.First, held.Rows, held.Ends, held.Terms = at, held.Rows[:0], held.Ends[:0], held.Terms[:0]
	for _, r := range rows {
		if held.Terms, err = b.Numbers(&h.numberer, held.Terms, int(r)); err != nil {
			return err
		}
		held.Rows = append(held.Rows, base+uint32(r))
		held.Ends = append(held.Ends, uint32(len(held.Terms)))
	}
	return h.visit(held)
}

// Score implements engine.Analyst.
func (g *generation) Score(ctx context.Context, rows query.RowSet, weights []engine.Weights, visit func(*engine.Scored) error) error {
	fields := make([]query.Field, len(weights))
	for i, w := range weights {
		fields[i] = w.Field
	}
	ranges, err := g.termsOf(fields)
	if err != nil {
		return err
	}
	limit, _ := g.termRange(query.Active)
	all := make([]int16, limit)
	for i, r := range ranges {
		if len(weights[i].Of) != int(r.n) {
			return fmt.Errorf("score rows: %d weights for the %d terms of field %s", len(weights[i].Of), r.n, fields[i])
		}
		if r.n > 0 {
			copy(all[r.first:], weights[i].Of)
		}
	}
	return g.pass(ctx, rows, func() passer { return &scorer{weights: all, visit: visit} })
}

// scorer adds up what rows have.
type scorer struct {
	weights []int16
	visit   func(*engine.Scored) error
	weigher forward.Weigher
	scored  engine.Scored
}

func (s *scorer) part(f *forward.Index) error { return s.weigher.Take(f, s.weights) }

func (s *scorer) rows(b *forward.Block, _ uint64, base uint32, rows []uint16) error {
	scored := &s.scored
	scored.Rows = scored.Rows[:0]
	for _, r := range rows {
		scored.Rows = append(scored.Rows, base+uint32(r))
	}
	scored.Scores = slices.Grow(scored.Scores[:0], len(rows))[:len(rows)]
	if err := b.Weigh(&s.weigher, rows, scored.Scores); err != nil {
		return err
	}
	return s.visit(scored)
}

// RowNumbers implements engine.Analyst.
func (g *generation) RowNumbers(rows query.RowSet) ([]uint32, error) {
	set, err := g.own(rows)
	if err != nil {
		return nil, err
	}
	out := make([]uint32, 0, set.Len())
	var list []uint16
	for i := range set.Blocks {
		if set.Blocks[i].Bits != nil {
			list = slices.Grow(list[:0], set.Blocks[i].N)
		}
		for _, r := range set.Blocks[i].Rows(list) {
			out = append(out, uint32(i)*storage.BlockRows+uint32(r))
		}
	}
	return out, nil
}

// RowsNumbered implements engine.Analyst.
func (g *generation) RowsNumbered(numbers []uint32) (query.RowSet, error) {
	blocks := make([]rowset.Block, g.blocks)
	bits := new(kernel.Block)
	for i := 0; i < len(numbers); {
		block := numbers[i] / storage.BlockRows
		if uint64(numbers[i]) >= g.rows {
			return nil, fmt.Errorf("make set of rows: there is no row %d", numbers[i])
		}
		from := i
		clear(bits[:])
		for ; i < len(numbers) && numbers[i]/storage.BlockRows == block; i++ {
			if i > 0 && numbers[i] <= numbers[i-1] {
				return nil, fmt.Errorf("make set of rows: numbers do not ascend at %d", i)
			}
			bits[uint16(numbers[i])>>6] |= 1 << (numbers[i] & 63)
		}
		if last := numbers[i-1]; uint64(last) >= g.rows {
			return nil, fmt.Errorf("make set of rows: there is no row %d", last)
		}
		blocks[block] = rowset.NewBlock(bits, i-from)
	}
	return g.newRowSet(blocks), nil
}
