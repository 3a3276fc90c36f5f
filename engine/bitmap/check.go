package bitmap

import (
	"context"

	"throng/engine"
	"throng/engine/bitmap/check"
)

// Check implements engine.Engine, by package check.
func (e *Engine) Check(ctx context.Context, id string, progress func(engine.Progress)) error {
	h, err := e.Acquire(ctx, id)
	if err != nil {
		return err
	}
	defer h.Release()
	g := h.(*generation).core
	return check.Run(ctx, check.Index{Files: g.files, Guard: g.guard, Tree: func() error {
		_, err := g.taxonomy()
		return err
	}}, progress)
}
