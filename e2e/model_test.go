package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"throng/client"
	"throng/engine/enginetest"
	"throng/engine/enginetest/model"
)

// modelCase is one definition over one random dataset. Cases that once failed
// are kept in testdata/model and run first.
type modelCase struct {
	Seed       uint64          `json:"seed"`
	Dataset    uint64          `json:"dataset"`
	Definition json.RawMessage `json:"definition"`
}

const keptCases = "testdata/model"

// TestModel holds the whole product to the naive twin: random datasets in every
// format are loaded by the command, random definitions go in over HTTP, and
// every size and every line of every file must be the twin's.
// THRONG_TEST_SEED chooses other ones, THRONG_TEST_LONG twice as many.
func TestModel(t *testing.T) {
	datasets, definitions := uint64(40), 25
	if os.Getenv("THRONG_TEST_LONG") != "" {
		definitions = 50
	}
	if testing.Short() {
		datasets, definitions = 3, 15
	}
	seed := uint64(1)
	if s := os.Getenv("THRONG_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("THRONG_TEST_SEED: %v", err)
		}
	}
	t.Logf("seed %d", seed)
	files, err := filepath.Glob(filepath.Join(keptCases, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var c modelCase
			if err := json.Unmarshal(text, &c); err != nil {
				t.Fatal(err)
			}
			if err := newTwin(t, c.Seed, c.Dataset).compare(t, c.Definition); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range datasets {
		t.Run(fmt.Sprintf("dataset=%d", i), func(t *testing.T) {
			t.Parallel()
			newTwin(t, seed, i).run(t, definitions)
		})
	}
}

// twin is a dataset in both: the model, and a server that has loaded it.
type twin struct {
	seed, dataset uint64
	rng           *rand.Rand
	model         *model.Model
	client        *client.Client
	ext           model.External
}

func newTwin(t *testing.T, seed, dataset uint64) *twin {
	t.Helper()
	w := &twin{seed: seed, dataset: dataset, rng: rand.New(rand.NewPCG(seed, dataset))}
	dir, data := filepath.Join(t.TempDir(), "dataset"), filepath.Join(t.TempDir(), "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := enginetest.RandomDataset(w.rng, dir, enginetest.Options{}); err != nil {
		t.Fatalf("make dataset: %v", err)
	}
	var err error
	if w.model, err = model.Load(dir, time.Now()); err != nil {
		t.Fatalf("load model: %v", err)
	}
	report := filepath.Join(t.TempDir(), "report.json")
	throng(t, "load", dir, "--data", data, "--allow-rejects", "1", "--report", report)
	w.compareReport(t, report)
	p := start(t, data)
	w.client, _ = addCaller(t, p, data, "twin", allGrants()...)
	w.upload(t)
	return w
}

// compareReport holds the account of every table's rows to the model's.
func (w *twin) compareReport(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Tables []struct {
			Table             string
			Rows, Loaded      int
			Rejected, Skipped map[string]int
		}
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	got := map[string]model.TableCount{}
	for _, r := range report.Tables {
		got[r.Table] = model.TableCount{Table: r.Table, Rows: r.Rows, Loaded: r.Loaded, Rejected: sum(r.Rejected), Skipped: sum(r.Skipped)}
	}
	want := map[string]model.TableCount{}
	for _, c := range w.model.Report() {
		want[c.Table] = c
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report of seed %d, dataset %d (-model +throng):\n%s", w.seed, w.dataset, diff)
	}
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// upload brings a few random files of identifiers and compares their fates.
func (w *twin) upload(t *testing.T) {
	t.Helper()
	w.ext = model.External{Uploads: map[string]model.UploadedFile{}, Audiences: map[int64][]string{}}
	for range 6 {
		typ, content := enginetest.RandomUpload(w.rng, w.model)
		u, err := w.client.Upload(t.Context(), typ, "", bytes.NewReader(content))
		if err != nil {
			t.Fatalf("upload %s: %v", typ, err)
		}
		want, _ := w.model.Upload(typ, content)
		got := model.UploadResult{
			Rows: int(u.Rows), Matched: int(u.Matched), Unmatched: int(u.Unmatched), Duplicate: int(u.Duplicate), Invalid: int(u.Invalid),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("upload of %s, seed %d, dataset %d (-model +throng):\n%s", typ, w.seed, w.dataset, diff)
		}
		w.ext.Uploads[u.Key] = model.UploadedFile{Type: typ, Content: content}
	}
}

// run compares random definitions; the members of the first few are criteria
// of the rest.
func (w *twin) run(t *testing.T, definitions int) {
	for i := range definitions {
		def := enginetest.RandomDefinitionWith(w.rng, w.model, w.ext)
		err := w.compare(t, def)
		if err == nil {
			continue
		}
		reduced := enginetest.Reduce(def, func(d json.RawMessage) bool {
			// A smaller one must fail in the same place, not because it is
			// no definition any more.
			smaller := w.compare(t, d)
			return smaller != nil && place(smaller) == place(err)
		})
		w.keep(t, reduced)
		t.Fatalf("seed %d, dataset %d, definition %d: %v\nreduced: %s", w.seed, w.dataset, i, err, reduced)
	}
}

// place is the beginning of an error's text, without its figures.
func place(err error) string {
	where, _, _ := strings.Cut(err.Error(), " ")
	return where
}

// keep writes a failing case where the next run finds it.
func (w *twin) keep(t *testing.T, def json.RawMessage) {
	text, err := json.MarshalIndent(modelCase{w.seed, w.dataset, def}, "", "  ")
	if err == nil {
		err = os.MkdirAll(keptCases, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(keptCases, fmt.Sprintf("%d-%d-%s.json", w.seed, w.dataset, time.Now().UTC().Format("150405"))), text, 0o644)
	}
	if err != nil {
		t.Errorf("keep case: %v", err)
	}
}

// compare builds one definition in both and tells the first difference.
func (w *twin) compare(t *testing.T, def json.RawMessage) error {
	want, err := w.model.Eval(def, w.ext)
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	if err := w.comparePreview(t, def, want); err != nil {
		return err
	}
	id, err := w.client.CreateAudience(t.Context(), named(def))
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	a, err := w.client.Wait(t.Context(), id, 5*time.Millisecond)
	if err != nil {
		return err
	}
	if a.Status != "done" || a.Size == nil || *a.Size != uint64(len(want.Members)) {
		return fmt.Errorf("audience %d is %s with %s people, want %d", id, a.Status, sizeText(a.Size), len(want.Members))
	}
	var parts errgroup.Group
	for i, o := range a.Outputs {
		// A table is joined from the text files; one of them in turn is enough.
		table := i == int(id)%len(a.Outputs)
		parts.Go(func() error { return w.compareOutput(t, id, o, want.Members, table) })
	}
	if err := parts.Wait(); err != nil {
		return err
	}
	if len(w.ext.Audiences) < 5 {
		w.ext.Audiences[id] = want.Members
	}
	return nil
}

func sizeText(n *uint64) string {
	if n == nil {
		return "unknown"
	}
	return fmt.Sprint(*n)
}

// named gives a definition a name.
func named(def json.RawMessage) []byte {
	return append([]byte(`{"audience":{"name":"random"},`), bytes.TrimSpace(def)[1:]...)
}

func (w *twin) comparePreview(t *testing.T, def json.RawMessage, want model.Result) error {
	raw, err := w.client.Preview(t.Context(), def)
	if err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	var p struct {
		Size       int
		Parameters []struct{ Size int }
		Steps      struct{ Include, Filter, Exclude int }
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	sizes := make([]int, len(p.Parameters))
	for i, s := range p.Parameters {
		sizes[i] = s.Size
	}
	if !slices.Equal(sizes, want.Parameters) {
		return fmt.Errorf("parameters have the sizes %d, want %d", sizes, want.Parameters)
	}
	got := [4]int{p.Steps.Include, p.Steps.Filter, p.Steps.Exclude, p.Size}
	if wanted := [4]int{want.Include, want.Filter, want.Exclude, want.Exclude}; got != wanted {
		return fmt.Errorf("include, filter, exclude and size are %d, want %d", got, wanted)
	}
	return nil
}

// compareOutput compares one type's file, as text and where asked for as a table.
func (w *twin) compareOutput(t *testing.T, id int64, o client.Output, members []string, table bool) error {
	want, owners, people, rows := w.model.Output(members, o.Type)
	if int(o.People) != people || int(o.Rows) != rows {
		return fmt.Errorf("%s has %d people and %d rows, want %d and %d", o.Type, o.People, o.Rows, people, rows)
	}
	got := strings.SplitAfter(string(download(t, w.client, id, o.Type, "text")), "\n")
	got = got[:len(got)-1]
	for i := range got {
		got[i] = strings.TrimSuffix(got[i], "\n")
	}
	if len(got) != rows {
		return fmt.Errorf("%s has %d lines, want %d", o.Type, len(got), rows)
	}
	if table {
		if err := w.compareTable(t, id, o.Type, owners, got); err != nil {
			return err
		}
	}
	// Of one person's values the order is the engine's.
	for from := 0; from < rows; {
		to := from + 1
		for to < rows && owners[to] == owners[from] {
			to++
		}
		slices.Sort(got[from:to])
		slices.Sort(want[from:to])
		from = to
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		return fmt.Errorf("%s (-model +throng):\n%s", o.Type, diff)
	}
	return nil
}

// compareTable compares the csv form of a type's file with its lines.
func (w *twin) compareTable(t *testing.T, id int64, typ string, owners, lines []string) error {
	table, err := csv.NewReader(bytes.NewReader(download(t, w.client, id, typ, "csv"))).ReadAll()
	if err != nil {
		return fmt.Errorf("read csv of %s: %w", typ, err)
	}
	if len(table) != len(lines)+1 || !slices.Equal(table[0], []string{"person", typ}) {
		return fmt.Errorf("%s has %d rows of a table, want %d", typ, len(table)-1, len(lines))
	}
	for i := range lines {
		if table[i+1][0] != owners[i] || table[i+1][1] != lines[i] {
			return fmt.Errorf("%s: row %d of the table differs", typ, i)
		}
	}
	return nil
}
