//go:build unix

package kernel

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"throng/internal/hexkey"
)

// TestHexSought compares every implementation with the standard library, on
// digits that lie before a page that cannot be touched.
func TestHexSought(t *testing.T) {
	const most = 128 // a whole page
	rng := newRand(t)
	memory := fenced(t, hexkey.SumLen*most)
	for _, s := range seekersHere() {
		t.Run(s.name, func(t *testing.T) {
			for n := 1; n <= most; n++ {
				text := memory[len(memory)-hexkey.SumLen*n:]
				want := make([]Sought, n, n+1)
				for i := range want {
					var raw [16]byte
					binary.BigEndian.PutUint64(raw[:], rng.Uint64())
					binary.BigEndian.PutUint64(raw[8:], rng.Uint64())
					digits := hex.EncodeToString(raw[:])
					if rng.IntN(2) == 0 {
						digits = strings.ToUpper(digits)
					}
					copy(text[hexkey.SumLen*i:], digits)
					want[i] = SoughtOf(raw[:])
				}
				want = append(want, Sought{1, 2})
				got := make([]Sought, n+1)
				got[n] = Sought{1, 2} // not of them
				s.hexSought(got[:n], text)
				if !slices.Equal(got, want) {
					t.Fatalf("hexSought(%d) = %x, want %x", n, got, want)
				}
			}
		})
	}
}

// naiveLook looks through lines slot by slot.
func naiveLook(lines []Line, places []Place, first uint32) (found []uint64, odd []uint32) {
	for i, p := range places {
		ln := &lines[p.Line]
		var rows []uint32
		for s := range min(ln.Number(), LineSlots) {
			if ln.Tag(s) == uint8(p.Tag>>24) {
				rows = append(rows, ln.Rows[s])
			}
		}
		switch {
		case ln.Number() > LineSlots || len(rows) > 1:
			odd = append(odd, uint32(i))
		case len(rows) == 1:
			found = append(found, uint64(rows[0])<<32|uint64(first+uint32(i)))
		}
	}
	return found, odd
}

// TestSeek compares every implementation with one that looks at slot by slot, in
// lines between pages that cannot be touched.
func TestSeek(t *testing.T) {
	const most = 256
	rng := newRand(t)
	memory := fenced(t, 64*most)
	for round := range 300 {
		count := 1 + rng.IntN(most)
		lines := unsafe.Slice((*Line)(unsafe.Pointer(&memory[len(memory)-64*count])), count)
		if round%2 == 0 {
			lines = unsafe.Slice((*Line)(unsafe.Pointer(&memory[0])), count)
		}
		for i := range lines {
			ln := &lines[i]
			for s := range ln.Rows {
				ln.Rows[s] = rng.Uint32()
			}
			n := rng.Uint64N(LineSlots + 1)
			switch rng.IntN(20) {
			case 0:
				n = LineFull
			case 1:
				n = uint64(rng.Uint32())
			}
			const few = 0x0101010101010101 // tags of few values are often alike
			ln.Tags = [2]uint64{rng.Uint64() & (7 * few), rng.Uint64()&(7*few)&0xffffffff | n<<32}
		}
		sought := make([]Sought, 1+rng.IntN(200))
		want := make([]Place, len(sought))
		for i := range sought {
			sought[i] = Sought{rng.Uint64(), rng.Uint64()}
			want[i] = PlaceOf(sought[i].Hash, count)
		}
		alike := slices.Clone(want)
		for i := range alike {
			alike[i].Tag = alike[i].Tag&0xffffff | rng.Uint32N(9)<<24
		}
		first := rng.Uint32() / 2
		for _, s := range seekersHere() {
			got := make([]Place, len(sought))
			s.places(got, sought, lines)
			s.fetch((*byte)(unsafe.Pointer(&sought[0])), len(sought), []uint32{0, uint32(len(sought)) - 1})
			if !slices.Equal(got, want) {
				t.Fatalf("%s: places in %d lines = %v, want %v", s.name, count, got, want)
			}
			for _, places := range [][]Place{want, alike} {
				wantFound, wantOdd := naiveLook(lines, places, first)
				found, odd := make([]uint64, len(places)), make([]uint32, len(places))
				n, m := s.look(found, odd, lines, places, first)
				if !slices.Equal(found[:n], wantFound) || !slices.Equal(odd[:m], wantOdd) {
					t.Fatalf("%s: look = %x, %d, want %x, %d", s.name, found[:n], odd[:m], wantFound, wantOdd)
				}
			}
		}
	}
}

// BenchmarkSeek makes keys and looks for them where the cache has all lines.
func BenchmarkSeek(b *testing.B) {
	const n, count = 4096, 1000
	lines := make([]Line, count)
	for i := range lines {
		for s := range lines[i].Rows {
			lines[i].Rows[s] = rand.Uint32()
		}
		lines[i].Tags = [2]uint64{rand.Uint64(), uint64(rand.Uint32()) | rand.Uint64N(LineSlots+1)<<32}
	}
	text := make([]byte, 0, hexkey.SumLen*n)
	for range n {
		text = hexkey.Key{Hi: rand.Uint64(), Lo: rand.Uint64()}.Append(text)
	}
	sought, places := make([]Sought, n), make([]Place, n)
	found, odd := make([]uint64, n), make([]uint32, n)
	for _, s := range seekersHere() {
		for _, work := range []struct {
			name string
			f    func()
		}{
			{"hexSought", func() { s.hexSought(sought, text) }},
			{"places", func() { s.places(places, sought, lines) }},
			{"look", func() { s.look(found, odd, lines, places, 0) }},
		} {
			b.Run(fmt.Sprintf("%s/%s/keys=%d", work.name, s.name, n), func(b *testing.B) {
				for b.Loop() {
					work.f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
			})
		}
	}
}
