package server

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func tree(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			text, err := os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			names = append(names, rel+"="+string(text))
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil { // as every file appears
		t.Fatal(err)
	}
}

// TestMirror mirrors a folder twice, with files made, replaced and deleted in
// between: the second time it is as the folder is then, and stays so.
func TestMirror(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	write(t, filepath.Join(from, "a/kept"), "1")
	write(t, filepath.Join(from, "a/replaced"), "old")
	write(t, filepath.Join(from, "b/deleted"), "3")
	write(t, filepath.Join(from, ".tmp/half"), "being written")
	if err := mirror(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a/kept=1", "a/replaced=old", "b/deleted=3"}, tree(t, to)); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	write(t, filepath.Join(from, "a/replaced"), "new")
	write(t, filepath.Join(from, "c/made"), "4")
	if err := os.RemoveAll(filepath.Join(from, "b")); err != nil {
		t.Fatal(err)
	}
	if err := mirror(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	want := []string{"a/kept=1", "a/replaced=new", "c/made=4"}
	if diff := cmp.Diff(want, tree(t, to)); diff != "" {
		t.Errorf("second (-want +got):\n%s", diff)
	}
	if err := os.RemoveAll(from); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, tree(t, to)); diff != "" {
		t.Errorf("after everything was deleted (-want +got):\n%s", diff)
	}
}

// BenchmarkMirrorAgain is how long writers wait for a backup: all files have
// their second names from just before.
func BenchmarkMirrorAgain(b *testing.B) {
	from, to := b.TempDir(), b.TempDir()
	const files = 20_000
	for i := range files {
		write(b, filepath.Join(from, fmt.Sprintf("audiences/%d/x/%d", i/8, i)), "")
	}
	if err := mirror(b.Context(), from, to); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := mirror(b.Context(), from, to); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/file")
}
