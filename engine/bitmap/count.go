package bitmap

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// Count implements engine.Generation. A definition that was counted before on
// this generation costs nothing; of another one, only steps that were not.
func (g *generation) Count(ctx context.Context, d query.Definition) (engine.Counts, error) {
	p, err := g.compile(d)
	if err != nil {
		return engine.Counts{}, err
	}
	if !p.known() {
		if err := g.run(ctx, p, nil); err != nil {
			return engine.Counts{}, err
		}
	}
	return p.counts(), nil
}

// Select implements engine.Generation.
func (g *generation) Select(ctx context.Context, d query.Definition) (query.RowSet, engine.Counts, error) {
	p, err := g.compile(d)
	if err != nil {
		return nil, engine.Counts{}, err
	}
	blocks := make([]rowBlock, g.blocks)
	if err := g.run(ctx, p, blocks); err != nil {
		return nil, engine.Counts{}, err
	}
	return g.newRowSet(blocks), p.counts(), nil
}

func (p *plan) counts() engine.Counts {
	c := engine.Counts{
		Steps:   make([]uint64, len(p.steps)),
		Include: p.include.size, Filter: p.filter.size, Exclude: p.exclude.size,
	}
	for i := range p.steps {
		c.Steps[i] = p.steps[i].size
	}
	return c
}

// run evaluates a plan on all blocks, notes its sizes in the plan and in the
// cache, and keeps the rows in blocks, where that is given.
func (g *core) run(ctx context.Context, p *plan, blocks []rowBlock) error {
	chunk := g.chunk()
	chunks := (g.blocks + chunk - 1) / chunk
	var next atomic.Int64
	var mu sync.Mutex // guards the sums in p
	sum := plan{steps: make([]step, len(p.steps))}
	work := func(ctx context.Context) error {
		w := g.engine.pool.Get().(*worker)
		w.reset(g, p)
		if err := g.guard(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= chunks {
					return nil
				}
				if err := w.chunk(ctx, i*chunk, chunk, blocks); err != nil {
					return err
				}
			}
		}); err != nil {
			return err // and w, whose state is not known, is lost
		}
		defer g.engine.pool.Put(w)
		defer w.release()
		mu.Lock()
		defer mu.Unlock()
		sum.include.size += w.include
		sum.filter.size += w.filter
		sum.exclude.size += w.exclude
		for i, n := range w.sizes {
			sum.steps[i].size += n
		}
		return nil
	}
	if err := g.parallel(ctx, chunks, work); err != nil {
		return err
	}
	g.note(p, &sum)
	return nil
}

// parallel runs work on as many goroutines as can be busy with n pieces.
func (g *core) parallel(ctx context.Context, n int, work func(context.Context) error) error {
	workers := min(n, g.engine.cfg.Workers)
	if workers <= 1 {
		return work(ctx)
	}
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error { return work(ctx) })
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
func (g *core) note(p, sum *plan) {
	for i := range p.steps {
		if s := &p.steps[i]; s.need {
			s.size, s.need = sum.steps[i].size, false
			g.sizes.put(s.node.key, s.size)
		}
	}
	for _, t := range []struct{ to, from *total }{
		{&p.include, &sum.include}, {&p.filter, &sum.filter}, {&p.exclude, &sum.exclude},
	} {
		if !t.to.known {
			t.to.size, t.to.known = t.from.size, true
			g.sizes.put(t.to.key, t.to.size)
		}
	}
}

// chunk evaluates n blocks, from first on, which are of one part.
func (w *worker) chunk(ctx context.Context, first, n int, blocks []rowBlock) error {
	if err := w.bind(first / storage.PartBlocks); err != nil {
		return err
	}
	from := first % storage.PartBlocks
	n = min(n, w.gen.blocks-first)
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
			blocks[first-from+b] = newRowBlock(w.acc, rows)
		}
	}
	return nil
}
