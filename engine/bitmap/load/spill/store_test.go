package spill

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLargeRecord keeps records larger than any chunk.
func TestLargeRecord(t *testing.T) {
	mem := NewMemory(1)
	defer mem.Close()
	s := mem.NewStore(filepath.Join(t.TempDir(), "x"), 1, 1, 1<<20)
	w := s.Writer()
	want := 0
	for _, n := range []int{10, 3 * maxChunk, 100, 1 << 20, 1} {
		c, _, err := w.Room(0, n)
		if err != nil {
			t.Fatal(err)
		}
		w.Put(0, append(c, make([]byte, n)...))
		want += n
	}
	w.Flush()
	pieces, err := s.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, p := range pieces {
		got += len(p)
	}
	if got != want {
		t.Errorf("store holds %d bytes, want %d", got, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestBlobs(t *testing.T) {
	for _, limit := range []int64{1 << 20, 100, 0} {
		b := NewBlobs(filepath.Join(t.TempDir(), "blobs"), limit)
		var wg sync.WaitGroup
		var mu sync.Mutex
		want := map[int]string{}
		for g := range 4 {
			wg.Go(func() {
				for i := range 50 {
					s := fmt.Sprint(g, i)
					if i == 7 {
						s = ""
					}
					id, err := b.Add([]byte(s))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					want[id] = s
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if err := b.Seal(); err != nil {
			t.Fatal(err)
		}
		got := map[int]string{}
		for id := range b.list {
			got[id] = string(b.Get(id))
			b.Drop(id)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestStore writes records by several goroutines, with room for all in memory,
// for some and for none, and reads them back.
func TestStore(t *testing.T) {
	const partitions, writers, records, size = 5, 4, 40_000, 8
	le := binary.LittleEndian
	for _, tt := range []struct {
		name        string
		limit, used int64 // used: what others take
		spilt       bool
	}{
		{name: "all in memory", limit: 1 << 30},
		{name: "some", limit: 1 << 20, spilt: true},
		{name: "others take it", limit: 1 << 30, used: 1 << 30, spilt: true},
		{name: "none", limit: 1, spilt: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mem := NewMemory(tt.limit)
			defer mem.Close()
			mem.Yield(func() int64 { return tt.used }, 1)
			path := filepath.Join(t.TempDir(), "records")
			s := mem.NewStore(path, partitions, writers, 1<<16)
			var wg sync.WaitGroup
			for g := range writers {
				w := s.Writer()
				wg.Go(func() {
					for i := range records {
						c, _, err := w.Room(i%partitions, size)
						if err != nil {
							t.Error(err)
							return
						}
						w.Put(i%partitions, le.AppendUint32(le.AppendUint32(c, uint32(g)), uint32(i)))
					}
					w.Flush()
				})
			}
			wg.Wait()
			if _, err := os.Stat(path); (err == nil) != tt.spilt {
				t.Errorf("spill file: %v, want one: %t", err, tt.spilt)
			}
			for p := range s.Partitions() {
				if got, want := s.Bytes(p), int64(writers*records/partitions*size); got != want {
					t.Errorf("Bytes(%d) = %d, want %d", p, got, want)
				}
				pieces, err := s.Read(p)
				if err != nil {
					t.Fatal(err)
				}
				var next [writers]uint32 // record of each, in the order in which it wrote them
				for g := range next {
					next[g] = uint32(p)
				}
				for _, b := range pieces {
					for ; len(b) >= size; b = b[size:] {
						g, i := le.Uint32(b), le.Uint32(b[4:])
						if i != next[g] {
							t.Fatalf("partition %d: record %d of writer %d, want %d", p, i, g, next[g])
						}
						next[g] += partitions
					}
				}
				for g, n := range next {
					if n != uint32(records+p) {
						t.Errorf("partition %d: the records of writer %d end at %d", p, g, n)
					}
				}
				s.Release(p)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if n := mem.Taken(); n != 0 {
				t.Errorf("%d bytes of memory are not given back", n)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("spill file is left")
			}
		})
	}
}

// TestNumbers keeps counters in memory and in a file, and arrays in the heap and
// outside.
func TestNumbers(t *testing.T) {
	const n = 300_000
	for _, memory := range []int64{4 * n, 4*n - 1} {
		path := filepath.Join(t.TempDir(), "counts")
		c, err := NewCounters(path, n, memory)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); (err == nil) != (memory < 4*n) {
			t.Errorf("memory %d: file of counters: %v", memory, err)
		}
		c.N[n-1]++
		if len(c.N) != n || c.N[0] != 0 || c.N[n-1] != 1 {
			t.Errorf("memory %d: %d counters, the first %d, the last %d", memory, len(c.N), c.N[0], c.N[n-1])
		}
		c.Close()
		if _, err := os.Stat(path); err == nil {
			t.Errorf("memory %d: file of counters is left", memory)
		}
	}
	var a Array[uint32]
	defer a.Free()
	for _, n := range []int{10, 5, n, 1 << 20} {
		list, err := a.Get(n)
		if err != nil {
			t.Fatal(err)
		}
		list[n-1] = 7
		if len(list) != n || a.Size() < int64(4*n) {
			t.Errorf("Get(%d) gives %d numbers in %d bytes", n, len(list), a.Size())
		}
	}
	a.Free()
	if a.Size() != 0 {
		t.Errorf("%d bytes are left of a freed array", a.Size())
	}
}
