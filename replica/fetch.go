package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"throng/engine"
	"throng/sqldb"
)

const (
	// busyWait is how long to wait before asking again whether another process of
	// this folder has fetched what it fetches.
	busyWait = 200 * time.Millisecond
	// maxWait is how long to wait at most after a failure to fetch.
	maxWait = time.Minute
)

// ensure makes the copy that is here the published one: fetched where there is
// none, or another, or a damaged one.
func (e *Engine) ensure(ctx context.Context, row sqldb.Generation) error {
	unlock, err := e.fetch.Lock(ctx, row.ID)
	if err != nil {
		return err
	}
	defer unlock()
	for {
		state, err := e.judge(ctx, row)
		if err != nil || state == sound {
			return err
		}
		started := e.cfg.Now()
		err = e.local.Import(ctx, row.ID, row.Stamp, func(ctx context.Context, name string) (io.ReadCloser, error) {
			return e.cfg.Blobs.Open(ctx, fileKey(row.ID, name))
		})
		if errors.Is(err, engine.ErrBusy) { // another process of this folder fetches
			if err := sleep(ctx, busyWait); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("fetch generation %s: %w", row.ID, err)
		}
		now := e.cfg.Now()
		e.mu.Lock()
		e.sound[row.ID] = row.Stamp
		if state == damaged {
			e.repaired[row.ID] = now
		}
		e.mu.Unlock()
		e.cfg.Logger.InfoContext(ctx, "generation fetched", "generation", row.ID, "took", now.Sub(started).Round(time.Millisecond).String())
		return nil
	}
}

// state is what a copy is.
type state int

const (
	missing state = iota // or one of another generation
	damaged
	sound // as far as known
)

// judge tells what the copy of a published generation is. An error says that it is
// damaged and must not be fetched yet.
func (e *Engine) judge(ctx context.Context, row sqldb.Generation) (state, error) {
	files, err := e.local.Files(ctx, row.ID)
	if errors.Is(err, engine.ErrNoGeneration) || err == nil && files.Stamp != row.Stamp {
		return missing, nil
	}
	damage := err
	if err == nil {
		damage = e.damage(ctx, row.ID)
	}
	if damage == nil {
		e.mu.Lock()
		e.sound[row.ID] = row.Stamp
		e.mu.Unlock()
		return sound, nil
	}
	if !errors.Is(damage, engine.ErrCorrupt) {
		return damaged, damage // of another version, say: what is fetched would be, too
	}
	e.mu.Lock()
	at, repaired := e.repaired[row.ID]
	e.mu.Unlock()
	if repaired && e.cfg.Now().Sub(at) < e.cfg.Repair {
		return damaged, fmt.Errorf("generation %s was fetched anew a moment ago and is damaged again: %w", row.ID, damage)
	}
	e.cfg.Logger.WarnContext(ctx, "the copy of a generation is damaged and fetched anew", "generation", row.ID, "err", damage)
	return damaged, nil
}

// damage opens the copy; nil where nothing was found.
func (e *Engine) damage(ctx context.Context, id string) error {
	g, err := e.local.Acquire(ctx, id)
	if err != nil {
		return err
	}
	defer g.Release()
	return g.Info().Err
}

// Sync makes the current generation the one that was published last, and fetches
// it where that is needed; until it returns, what was used before is. It reports
// whether it switched. Where nothing is published it does nothing.
func (e *Engine) Sync(ctx context.Context) (switched bool, err error) {
	row, err := e.cfg.DB.CurrentGeneration(ctx)
	if errors.Is(err, sqldb.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	e.mu.Lock()
	e.wanted = row.ID
	e.mu.Unlock()
	if e.uses(ctx, row) {
		return false, nil
	}
	if err := e.ensure(ctx, row); err != nil {
		return false, err
	}
	if err := e.local.Use(ctx, row.ID); err != nil {
		return false, err
	}
	return true, nil
}

// uses tells whether a generation is in use already, and sound as far as known.
func (e *Engine) uses(ctx context.Context, row sqldb.Generation) bool {
	e.mu.Lock()
	known := e.sound[row.ID] == row.Stamp
	e.mu.Unlock()
	if !known {
		return false
	}
	g, err := e.local.Acquire(ctx, "")
	if err != nil {
		return false
	}
	defer g.Release()
	info := g.Info()
	return info.ID == row.ID && info.Err == nil
}

// Run keeps the current generation the published one until ctx is done. switched,
// where not nil, is called after each switch; ready once, when there is a
// generation to use, or none is published. Polls of several servers do not
// coincide. After a failure it waits longer each time.
func (e *Engine) Run(ctx context.Context, ready func(), switched func()) {
	var told string
	for wait := e.cfg.Poll; ; {
		did, err := e.Sync(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			wait, told = e.cfg.Poll, ""
			if did && switched != nil {
				switched()
			}
		default:
			wait = min(2*wait, maxWait)
			if text := err.Error(); text != told { // the same again and again says nothing new
				e.cfg.Logger.ErrorContext(ctx, "follow the published generation", "err", err)
				told = text
			}
		}
		if ready != nil && (err == nil || e.has(ctx)) {
			ready()
			ready = nil
		}
		if sleep(ctx, jitter(wait)) != nil {
			return
		}
	}
}

// has tells whether there is a generation to use.
func (e *Engine) has(ctx context.Context) bool {
	g, err := e.local.Acquire(ctx, "")
	if err != nil {
		return false
	}
	g.Release()
	return true
}

// jitter is between half of d and d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func sortNewest(all []engine.Info) {
	slices.SortFunc(all, func(a, b engine.Info) int { return strings.Compare(b.ID, a.ID) })
}
