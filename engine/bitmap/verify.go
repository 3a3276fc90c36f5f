package bitmap

import (
	"math/bits"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// textReader reads the token streams of rows, one block of one field at a
// time.
type textReader struct {
	gen   *core
	field query.Field
	block int // of the generation; -1 for none
	texts storage.ColumnBlock
}

func (r *textReader) reset(g *core) { *r = textReader{gen: g, block: -1} }

// open makes r.texts the streams of a field in a block of the generation; ok is
// false where the field has no texts at all.
func (r *textReader) open(f query.Field, block int) (ok bool, err error) {
	if r.block == block && r.field == f {
		return true, nil
	}
	column := r.gen.files.Texts[f]
	if column == nil {
		return false, nil
	}
	r.block = -1
	if r.texts, err = column.Block(block); err != nil {
		return false, err
	}
	r.field, r.block = f, block
	return true, nil
}

// verify removes those rows from dst of which no text holds the node's phrase.
func (w *worker) verify(dst *kernel.Block, n *node, block int) error {
	if kernel.IsEmpty(dst) {
		return nil
	}
	ok, err := w.texts.open(n.field, w.part*storage.PartBlocks+block)
	if err != nil {
		return err
	}
	if !ok {
		clear(dst[:])
		return nil
	}
	for i, word := range dst {
		for left := word; left != 0; left &= left - 1 {
			row := i*64 + bits.TrailingZeros64(left)
			if !w.texts.holds(n, row) {
				word &^= 1 << (row & 63)
			}
		}
		dst[i] = word
	}
	return nil
}

// holds tells whether any text of a row of the block has the node's phrase.
func (r *textReader) holds(n *node, row int) bool {
	from, to := r.texts.Range(row)
	for v := from; v < to; v++ {
		if n.phrase.In(r.texts.Value(v)) {
			return true
		}
	}
	return false
}
