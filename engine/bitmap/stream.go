package bitmap

import (
	"context"

	"throng/engine"
	"throng/engine/bitmap/stream"
	"throng/identifier"
	"throng/query"
)

// Stream implements engine.Generation, by package stream.
func (g *generation) Stream(ctx context.Context, rows query.RowSet, types []identifier.Type, emit func(*engine.Batch) error) error {
	set, err := g.own(rows)
	if err != nil {
		return err
	}
	c := stream.Config{Set: set, Workers: g.engine.cfg.Workers, Guard: g.guard, Emit: emit}
	for _, t := range types {
		if column := g.columns[t]; column != nil {
			c.Columns = append(c.Columns, stream.Column{Type: t, View: column})
		}
	}
	if len(c.Columns) == 0 || set.Len() == 0 {
		return ctx.Err()
	}
	return g.settle(stream.Run(ctx, c))
}
