package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/bench/population"
	"throng/server"
)

// childVariable has the test's program be a child on the folder it holds.
const childVariable = "THRONG_TEST_BENCH_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := Child(context.Background(), dir, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// asChild starts the test's program as a child.
func asChild(t *testing.T) func(context.Context, string) (string, []string, error) {
	return func(_ context.Context, dir string) (string, []string, error) {
		t.Setenv(childVariable, dir)
		name, err := os.Executable()
		return name, nil, err
	}
}

// TestRun measures every row on a small population: what is looked at is that
// all answers are equal, and that nothing is left out.
func TestRun(t *testing.T) {
	for _, clustered := range []bool{false, true} {
		t.Run(fmt.Sprintf("clustered=%t", clustered), func(t *testing.T) {
			only := RowNames()
			if clustered { // of these rows the population is another, or none
				only = slices.DeleteFunc(only, func(row string) bool { return slices.Contains([]string{"1c", "kernel", "8"}, row) })
			}
			report, err := Run(t.Context(), Config{
				People: 20_000, Clustered: clustered, Rounds: 1, Dir: t.TempDir(), Child: asChild(t), Only: only,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range report.Differ {
				t.Errorf("different answers: %s", d)
			}
			var got []string
			for _, row := range report.Rows {
				got = append(got, row.ID)
				if len(row.Figures) == 0 {
					t.Errorf("row %s has no figures", row.ID)
				}
				for _, f := range row.Figures {
					if f.Median < f.Min || f.Median > f.Max {
						t.Errorf("row %s, %s: median %v is not from %v to %v", row.ID, f.Name, f.Median, f.Min, f.Max)
					}
				}
			}
			if diff := cmp.Diff(only, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			checkPrinted(t, report)
		})
	}
}

// checkPrinted checks both forms of a report.
func checkPrinted(t *testing.T, report *Report) {
	t.Helper()
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	again := &Report{}
	if err := json.Unmarshal(text, again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(report, again); diff != "" {
		t.Errorf("report (-before +after JSON):\n%s", diff)
	}
	var out strings.Builder
	if err := report.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		if !strings.Contains(out.String(), "\nrow "+row.ID+": ") {
			t.Errorf("printed report lacks row %s", row.ID)
		}
	}
}

// TestRunAgain uses a folder twice, for the same population and for another.
func TestRunAgain(t *testing.T) {
	cfg := Config{People: 5000, Rounds: 1, Only: []string{"2", "load"}, Dir: t.TempDir()}
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	index := filepath.Join(cfg.Dir, indexName, "index", "CURRENT")
	before, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("current generation = %q after a second run, want %q", after, before)
	}
	if n := len(again.Rows[0].Notes); n == 0 {
		t.Error("row load of a second run does not say that nothing was loaded")
	}
	cfg.Seed = 2
	if _, err := Run(t.Context(), cfg); !isUsage(err) {
		t.Errorf("Run of another population = %v, want a usage error", err)
	}
}

func isUsage(err error) bool {
	_, ok := errors.AsType[*server.UsageError](err)
	return ok
}

// TestRunDiffers has the index be of another population than is thought.
func TestRunDiffers(t *testing.T) {
	cfg := Config{People: 5000, Rounds: 1, Only: []string{"3"}, Dir: t.TempDir()}
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Dir, aboutName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), `"seed":1`, `"seed":2`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Seed = 2
	report, err := Run(t.Context(), cfg)
	if err == nil && len(report.Differ) == 0 {
		t.Error("Run on the index of another population found nothing different")
	}
}

func TestConfigRefused(t *testing.T) {
	for _, cfg := range []Config{
		{People: 999}, {People: -1}, {People: 1 << 40}, {Rounds: -1}, {Only: []string{"1a", "12"}},
	} {
		if _, err := Run(t.Context(), cfg); !isUsage(err) {
			t.Errorf("Run(%+v) = %v, want a usage error", cfg, err)
		}
	}
}

// TestTraits compares the shares of what people have one value of with what they are to be.
func TestTraits(t *testing.T) {
	for _, clustered := range []bool{false, true} {
		p, err := population.New(1<<20, 7, clustered)
		if err != nil {
			t.Fatal(err)
		}
		q := traitsOf(p)
		share := func(n uint64) float64 { return float64(n) / float64(p.People) }
		for _, x := range []struct {
			name      string
			got, want float64
		}{
			{"male", share(q.male.GetCardinality()), .49},
			{"France", share(q.countries[0].GetCardinality()), .12},
			{"Germany", share(q.countries[1].GetCardinality()), .08},
			{"active", share(q.active.GetCardinality()), 181. / 365},
		} {
			if x.got < .97*x.want || x.got > 1.03*x.want {
				t.Errorf("clustered=%t: share of %s = %v, want about %v", clustered, x.name, x.got, x.want)
			}
		}
	}
}

// TestClustered looks whether those alike stand together.
func TestClustered(t *testing.T) {
	mixed, err := population.New(1<<20, 7, false)
	if err != nil {
		t.Fatal(err)
	}
	clustered, err := population.New(1<<20, 7, true)
	if err != nil {
		t.Fatal(err)
	}
	size := func(p *population.Population) (n uint64) {
		for _, b := range append(allTraits(p), groupBitmaps(p, population.Interests)...) {
			n += b.GetSerializedSizeInBytes()
		}
		return n
	}
	if a, b := size(mixed), size(clustered); b > a/2 {
		t.Errorf("bitmaps of clustered people have %d bytes, of others %d: want less than half", b, a)
	}
}

// TestMeasure has a floor that moves, and work that fails.
func TestMeasure(t *testing.T) {
	n := 20_000
	_, steady, err := measure(t.Context(), 3, variant{name: "growing", floor: true, before: func() error { return nil }, run: func() error {
		x := uint64(1)
		for range n {
			x = population.Mix(x, 1)
		}
		if n *= 2; x == 0 {
			return errors.New("came out as nothing")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if steady {
		t.Error("measure calls a floor steady that doubles with every round")
	}
	failure := errors.New("it is what it is")
	if _, _, err := measure(t.Context(), 1, variant{name: "failing", run: func() error { return failure }}); !errors.Is(err, failure) {
		t.Errorf("measure = %v, want %v", err, failure)
	}
}

func TestRatio(t *testing.T) {
	a := &timing{cpu: []float64{2, 20, 6}, wall: []float64{1, 1, 1}}
	b := &timing{cpu: []float64{1, 10, 2}, variant: variant{clock: byCPU}}
	if got := ratio(a, b); got != 2 {
		t.Errorf("ratio = %v, want 2", got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median = %v, want 2.5", got)
	}
	for x, want := range map[float64]float64{0: 0, 123456: 123500, .00012345678: .0001235, 1: 1} {
		if got := round(x); got != want {
			t.Errorf("round(%v) = %v, want %v", x, got, want)
		}
	}
}
