package lookalike_test

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/lookalike"
	"throng/query"
)

// population is people who follow accounts: those with a taste follow the
// accounts of it, ten of which are always followed together, and all follow
// some others.
func population(t testing.TB, people int, seed uint64) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(seed, 1))
	tables := map[string]*bufio.Writer{}
	for name, head := range map[string]string{"people": "person,gender,ethnicity\n", "follows": "person,network,account\n"} {
		f, err := os.Create(filepath.Join(dir, name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		tables[name] = bufio.NewWriterSize(f, 1<<20)
		defer tables[name].Flush()
		tables[name].WriteString(head)
	}
	for i := range people {
		taste := rng.IntN(10)
		gender := []string{"male", "female", ""}[rng.IntN(3)]
		ethnicity := ""
		if taste == 0 {
			ethnicity = "asian" // of no use to whoever may not look at it
		}
		fmt.Fprintf(tables["people"], "p%07d,%s,%s\n", i, gender, ethnicity)
		if rng.IntN(4) == 0 {
			for j := range 10 {
				fmt.Fprintf(tables["follows"], "p%07d,twitter,%d\n", i, 10*(taste%5)+j)
			}
		}
		seen := map[int]bool{}
		for range 1 + rng.IntN(12) {
			a := 1000 + int(math.Pow(rng.Float64(), 3)*2000)
			if rng.IntN(3) == 0 {
				a = 5000 + 100*taste + rng.IntN(100)
			}
			if !seen[a] {
				seen[a] = true
				fmt.Fprintf(tables["follows"], "p%07d,youtube,%d\n", i, a)
			}
		}
	}
	return dir
}

func asian() query.Node {
	return query.In{Field: query.Ethnicity, Values: []string{"asian"}}
}

// scores lists what each of rows scores, by row.
func scores(t *testing.T, g engine.Generation, rows query.RowSet, m *lookalike.Model) map[uint32]int32 {
	t.Helper()
	var mu sync.Mutex
	out := map[uint32]int32{}
	err := g.Score(t.Context(), rows, m.Weights, func(s *engine.Scored) error {
		mu.Lock()
		defer mu.Unlock()
		for i, r := range s.Rows {
			out[r] = s.Scores[i]
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestLearn finds what the seed's taste is, and ranks people exactly.
func TestLearn(t *testing.T) {
	dir := population(t, 20_000, 7)
	g := load(t, dir, 0)
	seed := selectRows(t, g, asian())
	m, err := lookalike.Learn(t.Context(), g, seed, lookalike.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if m.AUC < 0.65 || m.HeldOut < seed.Len()/20 || m.HeldOut > seed.Len()/5 {
		t.Errorf("Learn: AUC %v of %d held out of %d, want above 0.65 of a tenth", m.AUC, m.HeldOut, seed.Len())
	}
	if len(m.Terms) != 20 {
		t.Fatalf("Learn: %d terms explain it, want 20", len(m.Terms))
	}
	together := 0.0 // weights of the ten accounts always followed together
	for _, w := range m.Weights {
		if w.Field == query.Ethnicity || w.Field == query.Gender || w.Field == query.Age {
			t.Errorf("Learn: %s weighs", w.Field)
		}
		for i, v := range w.Of {
			term, err := g.Catalog().TermAt(w.Field, i)
			if err != nil {
				t.Fatal(err)
			}
			if w.Field == query.Twitter && len(term.Value) == 1 {
				together += float64(v) / 1024
			}
		}
	}
	// One in two of those who follow them is a member, one in ten of all: a
	// factor of 9 in the odds, be it said once or ten times.
	if want := math.Log(9); math.Abs(together-want) > 0.7 {
		t.Errorf("Learn: ten accounts that say the same weigh %.2f together, want %.2f", together, want)
	}
	everyone := selectRows(t, g, query.And{})
	all := scores(t, g, everyone, m)
	order := make([]uint32, 0, len(all))
	for r := range all {
		order = append(order, r)
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Or(cmp.Compare(all[b], all[a]), cmp.Compare(a, b)) })
	for _, n := range []int{0, 1, 17, 2000, 19_999, 20_000, 30_000} {
		best, err := m.Best(t.Context(), g, everyone, uint64(n))
		if err != nil {
			t.Fatal(err)
		}
		got, err := g.RowNumbers(best)
		if err != nil {
			t.Fatal(err)
		}
		want := append([]uint32{}, order[:min(n, len(order))]...)
		slices.Sort(want)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("Best(%d) differs (-want +got):\n%.1000s", n, diff)
		}
	}
	rest := selectRows(t, g, query.Not{Node: query.Rows{Set: seed}})
	got, err := lookalike.AUC(t.Context(), g, m.Weights, seed, rest)
	if err != nil {
		t.Fatal(err)
	}
	if want := naiveAUC(scores(t, g, seed, m), scores(t, g, rest, m)); math.Abs(got-want) > 1e-12 {
		t.Errorf("AUC = %v, want %v", got, want)
	}
}

func naiveAUC(members, others map[uint32]int32) float64 {
	halves := 0
	for _, a := range members {
		for _, b := range others {
			halves += 1 + cmp.Compare(a, b)
		}
	}
	return float64(halves) / 2 / float64(len(members)) / float64(len(others))
}

// TestLearnRepeats gets the same from one goroutine and from several.
func TestLearnRepeats(t *testing.T) {
	dir := population(t, 9000, 8)
	var want *lookalike.Model
	for _, workers := range []int{1, 2, 5} {
		g := load(t, dir, workers)
		m, err := lookalike.Learn(t.Context(), g, selectRows(t, g, asian()), lookalike.Config{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = m
		}
		if diff := gocmp.Diff(want, m); diff != "" {
			t.Errorf("Learn by %d goroutines differs (-one +others):\n%.2000s", workers, diff)
		}
	}
}

// TestLearnMinimum leaves terms of few members out, and fails where no term
// is left.
func TestLearnMinimum(t *testing.T) {
	g := load(t, population(t, 3000, 9), 0)
	seed := selectRows(t, g, asian())
	for _, minimum := range []uint32{1, 10, 40} {
		m, err := lookalike.Learn(t.Context(), g, seed, lookalike.Config{Minimum: minimum})
		if err != nil {
			t.Fatal(err)
		}
		var fields []query.Field
		for _, w := range m.Weights {
			fields = append(fields, w.Field)
		}
		counts, err := g.Breakdown(t.Context(), seed, fields)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range m.Weights {
			for j, v := range w.Of {
				if v != 0 && counts[i].Counts[j] < minimum {
					t.Errorf("Learn(minimum %d): a term of %s that %d members have weighs %d", minimum, w.Field, counts[i].Counts[j], v)
				}
			}
		}
	}
	// Whoever is no member is found, few as they are.
	three, err := g.RowsNumbered([]uint32{7, 1000, 2999})
	if err != nil {
		t.Fatal(err)
	}
	most, err := lookalike.Learn(t.Context(), g, selectRows(t, g, query.Not{Node: query.Rows{Set: three}}), lookalike.Config{})
	if err != nil || most.Others != 1 || most.HeldOut == 0 {
		t.Errorf("Learn(all but three) = %+v, %v, want two of them learnt from and one not", most, err)
	}
	nobody := selectRows(t, g, query.Or{})
	few := selectRows(t, g, query.In{Field: query.YouTube, Values: []string{"5999"}})
	everyone := selectRows(t, g, query.And{})
	for name, c := range map[string]struct {
		seed    query.RowSet
		minimum uint32
	}{"nobody": {nobody, 1}, "no term": {few, 2000}, "everyone": {everyone, 1}} {
		if _, err := lookalike.Learn(t.Context(), g, c.seed, lookalike.Config{Minimum: c.minimum}); !errors.Is(err, lookalike.ErrNothingToLearn) {
			t.Errorf("Learn(%s) = %v, want ErrNothingToLearn", name, err)
		}
	}
}

// TestFields never offers ethnicity, and gender and age on demand.
func TestFields(t *testing.T) {
	if f := lookalike.Fields(true); slices.Contains(f, query.Ethnicity) || !slices.Contains(f, query.Age) || !slices.Contains(f, query.Gender) {
		t.Errorf("Fields(true) = %v", f)
	}
	if f := lookalike.Fields(false); slices.Contains(f, query.Ethnicity) || slices.Contains(f, query.Age) || slices.Contains(f, query.Gender) || len(f) != 13 {
		t.Errorf("Fields(false) = %v", f)
	}
}

// TestMillion expands a hundred thousand people among a million.
// THRONG_TEST_LONG has it run.
func TestMillion(t *testing.T) {
	if os.Getenv("THRONG_TEST_LONG") == "" {
		t.Skip("THRONG_TEST_LONG is not set")
	}
	g := load(t, population(t, 1_000_000, 10), 0)
	seed := selectRows(t, g, asian())
	at, used := time.Now(), processorTime(t)
	m, err := lookalike.Learn(t.Context(), g, seed, lookalike.Config{})
	if err != nil {
		t.Fatal(err)
	}
	learnt := time.Since(at)
	best, err := m.Best(t.Context(), g, selectRows(t, g, query.And{}), 5*seed.Len())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d people: learnt %d terms in %v, AUC %.3f; %d best in %v; %v of processors",
		seed.Len(), g.Info().People, m.Learnt, learnt, m.AUC, best.Len(), time.Since(at)-learnt, processorTime(t)-used)
	if took := time.Since(at); took > 50*time.Second {
		t.Errorf("learning from %d people took %v, want under 5s on an idle machine", seed.Len(), took)
	}
}
