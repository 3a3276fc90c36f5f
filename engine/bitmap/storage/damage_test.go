package storage

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"throng/engine/bitmap/format"
	"throng/engine/bitmap/format/formattest"
	"throng/query"
)

// touch reads everything of a file of a kind; it must not panic.
func touch(kind uint32, path string) error {
	switch kind {
	case format.KindPart:
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
	case format.KindColumn:
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
	case format.KindLookup:
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
		probes := []Probe{{Hash: 0}, {Hash: 1 << 63}, {Hash: 5 << 60}, {Hash: 1<<64 - 1}}
		_, err = l.Join(probes, 0, &Joined{Found: make([]uint64, 0, 2*JoinRoom)})
		return err
	case format.KindDict:
		d, err := OpenDict(path)
		if err != nil {
			return err
		}
		defer d.Close()
		for n := range d.Terms() {
			if _, err := d.Value(n); err != nil {
				return err
			}
			if _, err := d.People(n); err != nil {
				return err
			}
		}
		if _, _, err := d.Number(query.Twitter, []byte("twitter-0017")); err != nil {
			return err
		}
		return d.Verify()
	case format.KindPlaces:
		p, err := OpenPlaces(path)
		if err != nil {
			return err
		}
		defer p.Close()
		return p.Each(func(CatalogPlace) {})
	case format.KindNames:
		x, err := OpenNames(path)
		if err != nil {
			return err
		}
		defer x.Close()
		for _, q := range []string{"", "chef", "x"} {
			for _, err := range x.Find(context.Background(), q) {
				if err != nil {
					return err
				}
			}
		}
		return nil
	default:
		a, err := OpenAccounts(path)
		if err != nil {
			return err
		}
		defer a.Close()
		if _, err := a.ByName(query.Twitter, []byte("alpha")); err != nil {
			return err
		}
		if _, _, err := a.ByID(query.Twitter, []byte("2")); err != nil {
			return err
		}
		return a.Verify()
	}
}

func samples(t testing.TB) map[uint32][]byte {
	dir := t.TempDir()
	lookup, _ := writeLookup(t, dir, 1000)
	paths := map[uint32]string{
		format.KindPart:     writePart(t, dir, 5000, partLists(5000)),
		format.KindColumn:   writeColumn(t, dir, columnValues("many", 300)),
		format.KindLookup:   lookup,
		format.KindDict:     writeDict(t, dir),
		format.KindAccounts: writeAccounts(t, dir),
		format.KindPlaces:   writePlaces(t, dir),
		format.KindNames:    writeNames(t, dir),
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
			if err := touch(kind, path); err != nil && !errors.Is(err, ErrCorrupt) {
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
		bad := formattest.Damaged(good, at, xor, cut)
		path := filepath.Join(t.TempDir(), "fuzzed")
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		touch(kind, path) // any error will do, a panic will not
	})
}
