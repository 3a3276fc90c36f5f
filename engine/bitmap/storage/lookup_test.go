package storage

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A lookup of random hashes takes no more than eleven bytes a key, and no line
// of many is missing.
func TestLookupSize(t *testing.T) {
	const n = 100_000
	path, _ := writeLookup(t, t.TempDir(), n)
	l, err := OpenLookup(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if size := float64(l.Size()) / n; size > 11 {
		t.Errorf("lookup has %.2f bytes a key, want at most 11", size)
	}
	if share := float64(len(l.rest)) / n; share < .005 || share > .03 {
		t.Errorf("%.3f of the entries are in no line, want about 0.01", share)
	}
}

func writeLookup(t testing.TB, dir string, n int) (string, map[uint64][]uint32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, uint64(n)))
	type pair struct {
		hash uint64
		row  uint32
	}
	pairs := make([]pair, n)
	want := map[uint64][]uint32{}
	for i := range pairs {
		pairs[i] = pair{rng.Uint64(), rng.Uint32()}
		if i%10 == 9 {
			pairs[i].hash = pairs[i-1].hash
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmpUint(a.hash, b.hash)*2 + cmpUint(uint64(a.row), uint64(b.row))
	})
	w, err := NewLookupWriter(dir, "x.idx", uint64(n))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		want[p.hash] = append(want[p.hash], p.row)
		if err := w.Add(p.hash, p.row); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "x.idx"), want
}

func cmpUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestLookup(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 100, 100_000} {
		path, want := writeLookup(t, t.TempDir(), n)
		l, err := OpenLookup(path)
		if err != nil {
			t.Fatal(err)
		}
		if l.Keys() != uint64(n) {
			t.Errorf("lookup holds %d keys, want %d", l.Keys(), n)
		}
		if err := l.Verify(); err != nil {
			t.Errorf("n %d: Verify = %v", n, err)
		}
		hashes := append(slices.Collect(maps.Keys(want)), 0, 1, 1<<64-1)
		got := candidates(t, l, hashes)
		others := 0
		for _, h := range hashes {
			// What else is found has the same tag by chance.
			of := slices.DeleteFunc(slices.Clone(got[h]), func(row uint32) bool { return !slices.Contains(want[h], row) })
			if others += len(got[h]) - len(of); !slices.Equal(of, want[h]) {
				t.Errorf("n %d: Candidates(%x) = %v, want %v", n, h, got[h], want[h])
			}
		}
		if others > n/20+2 {
			t.Errorf("n %d: Candidates finds %d rows of other keys", n, others)
		}
		if diff := cmp.Diff(got, joinAll(t, l, hashes)); diff != "" {
			t.Errorf("n %d: Join (-want +got):\n%s", n, diff)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
