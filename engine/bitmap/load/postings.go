package load

import (
	"context"

	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/load/invert"
	"throng/query"
)

// writePostings writes the parts and their forward indexes, and counts the
// people of the final terms.
func (l *loader) writePostings(ctx context.Context, order, final, people []uint32) error {
	counted := l.counted(order)
	files, err := invert.Run(ctx, invert.Config{
		Dir: l.tmp, Rows: l.rows, Workers: l.workers, Budget: l.opt.Memory / 4, Pairs: l.pairs, More: l.over.Pairs(),
		Numbers: invert.Numbering{Final: final, Order: order, Terms: len(final)}, People: people, Counted: &counted,
		Step: l.progress.step,
	})
	l.files = append(l.files, files...)
	return err
}

// counted tells which final numbers the counted fields have: order lists those
// of the dictionary.
func (l *loader) counted(order []uint32) forward.Counted {
	before := func(field uint8) uint32 { return l.over.Before(order, field) }
	c := forward.Counted{Scored: forward.NoTerm}
	for _, f := range forward.CountedFields() {
		c.Starts = append(c.Starts, before(l.fields[f]))
	}
	c.Starts = append(c.Starts, before(l.fields[query.Active]))
	if scored := l.fields[query.Scored]; before(scored+1) > before(scored) {
		c.Scored = before(scored)
	}
	return c
}
