package extsort

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestSort adds records by several goroutines, with room for all of them and
// for few, and compares the order with that of strings.
func TestSort(t *testing.T) {
	const writers, each = 3, 5000
	for _, memory := range []int64{1 << 30, 64 << 10, 1} {
		path := filepath.Join(t.TempDir(), "runs")
		s := New(path, memory)
		var mu sync.Mutex
		var want []string
		var wg sync.WaitGroup
		for g := range writers {
			w := s.Writer()
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(1, uint64(g)))
				for i := range each {
					// Lengths from none to more than memory holds.
					key := strings.Repeat(string(rune('a'+rng.IntN(3))), rng.IntN(12)) + fmt.Sprint(rng.IntN(300))
					if i == 100 {
						key = strings.Repeat("x", 10_000)
					}
					if i == 200 {
						key = ""
					}
					payload := fmt.Sprint(rng.IntN(50))
					if err := w.Add([]byte(key), []byte(payload)); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					want = append(want, key+"\x00"+payload)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if s.Empty() {
			t.Error("Empty = true, want false")
		}
		if _, err := os.Stat(path); (err == nil) != (memory < 1<<30) {
			t.Errorf("memory %d: file: %v", memory, err)
		}
		if runs := len(s.runs); memory == 1 && runs <= fanIn {
			t.Errorf("%d runs are merged at once: want more than %d", runs, fanIn)
		}
		var got []string
		if err := s.Each(func(key, payload []byte) error {
			got = append(got, string(key)+"\x00"+string(payload))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("memory %d: %d records are not the %d added, in order", memory, len(got), len(want))
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("memory %d: file is left", memory)
		}
	}
}

func TestEachEnds(t *testing.T) {
	s := New(filepath.Join(t.TempDir(), "runs"), 1<<20)
	if !s.Empty() {
		t.Error("Empty = false, want true")
	}
	w := s.Writer()
	for i := range 10 {
		if err := w.Add([]byte{byte(i)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	boom := errors.New("boom")
	n := 0
	err := s.Each(func([]byte, []byte) error {
		if n++; n == 3 {
			return boom
		}
		return nil
	})
	if !errors.Is(err, boom) || n != 3 {
		t.Errorf("Each = %v after %d records, want %v after 3", err, n, boom)
	}
}

// TestDamaged cuts the file of runs short.
func TestDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs")
	s := New(path, 1)
	w := s.Writer()
	for i := range 2000 {
		if err := w.Add(fmt.Append(nil, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(path, 3); err != nil {
		t.Fatal(err)
	}
	if err := s.Each(func([]byte, []byte) error { return nil }); err == nil {
		t.Error("Each of a file cut short = nil, want an error")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
