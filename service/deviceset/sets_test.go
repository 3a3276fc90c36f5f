package deviceset

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"throng/blob"
	"throng/blob/file"
	"throng/device"
	"throng/internal/hexkey"
)

// store has sets of one device each below the prefixes.
func store(t *testing.T, prefixes ...string) blob.Store {
	t.Helper()
	blobs, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blobs.Close() })
	for i, prefix := range prefixes {
		w, err := blobs.Create(t.Context(), Key(prefix))
		if err != nil {
			t.Fatal(err)
		}
		set := device.NewSetWriter(w)
		if err := errors.Join(set.Begin(device.GAID, 1), set.Add(hexkey.Key{Hi: uint64(i)}), set.Close(), w.Commit()); err != nil {
			t.Fatal(err)
		}
	}
	return blobs
}

// A set is mapped once for all who hold it, and closed by the last of them once it
// is of no use.
func TestHold(t *testing.T) {
	temp := t.TempDir()
	d := New(store(t, "a"), temp)
	set, release, err := d.Hold(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	again, release2, err := d.Hold(t.Context(), "a")
	if err != nil || again != set || d.Open() != 1 {
		t.Fatalf("a second holder: another set %t, %v, %d open", again != set, err, d.Open())
	}
	release()
	release() // of no effect
	d.Discard("a")
	if d.Open() != 0 || set.Len(device.GAID) != 1 {
		t.Errorf("%d sets are open and it has %d devices while one holds it, want none and 1", d.Open(), set.Len(device.GAID))
	}
	release2()
	if _, err := set.Contains(device.GAID, hexkey.Key{}); !errors.Is(err, device.ErrClosed) {
		t.Errorf("Contains after the last holder = %v, want %v", err, device.ErrClosed)
	}
	if _, _, err := d.Hold(t.Context(), "nowhere"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Hold of no set = %v, want %v", err, blob.ErrNotFound)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

// The database is asked where the files of an audience are once in Fresh, and
// always while they change.
func TestOf(t *testing.T) {
	d := New(store(t, "a", "b", "c"), t.TempDir())
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	prefix, asked := "a", 0
	want := func(what, from string, times int) {
		t.Helper()
		set, release, err := d.Of(t.Context(), 1, now, func() (string, error) { asked++; return prefix, nil })
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer release()
		in := [3]bool{}
		for i := range in {
			if in[i], err = set.Contains(device.GAID, hexkey.Key{Hi: uint64(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if got := in == [3]bool{from == "a", from == "b", from == "c"}; !got || asked != times {
			t.Errorf("%s: devices %v after asking %d times, want those of %s after %d", what, in, asked, from, times)
		}
	}
	want("at first", "a", 1)
	prefix = "b"
	want("a moment later", "a", 1)
	now = now.Add(Fresh)
	want("when that is not known any more", "b", 2)
	changed := d.Change(1)
	want("while they change", "b", 3)
	want("while they change still", "b", 4)
	prefix = "c"
	changed("c", now)
	want("after the change", "c", 4)
	if d.Open() != 1 {
		t.Errorf("%d sets are open, want the one in use", d.Open())
	}
	d.Change(1)("", now)
	if _, _, err := d.Of(t.Context(), 1, now, func() (string, error) { return "", fmt.Errorf("gone") }); err == nil {
		t.Error("Of an audience that is gone = nil, want an error")
	}
	if d.Open() != 0 {
		t.Errorf("%d sets are open of an audience that is gone, want none", d.Open())
	}
}
