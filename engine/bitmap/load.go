package bitmap

import (
	"context"

	"throng/engine"
	"throng/engine/bitmap/load"
)

// Load implements engine.Engine.
func (e *Engine) Load(ctx context.Context, dir string, opt engine.LoadOptions) (*engine.Report, error) {
	report, err := load.Load(ctx, e.dir, dir, opt)
	if err != nil {
		return report, err
	}
	return report, e.look(true)
}
