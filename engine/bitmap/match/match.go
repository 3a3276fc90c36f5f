// Package match finds out who owns the identifiers of a list, in an index of any
// size: the rows, and how many of the identifiers somebody owns.
//
// Values are handed to goroutines in batches. Each takes them round by round, and
// in a round does everything in the order of the memory that it touches: looks
// values up in the order of the lookup, and compares those found in the order of
// the column. A round of all goroutines together is of about a million values, at
// 40 bytes each, beside keys that are not of 16 bytes; the list is never in
// memory as a whole.
package match

import (
	"context"
	"encoding/binary"
	"iter"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/internal/hexkey"
)

const (
	// batchValues is how many values are handed to another goroutine at once:
	// enough that handing costs nothing beside.
	batchValues = 4096
	// roundProbes is how many values are looked up in one go by all workers
	// together: the more, the nearer are those that are looked up one after
	// the other, at 40 bytes each. More than there are keys to be found bring
	// none nearer.
	roundProbes = 1 << 20
	// minProbes is how many those of one worker are at least.
	minProbes = 1 << 15
)

// Config says what values are matched with.
type Config struct {
	// Type is the one of the values given.
	Type identifier.Type
	// Lookup and Column are those of LookedUp(Type); nil where nobody has an
	// identifier of the type.
	Lookup *storage.Lookup
	Column *storage.ColumnView
	Rows   uint64 // of the generation
	// Workers is how many goroutines look values up.
	Workers int
	// Round is how many values each of them takes at once. Defaults to what
	// suits the lookup.
	Round int
	// Guard runs f, and makes what goes wrong with mapped files its error.
	Guard func(f func() error) error
}

// LookedUp is the type whose lookup and column are used for values of a type.
func LookedUp(typ identifier.Type) identifier.Type {
	if typ == identifier.EmailRaw {
		// Whoever has an address has its MD5, and some have nothing else.
		return identifier.MD5
	}
	return typ
}

// Run matches the values of seq, which it reads to its end, also where nobody
// has one; or until ctx is done. owners are the rows that own any, by block, nil
// for none; matched is how many of the values somebody owns.
func Run(ctx context.Context, c Config, seq iter.Seq[[]byte]) (owners []*kernel.Block, matched uint64, err error) {
	m := newMatcher(c)
	group, gctx := errgroup.WithContext(ctx)
	full := make(chan *valueBatch, m.Workers)
	free := make(chan *valueBatch, 2*m.Workers)
	for range cap(free) {
		free <- new(valueBatch)
	}
	for range m.Workers {
		group.Go(func() error {
			w := newWorker(m)
			for b := range full {
				if err := m.Guard(func() error { return w.add(gctx, b) }); err != nil {
					return err
				}
				b.reset()
				free <- b
			}
			return m.Guard(func() error { return w.round(gctx) })
		})
	}
	feed(gctx, seq, full, free)
	close(full)
	if err := group.Wait(); err != nil {
		return nil, 0, err
	}
	return m.owners(), m.matched.Load(), ctx.Err()
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
		if b.add(value); len(b.ends) == batchValues {
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
	Config
	codec   storage.Codec // of the type that is looked up
	binary  bool          // keys are 16 bytes, written in hexadecimal
	matched atomic.Uint64 // values that somebody owns
	blocks  []ownerBlock
}

// ownerBlock is the rows of a block that own a value.
type ownerBlock struct {
	mu   sync.Mutex
	rows *kernel.Block // nil for none
}

func newMatcher(c Config) *matcher {
	m := &matcher{Config: c, blocks: make([]ownerBlock, (c.Rows+storage.BlockRows-1)/storage.BlockRows)}
	m.codec = storage.CodecOf(LookedUp(c.Type))
	m.binary = m.codec.Binary()
	if m.Round == 0 {
		most := uint64(roundProbes)
		if c.Lookup != nil {
			most = min(most, c.Lookup.Keys())
		}
		m.Round = max(int(most)/c.Workers, minProbes)
	}
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

func (m *matcher) owners() []*kernel.Block {
	owners := make([]*kernel.Block, len(m.blocks))
	for i := range m.blocks {
		owners[i] = m.blocks[i].rows
	}
	return owners
}
