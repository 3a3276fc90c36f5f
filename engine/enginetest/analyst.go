package enginetest

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/enginetest/model"
	"throng/query"
)

// numbersOf gives the number of every term of fields, numbered on end.
func numbersOf(t *testing.T, g engine.Generation, fields []query.Field) map[query.Field]map[string]uint32 {
	t.Helper()
	out, at := map[query.Field]map[string]uint32{}, uint32(0)
	for _, f := range fields {
		out[f] = map[string]uint32{}
		for i := range g.Catalog().NumTerms(f) {
			term, err := g.Catalog().TermAt(f, i)
			if err != nil {
				t.Fatalf("TermAt(%s, %d): %v", f, i, err)
			}
			out[f][term.Value] = at
			at++
		}
	}
	return out
}

// compareAnalyst compares what rows have and what it weighs with the model's
// people.
func compareAnalyst(t *testing.T, rng *rand.Rand, m *model.Model, g engine.Generation, keys []string) {
	t.Helper()
	fields := countedFields()
	rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	fields = fields[:rng.IntN(len(fields)+1)]
	set := matchKeys(t, g, keys...)
	numbers, err := g.RowNumbers(set)
	if err != nil {
		t.Fatalf("RowNumbers: %v", err)
	}
	number := numbersOf(t, g, fields)
	weights := randomWeights(rng, g, fields)
	flat := flatten(weights)
	terms, scores := map[uint32][]uint32{}, map[uint32]int32{}
	for i, key := range m.People() {
		if !slices.Contains(keys, key) {
			continue
		}
		list, sum := []uint32{}, int64(0)
		for _, f := range fields {
			for _, v := range m.Terms(key, f) {
				list = append(list, number[f][v])
				sum += int64(flat[number[f][v]])
			}
		}
		slices.Sort(list)
		terms[uint32(i)] = list
		scores[uint32(i)] = int32(max(math.MinInt32, min(math.MaxInt32, sum)))
	}
	compareHeld(t, g, set, fields, numbers, terms)
	if diff := cmp.Diff(scores, scoresOf(t, g, set, weights)); diff != "" {
		t.Errorf("Score(%v) of %d people differs (-want +got):\n%s", fields, len(keys), diff)
	}
	back, err := g.RowsNumbered(numbers)
	if err != nil {
		t.Fatalf("RowsNumbered: %v", err)
	}
	if diff := cmp.Diff(keysOf(t, g, set), keysOf(t, g, back)); diff != "" {
		t.Errorf("RowsNumbered(RowNumbers) differs (-want +got):\n%s", diff)
	}
}

func randomWeights(rng *rand.Rand, g engine.Generation, fields []query.Field) []engine.Weights {
	out := make([]engine.Weights, len(fields))
	for i, f := range fields {
		out[i] = engine.Weights{Field: f, Of: make([]int16, g.Catalog().NumTerms(f))}
		for j := range out[i].Of {
			out[i].Of[j] = int16(rng.IntN(1<<16) - 1<<15)
		}
	}
	return out
}

func flatten(weights []engine.Weights) (flat []int16) {
	for _, w := range weights {
		flat = append(flat, w.Of...)
	}
	return flat
}

func compareHeld(t *testing.T, g engine.Generation, set query.RowSet, fields []query.Field, numbers []uint32, want map[uint32][]uint32) {
	t.Helper()
	got := map[uint32][]uint32{}
	var mu sync.Mutex
	err := g.Terms(t.Context(), set, fields, func(h *engine.Held) error {
		mu.Lock()
		defer mu.Unlock()
		from := uint32(0)
		for i, r := range h.Rows {
			if at := h.First + uint64(i); at >= uint64(len(numbers)) || numbers[at] != r {
				t.Errorf("Terms passes row %d as number %d of the set %v", r, at, numbers)
			}
			list := append([]uint32{}, h.Terms[from:h.Ends[i]]...)
			slices.Sort(list)
			got[r], from = list, h.Ends[i]
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Terms(%v): %v", fields, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Terms(%v) of %d people differs (-want +got):\n%s", fields, set.Len(), diff)
	}
}

func scoresOf(t *testing.T, g engine.Generation, set query.RowSet, weights []engine.Weights) map[uint32]int32 {
	t.Helper()
	got := map[uint32]int32{}
	var mu sync.Mutex
	err := g.Score(t.Context(), set, weights, func(s *engine.Scored) error {
		mu.Lock()
		defer mu.Unlock()
		for i, r := range s.Rows {
			got[r] = s.Scores[i]
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Score: %v", err)
	}
	return got
}

func testAnalyst(t *testing.T, e engine.Engine) {
	tables := map[string]string{
		"people":     "person,gender\na,female\nb,male\nc,\nd,male\n",
		"affinities": "affinity,name,parent\ncars,Cars,.interests.\nbmw,BMW,cars\nfood,Food,.interests.\n",
		"interests":  "person,affinity\na,bmw\nb,cars\nc,food\nc,bmw\n",
	}
	g := loadTables(t, e, tables)
	other := loadTables(t, e, tables)
	set := matchKeys(t, g, "a", "c", "d")
	fields := []query.Field{query.Gender, query.Twitter, query.Affinity}
	compareHeld(t, g, set, fields, []uint32{0, 2, 3}, map[uint32][]uint32{
		0: {0, 2, 3}, // female, bmw, cars
		2: {2, 3, 4}, // bmw, cars, food
		3: {1},
	})
	weights := []engine.Weights{{Field: query.Affinity, Of: []int16{100, -7, 30}}, {Field: query.Gender, Of: []int16{1, 2}}, {Field: query.Twitter}}
	want := map[uint32]int32{0: 94, 2: 123, 3: 2}
	if diff := cmp.Diff(want, scoresOf(t, g, set, weights)); diff != "" {
		t.Errorf("Score differs (-want +got):\n%s", diff)
	}
	visited := func(*engine.Held) error { t.Error("Terms passes something"); return nil }
	stop := errors.New("stop")
	if err := g.Terms(t.Context(), set, fields, func(*engine.Held) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Terms = %v, want the error of visit", err)
	}
	if err := g.Score(t.Context(), set, weights, func(*engine.Scored) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Score = %v, want the error of visit", err)
	}
	for _, bad := range [][]query.Field{{query.Tweet}, {query.Active}, {query.Scored}, {"shoe_size"}, {query.Gender, query.Gender}} {
		if err := g.Terms(t.Context(), set, bad, visited); err == nil {
			t.Errorf("Terms(%v) = nil error, want one", bad)
		}
	}
	if err := g.Score(t.Context(), set, []engine.Weights{{Field: query.Gender, Of: []int16{1}}}, nil); err == nil {
		t.Error("Score(too few weights) = nil error, want one")
	}
	if err := other.Terms(t.Context(), set, fields, visited); !errors.Is(err, engine.ErrForeignRows) {
		t.Errorf("Terms(rows of another generation) = %v, want ErrForeignRows", err)
	}
	if err := other.Score(t.Context(), set, weights, nil); !errors.Is(err, engine.ErrForeignRows) {
		t.Errorf("Score(rows of another generation) = %v, want ErrForeignRows", err)
	}
	if _, err := other.RowNumbers(set); !errors.Is(err, engine.ErrForeignRows) {
		t.Errorf("RowNumbers(rows of another generation) = %v, want ErrForeignRows", err)
	}
	for _, bad := range [][]uint32{{4}, {1, 1}, {2, 1}, {0, 1 << 31}} {
		if _, err := g.RowsNumbered(bad); err == nil {
			t.Errorf("RowsNumbered(%v) = nil error, want one", bad)
		}
	}
	if none, err := g.RowsNumbered(nil); err != nil || none.Len() != 0 {
		t.Errorf("RowsNumbered(nil) = %v, %v, want nobody", none, err)
	}
}
