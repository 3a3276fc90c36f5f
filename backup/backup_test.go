package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func silent(int64, int64) {}

func anything(string) bool { return true }

// sample is a folder to back up.
var sample = map[string]string{
	"throng.db": "database", "node": "", "blobs/a/1": "one", "blobs/a/2/b": strings.Repeat("two ", 10_000), "index/CURRENT": "00000001\n",
}

func fill(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// contents reads a folder back.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		found[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// written makes a backup of the sample.
func written(t *testing.T, name string) (path string, m Manifest) {
	t.Helper()
	from := t.TempDir()
	fill(t, from, sample)
	path = filepath.Join(t.TempDir(), name)
	m, err := Write(t.Context(), from, path, Manifest{MadeAt: time.Unix(1, 0).UTC(), About: map[string]string{"x": "y"}}, silent)
	if err != nil {
		t.Fatalf("Write = %v", err)
	}
	return path, m
}

func eachForm(t *testing.T, test func(t *testing.T, name string)) {
	for _, name := range []string{"folder", "file.tar"} {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

func TestRoundTrip(t *testing.T) {
	eachForm(t, func(t *testing.T, name string) {
		path, made := written(t, name)
		if made.Files != int64(len(sample)) || made.Format != format || made.Sums == "" {
			t.Errorf("Write = %+v", made)
		}
		var last int64
		if m, err := Check(t.Context(), path, func(done, _ int64) { last = done }); err != nil || cmp.Diff(made, m) != "" {
			t.Errorf("Check = %+v, %v, want %+v", m, err, made)
		}
		if last != made.Bytes {
			t.Errorf("told of %d bytes at the end, want %d", last, made.Bytes)
		}
		to := t.TempDir()
		m, err := Restore(t.Context(), path, to, anything, silent)
		if err != nil || cmp.Diff(made, m) != "" {
			t.Fatalf("Restore = %+v, %v, want %+v", m, err, made)
		}
		if diff := cmp.Diff(sample, contents(t, to)); diff != "" {
			t.Errorf("restored (-want +got):\n%s", diff)
		}
		info, err := os.Stat(filepath.Join(to, "blobs/a/1"))
		if err != nil || info.Mode().Perm() != 0o600 || info.ModTime().UTC().Year() != 2026 {
			t.Errorf("restored file: %v %v, %v, want 0600 of 2026", info.Mode(), info.ModTime(), err)
		}
		if info, err := os.Stat(filepath.Join(to, "blobs/a")); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("restored folder: %v, %v, want 0700", info.Mode(), err)
		}
		if _, err := Restore(t.Context(), path, to, anything, silent); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Restore over files = %v, want ErrExist", err)
		}
		if _, err := Write(t.Context(), to, path, Manifest{}, silent); err == nil {
			t.Error("Write over a backup = nil, want an error")
		}
	})
}

// TestCutShort cuts a tar file at every so many bytes: nothing but the whole of
// it is a backup.
func TestCutShort(t *testing.T) {
	path, _ := written(t, "file.tar")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.tar")
	for n := 0; n < len(whole)-1024; n += 509 { // the last two blocks are empty
		if err := os.WriteFile(cut, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Check(t.Context(), cut, silent)
		if !errors.Is(err, ErrUnfinished) && !errors.Is(err, ErrBroken) {
			// What ends behind the manifest's last byte is whole.
			if n < len(whole)-2048 {
				t.Fatalf("Check of %d of %d bytes = %v, want an error", n, len(whole), err)
			}
		}
	}
}

// TestInterrupted ends a writing at each of its files: what is left is none.
func TestInterrupted(t *testing.T) {
	eachForm(t, func(t *testing.T, name string) {
		from := t.TempDir()
		fill(t, from, sample)
		for n := range sample {
			ctx, cancel := context.WithCancelCause(t.Context())
			path := filepath.Join(t.TempDir(), name)
			stop := errors.New("stop at " + n)
			calls := 0
			_, err := Write(ctx, from, path, Manifest{}, func(int64, int64) {
				if calls++; calls == 2 {
					cancel(stop)
				}
			})
			if !errors.Is(err, stop) {
				t.Fatalf("Write = %v, want %v", err, stop)
			}
			if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
				t.Errorf("left over: %v, %v", entries, err)
			}
		}
	})
	t.Run("killed", func(t *testing.T) { // after all files, before the manifest
		path, _ := written(t, "folder")
		if err := os.Remove(filepath.Join(path, manifestName)); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(t.Context(), path, t.TempDir(), anything, silent); !errors.Is(err, ErrUnfinished) {
			t.Errorf("Restore = %v, want ErrUnfinished", err)
		}
	})
}

// TestDamage changes one thing in a backup.
func TestDamage(t *testing.T) {
	for what, damage := range map[string]func(dir string) error{
		"flipped": func(dir string) error { return os.WriteFile(filepath.Join(dir, "blobs/a/1"), []byte("onf"), 0o600) },
		"missing": func(dir string) error { return os.Remove(filepath.Join(dir, "node")) },
		"more":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "blobs/more"), nil, 0o600) },
		"sums":    func(dir string) error { return os.WriteFile(filepath.Join(dir, sumsName), nil, 0o600) },
	} {
		t.Run(what, func(t *testing.T) {
			path, _ := written(t, "folder")
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			if _, err := Check(t.Context(), path, silent); !errors.Is(err, ErrBroken) {
				t.Errorf("Check = %v, want ErrBroken", err)
			}
			if _, err := Restore(t.Context(), path, t.TempDir(), anything, silent); !errors.Is(err, ErrBroken) {
				t.Errorf("Restore = %v, want ErrBroken", err)
			}
		})
	}
	t.Run("every byte of a small file", func(t *testing.T) {
		path, _ := written(t, "file.tar")
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(whole, []byte("database"))
		for i := at; i < at+len("database"); i++ {
			bad := bytes.Clone(whole)
			bad[i] ^= 1
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Check(t.Context(), path, silent); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "throng.db") {
				t.Errorf("Check with byte %d flipped = %v, want ErrBroken of throng.db", i, err)
			}
		}
	})
}

// TestNames makes sure that no name of a backup leads out of the folder.
func TestNames(t *testing.T) {
	for _, name := range []string{"../out", "/etc/out", "blobs/../../out", "strange", "blobs/link"} {
		path := filepath.Join(t.TempDir(), "bad.tar")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(f)
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: 1}
		if name == "blobs/link" {
			header = &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: "/etc"}
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if header.Size > 0 {
			if _, err := w.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		base := t.TempDir()
		to := filepath.Join(base, "a", "b")
		if err := os.MkdirAll(to, 0o700); err != nil {
			t.Fatal(err)
		}
		known := func(name string) bool { return strings.HasPrefix(name, "blobs/") || strings.HasPrefix(name, "../") }
		if _, err := Restore(t.Context(), path, to, known, silent); !errors.Is(err, ErrBroken) {
			t.Errorf("Restore of %q = %v, want ErrBroken", name, err)
		}
		if got := contents(t, base); len(got) != 0 {
			t.Errorf("Restore of %q wrote %v", name, got)
		}
	}
}
