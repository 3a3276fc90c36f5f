package bitmap_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/bitmap/storage"
	"throng/engine/enginetest"
	"throng/engine/enginetest/model"
	"throng/identifier"
	"throng/query"
	"throng/reference"
)

// battery is a fixed set of questions to an engine.
type battery struct {
	definitions []query.Definition
	values      map[identifier.Type][][]byte // to match
	kept        []byte                       // a file of rows
	names       []string                     // for search boxes and accounts
}

// answer is what one question gave: a digest, or an error.
type answer struct {
	question string
	value    string
	err      error
}

// ask puts all questions. What goes wrong on the way is an answer, too.
func (b *battery) ask(t testing.TB, e *bitmap.Engine) (answers []answer) {
	note := func(question string, value any, err error) {
		text, ok := value.([]byte)
		if !ok {
			text = fmt.Append(nil, value)
		}
		sum := sha256.Sum256(text)
		answers = append(answers, answer{question, fmt.Sprintf("%.60q %x", text, sum[:8]), err})
	}
	ctx := t.Context()
	g, err := e.Acquire(ctx, "")
	if err != nil {
		note("Acquire", nil, err)
		return answers
	}
	defer g.Release()
	info := g.Info()
	info.Err = nil
	note("Info", info, nil)
	var everybody query.RowSet
	for i, d := range b.definitions {
		want := engine.Sizes(i % 4)
		counts, err := g.Count(ctx, d, want)
		note(fmt.Sprintf("Count %d", i), counts, err)
		rows, counts, err := g.Select(ctx, d, want)
		if err != nil {
			note(fmt.Sprintf("Select %d", i), nil, err)
			continue
		}
		lines, err := streamed(ctx, g, rows)
		note(fmt.Sprintf("Select %d", i), fmt.Sprintf("%v %s", counts, lines), err)
		if i == 0 {
			everybody = rows
		}
	}
	for _, typ := range identifier.Types() {
		rows, matched, err := g.Match(ctx, typ, slices.Values(b.values[typ]))
		if err != nil {
			note("Match "+string(typ), nil, err)
			continue
		}
		lines, err := streamed(ctx, g, rows)
		note("Match "+string(typ), fmt.Sprintf("%d %s", matched, lines), err)
	}
	if everybody != nil {
		for _, f := range query.TermFields() {
			if f == query.Active || f == query.Scored {
				continue
			}
			sums, err := g.Breakdown(ctx, everybody, []query.Field{f})
			note("Breakdown "+string(f), sums, err)
		}
		var file bytes.Buffer
		err := g.WriteRows(&file, everybody)
		note("WriteRows", file.Bytes(), err)
	}
	rows, err := g.ReadRows(bytes.NewReader(b.kept))
	if err == nil {
		counts, err := g.Count(ctx, query.Definition{Steps: []query.Step{{Node: query.Rows{Set: rows}}}}, 0)
		note("ReadRows", counts, err)
	} else {
		note("ReadRows", nil, err)
	}
	b.askCatalog(ctx, g.Catalog(), note)
	return answers
}

func (b *battery) askCatalog(ctx context.Context, c engine.Catalog, note func(string, any, error)) {
	if table, err := c.Places(); err != nil {
		note("Places", nil, err)
	} else {
		for _, k := range reference.Kinds() {
			var text []byte // printing them by fmt would take most of the time of the test
			for _, p := range table.All(k) {
				for _, s := range []string{p.ID, p.Name, p.Region, p.Country, p.DMA} {
					text = append(append(text, s...), ' ')
				}
			}
			note("Places "+string(k), text, nil)
		}
	}
	if tree, err := c.Affinities(); err != nil {
		note("Affinities", nil, err)
	} else {
		var walk func(list []*engine.Affinity) string
		walk = func(list []*engine.Affinity) (s string) {
			for _, a := range list {
				s += fmt.Sprintf("(%s %s %d %s)", a.ID, a.Name, a.People, walk(a.Children))
			}
			return s
		}
		note("Affinities", walk(tree.Roots), nil)
	}
	for _, f := range []query.Field{query.JobTitle, query.Employer} {
		for _, name := range b.names {
			terms, more, err := c.Search(ctx, f, name, 0, 5)
			note(fmt.Sprintf("Search %s %q", f, name), fmt.Sprint(terms, more), err)
		}
	}
	for _, name := range b.names {
		for _, f := range []query.Field{query.Twitter, query.YouTube, query.City} {
			a, ok, err := c.Account(f, name)
			note(fmt.Sprintf("Account %s %q", f, name), fmt.Sprint(a, ok), err)
			list, err := c.AccountsNamed(f, name)
			note(fmt.Sprintf("AccountsNamed %s %q", f, name), list, err)
			term, ok, err := c.Term(f, name)
			note(fmt.Sprintf("Term %s %q", f, name), fmt.Sprint(term, ok), err)
		}
	}
}

// streamed is a digest of all identifiers of rows.
func streamed(ctx context.Context, g engine.Generation, rows query.RowSet) (string, error) {
	lines := map[identifier.Type]io.Writer{}
	sums := map[identifier.Type]func() string{}
	for _, typ := range identifier.Types() {
		h := sha256.New()
		lines[typ], sums[typ] = h, func() string { return fmt.Sprintf("%x", h.Sum(nil)[:6]) }
	}
	err := g.Stream(ctx, rows, identifier.Types(), func(b *engine.Batch) error {
		from := uint32(0) // the digest must not depend on where batches end
		for i, end := range b.Ends {
			fmt.Fprintf(lines[b.Type], "%d %s", b.Members[i], b.Lines[from:end])
			from = end
		}
		return nil
	})
	var s strings.Builder
	for _, typ := range identifier.Types() {
		s.WriteString(sums[typ]())
	}
	return s.String(), err
}

// victim is an index whose files are damaged one after the other.
type victim struct {
	index   string
	id      string   // the current generation
	other   string   // another one, of another dataset
	files   []string // relative to index
	battery *battery
	want    []answer
}

// newVictim loads two random datasets, and asks the second one, undamaged.
func newVictim(t testing.TB, seed uint64) *victim {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	v := &victim{index: t.TempDir(), battery: &battery{values: map[identifier.Type][][]byte{}}}
	e := v.open(t)
	var m *model.Model
	for range 2 {
		dir := t.TempDir()
		check(t, enginetest.RandomDataset(rng, dir, enginetest.Options{People: 40 + rng.IntN(80)}))
		report, err := e.Load(t.Context(), dir, engine.LoadOptions{AllowRejects: 1, Memory: 64 << 20})
		check(t, err)
		v.other, v.id = v.id, report.Generation
		m, err = model.Load(dir, report.AsOf)
		check(t, err)
	}
	b := v.battery
	b.definitions = append(b.definitions, query.Definition{Steps: []query.Step{{Node: query.And{}}}})
	for range 12 {
		var d query.Definition
		for range 1 + rng.IntN(3) {
			op := []query.Op{query.Include, query.Filter, query.Exclude}[rng.IntN(3)]
			d.Steps = append(d.Steps, query.Step{Op: op, Node: enginetest.RandomNode(rng, m)})
		}
		b.definitions = append(b.definitions, d)
	}
	b.names = append(b.names, "", "chef", "new york", "1", "2", "ann", "zed")
	v.sample(t, e)
	manifest, err := storage.ReadManifest(filepath.Join(v.index, v.id))
	check(t, err)
	v.files = []string{storage.CurrentName, filepath.Join(v.id, storage.ManifestName)}
	for _, f := range manifest.Files {
		v.files = append(v.files, filepath.Join(v.id, filepath.FromSlash(f.Name)))
	}
	v.want = b.ask(t, e)
	for _, a := range v.want {
		if a.err != nil {
			t.Fatalf("seed %d: undamaged: %s: %v", seed, a.question, a.err)
		}
	}
	check(t, e.Check(t.Context(), "", nil))
	return v
}

// sample takes what the index holds for values to match and a file of rows.
func (v *victim) sample(t testing.TB, e *bitmap.Engine) {
	t.Helper()
	g, err := e.Acquire(t.Context(), "")
	check(t, err)
	defer g.Release()
	rows, _, err := g.Select(t.Context(), v.battery.definitions[0], 0)
	check(t, err)
	var file bytes.Buffer
	check(t, g.WriteRows(&file, rows))
	v.battery.kept = file.Bytes()
	check(t, g.Stream(t.Context(), rows, identifier.Types(), func(b *engine.Batch) error {
		seen := map[string]bool{}
		for line := range bytes.Lines(b.Lines) {
			key, reason := b.Type.Normalize(nil, bytes.TrimSuffix(line, []byte("\n")))
			if reason == "" && !seen[string(key)] {
				seen[string(key)] = true
				v.battery.values[b.Type] = append(v.battery.values[b.Type], bytes.Clone(key))
			}
		}
		return nil
	}))
}

func (v *victim) open(t testing.TB) *bitmap.Engine {
	t.Helper()
	e, err := bitmap.Open(v.index, bitmap.Config{Workers: 2})
	check(t, err)
	t.Cleanup(func() { check(t, e.Close()) })
	return e
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// named tells whether an error says which file is damaged.
func (v *victim) named(err error, file string) bool {
	return errors.Is(err, engine.ErrCorrupt) && strings.Contains(err.Error(), filepath.ToSlash(file))
}

// compare holds the answers of an index with a damaged file against those of
// the whole one.
func (v *victim) compare(t testing.TB, what, file string, got []answer) {
	t.Helper()
	want := map[string]string{}
	for _, a := range v.want {
		want[a.question] = a.value
	}
	for _, a := range got {
		switch {
		case a.err != nil && !v.named(a.err, file):
			t.Errorf("%s: %s: error %v, want one that names the file", what, a.question, a.err)
		case a.err == nil && a.value != want[a.question]:
			t.Errorf("%s: %s = %s, want %s", what, a.question, a.value, want[a.question])
		}
	}
}

// try damages a file, opens the index anew and asks everything; then it mends
// the file.
func (v *victim) try(t testing.TB, what, file string, damaged []byte) {
	t.Helper()
	what += " of " + file
	path := filepath.Join(v.index, file)
	whole, err := os.ReadFile(path)
	check(t, err)
	defer func() { check(t, os.WriteFile(path, whole, 0o600)) }()
	if damaged == nil {
		check(t, os.Remove(path))
	} else {
		check(t, os.WriteFile(path, damaged, 0o600))
	}
	e, err := bitmap.Open(v.index, bitmap.Config{Workers: 2})
	check(t, err)
	defer e.Close()
	got := v.battery.ask(t, e)
	err = e.Check(t.Context(), "", nil)
	if file == storage.CurrentName && damaged == nil {
		if !errors.Is(got[0].err, engine.ErrNoGeneration) || !errors.Is(err, engine.ErrNoGeneration) {
			t.Errorf("%s: Acquire: %v, Check: %v, want %v", what, got[0].err, err, engine.ErrNoGeneration)
		}
		return
	}
	v.compare(t, what, file, got)
	if !v.named(err, file) {
		t.Errorf("%s: Check = %v, want an error that names the file", what, err)
	}
}

// damages are the ways in which a file is damaged at random.
func (v *victim) damages(t testing.TB, rng *rand.Rand, file string) map[string][]byte {
	t.Helper()
	whole, err := os.ReadFile(filepath.Join(v.index, file))
	check(t, err)
	n := len(whole)
	damages := map[string][]byte{}
	flip := rng.IntN(8 * n)
	b := bytes.Clone(whole)
	b[flip/8] ^= 1 << (flip % 8)
	damages[fmt.Sprintf("bit %d", flip)] = b
	cut := rng.IntN(n)
	damages[fmt.Sprintf("cut at %d", cut)] = whole[:cut]
	more := make([]byte, 1+rng.IntN(200))
	damages[fmt.Sprintf("%d zeros behind", len(more))] = append(bytes.Clone(whole), more...)
	for i := range more {
		more[i] = byte(rng.Uint32())
	}
	damages[fmt.Sprintf("%d bytes behind", len(more))] = append(bytes.Clone(whole), more...)
	// A page or a sector that was not written, or written elsewhere.
	size := []int{8, 64, 512, 4096}[rng.IntN(4)]
	at := rng.IntN(n) / size * size
	end := min(at+size, n)
	b = bytes.Clone(whole)
	clear(b[at:end])
	damages[fmt.Sprintf("zeros from %d to %d", at, end)] = b
	b = bytes.Clone(whole)
	copy(b[at:end], whole[rng.IntN(n)/8*8:])
	damages[fmt.Sprintf("other bytes from %d to %d", at, end)] = b
	damages["content"] = []byte{}
	if rel, err := filepath.Rel(v.id, file); err == nil && !strings.HasPrefix(rel, "..") {
		if b, err := os.ReadFile(filepath.Join(v.index, v.other, rel)); err == nil {
			damages["generation"] = b
		}
	}
	b, err = os.ReadFile(filepath.Join(v.index, v.files[rng.IntN(len(v.files))]))
	check(t, err)
	damages["name"] = b
	for what, b := range damages {
		if bytes.Equal(b, whole) {
			delete(damages, what)
		}
	}
	return damages
}

// TestDamage damages every file of an index in every way: an answer is the
// right one or an error that names the file, and Check finds every damage.
func TestDamage(t *testing.T) {
	long := os.Getenv("THRONG_TEST_LONG") != ""
	seeds, rounds := 1, 1
	if long {
		seeds, rounds = 5, 20
	}
	for range seeds {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			v := newVictim(t, seed)
			rng := rand.New(rand.NewPCG(seed, 2))
			for _, file := range v.files {
				v.try(t, "deletion", file, nil)
				for range rounds {
					few := 3 // of the nine ways
					for what, b := range v.damages(t, rng, file) {
						if few--; few >= 0 || long {
							v.try(t, what, file, b)
						}
					}
				}
			}
		})
	}
}

// TestDamageWhileOpen cuts files short that are mapped, after some of them was
// read.
func TestDamageWhileOpen(t *testing.T) {
	seed := rand.Uint64()
	v := newVictim(t, seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	rounds := 2
	if os.Getenv("THRONG_TEST_LONG") != "" {
		rounds = 20
	}
	for n, file := range v.files {
		if file == storage.CurrentName || testing.Short() && n%8 != rng.IntN(8) {
			continue
		}
		path := filepath.Join(v.index, file)
		whole, err := os.ReadFile(path)
		check(t, err)
		for i := range rounds {
			e, err := bitmap.Open(v.index, bitmap.Config{Workers: 2})
			check(t, err)
			g, err := e.Acquire(t.Context(), "") // what is open stays open
			check(t, err)
			if i%2 == 1 {
				few := *v.battery
				few.definitions = few.definitions[:8]
				v.compare(t, "nothing", file, few.ask(t, e))
			}
			cut := rng.IntN(len(whole)) * (i % 3) / 3
			check(t, os.Truncate(path, int64(cut)))
			v.compare(t, fmt.Sprintf("seed %d: cut at %d while it is open", seed, cut), file, v.battery.ask(t, e))
			check(t, os.WriteFile(path, whole, 0o600))
			g.Release()
			check(t, e.Close())
		}
	}
}

// FuzzDamage flips a bit of a file of an index and cuts it.
func FuzzDamage(f *testing.F) {
	v := newVictim(f, 7)
	for i := range v.files {
		if testing.Short() && i%8 != 0 { // TestDamage damages each
			continue
		}
		f.Add(uint(i), uint32(i*100), byte(i), uint32(0))
		f.Add(uint(i), uint32(i), byte(0), uint32(i+1))
	}
	f.Fuzz(func(t *testing.T, file uint, offset uint32, bit byte, cut uint32) {
		name := v.files[file%uint(len(v.files))]
		whole, err := os.ReadFile(filepath.Join(v.index, name))
		check(t, err)
		b := bytes.Clone(whole)
		b[int(offset)%len(b)] ^= 1 << (bit % 8)
		b = b[:len(b)-int(cut)%len(b)]
		v.try(t, fmt.Sprintf("bit %d of byte %d and %d bytes at the end", bit%8, offset, cut), name, b)
	})
}
