package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"syscall"

	"throng/blob"
)

// errStop ends a walk whose reader wants no more.
var errStop = errors.New("stop")

// List implements [blob.Store]. A prefix that no key can begin with finds
// nothing.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		dir, err := s.folder(prefix)
		if err == nil && dir != "" {
			err = s.walk(ctx, dir, prefix, yield)
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(blob.Info{}, fmt.Errorf("list blobs: %w", err))
		}
	}
}

// folder is the deepest one that holds every key which begins with prefix, so
// that the files of one audience are found without reading the names of all;
// "" where there is none.
func (s *Store) folder(prefix string) (string, error) {
	last := strings.LastIndexByte(prefix, '/')
	if last < 0 {
		return ".", nil
	}
	dir := prefix[:last]
	if blob.CheckKey(dir) != nil {
		return "", nil // nor is any key that begins so
	}
	info, err := s.root.Lstat(dir)
	switch {
	case errors.Is(err, syscall.ENOTDIR), err == nil && !info.IsDir():
		return "", nil
	case err != nil:
		return "", ignoreAbsent(err)
	}
	return dir, nil
}

// walk yields the blobs below dir that begin with prefix. Entries are ordered
// as their keys are: a folder by its name with a slash, so that "a-b" comes
// before what is in "a" ('-' is less than '/').
func (s *Store) walk(ctx context.Context, dir, prefix string, yield func(blob.Info, error) bool) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	entries, err := fs.ReadDir(s.root.FS(), dir)
	if err != nil {
		return ignoreAbsent(err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	for _, entry := range entries {
		key := path.Join(dir, entry.Name())
		if blob.CheckKey(entry.Name()) != nil {
			continue // the folder of temporary files, or what others put here
		}
		if entry.IsDir() {
			if strings.HasPrefix(key+"/", prefix) {
				if err := s.walk(ctx, key, prefix, yield); err != nil {
					return err
				}
			}
			continue
		}
		if !entry.Type().IsRegular() || !strings.HasPrefix(key, prefix) {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			if ignoreAbsent(err) == nil {
				continue // deleted meanwhile
			}
			return err
		}
		if !yield(toInfo(key, info), nil) {
			return errStop
		}
	}
	return nil
}

func sortName(entry fs.DirEntry) string {
	if entry.IsDir() {
		return entry.Name() + "/"
	}
	return entry.Name()
}
