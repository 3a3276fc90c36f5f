package rowstore

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"throng/blob/file"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/bitmap/bitmaptest"
	"throng/query"
)

// A set is found once, then comes from memory or its file; one whose file is
// damaged is found anew.
func TestStore(t *testing.T) {
	dir := bitmaptest.Tables(t, map[string]string{"dataset.json": `{"name":"test"}`, "people.csv": "person,gender\np1,female\np2,male\np3,female\n"})
	g := bitmaptest.Load(t, dir, bitmap.Config{Workers: 1}, engine.LoadOptions{Memory: 64 << 20})
	blobs, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blobs.Close() })
	var log strings.Builder
	s := New(blobs, 1<<20, slog.New(slog.NewTextHandler(&log, nil)))
	found := 0
	find := func(value string) func() (query.RowSet, error) {
		return func() (query.RowSet, error) {
			found++
			rows, _, err := g.Select(t.Context(), query.Definition{Steps: []query.Step{{Op: query.Include, Node: query.In{Field: query.Gender, Values: []string{value}}}}}, 0)
			return rows, err
		}
	}
	want := func(what string, times int) query.RowSet {
		t.Helper()
		rows, err := s.Find(t.Context(), g, "a/1", find("female"))
		if err != nil || rows.Len() != 2 || found != times {
			t.Fatalf("%s: %v rows, %v, found %d times, want 2, found %d times", what, rows, err, found, times)
		}
		return rows
	}
	forget := func() { s.Forget(func(prefix string) bool { return prefix == "a/1" }) }
	want("at first", 1)
	want("from memory", 1)
	forget()
	want("from its file", 1)
	key := "a/1/" + Prefix + g.Info().ID
	w, err := blobs.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("damaged")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	want("from memory, whatever the file", 1)
	forget()
	women := want("of a damaged file", 2)
	if !strings.Contains(log.String(), "read kept rows") {
		t.Errorf("the log tells nothing of the damage: %s", log.String())
	}
	forget()
	want("from the file made anew", 2)

	men, err := s.Find(t.Context(), g, "a/2", find("male"))
	if err != nil {
		t.Fatal(err)
	}
	if all, err := Union(t.Context(), g, []query.RowSet{women, nil, men}); err != nil || all.Len() != 3 {
		t.Errorf("Union = %v, %v, want all three", all, err)
	}
	bad := errors.New("bad")
	if _, err := s.Find(t.Context(), g, "a/3", func() (query.RowSet, error) { return nil, bad }); !errors.Is(err, bad) {
		t.Errorf("Find = %v, want %v", err, bad)
	}
	if Stale(key, []engine.Info{g.Info()}) || !Stale(key, nil) || Stale("a/1/lines", nil) {
		t.Error("Stale: want files of rows alone, of generations that are gone")
	}
}
