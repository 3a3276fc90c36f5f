// Package stream prints the identifiers that people have: those of a set of rows,
// of several types in one pass, each value once, in the order of rows.
//
// It keeps two stretches of 4,096 to 8,192 rows a worker, and of the values that
// several rows of the generation own, those passed so far.
package stream

import (
	"context"
	"math/bits"
	"slices"

	"throng/engine"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/rowset"
	"throng/engine/bitmap/storage"
	"throng/identifier"
)

const (
	// stretchRows is how many rows make a stretch, so that what one type
	// prints for it stays in the second cache; it may have twice as many.
	stretchRows = 4096
	// stretchWords is how much of a bitmap is taken at once: so many rows.
	stretchWords = stretchRows / 64
)

// Config says what is streamed.
type Config struct {
	Set *rowset.Set
	// Columns are the types, in the order in which they are passed on.
	Columns []Column
	// Workers is how many goroutines print.
	Workers int
	// Guard runs f, and makes what goes wrong with mapped files its error.
	Guard func(f func() error) error
	// Emit is given batches, one after another; a batch is valid until it returns.
	Emit func(*engine.Batch) error
}

// Column is the identifiers of one type.
type Column struct {
	Type identifier.Type
	View *storage.ColumnView
}

// Run passes on the identifiers that the rows of a set have. The rows are cut
// into stretches, which all workers print, and which are passed on in order: one
// batch of each type that has any.
func Run(ctx context.Context, c Config) error {
	s := &streamer{guard: c.Guard, emit: c.Emit}
	for _, col := range c.Columns {
		s.columns = append(s.columns, streamColumn{typ: col.Type, view: col.View, codec: storage.CodecOf(col.Type)})
	}
	cut := &cutter{set: c.Set}
	if c.Workers > 1 && c.Set.Len() > 4*stretchRows {
		return s.runParallel(ctx, cut, c.Workers)
	}
	return s.run(ctx, cut)
}

// streamer is one run.
type streamer struct {
	guard   func(f func() error) error
	columns []streamColumn
	emit    func(*engine.Batch) error
}

// streamColumn is one type on its way out.
type streamColumn struct {
	typ   identifier.Type
	view  *storage.ColumnView
	codec storage.Codec
	// seen holds the keys of the shared values passed so far. All others
	// cannot come twice.
	seen map[string]struct{}
}

// run prints and passes stretch by stretch.
func (s *streamer) run(ctx context.Context, cut *cutter) error {
	t := s.newStretch()
	for cut.next(t) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.print(t); err != nil {
			return err
		}
		if err := s.pass(t); err != nil {
			return err
		}
	}
	return nil
}

// runParallel has goroutines print what this one cuts and passes.
func (s *streamer) runParallel(ctx context.Context, cut *cutter, workers int) error {
	depth := 2 * workers
	todo := make(chan *stretch, depth)
	done := make(chan struct{}, workers)
	for range workers {
		go func() {
			for t := range todo {
				t.done <- s.print(t)
			}
			done <- struct{}{}
		}()
	}
	defer func() {
		close(todo)
		for range workers {
			<-done
		}
	}()
	var waiting, free []*stretch
	for more := true; ; {
		for more && len(waiting) < depth {
			var t *stretch
			if n := len(free); n > 0 {
				t, free = free[n-1], free[:n-1]
			} else {
				t = s.newStretch()
			}
			if more = cut.next(t); more {
				waiting = append(waiting, t)
				todo <- t
			}
		}
		if len(waiting) == 0 {
			return nil
		}
		t := waiting[0]
		waiting = slices.Delete(waiting, 0, 1)
		if err := <-t.done; err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.pass(t); err != nil {
			return err
		}
		free = append(free, t)
	}
}

// stretch is some rows, one after another, and what is printed for them.
type stretch struct {
	pieces  []piece
	done    chan error // of whoever prints it
	columns []stretchColumn
	// Scratch.
	rows   []uint16
	values []uint32
}

// piece is the rows of a stretch in one block: those of array or those of the
// bitmap words, the first of which is row first.
type piece struct {
	block  int
	member uint32 // number of its first row
	array  []uint16
	words  []uint64
	first  uint16
}

// stretchColumn is what a column prints for a stretch. Of the values that are
// shared it has the places in the batch and the keys.
type stretchColumn struct {
	batch  engine.Batch
	shared []uint32
	keys   []byte
	ends   []uint32 // of keys
}

func (s *streamer) newStretch() *stretch {
	t := &stretch{done: make(chan error, 1), columns: make([]stretchColumn, len(s.columns))}
	for i := range t.columns {
		t.columns[i].batch.Type = s.columns[i].typ
	}
	return t
}

// cutter cuts a set of rows into stretches.
type cutter struct {
	set    *rowset.Set
	block  int
	words  int // taken of the block, where it is a bitmap
	member uint32
}

// next makes t the next stretch; false where there is none.
func (c *cutter) next(t *stretch) bool {
	t.pieces = t.pieces[:0]
	for n := 0; n < stretchRows && c.block < len(c.set.Blocks); {
		b := &c.set.Blocks[c.block]
		p, size := piece{block: c.block, member: c.member}, b.N
		switch {
		case b.N == 0:
			c.block++
			continue
		case b.Bits == nil:
			p.array = b.Array
			c.block++
		default:
			p.words, p.first = b.Bits[c.words:][:stretchWords], uint16(c.words*64)
			size = 0
			for _, w := range p.words {
				size += bits.OnesCount64(w)
			}
			if c.words += stretchWords; c.words == kernel.Words {
				c.words, c.block = 0, c.block+1
			}
		}
		if size > 0 {
			t.pieces = append(t.pieces, p)
			n += size
			c.member += uint32(size)
		}
	}
	return len(t.pieces) > 0
}

// print prints a stretch.
func (s *streamer) print(t *stretch) error {
	for i := range t.columns {
		c := &t.columns[i]
		c.batch.Lines, c.batch.Ends, c.batch.Members = c.batch.Lines[:0], c.batch.Ends[:0], c.batch.Members[:0]
		c.shared, c.keys, c.ends = c.shared[:0], c.keys[:0], c.ends[:0]
	}
	return s.guard(func() error {
		for i := range t.pieces {
			p := &t.pieces[i]
			rows := p.array
			if rows == nil {
				t.rows = appendRows(t.rows[:0], p.words, p.first)
				rows = t.rows
			}
			for j := range s.columns {
				if err := s.columns[j].print(t, &t.columns[j], p, rows); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// appendRows appends the rows of a part of a bitmap.
func appendRows(rows []uint16, words []uint64, first uint16) []uint16 {
	for _, w := range words {
		if w == ^uint64(0) {
			for r := range uint16(64) {
				rows = append(rows, first+r)
			}
		} else {
			for ; w != 0; w &= w - 1 {
				rows = append(rows, first+uint16(bits.TrailingZeros64(w)))
			}
		}
		first += 64
	}
	return rows
}

// print prints the values of rows of a block.
func (s *streamColumn) print(t *stretch, out *stretchColumn, p *piece, rows []uint16) error {
	block, err := s.view.Block(p.block)
	if err != nil {
		return err
	}
	b, n := &out.batch, len(out.batch.Members)
	t.values, b.Members = block.Find(rows, p.member, t.values[:0], b.Members)
	b.Lines, b.Ends = s.codec.AppendLines(b.Lines, b.Ends, block, t.values)
	if !block.AnyShared() {
		return nil
	}
	for i, v := range t.values {
		if !block.Shared(int(v)) {
			continue
		}
		out.shared = append(out.shared, uint32(n+i))
		key := s.codec.Key(out.keys[len(out.keys):], block.Value(int(v)))
		out.keys = append(out.keys, key...)
		out.ends = append(out.ends, uint32(len(out.keys)))
	}
	return nil
}

// pass passes on what was printed of a stretch.
func (s *streamer) pass(t *stretch) error {
	for i := range s.columns {
		out := &t.columns[i]
		s.columns[i].dropRepeats(out)
		if len(out.batch.Ends) == 0 {
			continue
		}
		if err := s.emit(&out.batch); err != nil {
			return err
		}
	}
	return nil
}

// dropRepeats removes from a batch the shared values that came before.
func (s *streamColumn) dropRepeats(out *stretchColumn) {
	repeats := out.shared[:0]
	from := uint32(0)
	for i, v := range out.shared {
		key := out.keys[from:out.ends[i]]
		from = out.ends[i]
		if _, ok := s.seen[string(key)]; ok {
			repeats = append(repeats, v)
			continue
		}
		if s.seen == nil {
			s.seen = map[string]struct{}{}
		}
		s.seen[string(key)] = struct{}{}
	}
	if len(repeats) == 0 {
		return
	}
	b := &out.batch
	k := repeats[0]
	start, size := uint32(0), uint32(0) // of the value looked at; of the lines kept
	if k > 0 {
		start = b.Ends[k-1]
		size = start
	}
	for v := k; int(v) < len(b.Ends); v++ {
		end := b.Ends[v]
		if len(repeats) > 0 && repeats[0] == v {
			repeats = repeats[1:]
		} else {
			size += uint32(copy(b.Lines[size:], b.Lines[start:end]))
			b.Ends[k], b.Members[k] = size, b.Members[v]
			k++
		}
		start = end
	}
	b.Lines, b.Ends, b.Members = b.Lines[:size], b.Ends[:k], b.Members[:k]
}
