package bitmap

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
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
		{"small", Config{CacheBytes: 40_000}},
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
			sets := &h.(*generation).sets
			kept := int64(0)
			for e := sets.order.Front(); e != nil; e = e.Next() {
				kept += e.Value.(*cachedSet).bytes
			}
			if sets.used != kept || kept > sets.limit || len(sets.sets) != sets.order.Len() {
				t.Errorf("cache counts %d bytes of %d in %d sets; it keeps %d in %d",
					sets.used, sets.limit, len(sets.sets), kept, sets.order.Len())
			}
			if some := sets.order.Len() > 0; some != (test.name == "default" || test.name == "small") {
				t.Errorf("cache keeps %d sets", sets.order.Len())
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
	kept := func() int { return g.sets.order.Len() }
	if _, _, err := g.Select(t.Context(), d, engine.Alone); err != nil || kept() != 0 {
		t.Errorf("a build: %v; it keeps %d sets, want 0", err, kept())
	}
	g.sizes.sizes = nil
	if _, err := g.Count(t.Context(), d, engine.After); err != nil || kept() != 0 {
		t.Errorf("a count of sizes after steps: %v; it keeps %d sets, want 0", err, kept())
	}
	g.sizes.sizes = nil
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
	g.sets.drop()
	if kept() != 0 || g.sets.used != 0 {
		t.Errorf("after drop %d sets and %d bytes are kept", kept(), g.sets.used)
	}
	g.sizes.sizes = nil
	if _, err := g.Count(t.Context(), d, engine.Alone); err != nil || kept() != 0 {
		t.Errorf("after drop a preview: %v; it keeps %d sets, want 0", err, kept())
	}
}

// TestSetCache forgets what was not used for longest.
func TestSetCache(t *testing.T) {
	key := func(i int) [32]byte { return [32]byte{byte(i)} }
	c := setCache{limit: 100}
	for i := range 3 {
		if !c.reserve(30) {
			t.Fatalf("reserve %d: no room", i)
		}
		c.put(key(i), &rowSet{n: uint64(i)}, 30)
	}
	if c.get(key(0)) == nil {
		t.Error("the first set is not kept")
	}
	if !c.reserve(40) { // forgets 1
		t.Error("reserve: no room")
	}
	if c.get(key(0)) == nil || c.get(key(1)) != nil || c.get(key(2)) == nil || c.used != 100 {
		t.Errorf("kept are %d sets, %d bytes", c.order.Len(), c.used)
	}
	if c.reserve(101) {
		t.Error("reserve has room for more than all")
	}
	c.release(40)
	if c.used != 60 || c.order.Len() != 2 {
		t.Errorf("%d sets, %d bytes are left", c.order.Len(), c.used)
	}
	if !c.reserve(60) || !c.reserve(40) {
		t.Error("no room for two")
	}
	c.put(key(4), &rowSet{n: 1}, 60)
	c.put(key(4), &rowSet{n: 2}, 40) // the first stays
	if c.get(key(4)).n != 1 || c.used != 60 {
		t.Errorf("kept is %d, %d bytes", c.get(key(4)).n, c.used)
	}
}
