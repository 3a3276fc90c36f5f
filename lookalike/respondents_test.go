package lookalike_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/bitmap/bitmaptest"
	"throng/lookalike"
	"throng/query"
)

// load loads a dataset folder.
func load(t testing.TB, dir string, workers int) engine.Generation {
	t.Helper()
	return bitmaptest.Load(t, dir, bitmap.Config{Workers: workers}, engine.LoadOptions{})
}

func selectRows(t testing.TB, g engine.Generation, n query.Node) query.RowSet {
	t.Helper()
	rows, _, err := g.Select(t.Context(), query.Definition{Steps: []query.Step{{Node: n}}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// processorTime is how much of it this process has used.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func respondents(t testing.TB) engine.Generation {
	t.Helper()
	data := os.Getenv("THRONG_TEST_DATA")
	if data == "" {
		t.Skip("THRONG_TEST_DATA is not set; it names the folder that holds respondents/")
	}
	return load(t, filepath.Join(data, "respondents"), 0)
}

// TestRespondents tells five audiences of real people from everyone else. What
// an audience is made of is left out of what is learnt from.
func TestRespondents(t *testing.T) {
	g := respondents(t)
	for _, c := range []struct {
		name    string
		node    query.Node
		without []query.Field
		least   float64
	}{
		{"women", query.In{Field: query.Gender, Values: []string{"female"}}, nil, 0.82},
		{"18 to 24", query.In{Field: query.Age, Values: []string{"18-24"}}, nil, 0.85},
		{"over 54", query.In{Field: query.Age, Values: []string{"over 54"}}, nil, 0.87},
		{"data scientists", query.In{Field: query.JobTitle, Values: []string{"Data scientist"}}, []query.Field{query.JobTitle}, 0.91},
		{"Romania", query.In{Field: query.Country, Values: []string{"189"}}, []query.Field{query.Country, query.Region, query.City, query.DMA}, 0.5},
	} {
		seed := selectRows(t, g, c.node)
		fields := slices.DeleteFunc(lookalike.Fields(false), func(f query.Field) bool { return slices.Contains(c.without, f) })
		at, used := time.Now(), processorTime(t)
		m, err := lookalike.Learn(t.Context(), g, seed, lookalike.Config{Fields: fields})
		if err != nil {
			t.Fatalf("Learn(%s): %v", c.name, err)
		}
		took := time.Since(at)
		used = processorTime(t) - used
		single, plain := others(t, g, seed, fields, 10)
		t.Logf("%s: %d people, AUC %.3f of %d against %d; best term %.3f, plain count %.3f; %d terms, %v (%v of processors)",
			c.name, seed.Len(), m.AUC, m.HeldOut, m.Others, single, plain, m.Learnt, took, used)
		if m.AUC < c.least || m.AUC < single || m.AUC < plain {
			t.Errorf("Learn(%s): AUC %v, want %v and more than the best term's %v and a plain count's %v", c.name, m.AUC, c.least, single, plain)
		}
	}
}

// others are the AUC of the best single term, and of how many of the seed's
// terms somebody has, of the whole seed against all others.
func others(t *testing.T, g engine.Generation, seed query.RowSet, fields []query.Field, minimum uint32) (single, plain float64) {
	t.Helper()
	rest := selectRows(t, g, query.Not{Node: query.Rows{Set: seed}})
	s, err := g.Breakdown(t.Context(), seed, fields)
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Breakdown(t.Context(), rest, fields)
	if err != nil {
		t.Fatal(err)
	}
	var weights []engine.Weights
	for i, f := range fields {
		w := engine.Weights{Field: f, Of: make([]int16, len(s[i].Counts))}
		for j, n := range s[i].Counts {
			if n >= minimum {
				w.Of[j] = 1
				d := float64(n)/float64(seed.Len()) - float64(r[i].Counts[j])/float64(rest.Len())
				single = max(single, (1+math.Abs(d))/2)
			}
		}
		weights = append(weights, w)
	}
	if plain, err = lookalike.AUC(t.Context(), g, weights, seed, rest); err != nil {
		t.Fatal(err)
	}
	return single, plain
}
