// Package file keeps blobs as files of a folder, one file per blob, named by
// its key.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"throng/blob"
	"throng/internal/durable"
)

const (
	fileMode fs.FileMode = 0o600
	dirMode  fs.FileMode = 0o700

	// tempDir holds the files being written. Its name can be no key.
	tempDir = ".tmp"
)

// Store is a [blob.Store] in a folder of the local file system. Several
// processes may have one folder open. All access goes through an [os.Root], so
// that not even a symbolic link leads out of the folder.
type Store struct {
	root *os.Root
}

var _ blob.Store = (*Store)(nil)

// Open opens the store in dir, making the folder (0700) if need be, and removes
// the unfinished files of writers that died. Those of living processes, this
// one among them, are left alone: each is locked by its writer.
func Open(dir string) (*Store, error) {
	if err := durable.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("open blob folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open blob folder: %w", err)
	}
	s := &Store{root: root}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("open blob folder: %w", errors.Join(err, root.Close()))
	}
	return s, nil
}

// Close releases the folder. Readers that are open stay usable.
func (s *Store) Close() error { return s.root.Close() }

func (s *Store) prepare() error {
	if err := s.root.Mkdir(tempDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.syncDir("."); err != nil {
		return err
	}
	return s.removeLeftovers()
}

// removeLeftovers removes the temporary files that nobody has locked.
func (s *Store) removeLeftovers() error {
	entries, err := fs.ReadDir(s.root.FS(), tempDir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := s.removeIfUnlocked(path.Join(tempDir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) removeIfUnlocked(name string) error {
	f, err := s.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return ignoreAbsent(err) // its writer has just finished
	}
	err = durable.TryLockFile(f)
	switch {
	case errors.Is(err, durable.ErrLocked):
		err = nil
	case err == nil:
		err = ignoreAbsent(s.root.Remove(name))
	}
	return errors.Join(err, f.Close())
}

// Open implements [blob.Store].
func (s *Store) Open(ctx context.Context, key string) (blob.Reader, error) {
	if err := check(ctx, key); err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	f, err := s.root.Open(key)
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", notFound(err))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = blob.ErrNotFound // a folder of other keys
	}
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", errors.Join(err, f.Close()))
	}
	return reader{File: f, info: info}, nil
}

// Stat implements [blob.Store].
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := check(ctx, key); err != nil {
		return blob.Info{}, fmt.Errorf("stat blob: %w", err)
	}
	info, err := s.root.Stat(key)
	if err == nil && !info.Mode().IsRegular() {
		err = blob.ErrNotFound
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat blob: %w", notFound(err))
	}
	return toInfo(key, info), nil
}

// Delete implements [blob.Store]. Folders that become empty go too.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := check(ctx, key); err != nil {
		return fmt.Errorf("delete blob: %w", err)
	}
	info, err := s.root.Lstat(key)
	if err != nil {
		if errors.Is(notFound(err), blob.ErrNotFound) {
			return nil
		}
		return fmt.Errorf("delete blob: %w", err)
	}
	if info.IsDir() {
		return nil // a folder of other keys is no blob
	}
	if err := ignoreAbsent(s.root.Remove(key)); err != nil {
		return fmt.Errorf("delete blob: %w", err)
	}
	return s.syncAfterRemoval(path.Dir(key))
}

// syncAfterRemoval removes dir and its parents while they are empty, and syncs
// the first that stays.
func (s *Store) syncAfterRemoval(dir string) error {
	for ; dir != "."; dir = path.Dir(dir) {
		if err := s.root.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			break // not empty
		}
	}
	if err := ignoreAbsent(s.syncDir(dir)); err != nil {
		return fmt.Errorf("delete blob: %w", err)
	}
	return nil
}

func (s *Store) syncDir(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func check(ctx context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// notFound turns what the file system says of an absent file into
// [blob.ErrNotFound]. A key below a blob ("a/b" where "a" is a file) is absent.
func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return blob.ErrNotFound
	}
	return err
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func toInfo(key string, info fs.FileInfo) blob.Info {
	return blob.Info{Key: strings.Clone(key), Size: info.Size(), ModTime: info.ModTime().UTC()}
}
