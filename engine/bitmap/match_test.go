package bitmap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"throng/engine/bitmap/rowset"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/internal/hexkey"
	"throng/query"
)

// valuesOf makes values of a type, in the form in which they are printed.
func valuesOf(rng *rand.Rand, typ identifier.Type, n int) []string {
	out := make([]string, n)
	for i := range out {
		switch k := (hexkey.Key{Hi: rng.Uint64(), Lo: rng.Uint64()}); typ {
		case identifier.MD5:
			out[i] = string(k.Append(nil))
		case identifier.MAID:
			out[i] = string(k.AppendUUID(nil))
		case identifier.IDFA:
			out[i] = strings.ToUpper(string(k.AppendUUID(nil)))
		case identifier.TwitterUser:
			out[i] = fmt.Sprintf("User_%X", k.Hi>>(8+k.Lo%50))
		case identifier.RampID: // 16 bytes that are text, and others
			out[i] = fmt.Sprintf("%016x%s", k.Hi, strings.Repeat("r", i%3))
		default:
			out[i] = fmt.Sprint(k.Hi >> (k.Lo % 60))
		}
	}
	return out
}

// owned gives rows values of a list: many several, many values several owners.
func owned(rng *rand.Rand, f *fixture, typ identifier.Type, values []string) map[string][]uint32 {
	owners := map[string][]uint32{}
	for r := range f.rows {
		var seen []string
		for n := max(0, rng.IntN(5)-1); n > 0; n-- {
			v := values[rng.IntN(len(values))]
			if rng.IntN(20) == 0 {
				v = values[0] // very many own it
			}
			key, _ := typ.Normalize(nil, []byte(v))
			if slices.Contains(seen, string(key)) {
				continue
			}
			seen = append(seen, string(key))
			f.addID(typ, r, v)
			owners[string(key)] = append(owners[string(key)], uint32(r))
		}
	}
	return owners
}

func eachValue(values []string) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		var buf []byte
		for _, v := range values {
			if buf = append(buf[:0], v...); !yield(buf) {
				return
			}
		}
	}
}

func rowsOf(s query.RowSet) []uint32 {
	var rows []uint32
	set := s.(*rowset.Set)
	for i := range set.Blocks {
		for _, r := range set.Blocks[i].Rows(nil) {
			rows = append(rows, uint32(i*storage.BlockRows)+uint32(r))
		}
	}
	return rows
}

// Lists of every size and order, in rounds of any size, against a map.
func TestMatchRandom(t *testing.T) {
	types := []identifier.Type{
		identifier.MD5, identifier.MAID, identifier.IDFA, identifier.TwitterUser, identifier.TwitterID, identifier.RampID,
	}
	rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
	const rows = storage.BlockRows + 5000
	f := newFixture(rows)
	values, owners := map[identifier.Type][]string{}, map[identifier.Type]map[string][]uint32{}
	for _, typ := range types {
		values[typ] = valuesOf(rng, typ, 20_000)
		owners[typ] = owned(rng, f, typ, values[typ][:15_000])
	}
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	for _, typ := range types {
		for _, n := range []int{0, 1, 63, 3000, len(values[typ])} {
			var list []string
			for _, v := range values[typ][:n] {
				key, _ := typ.Normalize(nil, []byte(v))
				list = append(list, string(key))
			}
			slices.Sort(list)
			if list = slices.Compact(list); n%2 == 1 {
				rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			}
			var want []uint32
			matched := uint64(0)
			for _, v := range list {
				if want = append(want, owners[typ][v]...); len(owners[typ][v]) > 0 {
					matched++
				}
			}
			slices.Sort(want)
			want = slices.Compact(want)
			for _, limit := range []int{1, 5000, 1 << 20} {
				set, got, err := g.match(t.Context(), typ, eachValue(list), limit)
				must(t, err)
				if r := rowsOf(set); got != matched || !slices.Equal(r, want) {
					t.Errorf("Match(%d of %s, rounds of %d) = %d rows, %d matched, want %d, %d", len(list), typ, limit, len(r), got, len(want), matched)
				}
			}
		}
	}
}

// Somebody has found out how to make keys of one hash, and of one that very
// many people own.
func TestMatchOneHash(t *testing.T) {
	const rows, owners = 70_000, 60_000
	popular := hexkey.Key{Hi: 0x0123456789abcdef, Lo: 0xfedcba9876543210}
	// HashKey of a key that ends in zeros mixes its beginning alone.
	mix := func(x uint64) uint64 { return storage.HashKey(hexkey.Key{Hi: x}) }
	alike := func(lo uint64) hexkey.Key { return hexkey.Key{Hi: popular.Hi ^ mix(popular.Lo) ^ mix(lo), Lo: lo} }
	if storage.HashKey(alike(7)) != storage.HashKey(popular) {
		t.Fatal("the keys have different hashes")
	}
	f := newFixture(rows)
	for r := range owners {
		f.addID(identifier.MD5, r, string(popular.Append(nil)))
	}
	f.addID(identifier.MD5, rows-1, string(alike(1).Append(nil)))
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	var list []string
	for i := range uint64(20_000) {
		list = append(list, string(alike(i+1).Append(nil)))
	}
	for _, test := range []struct {
		name          string
		list          []string
		rows, matched uint64
	}{
		{"none that is owned", list[1:], 0, 0},
		{"one of few", list, 1, 1},
		{"all", append(slices.Clone(list), string(popular.Append(nil))), owners + 1, 2},
		{"the popular one alone", []string{string(popular.Append(nil))}, owners, 1},
	} {
		set, matched, err := g.Match(t.Context(), identifier.MD5, eachValue(test.list))
		must(t, err)
		if set.Len() != test.rows || matched != test.matched {
			t.Errorf("%s: Match = %d rows, %d matched, want %d, %d", test.name, set.Len(), matched, test.rows, test.matched)
		}
	}
}

// Keys whose text is alike, and one that very many people own.
func TestMatchOneText(t *testing.T) {
	const rows = 3000
	f := newFixture(rows)
	for r := range rows {
		f.addID(identifier.CintID, r, "everybody")
		f.addID(identifier.CintID, r, fmt.Sprintf("somebody-%d", r))
	}
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	for _, test := range []struct {
		list          []string
		rows, matched uint64
	}{
		{[]string{"everybody"}, rows, 1},
		{[]string{"everybody", "nobody", "somebody-7"}, rows, 2},
		{[]string{"nobody", "somebody-7", strings.Repeat("x", 1<<17)}, 1, 1},
	} {
		set, matched, err := g.Match(t.Context(), identifier.CintID, eachValue(test.list))
		must(t, err)
		if set.Len() != test.rows || matched != test.matched {
			t.Errorf("Match(%.40q) = %d rows, %d matched, want %d, %d", test.list, set.Len(), matched, test.rows, test.matched)
		}
	}
}

// A list that never ends is left when nobody waits for it any more.
func TestMatchCancelled(t *testing.T) {
	f := newFixture(10)
	f.addID(identifier.MD5, 3, "0123456789abcdef0123456789abcdef")
	dir := t.TempDir()
	f.write(t, dir, "00000001")
	g := acquire(t, openTest(t, dir), "")
	ctx, cancel := context.WithCancel(t.Context())
	n := uint64(0)
	_, _, err := g.Match(ctx, identifier.MD5, func(yield func([]byte) bool) {
		for {
			if n++; n == 3<<20 {
				cancel()
			}
			if !yield(hexkey.Key{Hi: n, Lo: n}.Append(nil)) {
				return
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Match of a list without end = %v, want %v", err, context.Canceled)
	}
}
