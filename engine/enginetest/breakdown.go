package enginetest

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/enginetest/model"
	"throng/query"
)

// countedFields are those that a breakdown is about.
func countedFields() []query.Field {
	return slices.DeleteFunc(query.TermFields(), func(f query.Field) bool {
		return f == query.Active || f == query.Scored
	})
}

// compareBreakdown counts the terms of random fields of some people.
func compareBreakdown(t *testing.T, rng *rand.Rand, m *model.Model, g engine.Generation, keys []string) {
	t.Helper()
	fields := countedFields()
	if rng.IntN(3) == 0 {
		fields = fields[:1+rng.IntN(3)]
	}
	rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	got, err := g.Breakdown(t.Context(), matchKeys(t, g, keys...), fields)
	if err != nil {
		t.Fatalf("Breakdown(%d people, %v): %v", len(keys), fields, err)
	}
	if len(got) != len(fields) {
		t.Fatalf("Breakdown(%v) has %d fields, want %d", fields, len(got), len(fields))
	}
	for i, f := range fields {
		b := got[i]
		if b.Field != f || len(b.Counts) != g.Catalog().NumTerms(f) {
			t.Fatalf("Breakdown(%s) is of %s and has %d counts, want %d", f, b.Field, len(b.Counts), g.Catalog().NumTerms(f))
		}
		have := map[string]uint32{}
		for j, n := range b.Counts {
			term, err := g.Catalog().TermAt(f, j)
			if err != nil {
				t.Fatalf("TermAt(%s, %d): %v", f, j, err)
			}
			if n > 0 {
				have[term.Value] = n
			}
		}
		counts, known := m.Breakdown(keys, f)
		if diff := cmp.Diff(counts, have); diff != "" {
			t.Errorf("Breakdown(%s) of %d people differs (-want +got):\n%s", f, len(keys), diff)
		}
		if b.Known != known {
			t.Errorf("Breakdown(%s) of %d people knows of %d, want %d", f, len(keys), b.Known, known)
		}
	}
}

// compareTermsAt compares the numbering of terms with the terms.
func compareTermsAt(t *testing.T, m *model.Model, g engine.Generation) {
	t.Helper()
	c := g.Catalog()
	for _, f := range query.TermFields() {
		want, _ := m.Breakdown(m.People(), f)
		var got []string
		for i := range c.NumTerms(f) {
			term, err := c.TermAt(f, i)
			if err != nil {
				t.Fatalf("TermAt(%s, %d): %v", f, i, err)
			}
			if same, _, err := c.Term(f, term.Value); err != nil || same != term {
				t.Errorf("TermAt(%s, %d) = %+v, and Term is %+v, %v", f, i, term, same, err)
			}
			got = append(got, term.Value)
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), got); diff != "" {
			t.Errorf("terms of %s differ (-want +got):\n%s", f, diff)
		}
		if _, err := c.TermAt(f, c.NumTerms(f)); err == nil {
			t.Errorf("TermAt(%s, NumTerms) = nil error, want one", f)
		}
	}
}

func brokenDown(f query.Field, known uint64, counts ...uint32) engine.Breakdown {
	return engine.Breakdown{Field: f, Known: known, Counts: append([]uint32{}, counts...)}
}

func testBreakdown(t *testing.T, e engine.Engine) {
	tables := map[string]string{
		"people":      "person,gender,country\na,female,231\nb,male,\nc,,231\nd,male,\n",
		"affinities":  "affinity,name,parent\ncars,Cars,.interests.\nbmw,BMW,cars\nfood,Food,.interests.\n",
		"interests":   "person,affinity\na,bmw\nb,cars\nc,food\nc,bmw\n",
		"personality": "person,term,score\na,love,0.9\nb,love,0.1\n",
	}
	g := loadTables(t, e, tables)
	fields := []query.Field{query.Affinity, query.Gender, query.Country, query.Personality, query.Twitter}
	for _, c := range []struct {
		keys []string
		want []engine.Breakdown
	}{
		{nil, []engine.Breakdown{
			brokenDown(query.Affinity, 0, 0, 0, 0),
			brokenDown(query.Gender, 0, 0, 0),
			brokenDown(query.Country, 0, 0),
			brokenDown(query.Personality, 0, 0),
			brokenDown(query.Twitter, 0),
		}},
		{[]string{"b"}, []engine.Breakdown{
			brokenDown(query.Affinity, 1, 0, 1, 0), // bmw, cars, food
			brokenDown(query.Gender, 1, 0, 1),
			brokenDown(query.Country, 0, 0),
			brokenDown(query.Personality, 1, 0), // known, and low
			brokenDown(query.Twitter, 0),
		}},
		{[]string{"a", "c", "d"}, []engine.Breakdown{
			brokenDown(query.Affinity, 2, 2, 2, 1),
			brokenDown(query.Gender, 2, 1, 1),
			brokenDown(query.Country, 2, 2),
			brokenDown(query.Personality, 1, 1),
			brokenDown(query.Twitter, 0),
		}},
		{[]string{"a", "b", "c", "d"}, []engine.Breakdown{
			brokenDown(query.Affinity, 3, 2, 3, 1),
			brokenDown(query.Gender, 3, 1, 2),
			brokenDown(query.Country, 2, 2),
			brokenDown(query.Personality, 2, 1),
			brokenDown(query.Twitter, 0),
		}},
	} {
		got, err := g.Breakdown(t.Context(), matchKeys(t, g, c.keys...), fields)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("Breakdown(%v): %v, differs (-want +got):\n%s", c.keys, err, diff)
		}
	}
	refuseBreakdown(t, g, loadTables(t, e, tables), fields)
}

// refuseBreakdown asks for fields that have no breakdown, and about rows that are
// another generation's.
func refuseBreakdown(t *testing.T, g, other engine.Generation, fields []query.Field) {
	t.Helper()
	all := matchKeys(t, g, "a", "b", "c", "d")
	if got, err := g.Breakdown(t.Context(), all, nil); err != nil || len(got) != 0 {
		t.Errorf("Breakdown(no field) = %v, %v, want nothing", got, err)
	}
	for _, f := range []query.Field{query.Tweet, query.Active, query.Scored, "shoe_size"} {
		if _, err := g.Breakdown(t.Context(), all, []query.Field{f}); err == nil {
			t.Errorf("Breakdown(%s) = nil error, want one", f)
		}
	}
	if _, err := other.Breakdown(t.Context(), all, fields); !errors.Is(err, engine.ErrForeignRows) {
		t.Errorf("Breakdown(rows of another generation) = %v, want ErrForeignRows", err)
	}
}
