package storage

import (
	"path/filepath"
	"testing"

	"throng/engine/bitmap/format"
	"throng/query"
)

// TestTail writes more numbers than a tail keeps in memory.
func TestTail(t *testing.T) {
	const n = 3*format.TailMemory/4 + 5
	dir := t.TempDir()
	w, err := NewLookupWriter(dir, "x.idx", n)
	if err != nil {
		t.Fatal(err)
	}
	step := ^uint64(0) / n
	for i := range uint64(n) {
		if err := w.Add(i*step, uint32(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := NewDictWriter(dir, "x.dict")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		v := []byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
		if err := d.Add(query.City, v, uint32(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("files: %v, %v, want the two", left, err)
	}
	l, err := OpenLookup(filepath.Join(dir, "x.idx"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dict, err := OpenDict(filepath.Join(dir, "x.dict"))
	if err != nil {
		t.Fatal(err)
	}
	defer dict.Close()
	for i := uint64(0); i < n; i += 997 {
		found := false
		if err := l.Candidates(i*step, func(row uint32) bool {
			found = found || uint64(row) == i
			return true
		}); err != nil || !found {
			t.Errorf("Candidates of key %d: found %t, %v", i, found, err)
		}
		v := []byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
		k, ok, err := dict.Number(query.City, v)
		if err != nil {
			t.Fatal(err)
		}
		if people, err := dict.People(k); err != nil || !ok || uint64(k) != i || people != i {
			t.Errorf("term %d = %d, %t with %d people, %v", i, k, ok, people, err)
		}
	}
}
