package bitmap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/rowset"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// breakdownFixture has blocks of all sorts: whole and short, in two parts, and
// terms that from next to none to all rows have, some in runs.
func breakdownFixture(rng *rand.Rand, rows int) *fixture {
	f := newFixture(rows)
	single := []query.Field{query.Age, query.Gender, query.Country}
	for _, field := range single {
		lists := make([][]uint32, 4)
		for r := range rows {
			if v := rng.IntN(6); v < len(lists) {
				lists[v] = append(lists[v], uint32(r))
			}
		}
		for v, l := range lists {
			f.addTerm(field, fmt.Sprint(v), l)
		}
	}
	for i := range 20 {
		f.addTerm(query.Affinity, fmt.Sprint(i), shape(rng, rows))
	}
	f.addTerm(query.Employer, "run", rowsBetween(rows/3, rows/2))
	f.addTerm(query.Employer, "everybody", rowsBetween(0, rows))
	for i := range max(150, 600-rows/300) {
		var l []uint32
		step := 1 + rng.IntN(200+rows/10)
		for r := rng.IntN(step); r < rows; r += 1 + rng.IntN(step) {
			l = append(l, uint32(r))
		}
		f.addTerm(query.Twitter, fmt.Sprintf("%05d", i), l)
	}
	f.addTerm(query.Personality, "love", shape(rng, rows))
	scored := slices.Concat(f.terms[query.Personality]["love"], rowsBetween(0, rows/2))
	slices.Sort(scored)
	f.addTerm(query.Scored, "any", slices.Compact(scored))
	f.addTerm(query.Active, "30", rowsBetween(0, rows/7))
	return f
}

func rowsBetween(from, to int) []uint32 {
	var l []uint32
	for r := from; r < to; r++ {
		l = append(l, uint32(r))
	}
	return l
}

// audiences are sets of rows of all sizes and shapes.
func audiences(rng *rand.Rand, rows int) map[string][]uint32 {
	random := func(share float64) []uint32 {
		var l []uint32
		for r := range rows {
			if rng.Float64() < share {
				l = append(l, uint32(r))
			}
		}
		return l
	}
	return map[string][]uint32{
		"nobody":      nil,
		"one":         {uint32(rows - 1)},
		"few":         random(0.0003),
		"some":        random(0.02),
		"many":        random(0.3),
		"most":        random(0.8),
		"but one":     rowsBetween(1, rows),
		"everybody":   rowsBetween(0, rows),
		"a block":     rowsBetween(0, min(rows, storage.BlockRows)),
		"a part":      rowsBetween(min(rows, storage.PartRows)/2, min(rows, storage.PartRows)),
		"but a block": rowsBetween(min(rows, storage.BlockRows), rows),
	}
}

// expected counts by the fixture's lists.
func (f *fixture) expected(rows []uint32, fields []query.Field) []engine.Breakdown {
	in := make([]bool, f.rows)
	for _, r := range rows {
		in[r] = true
	}
	out := make([]engine.Breakdown, len(fields))
	for i, field := range fields {
		out[i] = engine.Breakdown{Field: field, Counts: []uint32{}}
		known := map[uint32]bool{}
		know := func(l []uint32) (n uint32) {
			for _, r := range l {
				if in[r] {
					known[r] = true
					n++
				}
			}
			return n
		}
		for _, value := range slices.Sorted(mapKeys(f.terms[field])) {
			if l := f.terms[field][value]; len(l) > 0 {
				out[i].Counts = append(out[i].Counts, know(l))
			}
		}
		if field == query.Personality {
			know(f.terms[query.Scored]["any"])
		}
		out[i].Known = uint64(len(known))
	}
	return out
}

func mapKeys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// setOf makes a set of rows, ascending.
func setOf(g *generation, rows []uint32) *rowset.Set {
	blocks := make([]rowset.Block, g.blocks)
	for b := range blocks {
		var bits [storage.BlockWords]uint64
		n := 0
		for ; len(rows) > 0 && int(rows[0])/storage.BlockRows == b; rows = rows[1:] {
			bits[uint16(rows[0])>>6] |= 1 << (rows[0] & 63)
			n++
		}
		blocks[b] = rowset.NewBlock(&bits, n)
	}
	return g.newRowSet(blocks)
}

// TestBreakdown counts by every method, and gets the same.
func TestBreakdown(t *testing.T) {
	for _, rows := range []int{1, 5000, storage.BlockRows + 1000, storage.PartRows + 70_000} {
		if testing.Short() && rows > storage.PartRows {
			continue
		}
		rng := rand.New(rand.NewPCG(uint64(rows), 5))
		f := breakdownFixture(rng, rows)
		dir := t.TempDir()
		f.write(t, dir, "00000001")
		g := acquire(t, openTest(t, dir), "")
		if rows < storage.PartRows {
			must(t, g.engine.Check(t.Context(), "", nil))
		}
		all := forward.CountedFields()
		for name, list := range audiences(rng, rows) {
			if rows > storage.PartRows && !slices.Contains([]string{"few", "some", "most", "a part"}, name) {
				continue
			}
			set := setOf(g, list)
			some := [][]query.Field{all, {query.Gender, query.Age, query.Gender}, {query.Personality, query.Employer}}
			if rows > storage.PartRows {
				some = some[:1]
			}
			for _, fields := range some {
				want := f.expected(list, fields)
				for _, how := range []method{chosen, byPerson, byRecord, byTerm} {
					got, err := g.breakdown(t.Context(), set, fields, how)
					if diff := cmp.Diff(want, got); err != nil || diff != "" {
						t.Errorf("Breakdown(%s of %d, %v) by method %v: %v, differs (-want +got):\n%.3000s", name, rows, fields, how, err, diff)
					}
				}
			}
		}
	}
}

// TestBreakdownChooses takes the way that touches less.
func TestBreakdownChooses(t *testing.T) {
	const rows = 2 * storage.BlockRows
	rng := rand.New(rand.NewPCG(1, 5))
	f := newFixture(rows)
	for i := range 2000 {
		var l []uint32
		for r := rng.IntN(200); r < rows; r += 1 + rng.IntN(200) {
			l = append(l, uint32(r))
		}
		f.addTerm(query.Twitter, fmt.Sprintf("%05d", i), l)
	}
	f.addTerm(query.Gender, "female", shape(rng, rows))
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	both := []query.Field{query.Gender, query.Twitter}
	for _, c := range []struct {
		rows   []uint32
		fields []query.Field
		want   method
	}{
		{rowsBetween(0, 10), both, byPerson},
		{rowsBetween(0, rows/3), both, byPerson},
		{rowsBetween(10, rows), both, byPerson}, // the other ten are counted
		{rowsBetween(0, storage.BlockRows), both[:1], byTerm},
		{rowsBetween(0, 3), both[:1], byPerson},
		{nil, both, chosen}, // nobody: nothing is done at all
	} {
		b, err := g.newBreakdown(setOf(g, c.rows), c.fields, chosen)
		if err != nil || b.how != c.want {
			t.Errorf("Breakdown(%d rows, %v) goes by %v, %v, want %v", len(c.rows), c.fields, b.how, err, c.want)
		}
	}
}

// TestBreakdownOfEveryone touches neither postings nor records.
func TestBreakdownOfEveryone(t *testing.T) {
	f := breakdownFixture(rand.New(rand.NewPCG(2, 5)), storage.BlockRows+9)
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	for _, name := range []string{storage.PartName(0), forward.Name(0)} {
		damagePayload(t, filepath.Join(dir, "00000001", filepath.FromSlash(name)))
	}
	g := acquire(t, openTest(t, dir), "")
	rows := rowsBetween(0, f.rows)
	fields := forward.CountedFields()
	got, err := g.Breakdown(t.Context(), setOf(g, rows), fields)
	if diff := cmp.Diff(f.expected(rows, fields), got); err != nil || diff != "" {
		t.Errorf("Breakdown(everyone): %v, differs (-want +got):\n%s", err, diff)
	}
	for _, how := range []method{byPerson, byTerm} {
		if _, err := g.breakdown(t.Context(), setOf(g, rows[:1000]), fields, how); !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("Breakdown of damaged files by method %v = %v, want %v", how, err, engine.ErrCorrupt)
		}
	}
}

// damagePayload flips a bit of every chunk of a file's payload.
func damagePayload(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	for at := 100; at < len(b)*9/10; at += 1 << 16 {
		b[at] ^= 4
	}
	must(t, os.WriteFile(path, b, 0o600))
}

func TestBreakdownCanceled(t *testing.T) {
	f := breakdownFixture(rand.New(rand.NewPCG(3, 5)), 1000)
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Breakdown(ctx, setOf(g, rowsBetween(0, 5)), forward.CountedFields()); !errors.Is(err, context.Canceled) {
		t.Errorf("Breakdown(canceled) = %v, want %v", err, context.Canceled)
	}
}

// TestCheckForward finds a forward index that says other than the postings.
func TestCheckForward(t *testing.T) {
	make := func() *fixture { return breakdownFixture(rand.New(rand.NewPCG(4, 5)), 3000) }
	for name, spoil := range map[string]func(f *fixture){
		"a row less":           func(f *fixture) { l := f.terms[query.Twitter]; l["00000"] = l["00000"][1:] },
		"another row":          func(f *fixture) { f.terms[query.Twitter]["00001"][0] ^= 1 },
		"a row of a long list": func(f *fixture) { f.terms[query.Employer]["everybody"] = rowsBetween(0, 2999) },
		"another score":        func(f *fixture) { f.terms[query.Scored]["any"] = f.terms[query.Scored]["any"][1:] },
	} {
		dir, other := t.TempDir(), t.TempDir()
		make().write(t, dir, "00000001")
		f := make()
		spoil(f)
		f.write(t, other, "00000001")
		swapFile(t, dir, other, forward.Name(0))
		err := openTest(t, dir).Check(t.Context(), "", nil)
		if !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("%s: Check = %v, want %v", name, err, engine.ErrCorrupt)
		}
	}
}

// swapFile puts a file of another generation, and its place in the manifest,
// into a generation.
func swapFile(t *testing.T, dir, other, name string) {
	t.Helper()
	dir, other = filepath.Join(dir, "00000001"), filepath.Join(other, "00000001")
	b, err := os.ReadFile(filepath.Join(other, filepath.FromSlash(name)))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), b, 0o600))
	m, err := storage.ReadManifest(dir)
	must(t, err)
	from, err := storage.ReadManifest(other)
	must(t, err)
	for i, f := range from.Files {
		if f.Name == name {
			m.Files[slices.IndexFunc(m.Files, func(g storage.FileSum) bool { return g.Name == name })] = from.Files[i]
		}
	}
	must(t, os.Remove(filepath.Join(dir, storage.ManifestName)))
	must(t, storage.WriteManifest(dir, m))
}
