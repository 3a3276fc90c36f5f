package load

import (
	"os"
	"path/filepath"
	"testing"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// TestRespondents loads a large real dataset, where there is one.
func TestRespondents(t *testing.T) {
	root := os.Getenv("THRONG_TEST_DATA")
	if root == "" {
		t.Skip("THRONG_TEST_DATA is not set")
	}
	dir := t.TempDir()
	r, err := Load(t.Context(), dir, filepath.Join(root, "respondents"), engine.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rows := uint64(0)
	for _, tab := range r.Tables {
		rows += tab.Rows
		t.Logf("%+v", tab)
	}
	t.Logf("%d rows in %v, %d bytes", rows, r.Elapsed, r.Bytes)
	g, err := storage.OpenGeneration(filepath.Join(dir, r.Generation))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, f := range g.Manifest.Files {
		t.Logf("%-24s %10d %.2f bytes a person", f.Name, f.Size, float64(f.Size)/float64(r.People))
	}
	if r.People != 305_281 {
		t.Errorf("%d people, want 305281", r.People)
	}
	for _, tt := range []struct {
		field query.Field
		value string
		want  uint64
	}{{query.Affinity, "a1324", 89_311}, {query.Twitch, "DE-7787", 4259}} {
		n, _ := g.Dict.Number(tt.field, []byte(tt.value))
		if got := g.Dict.People(n); got != tt.want {
			t.Errorf("people with %s %s = %d, want %d", tt.field, tt.value, got, tt.want)
		}
	}
}
