package enginetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"throng/engine"
	"throng/engine/enginetest/model"
	"throng/identifier"
	"throng/query"
)

// testRandom asks random questions of random datasets.
func testRandom(t *testing.T, open func(t *testing.T) engine.Engine) {
	if s := os.Getenv("THRONG_TEST_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		randomRound(t, open(t), seed)
		return
	}
	rounds := 6
	if s := os.Getenv("THRONG_TEST_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		rounds = n
	}
	for range rounds {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { randomRound(t, open(t), seed) })
	}
}

func randomRound(t *testing.T, e engine.Engine, seed uint64) {
	rng := newRand(seed)
	dir := t.TempDir()
	if err := RandomDataset(rng, dir, Options{}); err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(dir, suiteNow())
	if err != nil {
		t.Fatalf("LoadModel: %v", err)
	}
	g, report := loadDir(t, e, dir)
	compareReport(t, m, report)
	if diff := cmp.Diff(m.People(), keysFor(t, g, everyone())); diff != "" {
		t.Fatalf("people differ (-want +got):\n%s", diff)
	}
	for range 60 {
		n := RandomNode(rng, m)
		compareNode(t, rng, m, g, n)
	}
	ext := model.External{Uploads: map[string]model.UploadedFile{}, Audiences: map[int64][]string{}}
	for i := range 5 {
		typ, content := RandomUpload(rng, m)
		ext.Uploads[fmt.Sprintf("k%d", i)] = model.UploadedFile{Type: typ, Content: content}
		ext.Audiences[int64(i)] = someKeys(rng, m)
		compareUpload(t, m, g, typ, content)
	}
	for range 60 {
		def := RandomDefinitionWith(rng, m, ext)
		if diff := definitionDiff(t, m, g, def, ext); diff != "" {
			small := Reduce(def, func(d json.RawMessage) bool { return definitionDiff(t, m, g, d, ext) != "" })
			t.Errorf("%s differs (-want +got):\n%s", small, definitionDiff(t, m, g, small, ext))
		}
	}
	for range 5 {
		compareStream(t, m, g, someKeys(rng, m))
	}
	compareStream(t, m, g, m.People())
	for range 5 {
		compareBreakdown(t, rng, m, g, someKeys(rng, m))
		compareAnalyst(t, rng, m, g, someKeys(rng, m))
	}
	compareBreakdown(t, rng, m, g, m.People())
	compareAnalyst(t, rng, m, g, m.People())
	compareTerms(t, m, g)
	compareTermsAt(t, m, g)
	if err := e.Check(t.Context(), "", nil); err != nil {
		t.Errorf("Check = %v, want nil", err)
	}
}

// someKeys gives a random part of the people.
func someKeys(rng *rand.Rand, m *model.Model) []string {
	var keys []string
	share := rng.IntN(10) + 1
	for _, k := range m.People() {
		if rng.IntN(10) < share {
			keys = append(keys, k)
		}
	}
	return keys
}

func compareReport(t *testing.T, m *model.Model, report *engine.Report) {
	t.Helper()
	want, got := map[string]model.TableCount{}, map[string]model.TableCount{}
	for _, c := range m.Report() {
		want[c.Table] = c
	}
	for _, r := range report.Tables {
		c := model.TableCount{Table: r.Table, Rows: int(r.Rows), Loaded: int(r.Loaded)}
		for _, n := range r.Rejected {
			c.Rejected += int(n)
		}
		for _, n := range r.Skipped {
			c.Skipped += int(n)
		}
		got[r.Table] = c
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Report differs (-want +got):\n%s", diff)
	}
}

func compareNode(t *testing.T, rng *rand.Rand, m *model.Model, g engine.Generation, n query.Node) {
	t.Helper()
	set := m.EvalNode(n)
	var want []string
	for _, k := range m.People() {
		if set[k] {
			want = append(want, k)
		}
	}
	rows, counts, err := g.Select(t.Context(), include(n), engine.Alone|engine.After)
	if err != nil {
		t.Fatalf("Select(%s): %v", show(n), err)
	}
	if diff := cmp.Diff(want, keysOf(t, g, rows), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", show(n), diff)
	}
	if counts.Exclude != uint64(len(want)) || counts.Steps[0] != counts.Exclude || counts.After[0] != counts.Exclude || rows.Len() != counts.Exclude {
		t.Errorf("Select(%s) = %d rows and %+v, want %d", show(n), rows.Len(), counts, len(want))
	}
	// The rows as a node of their own mean the same.
	other := RandomNode(rng, m)
	op := pick(rng, query.Filter, query.Exclude)
	plain := query.Definition{Steps: []query.Step{{Op: query.Include, Node: other}, {Op: op, Node: n}}}
	ready := query.Definition{Steps: []query.Step{{Op: query.Include, Node: other}, {Op: op, Node: query.Rows{Set: rows}}}}
	a, errA := g.Count(t.Context(), plain, engine.Alone|engine.After)
	b, errB := g.Count(t.Context(), ready, engine.Alone|engine.After)
	if diff := cmp.Diff(a, b); errA != nil || errB != nil || diff != "" {
		t.Errorf("Count: %v, %v; rows differ from their node %s (-node +rows):\n%s", errA, errB, show(n), diff)
	}
}

// definitionDiff compares a definition; it is "" for one that is not valid.
func definitionDiff(t *testing.T, m *model.Model, g engine.Generation, def json.RawMessage, ext model.External) string {
	want, err := m.Eval(def, ext)
	if err != nil {
		return ""
	}
	d, err := (&compiler{t.Context(), g, ext}).definition(def)
	if err != nil {
		return err.Error()
	}
	rows, counts, err := g.Select(t.Context(), d, engine.Alone|engine.After)
	if err != nil {
		return err.Error()
	}
	got := model.Result{
		Members: keysOf(t, g, rows), Include: int(counts.Include), Filter: int(counts.Filter), Exclude: int(counts.Exclude),
	}
	for _, n := range counts.Steps {
		got.Parameters = append(got.Parameters, int(n))
	}
	for _, n := range counts.After {
		got.After = append(got.After, int(n))
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

func compareUpload(t *testing.T, m *model.Model, g engine.Generation, typ string, content []byte) {
	t.Helper()
	want, people := m.Upload(typ, content)
	values := model.NormalForms(typ, model.UploadLines(content))
	rows, matched, err := g.Match(t.Context(), identifier.Type(typ), eachOf(values))
	if err != nil {
		t.Fatalf("Match(%s): %v", typ, err)
	}
	if int(matched) != want.Matched {
		t.Errorf("Match(%s) matched %d, want %d", typ, matched, want.Matched)
	}
	if diff := cmp.Diff(people, keysOf(t, g, rows), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Match(%s) differs (-want +got):\n%s", typ, diff)
	}
}

// compareStream compares all output files of some people. One person's lines
// may come in any order.
func compareStream(t *testing.T, m *model.Model, g engine.Generation, keys []string) {
	t.Helper()
	got := streamAll(t, g, matchKeys(t, g, keys...), identifier.Types()...)
	owners := got[identifier.SSID].values
	for _, typ := range append(model.IdentifierTypes(), "ss_id") {
		lines, ownersWant, _, _ := m.Output(keys, typ)
		s := got[identifier.Type(typ)]
		if len(s.values) != len(lines) {
			t.Errorf("Stream(%s) has %d lines, want %d", typ, len(s.values), len(lines))
			continue
		}
		want, have := map[string][]string{}, map[string][]string{}
		for i, line := range lines {
			want[ownersWant[i]] = append(want[ownersWant[i]], line)
			owner := owners[s.members[i]]
			have[owner] = append(have[owner], s.values[i])
		}
		for owner := range want {
			slices.Sort(want[owner])
			slices.Sort(have[owner])
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("Stream(%s) differs (-want +got):\n%s", typ, diff)
		}
	}
}

// compareTerms compares how many people have each term.
func compareTerms(t *testing.T, m *model.Model, g engine.Generation) {
	t.Helper()
	for _, f := range query.TermFields() {
		counts, _ := m.Breakdown(m.People(), f)
		for v, want := range counts {
			if got, ok, err := g.Catalog().Term(f, v); err != nil || !ok || got.People != uint64(want) || got.Value != v {
				t.Errorf("Term(%s, %q) = %+v, %v, %v, want %d people", f, v, got, ok, err, want)
			}
		}
		if _, ok, err := g.Catalog().Term(f, "unheard of"); ok || err != nil {
			t.Errorf("Term(%s, unheard of) = %v, %v, want it unknown", f, ok, err)
		}
	}
	tree, err := g.Catalog().Affinities()
	if err != nil {
		t.Fatalf("Affinities: %v", err)
	}
	for id, want := range m.Affinities() {
		a, ok := tree.Lookup(id)
		if !ok || a.Name != want.Name || a.Parent.ID != want.Parent {
			t.Errorf("Affinities().Lookup(%s) = %+v, %v, want %+v", id, a, ok, want)
		}
	}
}
