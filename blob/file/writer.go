package file

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"throng/blob"
	"throng/internal/durable"
)

// attempts bounds the loops that lose a race against another process, each
// round of which means that the other made progress.
const attempts = 100

// Create implements [blob.Store].
func (s *Store) Create(ctx context.Context, key string) (blob.Writer, error) {
	if err := check(ctx, key); err != nil {
		return nil, fmt.Errorf("create blob: %w", err)
	}
	for range attempts {
		w, err := s.tryCreate(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("create blob: %w", err)
		}
		if w != nil {
			return w, nil
		}
	}
	return nil, errors.New("create blob: temporary files vanish")
}

// tryCreate makes and locks a temporary file. It returns nil without an error
// where an opener of the store took the file for a leftover, in the moment
// between its making and its locking.
func (s *Store) tryCreate(ctx context.Context, key string) (*writer, error) {
	name := path.Join(tempDir, rand.Text())
	f, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	err = durable.TryLockFile(f)
	if err == nil {
		_, err = s.root.Lstat(name)
		if err == nil {
			return &writer{ctx: ctx, store: s, key: key, temp: name, file: f}, nil
		}
	}
	closeErr := f.Close()
	if errors.Is(err, durable.ErrLocked) || errors.Is(err, fs.ErrNotExist) {
		return nil, closeErr
	}
	return nil, errors.Join(err, closeErr, s.root.Remove(name))
}

// writer holds its temporary file open, and so locked, until it is renamed.
type writer struct {
	ctx   context.Context // of Create: it governs the whole writing
	store *Store
	key   string
	temp  string
	file  *os.File // nil once ended
	err   error    // the first failed write
}

func (w *writer) Write(p []byte) (int, error) {
	if w.file == nil {
		return 0, blob.ErrClosed
	}
	if w.err == nil {
		w.err = context.Cause(w.ctx)
	}
	if w.err != nil {
		return 0, fmt.Errorf("write blob: %w", w.err)
	}
	n, err := w.file.Write(p)
	if err != nil {
		w.err = err
		return n, fmt.Errorf("write blob: %w", err)
	}
	return n, nil
}

func (w *writer) Commit() error {
	if w.file == nil {
		return blob.ErrClosed
	}
	err := w.err
	if err == nil {
		err = context.Cause(w.ctx)
	}
	if err == nil {
		err = w.file.Sync()
	}
	if err == nil {
		err = w.store.publish(w.temp, w.key)
	}
	if err != nil {
		return fmt.Errorf("commit blob: %w", errors.Join(err, w.Abort()))
	}
	f := w.file
	w.file = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("commit blob: %w", err)
	}
	return nil
}

func (w *writer) Abort() error {
	if w.file == nil {
		return nil
	}
	f := w.file
	w.file = nil
	err := ignoreAbsent(w.store.root.Remove(w.temp)) // while it is still locked
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("abort blob: %w", err)
	}
	return nil
}

// publish renames a synced file to its key and makes that durable.
func (s *Store) publish(temp, key string) error {
	dir := path.Dir(key)
	for range attempts {
		err := s.makeDir(dir)
		if err == nil {
			err = s.root.Rename(temp, key)
		}
		if err == nil {
			return s.syncUp(dir)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// A Delete removed a folder between two of these steps.
		if _, err := s.root.Lstat(temp); err != nil {
			return err
		}
	}
	return fmt.Errorf("folder %s vanishes", dir)
}

// makeDir makes a folder and those above it. Another writer may make one of
// them at the same moment, which os.Root's MkdirAll takes for an error.
func (s *Store) makeDir(dir string) error {
	err := s.root.MkdirAll(dir, dirMode)
	for range attempts {
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if info, statErr := s.root.Stat(dir); statErr == nil && info.IsDir() {
			return nil
		}
		err = s.root.MkdirAll(dir, dirMode)
	}
	return err
}

// syncUp syncs dir and every folder above it up to the store's own. All of
// them, since another writer may have made one and not have synced it yet.
func (s *Store) syncUp(dir string) error {
	for {
		if err := s.syncDir(dir); err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // deleted meanwhile, blob and all
				return err
			}
		}
		if dir == "." {
			return nil
		}
		dir = path.Dir(dir)
	}
}
