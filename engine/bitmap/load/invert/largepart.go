package invert

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
)

// largePart makes a part whose pairs are more than may be inverted at once: a
// range of terms at a time, whose rows are no more than the budget. Each range
// reads all pairs of the part again, which takes a small part of the time that
// putting them in their places does. The forward index, which is made row by
// row, then takes the counted terms of a block at a time, or of some where they
// fit the budget together.
func (v *inversion) largePart(ctx context.Context, part int) error {
	first := part * storage.PartBlocks
	p := &rangedPart{
		inversion: v, first: first, end: min(blocksOf(v.Rows), first+storage.PartBlocks),
		idle: make(chan *inverter, v.Workers), room: semaphore.NewWeighted(v.Budget),
	}
	defer p.free()
	for range v.Workers {
		i, err := newInverter(&v.Numbers)
		if err != nil {
			return err
		}
		p.idle <- i
	}
	ranges, err := v.ranges(first, p.end)
	if err != nil {
		return err
	}
	pw, err := v.partWriter(part)
	if err != nil {
		return err
	}
	defer pw.Abort()
	for _, of := range ranges {
		if err := p.merge(ctx, pw, of); err != nil {
			return err
		}
	}
	v.shrink() // blocks of all terms are larger
	counted := termRange{}
	if v.forward != nil {
		counted.end = v.forward.counted.End()
	}
	if err := v.closePart(pw, part, func(b int) (*storage.BlockLists, func(), error) { return p.lists(ctx, b, counted) }); err != nil {
		return err
	}
	v.shrink()
	for b := first; b < p.end; b++ {
		v.releaseBlock(b)
	}
	return nil
}

// rangedPart is a part that is made a range of terms at a time.
type rangedPart struct {
	*inversion
	first, end int                 // blocks
	idle       chan *inverter      // one for each worker
	room       *semaphore.Weighted // of the budget, for the forward index
}

// free frees the inverters; none is at work any more.
func (p *rangedPart) free() {
	for range len(p.idle) {
		(<-p.idle).free()
	}
}

// merge writes a range of terms of all blocks.
func (p *rangedPart) merge(ctx context.Context, pw *storage.PartWriter, of termRange) error {
	var part invertedPart
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(p.Workers)
	for b := p.first; b < p.end; b++ {
		g.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			i := <-p.idle
			defer func() { p.idle <- i }()
			part.blocks[b-p.first], err = p.inverted(i, b, of)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	blocks := part.lists()
	if err := pw.Merge(&blocks); err != nil {
		return err
	}
	p.give(part.blocks[:]...)
	return nil
}

// lists gives the counted terms of a block of the part, as soon as the budget
// has room for it, and what is called when they are no longer used.
func (p *rangedPart) lists(ctx context.Context, b int, counted termRange) (*storage.BlockLists, func(), error) {
	weight := min(p.weight(p.first+b), p.Budget)
	if err := p.room.Acquire(ctx, weight); err != nil {
		return nil, nil, err
	}
	i := <-p.idle
	defer func() { p.idle <- i }()
	out, err := p.inverted(i, p.first+b, counted)
	if err != nil {
		p.room.Release(weight)
		return nil, nil, err
	}
	return &out.BlockLists, func() {
		p.give(out)
		p.room.Release(weight)
	}, nil
}

// Bytes that a range takes for each of its rows, as they come and in order, and
// for each term and block: its number, and where its rows end.
const (
	rangeRow  = 2 + 2
	rangeTerm = 4 + 4
)

// ranges cuts the terms of blocks into ranges, each of which fits the budget, or
// is one term.
func (v *inversion) ranges(first, end int) (ranges []termRange, err error) {
	var places spill.Array[uint32]
	defer places.Free()
	counts, err := places.Get(v.Numbers.Terms)
	if err != nil {
		return nil, err
	}
	buffer := new(pairBuffer)
	var more finalCounts
	for b := first; b < end; b++ {
		pieces, records, err := v.read(b)
		if err != nil {
			return nil, err
		}
		more = append(more, finalPairs{slices.Clone(records)})
		for _, p := range pieces {
			if err := buffer.each(p, func(terms []uint32, _ []uint16) bool { return countPairs(counts, terms) }); err != nil {
				return nil, err
			}
		}
	}
	at, held := termRange{}, int64(0)
	take := func(term uint32, rows int64) {
		n := rows*rangeRow + min(rows, storage.PartBlocks)*rangeTerm
		if held > 0 && held+n > v.Budget {
			at.end = term
			ranges = append(ranges, at)
			at.first, held = term, 0
		}
		held += n
	}
	term, rows := more.next()
	known := func(t uint32) {
		f := v.Numbers.of(t)
		for ; term < f; term, rows = more.next() {
			take(term, rows)
		}
		if counts[t] > 0 {
			take(f, int64(counts[t]))
		}
	}
	if v.Numbers.Order == nil {
		for t := range counts {
			known(uint32(t))
		}
	} else {
		for _, t := range v.Numbers.Order {
			known(t)
		}
	}
	for ; term != noTerm; term, rows = more.next() {
		take(term, rows)
	}
	at.end = noTerm
	return append(ranges, at), nil
}

// finalCounts counts the rows of final terms of some blocks together.
type finalCounts []finalPairs

// next gives the next term, and how many rows have it; noTerm at the end.
func (c finalCounts) next() (term uint32, rows int64) {
	term = noTerm
	for i := range c {
		term = min(term, c[i].peek())
	}
	if term == noTerm {
		return term, 0
	}
	for i := range c {
		for ; c[i].peek() == term; c[i].skip() {
			rows++
		}
	}
	return term, rows
}
