// Package sweep removes what nobody needs any more: generations, files that belong
// to no row, and what processes left that died. It removes nothing that is young,
// since that may belong to what is under way.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"throng/blob"
	"throng/engine"
	"throng/sqldb"
)

// OrphanAge is how old a file that belongs to nothing must be: younger ones
// may belong to an upload that is being read. In a store that has to be swept it
// is how long a file may be read after it was deleted.
const OrphanAge = 24 * time.Hour

// Sweeper knows what is needed by the database.
type Sweeper struct {
	DB     *sqldb.DB
	Engine engine.Engine
	Blobs  blob.Store
}

// Generations removes those that are neither current, nor used by a running build,
// nor among the last keep or younger than these. Those that cannot be used are not
// counted among them.
func (s *Sweeper) Generations(ctx context.Context, keep int) error {
	all, err := s.Engine.Generations(ctx)
	if err != nil {
		return fmt.Errorf("list generations: %w", err)
	}
	if len(all) <= keep {
		return nil
	}
	used, err := s.DB.RunningGenerations(ctx)
	if err != nil {
		return err
	}
	var errs []error
	usable := 0
	for _, info := range all { // newest first
		kept := usable < keep
		if info.Err == nil {
			usable++
		}
		if kept || info.Current || slices.Contains(used, info.ID) {
			continue
		}
		if err := s.Engine.Remove(ctx, info.ID); err != nil && !errors.Is(err, engine.ErrNoGeneration) {
			errs = append(errs, fmt.Errorf("remove generation: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Files removes the files that belong to nothing and are of before orphans, and
// what was sent to addresses and not used since before incoming. all are the
// generations that there are.
func (s *Sweeper) Files(ctx context.Context, orphans, incoming time.Time, all []engine.Info) error {
	return errors.Join(s.audiences(ctx, orphans, all), s.uploads(ctx, orphans, all), s.incoming(ctx, incoming), s.deliveries(ctx), s.insights(ctx, orphans, all))
}

// Temp removes what lies in a folder of temporary files, "" for none, and was not
// touched since old.
func Temp(dir string, old time.Time) error {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep temporary files: %w", err)
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Before(old) {
			continue
		}
		errs = append(errs, err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}
