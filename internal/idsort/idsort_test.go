package idsort

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"throng/internal/hexkey"
)

// What does not fit in memory is sorted in files, with the same result.
func TestSorter(t *testing.T) {
	for _, tt := range []struct {
		form Form
		text func(n uint64) string
	}{
		{Text, func(n uint64) string { return fmt.Sprintf("%x", n) }},
		{Sum, func(n uint64) string { return fmt.Sprintf("%x", md5.Sum(fmt.Append(nil, n))) }},
		{UUID, func(n uint64) string { return fmt.Sprintf("00000000-0000-0000-%04x-%012x", n>>7, n<<3) }},
	} {
		dir := t.TempDir()
		var want []string
		small, large := New(tt.form, MinMemory, dir), New(tt.form, 64<<20, dir)
		seed := uint64(1)
		for range 150_000 {
			seed = seed*6364136223846793005 + 1442695040888963407
			text := tt.text(seed >> 46) // some come often
			want = append(want, text)
			for _, s := range []*Sorter{small, large} {
				if err := s.Add([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if len(small.runs) < 2 || len(large.runs) != 0 {
			t.Fatalf("form %d: runs = %d and %d, want several and none", tt.form, len(small.runs), len(large.runs))
		}
		for name, lists := range map[string][]*List{
			"in files": small.Lists(), "in memory": large.Lists(), "of both": append(small.Lists(), large.Lists()...),
		} {
			var got []string
			if err := Merge(t.Context(), lists, func(text []byte) bool {
				got = append(got, string(text))
				return true
			}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("form %d %s: %d lines, want %d distinct in order", tt.form, name, len(got), len(want))
			}
		}
		small.Close()
		large.Close()
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%d files are left, %v, want none", len(left), err)
		}
	}
}

// Keys of every sort of likeness, against the sort of the library.
func TestSortKeys(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for name, key := range map[string]func() hexkey.Key{
		"unlike":  func() hexkey.Key { return hexkey.Key{Hi: rng.Uint64(), Lo: rng.Uint64()} },
		"few":     func() hexkey.Key { return hexkey.Key{Hi: rng.Uint64N(3), Lo: rng.Uint64N(3)} },
		"equal":   func() hexkey.Key { return hexkey.Key{Hi: 7, Lo: 7} },
		"in rows": func() hexkey.Key { return hexkey.Key{Hi: 5, Lo: rng.Uint64() >> rng.IntN(64)} },
	} {
		for _, n := range []int{0, 1, fewKeys, fewKeys + 1, 20_000} {
			keys := make([]hexkey.Key, n)
			for i := range keys {
				keys[i] = key()
			}
			want := slices.Clone(keys)
			slices.SortFunc(want, func(a, b hexkey.Key) int { return bytes.Compare(a.Append(nil), b.Append(nil)) })
			if sortKeys(keys, make([]hexkey.Key, n), 0); !slices.Equal(keys, want) {
				t.Errorf("%d keys that are %s are out of order", n, name)
			}
		}
	}
}

// Keys of several sorters, some at rest, come out as keys.
func TestMergeKeys(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	a, b := New(Sum, MinMemory, t.TempDir()), New(Sum, 64<<20, t.TempDir())
	defer a.Close()
	defer b.Close()
	var want []hexkey.Key
	for i := range 150_000 {
		k := hexkey.Key{Hi: rng.Uint64N(1000), Lo: rng.Uint64N(100)}
		want = append(want, k)
		if err := []*Sorter{a, b}[i%2].AddKey(k); err != nil {
			t.Fatal(err)
		}
		if i == 100_000 {
			if err := b.Rest(); err != nil || len(b.runs) != 1 || b.keys != nil {
				t.Fatalf("at rest: %v, %d runs, want one, and no memory", err, len(b.runs))
			}
		}
	}
	slices.SortFunc(want, func(a, b hexkey.Key) int { return cmp.Or(cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Lo, b.Lo)) })
	want = slices.Compact(want)
	var got []hexkey.Key
	if err := MergeKeys(t.Context(), append(a.Lists(), b.Lists()...), func(k hexkey.Key) bool { got = append(got, k); return true }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d keys, want %d distinct in order", len(got), len(want))
	}
	stopped := 0
	if err := MergeKeys(t.Context(), a.Lists(), func(hexkey.Key) bool { stopped++; return stopped < 10 }); err != nil || stopped != 10 {
		t.Errorf("%d keys after a stop at 10, %v", stopped, err)
	}
}
