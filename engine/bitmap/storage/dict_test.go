package storage

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/query"
)

func writeDict(t testing.TB, dir string) string {
	t.Helper()
	w, err := NewDictWriter(dir, DictName)
	if err != nil {
		t.Fatal(err)
	}
	n := uint32(0)
	for _, f := range []query.Field{query.Age, query.Country, query.Twitter, query.Tweet} {
		for i := range 300 {
			if err := w.Add(f, fmt.Appendf(nil, "%s-%04d", f, i), n); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, DictName)
}

func TestDict(t *testing.T) {
	d, err := OpenDict(writeDict(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Terms() != 1200 {
		t.Errorf("Terms() = %d, want 1200", d.Terms())
	}
	if first, count := d.Range(query.Twitter); first != 600 || count != 300 {
		t.Errorf("Range(twitter) = %d, %d, want 600, 300", first, count)
	}
	if _, count := d.Range(query.Gender); count != 0 {
		t.Errorf("Range(gender) has %d terms, want 0", count)
	}
	n, ok, err := d.Number(query.Twitter, []byte("twitter-0017"))
	if err != nil {
		t.Fatal(err)
	}
	people, err := d.People(n)
	if err != nil {
		t.Fatal(err)
	}
	value, err := d.Value(n)
	if err != nil {
		t.Fatal(err)
	}
	if !ok || n != 617 || people != 617 || string(value) != "twitter-0017" {
		t.Errorf("Number(twitter-0017) = %d, %v, people %d, value %s", n, ok, people, value)
	}
	if err := d.Verify(); err != nil {
		t.Errorf("Verify: %v", err)
	}
	for _, absent := range []string{"", "twitter-0300", "age-0001", "z"} {
		if n, ok, err := d.Number(query.Twitter, []byte(absent)); ok || err != nil {
			t.Errorf("Number(twitter %q) = %d, want none", absent, n)
		}
	}
}

func writeAccounts(t testing.TB, dir string) string {
	t.Helper()
	w, err := NewAccountsWriter(dir, AccountsName)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		net              query.Field
		id, screen, name string
	}{
		{query.Twitter, "1", "@Alpha", "The First"},
		{query.Twitter, "2", "ALPHA", ""},
		{query.Twitter, "3", "", "No screen name"},
		{query.YouTube, "1", "Älpha", "x"},
	} {
		if err := w.Add(r.net, AccountRecord{[]byte(r.id), []byte(r.screen), []byte(r.name)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, AccountsName)
}

func TestAccounts(t *testing.T) {
	a, err := OpenAccounts(writeAccounts(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ids := func(net query.Field, name string) (ids []string) {
		found, err := a.ByName(net, FoldName(nil, []byte(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range found {
			ids = append(ids, string(r.ID))
		}
		return ids
	}
	for _, tt := range []struct {
		net  query.Field
		name string
		want []string
	}{
		{query.Twitter, "@aLPHA", []string{"1", "2"}},
		{query.Twitter, "alph", nil},
		{query.Twitter, "", nil},
		{query.Twitch, "alpha", nil},
		{query.YouTube, "äLPHA", []string{"1"}},
	} {
		if diff := cmp.Diff(tt.want, ids(tt.net, tt.name)); diff != "" {
			t.Errorf("ByName(%s, %s) (-want +got):\n%s", tt.net, tt.name, diff)
		}
	}
	if r, ok, err := a.ByID(query.Twitter, []byte("3")); err != nil || !ok || string(r.Name) != "No screen name" {
		t.Errorf("ByID(twitter, 3) = %s, %v, %v", r.Name, ok, err)
	}
	if _, ok, err := a.ByID(query.Twitter, []byte("4")); ok || err != nil {
		t.Errorf("ByID(twitter, 4) = %v, %v, want it not to be found", ok, err)
	}
	if err := a.Verify(); err != nil {
		t.Errorf("Verify: %v", err)
	}
}
