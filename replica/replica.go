// Package replica gives several servers the same generations: those that a load
// published to the store that they share. Each server has a copy of its own in
// its folder, fetched from there, which the engine maps.
//
// The database says what is published, and the last one is the current one of all.
// A load builds in the folder of whoever runs it, copies the files to the store,
// and publishes in one transaction; from then on every server fetches the
// generation, uses what it has until the copy is whole and verified, and then
// switches. A generation that a build began with elsewhere is fetched when it is
// asked for, and a copy that is damaged is fetched anew.
package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"throng/blob"
	"throng/engine"
	"throng/internal/keylock"
	"throng/sqldb"
)

// ErrFetching says that a generation is published and not here yet. It comes with
// engine.ErrNoGeneration.
var ErrFetching = errors.New("the generation is being fetched from the store")

// Local is the engine that keeps this server's copies.
type Local interface {
	engine.Engine
	engine.Copier
}

// Config wires an Engine. All but the clock, the times and the logger is required.
type Config struct {
	Local Local
	DB    *sqldb.DB
	Blobs blob.Store
	// Node names this server's folder.
	Node string
	// Poll is how often the database is asked for a new generation at the least.
	// Defaults to a second.
	Poll time.Duration
	// Lease is for how long a load that gives no sign keeps others from loading.
	// Defaults to a minute.
	Lease time.Duration
	// Repair is how long a copy that was damaged and fetched anew must have been
	// here before that is done again: a disk that fails must not be fed for ever.
	// Defaults to a minute.
	Repair time.Duration
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() (Config, error) {
	if c.Local == nil || c.DB == nil || c.Blobs == nil || c.Node == "" {
		return c, errors.New("replica: Local, DB, Blobs and Node are required")
	}
	for _, d := range []struct {
		set   *time.Duration
		value time.Duration
	}{{&c.Poll, time.Second}, {&c.Lease, time.Minute}, {&c.Repair, time.Minute}} {
		if *d.set == 0 {
			*d.set = d.value
		}
		if *d.set < 0 {
			return c, fmt.Errorf("replica: negative duration %v", *d.set)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// Engine is an engine.Engine whose generations are those that are published. It
// is safe for concurrent use.
type Engine struct {
	cfg   Config
	local Local
	fetch keylock.Lock // by id

	mu       sync.Mutex
	wanted   string               // guarded by mu; the id of the current generation, "" where none is known
	sound    map[string]string    // guarded by mu; stamps of copies that were found to be what is published
	repaired map[string]time.Time // guarded by mu; when a damaged copy was fetched anew
}

var _ engine.Engine = (*Engine)(nil)

// New makes an engine of its parts. It owns Local, and nothing else.
func New(cfg Config) (*Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Engine{cfg: cfg, local: cfg.Local, sound: map[string]string{}, repaired: map[string]time.Time{}}, nil
}

// Close implements engine.Engine. What runs must have ended.
func (e *Engine) Close() error { return e.local.Close() }

// Check implements engine.Engine, for the copy that is here.
func (e *Engine) Check(ctx context.Context, id string, progress func(engine.Progress)) error {
	return e.local.Check(ctx, id, progress)
}

// Acquire implements engine.Engine. The current generation is the one that this
// server has switched to; any other that is published is fetched if need be.
func (e *Engine) Acquire(ctx context.Context, id string) (engine.Generation, error) {
	if id == "" {
		g, err := e.local.Acquire(ctx, "")
		if errors.Is(err, engine.ErrNoGeneration) && e.wants() != "" {
			err = fmt.Errorf("%w: %w", ErrFetching, err)
		}
		return g, err
	}
	if g := e.copyOf(ctx, id); g != nil {
		return g, nil
	}
	row, err := e.cfg.DB.Generation(ctx, id)
	if errors.Is(err, sqldb.ErrNotFound) || err == nil && row.Status != sqldb.GenerationPublished {
		return e.local.Acquire(ctx, id) // of before there was a store, or being loaded here
	}
	if err != nil {
		return nil, err
	}
	if err := e.ensure(ctx, row); err != nil {
		return nil, err
	}
	return e.local.Acquire(ctx, id)
}

// copyOf holds the copy of a generation that is known to be the published one and
// not known to be damaged; nil where that has to be looked into.
func (e *Engine) copyOf(ctx context.Context, id string) engine.Generation {
	e.mu.Lock()
	_, known := e.sound[id]
	e.mu.Unlock()
	if !known {
		return nil
	}
	g, err := e.local.Acquire(ctx, id)
	if err != nil {
		return nil
	}
	if g.Info().Err != nil {
		g.Release()
		return nil
	}
	return g
}

// wants is the id of the generation that is to be used; "" where none is known.
func (e *Engine) wants() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.wanted
}

// errUnpublished says why a generation cannot be used by all.
var errUnpublished = errors.New("the generation is in this folder alone")

// Generations implements engine.Engine: those that are published, wherever they
// are, and what else is in the folder.
func (e *Engine) Generations(ctx context.Context) ([]engine.Info, error) {
	rows, err := e.cfg.DB.Generations(ctx)
	if err != nil {
		return nil, err
	}
	here, err := e.local.Generations(ctx)
	if err != nil {
		return nil, err
	}
	return merge(rows, here)
}

// Remove implements engine.Engine. A generation that is published is removed from
// the store, once for all servers, unless it is the current one or a build that
// runs anywhere has begun with it; then nothing happens. The copy that is here goes
// in any case where nobody needs it.
func (e *Engine) Remove(ctx context.Context, id string) error {
	err := e.cfg.DB.RemoveGeneration(ctx, id)
	switch {
	case errors.Is(err, sqldb.ErrConflict):
		return nil
	case err == nil:
		if err := e.deleteFiles(ctx, id); err != nil {
			return err
		}
	case !errors.Is(err, sqldb.ErrNotFound):
		return err
	}
	e.mu.Lock()
	delete(e.sound, id)
	delete(e.repaired, id)
	e.mu.Unlock()
	if g, err := e.local.Acquire(ctx, ""); err == nil {
		defer g.Release()
		if g.Info().ID == id {
			return nil // until this server has switched to another
		}
	}
	return e.local.Remove(ctx, id)
}

// merge lists generations, newest first.
func merge(rows []sqldb.Generation, here []engine.Info) ([]engine.Info, error) {
	byID := make(map[string]engine.Info, len(here))
	for _, info := range here {
		byID[info.ID] = info
	}
	var all []engine.Info
	current := false // the last that is published was seen
	known := map[string]bool{}
	for _, row := range rows {
		known[row.ID] = true
		if row.Status != sqldb.GenerationPublished {
			continue
		}
		info, copied := byID[row.ID]
		if !copied {
			if err := json.Unmarshal(row.Info, &info); err != nil {
				return nil, fmt.Errorf("read generation %s: %w", row.ID, err)
			}
		}
		info.ID, info.Current = row.ID, !current
		current = true
		all = append(all, info)
	}
	for _, info := range here {
		if known[info.ID] {
			continue
		}
		if current {
			info.Current = false
			if info.Err == nil {
				info.Err = errUnpublished
			}
		}
		all = append(all, info)
	}
	sortNewest(all)
	return all, nil
}
