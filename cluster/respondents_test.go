package cluster_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"throng/cluster"
	"throng/engine"
	"throng/query"
)

func respondents(t testing.TB) engine.Generation {
	t.Helper()
	data := os.Getenv("THRONG_TEST_DATA")
	if data == "" {
		t.Skip("THRONG_TEST_DATA is not set; it names the folder that holds respondents/")
	}
	return load(t, filepath.Join(data, "respondents"), 0)
}

// node finds an affinity by name among those below the roots.
func node(t *testing.T, g engine.Generation, name string) *engine.Affinity {
	t.Helper()
	tree, err := g.Catalog().Affinities()
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range tree.Roots {
		for _, a := range root.Children {
			if a.Name == name {
				return a
			}
		}
	}
	t.Fatalf("there is no affinity %s", name)
	return nil
}

// TestRespondents finds seven communities of Twitch, which speak seven
// languages, by whom they follow alone; and groups of taste among listeners of
// music and users of programming languages.
func TestRespondents(t *testing.T) {
	g := respondents(t)
	tree, err := g.Catalog().Affinities()
	if err != nil {
		t.Fatal(err)
	}
	find := func(of *engine.Affinity, fields ...query.Field) (query.RowSet, []int) {
		rows := selectRows(t, g, query.In{Field: query.Affinity, Values: []string{of.ID}})
		at, used := time.Now(), processorTime(t)
		r, err := cluster.Find(t.Context(), g, rows, cluster.Config{Fields: fields})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d people, %d clusters, %d in none, modularity %.3f, %v (%v of processors)",
			of.Name, rows.Len(), len(r.Clusters), r.Unclustered, r.Modularity, time.Since(at), processorTime(t)-used)
		for _, c := range r.Clusters {
			var names []string
			for _, x := range c.Terms[:min(5, len(c.Terms))] {
				v, err := g.Catalog().TermAt(x.Field, x.Index)
				if err != nil {
					t.Fatal(err)
				}
				if a, ok := tree.Lookup(v.Value); ok {
					v.Value = a.Name
				}
				names = append(names, v.Value)
			}
			t.Logf("  %d: %q", c.Rows.Len(), names)
		}
		if n := len(r.Clusters); n < cluster.Fewest || n > cluster.Most || r.Unclustered > rows.Len()/20 {
			t.Errorf("%s: %d clusters, and %d of %d people in none", of.Name, n, r.Unclustered, rows.Len())
		}
		return rows, labels(t, g, rows, r)
	}

	languages := node(t, g, "Twitch language")
	rows, got := find(languages, query.Twitch)
	truth := make([]int, rows.Len())
	all := numbers(t, g, rows)
	for l, language := range languages.Children {
		for _, n := range numbers(t, g, selectRows(t, g, query.In{Field: query.Affinity, Values: []string{language.ID}})) {
			i, _ := slices.BinarySearch(all, n)
			truth[i] = l
		}
	}
	ari := adjustedRand(truth, got)
	t.Logf("adjusted Rand index of languages %.3f", ari)
	if ari < 0.8 {
		t.Errorf("adjusted Rand index of languages %.3f, want above 0.8", ari)
	}
	find(node(t, g, "Music"))
	find(node(t, g, "Programming languages"))
}
