package storage

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
)

func TestManifest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "00000001")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	want := &Manifest{
		Format: ManifestFormat, Info: engine.Info{ID: "00000001", Name: "x", People: 7}, Rows: 7, Parts: 1,
		Files: []FileSum{{Name: DictName, Size: 8, CRC32C: 9}},
	}
	if err := WriteManifest(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ReadManifest (-want +got):\n%s", diff)
	}
	path := filepath.Join(dir, ManifestName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(dir); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d flipped: %v, want %v", i, err, ErrCorrupt)
		}
	}
}

// TestCurrent flips every bit of the file and cuts it at every byte.
func TestCurrent(t *testing.T) {
	dir := t.TempDir()
	if id, err := ReadCurrent(dir); id != "" || err != nil {
		t.Errorf("ReadCurrent of an empty folder = %q, %v, want none", id, err)
	}
	if err := WriteCurrent(dir, "00000007"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, CurrentName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) (string, error) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return ReadCurrent(dir)
	}
	for _, text := range []string{string(good), "00000007\n"} {
		if id, err := read([]byte(text)); id != "00000007" || err != nil {
			t.Errorf("ReadCurrent(%q) = %q, %v, want 00000007", text, id, err)
		}
	}
	for bit := range 8 * len(good) {
		bad := append([]byte(nil), good...)
		bad[bit/8] ^= 1 << (bit % 8)
		if id, err := read(bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("ReadCurrent(%q) = %q, %v, want %v", bad, id, err, ErrCorrupt)
		}
	}
	for n := range good {
		if id, err := read(good[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("ReadCurrent(%q) = %q, %v, want %v", good[:n], id, err, ErrCorrupt)
		}
	}
	for _, text := range []string{"../x\n", "00000007 \n", "00000007 00000000\n", "00000007\n\n", " 00000007\n"} {
		if id, err := read([]byte(text)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("ReadCurrent(%q) = %q, %v, want %v", text, id, err, ErrCorrupt)
		}
	}
}

// FuzzReadManifest makes sure that nothing in a manifest or catalog panics.
func FuzzReadManifest(f *testing.F) {
	f.Add([]byte(`{"crc32c":0,"manifest":{}}`))
	f.Add([]byte(`{"crc32c":1,"manifest":{"format":1,"rows":4294967295,"files":[{"name":"../x"}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ManifestName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if g, err := OpenGeneration(dir); err == nil {
			g.Close()
			t.Error("a generation without files was opened")
		}
	})
}
