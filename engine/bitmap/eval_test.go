package bitmap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/rowset"
	"throng/internal/words"
	"throng/query"
)

// naive evaluates a node row by row.
func (f *fixture) naive(n query.Node) []bool {
	out := make([]bool, f.rows)
	switch n := n.(type) {
	case query.And:
		for r := range out {
			out[r] = true
		}
		for _, kid := range n.Nodes {
			for r, in := range f.naive(kid) {
				out[r] = out[r] && in
			}
		}
	case query.Or:
		for _, kid := range n.Nodes {
			for r, in := range f.naive(kid) {
				out[r] = out[r] || in
			}
		}
	case query.Not:
		for r, in := range f.naive(n.Node) {
			out[r] = !in
		}
	case query.In:
		if slices.Contains(n.Values, query.Unknown) {
			for r := range out {
				out[r] = true
			}
			for _, rows := range f.terms[n.Field] {
				for _, r := range rows {
					out[r] = false
				}
			}
		}
		for _, v := range n.Values {
			for _, r := range f.terms[n.Field][v] {
				out[r] = true
			}
		}
	case query.AtLeast:
		counts := make([]int, f.rows)
		values := slices.Clone(n.Values)
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			for _, r := range f.terms[n.Field][v] {
				counts[r]++
			}
		}
		for r := range out {
			out[r] = counts[r] >= n.K
		}
	case query.Text:
		for _, s := range n.Phrases {
			p, _ := words.ParsePhrase(s)
			var z words.Tokenizer
			for _, field := range n.Fields {
				for r, texts := range f.texts[field] {
					for _, text := range texts {
						out[r] = out[r] || p.In(z.Stream(nil, []byte(text)))
					}
				}
			}
		}
	case query.Rows:
		for b := range n.Set.(*rowset.Set).Blocks {
			for _, r := range n.Set.(*rowset.Set).Blocks[b].Rows(nil) {
				out[b<<16+int(r)] = true
			}
		}
	}
	return out
}

func size(set []bool) (n uint64) {
	for _, in := range set {
		if in {
			n++
		}
	}
	return n
}

func (f *fixture) naiveCounts(d query.Definition) (engine.Counts, []bool) {
	c := engine.Counts{Steps: make([]uint64, len(d.Steps)), After: make([]uint64, len(d.Steps))}
	left := make([]bool, f.rows)
	for _, phase := range []struct {
		op    query.Op
		total *uint64
	}{{query.Include, &c.Include}, {query.Filter, &c.Filter}, {query.Exclude, &c.Exclude}} {
		for i, s := range d.Steps {
			if s.Op != phase.op {
				continue
			}
			set := f.naive(s.Node)
			c.Steps[i] = size(set)
			for r, in := range set {
				switch s.Op {
				case query.Include:
					left[r] = left[r] || in
				case query.Filter:
					left[r] = left[r] && in
				case query.Exclude:
					left[r] = left[r] && !in
				}
			}
			c.After[i] = size(left)
		}
		*phase.total = size(left)
	}
	return c, left
}

// wanted is c with the sizes that were wanted.
func wanted(c engine.Counts, want engine.Sizes) engine.Counts {
	if want&engine.Alone == 0 {
		c.Steps = nil
	}
	if want&engine.After == 0 {
		c.After = nil
	}
	return c
}

// evalFixture has every kind of container, fields with one term a row, many
// accounts and texts.
func evalFixture(rng *rand.Rand, rows int) *fixture {
	f := newFixture(rows)
	for field, n := range map[query.Field]int{
		query.Affinity: 24, query.Country: 6, query.JobTitle: 8, query.Twitter: 40, query.YouTube: 400, query.Active: 3,
	} {
		for i := range n {
			rowsOf := shape(rng, rows)
			if field == query.YouTube && len(rowsOf) > rows/20 { // many, but small enough to count quickly
				rowsOf = rowsOf[:rows/20]
			}
			f.addTerm(field, strconv.Itoa(i), rowsOf)
		}
	}
	for field, values := range map[query.Field][]string{
		query.Age: {"18-24", "25-34", "over 54"}, query.Gender: {"female", "male"}, query.Ethnicity: {"asian"},
	} {
		of := make([][]uint32, len(values)+1)
		for r := range rows {
			i := rng.IntN(len(of))
			of[i] = append(of[i], uint32(r))
		}
		for i, v := range values {
			f.addTerm(field, v, of[i])
		}
	}
	vocabulary := []string{"new", "york", "times", "#go", "go", "@go", "lang", "a", "b"}
	for _, field := range []query.Field{query.BioTwitter, query.Tweet} {
		for r := rng.IntN(20); r < rows; r += 1 + rng.IntN(400) {
			for range 1 + rng.IntN(2) {
				text := ""
				for range rng.IntN(7) {
					text += vocabulary[rng.IntN(len(vocabulary))] + " "
				}
				f.addText(field, r, text)
			}
		}
	}
	return f
}

// randomNode makes a node of any sort. sets may be used as operands.
func (f *fixture) randomNode(rng *rand.Rand, depth int, sets []query.RowSet) query.Node {
	pick := func(field query.Field, n int) []string {
		values := make([]string, n)
		for i := range values {
			values[i] = strconv.Itoa(rng.IntN(len(f.terms[field]) + 2)) // some that nobody has
		}
		return values
	}
	kinds := 12
	if depth <= 0 {
		kinds = 9
	}
	switch rng.IntN(kinds) {
	case 0, 1:
		field := []query.Field{query.Affinity, query.Country, query.JobTitle}[rng.IntN(3)]
		return query.In{Field: field, Values: pick(field, rng.IntN(6))}
	case 2:
		return query.In{Field: query.Affinity, Values: pick(query.Affinity, 1)}
	case 3:
		values := []string{"18-24", "25-34", "over 54", query.Unknown, "female", "male", "asian"}
		rng.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		field := []query.Field{query.Age, query.Gender, query.Ethnicity}[rng.IntN(3)]
		return query.In{Field: field, Values: values[:1+rng.IntN(2)]}
	case 4, 5:
		return query.AtLeast{K: 1 + rng.IntN(5), Field: query.Twitter, Values: pick(query.Twitter, 1+rng.IntN(30))}
	case 6:
		return query.AtLeast{K: 1 + rng.IntN(40), Field: query.YouTube, Values: pick(query.YouTube, 1+rng.IntN(600))}
	case 7:
		phrases := []string{"new york", "york", "go lang", "#go lang", "@go", "go go", "new york times", "a b a", "nowhere", "!", "new york nowhere"}
		rng.Shuffle(len(phrases), func(i, j int) { phrases[i], phrases[j] = phrases[j], phrases[i] })
		fields := []query.Field{query.BioTwitter, query.Tweet, query.BioTikTok}
		rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		return query.Text{Fields: fields[:1+rng.IntN(3)], Phrases: phrases[:rng.IntN(4)]}
	case 8:
		if len(sets) > 0 {
			return query.Rows{Set: sets[rng.IntN(len(sets))]}
		}
		return query.In{}
	}
	kids := make([]query.Node, rng.IntN(4))
	for i := range kids {
		kids[i] = f.randomNode(rng, depth-1, sets)
	}
	switch rng.IntN(4) {
	case 0:
		return query.And{Nodes: kids}
	case 1:
		return query.Or{Nodes: kids}
	case 2:
		return query.Not{Node: f.randomNode(rng, depth-1, sets)}
	default:
		return f.randomDefinition(rng, depth-1, sets).Node()
	}
}

func (f *fixture) randomDefinition(rng *rand.Rand, depth int, sets []query.RowSet) query.Definition {
	var d query.Definition
	for range 1 + rng.IntN(5) {
		d.Steps = append(d.Steps, query.Step{Op: query.Op(rng.IntN(3)), Node: f.randomNode(rng, depth, sets)})
	}
	return d
}

func describe(n any) string { return fmt.Sprintf("%+v", n) }

// TestRandomDefinitions holds counts and rows of random definitions to an
// evaluation row by row.
func TestRandomDefinitions(t *testing.T) {
	definitions := 60
	if testing.Short() {
		definitions = 15
	}
	for _, rows := range []int{1, 63, 70_001, 1<<20 + 70_003} {
		if testing.Short() && rows > 1<<20 {
			continue
		}
		t.Run(fmt.Sprintf("rows=%d", rows), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, uint64(rows)))
			f := evalFixture(rng, rows)
			dir := t.TempDir()
			f.write(t, dir, "00000001")
			g := acquire(t, openTest(t, dir), "")
			var sets []query.RowSet
			for range definitions {
				d := f.randomDefinition(rng, 3, sets)
				want, members := f.naiveCounts(d)
				count := func() {
					t.Helper()
					sizes := engine.Sizes(rng.IntN(4))
					got, err := g.Count(t.Context(), d, sizes)
					must(t, err)
					if diff := cmp.Diff(wanted(want, sizes), got); diff != "" {
						t.Fatalf("Count(%s, %d) (-want +got):\n%s", describe(d), sizes, diff)
					}
				}
				if rng.IntN(2) == 0 {
					count()
				}
				sizes := engine.Sizes(rng.IntN(4))
				set, got, err := g.Select(t.Context(), d, sizes)
				must(t, err)
				if diff := cmp.Diff(wanted(want, sizes), got); diff != "" {
					t.Fatalf("Select(%s, %d) (-want +got):\n%s", describe(d), sizes, diff)
				}
				if !slices.Equal(f.naive(query.Rows{Set: set}), members) || set.Len() != want.Exclude {
					t.Fatalf("Select(%s) has other rows than it should, %d of them", describe(d), set.Len())
				}
				count() // of what is known by now
				if sets = append(sets, set); len(sets) > 5 {
					sets = sets[1:]
				}
			}
		})
	}
}

// TestAtLeastLarge counts more accounts than a byte holds.
func TestAtLeastLarge(t *testing.T) {
	const rows, accounts = 70_000, 700
	rng := rand.New(rand.NewPCG(1, 1))
	f := newFixture(rows)
	var values []string
	for i := range accounts {
		var of []uint32
		// Row r follows the more accounts the larger it is; some accounts are
		// followed by many, some by few.
		for r := rng.IntN(40); r < rows; r += 1 + rng.IntN(40) {
			if rng.IntN(rows) < r || r%1000 == 999 {
				of = append(of, uint32(r))
			}
		}
		if i%10 == 0 {
			of = nil
			for r := i; r < rows; r++ {
				of = append(of, uint32(r))
			}
		}
		for r := range uint32(3) { // followers of all
			if i >= int(r)*100 && !slices.Contains(of[:min(len(of), 5)], r) {
				of = append(of, r)
			}
		}
		slices.Sort(of)
		f.addTerm(query.Twitter, strconv.Itoa(i), slices.Compact(of))
		values = append(values, strconv.Itoa(i))
	}
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	for _, k := range []int{1, 2, 60, 69, 70, 71, 72, 100, 254, 255, 256, 257, 500, 600, 699, 700, 701} {
		n := query.AtLeast{K: k, Field: query.Twitter, Values: values}
		want := size(f.naive(n))
		got, err := g.Count(t.Context(), query.Definition{Steps: []query.Step{{Node: n}}}, 0)
		must(t, err)
		if got.Exclude != want {
			t.Errorf("at least %d of %d: Count = %d, want %d", k, accounts, got.Exclude, want)
		}
	}
}

func TestForeignRows(t *testing.T) {
	f := newFixture(100)
	f.addTerm(query.Country, "1", []uint32{3, 4})
	dirs := []string{t.TempDir(), t.TempDir()}
	var sets []query.RowSet
	var gens []*generation
	d := query.Definition{Steps: []query.Step{{Node: query.In{Field: query.Country, Values: []string{"1"}}}}}
	for _, dir := range dirs {
		f.write(t, dir, "00000001")
		g := acquire(t, openTest(t, dir), "")
		set, _, err := g.Select(t.Context(), d, 0)
		must(t, err)
		sets, gens = append(sets, set), append(gens, g)
	}
	foreign := query.Definition{Steps: []query.Step{{Node: query.Not{Node: query.Rows{Set: sets[0]}}}}}
	if _, err := gens[1].Count(t.Context(), foreign, 0); !errors.Is(err, engine.ErrForeignRows) {
		t.Errorf("Count with rows of another generation: error %v, want %v", err, engine.ErrForeignRows)
	}
	if got, err := gens[0].Count(t.Context(), foreign, 0); err != nil || got.Exclude != 98 {
		t.Errorf("Count = %d, %v, want 98", got.Exclude, err)
	}
	if _, err := gens[1].Count(t.Context(), query.Definition{Steps: []query.Step{{Node: query.Rows{}}}}, 0); !errors.Is(err, engine.ErrForeignRows) {
		t.Errorf("Count of no set: error %v, want %v", err, engine.ErrForeignRows)
	}
}

func TestCountCanceled(t *testing.T) {
	f := newFixture(200_000)
	f.addTerm(query.Country, "1", []uint32{3, 4})
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := query.Definition{Steps: []query.Step{{Node: query.Not{Node: query.In{Field: query.Country, Values: []string{"1"}}}}}}
	if _, err := g.Count(ctx, d, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Count = %v, want %v", err, context.Canceled)
	}
	got, err := g.Count(t.Context(), d, 0)
	must(t, err)
	if got.Exclude != 199_998 {
		t.Errorf("Count after a canceled one = %d, want 199998", got.Exclude)
	}
}

// TestPhrases asks every phrase of every field, alone, as a filter and as an
// exclusion: the three ways in which candidates are verified.
func TestPhrases(t *testing.T) {
	f := evalFixture(rand.New(rand.NewPCG(11, 12)), 70_001)
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	some := query.In{Field: query.Age, Values: []string{"18-24"}}
	found := uint64(0)
	for _, phrase := range []string{"york", "new york", "go lang", "#go lang", "@go", "go go", "new york times", "a b a", "york new york new", "a a"} {
		for _, fields := range [][]query.Field{{query.BioTwitter}, {query.Tweet}, {query.Tweet, query.BioTwitter, query.BioTikTok}} {
			text := query.Text{Fields: fields, Phrases: []string{phrase, "times times"}}
			for _, d := range []query.Definition{
				one(text),
				{Steps: []query.Step{{Node: some}, {Op: query.Filter, Node: text}}},
				{Steps: []query.Step{{Node: some}, {Op: query.Include, Node: text}, {Op: query.Exclude, Node: text}}},
				one(query.And{Nodes: []query.Node{query.Not{Node: text}, some}}),
			} {
				want, _ := f.naiveCounts(d)
				got, err := g.Count(t.Context(), d, engine.Alone|engine.After)
				must(t, err)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("Count(%s) (-want +got):\n%s", describe(d), diff)
				}
			}
			n, err := g.Count(t.Context(), one(query.Text{Fields: fields, Phrases: []string{phrase}}), 0)
			must(t, err)
			found += n.Exclude
		}
	}
	if found == 0 {
		t.Error("no phrase was found at all")
	}
}
