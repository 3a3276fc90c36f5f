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
	dir := t.TempDir()
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
	for i := range good[:len(good)-1] { // the last byte is the line end
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(dir); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d flipped: %v, want %v", i, err, ErrCorrupt)
		} else if m, _ := ReadManifest(dir); err == nil && !cmp.Equal(want, m) {
			t.Errorf("byte %d flipped: another manifest is read without an error", i)
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
