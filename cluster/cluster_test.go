package cluster_test

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/cluster"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/bitmap/bitmaptest"
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

func numbers(t testing.TB, g engine.Generation, rows query.RowSet) []uint32 {
	t.Helper()
	list, err := g.RowNumbers(rows)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// labels are the cluster of each of rows, by position; −1 is none.
func labels(t testing.TB, g engine.Generation, rows query.RowSet, r *cluster.Result) []int {
	t.Helper()
	all := numbers(t, g, rows)
	out := slices.Repeat([]int{-1}, len(all))
	left := uint64(len(all))
	for c := range r.Clusters {
		for _, n := range numbers(t, g, r.Clusters[c].Rows) {
			i, ok := slices.BinarySearch(all, n)
			if !ok || out[i] != -1 {
				t.Fatalf("row %d of cluster %d is no member, or in cluster %d, too", n, c, out[i])
			}
			out[i] = c
			left--
		}
	}
	if left != r.Unclustered {
		t.Errorf("%d members are in no cluster, and Unclustered is %d", left, r.Unclustered)
	}
	return out
}

// adjustedRand compares two partitions (Hubert and Arabie 1985).
func adjustedRand(a, b []int) float64 {
	both, ofA, ofB := map[[2]int]float64{}, map[int]float64{}, map[int]float64{}
	for i := range a {
		both[[2]int{a[i], b[i]}]++
		ofA[a[i]]++
		ofB[b[i]]++
	}
	pairs := func(n float64) float64 { return n * (n - 1) / 2 }
	sum, sumA, sumB := 0.0, 0.0, 0.0
	for _, n := range both {
		sum += pairs(n)
	}
	for _, n := range ofA {
		sumA += pairs(n)
	}
	for _, n := range ofB {
		sumB += pairs(n)
	}
	expected := sumA * sumB / pairs(float64(len(a)))
	return (sum - expected) / ((sumA+sumB)/2 - expected)
}

// planted is people of so many tastes, of sizes that differ; the last taste is of
// those who have nothing. Of what a person follows two in three are of their
// taste, the others anything that people follow.
func planted(t testing.TB, people, tastes int, seed uint64) (dir string, truth []int) {
	t.Helper()
	dir = t.TempDir()
	rng := rand.New(rand.NewPCG(seed, 1))
	write := func(name, head string) *bufio.Writer {
		f, err := os.Create(filepath.Join(dir, name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriterSize(f, 1<<20)
		fmt.Fprintln(w, head)
		t.Cleanup(func() { f.Close() })
		return w
	}
	persons, follows := write("people", "person"), write("follows", "person,network,account")
	for i := range people {
		taste := rng.IntN(tastes)
		if rng.IntN(3) == 0 {
			taste = max(taste, rng.IntN(tastes))
		}
		if rng.IntN(20) == 0 {
			taste = tastes
		}
		truth = append(truth, taste)
		fmt.Fprintf(persons, "p%07d\n", i)
		seen := map[int]bool{}
		n := 3 + rng.IntN(20)
		if taste == tastes {
			n = 0
		}
		for range n {
			a := int(math.Pow(rng.Float64(), 2) * 200)
			if rng.IntN(3) == 0 {
				a += 1000 * rng.IntN(tastes)
			} else {
				a += 1000 * taste
			}
			if !seen[a] {
				seen[a] = true
				fmt.Fprintf(follows, "p%07d,youtube,%d\n", i, a)
			}
		}
	}
	for _, w := range []*bufio.Writer{persons, follows} {
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return dir, truth
}

// TestFind finds the tastes that people were made with, and as many as there are.
func TestFind(t *testing.T) {
	for _, tastes := range []int{2, 3, 7, 12} {
		dir, truth := planted(t, 8000, tastes, uint64(tastes))
		g := load(t, dir, 0)
		everyone := selectRows(t, g, query.And{})
		r, err := cluster.Find(t.Context(), g, everyone, cluster.Config{})
		if err != nil {
			t.Fatal(err)
		}
		got := labels(t, g, everyone, r)
		ari := adjustedRand(truth, got)
		t.Logf("%d tastes: %d clusters, adjusted Rand index %.3f, modularity %.3f", tastes, len(r.Clusters), ari, r.Modularity)
		if len(r.Clusters) != tastes || ari < 0.85 {
			t.Errorf("%d clusters of %d tastes, adjusted Rand index %.3f, want as many and 0.85", len(r.Clusters), tastes, ari)
		}
		for i, taste := range truth {
			if (taste == tastes) != (got[i] == -1) {
				t.Fatalf("member %d of taste %d is in cluster %d", i, taste, got[i])
			}
		}
		checkTerms(t, g, everyone, r)
	}
}

// checkTerms compares counts of telling terms with what is counted anew.
func checkTerms(t *testing.T, g engine.Generation, rows query.RowSet, r *cluster.Result) {
	t.Helper()
	for c, x := range r.Clusters {
		if c > 0 && x.Rows.Len() > r.Clusters[c-1].Rows.Len() {
			t.Errorf("cluster %d is larger than the one before", c)
		}
		if len(x.Terms) == 0 {
			t.Errorf("nothing tells cluster %d", c)
		}
		for _, term := range x.Terms {
			v, err := g.Catalog().TermAt(term.Field, term.Index)
			if err != nil {
				t.Fatal(err)
			}
			has := query.In{Field: term.Field, Values: []string{v.Value}}
			in := func(rows query.RowSet) uint32 {
				return uint32(selectRows(t, g, query.And{Nodes: []query.Node{has, query.Rows{Set: rows}}}).Len())
			}
			if m, a := in(x.Rows), in(rows); m != term.Members || a != term.Audience {
				t.Errorf("%s %s: %d of cluster %d and %d of the audience, want %d and %d", term.Field, v.Value, term.Members, c, term.Audience, m, a)
			}
		}
	}
}

// TestFindRepeats gets the same from one goroutine and from several.
func TestFindRepeats(t *testing.T) {
	dir, _ := planted(t, 9000, 5, 3)
	var want []int
	for _, workers := range []int{1, 2, 5} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
		g := load(t, dir, workers)
		everyone := selectRows(t, g, query.And{})
		r, err := cluster.Find(t.Context(), g, everyone, cluster.Config{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		got := labels(t, g, everyone, r)
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("clusters of %d goroutines differ (-one +others):\n%.1000s", workers, diff)
		}
	}
}

// TestFindNoise finds no cluster where people follow anything at all.
func TestFindNoise(t *testing.T) {
	dir, _ := planted(t, 6000, 1, 4)
	g := load(t, dir, 0)
	everyone := selectRows(t, g, query.And{})
	r, err := cluster.Find(t.Context(), g, everyone, cluster.Config{})
	if err != nil || len(r.Clusters) != 0 || r.Unclustered != everyone.Len() {
		t.Errorf("Find(noise) = %d clusters, %d in none, %v; want none", len(r.Clusters), r.Unclustered, err)
	}
}

// TestFindNothing finds no cluster where nothing tells members apart.
func TestFindNothing(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"people":  "person\na\nb\nc\nd\ne\nf\n",
		"follows": "person,network,account\na,twitter,1\nb,twitter,1\nc,twitter,1\nd,twitter,1\na,twitter,2\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name+".csv"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := load(t, dir, 0)
	everyone := selectRows(t, g, query.And{})
	some := selectRows(t, g, query.In{Field: query.Twitter, Values: []string{"1"}})
	for _, rows := range []query.RowSet{everyone, some, selectRows(t, g, query.Or{}), selectRows(t, g, query.Not{Node: query.Rows{Set: some}})} {
		for _, minimum := range []uint32{1, 10} {
			r, err := cluster.Find(t.Context(), g, rows, cluster.Config{Minimum: minimum})
			if err != nil || len(r.Clusters) == 1 || len(r.Clusters) == 0 && r.Unclustered != rows.Len() {
				t.Errorf("Find(%d rows) = %+v, %v", rows.Len(), r, err)
			}
			labels(t, g, rows, r)
		}
	}
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

// TestFindScale measures time and memory. THRONG_TEST_LONG has it run.
func TestFindScale(t *testing.T) {
	if os.Getenv("THRONG_TEST_LONG") == "" {
		t.Skip("THRONG_TEST_LONG is not set")
	}
	dir, truth := planted(t, 1_000_000, 9, 3)
	g := load(t, dir, 0)
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		first := make([]uint32, n)
		for i := range first {
			first[i] = uint32(i)
		}
		rows, err := g.RowsNumbered(first)
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		at, used := time.Now(), processorTime(t)
		r, err := cluster.Find(t.Context(), g, rows, cluster.Config{})
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(at)
		used = processorTime(t) - used
		runtime.ReadMemStats(&after)
		ari := adjustedRand(truth[:n], labels(t, g, rows, r))
		t.Logf("%d members: %d clusters, adjusted Rand index %.3f, %v (%v of processors), %d MiB allocated in all", n, len(r.Clusters), ari, took, used, (after.TotalAlloc-before.TotalAlloc)>>20)
		if ari < 0.85 {
			t.Errorf("%d members: adjusted Rand index %.3f, want 0.85", n, ari)
		}
	}
}
