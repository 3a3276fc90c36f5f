package lines

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// Lines of every length come whole, whatever pieces they are read in, but for
// those that are too long.
func TestEach(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var list strings.Builder
	var want []string
	for i := range 5000 {
		n := rng.IntN(80)
		if i%500 == 7 {
			n = []int{Max - 2, Max - 1, Max, Buffer - 1, Buffer, 3 * Buffer}[rng.IntN(6)]
		}
		line := strings.Repeat(string(rune('a'+i%26)), n)
		list.WriteString(line + "\n")
		if n >= Max {
			line = "too long"
		}
		want = append(want, line)
	}
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader("\xef\xbb\xbf" + list.String()), "in halves": iotest.HalfReader(strings.NewReader(list.String())),
		"with its end":         iotest.DataErrReader(strings.NewReader(list.String())),
		"without the last end": strings.NewReader(strings.TrimSuffix(list.String(), "\n")),
	} {
		var mu sync.Mutex
		pieces := map[int][]string{}
		if err := Each(t.Context(), r, 3, func(_ int, p *Piece) error {
			var got []string
			if err := p.Each(func(line []byte) error {
				if len(line) >= Max {
					line = []byte("too long")
				}
				got = append(got, string(line))
				return nil
			}); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			pieces[p.Number] = got
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range len(pieces) {
			got = append(got, pieces[i]...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEachEnds(t *testing.T) {
	gone, full := errors.New("gone"), errors.New("full")
	endless := strings.NewReader(strings.Repeat("x\n", 1<<20))
	if err := Each(t.Context(), endless, 2, func(int, *Piece) error { return full }); !errors.Is(err, full) {
		t.Errorf("Each with workers that fail = %v, want %v", err, full)
	}
	if err := Each(t.Context(), iotest.ErrReader(gone), 2, func(int, *Piece) error { return nil }); !errors.Is(err, gone) {
		t.Errorf("Each of what cannot be read = %v, want %v", err, gone)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := Each(ctx, endless, 2, func(int, *Piece) error { return nil }); !errors.Is(err, gone) {
		t.Errorf("Each that was given up = %v, want %v", err, gone)
	}
}

// Pieces are put together in their order, whatever order they come in.
func TestTally(t *testing.T) {
	tally := NewTally(3)
	for _, number := range []int{2, 0, 3, 1} {
		var f Found
		for line := range 10 {
			if f.Lines++; line == number {
				f.Refuse(fmt.Sprint("piece ", number), 3)
			}
		}
		tally.Add(number, f)
	}
	want := Found{Lines: 40, Refused: 4, First: []Refused{{Line: 1, Reason: "piece 0"}, {Line: 12, Reason: "piece 1"}, {Line: 23, Reason: "piece 2"}}}
	if diff := cmp.Diff(want, tally.Found()); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

func TestUnpack(t *testing.T) {
	text := strings.Repeat("a line\n", 1000)
	var z bytes.Buffer
	gz := gzip.NewWriter(&z)
	gz.Write([]byte(text))
	gz.Close()
	packed := z.String()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	gone, tooLarge := errors.New("gone"), errors.New("too large")
	for name, tt := range map[string]struct {
		r     io.Reader
		limit int64
		err   error
	}{
		"plain":                        {strings.NewReader(text), 1, nil}, // Limit is for what is read
		"gzip":                         {strings.NewReader(packed), 1 << 20, nil},
		"zstd":                         {bytes.NewReader(enc.EncodeAll([]byte(text), nil)), 1 << 20, nil},
		"cut":                          {strings.NewReader(packed[:len(packed)-9]), 1 << 20, ErrArchive},
		"cut in its header":            {strings.NewReader(packed[:5]), 1 << 20, ErrArchive},
		"damaged":                      {strings.NewReader(packed[:12] + "xxxx" + packed[16:]), 1 << 20, ErrArchive},
		"of what breaks off":           {io.MultiReader(strings.NewReader(packed[:20]), iotest.ErrReader(gone)), 1 << 20, gone},
		"breaking off in its header":   {io.MultiReader(strings.NewReader(packed[:5]), iotest.ErrReader(gone)), 1 << 20, gone},
		"breaking off before anything": {iotest.ErrReader(gone), 1 << 20, gone},
		"larger than eight times":      {strings.NewReader(packed), 800, tooLarge},
		"eight times":                  {strings.NewReader(packed), 875, nil},
	} {
		plain, done, err := Unpack(tt.r, tt.limit, tooLarge)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(plain)
			done()
		}
		if !errors.Is(err, tt.err) || tt.err == nil && (err != nil || string(got) != text) {
			t.Errorf("%s: %d bytes, %v, want %v", name, len(got), err, tt.err)
		}
	}
	if got, err := io.ReadAll(Limit(strings.NewReader("abc"), 3, tooLarge)); string(got) != "abc" || err != nil {
		t.Errorf("as much as allowed: %q, %v", got, err)
	}
	if _, err := io.ReadAll(Limit(strings.NewReader("abcd"), 3, tooLarge)); !errors.Is(err, tooLarge) {
		t.Errorf("more than allowed: %v, want %v", err, tooLarge)
	}
}

// What is no text is told apart from text, packed or not; what only begins as it
// might is text.
func TestUnpackForeign(t *testing.T) {
	gz := func(text string) string {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write([]byte(text))
		w.Close()
		return z.String()
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"PK\x03\x04\x14\x00":                        "a zip archive or a workbook",
		gz("PK\x03\x04\x14\x00"):                    "a zip archive or a workbook",
		gz(gz("a line\n")):                          "an archive within an archive",
		gz(string(enc.EncodeAll([]byte("a"), nil))): "an archive within an archive",
		"\xfd7zXZ\x00\x00":                          "an xz archive",
		"BZh91AY&SY":                                "a bzip2 archive",
		"PAR1\x15\x04":                              "a Parquet file",
		"%PDF-1.7\n":                                "a PDF document",
		"PK\nPAR1\n":                                "",
		"BZh9\n":                                    "",
		"P":                                         "",
		"":                                          "",
	} {
		plain, done, err := Unpack(strings.NewReader(in), 1<<20, errors.New("too large"))
		got := ""
		if e, ok := errors.AsType[*ForeignError](err); ok {
			got = e.Kind
		} else if err != nil {
			t.Errorf("Unpack(%q) = %v", in, err)
		} else if text, err := io.ReadAll(plain); string(text) != in || err != nil {
			t.Errorf("Unpack(%q) reads %q, %v", in, text, err)
		}
		if err == nil {
			done()
		}
		if got != want {
			t.Errorf("Unpack(%q) is %q, want %q", in, got, want)
		}
	}
}

// An archive that was made to fill a disk ends early, in little memory, whatever
// made it; lists of the plainest sort do not.
func TestUnpackBombs(t *testing.T) {
	tooLarge := errors.New("too large")
	const size = 128 << 20
	gz := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	zst := func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w, zstd.WithWindowSize(1<<20), zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	for _, tt := range []struct {
		name string
		pack func(io.Writer) io.WriteCloser
		line func(i int) string
		err  error
	}{
		{"zstd of one line", zst, func(int) string { return "00000000-0000-0000-0000-000000000000\n" }, ErrBomb},
		{"gzip of no line end", gz, func(int) string { return strings.Repeat("a", 4096) }, ErrBomb},
		{"gzip of numbers in order", gz, func(i int) string { return fmt.Sprintf("%d\n", 1_000_000+i) }, nil},
		{"zstd of numbers in order", zst, func(i int) string { return fmt.Sprintf("%d\n", 1_000_000+i) }, nil},
		{"zstd of invented addresses", zst, func(i int) string { return fmt.Sprintf("user%d@example.com\n", i) }, nil},
	} {
		var packed bytes.Buffer
		w := tt.pack(&packed)
		piece := make([]byte, 0, 1<<20)
		size := size
		if tt.err == nil {
			size = 24 << 20
		}
		for i, n := 0, 0; n < size; i++ {
			if piece = append(piece, tt.line(i)...); len(piece) > 1<<20-4096 {
				n += len(piece)
				w.Write(piece)
				piece = piece[:0]
			}
		}
		w.Close()
		plain, done, err := Unpack(bytes.NewReader(packed.Bytes()), 5<<30, tooLarge)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, plain)
		done()
		t.Logf("%s: 1:%d, read %d MiB", tt.name, size/packed.Len(), n>>20)
		if !errors.Is(err, tt.err) || tt.err != nil && n > 100<<20 {
			t.Errorf("%s: %d bytes, %v, want %v early", tt.name, n, err, tt.err)
		}
	}
}

// A zstd archive says how much memory it wants, and gets no more than there is.
func TestUnpackWindow(t *testing.T) {
	for window, want := range map[int]error{MaxWindow: nil, 2 * MaxWindow: ErrWindow, 512 << 20: ErrWindow} {
		var packed bytes.Buffer
		w, err := zstd.NewWriter(&packed, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		line := strings.Repeat("x\n", 1<<20)
		io.WriteString(w, line)
		w.Flush() // so that the window is told, and not the size
		io.WriteString(w, line)
		w.Close()
		plain, done, err := Unpack(&packed, 1<<30, errors.New("too large"))
		if err == nil {
			_, err = io.Copy(io.Discard, plain)
			done()
		}
		if !errors.Is(err, want) {
			t.Errorf("window of %d MiB: %v, want %v", window>>20, err, want)
		}
	}
}
