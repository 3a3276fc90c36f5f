package bitmap

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/rowset"
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

// TestSizeCache puts more sizes than there is room for: what is found is what
// was put, most of the newest are found, and no more memory is taken.
func TestSizeCache(t *testing.T) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 2))
	var c sizeCache
	sizes := map[[32]byte]uint64{}
	var keys [][32]byte
	for i := range 3 * 4 * sizeLines {
		key := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
		if i%5 == 4 { // again, with another size
			key = keys[rng.IntN(len(keys))]
		} else {
			keys = append(keys, key)
		}
		if n, known := c.get(key); known && n != sizes[key] {
			t.Fatalf("size of key %d is %d, want %d", i, n, sizes[key])
		}
		n := rng.Uint64()
		c.put(key, n)
		sizes[key] = n
		if got, known := c.get(key); !known || got != n {
			t.Fatalf("size of key %d is %d, %t at once, want %d", i, got, known, n)
		}
	}
	found := 0
	for _, key := range keys[len(keys)-sizeLines:] {
		if n, known := c.get(key); known {
			found++
			if n != sizes[key] {
				t.Fatalf("size is %d, want %d", n, sizes[key])
			}
		}
	}
	if found < sizeLines*8/10 {
		t.Errorf("%d of the newest %d sizes are known", found, sizeLines)
	}
	if len(c.lines) != sizeLines {
		t.Errorf("%d lines, want %d", len(c.lines), sizeLines)
	}
	if n, known := c.get([32]byte{1}); known {
		t.Errorf("a key that was never put has size %d", n)
	}
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
	g.sizes.lines = nil
	if _, err := g.Count(t.Context(), d, engine.After); err != nil || kept() != 0 {
		t.Errorf("a count of sizes after steps: %v; it keeps %d sets, want 0", err, kept())
	}
	g.sizes.lines = nil
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
	g.sizes.lines = nil
	if _, err := g.Count(t.Context(), d, engine.Alone); err != nil || kept() != 0 {
		t.Errorf("after drop a preview: %v; it keeps %d sets, want 0", err, kept())
	}
}

// TestSetCache forgets what was not used for longest, and only for what was
// asked for later.
func TestSetCache(t *testing.T) {
	key := func(i int) [32]byte { return [32]byte{byte(i)} }
	c := setCache{limit: 100}
	for i := range 3 {
		if before := c.ask(key(i)); before != 0 {
			t.Errorf("ask(%d) = %d the first time, want 0", i, before)
		}
		if !c.reserve(30, 0) {
			t.Fatalf("reserve %d: no room", i)
		}
		c.put(key(i), rowset.New([32]byte{}, 0, []rowset.Block{{N: i}}), 30)
	}
	if c.get(key(0)) == nil {
		t.Error("the first set is not kept")
	}
	if before := c.ask(key(3)); c.room(40, before) || c.reserve(40, before) {
		t.Error("what was never asked for pushes out what was")
	}
	c.get(key(2))
	before := c.ask(key(3))
	if before == 0 {
		t.Error("ask does not remember")
	}
	if !c.room(40, before) || c.room(71, before) || !c.reserve(40, before) { // forgets 1
		t.Error("what was asked for last finds no room, or too much")
	}
	if c.get(key(0)) == nil || c.get(key(1)) != nil || c.get(key(2)) == nil || c.used != 100 {
		t.Errorf("kept are %d sets, %d bytes", c.order.Len(), c.used)
	}
	if again := c.ask(key(1)); again == 0 || c.room(1, again) {
		t.Errorf("what was forgotten, last asked for at %d, pushes out what was used since", again)
	}
	const last = math.MaxUint64
	if c.reserve(101, last) || c.order.Len() != 0 {
		t.Error("reserve has room for more than all")
	}
	c.release(40)
	if c.used != 0 {
		t.Errorf("%d bytes are left of nothing", c.used)
	}
	if !c.reserve(60, 0) || !c.reserve(40, 0) {
		t.Error("no room for two")
	}
	c.put(key(4), rowset.New([32]byte{}, 0, []rowset.Block{{N: 1}}), 60)
	c.put(key(4), rowset.New([32]byte{}, 0, []rowset.Block{{N: 2}}), 40) // the first stays
	if c.get(key(4)).Len() != 1 || c.used != 60 {
		t.Errorf("kept is %d, %d bytes", c.get(key(4)).Len(), c.used)
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
