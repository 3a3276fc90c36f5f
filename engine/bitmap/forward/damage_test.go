package forward

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"throng/engine"
	"throng/engine/bitmap/format/formattest"
)

// sample is a small forward index.
func sample(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(randomPart(rand.New(rand.NewPCG(9, 9)), 300, 400).write(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDamage(t *testing.T) {
	good := sample(t)
	path := filepath.Join(t.TempDir(), "damaged")
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := touch(path); err != nil {
		t.Fatalf("undamaged: %v", err)
	}
	rng := rand.New(rand.NewPCG(8, 7))
	for range 300 {
		bad := bytes.Clone(good)
		if rng.IntN(3) == 0 {
			bad = bad[:rng.IntN(len(bad))]
		} else {
			bad[rng.IntN(len(bad))] ^= 1 << rng.IntN(8)
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		// A flip in padding or in what was not touched may go unnoticed.
		if err := touch(path); err != nil && !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("error %v, want %v", err, engine.ErrCorrupt)
		}
	}
}

// FuzzOpen damages a small file, its directory too, then mends its checksums, so
// that the numbers behind them are read.
func FuzzOpen(f *testing.F) {
	good := sample(f)
	f.Add(uint32(0), uint64(0), uint32(0))
	f.Add(uint32(1), uint64(1<<40), uint32(9))
	f.Fuzz(func(t *testing.T, at uint32, xor uint64, cut uint32) {
		bad := formattest.Damaged(good, at, xor, cut)
		path := filepath.Join(t.TempDir(), "fuzzed")
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		touch(path) // any error will do, a panic will not
	})
}
