package bitmap

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"throng/engine"
	"throng/engine/bitmap/recall"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/query"
)

// core is an open generation, shared by all its holders.
type core struct {
	engine *Engine
	id     string
	stamp  [32]byte // of the manifest: unlike that of every other generation
	files  *storage.Files
	rows   uint64
	blocks int
	sizes  *recall.Sizes
	sets   *recall.Sets
	// columns are those of identifiers, by type; SSID's are the keys.
	columns map[identifier.Type]*storage.ColumnView

	catalog *catalog

	refs int // guarded by engine.mu
}

// openCore maps a generation for one holder.
func openCore(e *Engine, id string) (*core, error) {
	dir := filepath.Join(e.dir, id)
	manifest, err := os.ReadFile(filepath.Join(dir, storage.ManifestName))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, engine.ErrNoGeneration
		}
		return nil, fmt.Errorf("open generation %s: %w", id, err)
	}
	files, err := storage.OpenGeneration(dir)
	if err != nil {
		if _, gone := os.Stat(dir); errors.Is(gone, fs.ErrNotExist) {
			return nil, engine.ErrNoGeneration // removed meanwhile
		}
		return nil, fmt.Errorf("open generation %s: %w", id, err)
	}
	c := &core{
		engine: e, id: id, files: files, refs: 1,
		stamp:  sha256.Sum256(manifest),
		rows:   uint64(files.Manifest.Rows),
		blocks: (int(files.Manifest.Rows) + storage.BlockRows - 1) / storage.BlockRows,
	}
	c.columns = make(map[identifier.Type]*storage.ColumnView, len(files.IDs))
	for t, column := range files.IDs {
		c.columns[t] = storage.NewColumnView(column)
	}
	c.sizes, c.sets = recall.NewSizes(e.cfg.Forget), recall.NewSets(e.cfg.CacheBytes)
	c.catalog = newCatalog(c)
	return c, nil
}

// release ends one hold; the last one unmaps the files.
func (g *core) release() error {
	e := g.engine
	e.mu.Lock()
	g.refs--
	last := g.refs == 0
	if last && e.cores[g.id] == g {
		delete(e.cores, g.id)
	}
	e.mu.Unlock()
	if !last {
		return nil
	}
	return g.files.Close()
}

// number finds a term; ok is false where nobody has it. Whoever asks for many
// settles the dictionary once, behind them all.
func (g *core) number(f query.Field, value string) (term uint32, ok bool, err error) {
	err = g.guard(func() (err error) {
		term, ok, err = g.files.Dict.Number(f, []byte(value))
		return err
	})
	return term, ok, err
}

// termRange is the number of a field's first term and how many it has.
func (g *core) termRange(f query.Field) (first, count uint32) { return g.files.Dict.Range(f) }

// people is how many rows have a term.
func (g *core) people(term uint32) (n uint64, err error) {
	err = g.read(g.files.Dict, func() (err error) {
		n, err = g.files.Dict.People(term)
		return err
	})
	return n, err
}

// term describes a term.
func (g *core) term(t uint32) (term engine.Term, err error) {
	err = g.read(g.files.Dict, func() error {
		value, err := g.files.Dict.Value(t)
		if err != nil {
			return err
		}
		term.Value = string(value)
		term.People, err = g.files.Dict.People(t)
		return err
	})
	return term, err
}

// setID gives a number for a row set that no other has.
func (g *core) setID() uint64 { return g.engine.setIDs.Add(1) }

// generation is one hold of a core.
type generation struct {
	*core
	released atomic.Bool
}

var _ engine.Generation = (*generation)(nil)

// Info implements engine.Generation.
func (g *generation) Info() engine.Info {
	info := g.files.Manifest.Info
	info.Err = g.files.Damage()
	g.engine.mu.Lock()
	info.Current = g.engine.current == g.core
	if err := g.engine.changed[g.id]; err != nil {
		info.Err = err
	}
	g.engine.mu.Unlock()
	return info
}

// Release implements engine.Generation.
func (g *generation) Release() {
	if g.released.CompareAndSwap(false, true) {
		// Unmapping fails only for addresses that were never mapped, and
		// there is nobody left whom it could concern.
		_ = g.release()
	}
}
