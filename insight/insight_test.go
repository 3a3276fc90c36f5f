package insight_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/bitmap/bitmaptest"
	"throng/engine/enginetest"
	"throng/engine/enginetest/model"
	"throng/identifier"
	"throng/insight"
	"throng/query"
)

func now() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

// loaded loads a dataset into the engine that ships, and into its naive twin.
func loaded(t testing.TB, dir string) (engine.Generation, *model.Model) {
	t.Helper()
	g := bitmaptest.Load(t, dir, bitmap.Config{}, engine.LoadOptions{AllowRejects: 1, Memory: 256 << 20, Now: now()})
	m, err := model.Load(dir, now())
	if err != nil {
		t.Fatal(err)
	}
	return g, m
}

func rowsOf(t testing.TB, g engine.Generation, keys []string) query.RowSet {
	t.Helper()
	rows, _, err := g.Match(t.Context(), identifier.SSID, func(yield func([]byte) bool) {
		for _, k := range keys {
			if !yield([]byte(k)) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// keep counts some people and the named baselines.
func keep(t testing.TB, g engine.Generation, keys []string, minimum uint64) *insight.Counts {
	t.Helper()
	places, err := g.Catalog().Places()
	if err != nil {
		t.Fatal(err)
	}
	var groups []*insight.Group
	for _, d := range insight.Definitions(places) {
		group, err := insight.CountDefinition(t.Context(), g, d)
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, group)
	}
	audience, err := insight.CountRows(t.Context(), g, "audience", rowsOf(t, g, keys))
	if err != nil {
		t.Fatal(err)
	}
	counts, err := insight.Keep(t.Context(), g, audience, groups, minimum)
	if err != nil {
		t.Fatal(err)
	}
	counts.Hash = "hash"
	return counts
}

// again gives counts as they are read back from a file.
func again(t testing.TB, c *insight.Counts) *insight.Counts {
	t.Helper()
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	read, err := insight.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// line is a term in comparable form; what does not exist is -1.
type line struct {
	ID                string
	Count, Based      uint64
	Share, BasedShare float64
	Index, Low, High  float64
}

// counted is how many of some people have each term of a dimension, and of how
// many any is known, as plain counting finds them.
type counted struct {
	people int
	counts map[string]uint32
	known  uint64
}

// tally counts some people in every dimension.
func tally(m *model.Model, keys []string) (out []counted) {
	for _, d := range insight.Dimensions() {
		c := counted{people: len(keys)}
		c.counts, c.known = m.Breakdown(keys, d.Field)
		out = append(out, c)
	}
	return out
}

// of is what the shares of a dimension are of.
func (c counted) of(d insight.Dimension) float64 {
	if d.OfKnown {
		return float64(c.known)
	}
	return float64(c.people)
}

// naive is the terms of a dimension that enough of mine have, by id.
func naive(d insight.Dimension, mine, theirs counted, minimum uint32, byIndex bool) (out []line) {
	n, of := mine.of(d), theirs.of(d)
	for id, count := range mine.counts {
		if count < max(minimum, 1) {
			continue
		}
		based := theirs.counts[id]
		l := line{ID: id, Count: uint64(count), Based: uint64(based), Share: float64(count) / n, Index: -1, Low: -1, High: -1}
		if of > 0 {
			l.BasedShare = float64(based) / of
		}
		if l.BasedShare > 0 {
			se := math.Sqrt(1/float64(count) - 1/n + 1/float64(based) - 1/of)
			l.Index = 100 * l.Share / l.BasedShare
			l.Low, l.High = l.Index*math.Exp(-1.96*se), l.Index*math.Exp(1.96*se)
		}
		if byIndex && (l.Low <= 100 && l.High >= 100 || l.Index < 0) {
			continue
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b line) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func lines(d insight.DimensionReport) (out []line) {
	for _, t := range d.Terms {
		l := line{ID: t.ID, Count: t.Count, Based: *t.BaselineCount, Share: t.Share, BasedShare: *t.BaselineShare, Index: -1, Low: -1, High: -1}
		if t.Index != nil {
			l.Index, l.Low, l.High = *t.Index, *t.Low, *t.High
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b line) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// world is a population, and who are the baselines that reports on it have.
type world struct {
	g engine.Generation
	m *model.Model
	// baselines are those that are found, counted plainly.
	baselines map[string][]counted
	// seen are the dimensions in which terms were compared, and the baselines with
	// people against which.
	seen map[string]bool
}

func newWorld(t testing.TB, dir string) *world {
	t.Helper()
	w := &world{baselines: map[string][]counted{}, seen: map[string]bool{}}
	w.g, w.m = loaded(t, dir)
	places, err := w.g.Catalog().Places()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range insight.Definitions(places) {
		if d.Problem == "" {
			people := w.m.EvalNode(d.Query.Steps[0].Node)
			w.baselines[d.Name] = tally(w.m, slices.Collect(maps.Keys(people)))
		}
	}
	return w
}

// compare holds the reports on some people, against all named baselines and
// against others, to plain counting, in all sixteen dimensions.
func (w *world) compare(t *testing.T, members, others []string, minimum uint64) {
	t.Helper()
	counts := again(t, keep(t, w.g, members, minimum))
	group, err := insight.CountRows(t.Context(), w.g, "others", rowsOf(t, w.g, others))
	if err != nil {
		t.Fatal(err)
	}
	mine, than := tally(w.m, members), maps.Clone(w.baselines)
	than[group.Name] = tally(w.m, others)
	for name, theirs := range than {
		for _, order := range insight.Orders() {
			ask := insight.Ask{Order: order, Limit: 1 << 30, Minimum: minimum}
			report := func() (*insight.Report, error) { return counts.Report(name, 0, ask) }
			if name == group.Name {
				report = func() (*insight.Report, error) { return counts.Against(w.g.Catalog(), group, 0, ask) }
			}
			r, err := report()
			if err != nil {
				t.Fatal(err)
			}
			if r.Size != uint64(len(members)) || r.Baseline.Size != uint64(theirs[0].people) || len(r.Dimensions) != 16 {
				t.Errorf("report is of %d against %d people in %d dimensions, want %d against %d in 16",
					r.Size, r.Baseline.Size, len(r.Dimensions), len(members), theirs[0].people)
			}
			for i, d := range r.Dimensions {
				want := naive(d.Dimension, mine[i], theirs[i], uint32(minimum), order == insight.ByIndex)
				if diff := cmp.Diff(want, lines(d), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
					t.Errorf("%s of %d against %s by %s differs (-want +got):\n%.2000s", d.Name, len(members), name, order, diff)
				}
				if d.Total != len(d.Terms) {
					t.Errorf("%s: total %d of %d terms", d.Name, d.Total, len(d.Terms))
				}
				compareCoverage(t, d, mine[i], theirs[i], minimum)
				if len(want) > 0 && theirs[i].people > 0 {
					w.seen[d.Name], w.seen[name] = true, true
				}
			}
		}
	}
}

func compareCoverage(t *testing.T, d insight.DimensionReport, mine, theirs counted, minimum uint64) {
	t.Helper()
	if d.OfKnown != (d.Coverage != nil) {
		t.Fatalf("%s: coverage is %v", d.Name, d.Coverage)
	}
	if !d.OfKnown {
		return
	}
	share := func(c counted, minimum uint64) string {
		if c.people == 0 || c.known > 0 && c.known < minimum {
			return "withheld"
		}
		return fmt.Sprintf("%.9g", float64(c.known)/float64(c.people))
	}
	told := func(f *float64) string {
		if f == nil {
			return "withheld"
		}
		return fmt.Sprintf("%.9g", *f)
	}
	want := share(mine, max(minimum, 1)) + " " + share(theirs, 0)
	if got := told(d.Coverage.Share) + " " + told(d.Coverage.BaselineShare); got != want {
		t.Errorf("%s: coverage %s, want %s", d.Name, got, want)
	}
}

// defined is the members of a random definition.
func (w *world) defined(t *testing.T, rng *rand.Rand) []string {
	t.Helper()
	r, err := w.m.Eval(enginetest.RandomDefinition(rng, w.m), model.External{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Members
}

// TestReport counts random audiences of random people, some by a definition and
// some by chance.
func TestReport(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	seen := map[string]bool{}
	for i := range 6 {
		t.Run(fmt.Sprintf("seed=%d", seed+uint64(i)), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed+uint64(i), 1))
			dir := t.TempDir()
			if err := enginetest.RandomDataset(rng, dir, enginetest.Options{People: 50 + rng.IntN(800)}); err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, dir)
			some := func() []string {
				keys := slices.Clone(w.m.People())
				rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
				return keys[:rng.IntN(len(keys)+1)]
			}
			w.compare(t, some(), some(), 1)
			w.compare(t, some(), w.defined(t, rng), 10)
			w.compare(t, w.defined(t, rng), some(), 2)
			w.compare(t, nil, some(), 1)
			w.compare(t, w.m.People(), nil, 1)
			maps.Copy(seen, w.seen)
		})
	}
	for _, d := range insight.Dimensions() {
		if !seen[d.Name] {
			t.Errorf("no term of %s was compared", d.Name)
		}
	}
}

// TestOnRespondents does so with real people, and holds intervals on them to the
// bootstrap.
func TestOnRespondents(t *testing.T) {
	root := os.Getenv("THRONG_TEST_DATA")
	if root == "" {
		t.Skip("THRONG_TEST_DATA is not set; it names the folder that holds respondents/")
	}
	if testing.Short() {
		t.Skip("loads 305,281 people, and their naive twin")
	}
	w := newWorld(t, filepath.Join(root, "respondents"))
	t.Run("reports", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(2026, 11))
		people := slices.Clone(w.m.People())
		rng.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
		w.compare(t, people[:20_000+rng.IntN(60_000)], people[100_000:100_000+rng.IntN(50_000)], 10)
		w.compare(t, w.defined(t, rng), people[200_000:], 10)
		// Who lives in Germany.
		germans := w.m.EvalNode(query.In{Field: query.Country, Values: []string{"57"}})
		w.compare(t, slices.Sorted(maps.Keys(germans)), w.defined(t, rng), 10)
		for _, name := range append(insight.BuiltIn(), "age", "gender", "ethnicity", "country", "affinity", "personality", "job_title", "twitch", "youtube") {
			if !w.seen[name] {
				t.Errorf("no term of, or against, %s was compared", name)
			}
		}
	})
	t.Run("intervals", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(2026, 20))
		checkIntervals(t, rng, comparisons(t, rng, w, 20))
	})
}

// TestMinimumNeverLeaks looks for anything in a report that tells of fewer
// people than the minimum, whatever the counts were kept with.
func TestMinimumNeverLeaks(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	dir := t.TempDir()
	if err := enginetest.RandomDataset(rng, dir, enginetest.Options{People: 700}); err != nil {
		t.Fatal(err)
	}
	g, m := loaded(t, dir)
	people := m.People()
	other, err := insight.CountRows(t.Context(), g, "audience:2", rowsOf(t, g, people[:len(people)/5]))
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		kept, asked := uint64(rng.IntN(30)), uint64(rng.IntN(30))
		minimum := max(kept, asked, 1)
		members := people[rng.IntN(len(people)/2):][:rng.IntN(len(people)/2)]
		counts := again(t, keep(t, g, members, kept))
		few, enough := insight.ClusterTerm{Term: insight.Term{Name: "a · b", Count: minimum - 1}}, insight.ClusterTerm{Term: insight.Term{Name: "c", Count: minimum}}
		both := []insight.ClusterTerm{few, enough}
		counts.Clusters = []insight.Cluster{
			{ID: 1, Size: minimum - 1, Name: "a · b · c", Top: both},
			{ID: 2, Size: minimum, Name: "a · b · c", Top: both},
			{ID: 3, Size: minimum, Name: "a · b", Top: both[:1]},
			{ID: 4, Size: minimum, Name: "c", Top: both},
		}
		counts.Unclustered = 5
		ask := insight.Ask{Order: insight.Orders()[rng.IntN(3)], Limit: insight.MaxLimit, Minimum: asked}
		r, err := counts.Against(g.Catalog(), other, minimum, ask)
		if err != nil {
			t.Fatal(err)
		}
		left := []insight.Cluster{
			{ID: 2, Size: minimum, Name: "c", Top: both[1:]},
			{ID: 3, Size: minimum, Name: "Cluster 3", Top: []insight.ClusterTerm{}},
			{ID: 4, Size: minimum, Name: "c", Top: both[1:]},
		}
		if diff := cmp.Diff(left, r.Clusters); diff != "" || r.Minimum != minimum || r.Unclustered != 5+minimum-1 {
			t.Errorf("minimum %d, %d in no cluster, want %d and %d; clusters (-want +got):\n%s", r.Minimum, r.Unclustered, minimum, 5+minimum-1, diff)
		}
		tells := func(d insight.DimensionReport, what string, n float64) {
			if n > 0.5 && n < float64(minimum)-0.5 {
				t.Errorf("%s: %s tells of %.3f people, fewer than %d", d.Name, what, n, minimum)
			}
		}
		for _, d := range r.Dimensions {
			if c := d.Coverage; c != nil && c.Share != nil {
				tells(d, "coverage", *c.Share*float64(r.Size))
			}
			if c := d.Coverage; c != nil && c.BaselineShare != nil {
				tells(d, "coverage of the baseline", *c.BaselineShare*float64(r.Baseline.Size))
			}
			for _, term := range d.Terms {
				tells(d, "a count", float64(term.Count))
				tells(d, "a known number", float64(term.Count)/term.Share)
				if term.BaselineCount == nil {
					if term.BaselineShare != nil || term.Index != nil || term.Low != nil || term.High != nil {
						t.Errorf("%s: the count of the baseline is withheld, and follows from the rest: %+v", d.Name, term)
					}
					continue
				}
				tells(d, "a count of the baseline", float64(*term.BaselineCount))
				if *term.BaselineCount == 0 {
					t.Errorf("%s: tells that nobody of the baseline has a term", d.Name)
				}
			}
		}
	}
}

func TestOrdersAndLimit(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	dir := t.TempDir()
	if err := enginetest.RandomDataset(rng, dir, enginetest.Options{People: 900}); err != nil {
		t.Fatal(err)
	}
	g, m := loaded(t, dir)
	counts := keep(t, g, m.People()[:300], 1)
	for _, order := range insight.Orders() {
		whole, err := counts.Report("", 0, insight.Ask{Order: order, Limit: 1 << 30})
		if whole != nil || err == nil {
			t.Fatal("a baseline without a name is answered")
		}
		if whole, err = counts.Report(insight.Global, 0, insight.Ask{Order: order, Limit: 1 << 30}); err != nil {
			t.Fatal(err)
		}
		few, err := counts.Report(insight.Global, 0, insight.Ask{Order: order, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range whole.Dimensions {
			sorted := slices.IsSortedFunc(d.Terms, func(a, b insight.Term) int {
				switch order {
				case insight.ByCount:
					return int(b.Count) - int(a.Count)
				case insight.ByName:
					return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
				default:
					return int(math.Copysign(1, *b.Index-*a.Index)) * min(1, int(1e9*math.Abs(*b.Index-*a.Index)))
				}
			})
			if !sorted {
				t.Errorf("%s is not in the order of %s", d.Name, order)
			}
			if diff := cmp.Diff(d.Terms[:min(3, len(d.Terms))], few.Dimensions[i].Terms); diff != "" || few.Dimensions[i].Total != d.Total {
				t.Errorf("three of %s by %s, of %d, want the first of %d (-want +got):\n%s", d.Name, order, few.Dimensions[i].Total, d.Total, diff)
			}
		}
	}
	def, err := counts.Report(insight.Global, 0, insight.Ask{})
	byIndex, err2 := counts.Report(insight.Global, 0, insight.Ask{Order: insight.ByIndex, Limit: 50})
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(byIndex, def); diff != "" {
		t.Errorf("the default is not 50 by index (-want +got):\n%s", diff)
	}
}

// TestBaselines finds countries in places of an operator's own.
func TestBaselines(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"people.csv":    "person,gender,country\na,male,x1\nb,female,x1\nc,,x1\nd,male,x2\ne,female,\n",
		"locations.csv": "kind,id,name\ncountry,x1,United States\ncountry,x2,Great Britain\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g, _ := loaded(t, dir)
	counts := keep(t, g, []string{"a", "b"}, 1)
	got := map[string]string{}
	for _, b := range counts.Baselines {
		got[b.Name] = fmt.Sprint(b.Size)
		if b.Problem != "" {
			got[b.Name] = "none"
			_, err := counts.Report(b.Name, 0, insight.Ask{})
			var bad *insight.BaselineError
			if !errors.As(err, &bad) || !strings.Contains(bad.Message, "the dataset has no country") {
				t.Errorf("Report(%s): %v, want a *BaselineError that says what is missing", b.Name, err)
			}
		}
	}
	want := map[string]string{
		"global": "5", "usa": "3", "usa_males": "1", "usa_females": "1", "uk": "1",
		"canada": "none", "france": "none", "germany": "none", "italy": "none", "spain": "none",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sizes of baselines (-want +got):\n%s", diff)
	}
}

func TestReadDamaged(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	dir := t.TempDir()
	if err := enginetest.RandomDataset(rng, dir, enginetest.Options{People: 60}); err != nil {
		t.Fatal(err)
	}
	g, m := loaded(t, dir)
	var b bytes.Buffer
	if err := keep(t, g, m.People(), 1).Write(&b); err != nil {
		t.Fatal(err)
	}
	text := b.Bytes()
	for i := range text {
		changed := slices.Clone(text)
		changed[i] ^= 0x10
		if _, err := insight.Read(bytes.NewReader(changed)); !errors.Is(err, insight.ErrDamaged) && !errors.Is(err, insight.ErrVersion) {
			t.Fatalf("byte %d of %d changed: %v, want ErrDamaged or ErrVersion", i, len(text), err)
		}
		if _, err := insight.Read(bytes.NewReader(text[:i])); !errors.Is(err, insight.ErrDamaged) && !errors.Is(err, insight.ErrVersion) {
			t.Fatalf("cut at %d of %d: %v, want ErrDamaged", i, len(text), err)
		}
	}
	later := bytes.Replace(text, []byte("insight 1\n"), []byte("insight 2\n"), 1)
	if _, err := insight.Read(bytes.NewReader(later)); !errors.Is(err, insight.ErrVersion) {
		t.Errorf("of another version: %v, want ErrVersion", err)
	}
}
