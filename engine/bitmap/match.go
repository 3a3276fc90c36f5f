package bitmap

import (
	"context"
	"iter"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/match"
	"throng/engine/bitmap/rowset"
	"throng/identifier"
	"throng/query"
)

// Match implements engine.Generation. It reads seq to its end also where the
// generation has no identifiers of the type.
func (g *generation) Match(ctx context.Context, typ identifier.Type, seq iter.Seq[[]byte]) (query.RowSet, uint64, error) {
	return g.match(ctx, typ, seq, 0)
}

// match is Match that looks so many values up in one go; 0 for what suits best.
func (g *generation) match(ctx context.Context, typ identifier.Type, seq iter.Seq[[]byte], round int) (query.RowSet, uint64, error) {
	c := match.Config{Type: typ, Rows: g.rows, Workers: g.engine.cfg.Workers, Round: round, Guard: g.guard}
	of := match.LookedUp(typ)
	if column, lookup := g.columns[of], g.files.Lookups[of]; column != nil && lookup != nil {
		c.Column, c.Lookup = column, lookup
	}
	owners, matched, err := match.Run(ctx, c, seq)
	if c.Lookup != nil {
		err = g.settle(err, c.Lookup, c.Column.Column)
	}
	if err != nil {
		return nil, 0, err
	}
	blocks := make([]rowset.Block, g.blocks)
	for i, b := range owners {
		if b != nil {
			blocks[i] = rowset.NewBlock(b, kernel.Count(b))
		}
	}
	return g.newRowSet(blocks), matched, nil
}
