// Package durable writes files so that they survive a power cut.
//
// A file appears under its name only when it is whole: it is written beside
// its place under a temporary name, synced, renamed, and then the folder is
// synced, since until that last step the rename itself can be lost. Files are
// made 0600 and folders 0700.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	fileMode fs.FileMode = 0o600
	dirMode  fs.FileMode = 0o700
)

// TempPattern is the pattern, in the sense of [filepath.Match], of the
// temporary names that this package uses. A file of such a name that no
// process writes was left by one that died, and can be removed.
const TempPattern = ".tmp-*"

// WriteFile writes data to the named file, replacing it in one step. When it
// returns nil the file is durable; when it returns an error the old file, if
// there was one, is as it was, except that after an error of the last sync
// either of the two may be there.
func WriteFile(name string, data []byte) error {
	w, err := Create(name)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit()
}

// CreateFile writes data to a new file. Where the name is taken, by whatever
// process and however late, it changes nothing and returns an error that wraps
// [fs.ErrExist]; so of several that try at once one succeeds, and whoever reads
// the name finds that one's data, whole.
func CreateFile(name string, data []byte) error {
	w, err := Create(name)
	if err != nil {
		return err
	}
	defer w.Abort() //nolint:errcheck // only tidies up
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	if err := os.Link(w.file.Name(), name); err != nil { // unlike a rename it never replaces
		return fmt.Errorf("create file: %w", err)
	}
	return SyncDir(filepath.Dir(name))
}

// MkdirAll makes the folder and its missing parents, each 0700 and durable.
// A folder that is already there keeps its mode.
func MkdirAll(dir string) error {
	dir = filepath.Clean(dir)
	switch info, err := os.Stat(dir); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("make folder %s: %w", dir, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("make folder: %w", err)
	}
	parent := filepath.Dir(dir)
	if err := MkdirAll(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	return SyncDir(parent)
}

// SyncDir makes what was created, renamed or removed in the folder durable.
// It says nothing about the contents of the files there.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// Rename moves a file or folder whose contents are already synced, and makes
// the move durable. It replaces an existing file.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	if err := SyncDir(filepath.Dir(to)); err != nil {
		return err
	}
	if filepath.Dir(from) == filepath.Dir(to) {
		return nil
	}
	return SyncDir(filepath.Dir(from))
}

// Remove removes the named file durably. It is no error if it is not there.
func Remove(name string) error {
	if err := os.Remove(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("remove: %w", err)
	}
	return SyncDir(filepath.Dir(name))
}
