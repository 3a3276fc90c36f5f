package storage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/internal/words"
	"throng/query"
)

// titles are job titles in the order of their bytes, with people.
func titles(n int) (list []string, people map[string]uint32) {
	people = map[string]uint32{}
	for i := range n {
		title := fmt.Sprintf("%s %s %d", []string{"Sous", "Head", "Sound"}[i%3], []string{"Chef", "engineer", "X-Ray"}[i/3%3], i)
		list = append(list, title)
		people[title] = uint32(1 + i*7%50)
	}
	slices.Sort(list)
	return list, people
}

// writeTitles writes a dictionary of titles among other terms, and its names.
func writeTitles(t testing.TB, dir string, n int) (dict, names string) {
	t.Helper()
	list, people := titles(n)
	w, err := NewDictWriter(dir, "titles.dict")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Fields() {
		if f != query.JobTitle {
			if err := w.Add(f, []byte("other"), 3); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for _, title := range list {
			if err := w.Add(f, []byte(title), people[title]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dict = filepath.Join(dir, "titles.dict")
	d, err := OpenDict(dict)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := WriteNames(dir, d, query.JobTitle); err != nil {
		t.Fatal(err)
	}
	return dict, filepath.Join(dir, NamesName(query.JobTitle))
}

func writeNames(t testing.TB, dir string) string {
	t.Helper()
	_, names := writeTitles(t, dir, 200)
	return names
}

// TestNames searches names on both sides of every border of what is searched
// at once.
func TestNames(t *testing.T) {
	const n = 30_000
	list, people := titles(n)
	slices.SortFunc(list, func(a, b string) int {
		if people[a] != people[b] {
			return int(people[b]) - int(people[a])
		}
		if a < b {
			return -1
		}
		return 1
	})
	dict, names := writeTitles(t, t.TempDir(), n)
	d, err := OpenDict(dict)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	x, err := OpenNames(names)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if x.Len() != n || len(x.values.data) < 2*searchBytes {
		t.Fatalf("%d names in %d bytes, want %d in several stretches", x.Len(), len(x.values.data), n)
	}
	if err := x.Verify(d, query.JobTitle); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if err := x.Verify(d, query.Employer); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Verify against another field = %v, want %v", err, ErrCorrupt)
	}
	queries := []string{"", "sound", "CHEF", "chef 1", "hef", "ray", "x-ray 7", "head engineer", "nothing", "?!", "2999"}
	for i := 0; i < n; i += 997 {
		queries = append(queries, list[i])
	}
	for _, q := range queries {
		var want, got []string
		for _, title := range list {
			if words.MatchName(words.FoldName(nil, title), words.ParseNameQuery(q)) {
				want = append(want, title)
			}
		}
		for term, err := range x.Find(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			value, err := d.Value(term)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(value))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Find(%q) finds %d, want %d (-want +got):\n%.1000s", q, len(got), len(want), diff)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range x.Find(ctx, "nothing") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Find of one who has gone = %v, want %v", err, context.Canceled)
		}
	}
}
