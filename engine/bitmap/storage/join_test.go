package storage

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/internal/hexkey"
)

// joinAll gives the rows that Join finds for each hash that has any; those of
// crowded lines are taken from Candidates.
func joinAll(t testing.TB, l *Lookup, hashes []uint64) map[uint64][]uint32 {
	t.Helper()
	var probes []Probe
	for _, h := range hashes {
		probes = append(probes, Probe{Hash: h})
	}
	got := map[uint64][]uint32{}
	j := Joined{Found: make([]uint64, 0, JoinRoom)}
	for next := 0; next < len(probes); {
		before := next
		j.Found = j.Found[:0]
		var err error
		if next, err = l.Join(probes, next, &j); err != nil {
			t.Fatal(err)
		}
		if next == before {
			t.Fatalf("Join stops at %d of %d", next, len(probes))
		}
		for _, f := range j.Found {
			h := probes[uint32(f)].Hash
			got[h] = append(got[h], uint32(f>>32))
		}
	}
	for _, i := range j.Crowded {
		if err := l.Candidates(probes[i].Hash, func(row uint32) bool {
			got[probes[i].Hash] = append(got[probes[i].Hash], row)
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// Lines of any size: most entries of a lookup are in one, where many have the
// same tag, and many the same hash.
func TestJoinCrowded(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 7))
	var hashes []uint64
	for i := range 3000 {
		h := rng.Uint64()
		switch i % 4 {
		case 0:
			h = 0x1234567890abcdef
		case 1:
			h = 0x1234567890abcd00 | h%64
		case 2:
			h = 0x1234<<48 | h>>16
		}
		hashes = append(hashes, h)
	}
	slices.Sort(hashes)
	dir := t.TempDir()
	w, err := NewLookupWriter(dir, "x.idx", uint64(len(hashes)))
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range hashes {
		if err := w.Add(h, uint32(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := OpenLookup(filepath.Join(dir, "x.idx"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sought := append(slices.Compact(slices.Clone(hashes)), 0, 0x1234<<48, 0x1235<<48, 1<<64-1)
	rng.Shuffle(len(sought), func(i, j int) { sought[i], sought[j] = sought[j], sought[i] })
	want := candidates(t, l, sought)
	for i, h := range hashes {
		if !slices.Contains(want[h], uint32(i)) {
			t.Errorf("Candidates(%x) = %v, want %d among them", h, want[h], i)
		}
	}
	if diff := cmp.Diff(want, joinAll(t, l, sought)); diff != "" {
		t.Errorf("Join (-want +got):\n%s", diff)
	}
	if err := l.Verify(); err != nil {
		t.Errorf("Verify = %v", err)
	}
}

// candidates gives the rows that Candidates finds for each hash that has any.
func candidates(t testing.TB, l *Lookup, hashes []uint64) map[uint64][]uint32 {
	t.Helper()
	got := map[uint64][]uint32{}
	for _, h := range hashes {
		if err := l.Candidates(h, func(row uint32) bool {
			got[h] = append(got[h], row)
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// What is known of one key's hash does not say which the others are.
func TestHashKey(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 7))
	for range 100_000 {
		k := hexkey.Key{Hi: rng.Uint64(), Lo: rng.Uint64()}
		other := hexkey.Key{Hi: k.Hi ^ 1<<rng.IntN(64), Lo: k.Lo}
		if HashKey(k) == HashKey(other) {
			t.Fatalf("%x and %x have one hash and end alike", k, other)
		}
		var raw [16]byte
		Codec{kind: codecHex}.Encode(raw[:0], k.Append(nil))
		if Hash(raw[:]) != HashKey(k) {
			t.Fatalf("Hash(%x) = %x, want %x", raw, Hash(raw[:]), HashKey(k))
		}
	}
	// Keys that count up, in either half, fill all buckets.
	for _, key := range []func(i uint64) hexkey.Key{
		func(i uint64) hexkey.Key { return hexkey.Key{Hi: i} },
		func(i uint64) hexkey.Key { return hexkey.Key{Lo: i} },
		func(i uint64) hexkey.Key { return hexkey.Key{Hi: i << 40, Lo: i << 40} },
	} {
		var buckets [256]int
		for i := range uint64(1 << 16) {
			buckets[HashKey(key(i))>>56]++
		}
		if least, most := slices.Min(buckets[:]), slices.Max(buckets[:]); least < 180 || most > 340 {
			t.Errorf("buckets have %d to %d keys, want about 256", least, most)
		}
	}
}
