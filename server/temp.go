package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"throng/internal/durable"
)

const (
	// runPattern is the pattern of the names of folders for temporary files,
	// each of one process.
	runPattern = "run-*"
	// runLock is held in it for as long as that lives.
	runLock = "lock"
	// runTries bounds how often another process may take a folder for a dead
	// one's before it is locked.
	runTries = 100
)

// tempFolder is this process's own place for temporary files.
type tempFolder struct {
	dir    string
	unlock func() error
}

// openTemp makes a folder below parent for this process's temporary files, and
// removes those of processes that died: they can be large, and what callers sent
// is in them.
func openTemp(parent string) (_ *tempFolder, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make folder for temporary files: %w", err)
		}
	}()
	if err := durable.MkdirAll(parent); err != nil {
		return nil, err
	}
	if err := sweepTemp(parent); err != nil {
		return nil, err
	}
	for range runTries {
		dir, err := os.MkdirTemp(parent, runPattern) // 0700
		if err != nil {
			return nil, err
		}
		unlock, err := durable.Lock(filepath.Join(dir, runLock))
		if errors.Is(err, durable.ErrLocked) || errors.Is(err, fs.ErrNotExist) {
			continue // another process is just removing it
		}
		if err != nil {
			return nil, err
		}
		if _, err := os.Lstat(filepath.Join(dir, runLock)); err == nil {
			return &tempFolder{dir, unlock}, nil
		}
		if err := unlock(); err != nil { // it was removed before it was locked
			return nil, err
		}
	}
	return nil, errors.New("others remove it as soon as it is made")
}

// sweepTemp removes the folders whose processes have died, and what earlier
// versions left.
func sweepTemp(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	prefix := strings.TrimSuffix(runPattern, "*")
	var errs []error
	for _, e := range entries {
		name := filepath.Join(parent, e.Name())
		switch {
		case e.IsDir() && strings.HasPrefix(e.Name(), prefix):
			errs = append(errs, removeIfDead(name))
		case strings.HasPrefix(e.Name(), "throng-"):
			errs = append(errs, os.RemoveAll(name))
		}
	}
	return errors.Join(errs...)
}

// removeIfDead removes a folder that nobody has locked. It makes no lock itself:
// one that appears in a folder which its owner is removing would keep it there.
func removeIfDead(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, runLock), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(dir) // which fails unless it is empty, as a new one is; who made that makes another
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // and with it the lock, when the folder is gone
	if err := durable.TryLockFile(f); err != nil {
		if errors.Is(err, durable.ErrLocked) {
			return nil // it lives, or another process is quicker
		}
		return err
	}
	return os.RemoveAll(dir)
}

// close removes the folder. Nothing in it may be in use.
func (f *tempFolder) close() error { return errors.Join(os.RemoveAll(f.dir), f.unlock()) }
