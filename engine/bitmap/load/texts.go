package load

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// Texts are kept block by block as their token streams:
//
//	row u16, order u64, length u32, stream
const textHead = 14

type textValue struct {
	row    uint16
	order  uint64
	stream []byte
}

// putText keeps the token stream of a text of a row.
func putText(w *spill.Writer, row uint32, order uint64, stream []byte) error {
	block := int(row / storage.BlockRows)
	c, _, err := w.Room(block, textHead+len(stream))
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	c = le.AppendUint16(c, uint16(row))
	c = le.AppendUint64(c, order)
	c = le.AppendUint32(c, uint32(len(stream)))
	w.Put(block, append(c, stream...))
	return nil
}

// writeTexts writes the column of a text field.
func (l *loader) writeTexts(ctx context.Context, f query.Field, s *spill.Store) error {
	some := false
	for b := range l.blocks() {
		some = some || s.Bytes(b) > 0
	}
	if !some {
		return nil
	}
	c, err := storage.NewColumnWriter(l.tmp, storage.TextName(string(f)), l.rows)
	if err != nil {
		return err
	}
	defer c.Abort()
	err = inOrder(ctx, l.blocks(), l.workers, func(b int) ([]textValue, error) {
		pieces, err := s.Read(b)
		if err != nil {
			return nil, err
		}
		var values []textValue
		le := binary.LittleEndian
		for _, p := range pieces {
			for len(p) >= textHead {
				n := int(le.Uint32(p[10:]))
				values = append(values, textValue{le.Uint16(p), le.Uint64(p[2:]), p[textHead:][:n]})
				p = p[textHead+n:]
			}
		}
		slices.SortFunc(values, func(a, b textValue) int {
			if a.row != b.row {
				return cmp.Compare(a.row, b.row)
			}
			return cmp.Compare(a.order, b.order)
		})
		return values, nil
	}, func(b int, values []textValue) error {
		for _, v := range values {
			if err := c.Add(uint32(b)*storage.BlockRows+uint32(v.row), v.stream, false); err != nil {
				return err
			}
		}
		s.Release(b)
		l.progress.step(int64(b+1), int64(l.blocks()))
		return nil
	})
	if err != nil {
		return err
	}
	return l.file(c.Close())
}
