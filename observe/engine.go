package observe

import (
	"context"
	"errors"
	"iter"
	"time"

	"throng/engine"
	"throng/identifier"
	"throng/query"
)

// The engine's operations.
const (
	opAcquire   = "acquire"
	opCount     = "count"
	opSelect    = "select"
	opMatch     = "match"
	opStream    = "stream"
	opBreakdown = "breakdown"
)

// Engine gives the same engine with its operations counted, timed and traced.
// What is not observed passes through.
func (o *Observer) Engine(e engine.Engine) engine.Engine { return observedEngine{e, o} }

type observedEngine struct {
	engine.Engine
	o *Observer
}

// Acquire implements engine.Engine.
func (e observedEngine) Acquire(ctx context.Context, id string) (engine.Generation, error) {
	start := time.Now()
	g, err := e.Engine.Acquire(ctx, id)
	e.o.engineTime.WithLabelValues(opAcquire).Observe(time.Since(start).Seconds())
	if err != nil {
		if !errors.Is(err, engine.ErrNoGeneration) && ctx.Err() == nil {
			e.o.engineErrors.WithLabelValues(opAcquire).Inc()
		}
		return nil, err
	}
	return observedGeneration{g, e.o}, nil
}

type observedGeneration struct {
	engine.Generation
	o *Observer
}

// observe times one operation; the function that it gives ends it.
func (g observedGeneration) observe(ctx context.Context, op string) (ended func(error)) {
	start := time.Now()
	end := g.o.tracing.start(ctx, "engine "+op)
	return func(err error) {
		g.o.engineTime.WithLabelValues(op).Observe(time.Since(start).Seconds())
		if err != nil && ctx.Err() == nil {
			g.o.engineErrors.WithLabelValues(op).Inc()
		}
		end(err)
	}
}

// Count implements engine.Generation.
func (g observedGeneration) Count(ctx context.Context, d query.Definition, want engine.Sizes) (engine.Counts, error) {
	ended := g.observe(ctx, opCount)
	counts, err := g.Generation.Count(ctx, d, want)
	ended(err)
	return counts, err
}

// Select implements engine.Generation.
func (g observedGeneration) Select(ctx context.Context, d query.Definition, want engine.Sizes) (query.RowSet, engine.Counts, error) {
	ended := g.observe(ctx, opSelect)
	rows, counts, err := g.Generation.Select(ctx, d, want)
	ended(err)
	return rows, counts, err
}

// Match implements engine.Generation.
func (g observedGeneration) Match(ctx context.Context, typ identifier.Type, seq iter.Seq[[]byte]) (query.RowSet, uint64, error) {
	ended := g.observe(ctx, opMatch)
	rows, matched, err := g.Generation.Match(ctx, typ, seq)
	ended(err)
	return rows, matched, err
}

// Stream implements engine.Generation. An error of emit is not the engine's.
func (g observedGeneration) Stream(ctx context.Context, rows query.RowSet, types []identifier.Type, emit func(*engine.Batch) error) error {
	ended := g.observe(ctx, opStream)
	var refused error
	err := g.Generation.Stream(ctx, rows, types, func(b *engine.Batch) error {
		refused = emit(b)
		return refused
	})
	if refused != nil {
		ended(nil)
		return err
	}
	ended(err)
	return err
}

// Breakdown implements engine.Analyst.
func (g observedGeneration) Breakdown(ctx context.Context, rows query.RowSet, fields []query.Field) ([]engine.Breakdown, error) {
	ended := g.observe(ctx, opBreakdown)
	found, err := g.Generation.Breakdown(ctx, rows, fields)
	ended(err)
	return found, err
}
