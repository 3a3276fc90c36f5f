package bitmap

import (
	"context"
	"encoding/hex"
	"iter"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/query"
)

// matchBatch is how many values are looked up together: enough that handing
// them to another goroutine costs nothing beside, few enough for the cache.
const matchBatch = 4096

// Match implements engine.Generation. It reads seq to its end also where the
// generation has no identifiers of the type.
func (g *generation) Match(ctx context.Context, typ identifier.Type, seq iter.Seq[[]byte]) (query.RowSet, uint64, error) {
	m := newMatcher(g.core, typ)
	group, gctx := errgroup.WithContext(ctx)
	full := make(chan *keyBatch, m.workers)
	free := make(chan *keyBatch, 2*m.workers)
	for range cap(free) {
		free <- new(keyBatch)
	}
	for range m.workers {
		group.Go(func() error {
			for b := range full {
				if err := g.guard(func() error { return m.match(gctx, b) }); err != nil {
					return err
				}
				b.reset()
				free <- b
			}
			return nil
		})
	}
	m.feed(gctx, seq, full, free)
	close(full)
	if err := g.settle(group.Wait()); err != nil {
		return nil, 0, err
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	return g.newRowSet(m.rowBlocks()), m.matched.Load(), nil
}

// matcher finds the rows that own keys of one type. It is safe for concurrent
// use.
type matcher struct {
	gen     *core
	workers int
	typ     identifier.Type // of the values given
	codec   storage.Codec   // of the type that is looked up
	binary  bool            // keys are 16 bytes, written in hexadecimal
	lookup  *storage.Lookup // nil where nobody has one
	column  *columnView
	matched atomic.Uint64
	blocks  []atomic.Pointer[kernel.Block]
}

func newMatcher(g *core, typ identifier.Type) *matcher {
	m := &matcher{gen: g, workers: g.engine.cfg.Workers, typ: typ, blocks: make([]atomic.Pointer[kernel.Block], g.blocks)}
	if typ == identifier.EmailRaw {
		// Whoever has an address has its MD5, and some have nothing else.
		typ = identifier.MD5
	}
	m.codec = storage.CodecOf(typ)
	m.binary = len(m.codec.Encode(nil, make([]byte, 32))) == 16
	if column, lookup := g.columns[typ], g.files.Lookups[typ]; column != nil && lookup != nil {
		m.column, m.lookup = column, lookup
	}
	return m
}

// keyBatch is values that are looked up together. Whoever feeds it sets values
// and ends alone, so that the work is where the goroutines are.
type keyBatch struct {
	values []byte // on end
	ends   []uint32
	keys   []byte // as they are stored and compared, on end
	bounds []uint32
	hashes []uint64
	owned  []bool // by any row
	sum    []byte // scratch
}

func (b *keyBatch) reset() { b.values, b.ends = b.values[:0], b.ends[:0] }

func (b *keyBatch) add(value []byte) {
	b.values = append(b.values, value...)
	b.ends = append(b.ends, uint32(len(b.values)))
}

func (b *keyBatch) key(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = b.bounds[i-1]
	}
	return b.keys[from:b.bounds[i]]
}

// feed cuts seq into batches, until its end or until ctx is done.
func (m *matcher) feed(ctx context.Context, seq iter.Seq[[]byte], full chan<- *keyBatch, free <-chan *keyBatch) {
	var b *keyBatch
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

// encode makes the keys of a batch.
func (m *matcher) encode(b *keyBatch) {
	b.keys, b.bounds, b.hashes = b.keys[:0], b.bounds[:0], b.hashes[:0]
	from := uint32(0)
	for _, end := range b.ends {
		value := b.values[from:end]
		if from = end; m.typ == identifier.EmailRaw {
			b.sum = identifier.EmailMD5(b.sum[:0], value)
			value = b.sum
		}
		start := len(b.keys)
		if m.binary {
			b.keys = appendBinary(b.keys, value)
		} else {
			b.keys = m.codec.Encode(b.keys, value)
		}
		b.bounds = append(b.bounds, uint32(len(b.keys)))
		b.hashes = append(b.hashes, storage.Hash(b.keys[start:]))
	}
}

// appendBinary appends the 16 bytes of an MD5 or UUID in its normal form: what
// Codec.Encode does for one value, for many.
func appendBinary(dst, text []byte) []byte {
	var raw [16]byte
	var err error
	switch len(text) {
	case 32:
		_, err = hex.Decode(raw[:], text)
	case 36:
		var digits [32]byte
		copy(digits[:], text[:8])
		copy(digits[8:], text[9:13])
		copy(digits[12:], text[14:18])
		copy(digits[16:], text[19:23])
		copy(digits[20:], text[24:])
		_, err = hex.Decode(raw[:], digits[:])
	default:
		err = hex.ErrLength
	}
	if err != nil { // it is in no normal form, and nobody has it
		return dst
	}
	return append(dst, raw[:]...)
}

// match finds the owners of a batch of keys.
func (m *matcher) match(ctx context.Context, b *keyBatch) error {
	if err := ctx.Err(); err != nil || m.lookup == nil {
		return err
	}
	m.encode(b)
	b.owned = resize(b.owned, len(b.ends))
	clear(b.owned)
	var failed error
	err := m.lookup.Batch(b.hashes, func(i int, row uint32) {
		owns, err := m.column.owns(row, b.key(i), m.codec)
		if err != nil {
			failed = err
			return
		}
		if owns {
			b.owned[i] = true
			m.set(row)
		}
	})
	if err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	n := uint64(0)
	for _, owned := range b.owned {
		if owned {
			n++
		}
	}
	m.matched.Add(n)
	return nil
}

// set notes a row.
func (m *matcher) set(row uint32) {
	at := &m.blocks[row/storage.BlockRows]
	b := at.Load()
	if b == nil {
		if b = new(kernel.Block); !at.CompareAndSwap(nil, b) {
			b = at.Load()
		}
	}
	atomic.OrUint64(&b[row%storage.BlockRows/64], 1<<(row%64))
}

func (m *matcher) rowBlocks() []rowBlock {
	blocks := make([]rowBlock, len(m.blocks))
	for i := range m.blocks {
		if b := m.blocks[i].Load(); b != nil {
			blocks[i] = newRowBlock(b, kernel.Count(b))
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

// owns tells whether a row has a value with this key.
func (v *columnView) owns(row uint32, key []byte, codec storage.Codec) (bool, error) {
	b, err := v.block(int(row / storage.BlockRows))
	if err != nil {
		return false, err
	}
	if row >= v.column.Rows() {
		return false, nil
	}
	from, to := b.Range(int(row % storage.BlockRows))
	for i := from; i < to; i++ {
		if codec.Equal(b.Value(i), key) {
			return true, nil
		}
	}
	return false, nil
}
