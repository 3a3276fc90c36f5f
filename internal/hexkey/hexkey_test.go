package hexkey

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// naive is what Parse does, digit by digit.
func naive(text []byte) (Key, bool) {
	if len(text) == UUIDLen {
		if text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
			return Key{}, false
		}
		text = bytes.Join([][]byte{text[:8], text[9:13], text[14:18], text[19:23], text[24:]}, nil)
	}
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != 16 {
		return Key{}, false
	}
	return Key{binary.BigEndian.Uint64(raw), binary.BigEndian.Uint64(raw[8:])}, true
}

func TestParse(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		k := Key{rng.Uint64(), rng.Uint64()}
		sum, uuid := k.Append(nil), k.AppendUUID(nil)
		for _, text := range [][]byte{sum, uuid, bytes.ToUpper(sum), bytes.ToUpper(uuid)} {
			want, _ := naive(text)
			if got, ok := Parse(text); got != k || !ok || want != k {
				t.Fatalf("Parse(%s) = %x, %t, want %x; digit by digit %x", text, got, ok, k, want)
			}
			if got, ok := Of(text); got != k || !ok {
				t.Fatalf("Of(%s) = %x, %t, want %x", text, got, ok, k)
			}
		}
	}
}

// Every byte in every place, and every length.
func TestParseRefuses(t *testing.T) {
	for _, whole := range []string{"0123456789abcdefABCDEF9876543210", "01234567-89ab-cdef-ABCD-EF9876543210"} {
		for i := range len(whole) {
			for c := range 256 {
				text := []byte(whole)
				text[i] = byte(c)
				want, valid := naive(text)
				if got, ok := Parse(text); ok != valid || ok && got != want {
					t.Fatalf("Parse(%q) = %x, %t, want %x, %t", text, got, ok, want, valid)
				}
			}
			if _, ok := Parse([]byte(whole)[:i]); ok && i != SumLen {
				t.Errorf("Parse(%q) is good, want not", whole[:i])
			}
			if _, ok := Of([]byte(whole)[:i]); ok && i != SumLen {
				t.Errorf("Of(%q) is good, want not", whole[:i])
			}
		}
	}
}

func TestLess(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for range 100_000 {
		a, b := Key{rng.Uint64N(3), rng.Uint64N(3)}, Key{rng.Uint64N(3), rng.Uint64N(3)}
		if got, want := a.Less(b), bytes.Compare(a.Append(nil), b.Append(nil)) < 0; got != want {
			t.Fatalf("%x.Less(%x) = %t, want %t", a, b, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("0123456789abcdefABCDEF9876543210"))
	f.Add([]byte("01234567-89ab-cdef-ABCD-EF9876543210"))
	f.Fuzz(func(t *testing.T, text []byte) {
		want, valid := naive(text)
		if got, ok := Parse(text); ok != valid || ok && got != want {
			t.Fatalf("Parse(%q) = %x, %t, want %x, %t", text, got, ok, want, valid)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := []byte("0123456789abcdefabcdef9876543210")
	var raw [16]byte
	b.Run("Parse", func(b *testing.B) {
		for b.Loop() {
			Parse(text)
		}
	})
	b.Run("Of", func(b *testing.B) {
		for b.Loop() {
			Of(text)
		}
	})
	b.Run("hex", func(b *testing.B) {
		for b.Loop() {
			hex.Decode(raw[:], text)
		}
	})
}
