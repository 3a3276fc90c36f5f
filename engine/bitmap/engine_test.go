package bitmap

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
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
	"throng/identifier"
	"throng/query"
)

func everyone() query.Definition {
	return query.Definition{Steps: []query.Step{{Node: query.And{}}}}
}

// idFixture has identifiers of every sort of type, several a row, and some
// that rows share.
func idFixture(t testing.TB, rng *rand.Rand, rows int) *fixture {
	t.Helper()
	f := newFixture(rows)
	own := func(typ identifier.Type, row int, raw string) {
		printed, reason := typ.Printed(nil, []byte(raw))
		if reason != "" {
			t.Fatalf("%q is no %s: %s", raw, typ, reason)
		}
		key, _ := typ.Normalize(nil, printed)
		for _, have := range f.ids[typ][row] {
			if k, _ := typ.Normalize(nil, []byte(have)); string(k) == string(key) {
				return
			}
		}
		f.addID(typ, row, string(printed))
	}
	randomHex := func(of int) string { // one of so many
		var b [16]byte
		rng := rand.New(rand.NewPCG(9, uint64(rng.IntN(of))))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return hex.EncodeToString(b[:])
	}
	for r := range rows {
		f.addID(identifier.SSID, r, fmt.Sprintf("key %d", r*7))
		if rng.IntN(3) == 0 {
			address := fmt.Sprintf("Person%d@Example.com", rng.IntN(rows))
			if rng.IntN(2) == 0 {
				address = strings.ToLower(address)
			}
			own(identifier.EmailRaw, r, address)
			key, _ := identifier.EmailRaw.Normalize(nil, []byte(address))
			own(identifier.MD5, r, string(identifier.EmailMD5(nil, key)))
		}
		for range rng.IntN(3) {
			own(identifier.MD5, r, randomHex(2*rows))
		}
		if rng.IntN(2) == 0 {
			own(identifier.TwitterUser, r, fmt.Sprintf("%s_%d", []string{"Ann", "ANN", "bob"}[rng.IntN(3)], rng.IntN(rows)))
			own(identifier.TwitterID, r, fmt.Sprint(rng.Uint64()))
			own(identifier.IDFA, r, randomHex(2*rows))
		}
	}
	return f
}

// values gives the normal forms of a row's identifiers.
func (f *fixture) values(t testing.TB, typ identifier.Type, row int) (keys []string) {
	t.Helper()
	for _, v := range f.ids[typ][row] {
		key, reason := typ.Normalize(nil, []byte(v))
		if reason != "" {
			t.Fatalf("%q: %s", v, reason)
		}
		keys = append(keys, string(key))
	}
	return keys
}

func TestMatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	f := idFixture(t, rng, 70_000)
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	for _, typ := range []identifier.Type{
		identifier.SSID, identifier.EmailRaw, identifier.MD5, identifier.TwitterUser, identifier.TwitterID, identifier.IDFA, identifier.GAID,
	} {
		asked := map[string]bool{}
		for r := 0; r < f.rows; r += 1 + rng.IntN(10) {
			for _, key := range f.values(t, typ, r) {
				asked[key] = true
			}
		}
		if typ == identifier.EmailRaw { // of people of whom only the MD5 is known
			for r := range 100 {
				key := fmt.Sprintf("hidden%d@example.com", r)
				asked[key] = true
			}
		}
		owned := map[string]bool{}
		var want []bool
		for r := range f.rows {
			in := false
			for _, key := range f.values(t, typ, r) {
				if asked[key] {
					in, owned[key] = true, true
				}
			}
			want = append(want, in)
		}
		for i := range 5000 {
			key, reason := typ.Normalize(nil, fmt.Appendf(nil, "nobody%d@example.com", i))
			if typ == identifier.MD5 || typ == identifier.IDFA {
				key, reason = typ.Normalize(nil, fmt.Appendf(nil, "%032x", i+1))
			}
			if reason == "" {
				asked[string(key)] = true
			}
		}
		set, matched, err := g.Match(t.Context(), typ, func(yield func([]byte) bool) {
			var buf []byte
			for key := range asked {
				buf = append(buf[:0], key...)
				if !yield(buf) {
					return
				}
			}
		})
		must(t, err)
		if matched != uint64(len(owned)) {
			t.Errorf("Match(%s) of %d values: %d matched, want %d", typ, len(asked), matched, len(owned))
		}
		if !slices.Equal(f.naive(query.Rows{Set: set}), want) {
			t.Errorf("Match(%s) finds other rows than own the values", typ)
		}
	}
}

func TestMatchAddressByMD5(t *testing.T) {
	f := newFixture(3)
	f.addID(identifier.MD5, 1, string(identifier.EmailMD5(nil, []byte("ann@example.com"))))
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	set, matched, err := g.Match(t.Context(), identifier.EmailRaw, slices.Values([][]byte{[]byte("ann@example.com"), []byte("bob@example.com")}))
	must(t, err)
	if want := []bool{false, true, false}; matched != 1 || !slices.Equal(f.naive(query.Rows{Set: set}), want) {
		t.Errorf("Match = %d values, %v, want 1, %v", matched, f.naive(query.Rows{Set: set}), want)
	}
}

func TestMatchCanceled(t *testing.T) {
	f := newFixture(3)
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	_, _, err := g.Match(ctx, identifier.SSID, func(yield func([]byte) bool) {
		for yield(fmt.Appendf(nil, "%d", n)) { // never ends by itself
			if n++; n == 100_000 {
				cancel()
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Match = %v, want %v", err, context.Canceled)
	}
}

func TestStream(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	rows := 140_000
	if testing.Short() {
		rows /= 2
	}
	f := idFixture(t, rng, rows)
	f.addTerm(query.Country, "some", shapeEvery(f.rows, 3))
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	types := []identifier.Type{identifier.SSID, identifier.MD5, identifier.TwitterUser, identifier.EmailRaw, identifier.IDFA, identifier.GAID}
	for _, d := range []query.Definition{
		everyone(),
		{Steps: []query.Step{{Node: query.In{Field: query.Country, Values: []string{"some"}}}}},
		{},
	} {
		set, _, err := g.Select(t.Context(), d, 0)
		must(t, err)
		type line struct {
			Member uint32
			Value  string
		}
		want, got := map[identifier.Type][]line{}, map[identifier.Type][]line{}
		seen := map[string]bool{}
		member := uint32(0)
		for r, in := range f.naive(query.Rows{Set: set}) {
			if !in {
				continue
			}
			for _, typ := range types {
				for i, key := range f.values(t, typ, r) {
					if !seen[string(typ)+key] {
						seen[string(typ)+key] = true
						want[typ] = append(want[typ], line{member, f.ids[typ][r][i]})
					}
				}
			}
			member++
		}
		must(t, g.Stream(t.Context(), set, types, func(b *engine.Batch) error {
			from := uint32(0)
			for i, end := range b.Ends {
				value := string(b.Lines[from:end])
				if !strings.HasSuffix(value, "\n") {
					t.Fatalf("%s: value %q is not ended", b.Type, value)
				}
				got[b.Type] = append(got[b.Type], line{b.Members[i], strings.TrimSuffix(value, "\n")})
				from = end
			}
			if int(from) != len(b.Lines) {
				t.Fatalf("%s: %d bytes of lines, %d of values", b.Type, len(b.Lines), from)
			}
			return nil
		}))
		for _, typ := range types {
			// The fixture keeps IDFAs as they were made; the column prints them in one form.
			for i := range want[typ] {
				printed, _ := typ.Printed(nil, []byte(want[typ][i].Value))
				want[typ][i].Value = string(printed)
			}
			if diff := cmp.Diff(want[typ], got[typ], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Stream of %d rows, %s (-want +got):\n%.2000s", set.Len(), typ, diff)
			}
		}
	}
	set, _, err := g.Select(t.Context(), everyone(), 0)
	must(t, err)
	stop := errors.New("stop")
	calls := 0
	err = g.Stream(t.Context(), set, types, func(*engine.Batch) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("Stream whose emit fails = %v after %d calls, want %v after 1", err, calls, stop)
	}
}

func shapeEvery(rows, n int) (out []uint32) {
	for r := 0; r < rows; r += n {
		out = append(out, uint32(r))
	}
	return out
}

func TestRowsRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	f := newFixture(200_000)
	dir := t.TempDir()
	for i := range 12 {
		f.addTerm(query.Country, fmt.Sprint(i), shape(rng, f.rows))
	}
	f.addTerm(query.Country, "12", nil)
	f.write(t, dir, "00000001")
	f.write(t, dir, "00000002")
	e := openTest(t, dir)
	g, other := acquire(t, e, "00000001"), acquire(t, e, "00000002")
	for i := range 13 {
		set, _, err := g.Select(t.Context(), query.Definition{Steps: []query.Step{{Node: query.In{Field: query.Country, Values: []string{fmt.Sprint(i)}}}}}, 0)
		must(t, err)
		var file bytes.Buffer
		must(t, g.WriteRows(&file, set))
		if limit := g.blocks*(8<<10+8) + 100; file.Len() > limit {
			t.Errorf("%d rows take %d bytes, want at most %d", set.Len(), file.Len(), limit)
		}
		back, err := g.ReadRows(bytes.NewReader(file.Bytes()))
		must(t, err)
		if back.Len() != set.Len() || !slices.Equal(f.naive(query.Rows{Set: back}), f.naive(query.Rows{Set: set})) {
			t.Errorf("%d rows became others, %d of them", set.Len(), back.Len())
		}
		if err := other.WriteRows(&bytes.Buffer{}, set); !errors.Is(err, engine.ErrForeignRows) {
			t.Errorf("WriteRows of another generation's rows: error %v, want %v", err, engine.ErrForeignRows)
		}
		if _, err := other.ReadRows(bytes.NewReader(file.Bytes())); !errors.Is(err, engine.ErrForeignRows) {
			t.Errorf("ReadRows of another generation's file: error %v, want %v", err, engine.ErrForeignRows)
		}
		for range 40 { // damage a byte, or the length
			b := slices.Clone(file.Bytes())
			if rng.IntN(3) == 0 {
				b = b[:rng.IntN(len(b))]
			} else {
				b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			}
			if _, err := g.ReadRows(bytes.NewReader(b)); !errors.Is(err, engine.ErrCorrupt) {
				t.Fatalf("ReadRows of a damaged file: error %v, want %v", err, engine.ErrCorrupt)
			}
		}
		if _, err := g.ReadRows(bytes.NewReader(append(file.Bytes(), 0))); !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("ReadRows of a file that goes on: error %v, want %v", err, engine.ErrCorrupt)
		}
	}
}

// FuzzReadRows makes sure that nothing that a file may hold gives a set that is
// not sound.
func FuzzReadRows(f *testing.F) {
	fix := newFixture(70_000)
	fix.addTerm(query.Country, "1", shapeEvery(fix.rows, 50))
	fix.addTerm(query.Country, "2", shapeEvery(fix.rows, 3))
	dir := f.TempDir()
	fix.write(f, dir, "00000001")
	e, err := Open(dir, Config{})
	must(f, err)
	h, err := e.Acquire(context.Background(), "")
	must(f, err)
	g := h.(*generation)
	for _, d := range []query.Node{query.And{}, query.In{Field: query.Country, Values: []string{"1"}}, query.In{Field: query.Country, Values: []string{"2"}}} {
		set, _, err := g.Select(f.Context(), query.Definition{Steps: []query.Step{{Node: d}}}, 0)
		must(f, err)
		var file bytes.Buffer
		must(f, g.WriteRows(&file, set))
		f.Add(file.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := g.ReadRows(bytes.NewReader(b))
		if err != nil {
			return
		}
		got, err := g.Count(t.Context(), query.Definition{Steps: []query.Step{{Node: query.And{Nodes: []query.Node{query.Rows{Set: set}, query.Not{Node: query.In{Field: query.Country}}}}}}}, 0)
		must(t, err)
		if got.Exclude != set.Len() || set.Len() > uint64(fix.rows) {
			t.Errorf("a set of %d rows counts %d", set.Len(), got.Exclude)
		}
	})
}

func TestLifecycle(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	one, two := openTest(t, dir), openTest(t, dir)
	if _, err := one.Acquire(ctx, ""); !errors.Is(err, engine.ErrNoGeneration) {
		t.Fatalf("Acquire of nothing: error %v, want %v", err, engine.ErrNoGeneration)
	}
	f := newFixture(100)
	f.addTerm(query.Country, "1", []uint32{3, 4})
	f.write(t, dir, "00000001")
	g, err := one.Acquire(ctx, "")
	must(t, err)
	must(t, two.Check(ctx, "", nil))

	f.addTerm(query.Country, "1", []uint32{3, 4, 5})
	f.write(t, dir, "00000002")
	// The other engine finds the new generation once what it knows is too old.
	deadline := time.Now().Add(10 * time.Second)
	for {
		h, err := two.Acquire(ctx, "")
		must(t, err)
		id, current := h.Info().ID, h.Info().Current
		h.Release()
		if id == "00000002" {
			if !current {
				t.Error("the generation in use is not said to be current")
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a new generation was not found")
		}
	}
	infos, err := one.Generations(ctx)
	must(t, err)
	var ids []string
	for _, info := range infos {
		ids = append(ids, fmt.Sprint(info.ID, info.Current))
	}
	if diff := cmp.Diff([]string{"00000002true", "00000001false"}, ids); diff != "" {
		t.Errorf("Generations (-want +got):\n%s", diff)
	}
	if err := two.Remove(ctx, "00000002"); err == nil {
		t.Error("Remove of the current generation: no error")
	}
	must(t, two.Remove(ctx, "00000001"))
	must(t, two.Remove(ctx, "00000001"))
	if _, err := os.Stat(filepath.Join(dir, "00000001")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("files of a removed generation: %v", err)
	}
	for _, e := range []*Engine{one, two} {
		if _, err := e.Acquire(ctx, "00000001"); !errors.Is(err, engine.ErrNoGeneration) {
			t.Errorf("Acquire of a removed generation: error %v, want %v", err, engine.ErrNoGeneration)
		}
	}
	d := query.Definition{Steps: []query.Step{{Node: query.Not{Node: query.In{Field: query.Country, Values: []string{"1"}}}}}}
	if got, err := g.Count(ctx, d, 0); err != nil || got.Exclude != 98 { // its holder goes on
		t.Errorf("Count on a removed generation = %d, %v, want 98", got.Exclude, err)
	}
	g.Release()
	g.Release()
	old, err := two.Acquire(ctx, "00000002")
	must(t, err)
	must(t, two.Close())
	if got, err := old.Count(ctx, d, 0); err != nil || got.Exclude != 97 { // outlives the engine
		t.Errorf("Count after Close = %d, %v, want 97", got.Exclude, err)
	}
	if _, err := two.Acquire(ctx, ""); err == nil {
		t.Error("Acquire after Close: no error")
	}
	old.Release()
	for _, id := range []string{"..", "a/b", "00000002.tmp", "99"} {
		if _, err := one.Acquire(ctx, id); !errors.Is(err, engine.ErrNoGeneration) {
			t.Errorf("Acquire(%q): error %v, want %v", id, err, engine.ErrNoGeneration)
		}
	}
}

func TestReleaseUnmaps(t *testing.T) {
	f := newFixture(100)
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	e := openTest(t, dir)
	a, err := e.Acquire(t.Context(), "00000001")
	must(t, err)
	b, err := e.Acquire(t.Context(), "")
	must(t, err)
	c := a.(*generation).core
	if b.(*generation).core != c {
		t.Fatal("one generation is open twice")
	}
	a.Release()
	a.Release()
	if c.files.Keys.Size() == 0 {
		t.Fatal("unmapped under a holder")
	}
	b.Release()
	f.write(t, dir, "00000002")
	must(t, e.look(true))
	if c.files.Keys.Size() != 0 {
		t.Error("still mapped without a holder")
	}
}
