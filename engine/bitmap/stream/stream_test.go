package stream

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/rowset"
	"throng/engine/bitmap/storage"
	"throng/identifier"
)

const testRows = storage.BlockRows + 20_000

// values are what row r has: its own, for some also one that several rows have.
func values(typ identifier.Type, r int) (list []string, shared []bool) {
	if r%5 != 0 {
		list, shared = append(list, fmt.Sprint(typ, "-", r)), append(shared, false)
	}
	if r%9 == 0 {
		list, shared = append(list, fmt.Sprint(typ, "-of-several-", r%700)), append(shared, true)
	}
	return list, shared
}

func openColumn(t *testing.T, typ identifier.Type) *storage.ColumnView {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, storage.ColumnName(typ))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := storage.NewColumnWriter(dir, storage.ColumnName(typ), testRows)
	if err != nil {
		t.Fatal(err)
	}
	codec := storage.CodecOf(typ)
	for r := range testRows {
		list, shared := values(typ, r)
		for i, v := range list {
			if err := w.Add(uint32(r), codec.Encode(nil, []byte(v)), shared[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := storage.OpenColumn(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return storage.NewColumnView(c)
}

// TestRun streams two types of rows that are kept as a bitmap and as an array,
// with one worker and with several.
func TestRun(t *testing.T) {
	types := []identifier.Type{identifier.CintID, identifier.TwitterUser}
	var rows []int
	var blocks [2]kernel.Block
	for r := range testRows {
		if r < storage.BlockRows && r%3 != 1 || r%50 == 0 {
			rows = append(rows, r)
			blocks[r/storage.BlockRows][r%storage.BlockRows/64] |= 1 << (r % 64)
		}
	}
	set := rowset.New([32]byte{}, 1, []rowset.Block{
		rowset.NewBlock(&blocks[0], kernel.Count(&blocks[0])), rowset.NewBlock(&blocks[1], kernel.Count(&blocks[1])),
	})
	if set.Blocks[0].Bits == nil || set.Blocks[1].Array == nil {
		t.Fatal("the blocks are not kept in both ways")
	}
	want := map[identifier.Type][]string{}
	for _, typ := range types {
		seen := map[string]bool{}
		for member, r := range rows {
			list, _ := values(typ, r)
			for _, v := range list {
				if !seen[v] {
					seen[v] = true
					want[typ] = append(want[typ], fmt.Sprint(member, " ", v))
				}
			}
		}
	}
	c := Config{Set: set, Guard: func(f func() error) error { return f() }}
	for _, typ := range types {
		c.Columns = append(c.Columns, Column{Type: typ, View: openColumn(t, typ)})
	}
	for _, c.Workers = range []int{1, 4} {
		got := map[identifier.Type][]string{}
		c.Emit = func(b *engine.Batch) error {
			from := uint32(0)
			for i, end := range b.Ends {
				got[b.Type] = append(got[b.Type], fmt.Sprint(b.Members[i], " ", string(bytes.TrimSuffix(b.Lines[from:end], []byte("\n")))))
				from = end
			}
			return nil
		}
		if err := Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d workers (-want +got):\n%.2000s", c.Workers, diff)
		}
		full := errors.New("disk full")
		c.Emit = func(*engine.Batch) error { return full }
		if err := Run(t.Context(), c); !errors.Is(err, full) {
			t.Errorf("%d workers: Run = %v, want %v", c.Workers, err, full)
		}
	}
}
