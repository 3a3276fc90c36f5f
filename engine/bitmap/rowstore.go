package bitmap

import (
	"io"

	"throng/engine"
	"throng/engine/bitmap/rowset"
	"throng/query"
)

// newRowSet makes a set of blocks, which it keeps.
func (g *core) newRowSet(blocks []rowset.Block) *rowset.Set {
	return rowset.New(g.stamp, g.setID(), blocks)
}

// own is rows as a set of this generation, or engine.ErrForeignRows.
func (g *core) own(rows query.RowSet) (*rowset.Set, error) {
	set, ok := rows.(*rowset.Set)
	if !ok || set.Stamp != g.stamp {
		return nil, engine.ErrForeignRows
	}
	return set, nil
}

// WriteRows implements engine.RowStore.
func (g *generation) WriteRows(w io.Writer, rows query.RowSet) error {
	set, err := g.own(rows)
	if err != nil {
		return err
	}
	return set.Write(w)
}

// ReadRows implements engine.RowStore. It reads r to its end.
func (g *generation) ReadRows(r io.Reader) (query.RowSet, error) {
	set, err := rowset.Read(r, g.stamp, g.rows, g.setID())
	if err != nil {
		return nil, err
	}
	return set, nil
}
