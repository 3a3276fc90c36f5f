package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"throng/engine"
	"throng/engine/enginetest/model"
	"throng/identifier"
	"throng/query"
)

// Run is the suite that every engine passes. open gives an engine with a
// folder of its own that holds nothing yet, and sees to its Close.
//
// THRONG_TEST_SEED repeats one round of random questions; THRONG_TEST_ROUNDS
// says how many rounds there are (default 6).
func Run(t *testing.T, open func(t *testing.T) engine.Engine) {
	t.Run("HandWorked", func(t *testing.T) { testHandWorked(t, open) })
	t.Run("NoGeneration", func(t *testing.T) { testNoGeneration(t, open(t)) })
	t.Run("Generations", func(t *testing.T) { testGenerations(t, open(t)) })
	t.Run("Remove", func(t *testing.T) { testRemove(t, open(t)) })
	t.Run("CloseUnderHolder", func(t *testing.T) { testCloseUnderHolder(t, open(t)) })
	t.Run("RefusedLoads", func(t *testing.T) { testRefusedLoads(t, open(t)) })
	t.Run("Busy", func(t *testing.T) { testBusy(t, open(t)) })
	t.Run("Canceled", func(t *testing.T) { testCanceled(t, open(t)) })
	t.Run("Report", func(t *testing.T) { testReport(t, open(t)) })
	t.Run("Nodes", func(t *testing.T) { testNodes(t, open(t)) })
	t.Run("Rows", func(t *testing.T) { testRows(t, open(t)) })
	t.Run("Match", func(t *testing.T) { testMatch(t, open(t)) })
	t.Run("Stream", func(t *testing.T) { testStream(t, open(t)) })
	t.Run("Breakdown", func(t *testing.T) { testBreakdown(t, open(t)) })
	t.Run("Analyst", func(t *testing.T) { testAnalyst(t, open(t)) })
	t.Run("Catalog", func(t *testing.T) { testCatalog(t, open(t)) })
	t.Run("Random", func(t *testing.T) { testRandom(t, open) })
}

// loadDir loads a folder, whatever share of its rows is rejected.
func loadDir(t *testing.T, e engine.Engine, dir string) (engine.Generation, *engine.Report) {
	t.Helper()
	report, err := e.Load(t.Context(), dir, engine.LoadOptions{AllowRejects: 1, Now: suiteNow()})
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	g, err := e.Acquire(t.Context(), "")
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	t.Cleanup(g.Release)
	if g.Info().ID != report.Generation {
		t.Fatalf("Acquire(current) = %s, want the generation just loaded, %s", g.Info().ID, report.Generation)
	}
	return g, report
}

func suiteNow() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

// loadTables loads CSV texts.
func loadTables(t *testing.T, e engine.Engine, tables map[string]string) engine.Generation {
	t.Helper()
	g, _ := loadDir(t, e, writeTables(t, tables))
	return g
}

func writeTables(t *testing.T, tables map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := (Case{Tables: tables, Settings: `{"name":"suite","as_of":"2026-11-01T00:00:00Z"}`}).Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// keysOf gives the person keys of rows, in the order of the index.
func keysOf(t *testing.T, g engine.Generation, rows query.RowSet) []string {
	t.Helper()
	lines := streamAll(t, g, rows, identifier.SSID)[identifier.SSID]
	return lines.values
}

// keysFor evaluates a node.
func keysFor(t *testing.T, g engine.Generation, n query.Node) []string {
	t.Helper()
	rows, _, err := g.Select(t.Context(), include(n), 0)
	if err != nil {
		t.Fatalf("Select(%s): %v", show(n), err)
	}
	return keysOf(t, g, rows)
}

func include(n query.Node) query.Definition {
	return query.Definition{Steps: []query.Step{{Op: query.Include, Node: n}}}
}

// show prints a node for people.
func show(n query.Node) string { return strings.ReplaceAll(fmt.Sprintf("%#v", n), "query.", "") }

// everyone is all rows.
func everyone() query.Node { return query.And{} }

// streamed is what Stream gave of one type.
type streamed struct {
	values  []string
	members []uint32
}

// streamAll gathers a stream and checks the promises of Batch.
func streamAll(t *testing.T, g engine.Generation, rows query.RowSet, types ...identifier.Type) map[identifier.Type]*streamed {
	t.Helper()
	all := map[identifier.Type]*streamed{}
	for _, typ := range types {
		all[typ] = &streamed{}
	}
	err := g.Stream(t.Context(), rows, types, func(b *engine.Batch) error {
		s := all[b.Type]
		if s == nil {
			return fmt.Errorf("type %s was not asked for", b.Type)
		}
		if len(b.Ends) != len(b.Members) {
			return fmt.Errorf("%d ends and %d members", len(b.Ends), len(b.Members))
		}
		from := uint32(0)
		for i, end := range b.Ends {
			if end <= from || int(end) > len(b.Lines) || b.Lines[end-1] != '\n' {
				return fmt.Errorf("end %d of value %d does not follow a line end", end, i)
			}
			s.values = append(s.values, string(b.Lines[from:end-1]))
			s.members = append(s.members, b.Members[i])
			from = end
		}
		if int(from) != len(b.Lines) {
			return errors.New("lines go on behind the last end")
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Stream(%v): %v", types, err)
	}
	for typ, s := range all {
		if !slices.IsSorted(s.members) {
			t.Errorf("Stream(%s) goes back in the order of members: %v", typ, s.members)
		}
		if n := len(s.members); n > 0 && uint64(s.members[n-1]) >= rows.Len() {
			t.Errorf("Stream(%s) names member %d of %d", typ, s.members[n-1], rows.Len())
		}
	}
	return all
}

func testHandWorked(t *testing.T, open func(t *testing.T) engine.Engine) {
	e := open(t)
	generations := map[string]engine.Generation{}
	for _, c := range HandWorked() {
		world, err := json.Marshal([]any{c.Settings, c.Tables})
		if err != nil {
			t.Fatal(err)
		}
		g := generations[string(world)]
		if g == nil {
			dir := t.TempDir()
			if err := c.Write(dir); err != nil {
				t.Fatal(err)
			}
			g, _ = loadDir(t, e, dir)
			generations[string(world)] = g
		}
		t.Run(c.Name, func(t *testing.T) { runCase(t, g, c) })
	}
}

func runCase(t *testing.T, g engine.Generation, c Case) {
	comp := &compiler{ctx: t.Context(), gen: g, ext: model.External{Uploads: c.Uploads, Audiences: map[int64][]string{}}}
	sel := func(raw json.RawMessage) (query.RowSet, engine.Counts) {
		d, err := comp.definition(raw)
		if err != nil {
			t.Fatal(err)
		}
		rows, counts, err := g.Select(t.Context(), d, engine.Alone|engine.After)
		if err != nil {
			t.Fatalf("Select: %v", err)
		}
		again, err := g.Count(t.Context(), d, engine.Alone|engine.After)
		if err != nil {
			t.Fatalf("Count: %v", err)
		}
		if diff := cmp.Diff(counts, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Count differs from Select (-select +count):\n%s", diff)
		}
		return rows, counts
	}
	for id, parameters := range c.Audiences {
		rows, _ := sel([]byte(`{"parameters":` + string(parameters) + `}`))
		comp.ext.Audiences[id] = keysOf(t, g, rows)
	}
	rows, counts := sel(c.Definition())
	if diff := cmp.Diff(c.Members, keysOf(t, g, rows), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("members of %s differ (-want +got):\n%s", c.Parameters, diff)
	}
	if counts.Exclude != uint64(len(c.Members)) || rows.Len() != counts.Exclude {
		t.Errorf("Select = %d rows and the count %d, want %d", rows.Len(), counts.Exclude, len(c.Members))
	}
	if s := c.Steps; s != nil && (counts.Include != uint64(s[0]) || counts.Filter != uint64(s[1])) {
		t.Errorf("Select has steps %+v, want %v", counts, s)
	}
	for typ, want := range c.Outputs {
		got := streamAll(t, g, rows, identifier.Type(typ))[identifier.Type(typ)].values
		// One person's identifiers may come in any order; these cases have none
		// of which that changes what is left out.
		slices.Sort(got)
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Stream(%s) differs (-want +got):\n%s", typ, diff)
		}
	}
}

func testNoGeneration(t *testing.T, e engine.Engine) {
	for _, id := range []string{"", "nothing"} {
		if _, err := e.Acquire(t.Context(), id); !errors.Is(err, engine.ErrNoGeneration) {
			t.Errorf("Acquire(%q) = %v, want ErrNoGeneration", id, err)
		}
	}
	if list, err := e.Generations(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("Generations() = %v, %v, want none", list, err)
	}
	if err := e.Remove(t.Context(), "nothing"); err != nil {
		t.Errorf("Remove(nothing) = %v, want nil", err)
	}
	if err := e.Check(t.Context(), "", nil); !errors.Is(err, engine.ErrNoGeneration) {
		t.Errorf("Check() = %v, want ErrNoGeneration", err)
	}
}

func testGenerations(t *testing.T, e engine.Engine) {
	old := loadTables(t, e, map[string]string{"people": "person\na\nb\nc\n"})
	young := loadTables(t, e, map[string]string{"people": "person\nc\nd\n"})
	if diff := cmp.Diff([]string{"a", "b", "c"}, keysFor(t, old, everyone())); diff != "" {
		t.Errorf("people of the old generation differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"c", "d"}, keysFor(t, young, everyone())); diff != "" {
		t.Errorf("people of the new generation differ (-want +got):\n%s", diff)
	}
	list, err := e.Generations(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("Generations() = %v, %v, want two", list, err)
	}
	if list[0].ID != young.Info().ID || list[1].ID != old.Info().ID || !list[0].Current || list[1].Current {
		t.Errorf("Generations() = %+v, want the newest first and current", list)
	}
	if list[0].ID <= list[1].ID {
		t.Errorf("Generations() has ids %s and %s, want them to sort by age", list[0].ID, list[1].ID)
	}
	want := engine.Info{Name: "suite", AsOf: suiteNow(), People: 2, PersonalityThreshold: 0.75}
	got := young.Info()
	if got.Name != want.Name || !got.AsOf.Equal(want.AsOf) || got.People != want.People ||
		got.PersonalityThreshold != want.PersonalityThreshold || got.Bytes <= 0 || got.LoadedAt.IsZero() {
		t.Errorf("Info() = %+v, want %+v", got, want)
	}
	again, err := e.Acquire(t.Context(), old.Info().ID)
	if err != nil {
		t.Fatalf("Acquire(old): %v", err)
	}
	if n := len(keysFor(t, again, everyone())); n != 3 {
		t.Errorf("Acquire(old) has %d people, want 3", n)
	}
	again.Release()
	again.Release() // a no-op
	for _, id := range []string{"", old.Info().ID, young.Info().ID} {
		if err := e.Check(t.Context(), id, func(engine.Progress) {}); err != nil {
			t.Errorf("Check(%q) = %v, want nil", id, err)
		}
	}
}

func testRemove(t *testing.T, e engine.Engine) {
	old := loadTables(t, e, map[string]string{"people": "person\na\nb\nc\n"})
	young := loadTables(t, e, map[string]string{"people": "person\nd\n"})
	if err := e.Remove(t.Context(), young.Info().ID); err == nil {
		t.Error("Remove(current) = nil, want an error")
	}
	id := old.Info().ID
	if err := e.Remove(t.Context(), id); err != nil {
		t.Fatalf("Remove(old): %v", err)
	}
	if n := len(keysFor(t, old, everyone())); n != 3 {
		t.Errorf("a removed generation has %d people for its holder, want 3", n)
	}
	old.Release()
	if _, err := e.Acquire(t.Context(), id); !errors.Is(err, engine.ErrNoGeneration) {
		t.Errorf("Acquire(removed) = %v, want ErrNoGeneration", err)
	}
	if err := e.Remove(t.Context(), id); err != nil {
		t.Errorf("Remove(removed) = %v, want nil", err)
	}
	if list, err := e.Generations(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("Generations() = %v, %v, want one", list, err)
	}
	if n := len(keysFor(t, young, everyone())); n != 1 {
		t.Errorf("the current generation has %d people, want 1", n)
	}
}

func testCloseUnderHolder(t *testing.T, e engine.Engine) {
	if _, err := e.Load(t.Context(), writeTables(t, map[string]string{"people": "person\na\n"}), engine.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	g, err := e.Acquire(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if diff := cmp.Diff([]string{"a"}, keysFor(t, g, everyone())); diff != "" {
		t.Errorf("people after Close differ (-want +got):\n%s", diff)
	}
	g.Release()
}

func testRefusedLoads(t *testing.T, e engine.Engine) {
	g := loadTables(t, e, map[string]string{"people": "person\nkept\n"})
	people := "person\n" + strings.Repeat("a\n", 1) + "b\nc\nd\n"
	refuse := func(name string, tables map[string]string, spoil func(dir string), opt engine.LoadOptions, is error) {
		t.Helper()
		dir := writeTables(t, tables)
		if spoil != nil {
			spoil(dir)
		}
		report, err := e.Load(t.Context(), dir, opt)
		if err == nil || is != nil && !errors.Is(err, is) {
			t.Errorf("Load(%s) = %v, want an error (%v)", name, err, is)
		}
		if is != nil && report == nil {
			t.Errorf("Load(%s) gives no report", name)
		}
		if current, err := e.Acquire(t.Context(), ""); err != nil {
			t.Errorf("Acquire after Load(%s): %v", name, err)
		} else {
			if current.Info().ID != g.Info().ID {
				t.Errorf("Load(%s) changed the current generation", name)
			}
			current.Release()
		}
		if list, err := e.Generations(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("Load(%s) leaves the generations %v, %v, want one", name, list, err)
		}
	}
	file := func(name, content string) func(string) {
		return func(dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	reject := map[string]string{"people": people, "follows": "person,network,account\na,twitter,1\nz,twitter,1\n"}
	refuse("half of a table rejected", reject, nil, engine.LoadOptions{}, engine.ErrTooManyRejects)
	refuse("a reject where none is allowed", reject, nil, engine.LoadOptions{AllowRejects: -1}, engine.ErrTooManyRejects)
	refuse("more than the share", reject, nil, engine.LoadOptions{AllowRejects: 0.49}, engine.ErrTooManyRejects)
	refuse("no people", map[string]string{"jobs": "person,title\na,Cook\n"}, nil, engine.LoadOptions{}, nil)
	refuse("a missing column", map[string]string{"people": people, "follows": "person,network\na,twitter\n"}, nil, engine.LoadOptions{}, nil)
	refuse("a truncated archive", map[string]string{"people": people}, file("jobs.csv.gz", "\x1f\x8b\x08\x00\x00"), engine.LoadOptions{}, nil)
	refuse("a broken footer", map[string]string{"people": people}, file("jobs.parquet", "PAR1 nothing PAR1"), engine.LoadOptions{}, nil)
	refuse("malformed settings", map[string]string{"people": people}, file("dataset.json", "{"), engine.LoadOptions{}, nil)
	refuse("no folder", map[string]string{}, nil, engine.LoadOptions{}, nil)
	if _, err := e.Load(t.Context(), writeTables(t, reject), engine.LoadOptions{AllowRejects: 0.5}); err != nil {
		t.Errorf("Load(exactly the share) = %v, want nil", err)
	}
}

func testBusy(t *testing.T, e engine.Engine) {
	dir, other := t.TempDir(), writeTables(t, map[string]string{"people": "person\na\n"})
	if err := RandomDataset(newRand(1), dir, Options{People: 3000}); err != nil {
		t.Fatal(err)
	}
	var second error
	asked := false
	_, err := e.Load(t.Context(), dir, engine.LoadOptions{AllowRejects: 1, Progress: func(engine.Progress) {
		if !asked {
			asked = true
			_, second = e.Load(t.Context(), other, engine.LoadOptions{})
		}
	}})
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if !asked {
		t.Fatal("Load never called Progress")
	}
	if !errors.Is(second, engine.ErrBusy) {
		t.Errorf("a second Load = %v, want ErrBusy", second)
	}
	if _, err := e.Load(t.Context(), other, engine.LoadOptions{}); err != nil {
		t.Errorf("Load afterwards = %v, want nil", err)
	}
}

func testCanceled(t *testing.T, e engine.Engine) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Load(ctx, writeTables(t, map[string]string{"people": "person\na\n"}), engine.LoadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Load(canceled) = %v, want context.Canceled", err)
	}
	if _, err := e.Acquire(t.Context(), ""); !errors.Is(err, engine.ErrNoGeneration) {
		t.Errorf("Acquire after a canceled load = %v, want ErrNoGeneration", err)
	}
	g := loadTables(t, e, map[string]string{"people": "person\na\n"})
	if _, err := g.Count(ctx, include(everyone()), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Count(canceled) = %v, want context.Canceled", err)
	}
	rows, _, err := g.Select(t.Context(), include(everyone()), 0)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	err = g.Stream(t.Context(), rows, []identifier.Type{identifier.SSID}, func(*engine.Batch) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("Stream = %v, want the error of emit", err)
	}
}

func testRows(t *testing.T, e engine.Engine) {
	var people strings.Builder
	people.WriteString("person,gender\n")
	for i := range 1000 {
		fmt.Fprintf(&people, "p%d,%s\n", i, []string{"male", "female", ""}[i*i%3])
	}
	tables := map[string]string{"people": people.String()}
	g := loadTables(t, e, tables)
	other := loadTables(t, e, tables)
	for _, n := range []query.Node{query.Or{}, everyone(), query.In{Field: query.Gender, Values: []string{"female"}}} {
		rows, _, err := g.Select(t.Context(), include(n), 0)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if err := g.WriteRows(&buf, rows); err != nil {
			t.Fatalf("WriteRows: %v", err)
		}
		back, err := g.ReadRows(bytes.NewReader(buf.Bytes()))
		if err != nil {
			t.Fatalf("ReadRows: %v", err)
		}
		if diff := cmp.Diff(keysOf(t, g, rows), keysOf(t, g, back)); diff != "" {
			t.Errorf("ReadRows(WriteRows(%s)) differs (-want +got):\n%s", show(n), diff)
		}
		got := keysFor(t, g, query.Not{Node: query.Rows{Set: back}})
		if diff := cmp.Diff(keysFor(t, g, query.Not{Node: n}), got); diff != "" {
			t.Errorf("Not(Rows(%s)) differs (-want +got):\n%s", show(n), diff)
		}
		if _, err := other.ReadRows(bytes.NewReader(buf.Bytes())); !errors.Is(err, engine.ErrForeignRows) {
			t.Errorf("ReadRows(of another generation) = %v, want ErrForeignRows", err)
		}
		if _, err := other.Count(t.Context(), include(query.Rows{Set: rows}), 0); !errors.Is(err, engine.ErrForeignRows) {
			t.Errorf("Count(rows of another generation) = %v, want ErrForeignRows", err)
		}
		if err := other.WriteRows(&bytes.Buffer{}, rows); !errors.Is(err, engine.ErrForeignRows) {
			t.Errorf("WriteRows(rows of another generation) = %v, want ErrForeignRows", err)
		}
		for at := range buf.Len() {
			bad := bytes.Clone(buf.Bytes())
			bad[at] ^= 0x10
			if _, err := g.ReadRows(bytes.NewReader(bad)); !errors.Is(err, engine.ErrCorrupt) && !errors.Is(err, engine.ErrForeignRows) {
				t.Fatalf("ReadRows(byte %d of %d changed) = %v, want ErrCorrupt", at, buf.Len(), err)
			}
			if _, err := g.ReadRows(bytes.NewReader(buf.Bytes()[:at])); !errors.Is(err, engine.ErrCorrupt) {
				t.Fatalf("ReadRows(%d of %d bytes) = %v, want ErrCorrupt", at, buf.Len(), err)
			}
		}
	}
}
