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
