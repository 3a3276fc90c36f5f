package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"throng/internal/durable"
)

// sink is what a backup is written to.
type sink interface {
	put(name string, r io.Reader, size int64, at time.Time) error
	// finish makes all durable, and then writes the manifest, durably.
	finish(manifest []byte, at time.Time) error
	// abort removes what was written.
	abort() error
}

// dirSink writes a backup to a folder.
type dirSink struct {
	folder *folder
	made   bool // the folder was not there
}

func newDirSink(dir string) (*dirSink, error) {
	entries, err := os.ReadDir(dir)
	made := errors.Is(err, fs.ErrNotExist)
	if err != nil && !made {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty", dir)
	}
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	f, err := newFolder(dir)
	return &dirSink{f, made}, err
}

func (d *dirSink) put(name string, r io.Reader, _ int64, at time.Time) error {
	return d.folder.put(name, r, at)
}

func (d *dirSink) finish(manifest []byte, _ time.Time) error {
	defer d.folder.close()
	if err := d.folder.sync(); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(d.folder.dir, manifestName), manifest)
}

func (d *dirSink) abort() error {
	d.folder.close()
	if d.made {
		return os.RemoveAll(d.folder.dir)
	}
	entries, err := os.ReadDir(d.folder.dir) // it was empty
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(d.folder.dir, e.Name())))
	}
	return err
}

// folder is a folder that files are written into. All access goes through an
// [os.Root], so that no name leads out of it.
type folder struct {
	dir   string
	root  *os.Root
	files []string
	dirs  map[string]bool
}

func newFolder(dir string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &folder{dir: dir, root: root, dirs: map[string]bool{".": true}}, nil
}

func (f *folder) close() { f.root.Close() }

// mkdir makes a folder and those above it.
func (f *folder) mkdir(dir string) error {
	if f.dirs[dir] {
		return nil
	}
	if err := f.mkdir(path.Dir(dir)); err != nil {
		return err
	}
	f.dirs[dir] = true
	if err := f.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// put writes a file that is not there yet. It is durable after sync.
func (f *folder) put(name string, r io.Reader, at time.Time) (err error) {
	if err := f.mkdir(path.Dir(name)); err != nil {
		return err
	}
	w, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	f.files = append(f.files, name)
	return f.root.Chtimes(name, at, at)
}

// syncers is how many files are synced at once: one alone would wait for the
// disk each time.
const syncers = 16

// sync makes all that was put durable.
func (f *folder) sync() error {
	var group errgroup.Group
	group.SetLimit(syncers)
	one := func(name string) func() error {
		return func() error {
			file, err := f.root.Open(name)
			if err != nil {
				return err
			}
			return errors.Join(file.Sync(), file.Close())
		}
	}
	for _, name := range f.files {
		group.Go(one(name))
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for dir := range f.dirs {
		group.Go(one(dir))
	}
	return group.Wait()
}

// tarSink writes a backup to one file, which appears when it is whole.
type tarSink struct {
	file *durable.Writer
	tar  *tar.Writer
}

func newTarSink(name string) (*tarSink, error) {
	if _, err := os.Lstat(name); err == nil {
		return nil, fmt.Errorf("%s is there already", name)
	}
	w, err := durable.Create(name)
	if err != nil {
		return nil, err
	}
	return &tarSink{w, tar.NewWriter(w)}, nil
}

func (t *tarSink) put(name string, r io.Reader, size int64, at time.Time) error {
	err := t.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: at, Format: tar.FormatPAX,
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(t.tar, r)
	return err
}

func (t *tarSink) finish(manifest []byte, at time.Time) error {
	if err := t.put(manifestName, bytes.NewReader(manifest), int64(len(manifest)), at); err != nil {
		return err
	}
	if err := t.tar.Close(); err != nil {
		return err
	}
	return t.file.Commit()
}

func (t *tarSink) abort() error { return t.file.Abort() }

// readDir passes on all files of a folder, the manifest last.
func readDir(dir string, take func(name string, r io.Reader, at time.Time) error) error {
	files, _, err := list(dir)
	if err != nil {
		return err
	}
	one := func(name string) error {
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		return take(name, f, info.ModTime())
	}
	last := ""
	for _, name := range files {
		if name == manifestName {
			last = name
			continue
		}
		if err := one(name); err != nil {
			return err
		}
	}
	if last == "" {
		return nil
	}
	return one(last)
}

// readTar passes on all files of a tar file.
func readTar(name string, take func(name string, r io.Reader, at time.Time) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := tar.NewReader(f)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			return fmt.Errorf("%w: %q is no file", ErrBroken, h.Name)
		}
		if err := take(h.Name, r, h.ModTime); err != nil {
			return err
		}
	}
}
