// Package bitmap is the embedded engine: an index of immutable, memory-mapped
// files, evaluated block by block of 65,536 rows on all cores.
//
// A folder holds the generations, each in a folder of its own, and the file
// CURRENT, which names the one in use and is replaced in one step. Package
// storage knows the files; package kernel the inner loops. Nothing of an index
// is read into the heap, so opening takes the same time whatever its size, and
// memory is the page cache's.
package bitmap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/internal/durable"
)

const (
	// tmpSuffix ends the names of folders that are no generation: being
	// loaded, or being removed. The next load removes those left behind.
	tmpSuffix = ".tmp"
	// recheck is how old what is known of CURRENT may be: a load of another
	// process is in use this long after it ended, at most.
	recheck = 500 * time.Millisecond
)

// Config is the settings of an engine. The zero value is usable.
type Config struct {
	// Workers is how many goroutines evaluate one definition at once.
	// Defaults to GOMAXPROCS.
	Workers int
	// Forget keeps nothing of earlier counts, so that each is made anew: for
	// who measures them.
	Forget bool
	// CacheBytes bounds the rows of parameters that a generation keeps from
	// earlier counts, so that a preview evaluates only what is new. Defaults
	// to 32 MiB.
	CacheBytes int64
}

// defaultCache is the default of CacheBytes.
const defaultCache = 32 << 20

func (c Config) withDefaults() (Config, error) {
	if c.Workers < 0 {
		return c, fmt.Errorf("open index: %d workers: want 0 or more", c.Workers)
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.CacheBytes < 0 {
		return c, fmt.Errorf("open index: a cache of %d bytes: want 0 or more", c.CacheBytes)
	}
	switch {
	case c.Forget:
		c.CacheBytes = 0
	case c.CacheBytes == 0:
		c.CacheBytes = defaultCache
	}
	return c, nil
}

// Engine is the embedded engine over one folder. It is safe for concurrent
// use, also by several processes on the folder.
type Engine struct {
	dir     string
	cfg     Config
	pool    sync.Pool // of *worker
	setIDs  atomic.Uint64
	refresh sync.Mutex // held while CURRENT is looked at

	mu      sync.Mutex
	closed  bool
	checked time.Time        // when CURRENT was last looked at
	current *core            // held by the engine itself; nil before the first load
	cores   map[string]*core // what is open, by id
	changed map[string]error // of generations that were changed while open
}

var _ engine.Engine = (*Engine)(nil)

// Open opens the engine over the folder that holds, or will hold, the
// generations. The folder is made if need be. It is no error if nothing has
// been loaded.
func Open(dir string, cfg Config) (*Engine, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	e := &Engine{dir: dir, cfg: cfg, cores: map[string]*core{}, changed: map[string]error{}}
	e.pool.New = func() any { return newWorker() }
	return e, nil
}

// errClosed says that the engine was used after Close.
var errClosed = errors.New("engine is closed")

// Acquire implements engine.Engine. A generation that is not open yet is
// opened, which takes time in proportion to the number of its files.
func (e *Engine) Acquire(ctx context.Context, id string) (engine.Generation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if id != "" {
		c, err := e.hold(id)
		if err != nil {
			return nil, err
		}
		return &generation{core: c}, nil
	}
	if err := e.look(false); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return nil, errClosed
	case e.current == nil:
		return nil, engine.ErrNoGeneration
	}
	e.current.refs++
	return &generation{core: e.current}, nil
}

// look makes e.current what CURRENT says, if that was not done just now; with
// force it is done in any case. Where there is a generation to use meanwhile,
// it does not wait for another call that does the same.
func (e *Engine) look(force bool) error {
	e.mu.Lock()
	fresh := !force && time.Since(e.checked) < recheck
	have := e.current != nil
	e.mu.Unlock()
	if fresh && have {
		return nil
	}
	if have && !force {
		if !e.refresh.TryLock() {
			return nil
		}
	} else {
		e.refresh.Lock()
	}
	defer e.refresh.Unlock()
	const tries = 3 // the generation may be replaced and removed meanwhile
	for try := 1; ; try++ {
		id, err := storage.ReadCurrent(e.dir)
		if err != nil {
			return err
		}
		switch err = e.use(id); {
		case err == nil:
			return nil
		case !errors.Is(err, engine.ErrNoGeneration):
			return err
		case try == tries:
			return fmt.Errorf("%w: %s: names generation %s, which is not there; load the dataset again, or write the id of another one and a line end into it",
				engine.ErrCorrupt, filepath.Join(e.dir, storage.CurrentName), id)
		}
	}
}

// use makes the generation the current one.
func (e *Engine) use(id string) error {
	e.mu.Lock()
	same := id == "" && e.current == nil || e.current != nil && e.current.id == id
	if same {
		e.checked = time.Now()
	}
	e.mu.Unlock()
	if same {
		return nil
	}
	var c *core
	if id != "" {
		var err error
		if c, err = e.hold(id); err != nil {
			return err
		}
	}
	e.mu.Lock()
	old := e.current
	e.current, e.checked = c, time.Now()
	e.mu.Unlock()
	if old != nil {
		old.sets.Drop() // its holders build; they preview no more
		return old.release()
	}
	return nil
}

// hold opens a generation, or takes the one that is open, for one more holder.
func (e *Engine) hold(id string) (*core, error) {
	if !storage.ValidID(id) {
		return nil, engine.ErrNoGeneration
	}
	dir := filepath.Join(e.dir, id)
	if _, err := os.Stat(filepath.Join(dir, storage.ManifestName)); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err == nil {
			return nil, fmt.Errorf("%w: %s: is missing", engine.ErrCorrupt, filepath.Join(dir, storage.ManifestName))
		}
		return nil, engine.ErrNoGeneration
	}
	if c, err := e.holdOpen(id); c != nil || err != nil {
		return c, err
	}
	c, err := openCore(e, id)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.Join(errClosed, c.files.Close())
	}
	if other := e.cores[id]; other != nil && other.stamp == c.stamp { // opened by another call meanwhile
		other.refs++
		return other, c.files.Close()
	}
	e.cores[id] = c
	return c, nil
}

func (e *Engine) holdOpen(id string) (*core, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	c := e.cores[id]
	if c != nil {
		c.refs++
	}
	return c, nil
}

// Generations implements engine.Engine. Where CURRENT is damaged it is not
// known which generation is the current one, and none is listed.
func (e *Engine) Generations(ctx context.Context) ([]engine.Info, error) {
	current, err := storage.ReadCurrent(e.dir)
	if err != nil {
		return nil, fmt.Errorf("list generations: %w", err)
	}
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		return nil, fmt.Errorf("list generations: %w", err)
	}
	var infos []engine.Info
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		id := entry.Name()
		if !entry.IsDir() || !storage.ValidID(id) {
			continue
		}
		info, err := e.info(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // being removed
		}
		if info.ID, info.Current = id, id == current; err != nil {
			info.Err = err
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b engine.Info) int { return strings.Compare(b.ID, a.ID) })
	return infos, nil
}

// info describes a generation on disk.
func (e *Engine) info(id string) (engine.Info, error) {
	m, err := storage.ReadManifest(filepath.Join(e.dir, id))
	if err != nil {
		return engine.Info{}, err
	}
	info := m.Info
	e.mu.Lock()
	defer e.mu.Unlock()
	info.Err = e.damage(id)
	return info, nil
}

// damage is what was found of a generation while it was open; nil where
// nothing was. e.mu is held.
func (e *Engine) damage(id string) error {
	if err := e.changed[id]; err != nil {
		return err
	}
	if c := e.cores[id]; c != nil { // and so not closed while e.mu is held
		return c.files.Damage()
	}
	return nil
}

// Remove implements engine.Engine. The folder is renamed first, so that no
// process takes what is left of it for a generation.
func (e *Engine) Remove(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !storage.ValidID(id) {
		return nil
	}
	current, err := storage.ReadCurrent(e.dir)
	if err != nil {
		return err
	}
	if id == current {
		return fmt.Errorf("remove generation %s: it is the current one", id)
	}
	dir := filepath.Join(e.dir, id)
	switch err := durable.Rename(dir, dir+tmpSuffix); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("remove generation %s: %w", id, err)
	}
	e.mu.Lock()
	delete(e.cores, id) // its holders keep it
	delete(e.changed, id)
	e.mu.Unlock()
	if err := os.RemoveAll(dir + tmpSuffix); err != nil {
		return fmt.Errorf("remove generation %s: %w", id, err)
	}
	return nil
}

// Close implements engine.Engine.
func (e *Engine) Close() error {
	e.mu.Lock()
	old := e.current
	e.closed, e.current = true, nil
	e.mu.Unlock()
	if old == nil {
		return nil
	}
	return old.release()
}
