package bitmap

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/rowset"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// analystFixture is breakdownFixture with rows that have very many terms, and,
// where it is asked for, more terms than a part has codes.
func analystFixture(rng *rand.Rand, rows int, rare bool) *fixture {
	f := breakdownFixture(rng, rows)
	for i := range 300 {
		f.addTerm(query.YouTube, fmt.Sprintf("many%03d", i), []uint32{uint32(rows / 2)})
	}
	if rare {
		for i := range 66_000 {
			f.addTerm(query.TikTok, fmt.Sprintf("%05d", i), []uint32{uint32(rng.IntN(rows/8)) * uint32(1+rng.IntN(8))})
		}
	}
	return f
}

// held lists the terms of every row by number, and what they weigh.
func (f *fixture) held(fields []query.Field, weights []engine.Weights) (terms [][]uint32, scores []int32) {
	terms = make([][]uint32, f.rows)
	sums := make([]int64, f.rows)
	at := uint32(0)
	for i, field := range fields {
		n := 0
		for _, value := range slices.Sorted(mapKeys(f.terms[field])) {
			rows := f.terms[field][value]
			if len(rows) == 0 {
				continue
			}
			for _, r := range rows {
				terms[r] = append(terms[r], at)
				sums[r] += int64(weights[i].Of[n])
			}
			at++
			n++
		}
	}
	scores = make([]int32, f.rows)
	for r, sum := range sums {
		scores[r] = int32(max(math.MinInt32, min(math.MaxInt32, sum)))
	}
	return terms, scores
}

func (g *generation) randomWeights(rng *rand.Rand, fields []query.Field) []engine.Weights {
	out := make([]engine.Weights, len(fields))
	for i, f := range fields {
		out[i] = engine.Weights{Field: f, Of: make([]int16, g.catalog.NumTerms(f))}
		for j := range out[i].Of {
			out[i].Of[j] = int16(rng.IntN(1<<16) - 1<<15)
		}
	}
	return out
}

// TestAnalyst lists and weighs what rows have: rows of whole and short blocks,
// of two parts, with many terms and with terms that have no code.
func TestAnalyst(t *testing.T) {
	for _, c := range []struct {
		rows int
		rare bool
	}{{1, false}, {5000, false}, {5000, true}, {storage.BlockRows + 1000, true}, {storage.PartRows + 70_000, false}} {
		if testing.Short() && c.rows > storage.PartRows {
			continue
		}
		rng := rand.New(rand.NewPCG(uint64(c.rows), 6))
		f := analystFixture(rng, c.rows, c.rare)
		dir := t.TempDir()
		f.write(t, dir, "00000001")
		g := acquire(t, openTest(t, dir), "")
		for name, list := range audiences(rng, c.rows) {
			if c.rows > storage.PartRows && name != "some" && name != "but a block" {
				continue
			}
			f.compareAnalyst(t, rng, g, name, list)
		}
	}
}

func (f *fixture) compareAnalyst(t *testing.T, rng *rand.Rand, g *generation, name string, list []uint32) {
	t.Helper()
	fields := forward.CountedFields()
	if rng.IntN(2) == 0 {
		fields = []query.Field{query.YouTube, query.TikTok, query.Gender, query.Affinity}
	}
	weights := g.randomWeights(rng, fields)
	terms, scores := f.held(fields, weights)
	set := setOf(g, list)
	numbers, err := g.RowNumbers(set)
	if diff := cmp.Diff(append([]uint32{}, list...), numbers); err != nil || diff != "" {
		t.Fatalf("RowNumbers(%s of %d): %v, differs (-want +got):\n%.2000s", name, f.rows, err, diff)
	}
	var mu sync.Mutex
	seen := 0
	must(t, g.Terms(t.Context(), set, fields, func(h *engine.Held) error {
		mu.Lock()
		defer mu.Unlock()
		from := uint32(0)
		for i, r := range h.Rows {
			got := slices.Sorted(slices.Values(h.Terms[from:h.Ends[i]]))
			if list[h.First+uint64(i)] != r || !slices.Equal(got, terms[r]) {
				return fmt.Errorf("row %d has %v, want %v", r, got, terms[r])
			}
			from = h.Ends[i]
			seen++
		}
		return nil
	}))
	scored := 0
	must(t, g.Score(t.Context(), set, weights, func(s *engine.Scored) error {
		mu.Lock()
		defer mu.Unlock()
		for i, r := range s.Rows {
			if s.Scores[i] != scores[r] {
				return fmt.Errorf("row %d scores %d, want %d", r, s.Scores[i], scores[r])
			}
			scored++
		}
		return nil
	}))
	if seen != len(list) || scored != len(list) {
		t.Errorf("%s of %d rows: %d listed and %d scored, want %d", name, f.rows, seen, scored, len(list))
	}
	back, err := g.RowsNumbered(list)
	must(t, err)
	if diff := cmp.Diff(set.Blocks, back.(*rowset.Set).Blocks, cmp.AllowUnexported(rowset.Block{})); diff != "" {
		t.Errorf("RowsNumbered(%s of %d) differs (-want +got):\n%.2000s", name, f.rows, diff)
	}
}

// TestAnalystDamage finds a forward index that was damaged, and stops when it
// is told to.
func TestAnalystDamage(t *testing.T) {
	f := analystFixture(rand.New(rand.NewPCG(2, 6)), storage.BlockRows+9, false)
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	set := setOf(g, rowsBetween(0, 5))
	held := func(*engine.Held) error { return nil }
	if err := g.Terms(ctx, set, nil, held); !errors.Is(err, context.Canceled) {
		t.Errorf("Terms(canceled) = %v, want %v", err, context.Canceled)
	}
	damagePayload(t, filepath.Join(dir, "00000001", filepath.FromSlash(forward.Name(0))))
	if err := g.Terms(t.Context(), set, nil, held); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("Terms of damaged files = %v, want %v", err, engine.ErrCorrupt)
	}
	if err := g.Score(t.Context(), set, nil, func(*engine.Scored) error { return nil }); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("Score of damaged files = %v, want %v", err, engine.ErrCorrupt)
	}
}

// analystBench is people with some 20 terms of accounts each.
func analystBench(b *testing.B, rows int) (*generation, []query.Field, query.RowSet) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 6))
	f := benchFixture(rows)
	for i := range 3000 {
		f.addTerm(query.YouTube, fmt.Sprintf("%05d", i), sample(rng, rows, 2/float64(i+10)))
	}
	dir := b.TempDir()
	f.write(b, dir, "00000001")
	e, err := Open(dir, Config{})
	must(b, err)
	b.Cleanup(func() { must(b, e.Close()) })
	g, err := e.Acquire(b.Context(), "")
	must(b, err)
	b.Cleanup(g.Release)
	all, _, err := g.Select(b.Context(), one(query.And{}), 0)
	must(b, err)
	return g.(*generation), forward.CountedFields(), all
}

func BenchmarkScore(b *testing.B) {
	const rows = 1_000_000
	g, fields, all := analystBench(b, rows)
	weights := g.randomWeights(rand.New(rand.NewPCG(1, 7)), fields)
	b.Run("score/rows=1e6", func(b *testing.B) {
		for b.Loop() {
			must(b, g.Score(b.Context(), all, weights, func(*engine.Scored) error { return nil }))
		}
	})
	b.Run("terms/rows=1e6", func(b *testing.B) {
		for b.Loop() {
			must(b, g.Terms(b.Context(), all, fields, func(*engine.Held) error { return nil }))
		}
	})
}
