package huffgz

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	kgzip "github.com/klauspost/compress/gzip"
)

func unpack(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r.Multistream(false)
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// pack writes text in pieces of so many bytes.
func pack(t testing.TB, text []byte, piece int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	for len(text) > 0 {
		n := min(piece, len(text))
		if k, err := w.Write(text[:n]); k != n || err != nil {
			t.Fatalf("Write = %d, %v, want %d", k, err, n)
		}
		text = text[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// texts are what identifiers look like, and what they never do.
func texts(rng *rand.Rand, lines int) map[string][]byte {
	out := map[string][]byte{}
	add := func(name string, line func() string) {
		var b bytes.Buffer
		for range lines {
			b.WriteString(line())
			b.WriteByte('\n')
		}
		out[name] = b.Bytes()
	}
	add("md5", func() string { return fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64()) })
	add("twitter_id", func() string { return fmt.Sprint(rng.Uint64N(1e10)) })
	add("email", func() string {
		return fmt.Sprintf("%c%s.%d@example.%s", 'a'+rng.IntN(26), []string{"nn", "da", "ob"}[rng.IntN(3)], rng.IntN(1e5), []string{"com", "org"}[rng.IntN(2)])
	})
	n := 0
	add("key", func() string { n++; return fmt.Sprintf("p%08d", n) })
	add("random", func() string {
		b := make([]byte, 40)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return string(b)
	})
	add("one letter", func() string { return "\n\n\n\n\n\n" })
	add("skewed", func() string { // codes longer than the limit
		var b strings.Builder
		for c := range 40 {
			if rng.Uint32()>>max(0, 32-c) == 0 {
				b.WriteByte(byte('A' + c))
			}
		}
		return b.String()
	})
	out["mixed"] = bytes.Join([][]byte{out["md5"], out["twitter_id"], out["random"], out["md5"], out["email"]}, nil)
	return out
}

// everywhere runs a test with vector instructions, where there are any, and
// without.
func everywhere(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	was := hasVector
	defer func() { hasVector = was }()
	for _, hasVector = range []bool{was, false} {
		t.Run(fmt.Sprintf("vector=%t", hasVector), f)
	}
}

func TestRoundTrip(t *testing.T) { everywhere(t, testRoundTrip) }

func testRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var e Encoder
	for _, lines := range []int{0, 1, 2, 100, 5000, 40_000} {
		for name, text := range texts(rng, lines) {
			packed := pack(t, text, len(text)+1)
			if got := unpack(t, packed); !bytes.Equal(got, text) {
				t.Errorf("%d lines of %s: %d bytes come back, want %d", lines, name, len(got), len(text))
			}
			if limit := len(text) + len(text)/0xffff*5 + 100; len(packed) > limit {
				t.Errorf("%d lines of %s: %d bytes packed, want at most %d", lines, name, len(packed), limit)
			}
			for _, piece := range []int{1000, 1, blockBytes, blockBytes + 1} {
				if piece == 1 && lines > 5000 {
					continue
				}
				if !bytes.Equal(pack(t, text, piece), packed) {
					t.Errorf("%d lines of %s: writes of %d bytes give other bytes", lines, name, piece)
				}
			}
			lead := text[:len(text)/3]
			if got := unpack(t, e.Append(nil, lead, text[len(lead):])); !bytes.Equal(got, text) {
				t.Errorf("%d lines of %s: %d bytes come back from an encoder, want %d", lines, name, len(got), len(text))
			}
			one := new(Encoder).Append([]byte("kept"), nil, text)
			if got := unpack(t, bytes.TrimPrefix(one, []byte("kept"))); !bytes.Equal(got, text) {
				t.Errorf("%d lines of %s: Append: %d bytes come back, want %d", lines, name, len(got), len(text))
			}
			if !bytes.Equal(one[4:], packed) {
				t.Errorf("%d lines of %s: Append and Write differ", lines, name)
			}
		}
	}
}

// TestPaths makes sure that vector instructions change no byte, also where
// there are bytes that the code is not for.
func TestPaths(t *testing.T) {
	if !hasVector {
		t.Skip("this machine has no vector instructions")
	}
	defer func() { hasVector = true }()
	rng := rand.New(rand.NewPCG(9, 10))
	for name, text := range texts(rng, 20_000) {
		for range 20 {
			text = text[:len(text)-rng.IntN(min(len(text), 40))]
			for range rng.IntN(3) {
				text[rng.IntN(len(text))] = byte(rng.Uint32())
			}
			hasVector = true
			with := pack(t, text, 3*blockBytes)
			hasVector = false
			if without := pack(t, text, 3*blockBytes); !bytes.Equal(with, without) {
				t.Fatalf("%s: %d bytes with vector instructions differ from %d without", name, len(with), len(without))
			}
		}
	}
}

// TestRatio holds the sizes to those of the best general Huffman coding.
func TestRatio(t *testing.T) {
	for name, text := range texts(rand.New(rand.NewPCG(3, 4)), 50_000) {
		if name == "random" || name == "mixed" || name == "one letter" {
			continue
		}
		var other bytes.Buffer
		w, err := kgzip.NewWriterLevel(&other, gzip.HuffmanOnly)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		size := len(pack(t, text, len(text)))
		if size > other.Len()*102/100 {
			t.Errorf("%s: %d bytes, want at most 1.02 times %d", name, size, other.Len())
		}
		if ratio := float64(len(text)) / float64(size); name == "md5" && ratio < 1.9 {
			t.Errorf("md5: ratio %.3f, want at least 1.9", ratio)
		}
	}
}

type failing struct{ after int }

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestErrors(t *testing.T) {
	text := texts(rand.New(rand.NewPCG(1, 1)), 20_000)["md5"]
	w := NewWriter(&failing{after: 100_000})
	if _, err := w.Write(text); !errors.Is(err, errFull) {
		t.Errorf("Write = %v, want %v", err, errFull)
	}
	if _, err := w.Write(text); !errors.Is(err, errFull) {
		t.Errorf("second Write = %v, want %v", err, errFull)
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close = %v, want %v", err, errFull)
	}
	w = NewWriter(&failing{})
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close of nothing = %v, want %v", err, errFull)
	}
	w = NewWriter(io.Discard)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err == nil {
		t.Error("Write after Close = nil, want an error")
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, text := range texts(rand.New(rand.NewPCG(5, 6)), 30) {
		f.Add(text, uint16(1))
	}
	f.Add([]byte(nil), uint16(0))
	f.Fuzz(func(t *testing.T, text []byte, times uint16) {
		long := bytes.Repeat(text, 1+int(times)%(1+140_000/(len(text)+1)))
		packed := pack(t, long, len(long)+1)
		if hasVector {
			hasVector = false
			if !bytes.Equal(pack(t, long, len(long)+1), packed) {
				t.Error("vector instructions give other bytes")
			}
			hasVector = true
		}
		if !bytes.Equal(unpack(t, packed), long) {
			t.Error("the text does not come back")
		}
		if !bytes.Equal(pack(t, long, 1+len(long)/3), packed) {
			t.Error("other writes give other bytes")
		}
	})
}

func BenchmarkPack(b *testing.B) {
	const lines = 200_000
	all := texts(rand.New(rand.NewPCG(7, 8)), lines)
	for _, name := range []string{"md5", "twitter_id", "email", "key"} {
		text := all[name]
		for _, way := range []struct {
			name string
			to   func(io.Writer) (io.WriteCloser, error)
		}{
			{"own", func(w io.Writer) (io.WriteCloser, error) { return NewWriter(w), nil }},
			{"portable", func(w io.Writer) (io.WriteCloser, error) { return NewWriter(w), nil }},
			{"huffman-only", func(w io.Writer) (io.WriteCloser, error) { return kgzip.NewWriterLevel(w, gzip.HuffmanOnly) }},
			{"level-1", func(w io.Writer) (io.WriteCloser, error) { return kgzip.NewWriterLevel(w, 1) }},
		} {
			b.Run(fmt.Sprintf("%s/lines=%d/%s", name, lines, way.name), func(b *testing.B) {
				var size counting
				was := hasVector
				defer func() { hasVector = was }()
				hasVector = was && way.name != "portable"
				start := spent(b)
				for b.Loop() {
					size = 0
					w, err := way.to(&size)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := w.Write(text); err != nil {
						b.Fatal(err)
					}
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(spent(b)-start)/float64(b.N)/lines, "cpu-ns/line")
				b.ReportMetric(float64(len(text))/float64(size), "ratio")
			})
		}
	}
}

type counting int

func (c *counting) Write(p []byte) (int, error) { *c += counting(len(p)); return len(p), nil }

func spent(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
