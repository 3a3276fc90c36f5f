//go:build unix

package kernel

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"
)

// fencedBytes is n bytes in front of a page that cannot be touched.
func fencedBytes(t *testing.T, n int) []byte {
	page := os.Getpagesize()
	memory := fenced(t, (n+page)/page*page)
	return memory[len(memory)-n:]
}

// fencedRows is n rows in front of such a page, with the slack between.
func fencedRows(t *testing.T, n int) []uint16 {
	memory := fencedBytes(t, 2*(n+ListSlack))
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(memory))), n+ListSlack)[:n]
}

// TestLists tidies lists of every length with every implementation, and
// compares them with what slices makes of them.
func TestLists(t *testing.T) {
	rng := newRand(t)
	for _, k := range listersHere() {
		t.Run(k.name, func(t *testing.T) {
			defer func(was *listers) { useListers = was }(useListers)
			useListers = k
			var lists Lists
			for round := range 400 {
				var rows []uint16
				var ends []uint32
				var want [][]uint16
				for range rng.IntN(40) {
					list := randomList(rng, round%3 == 0)
					rows = append(rows, list...)
					ends = append(ends, uint32(len(rows)))
					list = slices.Clone(list)
					slices.Sort(list)
					want = append(want, slices.Compact(list))
				}
				src, dst := fencedRows(t, len(rows)), fencedRows(t, len(rows))
				copy(src, rows)
				total := lists.Tidy(dst, src, ends)
				from := uint32(0)
				for i, end := range ends {
					if got := dst[from:end]; !slices.Equal(got, want[i]) {
						t.Fatalf("list %d of %d is %v, want %v", i, len(ends), got, want[i])
					}
					from = end
				}
				if total != int(from) {
					t.Fatalf("Tidy = %d, want %d", total, from)
				}
			}
		})
	}
}

// randomList is a list of one or more rows, of which many come again where few
// are to choose from.
func randomList(rng *rand.Rand, sorted bool) []uint16 {
	n := 1 + rng.IntN(1+[]int{3, 16, 40, 70, 300, 5000}[rng.IntN(6)])
	width := []uint32{4, 100, Rows, Rows}[rng.IntN(4)]
	first := rng.Uint32N(Rows - width + 1)
	list := make([]uint16, n)
	for i := range list {
		list[i] = uint16(first + rng.Uint32N(width))
	}
	if sorted || rng.IntN(4) == 0 {
		slices.Sort(list)
	}
	if rng.IntN(4) == 0 {
		list[rng.IntN(n)] = Rows - 1
	}
	return list
}

// TestSplitPairs takes pairs apart with every implementation.
func TestSplitPairs(t *testing.T) {
	rng := newRand(t)
	for _, k := range listersHere() {
		t.Run(k.name, func(t *testing.T) {
			for n := range 300 {
				var units []byte
				var terms []uint32
				var rows []uint16
				put := func(u uint32) {
					units = append(binary.LittleEndian.AppendUint16(units, uint16(u)), byte(u>>16))
				}
				head := uint32(0)
				for range n {
					h := head
					if head == 0 || rng.IntN(1+n%5) == 0 {
						h = unitHead | rng.Uint32N(highTerms+1)<<headBits | rng.Uint32N(Rows)
					}
					if h != head {
						head = h
						put(h)
					}
					low := rng.Uint32N(1 << termBits)
					put(low)
					terms = append(terms, (h&^unitHead)>>headBits<<termBits|low)
					rows = append(rows, uint16(h))
				}
				in := fencedBytes(t, len(units))
				copy(in, units)
				gotTerms := make([]uint32, len(units)/unitBytes+PairSlack)
				gotRows := make([]uint16, len(units)/unitBytes+PairSlack)
				got, last := k.split(gotTerms, gotRows, in, 0)
				if cut := got / 2 * unitBytes; rng.IntN(2) == 0 { // in two steps
					first, before := k.split(gotTerms, gotRows, in[:cut], 0)
					got, last = k.split(gotTerms[first:], gotRows[first:], in[cut:], before)
					got += first
				}
				if got != n || last != head || !slices.Equal(gotTerms[:got], terms) || !slices.Equal(gotRows[:got], rows) {
					t.Fatalf("%d pairs: got %d, last head %x, want %x; terms %v, want %v", n, got, last, head, gotTerms[:got], terms)
				}
			}
		})
	}
}
