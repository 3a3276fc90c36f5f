package device

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"throng/internal/hexkey"
)

// TestFind holds Find to Contains.
func TestFind(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	near := make([]hexkey.Key, 500) // all in one bucket, which nothing but malice makes
	for i := range near {
		near[i] = hexkey.Key{Hi: uint64(i / 7), Lo: uint64(i)}
	}
	for name, families := range map[string]map[Family][]hexkey.Key{
		"empty": {},
		"one":   {IDFV: randomKeys(rng, 1)},
		"some":  {IMEI: randomKeys(rng, 16), IDFA: randomKeys(rng, 17), OAID: randomKeys(rng, 300)},
		"many":  {GAID: randomKeys(rng, 50_000), IDFV: randomKeys(rng, 4_000)},
		"near":  {GAID: near, IDFA: sortedKeys(append(randomKeys(rng, 60), near[:60]...))},
		"ends":  {OAID: []hexkey.Key{{}, {Lo: 1}, {Hi: 1 << 63}, {Hi: ^uint64(0), Lo: ^uint64(0)}}},
	} {
		s := openSet(t, setOf(t, families, 0))
		var list []Wanted
		for _, f := range append(Families(), NumFamilies, 200) {
			for _, k := range append(families[f], randomKeys(rng, 100)...) {
				list = append(list, Wanted{f, k}, Wanted{f, hexkey.Key{Hi: k.Hi, Lo: k.Lo + 1}}, Wanted{f, hexkey.Key{Hi: k.Hi + 1, Lo: k.Lo}}, Wanted{f, hexkey.Key{Hi: k.Hi - 1, Lo: k.Lo}})
			}
		}
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		found := make([]bool, len(list))
		if err := s.Find(list, found); err != nil {
			t.Fatalf("%s: Find() = %v", name, err)
		}
		for i, w := range list {
			if want, err := s.Contains(w.Family, w.Key); err != nil || found[i] != want {
				t.Fatalf("%s: Find(%v %v) = %t, want %t, %v", name, w.Family, w.Key, found[i], want, err)
			}
		}
	}
}

func TestFindInClosedSet(t *testing.T) {
	s := openSet(t, setOf(t, nil, 0))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Find([]Wanted{{}}, make([]bool, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Find() in a closed set = %v, want ErrClosed", err)
	}
}

func BenchmarkFind(b *testing.B) {
	const n = 10_000_000
	rng := rand.New(rand.NewPCG(9, 10))
	keys := randomKeys(rng, n)
	s := openSet(b, setOf(b, map[Family][]hexkey.Key{GAID: keys}, 0))
	ask := make([]Wanted, 1<<20)
	for i := range ask {
		if ask[i] = (Wanted{GAID, hexkey.Key{Hi: rng.Uint64(), Lo: rng.Uint64()}}); i%2 == 0 {
			ask[i].Key = keys[rng.IntN(n)]
		}
	}
	found := make([]bool, 100)
	b.Run(fmt.Sprintf("keys=1e7/wanted=%d", len(found)), func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i += len(found) {
			if i+len(found) > len(ask) {
				i = 0
			}
			if err := s.Find(ask[i:i+len(found)], found); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(found)), "ns/device")
	})
}
