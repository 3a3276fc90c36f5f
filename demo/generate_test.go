package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sums are the SHA-256 of every file of a folder, by path.
func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		name, _ := filepath.Rel(dir, path)
		all[name] = hex.EncodeToString(sum[:])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSameBytes covers several chunks, and an as_of that is not the default.
func TestSameBytes(t *testing.T) {
	const people = 2*chunkPeople + 500
	make := func(cfg Config) map[string]string {
		cfg.Dir = filepath.Join(t.TempDir(), "demo")
		if err := Generate(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		return sums(t, cfg.Dir)
	}
	one := make(Config{People: people, Seed: 5, Workers: 1})
	if diff := cmp.Diff(one, make(Config{People: people, Seed: 5, Workers: 3})); diff != "" {
		t.Errorf("three workers write other files than one (-one +three):\n%s", diff)
	}
	other := make(Config{People: 2_000, Seed: 6})
	small := make(Config{People: 2_000, Seed: 5})
	later := make(Config{People: 2_000, Seed: 5, AsOf: time.Date(2027, 2, 3, 4, 5, 6, 7, time.UTC)})
	for _, name := range []string{"people", "follows", "identifiers", "personality", "bios", "tweets", "jobs", "interests"} {
		name = filepath.Join(name, "00000.parquet")
		if small[name] == "" || small[name] == other[name] {
			t.Errorf("%s is the same for another seed, or not there", name)
		}
	}
	for _, name := range []string{"people", "tweets"} {
		name = filepath.Join(name, "00000.parquet")
		if small[name] == later[name] {
			t.Errorf("%s is the same for another as_of", name)
		}
	}
}

func TestRefused(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		cfg  Config
		want error // nil: any
	}{
		{"nobody", Config{People: 0, Dir: t.TempDir()}, nil},
		{"negative", Config{People: -1, Dir: t.TempDir()}, nil},
		{"no folder", Config{People: 1}, nil},
		{"folder in use", Config{People: 1, Dir: full}, fs.ErrExist},
		{"a file", Config{People: 1, Dir: filepath.Join(full, "mine")}, nil},
	} {
		if err := Generate(t.Context(), c.cfg); err == nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("Generate(%s) = %v, want an error (%v)", c.name, err, c.want)
		}
	}
	if got := sums(t, full); len(got) != 1 {
		t.Errorf("the folder in use has %d files, want its 1", len(got))
	}
}

// TestCanceled ends a run after the first chunk: nothing is left.
func TestCanceled(t *testing.T) {
	parent := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	err := Generate(ctx, Config{
		People: 4 * chunkPeople, Dir: filepath.Join(parent, "demo"), Workers: 1,
		Progress: func(done, total int64) {
			if done < 1 || total != 4*chunkPeople {
				t.Errorf("progress %d of %d", done, total)
			}
			cancel()
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Generate = %v, want %v", err, context.Canceled)
	}
	entries, err := os.ReadDir(parent)
	if err != nil || len(entries) > 0 {
		t.Errorf("ReadDir = %v, %v, want nothing left", entries, err)
	}
}

// TestEmptyFolder is replaced, and its missing parents are made.
func TestEmptyFolder(t *testing.T) {
	empty := t.TempDir()
	for _, dir := range []string{empty, filepath.Join(t.TempDir(), "a", "b")} {
		if err := Generate(t.Context(), Config{People: 1, Dir: dir}); err != nil {
			t.Errorf("Generate = %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "people", "00000.parquet")); err != nil {
			t.Error(err)
		}
	}
}

// TestPersonKey: a permutation has no two equal, and its values are fixed,
// since tokens and uploads made for one population name people by them.
func TestPersonKey(t *testing.T) {
	seen := map[string]bool{}
	for i := range 200_000 {
		key := PersonKey(1, i)
		if len(key) != 9 || key[0] != 'p' || seen[key] {
			t.Fatalf("PersonKey(1, %d) = %q, want p and 8 characters, unique", i, key)
		}
		seen[key] = true
	}
	if a, b := PersonKey(1, 0), PersonKey(2, 0); a == b {
		t.Errorf("PersonKey(1, 0) = PersonKey(2, 0) = %q", a)
	}
}
