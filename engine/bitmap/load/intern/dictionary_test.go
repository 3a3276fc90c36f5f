package intern

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"throng/query"
)

func TestDictionary(t *testing.T) {
	d := NewDictionary(1 << 30)
	first := d.NewCache()
	unused, err := first.Intern(0, []byte("unused"))
	if err != nil {
		t.Fatal(err)
	}
	used, err := first.Intern(3, []byte("used"))
	if err != nil {
		t.Fatal(err)
	}
	d.Declare()
	d.Use(used)
	var wg sync.WaitGroup
	var mu sync.Mutex
	numbers := map[string]uint32{}
	for range 4 {
		wg.Go(func() {
			terms := d.NewCache()
			for i := range 30_000 {
				field, value := uint8(i%5+4), fmt.Sprintf("value %d", i%9000)
				n, err := terms.Intern(field, []byte(value))
				if err != nil {
					t.Error(err)
					return
				}
				d.Use(n)
				key := fmt.Sprintf("%d%s", field, value)
				mu.Lock()
				if old, ok := numbers[key]; ok && old != n {
					t.Errorf("%s has the numbers %d and %d", key, old, n)
				}
				numbers[key] = n
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	order, final := d.Number(2)
	if len(order) != len(numbers)+1 {
		t.Errorf("%d terms are numbered, want %d", len(order), len(numbers)+1)
	}
	if final[unused] != None || final[used] != 0 {
		t.Errorf("unused term is number %d, the first used one %d", final[unused], final[used])
	}
	last := ""
	for i, n := range order {
		f, v := d.Term(n)
		if key := fmt.Sprintf("%02d%s", f, v); key <= last {
			t.Errorf("term %d, %s, comes after %s", i, key, last)
		} else {
			last = key
		}
		if final[n] != uint32(i) {
			t.Errorf("final number of term %d = %d, want %d", n, final[n], i)
		}
	}
	if fields := len(query.TermFields()) + len(query.TextFields()); fields > 255 {
		t.Errorf("%d fields do not fit a byte", fields)
	}
}

// TestSortTerms sorts values that begin alike, have zeros, or are empty.
func TestSortTerms(t *testing.T) {
	d := NewDictionary(1 << 30)
	rng := rand.New(rand.NewPCG(2, 3))
	terms := d.NewCache()
	want := map[string]bool{}
	for range 3000 {
		v := make([]byte, rng.IntN(40))
		for i := range v {
			if v[i] = 'a'; i > 5 && rng.IntN(6) == 0 {
				v[i] = byte(rng.IntN(2))
			}
		}
		if _, err := terms.Intern(1, v); err != nil {
			t.Fatal(err)
		}
		want[string(v)] = true
	}
	order, _ := d.Number(1)
	var got []string
	for _, n := range order {
		_, v := d.Term(n)
		got = append(got, string(v))
	}
	if !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("%d values are out of order", len(got))
	}
}
