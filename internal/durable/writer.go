package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Writer streams into a temporary file that takes its name at [Writer.Commit].
// It is for one goroutine. Every Writer must be ended by Commit or Abort;
// `defer w.Abort()` is safe, since Abort after Commit does nothing.
type Writer struct {
	name string   // where the file will be
	file *os.File // nil once ended
	err  error    // the first failed write: Commit must not publish a file with a hole
}

var _ io.Writer = (*Writer)(nil)

// Create starts a file. The folder must exist. Nothing is visible under name
// until [Writer.Commit].
func Create(name string) (*Writer, error) {
	f, err := os.CreateTemp(filepath.Dir(name), TempPattern) // 0600
	if err != nil {
		return nil, fmt.Errorf("create temporary file: %w", err)
	}
	return &Writer{name: name, file: f}, nil
}

// Write appends to the file. After an error Commit fails.
func (w *Writer) Write(p []byte) (int, error) {
	if w.file == nil {
		return 0, fmt.Errorf("write %s: %w", w.name, os.ErrClosed)
	}
	n, err := w.file.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// File is the temporary file, for those who need to seek in it or to write at
// an offset. It is closed by Commit and Abort and must not be closed otherwise.
func (w *Writer) File() *os.File { return w.file }

// Commit makes the file visible under its name, replacing what was there, and
// durable. On an error the temporary file is gone and the name is as it was,
// except that an error of syncing the folder leaves the new file in place.
// Commit after Abort, or a second Commit, is an error.
func (w *Writer) Commit() error {
	if w.file == nil {
		return fmt.Errorf("commit %s: %w", w.name, os.ErrClosed)
	}
	f := w.file
	w.file = nil
	err := w.err
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), w.name)
	}
	if err != nil {
		return fmt.Errorf("commit: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return SyncDir(filepath.Dir(w.name))
}

// Abort drops what was written. It does nothing after Commit or Abort.
func (w *Writer) Abort() error {
	if w.file == nil {
		return nil
	}
	f := w.file
	w.file = nil
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return fmt.Errorf("abort: %w", err)
	}
	return nil
}
