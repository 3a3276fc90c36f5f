package server

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// names lists what is in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestTempFolder: what a process that died has left goes with the next start,
// what belongs to a living one stays.
func TestTempFolder(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "tmp")
	open := func() *tempFolder {
		t.Helper()
		f, err := openTemp(parent)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(f.dir, "throng-sort-1"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	lives, died := open(), open()
	if err := died.unlock(); err != nil { // as the end of its process does
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(parent, "throng-set-2"), nil, 0o600); err != nil { // of an earlier version
		t.Fatal(err)
	}
	next := open()
	want := []string{filepath.Base(lives.dir), filepath.Base(next.dir)}
	if want[0] > want[1] {
		want[0], want[1] = want[1], want[0]
	}
	if diff := cmp.Diff(want, names(t, parent)); diff != "" {
		t.Errorf("after a start beside a living process (-want +got):\n%s", diff)
	}
	for _, f := range []*tempFolder{lives, next} {
		if diff := cmp.Diff([]string{runLock, "throng-sort-1"}, names(t, f.dir)); diff != "" {
			t.Errorf("in the folder of a living process (-want +got):\n%s", diff)
		}
		if err := f.close(); err != nil {
			t.Error(err)
		}
	}
	if left := names(t, parent); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

// TestTempFoldersAtOnce: commands that start at one moment do not take each
// other's folders for those of dead ones.
func TestTempFoldersAtOnce(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "tmp")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				f, err := openTemp(parent)
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(f.dir, "file"), nil, 0o600); err != nil {
					t.Error(err)
				}
				if err := f.close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if left := names(t, parent); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}
