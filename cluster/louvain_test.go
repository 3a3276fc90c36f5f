package cluster

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// smallGraph is the graph of members and terms, and who has what.
func smallGraph(seed uint64) (g *graph, has [][]bool) {
	rng := rand.New(rand.NewPCG(seed, 9))
	members, terms := 20+rng.IntN(60), 5+rng.IntN(25)
	groups := 2 + rng.IntN(4)
	var ends, held []uint32
	for m := range members {
		has = append(has, make([]bool, terms))
		for t := range terms {
			p := 0.08
			if m%groups == t%groups {
				p = 0.5
			}
			if rng.Float64() < p {
				has[m][t] = true
				held = append(held, uint32(t))
			}
		}
		ends = append(ends, uint32(len(held)))
	}
	return newGraph(ends, held, terms), has
}

// naiveModularity is the definition, pair by pair.
func naiveModularity(has [][]bool, of []uint32) float64 {
	out, in, total := make([]float64, len(has)), make([]float64, len(has[0])), 0.0
	for m, row := range has {
		for t, ok := range row {
			if ok {
				out[m]++
				in[t]++
				total++
			}
		}
	}
	q := 0.0
	for m, row := range has {
		for t, ok := range row {
			if of[m] != of[len(has)+t] {
				continue
			}
			if q -= out[m] * in[t] / total; ok {
				q++
			}
		}
	}
	return q / total
}

// TestCommunities finds communities that are as good as those which gonum
// v0.17.0 finds in the same directed graphs, in the best of five runs of
// community.Modularize; its Q is this modularity.
func TestCommunities(t *testing.T) {
	for seed, gonum := range []float64{
		0.442274, 0.363463, 0.510606, 0.356653, 0.388591, 0.375738, 0.373248, 0.336103, 0.480200, 0.424977, 0.392815, 0.370896,
	} {
		g, has := smallGraph(uint64(seed))
		of, err := g.best(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		q := g.modularity(of, g.nodes())
		if want := naiveModularity(has, of); math.Abs(q-want) > 1e-9 {
			t.Errorf("graph %d: modularity %v, want %v", seed, q, want)
		}
		if q < 0.98*gonum {
			t.Errorf("graph %d: communities of modularity %.4f, gonum finds %.4f", seed, q, gonum)
		}
		t.Logf("graph %d: modularity %.4f, gonum's %.4f", seed, q, gonum)
		again, err := g.best(t.Context())
		if diff := cmp.Diff(of, again); err != nil || diff != "" {
			t.Errorf("graph %d: other communities the second time, %v:\n%s", seed, err, diff)
		}
	}
}

// TestJoin keeps modularity when communities become nodes.
func TestJoin(t *testing.T) {
	for seed := range uint64(20) {
		g, _ := smallGraph(seed)
		rng := rand.New(rand.NewPCG(seed, 1))
		of := make([]uint32, g.nodes())
		for i := range of {
			of[i] = uint32(rng.IntN(6))
		}
		of, n := renumber(of)
		j := g.join(of, n)
		each := make([]uint32, n)
		for i := range each {
			each[i] = uint32(i)
		}
		if got, want := j.modularity(each, n), g.modularity(of, n); math.Abs(got-want) > 1e-9 {
			t.Errorf("graph %d: modularity %v of joined communities, want %v", seed, got, want)
		}
	}
}

// TestMerge joins many communities to Most, and none that are few.
func TestMerge(t *testing.T) {
	const groups = 50
	var ends, held []uint32
	for m := range 30 * groups { // groups in pairs share a term
		c := uint32(m % groups)
		held = append(held, 3*c, 3*c+1, 3*c+2, 3*groups+c/2)
		ends = append(ends, uint32(len(held)))
	}
	g := newGraph(ends, held, 3*groups+groups/2)
	of, err := g.best(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	labels, n := g.largest(of, len(ends), 10)
	if n != Most || int(slices.Max(labels)) != Most-1 {
		t.Fatalf("%d clusters of %d communities, the last is %d; want %d", n, slices.Max(of)+1, slices.Max(labels), Most)
	}
	for m := range ends {
		if first := m % groups; labels[m] != labels[first] {
			t.Errorf("member %d is in cluster %d, others alike in %d", m, labels[m], labels[first])
		}
	}
}
