package service

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"throng"
	"throng/engine"
	"throng/job"
	"throng/query"
)

// damaged is an engine in which whoever asks finds a damaged generation, so many
// times.
type damaged struct {
	engine.Engine
	left int
}

// Acquire implements engine.Engine.
func (d *damaged) Acquire(ctx context.Context, id string) (engine.Generation, error) {
	g, err := d.Engine.Acquire(ctx, id)
	if err == nil && d.left > 0 {
		d.left--
		return spoilt{g}, nil
	}
	return g, err
}

// spoilt is a generation of which a part is damaged.
type spoilt struct{ engine.Generation }

// Select implements engine.Generation.
func (spoilt) Select(context.Context, query.Definition, engine.Sizes) (query.RowSet, engine.Counts, error) {
	return nil, engine.Counts{}, fmt.Errorf("%w: parts/00000.part: checksum differs", engine.ErrCorrupt)
}

// A build that met a damage is tried again where damages are repaired, and ends at
// once where they are not.
func TestRepaired(t *testing.T) {
	for _, repairs := range []bool{true, false} {
		t.Run(fmt.Sprint(repairs), func(t *testing.T) {
			s := open(t, func(c *Config) { c.Repairs = repairs })
			s.load(people())
			d := &damaged{Engine: s.cfg.Engine}
			s.cfg.Engine = d
			a := s.create(s.caller, definition(everyone))
			d.left = 2
			s.run()
			done := s.wait(s.caller, a.ID)
			if want := map[bool]throng.Status{true: throng.Done, false: throng.Failed}[repairs]; done.Status != want {
				t.Errorf("the build is %s (%+v), want %s", done.Status, done.Failure, want)
			}
		})
	}
	s := &Service{cfg: Config{Repairs: true}}
	other := job.Permanent(errors.New("of another kind"))
	if err := s.repaired(func(context.Context, job.Job) error { return other })(t.Context(), job.Job{}); !errors.Is(err, other) {
		t.Errorf("a failure of another kind becomes %v", err)
	}
}
