package bitmap

import (
	"context"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/query"
)

// streamBytes is how much of one type is passed on at once.
const streamBytes = 128 << 10

// Stream implements engine.Generation. It passes batches of some 128 KiB and
// keeps one of each type, and, of the values that several rows of the
// generation own, those passed so far.
func (g *generation) Stream(ctx context.Context, rows query.RowSet, types []identifier.Type, emit func(*engine.Batch) error) error {
	set, err := g.own(rows)
	if err != nil {
		return err
	}
	var streams []*stream
	for _, t := range types {
		if column := g.columns[t]; column != nil {
			streams = append(streams, newStream(t, column, emit))
		}
	}
	if len(streams) == 0 {
		return ctx.Err()
	}
	var scratch []uint16
	member := uint32(0)
	for i := range set.blocks {
		b := &set.blocks[i]
		if b.n == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if b.bits != nil && scratch == nil {
			scratch = make([]uint16, 0, storage.BlockRows)
		}
		list := b.each(scratch)
		for _, s := range streams {
			if err := g.guard(func() error { return s.block(i, list, member) }); err != nil {
				return err
			}
		}
		member += uint32(b.n)
	}
	for _, s := range streams {
		if err := s.flush(); err != nil {
			return err
		}
	}
	return nil
}

// own is rows as a set of this generation, or engine.ErrForeignRows.
func (g *core) own(rows query.RowSet) (*rowSet, error) {
	set, ok := rows.(*rowSet)
	if !ok || set.gen != g.stamp {
		return nil, engine.ErrForeignRows
	}
	return set, nil
}

// stream is the values of one type on their way out.
type stream struct {
	column *columnView
	codec  storage.Codec
	emit   func(*engine.Batch) error
	batch  engine.Batch
	// seen holds the keys of the shared values passed so far. All others
	// cannot come twice.
	seen map[string]struct{}
	key  []byte // scratch
}

func newStream(t identifier.Type, column *columnView, emit func(*engine.Batch) error) *stream {
	return &stream{
		column: column, codec: storage.CodecOf(t), emit: emit,
		batch: engine.Batch{Type: t, Lines: make([]byte, 0, streamBytes+streamBytes/8)},
		seen:  map[string]struct{}{},
	}
}

// block passes the values of rows of a block, the first of which is member
// number member.
func (s *stream) block(block int, rows []uint16, member uint32) error {
	values, err := s.column.block(block)
	if err != nil {
		return err
	}
	if values.Values() == 0 {
		return nil
	}
	for i, row := range rows {
		from, to := values.Range(int(row))
		for v := from; v < to; v++ {
			value := values.Value(v)
			if values.Shared(v) && !s.first(value) {
				continue
			}
			s.batch.Lines = append(s.codec.Decode(s.batch.Lines, value), '\n')
			s.batch.Ends = append(s.batch.Ends, uint32(len(s.batch.Lines)))
			s.batch.Members = append(s.batch.Members, member+uint32(i))
		}
		if len(s.batch.Lines) >= streamBytes {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// first tells whether a value did not come before.
func (s *stream) first(value []byte) bool {
	s.key = append(s.key[:0], s.codec.Key(s.key, value)...)
	if _, ok := s.seen[string(s.key)]; ok {
		return false
	}
	s.seen[string(s.key)] = struct{}{}
	return true
}

func (s *stream) flush() error {
	if len(s.batch.Ends) == 0 {
		return nil
	}
	err := s.emit(&s.batch)
	s.batch.Lines, s.batch.Ends, s.batch.Members = s.batch.Lines[:0], s.batch.Ends[:0], s.batch.Members[:0]
	return err
}
