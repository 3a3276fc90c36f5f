package format

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"throng/engine"
)

// write writes a file of a kind and gives its path and its sum.
func write(t *testing.T, payload, meta []byte) (string, FileSum) {
	t.Helper()
	dir := t.TempDir()
	w, err := Create(dir, "x", KindDict)
	if err != nil {
		t.Fatal(err)
	}
	w.Append(payload)
	sum, err := w.Finish(meta)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "x"), sum
}

// TestFooter flips every bit of a footer: each is found, whatever it means.
func TestFooter(t *testing.T) {
	path, _ := write(t, []byte("male"), []byte("one term"))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for bit := (len(whole) - FooterSize) * 8; bit < len(whole)*8; bit++ {
		b := slices.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, KindDict)
		if !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("Open with bit %d flipped = %v, want %v", bit, err, engine.ErrCorrupt)
		}
		if err == nil {
			f.Close()
		}
	}
}

// TestCheck damages one chunk of three: it is found when it is touched, and the
// others are read.
func TestCheck(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789abcdef"), 5*ChunkSize/32)
	path, sum := write(t, payload, []byte("meta"))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole[ChunkSize+7] ^= 1
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path, KindDict)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Head() != sum.Head || f.Size() != sum.Size || string(f.Meta()) != "meta" || len(f.Payload()) != len(payload) {
		t.Errorf("Open: head %d, %d bytes, meta %q and %d bytes of payload, want %+v, meta and %d", f.Head(), f.Size(), f.Meta(), len(f.Payload()), sum, len(payload))
	}
	end := uint64(len(payload))
	for _, c := range []struct {
		off, n uint64
		want   string // of the error; "" for none
	}{
		{0, 0, ""},
		{0, ChunkSize, ""},
		{2*ChunkSize + 5, 1, ""},
		{end, 0, ""},
		{end, 1, "points outside the file"},
		{end + 1, 0, "points outside the file"},
		{1, ^uint64(0), "points outside the file"},
		{ChunkSize + 100, 1, "checksum differs at byte 65536"},
		{ChunkSize - 1, 2, "checksum differs at byte 65536"},
	} {
		err := f.Check(c.off, c.n)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, engine.ErrCorrupt) || !strings.HasSuffix(err.Error(), c.want)) {
			t.Errorf("Check(%d, %d) = %v, want %q", c.off, c.n, err, c.want)
		}
	}
	if !f.Verified(0) || f.Verified(1) || !f.Verified(2) {
		t.Errorf("chunks verified: %t, %t, %t, want the sound ones", f.Verified(0), f.Verified(1), f.Verified(2))
	}
	if err := f.Damage(); err == nil || !strings.HasSuffix(err.Error(), "points outside the file") {
		t.Errorf("Damage() = %v, want the first", err)
	}
}
