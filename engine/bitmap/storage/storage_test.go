package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/identifier"
	"throng/query"
)

// partLists makes postings of every kind of container, also mixed.
func partLists(rows int) map[uint32]*[PartBlocks][]uint16 {
	rng := rand.New(rand.NewPCG(1, 2))
	lists := map[uint32]*[PartBlocks][]uint16{}
	put := func(term uint32, keep func(row int) bool) {
		l := new([PartBlocks][]uint16)
		for r := range rows {
			if keep(r) {
				l[r/BlockRows] = append(l[r/BlockRows], uint16(r%BlockRows))
			}
		}
		lists[term] = l
	}
	put(3, func(r int) bool { return r == rows-1 })
	put(4, func(r int) bool { return r == 0 })
	put(7, func(r int) bool { return r%1000 == 1 })
	put(8, func(int) bool { return true })
	put(9, func(int) bool { return rng.IntN(2) == 0 })
	put(10, func(r int) bool { return r < 100 || r > BlockRows && r < BlockRows+7 })
	put(1000, func(r int) bool { return r < BlockRows && r%3 == 0 || r >= BlockRows && r%4000 == 0 })
	put(1<<32-1, func(r int) bool { return r/5000%2 == 0 || r%9000 == 7 })
	put(500, func(int) bool { return false })
	return lists
}

func writePart(t testing.TB, dir string, rows int, lists map[uint32]*[PartBlocks][]uint16) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "parts"), 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := NewPartWriter(dir, PartName(0), PartRows, rows)
	if err != nil {
		t.Fatal(err)
	}
	terms := make([]uint32, 0, len(lists))
	for term := range lists {
		terms = append(terms, term)
	}
	slices.Sort(terms)
	for _, term := range terms {
		if err := w.Add(term, lists[term]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, PartName(0))
}

func rowsOf(c Container) []uint16 {
	var rows []uint16
	switch c.Kind {
	case None:
	case Array:
		rows = append(rows, c.Array...)
	case Bitmap:
		for r := range BlockRows {
			if c.Bitmap[r>>6]>>(r&63)&1 != 0 {
				rows = append(rows, uint16(r))
			}
		}
	case Runs:
		for _, run := range c.Runs {
			for r := int(run.Start); r <= int(run.Last); r++ {
				rows = append(rows, uint16(r))
			}
		}
	}
	return rows
}

func TestPart(t *testing.T) {
	for _, rows := range []int{1, 64, 5000, BlockRows, BlockRows + 1, 3*BlockRows + 17} {
		lists := partLists(rows)
		p, err := OpenPart(writePart(t, t.TempDir(), rows, lists))
		if err != nil {
			t.Fatal(err)
		}
		if p.FirstRow() != PartRows || p.Rows() != rows {
			t.Errorf("part holds %d rows from %d, want %d from %d", p.Rows(), p.FirstRow(), rows, PartRows)
		}
		kinds := map[Kind]bool{}
		for term, want := range lists {
			ps, err := p.Postings(term)
			if err != nil {
				t.Fatal(err)
			}
			for b := range PartBlocks {
				c := ps.Container(b)
				kinds[c.Kind] = true
				got := rowsOf(c)
				if !slices.Equal(got, want[b]) || c.Card != len(got) || ps.Card(b) != len(got) {
					t.Errorf("rows %d: Postings(%d) block %d: %d rows of kind %d, card %d, want %d rows", rows, term, b, len(got), c.Kind, c.Card, len(want[b]))
				}
				if present := ps.Mask()>>b&1 != 0; present != (len(want[b]) > 0) {
					t.Errorf("rows %d: mask of term %d block %d = %v", rows, term, b, present)
				}
			}
			if ps.Empty() != (ps.Mask() == 0) {
				t.Errorf("Empty of term %d contradicts its mask", term)
			}
		}
		if rows > 3*BlockRows {
			want := map[Kind]bool{None: true, Array: true, Bitmap: true, Runs: true}
			if diff := cmp.Diff(want, kinds); diff != "" {
				t.Errorf("kinds of containers (-want +got):\n%s", diff)
			}
		}
		if ps, err := p.Postings(12345); err != nil || !ps.Empty() {
			t.Errorf("Postings(12345) = %v, %v, want nobody", ps.Mask(), err)
		}
		var terms []uint32
		if err := p.EachTerm(func(term uint32, _ Postings) bool { terms = append(terms, term); return true }); err != nil {
			t.Fatal(err)
		}
		if !slices.IsSorted(terms) || len(terms) != p.Terms() {
			t.Errorf("EachTerm gives %v, want %d ascending terms", terms, p.Terms())
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// columnValues are, for each row, its values.
func columnValues(kind string, rows int) [][][]byte {
	rng := rand.New(rand.NewPCG(3, uint64(rows)))
	out := make([][][]byte, rows)
	value := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for r := range out {
		switch kind {
		case "fixed one":
			out[r] = [][]byte{value(16)}
		case "fixed some":
			for range rng.IntN(3) {
				out[r] = append(out[r], value(16))
			}
		case "any one":
			out[r] = [][]byte{value(rng.IntN(12))}
		case "rare":
			if r%5000 == 4999 {
				out[r] = [][]byte{value(rng.IntN(40))}
			}
		case "many":
			for range rng.IntN(4) {
				out[r] = append(out[r], value(rng.IntN(9)))
			}
		case "long":
			if r%97 == 0 {
				out[r] = [][]byte{value(3000), {}, value(1)}
			}
		case "none":
		}
	}
	return out
}

func sharedValue(row, i int) bool { return (row+i)%7 == 3 }

func writeColumn(t testing.TB, dir string, values [][][]byte) string {
	t.Helper()
	w, err := NewColumnWriter(dir, "x.col", uint32(len(values)))
	if err != nil {
		t.Fatal(err)
	}
	for r, vs := range values {
		for i, v := range vs {
			if err := w.Add(uint32(r), v, sharedValue(r, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "x.col")
}

func TestColumn(t *testing.T) {
	for _, kind := range []string{"fixed one", "fixed some", "any one", "rare", "many", "long", "none"} {
		for _, rows := range []int{0, 1, 63, 64, 65, BlockRows, BlockRows + 100} {
			t.Run(fmt.Sprintf("%s/%d", kind, rows), func(t *testing.T) {
				values := columnValues(kind, rows)
				c, err := OpenColumn(writeColumn(t, t.TempDir(), values))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				total := 0
				for r, want := range values {
					cb, err := c.Block(r / BlockRows)
					if err != nil {
						t.Fatal(err)
					}
					from, to := cb.Range(r % BlockRows)
					if to-from != len(want) {
						t.Fatalf("row %d has %d values, want %d", r, to-from, len(want))
					}
					for i, v := range want {
						if got := cb.Value(from + i); !bytes.Equal(got, v) {
							t.Fatalf("row %d value %d = %x, want %x", r, i, got, v)
						}
						if got := cb.Shared(from + i); got != sharedValue(r, i) {
							t.Fatalf("row %d value %d shared = %v", r, i, got)
						}
					}
					total += len(want)
				}
				if c.Values() != uint64(total) || int(c.Rows()) != rows {
					t.Errorf("column has %d values of %d rows, want %d of %d", c.Values(), c.Rows(), total, rows)
				}
			})
		}
	}
}

func writeLookup(t testing.TB, dir string, n int) (string, map[uint64][]uint32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, uint64(n)))
	type pair struct {
		hash uint64
		row  uint32
	}
	pairs := make([]pair, n)
	want := map[uint64][]uint32{}
	for i := range pairs {
		pairs[i] = pair{rng.Uint64(), rng.Uint32()}
		if i%10 == 9 {
			pairs[i].hash = pairs[i-1].hash
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmpUint(a.hash, b.hash)*2 + cmpUint(uint64(a.row), uint64(b.row))
	})
	w, err := NewLookupWriter(dir, "x.idx", uint64(n))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		want[p.hash] = append(want[p.hash], p.row)
		if err := w.Add(p.hash, p.row); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "x.idx"), want
}

func cmpUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestLookup(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 100, 100_000} {
		path, want := writeLookup(t, t.TempDir(), n)
		l, err := OpenLookup(path)
		if err != nil {
			t.Fatal(err)
		}
		if l.Keys() != uint64(n) {
			t.Errorf("lookup holds %d keys, want %d", l.Keys(), n)
		}
		var hashes []uint64
		for h, rows := range want {
			hashes = append(hashes, h)
			var got []uint32
			if err := l.Candidates(h, func(row uint32) bool { got = append(got, row); return true }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, rows) {
				t.Errorf("n %d: Candidates(%x) = %v, want %v", n, h, got, rows)
			}
		}
		hashes = append(hashes, 0, 1, 1<<64-1)
		batch := map[uint64][]uint32{}
		if err := l.Batch(hashes, func(i int, row uint32) { batch[hashes[i]] = append(batch[hashes[i]], row) }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, batch); diff != "" {
			t.Errorf("n %d: Batch (-want +got):\n%s", n, diff)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func writeDict(t testing.TB, dir string) string {
	t.Helper()
	w, err := NewDictWriter(dir, DictName)
	if err != nil {
		t.Fatal(err)
	}
	n := uint32(0)
	for _, f := range []query.Field{query.Age, query.Country, query.Twitter, query.Tweet} {
		for i := range 300 {
			if err := w.Add(f, fmt.Appendf(nil, "%s-%04d", f, i), n); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, DictName)
}

func TestDict(t *testing.T) {
	d, err := OpenDict(writeDict(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Terms() != 1200 {
		t.Errorf("Terms() = %d, want 1200", d.Terms())
	}
	if first, count := d.Range(query.Twitter); first != 600 || count != 300 {
		t.Errorf("Range(twitter) = %d, %d, want 600, 300", first, count)
	}
	if _, count := d.Range(query.Gender); count != 0 {
		t.Errorf("Range(gender) has %d terms, want 0", count)
	}
	n, ok := d.Number(query.Twitter, []byte("twitter-0017"))
	if !ok || n != 617 || d.People(n) != 617 || string(d.Value(n)) != "twitter-0017" {
		t.Errorf("Number(twitter-0017) = %d, %v, people %d, value %s", n, ok, d.People(n), d.Value(n))
	}
	for _, absent := range []string{"", "twitter-0300", "age-0001", "z"} {
		if n, ok := d.Number(query.Twitter, []byte(absent)); ok {
			t.Errorf("Number(twitter %q) = %d, want none", absent, n)
		}
	}
}

func writeAccounts(t testing.TB, dir string) string {
	t.Helper()
	w, err := NewAccountsWriter(dir, AccountsName)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		net              query.Field
		id, screen, name string
	}{
		{query.Twitter, "1", "@Alpha", "The First"},
		{query.Twitter, "2", "ALPHA", ""},
		{query.Twitter, "3", "", "No screen name"},
		{query.YouTube, "1", "Älpha", "x"},
	} {
		if err := w.Add(r.net, AccountRecord{[]byte(r.id), []byte(r.screen), []byte(r.name)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, AccountsName)
}

func TestAccounts(t *testing.T) {
	a, err := OpenAccounts(writeAccounts(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ids := func(net query.Field, name string) (ids []string) {
		for _, r := range a.ByName(net, FoldName(nil, []byte(name))) {
			ids = append(ids, string(r.ID))
		}
		return ids
	}
	for _, tt := range []struct {
		net  query.Field
		name string
		want []string
	}{
		{query.Twitter, "@aLPHA", []string{"1", "2"}},
		{query.Twitter, "alph", nil},
		{query.Twitter, "", nil},
		{query.Twitch, "alpha", nil},
		{query.YouTube, "äLPHA", []string{"1"}},
	} {
		if diff := cmp.Diff(tt.want, ids(tt.net, tt.name)); diff != "" {
			t.Errorf("ByName(%s, %s) (-want +got):\n%s", tt.net, tt.name, diff)
		}
	}
	if r, ok := a.ByID(query.Twitter, []byte("3")); !ok || string(r.Name) != "No screen name" {
		t.Errorf("ByID(twitter, 3) = %s, %v", r.Name, ok)
	}
	if _, ok := a.ByID(query.Twitter, []byte("4")); ok {
		t.Error("ByID(twitter, 4) is found")
	}
}

func TestCodec(t *testing.T) {
	for _, tt := range []struct {
		typ               identifier.Type
		printed, key, dec string
		size              int
	}{
		{identifier.MD5, "900150983cd24fb0d6963f7d28e17f72", "", "", 16},
		{identifier.GAID, "01234567-89ab-cdef-0123-456789abcdef", "", "", 16},
		{identifier.IDFA, "01234567-89AB-CDEF-0123-456789ABCDEF", "", "", 16},
		{identifier.TwitterUser, "SomeBody", "somebody", "", 8},
		{identifier.EmailRaw, "A.B@example.com", "a.b@example.com", "", 15},
		{identifier.CintID, "Exact", "Exact", "", 5},
	} {
		c := CodecOf(tt.typ)
		stored := c.Encode(nil, []byte(tt.printed))
		if len(stored) != tt.size {
			t.Errorf("%s: stored in %d bytes, want %d", tt.typ, len(stored), tt.size)
		}
		if got := c.Decode(nil, stored); string(got) != tt.printed {
			t.Errorf("%s: Decode(Encode(%s)) = %s", tt.typ, tt.printed, got)
		}
		if key := c.Key(nil, stored); tt.key != "" && string(key) != tt.key {
			t.Errorf("%s: Key = %s, want %s", tt.typ, key, tt.key)
		}
		if !c.Equal(stored, bytes.Clone(c.Key(nil, stored))) {
			t.Errorf("%s: a value does not equal its own key", tt.typ)
		}
	}
}

// touch reads everything of a file of a kind; it must not panic.
func touch(kind uint32, path string) error {
	switch kind {
	case kindPart:
		p, err := OpenPart(path)
		if err != nil {
			return err
		}
		defer p.Close()
		return p.EachTerm(func(_ uint32, ps Postings) bool {
			for b := range PartBlocks {
				rowsOf(ps.Container(b))
			}
			return true
		})
	case kindColumn:
		c, err := OpenColumn(path)
		if err != nil {
			return err
		}
		defer c.Close()
		for b := range c.Blocks() {
			cb, err := c.Block(b)
			if err != nil {
				return err
			}
			for r := range cb.rows {
				from, to := cb.Range(r)
				for v := from; v < to; v++ {
					cb.Value(v)
					cb.Shared(v)
				}
			}
		}
		return nil
	case kindLookup:
		l, err := OpenLookup(path)
		if err != nil {
			return err
		}
		defer l.Close()
		for i := range uint64(1000) {
			if err := l.Candidates(i<<54, func(uint32) bool { return true }); err != nil {
				return err
			}
		}
		return nil
	case kindDict:
		d, err := OpenDict(path)
		if err != nil {
			return err
		}
		defer d.Close()
		for n := range d.Terms() {
			d.Value(n)
		}
		return nil
	case kindPlaces:
		p, err := OpenPlaces(path)
		if err != nil {
			return err
		}
		defer p.Close()
		p.Each(func(CatalogPlace) {})
		return nil
	default:
		a, err := OpenAccounts(path)
		if err != nil {
			return err
		}
		defer a.Close()
		a.ByName(query.Twitter, []byte("alpha"))
		return nil
	}
}

func samples(t testing.TB) map[uint32][]byte {
	dir := t.TempDir()
	lookup, _ := writeLookup(t, dir, 1000)
	paths := map[uint32]string{
		kindPart:     writePart(t, dir, 5000, partLists(5000)),
		kindColumn:   writeColumn(t, dir, columnValues("many", 300)),
		kindLookup:   lookup,
		kindDict:     writeDict(t, dir),
		kindAccounts: writeAccounts(t, dir),
		kindPlaces:   writePlaces(t, dir),
	}
	out := map[uint32][]byte{}
	for k, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[k] = b
	}
	return out
}

func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "damaged")
	for kind, good := range samples(t) {
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := touch(kind, path); err != nil {
			t.Fatalf("kind %d: undamaged: %v", kind, err)
		}
		rng := rand.New(rand.NewPCG(8, uint64(kind)))
		for range 300 {
			bad := bytes.Clone(good)
			if rng.IntN(3) == 0 {
				bad = bad[:rng.IntN(len(bad))]
			} else {
				bad[rng.IntN(len(bad))] ^= 1 << rng.IntN(8)
			}
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			// A flip in padding or in what was not touched may go unnoticed.
			if err := touch(kind, path); err != nil && !errors.Is(err, ErrCorrupt) && !bytes.Contains([]byte(err.Error()), []byte("format")) {
				t.Errorf("kind %d: %v, want %v", kind, err, ErrCorrupt)
			}
		}
	}
}

// FuzzOpen damages a file, then mends its checksums, so that the numbers
// behind them are read too.
func FuzzOpen(f *testing.F) {
	all := samples(f)
	for kind := range all {
		f.Add(kind, uint32(0), uint64(0), uint32(0))
		f.Add(kind, uint32(1), uint64(1<<40), uint32(9))
	}
	f.Fuzz(func(t *testing.T, kind, at uint32, xor uint64, cut uint32) {
		good, ok := all[kind]
		if !ok {
			return
		}
		bad := bytes.Clone(good)
		bad = bad[:len(bad)-int(cut)%len(bad)]
		for i := range 8 {
			if len(bad) > 0 {
				bad[(int(at)+i)%len(bad)] ^= byte(xor >> (8 * i))
			}
		}
		mend(bad)
		path := filepath.Join(t.TempDir(), "fuzzed")
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		touch(kind, path) // any error will do, a panic will not
	})
}
