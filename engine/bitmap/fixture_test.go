package bitmap

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"throng/engine"
	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/internal/words"
	"throng/query"
)

// fixture is a generation spelt out. What is not set is absent.
type fixture struct {
	rows     int
	terms    map[query.Field]map[string][]uint32 // rows of each term, ascending
	ids      map[identifier.Type]map[int][]string
	texts    map[query.Field]map[int][]string
	accounts map[query.Field][]engine.Account
	catalog  storage.Catalog
	places   []storage.CatalogPlace // nil: built in
}

func newFixture(rows int) *fixture {
	return &fixture{
		rows:    rows,
		terms:   map[query.Field]map[string][]uint32{},
		ids:     map[identifier.Type]map[int][]string{},
		texts:   map[query.Field]map[int][]string{},
		catalog: storage.Catalog{BuiltInPlaces: true},
	}
}

func (f *fixture) addTerm(field query.Field, value string, rows []uint32) {
	if f.terms[field] == nil {
		f.terms[field] = map[string][]uint32{}
	}
	f.terms[field][value] = rows
}

// addText gives a row a text, and its words.
func (f *fixture) addText(field query.Field, row int, text string) {
	if f.texts[field] == nil {
		f.texts[field] = map[int][]string{}
	}
	f.texts[field][row] = append(f.texts[field][row], text)
	words.Tokens([]byte(text), func(sign byte, word []byte) bool {
		f.addWord(field, row, string(word))
		if sign != 0 {
			f.addWord(field, row, string(sign)+string(word))
		}
		return true
	})
}

// addWord notes that a text of a row has a word.
func (f *fixture) addWord(field query.Field, row int, word string) {
	if f.terms[field] == nil {
		f.terms[field] = map[string][]uint32{}
	}
	if rows := f.terms[field][word]; len(rows) == 0 || rows[len(rows)-1] != uint32(row) {
		f.terms[field][word] = append(rows, uint32(row))
	}
}

func (f *fixture) addID(t identifier.Type, row int, value string) {
	if f.ids[t] == nil {
		f.ids[t] = map[int][]string{}
	}
	f.ids[t][row] = append(f.ids[t][row], value)
}

// write makes the fixture a generation of the folder, and the current one.
func (f *fixture) write(t testing.TB, dir, id string) {
	t.Helper()
	gen := filepath.Join(dir, id)
	must(t, os.MkdirAll(filepath.Join(gen, "parts"), 0o700))
	m := &storage.Manifest{
		Format: storage.ManifestFormat, Rows: uint32(f.rows),
		Parts: (f.rows + storage.PartRows - 1) / storage.PartRows,
		Info: engine.Info{
			ID: id, Name: "fixture", People: uint64(f.rows),
			LoadedAt: time.Unix(int64(len(id)), int64(rand.Uint32())).UTC(), // unlike every other
		},
	}
	add := func(s storage.FileSum, err error) {
		t.Helper()
		must(t, err)
		m.Files = append(m.Files, s)
	}
	f.writeTerms(t, gen, m.Parts, add)
	f.writeAccounts(t, gen, add)
	add(storage.WriteCatalog(gen, &f.catalog))
	if f.places != nil {
		add(storage.WritePlaces(gen, f.places))
	}
	if f.ids[identifier.SSID] == nil {
		for r := range f.rows {
			f.addID(identifier.SSID, r, fmt.Sprintf("p%07d", r))
		}
	}
	for typ, values := range f.ids {
		f.writeIDs(t, gen, typ, values, add)
	}
	for field, texts := range f.texts {
		c, err := storage.NewColumnWriter(gen, storage.TextName(string(field)), uint32(f.rows))
		must(t, err)
		var z words.Tokenizer
		for _, row := range slices.Sorted(maps.Keys(texts)) {
			for _, text := range texts[row] {
				must(t, c.Add(uint32(row), z.Stream(nil, []byte(text)), false))
			}
		}
		add(c.Close())
	}
	must(t, storage.WriteManifest(gen, m))
	must(t, storage.WriteCurrent(dir, id))
}

func (f *fixture) writeTerms(t testing.TB, gen string, parts int, add func(storage.FileSum, error)) {
	t.Helper()
	dict, err := storage.NewDictWriter(gen, storage.DictName)
	must(t, err)
	var all [][]uint32 // rows of each term, by number
	counted := forward.Counted{Scored: forward.NoTerm}
	for _, field := range storage.Fields() {
		switch {
		case slices.Contains(forward.CountedFields(), field) || field == query.Active:
			counted.Starts = append(counted.Starts, uint32(len(all)))
		case field == query.Scored && len(f.terms[field]) > 0:
			counted.Scored = uint32(len(all))
		}
		for _, value := range slices.Sorted(maps.Keys(f.terms[field])) {
			if rows := f.terms[field][value]; len(rows) > 0 {
				must(t, dict.Add(field, []byte(value), uint32(len(rows))))
				all = append(all, rows)
			}
		}
	}
	add(dict.Close())
	written, err := storage.OpenDict(filepath.Join(gen, storage.DictName))
	must(t, err)
	defer written.Close()
	for _, field := range storage.NameFields() {
		if _, n := written.Range(field); n > 0 {
			add(storage.WriteNames(gen, written, field))
		}
	}
	for p := range parts {
		first := p * storage.PartRows
		n := min(storage.PartRows, f.rows-first)
		w, err := storage.NewPartWriter(gen, storage.PartName(p), uint32(first), n)
		must(t, err)
		var blocks [storage.PartBlocks]struct {
			terms, ends []uint32
			rows        []uint16
		}
		var terms, people []uint32
		for term, rows := range all {
			from, _ := slices.BinarySearch(rows, uint32(first))
			to, _ := slices.BinarySearch(rows, uint32(first+n))
			var lists [storage.PartBlocks][]uint16
			for _, r := range rows[from:to] {
				b := (int(r) - first) / storage.BlockRows
				lists[b] = append(lists[b], uint16(r))
			}
			must(t, w.Add(uint32(term), &lists))
			for b, l := range lists {
				if block := &blocks[b]; len(l) > 0 {
					block.terms = append(block.terms, uint32(term))
					block.rows = append(block.rows, l...)
					block.ends = append(block.ends, uint32(len(block.rows)))
				}
			}
			if from < to {
				terms, people = append(terms, uint32(term)), append(people, uint32(to-from))
			}
		}
		add(w.Close())
		codes := forward.NewCodes(counted, n, terms, people, nil)
		fw, err := forward.NewWriter(gen, forward.Name(p), uint32(first), n, codes)
		must(t, err)
		var e forward.Encoder
		for b := range (n + storage.BlockRows - 1) / storage.BlockRows {
			rows := min(n-b*storage.BlockRows, storage.BlockRows)
			section, err := e.Encode(codes, rows, blocks[b].terms, blocks[b].ends, blocks[b].rows, nil)
			must(t, err)
			must(t, fw.Add(section))
		}
		add(fw.Close())
	}
}

func (f *fixture) writeAccounts(t testing.TB, gen string, add func(storage.FileSum, error)) {
	t.Helper()
	w, err := storage.NewAccountsWriter(gen, storage.AccountsName)
	must(t, err)
	for _, network := range []query.Field{query.Twitter, query.Twitch, query.YouTube, query.Instagram, query.TikTok} {
		list := slices.SortedFunc(slices.Values(f.accounts[network]), func(a, b engine.Account) int {
			return strings.Compare(a.ID, b.ID)
		})
		for _, a := range list {
			must(t, w.Add(network, storage.AccountRecord{ID: []byte(a.ID), ScreenName: []byte(a.ScreenName), Name: []byte(a.Name)}))
		}
	}
	add(w.Close())
}

func (f *fixture) writeIDs(t testing.TB, gen string, typ identifier.Type, values map[int][]string, add func(storage.FileSum, error)) {
	t.Helper()
	type owner struct {
		hash uint64
		row  uint32
	}
	var owners []owner
	codec := storage.CodecOf(typ)
	have := map[string]int{}
	stored := func(v string) (value, key []byte) {
		value = codec.Encode(nil, []byte(v))
		return value, slices.Clone(codec.Key(nil, value))
	}
	for row, list := range values {
		for _, v := range list {
			_, key := stored(v)
			have[string(key)]++
			owners = append(owners, owner{storage.Hash(key), uint32(row)})
		}
	}
	c, err := storage.NewColumnWriter(gen, storage.ColumnName(typ), uint32(f.rows))
	must(t, err)
	for _, row := range slices.Sorted(maps.Keys(values)) {
		for _, v := range values[row] {
			value, key := stored(v)
			must(t, c.Add(uint32(row), value, have[string(key)] > 1))
		}
	}
	add(c.Close())
	name := storage.LookupName(typ)
	if name == "" {
		return
	}
	slices.SortFunc(owners, func(a, b owner) int {
		if a.hash != b.hash {
			if a.hash < b.hash {
				return -1
			}
			return 1
		}
		return int(a.row) - int(b.row)
	})
	l, err := storage.NewLookupWriter(gen, name, uint64(len(owners)))
	must(t, err)
	for _, o := range owners {
		must(t, l.Add(o.hash, o.row))
	}
	add(l.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openTest(t testing.TB, dir string) *Engine {
	t.Helper()
	e, err := Open(dir, Config{})
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	return e
}

func acquire(t testing.TB, e *Engine, id string) *generation {
	t.Helper()
	g, err := e.Acquire(t.Context(), id)
	must(t, err)
	t.Cleanup(g.Release)
	return g.(*generation)
}

// shape picks rows in one of the ways that make every kind of container, and
// blocks without any.
func shape(rng *rand.Rand, rows int) []uint32 {
	var out []uint32
	switch kind := rng.IntN(8); kind {
	case 0: // a single row, or the last one
		return []uint32{uint32(rows - 1 - rng.IntN(2)*rng.IntN(rows))}
	case 1: // runs
		for r := rng.IntN(5000); r < rows; r += 1 + rng.IntN(90000) {
			for n := 1 + rng.IntN(9000); n > 0 && r < rows; n-- {
				out = append(out, uint32(r))
				r++
			}
		}
	case 2: // everyone in the second half
		for r := rows / 2; r < rows; r++ {
			out = append(out, uint32(r))
		}
	case 3: // everyone
		for r := range rows {
			out = append(out, uint32(r))
		}
	default:
		step := []int{3, 12, 120, 5000}[kind-4]
		for r := rng.IntN(2 * step); r < rows; r += 1 + rng.IntN(2*step-1) {
			out = append(out, uint32(r))
		}
	}
	return out
}
