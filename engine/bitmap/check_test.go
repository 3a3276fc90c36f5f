package bitmap

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/query"
)

// TestCheck finds damage of every sort of file, wherever it is.
func TestCheck(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	f := idFixture(t, rng, 3000)
	for i := range 20 {
		f.addTerm(query.Affinity, fmt.Sprint(i), shape(rng, f.rows))
	}
	f.addText(query.BioTwitter, 7, "new york")
	f.accounts = map[query.Field][]engine.Account{query.Twitter: {{ID: "1", ScreenName: "a"}}}
	f.places, f.catalog.BuiltInPlaces = []storage.CatalogPlace{{Kind: "country", ID: "c", Name: "Cee"}}, false
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	e := openTest(t, dir)
	steps := map[string]bool{}
	must(t, e.Check(t.Context(), "", func(p engine.Progress) { steps[p.Step] = true }))
	if len(steps) < 4 {
		t.Errorf("Check tells of %d steps, want more: %v", len(steps), steps)
	}
	m, err := storage.ReadManifest(filepath.Join(dir, "00000001"))
	must(t, err)
	for _, file := range m.Files {
		path := filepath.Join(dir, "00000001", filepath.FromSlash(file.Name))
		b, err := os.ReadFile(path)
		must(t, err)
		for range 3 {
			damaged := slices.Clone(b)
			damaged[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			must(t, os.WriteFile(path, damaged, 0o600))
			fresh, err := Open(dir, Config{})
			must(t, err)
			err = fresh.Check(t.Context(), "", nil)
			if !errors.Is(err, engine.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(path)) {
				t.Errorf("Check with damage in %s: error %v, want one that names it", file.Name, err)
			}
			must(t, fresh.Close())
		}
		must(t, os.WriteFile(path, b, 0o600))
	}
}

// TestCheckInvariants finds what checksums do not.
func TestCheckInvariants(t *testing.T) {
	for name, spoil := range map[string]func(f *fixture){
		"two genders": func(f *fixture) {
			f.addTerm(query.Gender, "female", []uint32{1, 2})
			f.addTerm(query.Gender, "male", []uint32{2, 3})
		},
		"a word nobody wrote": func(f *fixture) {
			f.addText(query.Tweet, 3, "hello world")
			f.terms[query.Tweet]["hello"] = []uint32{3, 4}
		},
		"a word without a term": func(f *fixture) {
			f.addText(query.Tweet, 3, "hello world")
			delete(f.terms[query.Tweet], "hello")
		},
		"one key twice": func(f *fixture) {
			for r := range f.rows {
				f.addID(identifier.SSID, r, fmt.Sprint(r/2))
			}
		},
		"an address without its MD5": func(f *fixture) {
			f.addID(identifier.EmailRaw, 3, "a@example.com")
			f.addID(identifier.MD5, 3, "00000000000000000000000000000001")
		},
	} {
		f := newFixture(100)
		spoil(f)
		dir := t.TempDir()
		f.write(t, dir, "00000001")
		if err := openTest(t, dir).Check(t.Context(), "", nil); !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("%s: Check = %v, want %v", name, err, engine.ErrCorrupt)
		}
	}
}

func TestCatalog(t *testing.T) {
	f := newFixture(100)
	f.addTerm(query.Affinity, "a1", []uint32{1, 2, 3})
	f.addTerm(query.Affinity, "a2", []uint32{1})
	f.addTerm(query.Affinity, "a3", []uint32{2, 3})
	f.addTerm(query.JobTitle, "Engineer", []uint32{1, 2})
	f.addTerm(query.JobTitle, "Sound engineer", []uint32{4, 5})
	f.addTerm(query.JobTitle, "Engine driver", []uint32{4, 5, 6})
	f.addTerm(query.JobTitle, "Cook", []uint32{8})
	f.addTerm(query.Twitter, "77", []uint32{9})
	f.catalog.BuiltInPlaces = false
	f.places = []storage.CatalogPlace{{Kind: "country", ID: "c", Name: "Cee"}, {Kind: "city", ID: "x", Name: "Ex", Country: "c"}}
	f.catalog.Affinities = []storage.CatalogAffinity{
		{ID: "a1", Name: "Music", Parent: ".interests."},
		{ID: "a2", Name: "Rock", Parent: "a1"},
		{ID: "a3", Name: "Pop", Parent: "a1"},
	}
	f.accounts = map[query.Field][]engine.Account{
		query.Twitter: {{ID: "2", ScreenName: "Ann", Name: "Ann B."}, {ID: "1", ScreenName: "ANN"}},
		query.Twitch:  {{ID: "1", ScreenName: "ann"}},
	}
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	c := acquire(t, openTest(t, dir), "").Catalog()

	places, err := c.Places()
	must(t, err)
	if p, ok := places.Lookup("city", "x"); !ok || p.Country != "c" {
		t.Errorf("Lookup of a place = %+v, %t", p, ok)
	}
	tree, err := c.Affinities()
	must(t, err)
	music, ok := tree.Lookup("a1")
	if !ok || music.People != 3 || music.Parent == nil || music.Parent.ID != ".interests." || len(music.Children) != 2 ||
		music.Children[0].ID != "a3" || music.Children[1].People != 1 {
		t.Errorf("Lookup of an affinity = %+v, %t", music, ok)
	}
	if len(tree.Roots) != 7 {
		t.Errorf("%d roots, want 7", len(tree.Roots))
	}
	for _, test := range []struct {
		q             string
		offset, limit int
		want          []string
		more          bool
	}{
		{"", 0, 2, []string{"Engine driver", "Engineer"}, true},
		{"engin", 0, 5, []string{"Engine driver", "Engineer", "Sound engineer"}, false},
		{"ENGIN", 1, 1, []string{"Engineer"}, true},
		{"engin", 2, 1, []string{"Sound engineer"}, false},
		{"sound eng", 0, 5, []string{"Sound engineer"}, false},
		{"engineer cook", 0, 5, nil, false},
		{"gineer", 0, 5, nil, false},
		{"?!", 0, 5, nil, false},
	} {
		terms, more, err := c.Search(t.Context(), query.JobTitle, test.q, test.offset, test.limit)
		must(t, err)
		var got []string
		for _, term := range terms {
			got = append(got, term.Value)
		}
		if diff := cmp.Diff(test.want, got); diff != "" || more != test.more {
			t.Errorf("Search(%q, %d, %d): more %t, want %t (-want +got):\n%s", test.q, test.offset, test.limit, more, test.more, diff)
		}
	}
	if _, _, err := c.Search(t.Context(), query.Country, "a", 0, 1); err == nil {
		t.Error("Search of countries: no error")
	}
	if term, ok, err := c.Term(query.JobTitle, "Engineer"); err != nil || !ok || term.People != 2 {
		t.Errorf("Term = %+v, %t, %v, want 2 people", term, ok, err)
	}
	if _, ok, err := c.Term(query.JobTitle, "engineer"); ok || err != nil {
		t.Errorf("Term of a title in other case = %t, %v, want it unknown", ok, err)
	}
	want := []engine.Account{{ID: "1", ScreenName: "ANN"}, {ID: "2", ScreenName: "Ann", Name: "Ann B."}}
	named, err := c.AccountsNamed(query.Twitter, "@aNN")
	must(t, err)
	if diff := cmp.Diff(want, named); diff != "" {
		t.Errorf("AccountsNamed (-want +got):\n%s", diff)
	}
	for id, want := range map[string]bool{"1": true, "77": true, "78": false} {
		if a, ok, err := c.Account(query.Twitter, id); err != nil || ok != want || ok && a.ID != id {
			t.Errorf("Account(%s) = %+v, %t, %v, want %t", id, a, ok, err, want)
		}
	}
}

// TestFileCutShort cuts files of an open generation: what reads them must fail
// with an error, not with the process.
func TestFileCutShort(t *testing.T) {
	f := idFixture(t, rand.New(rand.NewPCG(1, 2)), 70_000)
	f.addTerm(query.Country, "1", shapeEvery(f.rows, 2))
	f.addTerm(query.Country, "2", shapeEvery(f.rows, 3))
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	everybody, _, err := g.Select(t.Context(), everyone(), 0)
	must(t, err)
	for _, name := range []string{storage.PartName(0), storage.ColumnName(identifier.MD5)} {
		must(t, os.Truncate(filepath.Join(dir, "00000001", filepath.FromSlash(name)), 0))
	}
	_, err = g.Count(t.Context(), one(query.In{Field: query.Country, Values: []string{"1", "2"}}), 0)
	if !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("Count on a part cut short = %v, want %v", err, engine.ErrCorrupt)
	}
	err = g.Stream(t.Context(), everybody, []identifier.Type{identifier.MD5}, func(*engine.Batch) error { return nil })
	if !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("Stream of a column cut short = %v, want %v", err, engine.ErrCorrupt)
	}
	_, _, err = g.Match(t.Context(), identifier.MD5, slices.Values([][]byte{[]byte(f.values(t, identifier.MD5, firstOwner(f))[0])}))
	if !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("Match in a column cut short = %v, want %v", err, engine.ErrCorrupt)
	}
}

// firstOwner is the first row with an MD5.
func firstOwner(f *fixture) int {
	for r := range f.rows {
		if len(f.ids[identifier.MD5][r]) > 0 {
			return r
		}
	}
	return -1
}
