package file

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"throng/blob"
	"throng/blob/blobtest"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, filepath.Join(t.TempDir(), "blobs")) })
}

func temps(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, tempDir))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	s := open(t, dir)
	w, err := s.Create(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %o, want %o", name, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A link that somebody puts into the folder leads nowhere.
func TestLinkOutOfFolder(t *testing.T) {
	base := t.TempDir()
	outside := filepath.Join(base, "outside")
	if err := os.Mkdir(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "blobs")
	s := open(t, dir)
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), "link/secret"); err == nil {
		t.Error("Open through a link = nil, want an error")
	}
	if err := s.Delete(t.Context(), "link/secret"); err == nil {
		t.Error("Delete through a link = nil, want an error")
	}
	w, err := s.Create(t.Context(), "link/new")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err == nil {
		t.Error("Commit through a link = nil, want an error")
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside holds %v, %v, want the one file", entries, err)
	}
	if got := temps(t, dir); got != 0 {
		t.Errorf("%d temporary files are left", got)
	}
}

// Another opener of the folder removes nothing that a living writer writes.
func TestOpenBesideWriter(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	w, err := first.Create(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "kept"); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if err := w.Commit(); err != nil {
		t.Fatalf("Commit = %v", err)
	}
	if info, err := first.Stat(t.Context(), "a"); err != nil || info.Size != 4 {
		t.Errorf("Stat = %+v, %v, want 4 bytes", info, err)
	}
}

// What a killed process was writing is removed by the next opener.
func TestLeftoversOfKilledProcess(t *testing.T) {
	if dir := os.Getenv("BLOB_TEST_DIR"); dir != "" {
		s, err := Open(dir)
		if err != nil {
			os.Exit(3)
		}
		w, err := s.Create(t.Context(), "a")
		if err != nil {
			os.Exit(4)
		}
		io.WriteString(w, "half")
		os.Stdout.WriteString("writing\n")
		select {} // until killed
	}
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLeftoversOfKilledProcess$")
	child.Env = append(os.Environ(), "BLOB_TEST_DIR="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "writing\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	open(t, dir)
	if got := temps(t, dir); got != 1 {
		t.Errorf("%d temporary files beside the living child, want 1", got)
	}
	child.Process.Kill()
	child.Wait()
	s := open(t, dir)
	if got := temps(t, dir); got != 0 {
		t.Errorf("%d temporary files after the child was killed, want 0", got)
	}
	if _, err := s.Open(t.Context(), "a"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open = %v, want ErrNotFound", err)
	}
}

// BenchmarkList lists the files of one audience among 20,000.
func BenchmarkList(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := range 20_000 {
		if err := s.root.MkdirAll(fmt.Sprintf("audiences/%d", i), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	for _, key := range []string{"audiences/777/1/md5", "audiences/777/1/ss_id"} {
		w, err := s.Create(b.Context(), key)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		found := 0
		for _, err := range s.List(b.Context(), "audiences/777/") {
			if err != nil {
				b.Fatal(err)
			}
			found++
		}
		if found != 2 {
			b.Fatalf("found %d files, want 2", found)
		}
	}
}
