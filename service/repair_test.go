package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"throng"
	"throng/delivery"
	"throng/engine"
	"throng/identifier"
	"throng/job"
	"throng/query"
)

// damaged is an engine in which whoever asks finds a damaged generation, so many
// times.
type damaged struct {
	engine.Engine
	mu   sync.Mutex
	left int
}

// spoil says how often the damage is found from now on, and gives how often it
// was still to be.
func (d *damaged) spoil(times int) (before int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before, d.left = d.left, times
	return before
}

// Acquire implements engine.Engine.
func (d *damaged) Acquire(ctx context.Context, id string) (engine.Generation, error) {
	g, err := d.Engine.Acquire(ctx, id)
	d.mu.Lock()
	defer d.mu.Unlock()
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

// Stream implements engine.Generation.
func (spoilt) Stream(context.Context, query.RowSet, []identifier.Type, func(*engine.Batch) error) error {
	return fmt.Errorf("%w: id-gaid.col: checksum differs", engine.ErrCorrupt)
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
			d.spoil(2)
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

// So is a delivery, which tells of the damage while it waits, and what is wrong
// where it is not mended.
func TestDeliveryRepaired(t *testing.T) {
	const damage = "a file of the index is damaged; the operator must load the dataset again"
	for _, test := range []struct {
		name    string
		repairs bool
		times   int // that the generation is found damaged
		status  throng.Status
		message string
	}{
		{"mended", true, 3, throng.Done, ""},
		{"never mended", true, 1000, throng.Failed, damage + "; it was tried 10 times"},
		{"nobody mends", false, 1, throng.Failed, damage},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &place{t: t, step: func(context.Context, int) (delivery.Result, error) { return last(), nil }}
			s, _ := startDelivering(t, placed(p), func(c *Config) {
				c.Repairs, c.Engine = test.repairs, &damaged{Engine: c.Engine}
			})
			a := s.build(s.caller, everyone)
			d := s.cfg.Engine.(*damaged)
			d.spoil(test.times)
			done := s.waitDelivery(s.caller, s.startDelivery(s.caller, a.ID, toPlace()), "ended", ended)
			message := ""
			if done.Failure != nil {
				message = done.Failure.Message
			}
			if done.Status != test.status || message != test.message {
				t.Errorf("the delivery is %s (%q), want %s (%q)", done.Status, message, test.status, test.message)
			}
			if got, want := test.times-d.spoil(0), min(test.times, maxFailures); got != want {
				t.Errorf("the damage was met %d times, want %d", got, want)
			}
		})
	}
}
