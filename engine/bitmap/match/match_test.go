package match

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/internal/hexkey"
)

const testRows = storage.BlockRows + 3000

// valueOf is what row r owns. Every third row owns nothing, every tenth what the
// row before it owns.
func valueOf(typ identifier.Type, r uint32) (string, bool) {
	if r%10 == 9 {
		r--
	}
	if typ == identifier.MD5 {
		return string(hexkey.Key{Hi: uint64(r) * 0x9e3779b97f4a7c15, Lo: uint64(r)}.Append(nil)), r%3 != 0
	}
	return fmt.Sprint("panel-", r), r%3 != 0
}

// open writes the column and the lookup of a type, and opens them.
func open(t *testing.T, typ identifier.Type) (*storage.Column, *storage.Lookup) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	type owner struct {
		hash uint64
		row  uint32
	}
	var owners []owner
	dir := t.TempDir()
	columnPath, lookupPath := filepath.Join(dir, storage.ColumnName(typ)), filepath.Join(dir, storage.LookupName(typ))
	for _, path := range []string{columnPath, lookupPath} {
		must(os.MkdirAll(filepath.Dir(path), 0o700))
	}
	w, err := storage.NewColumnWriter(dir, storage.ColumnName(typ), testRows)
	must(err)
	codec := storage.CodecOf(typ)
	for r := range uint32(testRows) {
		if v, ok := valueOf(typ, r); ok {
			stored := codec.Encode(nil, []byte(v))
			must(w.Add(r, stored, false))
			owners = append(owners, owner{storage.Hash(codec.Key(nil, stored)), r})
		}
	}
	_, err = w.Close()
	must(err)
	slices.SortFunc(owners, func(a, b owner) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.row, b.row)) })
	l, err := storage.NewLookupWriter(dir, storage.LookupName(typ), uint64(len(owners)))
	must(err)
	for _, o := range owners {
		must(l.Add(o.hash, o.row))
	}
	_, err = l.Close()
	must(err)
	column, err := storage.OpenColumn(columnPath)
	must(err)
	t.Cleanup(func() { column.Close() })
	lookup, err := storage.OpenLookup(lookupPath)
	must(err)
	t.Cleanup(func() { lookup.Close() })
	return column, lookup
}

// TestRun matches values of a binary type and of one that is text, in rounds of
// any size, with one goroutine and with several.
func TestRun(t *testing.T) {
	for _, typ := range []identifier.Type{identifier.MD5, identifier.CintID} {
		column, lookup := open(t, typ)
		for _, workers := range []int{1, 3} {
			for _, round := range []int{0, 1, 700} {
				c := Config{
					Type: typ, Lookup: lookup, Column: storage.NewColumnView(column), Rows: testRows, Workers: workers, Round: round,
					Guard: func(f func() error) error { return f() },
				}
				var want [2]kernel.Block
				values := 0
				owners, matched, err := Run(t.Context(), c, func(yield func([]byte) bool) {
					for r := uint32(0); r < testRows; r += 7 {
						v, ok := valueOf(typ, r)
						if r%10 == 9 {
							continue // is asked for by its other owner
						}
						if ok {
							values++
							want[r/storage.BlockRows][r%storage.BlockRows/64] |= 1 << (r % 64)
							if r%10 == 8 && r+1 < testRows {
								o := r + 1
								want[o/storage.BlockRows][o%storage.BlockRows/64] |= 1 << (o % 64)
							}
						}
						if !yield([]byte(v)) {
							return
						}
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				if int(matched) != values {
					t.Errorf("%s, %d workers, rounds of %d: %d matched, want %d", typ, workers, round, matched, values)
				}
				for b := range want {
					if owners[b] == nil || *owners[b] != want[b] {
						t.Errorf("%s, %d workers, rounds of %d: other rows of block %d", typ, workers, round, b)
					}
				}
			}
		}
	}
}

// TestRunWithout reads a list to its end where nobody has an identifier of the
// type, and gives up with its context.
func TestRunWithout(t *testing.T) {
	c := Config{Type: identifier.EmailRaw, Rows: testRows, Workers: 2, Guard: func(f func() error) error { return f() }}
	read := 0
	owners, matched, err := Run(t.Context(), c, func(yield func([]byte) bool) {
		for read < 3*batchValues+1 && yield([]byte("a@example.com")) {
			read++
		}
	})
	if err != nil || matched != 0 || read != 3*batchValues+1 {
		t.Errorf("Run = %d matched, %v, of %d values read", matched, err, read)
	}
	if !slices.Equal(owners, []*kernel.Block{nil, nil}) {
		t.Errorf("blocks %v own something, want none", owners)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Run(ctx, c, func(yield func([]byte) bool) {
		for yield([]byte("a@example.com")) {
		}
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
}
