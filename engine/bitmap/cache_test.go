package bitmap

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/recall"
	"throng/query"
)

// edits makes definitions as somebody does who edits one: each differs from
// the one before in a step or two.
func edits(rng *rand.Rand, pool []query.Node, n int) (list []query.Definition) {
	var steps []query.Step
	for range 5 {
		steps = append(steps, query.Step{Op: query.Op(rng.IntN(3)), Node: pool[rng.IntN(len(pool))]})
	}
	for range n {
		for range 1 + rng.IntN(2) {
			steps[rng.IntN(len(steps))] = query.Step{Op: query.Op(rng.IntN(3)), Node: pool[rng.IntN(len(pool))]}
		}
		list = append(list, query.Definition{Steps: append([]query.Step(nil), steps...)})
	}
	return list
}

// TestCache compares counts of definitions that share nodes with an evaluation
// row by row, by several callers at once, with caches of all sizes.
func TestCache(t *testing.T) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
	f := evalFixture(rng, 150_000)
	var pool []query.Node
	for len(pool) < 14 {
		pool = append(pool, f.randomNode(rng, 2, nil))
	}
	list := edits(rng, pool, 60)
	var wants []engine.Counts
	for _, d := range list {
		want, _ := f.naiveCounts(d)
		wants = append(wants, want)
	}
	for _, test := range []struct {
		name string
		cfg  Config
	}{
		{"default", Config{Workers: 3}},
		{"small", Config{CacheBytes: 100_000}},
		{"tiny", Config{CacheBytes: 1}},
		{"none", Config{Forget: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			f.write(t, dir, "00000001")
			e, err := Open(dir, test.cfg)
			must(t, err)
			defer func() { must(t, e.Close()) }()
			h, err := e.Acquire(t.Context(), "")
			must(t, err)
			defer h.Release()
			var callers sync.WaitGroup
			for from := range 3 {
				callers.Go(func() {
					for i := range list {
						i = (i + from*len(list)/3) % len(list)
						sizes := engine.Sizes(i+from) % 4
						got, err := h.Count(t.Context(), list[i], sizes)
						if diff := cmp.Diff(wanted(wants[i], sizes), got); err != nil || diff != "" {
							t.Errorf("Count(%s, %d): %v (-want +got):\n%s", describe(list[i]), sizes, err, diff)
						}
					}
				})
			}
			callers.Wait()
			cache := h.(*generation).sets
			sets, bytes := cache.Kept()
			if cache.Held() != bytes || bytes > cache.Bound() {
				t.Errorf("cache counts %d bytes of %d; it keeps %d in %d sets", cache.Held(), cache.Bound(), bytes, sets)
			}
			if some := sets > 0; some != (test.name == "default" || test.name == "small") {
				t.Errorf("cache keeps %d sets", sets)
			}
		})
	}
}

// TestCacheKeeps looks at what is kept, and for how long.
func TestCacheKeeps(t *testing.T) {
	f := evalFixture(rand.New(rand.NewPCG(5, 6)), 150_000)
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	costly := query.AtLeast{K: 2, Field: query.Twitter, Values: names(0, 20)}
	cheap := query.In{Field: query.Affinity, Values: names(0, 2)}
	d := query.Definition{Steps: []query.Step{{Node: costly}, {Op: query.Filter, Node: cheap}}}
	kept := func() int {
		sets, _ := g.sets.Kept()
		return sets
	}
	if _, _, err := g.Select(t.Context(), d, engine.Alone); err != nil || kept() != 0 {
		t.Errorf("a build: %v; it keeps %d sets, want 0", err, kept())
	}
	g.sizes = recall.NewSizes(false)
	if _, err := g.Count(t.Context(), d, engine.After); err != nil || kept() != 0 {
		t.Errorf("a count of sizes after steps: %v; it keeps %d sets, want 0", err, kept())
	}
	g.sizes = recall.NewSizes(false)
	if _, err := g.Count(t.Context(), d, engine.Alone); err != nil || kept() != 1 {
		t.Errorf("a preview: %v; it keeps %d sets, want 1", err, kept())
	}
	p, err := g.compile(d, engine.Alone)
	must(t, err)
	if got := p.includes[0].node.op; got != opRows {
		t.Errorf("a node that is kept compiles to op %d, want %d", got, opRows)
	}
	if len(p.terms) != 2 {
		t.Errorf("a plan with it asks for %d terms, want 2", len(p.terms))
	}
	g.sets.Drop()
	if kept() != 0 || g.sets.Held() != 0 {
		t.Errorf("after drop %d sets and %d bytes are kept", kept(), g.sets.Held())
	}
	g.sizes = recall.NewSizes(false)
	if _, err := g.Count(t.Context(), d, engine.Alone); err != nil || kept() != 0 {
		t.Errorf("after drop a preview: %v; it keeps %d sets, want 0", err, kept())
	}
}

// TestCacheOfEdits tries many values in one parameter while others stay, and
// then changes another: what stays is kept throughout, and what was last tried
// once it is asked for again.
func TestCacheOfEdits(t *testing.T) {
	f := evalFixture(rand.New(rand.NewPCG(5, 6)), 150_000)
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	e, err := Open(dir, Config{CacheBytes: 60_000})
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	g := acquire(t, e, "")
	stays := query.AtLeast{K: 2, Field: query.Twitter, Values: names(0, 20)}
	tried := func(i int) query.Node {
		return query.AtLeast{K: 2, Field: query.Twitter, Values: names(i, i+20)}
	}
	preview := func(a, b query.Node) *plan {
		t.Helper()
		d := query.Definition{Steps: []query.Step{{Node: a}, {Op: query.Filter, Node: b}}}
		p, err := g.compile(d, engine.Alone)
		must(t, err)
		_, err = g.Count(t.Context(), d, engine.Alone)
		must(t, err)
		return p
	}
	preview(stays, tried(1))
	for i := 2; i < 30; i++ {
		if p := preview(stays, tried(i)); p.includes[0].node.op != opRows {
			t.Fatalf("try %d: what stays is not kept", i)
		}
	}
	preview(query.In{Field: query.Affinity, Values: names(0, 1)}, tried(29))
	if p := preview(query.In{Field: query.Affinity, Values: names(0, 2)}, tried(29)); p.filters[0].node.op != opRows {
		t.Error("what was tried last and is asked for again is not kept")
	}
}
