// Package backup writes a folder to where it is kept, a folder or one tar file,
// and brings it back, whole or not at all. It knows files and their sums, and
// nothing of what they are.
//
// Beside the files a backup holds SHA256SUMS, which `sha256sum -c` reads, and
// manifest.json, which is written last and names the sum of SHA256SUMS: without
// it, or with another, nothing is a backup.
package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The names of what a backup holds beside the files.
const (
	manifestName = "manifest.json"
	sumsName     = "SHA256SUMS"
)

// format is the version of the layout.
const format = 1

var (
	// ErrBroken wraps every finding of a backup that is not what was written.
	ErrBroken = errors.New("backup is broken")
	// ErrUnfinished says that a backup was not written to its end.
	ErrUnfinished = errors.New("backup is not finished")
)

// Manifest tells what a backup is of.
type Manifest struct {
	Format int               `json:"format"`
	MadeAt time.Time         `json:"made_at"`
	About  map[string]string `json:"about"` // whatever who makes it wants to tell
	Files  int64             `json:"files"`
	Bytes  int64             `json:"bytes"`
	Sums   string            `json:"sums"` // SHA-256 of SHA256SUMS
}

// Progress is called now and then with how much of all bytes is done; total is
// 0 where it is not known.
type Progress func(done, total int64)

// IsFile tells whether a backup of that name is one file.
func IsFile(name string) bool { return strings.HasSuffix(name, ".tar") }

// Write copies all files of the folder from to a new backup: to a folder that
// is not there or empty, or to a file that is not there and whose name ends in
// .tar. m tells MadeAt and About. When it returns nil the backup is whole and
// durable; what is left by an error, or by a death, is none.
func Write(ctx context.Context, from, to string, m Manifest, progress Progress) (_ Manifest, err error) {
	files, total, err := list(from)
	if err != nil {
		return m, fmt.Errorf("write backup: %w", err)
	}
	var out sink
	if IsFile(to) {
		out, err = newTarSink(to)
	} else {
		out, err = newDirSink(to)
	}
	if err != nil {
		return m, fmt.Errorf("write backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write backup: %w", errors.Join(err, out.abort()))
		}
	}()
	m.Format = format
	var sums bytes.Buffer
	for _, name := range files {
		size, sum, err := copyFile(ctx, out, from, name, func(n int64) { progress(m.Bytes+n, total) })
		if err != nil {
			return m, err
		}
		m.Files++
		m.Bytes += size
		fmt.Fprintf(&sums, "%s  %s\n", sum, name)
	}
	hash := sha256.Sum256(sums.Bytes())
	m.Sums = hex.EncodeToString(hash[:])
	if err := out.put(sumsName, &sums, int64(sums.Len()), m.MadeAt); err != nil {
		return m, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	return m, out.finish(append(text, '\n'), m.MadeAt)
}

// list gives the files of a folder, in the order of their names, with slashes.
func list(dir string) (files []string, total int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no file", path)
		}
		name, err := filepath.Rel(dir, path)
		files, total = append(files, filepath.ToSlash(name)), total+info.Size()
		return err
	})
	return files, total, err
}

// copyFile copies one file and tells its size and sum.
func copyFile(ctx context.Context, out sink, dir, name string, told func(int64)) (size int64, sum string, err error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, "", err
	}
	h := &hashed{ctx: ctx, r: f, h: sha256.New(), told: told}
	if err := out.put(name, h, info.Size(), info.ModTime()); err != nil {
		return 0, "", err
	}
	if h.n != info.Size() {
		return 0, "", fmt.Errorf("%s changed while it was copied", name)
	}
	return h.n, hex.EncodeToString(h.h.Sum(nil)), nil
}

// Check reads a backup and verifies every sum. It wraps ErrBroken or
// ErrUnfinished.
func Check(ctx context.Context, from string, progress Progress) (Manifest, error) {
	m, err := read(ctx, from, progress, func(_ string, r io.Reader, _ time.Time) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	if err != nil {
		return m, fmt.Errorf("check backup: %w", err)
	}
	return m, nil
}

// Restore writes the files of a backup into the folder to, in which none of
// them may be, and verifies every sum. allowed says which names belong there.
// Modes are 0600 and 0700; times are those of the backup. When it returns nil
// the files are durable. On an error some may be there.
func Restore(ctx context.Context, from, to string, allowed func(name string) bool, progress Progress) (Manifest, error) {
	out, err := newFolder(to)
	if err != nil {
		return Manifest{}, fmt.Errorf("restore: %w", err)
	}
	defer out.close()
	m, err := read(ctx, from, progress, func(name string, r io.Reader, at time.Time) error {
		if !filepath.IsLocal(filepath.FromSlash(name)) || !allowed(name) {
			return fmt.Errorf("%w: %q does not belong into a data folder", ErrBroken, name)
		}
		return out.put(name, r, at)
	})
	if err == nil {
		err = out.sync()
	}
	if err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	return m, nil
}

// read passes every file of a backup to take, which reads it to its end, and
// then verifies that these were the files that were written.
func read(ctx context.Context, from string, progress Progress, take func(name string, r io.Reader, at time.Time) error) (Manifest, error) {
	var (
		m       Manifest
		ended   bool
		sums    []byte
		found   = map[string]string{}
		done    int64
		total   int64
		files   = readDir
		maxSums = int64(1 << 30)
	)
	if IsFile(from) {
		files = readTar
	} else if text, err := os.ReadFile(filepath.Join(from, manifestName)); err == nil && json.Unmarshal(text, &m) == nil {
		total = m.Bytes
	}
	err := files(from, func(name string, r io.Reader, at time.Time) (err error) {
		switch name {
		case manifestName:
			ended = true
			return json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(&m)
		case sumsName:
			sums, err = io.ReadAll(io.LimitReader(r, maxSums))
			return err
		}
		h := &hashed{ctx: ctx, r: r, h: sha256.New(), told: func(n int64) { progress(done+n, total) }}
		if err := take(name, h, at); err != nil {
			return err
		}
		done += h.n
		found[name] = hex.EncodeToString(h.h.Sum(nil))
		return nil
	})
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), err == nil && !ended:
		return m, fmt.Errorf("%w: %s", ErrUnfinished, from)
	case errors.Is(err, tar.ErrHeader):
		return m, fmt.Errorf("%w: %s: %w", ErrBroken, from, err)
	case err != nil:
		return m, err
	case m.Format != format:
		return m, fmt.Errorf("%s is a backup of format %d; this version knows %d", from, m.Format, format)
	}
	return m, verify(m, sums, found)
}

// verify compares what was found with what was written.
func verify(m Manifest, sums []byte, found map[string]string) error {
	if hash := sha256.Sum256(sums); hex.EncodeToString(hash[:]) != m.Sums {
		return fmt.Errorf("%w: %s is not what was written", ErrBroken, sumsName)
	}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		switch got, ok := found[name]; {
		case !ok:
			return fmt.Errorf("%w: %s is missing", ErrBroken, name)
		case got != sum:
			return fmt.Errorf("%w: %s is not what was written", ErrBroken, name)
		}
		delete(found, name)
	}
	for name := range found {
		return fmt.Errorf("%w: %s was not part of it", ErrBroken, name)
	}
	return nil
}

// hashed sums and counts what is read through it, until ctx is done.
type hashed struct {
	ctx  context.Context //nolint:containedctx // of the one copying that reads this
	r    io.Reader
	h    hash.Hash
	n    int64
	told func(int64)
}

// Read implements io.Reader.
func (h *hashed) Read(p []byte) (int, error) {
	if err := context.Cause(h.ctx); err != nil {
		return 0, err
	}
	n, err := h.r.Read(p)
	h.h.Write(p[:n]) // never fails
	h.n += int64(n)
	h.told(h.n)
	return n, err
}
