package bitmap

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"throng/engine"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/internal/hexkey"
)

// benchKey is the key number n; all are unlike each other.
func benchKey(n uint64) hexkey.Key {
	mix := func(x uint64) uint64 {
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
	return hexkey.Key{Hi: mix(2*n + 1), Lo: mix(2*n + 2)}
}

// keyed says how many keys each row of a generation has: one, or, as among
// people, mostly one, often none, sometimes two.
type keyed func(row uint64) int

func oneEach(uint64) int { return 1 }

func asPeople(row uint64) int {
	switch h := benchKey(row^1<<60).Lo % 10; {
	case h < 3:
		return 0
	case h < 9:
		return 1
	}
	return 2
}

// writeKeyed writes a generation in which row r owns the MD5s 2r and 2r+1, or
// only the first, or none.
func writeKeyed(b *testing.B, dir string, rows uint64, have keyed) (keys uint64) {
	b.Helper()
	f := newFixture(int(rows))
	gen := filepath.Join(dir, "00000001")
	must(b, os.MkdirAll(filepath.Join(gen, "parts"), 0o700))
	m := &storage.Manifest{
		Format: storage.ManifestFormat, Rows: uint32(rows), Parts: int((rows + storage.PartRows - 1) / storage.PartRows),
		Info: engine.Info{ID: "00000001", Name: "keyed", People: rows, LoadedAt: time.Unix(1, 0).UTC()},
	}
	add := func(s storage.FileSum, err error) {
		b.Helper()
		must(b, err)
		m.Files = append(m.Files, s)
	}
	f.writeTerms(b, gen, m.Parts, add)
	f.writeAccounts(b, gen, add)
	add(storage.WriteCatalog(gen, &f.catalog))
	f.writeIDs(b, gen, identifier.SSID, nil, add)
	c, err := storage.NewColumnWriter(gen, storage.ColumnName(identifier.MD5), uint32(rows))
	must(b, err)
	codec := storage.CodecOf(identifier.MD5)
	var text, stored []byte
	for r := range rows {
		for i := range have(r) {
			text = benchKey(2*r + uint64(i)).Append(text[:0])
			stored = codec.Encode(stored[:0], text)
			must(b, c.Add(uint32(r), stored, false))
			keys++
		}
	}
	add(c.Close())
	l, err := storage.NewLookupWriter(gen, storage.LookupName(identifier.MD5), keys)
	must(b, err)
	type entry struct {
		hash uint64
		row  uint32
	}
	const passes = 16 // of the lookup, so that not all of it is in memory
	list := make([]entry, 0, keys/passes+keys/passes/8+1000)
	for pass := range uint64(passes) {
		list = list[:0]
		for r := range rows {
			for i := range have(r) {
				if h := storage.HashKey(benchKey(2*r + uint64(i))); h>>60 == pass {
					list = append(list, entry{h, uint32(r)})
				}
			}
		}
		slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.hash, b.hash) })
		for _, e := range list {
			must(b, l.Add(e.hash, e.row))
		}
	}
	add(l.Close())
	must(b, storage.WriteManifest(gen, m))
	must(b, storage.WriteCurrent(dir, "00000001"))
	return keys
}

// BenchmarkMatch matches a list of MD5s, of which half have an owner, in no
// order and as the service gives them, in order; and looks the same list up
// one by one, in the same run, turn by turn. Times are of the processor, on
// all cores together. THRONG_BENCH_ROWS, where set, is how many rows there
// are.
func BenchmarkMatch(b *testing.B) {
	sizes := []uint64{1e6, 1e7}
	if n, err := strconv.ParseUint(os.Getenv("THRONG_BENCH_ROWS"), 10, 32); err == nil {
		sizes = []uint64{n}
	}
	for _, rows := range sizes {
		for _, shape := range []struct {
			name string
			have keyed
		}{{"one-each", oneEach}, {"as-people", asPeople}} {
			b.Run(fmt.Sprintf("keys=%.0e/%s", float64(rows), shape.name), func(b *testing.B) {
				if testing.Short() && rows > 1e6 {
					b.Skip("short")
				}
				dir := b.TempDir()
				keys := writeKeyed(b, dir, rows, shape.have)
				runtime.GC()
				benchMatch(b, dir, rows, keys, shape.have)
			})
		}
	}
}

func benchMatch(b *testing.B, dir string, rows, keys uint64, have keyed) {
	e, err := Open(dir, Config{})
	must(b, err)
	defer e.Close()
	h, err := e.Acquire(b.Context(), "")
	must(b, err)
	defer h.Release()
	g := h.(*generation)
	const line = hexkey.SumLen + 1
	n := int(min(rows, 1e7))
	lists := map[string][]byte{"unordered": make([]byte, 0, n*line)}
	want := uint64(0)
	for i := range uint64(n) {
		r := benchKey(i^1<<50).Lo % rows // a few come twice, which costs nothing but being found twice
		k := benchKey(1<<40 + i)
		if i%2 == 0 && have(r) > 0 {
			k = benchKey(2 * r)
			want++
		}
		lists["unordered"] = append(k.Append(lists["unordered"]), '\n')
	}
	lists["ordered"] = slices.Clone(lists["unordered"])
	sortLines(lists["ordered"], line)
	each := func(list []byte) func(func([]byte) bool) {
		return func(yield func([]byte) bool) {
			for ; len(list) > 0 && yield(list[:line-1]); list = list[line:] {
			}
		}
	}
	spent := map[string]time.Duration{}
	rounds := 0
	for b.Loop() {
		rounds++
		for name, list := range lists {
			spent[name] += cpuTime(b, func() {
				_, matched, err := h.Match(b.Context(), identifier.MD5, each(list))
				must(b, err)
				if matched != want {
					b.Fatalf("%d matched, want %d", matched, want)
				}
			})
		}
		spent["one-by-one"] += cpuTime(b, func() {
			if matched := matchEach(b, g, each(lists["unordered"])); matched != want {
				b.Fatalf("%d matched one by one, want %d", matched, want)
			}
		})
	}
	for name, d := range spent {
		b.ReportMetric(float64(d)/float64(rounds)/float64(n), name+"-cpu-ns/value")
	}
	b.ReportMetric(float64(spent["one-by-one"])/float64(spent["unordered"]), "ratio")
	b.ReportMetric(float64(g.files.Lookups[identifier.MD5].Size())/float64(keys), "B/key")
	b.ReportMetric(0, "ns/op")
}

// matchEach is the plain way: each value is decoded, hashed and looked up on
// its own.
func matchEach(b *testing.B, g *generation, seq func(func([]byte) bool)) (matched uint64) {
	lookup, column, codec := g.files.Lookups[identifier.MD5], g.columns[identifier.MD5], storage.CodecOf(identifier.MD5)
	blocks := make([]*kernel.Block, g.blocks)
	var key [16]byte
	var failed error // looked at in the end: what b does takes time
	for value := range seq {
		_, err := hex.Decode(key[:], value)
		found := false
		lookupErr := lookup.Candidates(storage.Hash(key[:]), func(row uint32) bool {
			mine, err := owns(column, row, key[:], codec)
			if err != nil {
				failed = err
			}
			if mine {
				found = true
				block := &blocks[row/storage.BlockRows]
				if *block == nil {
					*block = new(kernel.Block)
				}
				(*block)[row%storage.BlockRows/64] |= 1 << (row % 64)
			}
			return true
		})
		if err != nil || lookupErr != nil {
			failed = cmp.Or(err, lookupErr)
		}
		if found {
			matched++
		}
	}
	must(b, failed)
	return matched
}

// owns tells whether a row has a value with this key.
func owns(v *storage.ColumnView, row uint32, key []byte, codec storage.Codec) (bool, error) {
	b, err := v.Block(int(row / storage.BlockRows))
	if err != nil {
		return false, err
	}
	if row >= v.Rows() {
		return false, nil
	}
	from, to := b.Range(int(row % storage.BlockRows))
	for i := from; i < to; i++ {
		if codec.Equal(b.Value(i), key) {
			return true, nil
		}
	}
	return false, nil
}

// sortLines sorts lines of one length in place.
func sortLines(lines []byte, size int) {
	keys := make([]hexkey.Key, 0, len(lines)/size)
	for at := 0; at < len(lines); at += size {
		k, _ := hexkey.Of(lines[at : at+size-1])
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b hexkey.Key) int { return cmp.Or(cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Lo, b.Lo)) })
	for i, k := range keys {
		k.Append(lines[:i*size])
	}
}

func cpuTime(b *testing.B, f func()) time.Duration {
	b.Helper()
	now := func() time.Duration {
		var u syscall.Rusage
		must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	start := now()
	f()
	return now() - start
}
