package storage

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
		var hashes []uint64
		for h, rows := range want {
			hashes = append(hashes, h)
			var got []uint32
			if err := l.Candidates(h, func(row uint32) bool { got = append(got, row); return true }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, rows) {
				t.Errorf("n %d: Candidates(%x) = %v, want %v", n, h, got, rows)
			}
		}
		hashes = append(hashes, 0, 1, 1<<64-1)
		if diff := cmp.Diff(want, joinAll(t, l, hashes)); diff != "" {
			t.Errorf("n %d: Join (-want +got):\n%s", n, diff)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
