package idlist

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/identifier"
	"throng/internal/archivetest"
	"throng/internal/idsort"
	"throng/internal/lines"
)

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// readFunc is a reader.
type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// Lines of every length, cut anywhere, have the fates that one read line by
// line gives them.
func TestRead(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	for _, typ := range []identifier.Type{identifier.MD5, identifier.CintID} {
		var b strings.Builder
		var want Found
		forms := map[string]bool{}
		for i := range 30_000 {
			line := md5Of(fmt.Sprint(rng.IntN(20_000)))
			switch rng.IntN(100) {
			case 0:
				line = ""
			case 1:
				line = strings.Repeat(" ", rng.IntN(2000)) + strings.ToUpper(line)
			case 2:
				line += "\r"
			case 3:
				line = line[1:]
			}
			if i%3000 == 7 { // about the longest line, the buffer, and more
				line = strings.Repeat(" ", []int{lines.Max - 1, lines.Max, lines.Buffer - 1, lines.Buffer, 3 * lines.Buffer}[rng.IntN(5)]-len(line)) + line
			}
			b.WriteString(line)
			want.Rows++
			if i < 29_999 {
				b.WriteByte('\n')
			} else if line == "" {
				want.Rows--
				break
			}
			key, reason := typ.Normalize(nil, []byte(strings.TrimSuffix(line, "\r")))
			if len(line) >= lines.Max {
				reason = identifier.TooLong
			}
			if reason == "" {
				forms[string(key)] = true
				continue
			}
			if want.Invalid++; want.Invalid <= throng.MaxInvalidLines {
				want.InvalidLines = append(want.InvalidLines, throng.InvalidLine{Line: want.Rows, Reason: string(reason)})
			}
		}
		want.Distinct, want.MD5 = uint64(len(forms)), md5Of(b.String())
		cfg := Config{Limit: 1 << 40, Memory: idsort.MinMemory, TempDir: t.TempDir()}
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(b.String()), "in pieces": iotest.HalfReader(strings.NewReader(b.String())),
			"with its end": iotest.DataErrReader(strings.NewReader(b.String())),
		} {
			n, err := Read(t.Context(), cfg, typ, r)
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Each(t.Context(), func([]byte) bool { return true }); err != nil {
				t.Fatal(err)
			}
			n.Close()
			if diff := cmp.Diff(want, n.Found); diff != "" {
				t.Errorf("%s, %s: found (-want +got):\n%s", typ, name, diff)
			}
		}
	}
}

// Nobody waits for the end of a list that was given up.
func TestReadCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("nobody is there")
	cfg := Config{Limit: 1 << 40, Memory: idsort.MinMemory, TempDir: t.TempDir()}
	lines := []byte(strings.Repeat("p1\n", 1000))
	n := 0
	_, err := Read(ctx, cfg, identifier.CintID, readFunc(func(p []byte) (int, error) {
		if n++; n == 1000 {
			cancel(gone)
		}
		return copy(p, lines), nil
	}))
	if !errors.Is(err, gone) {
		t.Errorf("Read of a list without end = %v, want %v", err, gone)
	}
}

// Whatever the bytes are, the fates of lines add up, and the lines written are
// sorted, distinct normal forms.
func FuzzRead(f *testing.F) {
	f.Add([]byte("p1\r\n\xef\xbb\xbf\n\np1"), "ss_id")
	f.Add([]byte(" A@b \na@B\n"), "email_raw")
	f.Add(archivetest.Gzip(f, "1\n2\n"), "twitter_id")
	f.Add(archivetest.Zstd(f, "@A\na\n"), "twitter_user")
	cfg := Config{Limit: 1 << 20, Memory: idsort.MinMemory, TempDir: f.TempDir()}
	f.Fuzz(func(t *testing.T, body []byte, typ string) {
		if !slices.Contains(identifier.Uploads(), identifier.Type(typ)) {
			t.Skip()
		}
		n, err := Read(context.Background(), cfg, identifier.Type(typ), bytes.NewReader(body))
		if err != nil {
			if code := throng.CodeOf(err); code != throng.Invalid && code != throng.TooLarge {
				t.Fatalf("error = %v, want one of the caller's", err)
			}
			return
		}
		defer n.Close()
		var lines []string
		if err := n.Each(context.Background(), func(text []byte) bool {
			lines = append(lines, string(text))
			return true
		}); err != nil {
			t.Fatal(err)
		}
		got := n.Found
		if uint64(len(lines)) != got.Distinct || got.Invalid+got.Distinct > got.Rows {
			t.Fatalf("%d lines written, found %+v", len(lines), got)
		}
		for i, line := range lines {
			if i > 0 && lines[i-1] >= line {
				t.Fatalf("line %q after %q", line, lines[i-1])
			}
			if key, reason := identifier.Type(typ).Normalize(nil, []byte(line)); reason != "" || string(key) != line {
				t.Fatalf("line %q is no normal form: %q, %s", line, key, reason)
			}
		}
	})
}
