package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"throng/backup"
	"throng/engine/bitmap/storage"
	"throng/internal/durable"
)

// The parts of a data folder that a backup is made of.
const (
	databaseFile = "throng.db"
	keyFile      = "secret.key"
	nodeFile     = "node"
	indexFolder  = "index"
	blobFolder   = "blobs"
)

// backupLock is held by the one backup that runs; what it holds is below a
// folder of the temporary files that begins with stagePrefix.
const (
	backupLock  = "backup.lock"
	stagePrefix = "backup-"
)

// restoring is there while a data folder is being restored.
const restoring = "restore.unfinished"

// Backup tells what a backup is.
type Backup struct {
	MadeAt     time.Time
	Generation string // the current one; "" for none
	Version    string // of the program that made it
	HasKey     bool
	Files      int64
	Bytes      int64
}

func fromManifest(m backup.Manifest) Backup {
	return Backup{
		MadeAt: m.MadeAt, Generation: m.About["generation"], Version: m.About["version"],
		HasKey: m.About["secret_key"] == "included", Files: m.Files, Bytes: m.Bytes,
	}
}

// BackupOptions are the settings of one backup.
type BackupOptions struct {
	// WithoutKey leaves the secret key out. Who restores must have it.
	WithoutKey bool
	Progress   func(Progress)
}

// Backup writes the data folder, as it is at one instant, to a folder that is
// not there or empty, or to a file that ends in .tar. A server may run on it:
// it is held up for as long as it takes to name the files, and not to copy them.
func (s *Server) Backup(ctx context.Context, to string, opt BackupOptions) (_ Backup, err error) {
	if s.cfg.Database != "" || s.cfg.Blobs != "" {
		return Backup{}, usage("", "backup is for SQLite and files in the data folder; of PostgreSQL and a bucket make copies with their own means: docs/operate.md")
	}
	if err := s.outside(to); err != nil {
		return Backup{}, err
	}
	unlock, err := durable.Lock(s.path(backupLock))
	if errors.Is(err, durable.ErrLocked) {
		return Backup{}, errors.New("another backup of this data folder is under way")
	}
	if err != nil {
		return Backup{}, fmt.Errorf("back up: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := s.removeStages(); err != nil {
		return Backup{}, fmt.Errorf("back up: %w", err)
	}
	stage, err := os.MkdirTemp(s.path("tmp"), stagePrefix+"*")
	if err != nil {
		return Backup{}, fmt.Errorf("back up: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	tell := opt.Progress
	if tell == nil {
		tell = func(Progress) {}
	}
	tell(Progress{Step: "holding what there is"})
	current, err := s.stage(ctx, stage, opt)
	if err != nil {
		return Backup{}, fmt.Errorf("back up: %w", err)
	}
	about := map[string]string{"generation": current, "version": s.cfg.Version, "secret_key": "included"}
	if _, err := os.Lstat(filepath.Join(stage, keyFile)); err != nil {
		about["secret_key"] = "not included"
	}
	m, err := backup.Write(ctx, stage, to, backup.Manifest{MadeAt: s.cfg.Now().UTC().Truncate(time.Second), About: about}, func(done, total int64) {
		tell(Progress{Step: "copying", Done: done, Total: total})
	})
	return fromManifest(m), err
}

// clearStages removes what backups that died have left, unless one runs now.
func (s *Server) clearStages() error {
	unlock, err := durable.Lock(s.path(backupLock))
	if errors.Is(err, durable.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(s.removeStages(), unlock())
}

func (s *Server) removeStages() error {
	stages, err := filepath.Glob(filepath.Join(s.path("tmp"), stagePrefix+"*"))
	for _, stage := range stages {
		err = errors.Join(err, os.RemoveAll(stage))
	}
	return err
}

// outside refuses a place for the backup within what is backed up.
func (s *Server) outside(to string) error {
	abs, err := filepath.Abs(to)
	if err != nil {
		return fmt.Errorf("find %s: %w", to, err)
	}
	if rel, err := filepath.Rel(s.cfg.Data, abs); err == nil && filepath.IsLocal(rel) {
		return usage("", "%s is within the data folder; a backup belongs to another place", to)
	}
	return nil
}

// stage makes a folder of the data folder as it is at one instant. Files are
// never changed once they have their names, so a second name (a hard link) keeps
// each as it is, whatever is deleted meanwhile. Most are named before the instant,
// so that those made since, and no more, are named while writers wait. A file that
// the database knows is there as long as it does, so none is missing.
func (s *Server) stage(ctx context.Context, stage string, opt BackupOptions) (current string, err error) {
	blobs := filepath.Join(stage, blobFolder)
	if err := os.Mkdir(blobs, 0o700); err != nil {
		return "", err
	}
	if err := mirror(ctx, s.path(blobFolder), blobs); err != nil {
		return "", err
	}
	err = s.db.Backup(ctx, filepath.Join(stage, databaseFile), func(ctx context.Context) error {
		if err := mirror(ctx, s.path(blobFolder), blobs); err != nil {
			return err
		}
		current, err = s.stageIndex(ctx, filepath.Join(stage, indexFolder))
		return err
	})
	if err != nil {
		return "", err
	}
	names := []string{nodeFile}
	if !opt.WithoutKey && s.cfg.SecretKey == "" {
		names = append(names, keyFile)
	}
	for _, name := range names {
		if err := os.Link(s.path(name), filepath.Join(stage, name)); err != nil {
			return "", err
		}
	}
	return current, nil
}

// mirror gives every file below from the same name below to, and takes the
// others away from there. Names that begin with a dot are of files being written.
func mirror(ctx context.Context, from, to string) error {
	seen := map[string]bool{}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it was deleted meanwhile
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		seen[rel] = true
		return linkAgain(path, filepath.Join(to, rel))
	})
	if err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if rel, err := filepath.Rel(to, path); err != nil || seen[rel] {
			return err
		}
		return os.Remove(path)
	})
}

// linkAgain gives a file a second name, in place of an older file of the name.
func linkAgain(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was deleted meanwhile
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	now, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if had, err := os.Lstat(to); err != nil || os.SameFile(now, had) {
		return err
	}
	if err := os.Remove(to); err != nil {
		return err
	}
	return linkAgain(from, to)
}

// stageIndex links the generations and says which is the current one. What is
// removed meanwhile was not needed, unless it had just been the current one:
// then another is by now.
func (s *Server) stageIndex(ctx context.Context, to string) (current string, err error) {
	const tries = 5
	for range tries {
		if err := os.RemoveAll(to); err != nil {
			return "", err
		}
		if err := os.Mkdir(to, 0o700); err != nil {
			return "", err
		}
		if current, err = storage.ReadCurrent(s.path(indexFolder)); err != nil || current == "" {
			return "", err
		}
		if err := s.linkGenerations(ctx, to); err != nil {
			return "", err
		}
		if _, err := os.Lstat(filepath.Join(to, current)); err == nil {
			return current, storage.WriteCurrent(to, current)
		}
	}
	return "", errors.New("the index is replaced again and again; wait for the end of the loads")
}

// linkGenerations links what is a generation from its first file to its last.
func (s *Server) linkGenerations(ctx context.Context, to string) error {
	entries, err := os.ReadDir(s.path(indexFolder))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || !storage.ValidID(e.Name()) {
			continue
		}
		from, made := filepath.Join(s.path(indexFolder), e.Name()), filepath.Join(to, e.Name())
		if err := os.Mkdir(made, 0o700); err != nil {
			return err
		}
		if err := mirror(ctx, from, made); err != nil {
			return err
		}
		// One that is being removed has lost its name first.
		if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
			if err := os.RemoveAll(made); err != nil {
				return err
			}
		}
	}
	return nil
}

// RestoreOptions are the settings of one restoring.
type RestoreOptions struct {
	// CheckOnly verifies the backup and writes nothing.
	CheckOnly bool
	Progress  func(Progress)
}

// Restore makes the data folder of cfg out of a backup. The folder must not be
// there, or be empty, or hold what a restoring that came to no end has left. No
// server opens it before it is whole.
func Restore(ctx context.Context, cfg Config, from string, opt RestoreOptions) (_ Backup, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return Backup{}, err
	}
	if cfg.Database != "" || cfg.Blobs != "" {
		return Backup{}, usage("", "restore is for SQLite and files in the data folder; leave --database and --blobs out")
	}
	tell := func(done, total int64) {
		if opt.Progress != nil {
			opt.Progress(Progress{Step: "verifying", Done: done, Total: total})
		}
	}
	if opt.CheckOnly {
		m, err := backup.Check(ctx, from, tell)
		return fromManifest(m), err
	}
	unlock, err := prepareRestore(cfg.Data)
	if err != nil {
		return Backup{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	m, err := backup.Restore(ctx, from, cfg.Data, belongs, tell)
	if err != nil {
		return fromManifest(m), errors.Join(err, undoRestore(cfg.Data))
	}
	return fromManifest(m), durable.Remove(filepath.Join(cfg.Data, restoring))
}

// belongs tells whether a file may be part of a backup.
func belongs(name string) bool {
	top, below, _ := strings.Cut(name, "/")
	switch top {
	case databaseFile, keyFile, nodeFile:
		return below == ""
	case indexFolder, blobFolder:
		return below != ""
	}
	return false
}

// prepareRestore makes an empty data folder that no server opens, and that no
// other restoring touches until unlock.
func prepareRestore(data string) (unlock func() error, err error) {
	if err := durable.MkdirAll(data); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		return nil, fmt.Errorf("look into data folder: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "lost+found" })
	if checkRestored(data) == nil && len(entries) > 0 {
		return nil, usage("data", "%s is not empty; restore into a folder that is, and keep this one until all is well", data)
	}
	unlock, err = durable.Lock(filepath.Join(data, restoring))
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("another restore into %s is under way", data)
	}
	if err != nil {
		return nil, fmt.Errorf("begin to restore: %w", err)
	}
	if err := errors.Join(durable.SyncDir(data), removeParts(data)); err != nil {
		return nil, errors.Join(err, unlock())
	}
	return unlock, nil
}

// undoRestore empties a folder that could not be restored.
func undoRestore(data string) error {
	if err := removeParts(data); err != nil {
		return err // restoring stays, so that nobody takes it for a data folder
	}
	return durable.Remove(filepath.Join(data, restoring))
}

func removeParts(data string) error {
	for _, name := range []string{databaseFile, keyFile, nodeFile, indexFolder, blobFolder} {
		if err := os.RemoveAll(filepath.Join(data, name)); err != nil {
			return fmt.Errorf("remove an unfinished restore: %w", err)
		}
	}
	return nil
}

// checkRestored refuses a data folder whose restoring came to no end.
func checkRestored(data string) error {
	if _, err := os.Lstat(filepath.Join(data, restoring)); err == nil {
		return fmt.Errorf("a restore of %s has not come to its end; run throng restore again", data)
	}
	return nil
}
