// Package bitmaptest gives tests a generation of the engine that ships.
package bitmaptest

import (
	"os"
	"path/filepath"
	"testing"

	"throng/engine"
	"throng/engine/bitmap"
)

// Tables writes the files of a dataset, texts by name, into a folder of the
// test's.
func Tables(t testing.TB, texts map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Load loads a dataset folder into an index of the test's own and holds its
// generation until the test ends.
func Load(t testing.TB, dir string, c bitmap.Config, o engine.LoadOptions) engine.Generation {
	t.Helper()
	e, err := bitmap.Open(t.TempDir(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if _, err := e.Load(t.Context(), dir, o); err != nil {
		t.Fatal(err)
	}
	g, err := e.Acquire(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Release)
	return g
}
