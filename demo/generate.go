package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"throng/internal/durable"
)

// chunkPeople are generated and written together: enough for good
// compression, few enough that a chunk takes some 20 MB of memory and that
// 100,000 people keep four workers busy. The bytes depend on it.
const chunkPeople = 25_000

// maxPeople is what people keys have room for, and more than an engine takes.
const maxPeople = 1<<32 - 1

// Config says what to generate.
type Config struct {
	// People is how many, from 1.
	People int
	// Seed chooses the population. People, Seed and AsOf determine every
	// byte of the files, whatever the number of workers.
	Seed uint64
	// Dir is the folder to write. It must not exist, or be empty; its parent
	// is made if it is missing.
	Dir string
	// AsOf is the instant that the data describes, to the second. Defaults
	// to 2026-11-01T00:00:00Z, a fixed one, so that the same seed gives the
	// same files on any day.
	AsOf time.Time
	// Workers is how many goroutines write. Defaults to the number of CPUs.
	Workers int
	// Progress, where set, is told how many people of all are written. It is
	// called from several goroutines, one call at a time.
	Progress func(done, total int64)
}

func (c Config) withDefaults() (Config, error) {
	if c.People < 1 || int64(c.People) > maxPeople {
		return c, fmt.Errorf("generate: %d people, want 1 to %d", c.People, int64(maxPeople))
	}
	if c.Dir == "" {
		return c, errors.New("generate: no folder given")
	}
	if c.AsOf.IsZero() {
		c.AsOf = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	}
	if c.Workers < 1 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	return c, nil
}

// Generate writes a synthetic dataset. The folder appears under its name only
// when it is whole and durable; when Generate fails or ctx ends, nothing is
// left behind. It returns an error wrapping fs.ErrExist where the folder has
// anything in it.
func Generate(ctx context.Context, cfg Config) (err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return err
	}
	if err := checkEmpty(cfg.Dir); err != nil {
		return err
	}
	w, err := newWorld(cfg)
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	parent := filepath.Dir(filepath.Clean(cfg.Dir))
	if err := durable.MkdirAll(parent); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	temp, err := os.MkdirTemp(parent, durable.TempPattern)
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	if err := write(ctx, cfg, w, temp); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	return publish(temp, cfg.Dir)
}

// checkEmpty refuses a folder that holds anything, and what is no folder.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("generate: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("generate: folder %s is not empty: %w", dir, fs.ErrExist)
	}
	return nil
}

// write fills the folder and makes its contents durable.
func write(ctx context.Context, cfg Config, w *world, dir string) error {
	group, ctx := errgroup.WithContext(ctx)
	chunks := make(chan int)
	group.Go(func() error {
		defer close(chunks)
		for c := range (cfg.People + chunkPeople - 1) / chunkPeople {
			select {
			case chunks <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	var mu sync.Mutex // guards done, and calls of Progress
	var done int64
	for range cfg.Workers {
		group.Go(func() error {
			worker := newWorker(w, dir)
			for c := range chunks {
				first := c * chunkPeople
				count := min(chunkPeople, cfg.People-first)
				if err := worker.chunk(ctx, c, first, count); err != nil {
					return err
				}
				mu.Lock()
				done += int64(count)
				if cfg.Progress != nil {
					cfg.Progress(done, int64(cfg.People))
				}
				mu.Unlock()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := w.writeShared(dir); err != nil {
		return err
	}
	return syncFolders(dir)
}

// writeShared writes the tables that do not grow with the people, and
// dataset.json.
func (w *world) writeShared(dir string) error {
	err := errors.Join(
		writeTable(dir, "accounts", 0, func(t *table[accountRow]) {
			for n, net := range w.nets {
				for _, a := range net.accounts {
					t.add(accountRow{networkNames[n], a.id, a.screen, a.name})
				}
			}
		}),
		writeTable(dir, "affinities", 0, func(t *table[affinityRow]) {
			for _, a := range w.tree.nodes {
				t.add(affinityRow{a.id, a.name, a.parent})
			}
		}),
		writeTable(dir, "affinity_accounts", 0, func(t *table[affinityAccountRow]) {
			for _, l := range w.tree.links {
				t.add(l)
			}
		}),
		writeTable(dir, "locations", 0, func(t *table[locationRow]) {
			for _, p := range w.places.table {
				t.add(locationRow{string(p.Kind), p.ID, p.Name, p.Region, p.Country, p.DMA})
			}
		}),
	)
	if err != nil {
		return err
	}
	about, err := json.MarshalIndent(struct {
		Name      string  `json:"name"`
		AsOf      string  `json:"as_of"`
		Threshold float64 `json:"personality_threshold"`
		Source    string  `json:"source"`
		License   string  `json:"license"`
	}{
		Name:      Name,
		AsOf:      w.asOf.Format(time.RFC3339),
		Threshold: 0.75,
		Source: fmt.Sprintf("Synthetic: %d people made up by throng generate with seed %d. Nobody in it exists. "+
			"Places are from the built-in reference (GeoNames), with a made-up city, region and market area 123. "+
			"What the published API examples name is planted so that they have members.", w.total, w.seed),
		License: "CC0-1.0 for the synthetic rows; places: GeoNames, CC-BY-4.0",
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("write dataset.json: %w", err)
	}
	return durable.WriteFile(filepath.Join(dir, "dataset.json"), append(about, '\n'))
}

// syncFolders makes the names of the files durable; the files already are.
func syncFolders(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sync dataset: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := durable.SyncDir(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return durable.SyncDir(dir)
}

// publish puts the finished folder in its place. An empty folder there is
// removed first, since not every system lets a rename replace it.
func publish(temp, dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("generate: replace folder: %w", err)
	}
	if err := durable.Rename(temp, filepath.Clean(dir)); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	return nil
}
