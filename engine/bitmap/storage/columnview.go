package storage

import "sync/atomic"

// ColumnView is a column whose blocks are looked at again and again.
type ColumnView struct {
	*Column
	blocks []atomic.Pointer[ColumnBlock]
}

// NewColumnView makes a view of a column.
func NewColumnView(c *Column) *ColumnView {
	return &ColumnView{Column: c, blocks: make([]atomic.Pointer[ColumnBlock], c.Blocks())}
}

// Block gives a block of the column. It is shared.
func (v *ColumnView) Block(i int) (*ColumnBlock, error) {
	if i < len(v.blocks) {
		if b := v.blocks[i].Load(); b != nil {
			return b, nil
		}
	}
	b, err := v.Column.Block(i)
	if err != nil {
		return nil, err
	}
	v.blocks[i].Store(&b)
	return &b, nil
}
