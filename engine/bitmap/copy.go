package bitmap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/internal/durable"
)

const (
	// importLock is held by the one process that takes a generation in.
	importLock = "import.lock"
	// importSuffix ends the names of folders of generations being taken in.
	// Loads, which may run meanwhile, leave them alone.
	importSuffix = ".import"
	// importFiles is how many files are taken in at once: they come from far, and
	// each is read by one goroutine.
	importFiles = 4
)

var _ engine.Copier = (*Engine)(nil)

// Files implements engine.Copier.
func (e *Engine) Files(ctx context.Context, id string) (*engine.Files, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, text, err := e.manifest(id)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	files := &engine.Files{Stamp: hex.EncodeToString(sum[:]), Last: storage.ManifestName, Bytes: int64(len(text)), Info: m.Info}
	for _, f := range m.Files {
		files.Names = append(files.Names, f.Name)
		files.Bytes += f.Size
	}
	return files, nil
}

// manifest reads the manifest of a generation, and its text.
func (e *Engine) manifest(id string) (*storage.Manifest, []byte, error) {
	if !storage.ValidID(id) {
		return nil, nil, engine.ErrNoGeneration
	}
	path := filepath.Join(e.dir, id, storage.ManifestName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, engine.ErrNoGeneration
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read manifest: %w", err)
	}
	m, err := storage.ParseManifest(text, path, id)
	return m, text, err
}

// OpenFile implements engine.Copier.
func (e *Engine) OpenFile(ctx context.Context, id, name string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, text, err := e.manifest(id)
	if err != nil {
		return nil, err
	}
	if name == storage.ManifestName {
		return io.NopCloser(bytes.NewReader(text)), nil
	}
	for _, f := range m.Files {
		if f.Name == name {
			return storage.OpenVerified(filepath.Join(e.dir, id), f)
		}
	}
	return nil, fmt.Errorf("open file of generation %s: %q is none", id, name)
}

// Import implements engine.Copier. The files are written into a folder that no
// load touches; what is left of imports that died is removed by the next.
func (e *Engine) Import(
	ctx context.Context, id, stamp string, get func(ctx context.Context, name string) (io.ReadCloser, error),
) (err error) {
	if !storage.ValidID(id) {
		return fmt.Errorf("import generation: %q is no id", id)
	}
	unlock, err := durable.Lock(filepath.Join(e.dir, importLock))
	if errors.Is(err, durable.ErrLocked) {
		return engine.ErrBusy
	}
	if err != nil {
		return fmt.Errorf("import generation %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := e.removeImports(); err != nil {
		return fmt.Errorf("import generation %s: %w", id, err)
	}
	tmp := filepath.Join(e.dir, id+importSuffix)
	defer os.RemoveAll(tmp) // what is left goes with the next import
	if err := importInto(ctx, tmp, id, stamp, get); err != nil {
		return fmt.Errorf("import generation %s: %w", id, err)
	}
	if err := e.replace(id, tmp); err != nil {
		return fmt.Errorf("import generation %s: %w", id, err)
	}
	return nil
}

// removeImports removes what imports that died have left. The lock is held.
func (e *Engine) removeImports() error {
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), importSuffix) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(e.dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// importInto makes the folder of a generation, durable but for its own name.
func importInto(ctx context.Context, dir, id, stamp string, get func(ctx context.Context, name string) (io.ReadCloser, error)) error {
	text, err := readAll(ctx, storage.ManifestName, get)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != stamp {
		return fmt.Errorf("%w: %s: is not the one that was published", engine.ErrCorrupt, storage.ManifestName)
	}
	m, err := storage.ParseManifest(text, storage.ManifestName, id)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(dir); err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(importFiles)
	folders := map[string]bool{dir: true}
	for _, f := range m.Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if folder := filepath.Dir(path); !folders[folder] {
			folders[folder] = true
			if err := durable.MkdirAll(folder); err != nil {
				return errors.Join(err, group.Wait())
			}
		}
		group.Go(func() error { return importFile(gctx, path, f, get) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for folder := range folders {
		if err := durable.SyncDir(folder); err != nil {
			return err
		}
	}
	return durable.WriteFile(filepath.Join(dir, storage.ManifestName), text)
}

func readAll(ctx context.Context, name string, get func(ctx context.Context, name string) (io.ReadCloser, error)) ([]byte, error) {
	r, err := get(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// importFile writes one file, verified and synced.
func importFile(ctx context.Context, path string, want storage.FileSum, get func(ctx context.Context, name string) (io.ReadCloser, error)) (err error) {
	from, err := get(ctx, want.Name)
	if err != nil {
		return err
	}
	r := storage.Verify(from, want.Name, want)
	defer r.Close()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, cancelable{ctx, r}, make([]byte, 1<<20)); err != nil {
		return err
	}
	return f.Sync()
}

// cancelable reads until the context ends.
type cancelable struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (c cancelable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// replace gives the folder its name. What has the name is moved away first; its
// holders keep it.
func (e *Engine) replace(id, tmp string) error {
	dir := filepath.Join(e.dir, id)
	old := dir + ".old" + importSuffix // removed by the next import, if not here
	switch err := os.Rename(dir, old); {
	case errors.Is(err, fs.ErrNotExist):
		old = ""
	case err != nil:
		return err
	}
	if err := durable.Rename(tmp, dir); err != nil {
		if old != "" {
			err = errors.Join(err, os.Rename(old, dir))
		}
		return err
	}
	e.reopen(id)
	if old == "" {
		return nil
	}
	return os.RemoveAll(old)
}

// reopen has a generation opened anew when it is next asked for. What was found
// of the files that were there before is forgotten.
func (e *Engine) reopen(id string) {
	e.mu.Lock()
	delete(e.cores, id)
	delete(e.changed, id)
	held := e.current
	if held != nil && held.id == id {
		e.current = nil
	} else {
		held = nil
	}
	e.mu.Unlock()
	if held != nil {
		// Unmapping fails only for addresses that were never mapped.
		_ = held.release()
	}
}

// Use implements engine.Copier.
func (e *Engine) Use(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, _, err := e.manifest(id); err != nil {
		return fmt.Errorf("use generation %s: %w", id, err)
	}
	if err := storage.WriteCurrent(e.dir, id); err != nil {
		return fmt.Errorf("use generation %s: %w", id, err)
	}
	return e.look(true)
}
