package bitmap

import (
	"context"
	"encoding/binary"
	"iter"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/rowset"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/internal/hexkey"
	"throng/query"
)

const (
	// matchBatch is how many values are handed to another goroutine at once:
	// enough that handing costs nothing beside.
	matchBatch = 4096
	// matchProbes is how many values are looked up in one go by all workers
	// together: the more, the nearer are those that are looked up one after
	// the other, at 40 bytes each. More than there are keys to be found bring
	// none nearer.
	matchProbes = 1 << 20
	// minProbes is how many those of one worker are at least.
	minProbes = 1 << 15
)

// Match implements engine.Generation. It reads seq to its end also where the
// generation has no identifiers of the type.
func (g *generation) Match(ctx context.Context, typ identifier.Type, seq iter.Seq[[]byte]) (query.RowSet, uint64, error) {
	return newMatcher(g.core, typ).match(ctx, g, seq)
}

// match matches the values of seq.
func (m *matcher) match(ctx context.Context, g *generation, seq iter.Seq[[]byte]) (query.RowSet, uint64, error) {
	group, gctx := errgroup.WithContext(ctx)
	full := make(chan *valueBatch, m.workers)
	free := make(chan *valueBatch, 2*m.workers)
	for range cap(free) {
		free <- new(valueBatch)
	}
	for range m.workers {
		group.Go(func() error {
			w := newMatchWorker(m)
			for b := range full {
				if err := g.guard(func() error { return w.add(gctx, b) }); err != nil {
					return err
				}
				b.reset()
				free <- b
			}
			return g.guard(func() error { return w.round(gctx) })
		})
	}
	feed(gctx, seq, full, free)
	close(full)
	if err := m.settle(group.Wait()); err != nil {
		return nil, 0, err
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	return g.newRowSet(m.rowBlocks()), m.matched.Load(), nil
}

// valueBatch is values on end, and where each ends.
type valueBatch struct {
	values []byte
	ends   []uint32
	others int // than of hexkey.SumLen bytes
}

func (b *valueBatch) reset() { b.values, b.ends, b.others = b.values[:0], b.ends[:0], 0 }

func (b *valueBatch) add(value []byte) {
	if n := len(b.values); len(value) == hexkey.SumLen && n+hexkey.SumLen <= cap(b.values) {
		b.values = b.values[:n+hexkey.SumLen] // most are so long, and words need no call
		to := (*[hexkey.SumLen]byte)(b.values[n:])
		ne := binary.NativeEndian
		ne.PutUint64(to[0:], ne.Uint64(value[0:]))
		ne.PutUint64(to[8:], ne.Uint64(value[8:]))
		ne.PutUint64(to[16:], ne.Uint64(value[16:]))
		ne.PutUint64(to[24:], ne.Uint64(value[24:]))
	} else {
		b.values = append(b.values, value...)
		if len(value) != hexkey.SumLen {
			b.others++
		}
	}
	b.ends = append(b.ends, uint32(len(b.values)))
}

// feed cuts seq into batches, until its end or until ctx is done. It does
// nothing else, so that the work is where the goroutines are.
func feed(ctx context.Context, seq iter.Seq[[]byte], full chan<- *valueBatch, free <-chan *valueBatch) {
	var b *valueBatch
	for value := range seq {
		if b == nil {
			select {
			case b = <-free:
			case <-ctx.Done():
				return
			}
		}
		if b.add(value); len(b.ends) == matchBatch {
			select {
			case full <- b:
				b = nil
			case <-ctx.Done():
				return
			}
		}
	}
	if b != nil && len(b.ends) > 0 {
		select {
		case full <- b:
		case <-ctx.Done():
		}
	}
}

// matcher finds the rows that own keys of one type. It is safe for concurrent
// use.
type matcher struct {
	gen     *core
	workers int
	limit   int             // values of a worker's round
	typ     identifier.Type // of the values given
	codec   storage.Codec   // of the type that is looked up
	binary  bool            // keys are 16 bytes, written in hexadecimal
	lookup  *storage.Lookup // nil where nobody has one
	column  *columnView
	matched atomic.Uint64 // values that somebody owns
	blocks  []ownerBlock
}

// ownerBlock is the rows of a block that own a value.
type ownerBlock struct {
	mu   sync.Mutex
	rows *kernel.Block // nil for none
}

// settle is core.settle for what was found.
func (m *matcher) settle(err error) error {
	if m.lookup == nil {
		return err
	}
	return m.gen.settle(err, m.lookup, m.column.column)
}

func newMatcher(g *core, typ identifier.Type) *matcher {
	m := &matcher{gen: g, workers: g.engine.cfg.Workers, typ: typ, blocks: make([]ownerBlock, g.blocks)}
	most := uint64(matchProbes)
	if typ == identifier.EmailRaw {
		// Whoever has an address has its MD5, and some have nothing else.
		typ = identifier.MD5
	}
	m.codec = storage.CodecOf(typ)
	m.binary = m.codec.Binary()
	if column, lookup := g.columns[typ], g.files.Lookups[typ]; column != nil && lookup != nil {
		m.column, m.lookup = column, lookup
		most = min(most, lookup.Keys())
	}
	m.limit = max(int(most)/m.workers, minProbes)
	return m
}

// set notes rows of a block, which are in the upper halves of found.
func (m *matcher) set(block int, found []uint64) {
	b := &m.blocks[block]
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows == nil {
		b.rows = new(kernel.Block)
	}
	for _, f := range found {
		row := f >> 32 % storage.BlockRows
		b.rows[row/64] |= 1 << (row % 64)
	}
}

func (m *matcher) rowBlocks() []rowset.Block {
	blocks := make([]rowset.Block, len(m.blocks))
	for i := range m.blocks {
		if b := m.blocks[i].rows; b != nil {
			blocks[i] = rowset.NewBlock(b, kernel.Count(b))
		}
	}
	return blocks
}

// columnView is a column whose blocks are looked at again and again.
type columnView struct {
	column *storage.Column
	blocks []atomic.Pointer[storage.ColumnBlock]
}

func newColumnView(c *storage.Column) *columnView {
	return &columnView{column: c, blocks: make([]atomic.Pointer[storage.ColumnBlock], c.Blocks())}
}

// block gives a block of the column. It is shared.
func (v *columnView) block(i int) (*storage.ColumnBlock, error) {
	if i < len(v.blocks) {
		if b := v.blocks[i].Load(); b != nil {
			return b, nil
		}
	}
	b, err := v.column.Block(i)
	if err != nil {
		return nil, err
	}
	v.blocks[i].Store(&b)
	return &b, nil
}
