package device

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"throng/internal/hexkey"
)

// randomKeys gives distinct keys in order.
func randomKeys(rng *rand.Rand, n int) []hexkey.Key {
	keys := make([]hexkey.Key, n)
	for i := range keys {
		keys[i] = hexkey.Key{Hi: rng.Uint64(), Lo: rng.Uint64()}
	}
	return sortedKeys(keys)
}

func sortedKeys(keys []hexkey.Key) []hexkey.Key {
	slices.SortFunc(keys, func(a, b hexkey.Key) int {
		if a.Less(b) {
			return -1
		}
		return 1
	})
	return slices.Compact(keys)
}

// setOf writes a set.
func setOf(t testing.TB, families map[Family][]hexkey.Key, spare uint64) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewSetWriter(&out)
	for _, f := range Families() {
		if families[f] == nil {
			continue
		}
		if err := w.Begin(f, uint64(len(families[f]))+spare); err != nil {
			t.Fatal(err)
		}
		for _, k := range families[f] {
			if err := w.Add(k); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func writeFile(t testing.TB, b []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "set")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func openSet(t testing.TB, b []byte) *Set {
	t.Helper()
	s, err := OpenSet(writeFile(t, b))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	same := make([]hexkey.Key, 1000) // all in one bucket of the directory
	for i := range same {
		same[i] = hexkey.Key{Hi: 7, Lo: uint64(i) * 3}
	}
	ends := []hexkey.Key{{}, {Lo: 1}, {Hi: 1 << 63}, {Hi: ^uint64(0), Lo: ^uint64(0)}}
	for name, families := range map[string]map[Family][]hexkey.Key{
		"empty":       {},
		"none of one": {GAID: {}},
		"one":         {IDFV: randomKeys(rng, 1)},
		"some":        {IMEI: randomKeys(rng, 16), IDFA: randomKeys(rng, 17), OAID: randomKeys(rng, 300)},
		"many":        {GAID: randomKeys(rng, 50_000), IDFV: randomKeys(rng, 4_000)},
		"alike":       {IDFA: same, GAID: ends},
	} {
		b := setOf(t, families, 0)
		if again := setOf(t, families, 100_000); !bytes.Equal(b, again) {
			t.Errorf("%s: the file depends on how many keys were expected", name)
		}
		s := openSet(t, b)
		for _, f := range Families() {
			keys := families[f]
			if got := s.Len(f); got != uint64(len(keys)) {
				t.Errorf("%s: Len(%s) = %d, want %d", name, f, got, len(keys))
			}
			var got []hexkey.Key
			if err := s.Each(f, func(k hexkey.Key) bool { got = append(got, k); return true }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, keys) {
				t.Errorf("%s: Each(%s) gives %d keys that differ from the %d written", name, f, len(got), len(keys))
			}
			for i, k := range keys {
				if found, err := s.Contains(f, k); !found || err != nil {
					t.Fatalf("%s: Contains(%s, key %d) = %t, %v", name, f, i, found, err)
				}
				for _, near := range []hexkey.Key{{Hi: k.Hi, Lo: k.Lo + 1}, {Hi: k.Hi, Lo: k.Lo - 1}, {Hi: k.Hi + 1, Lo: k.Lo}, {Hi: k.Lo, Lo: k.Hi}} {
					_, want := slices.BinarySearchFunc(keys, near, func(a, b hexkey.Key) int {
						switch {
						case a == b:
							return 0
						case a.Less(b):
							return -1
						}
						return 1
					})
					if found, err := s.Contains(f, near); found != want || err != nil {
						t.Fatalf("%s: Contains(%s, near key %d) = %t, %v, want %t", name, f, i, found, err, want)
					}
				}
			}
		}
		if found, err := s.Contains(NumFamilies, hexkey.Key{}); found || err != nil {
			t.Errorf("%s: Contains of no family = %t, %v", name, found, err)
		}
	}
}

func TestSetWriterRefuses(t *testing.T) {
	a, b := hexkey.Key{Hi: 1}, hexkey.Key{Hi: 2}
	for name, write := range map[string]func(*SetWriter) error{
		"a key before any family":  func(w *SetWriter) error { return w.Add(a) },
		"keys out of order":        func(w *SetWriter) error { return errors.Join(w.Begin(GAID, 9), w.Add(b), w.Add(a)) },
		"a key twice":              func(w *SetWriter) error { return errors.Join(w.Begin(GAID, 9), w.Add(a), w.Add(a)) },
		"more keys than announced": func(w *SetWriter) error { return errors.Join(w.Begin(GAID, 1), w.Add(a), w.Add(b)) },
		"a family twice":           func(w *SetWriter) error { return errors.Join(w.Begin(GAID, 9), w.Begin(GAID, 9)) },
		"families out of order":    func(w *SetWriter) error { return errors.Join(w.Begin(GAID, 9), w.Begin(IDFA, 9)) },
		"no family":                func(w *SetWriter) error { return w.Begin(NumFamilies, 9) },
		"a second close":           func(w *SetWriter) error { return errors.Join(w.Close(), w.Close()) },
	} {
		if err := write(NewSetWriter(new(bytes.Buffer))); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSetIsClosed(t *testing.T) {
	s := openSet(t, setOf(t, map[Family][]hexkey.Key{GAID: {{Hi: 1}}}, 0))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Contains(GAID, hexkey.Key{Hi: 1}); !errors.Is(err, ErrClosed) {
		t.Errorf("Contains of a closed set: %v, want %v", err, ErrClosed)
	}
	if err := s.Each(GAID, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Each of a closed set: %v, want %v", err, ErrClosed)
	}
}

// Every file that is not what was written is refused by an error that says what
// of it does not hold.
func TestDamagedSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	whole := setOf(t, map[Family][]hexkey.Key{IDFA: randomKeys(rng, 100), GAID: randomKeys(rng, 200)}, 0)
	change := func(fn func(b []byte) []byte) []byte { return fn(bytes.Clone(whole)) }
	for name, tt := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":          {nil, "cut short"},
		"a footer's end":   {whole[len(whole)-8:], "cut short"},
		"without its end":  {whole[:len(whole)-8], "cut short"},
		"half of it":       {whole[:len(whole)/2], "cut short"},
		"without a begin":  {whole[16:], "bytes, want"},
		"something behind": {append(bytes.Clone(whole), make([]byte, 8)...), "no footer"},
		"an id flipped":    {change(func(b []byte) []byte { b[40] ^= 4; return b }), "checksum of the idfa ids"},
		"another's id":     {change(func(b []byte) []byte { b[100*16+5] ^= 4; return b }), "checksum of the gaid ids"},
		"a directory":      {change(func(b []byte) []byte { b[300*16+8] ^= 4; return b }), "checksum of the directory"},
		"the footer":       {change(func(b []byte) []byte { b[len(b)-footerSize+20] ^= 4; return b }), "checksum of the footer"},
		"a torn page":      {change(func(b []byte) []byte { clear(b[1024:2048]); return b }), "checksum of the"},
		"zeros":            {make([]byte, len(whole)), "no footer"},
	} {
		_, err := OpenSet(writeFile(t, tt.file))
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: OpenSet = %v, want a damage that says %q", name, err, tt.want)
		}
	}
	for i := range len(whole) * 8 {
		b := bytes.Clone(whole)
		b[i/8] ^= 1 << (i % 8)
		s := &Set{name: "set", data: b}
		if err := s.verify(); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("bit %d flipped: %v, want %v", i, err, ErrCorrupt)
		}
	}
}

// A file that is cut short while it is mapped must not end the process.
func TestSetThatVanishes(t *testing.T) {
	keys := randomKeys(rand.New(rand.NewPCG(5, 6)), 10_000)
	name := writeFile(t, setOf(t, map[Family][]hexkey.Key{GAID: keys}, 0))
	s, err := OpenSet(name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Contains(GAID, keys[0]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Contains = %v, want %v", err, ErrCorrupt)
	}
	if err := s.Each(GAID, func(hexkey.Key) bool { return true }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Each = %v, want %v", err, ErrCorrupt)
	}
}

func FuzzSet(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 8))
	f.Add(setOf(f, nil, 0), uint64(1))
	f.Add(setOf(f, map[Family][]hexkey.Key{IMEI: randomKeys(rng, 3), GAID: randomKeys(rng, 40)}, 0), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, hi uint64) {
		mended := mend(bytes.Clone(b)) // else nothing but checksums is ever seen
		for _, b := range [][]byte{b, mended} {
			s := &Set{name: "set", data: b}
			if err := s.verify(); err != nil {
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat) {
					t.Fatalf("verify = %v", err)
				}
				continue
			}
			for _, f := range Families() {
				n := uint64(0)
				if err := s.Each(f, func(hexkey.Key) bool { n++; return true }); err != nil || n != s.Len(f) {
					t.Fatalf("Each(%s) gives %d keys, %v, want %d", f, n, err, s.Len(f))
				}
				if _, err := s.Contains(f, hexkey.Key{Hi: hi, Lo: hi}); err != nil {
					t.Fatalf("Contains(%s) = %v", f, err)
				}
			}
		}
	})
}

func BenchmarkContains(b *testing.B) {
	const n = 10_000_000
	rng := rand.New(rand.NewPCG(9, 10))
	keys := randomKeys(rng, n)
	s := openSet(b, setOf(b, map[Family][]hexkey.Key{GAID: keys}, 0))
	ask := make([]hexkey.Key, 1<<20)
	for i := range ask {
		if ask[i] = (hexkey.Key{Hi: rng.Uint64(), Lo: rng.Uint64()}); i%2 == 0 {
			ask[i] = keys[rng.IntN(n)]
		}
	}
	b.Run("keys=1e7", func(b *testing.B) {
		b.ReportAllocs()
		found := 0
		for i := 0; b.Loop(); i++ {
			ok, err := s.Contains(GAID, ask[i&(len(ask)-1)])
			if err != nil {
				b.Fatal(err)
			}
			if ok {
				found++
			}
		}
		b.ReportMetric(float64(found)/float64(b.N), "found/op")
	})
}
