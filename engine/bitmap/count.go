package bitmap

import (
	"context"
	"iter"
	"math/bits"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"throng/engine"
	"throng/engine/bitmap/rowset"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// Count implements engine.Generation. A definition that was counted before on
// this generation costs nothing; of another one, only steps that were not.
func (g *generation) Count(ctx context.Context, d query.Definition, want engine.Sizes) (engine.Counts, error) {
	p, err := g.compile(d, want)
	if err != nil {
		return engine.Counts{}, err
	}
	if p.known() {
		return p.counts(), nil
	}
	g.collectAll(p)
	err = g.run(ctx, p, nil)
	for i := range p.steps {
		if s := &p.steps[i]; s.collect != nil {
			s.collect.done(g.core, s.node.key, err == nil)
		}
	}
	if err != nil {
		return engine.Counts{}, err
	}
	return p.counts(), nil
}

// collectAll has the rows of nodes kept whose sizes alone are asked for: who
// asks for these edits a definition, and comes back with another one soon. A
// build, which does not come back, leaves the cache as it is.
func (g *core) collectAll(p *plan) {
	if p.want&engine.Alone == 0 {
		return
	}
	seen := map[[32]byte]bool{}
	for i := range p.steps {
		s := &p.steps[i]
		if !seen[s.node.key] {
			seen[s.node.key] = true
			s.collect = g.collect(p, s.node, s.alone.n, !s.alone.need)
		}
	}
}

// Select implements engine.Generation.
func (g *generation) Select(ctx context.Context, d query.Definition, want engine.Sizes) (query.RowSet, engine.Counts, error) {
	p, err := g.compile(d, want)
	if err != nil {
		return nil, engine.Counts{}, err
	}
	blocks := make([]rowset.Block, g.blocks)
	if err := g.run(ctx, p, blocks); err != nil {
		return nil, engine.Counts{}, err
	}
	return g.newRowSet(blocks), p.counts(), nil
}

// counts are the sizes wanted, once they are known.
func (p *plan) counts() engine.Counts {
	c := engine.Counts{Include: p.include.n, Filter: p.filter.n, Exclude: p.exclude.n}
	if p.want&engine.Alone != 0 {
		c.Steps = make([]uint64, len(p.steps))
		for i := range p.steps {
			c.Steps[i] = p.steps[i].alone.n
		}
	}
	if p.want&engine.After != 0 {
		c.After = make([]uint64, len(p.steps))
		for _, kind := range []struct {
			steps []*step
			total uint64
		}{{p.includes, c.Include}, {p.filters, c.Filter}, {p.excludes, c.Exclude}} {
			for i, s := range kind.steps {
				if c.After[s.index] = s.after.n; i == len(kind.steps)-1 {
					c.After[s.index] = kind.total
				}
			}
		}
	}
	return c
}

// run evaluates a plan on all blocks, notes its sizes in the plan and in the
// cache, and keeps the rows in blocks, where that is given.
func (g *core) run(ctx context.Context, p *plan, blocks []rowset.Block) error {
	var mu sync.Mutex // guards the sums in p
	sum := newSums(len(p.steps))
	work := func(ctx context.Context, chunks iter.Seq2[int, int]) error {
		w := g.engine.pool.Get().(*worker)
		w.reset(g, p)
		if err := g.guard(func() error {
			for first, n := range chunks {
				if err := w.chunk(ctx, first, n, blocks); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err // and w, whose state is not known, is lost
		}
		defer g.engine.pool.Put(w)
		defer w.release()
		mu.Lock()
		defer mu.Unlock()
		sum.add(&w.sums)
		return nil
	}
	if err := g.settleCount(g.eachChunk(ctx, work)); err != nil {
		return err
	}
	g.note(p, sum)
	return nil
}

// eachChunk runs work on as many goroutines as can be busy. Each ranges over
// chunks of its own, a first block and how many there are, all of one part;
// together they are all blocks.
func (g *core) eachChunk(ctx context.Context, work func(ctx context.Context, chunks iter.Seq2[int, int]) error) error {
	size := g.chunk()
	var next atomic.Int64 // block that no goroutine has
	chunks := func(yield func(first, n int) bool) {
		for {
			first := int(next.Add(int64(size))) - size
			if first >= g.blocks || !yield(first, min(size, g.blocks-first)) {
				return
			}
		}
	}
	workers := min((g.blocks+size-1)/size, g.engine.cfg.Workers)
	if workers <= 1 {
		return work(ctx, chunks)
	}
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error { return work(ctx, chunks) })
	}
	return group.Wait()
}

// chunk is how many blocks a worker takes at once: a whole part, whose postings
// are then looked up once, or less where parts are too few for all workers. It
// divides the blocks of a part.
func (g *core) chunk() int {
	chunk := storage.PartBlocks
	for chunk > 1 && g.blocks < 4*chunk*g.engine.cfg.Workers {
		chunk /= 2
	}
	return chunk
}

// note fills in what was not known before.
func (g *core) note(p *plan, sum *sums) {
	found := func(t *tally, n uint64) {
		if t.need {
			t.n, t.need = n, false
			g.sizes.Put(t.key, n)
		}
	}
	for i := range p.steps {
		found(&p.steps[i].alone, sum.alone[i])
		found(&p.steps[i].after, sum.after[i])
	}
	found(&p.include, sum.include)
	found(&p.filter, sum.filter)
	found(&p.exclude, sum.exclude)
}

// sums are sizes while they are counted.
type sums struct {
	include, filter, exclude uint64
	alone, after             []uint64 // of each step; those that nobody needs are arbitrary
}

func newSums(steps int) *sums {
	return &sums{alone: make([]uint64, steps), after: make([]uint64, steps)}
}

// reset makes all sums of so many steps 0.
func (s *sums) reset(steps int) {
	*s = sums{alone: resize(s.alone, steps), after: resize(s.after, steps)}
	clear(s.alone)
	clear(s.after)
}

func (s *sums) add(t *sums) {
	s.include += t.include
	s.filter += t.filter
	s.exclude += t.exclude
	for i := range s.alone {
		s.alone[i] += t.alone[i]
		s.after[i] += t.after[i]
	}
}

// chunk evaluates n blocks, from first on, which are of one part.
func (w *worker) chunk(ctx context.Context, first, n int, blocks []rowset.Block) error {
	if err := w.bind(first / storage.PartBlocks); err != nil {
		return err
	}
	from := first % storage.PartBlocks
	mask := w.live(blocks != nil) & uint16((1<<n-1)<<from)
	for ; mask != 0; mask &= mask - 1 {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := bits.TrailingZeros16(mask)
		rows, err := w.block(b)
		if err != nil {
			return err
		}
		if blocks != nil {
			blocks[first-from+b] = rowset.NewBlock(w.acc, rows)
		}
	}
	return nil
}
