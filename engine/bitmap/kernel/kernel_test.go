package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rowSet is a block as the set of its rows.
type rowSet [Rows]bool

func (n *rowSet) block() *Block {
	b := new(Block)
	for r, in := range n {
		if in {
			b[r/64] |= 1 << (r % 64)
		}
	}
	return b
}

func (n *rowSet) rows() []uint16 {
	var rows []uint16
	for r, in := range n {
		if in {
			rows = append(rows, uint16(r))
		}
	}
	return rows
}

func (n *rowSet) count() int { return len(n.rows()) }

func combine(a, b *rowSet, f func(x, y bool) bool) *rowSet {
	out := new(rowSet)
	for r := range out {
		out[r] = f(a[r], b[r])
	}
	return out
}

// random gives blocks of every density, with and without the rows at the ends
// of words and of the block.
func random(rng *rand.Rand) *rowSet {
	n := new(rowSet)
	switch density := rng.IntN(8); density {
	case 0: // empty
	case 1:
		for r := range n {
			n[r] = true
		}
	case 2:
		for range 5 {
			n[rng.IntN(Rows)] = true
		}
		n[0], n[63], n[64], n[Rows-1] = true, true, true, true
	case 3:
		from, to := rng.IntN(Rows), rng.IntN(Rows)
		for r := min(from, to); r <= max(from, to); r++ {
			n[r] = true
		}
	default:
		p := []float64{0.0005, 0.02, 0.3, 0.9}[density-4]
		for r := range n {
			n[r] = rng.Float64() < p
		}
	}
	return n
}

func newRand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func check(t *testing.T, name string, got, want *Block) {
	t.Helper()
	if *got != *want {
		for r := range Rows {
			if g, w := got[r/64]>>(r%64)&1, want[r/64]>>(r%64)&1; g != w {
				t.Fatalf("%s: row %d is %d, want %d", name, r, g, w)
			}
		}
	}
}

// everywhere runs f with every implementation that this machine has.
func everywhere(t *testing.T, f func(t *testing.T)) {
	best := use
	defer func() { use = best }()
	for _, use = range implementations() {
		t.Run(use.name, f)
	}
}

func TestBlocks(t *testing.T) { everywhere(t, testBlocks) }

func testBlocks(t *testing.T) {
	rng := newRand(t)
	or := func(x, y bool) bool { return x || y }
	and := func(x, y bool) bool { return x && y }
	andNot := func(x, y bool) bool { return x && !y }
	for range 8 {
		a, b := random(rng), random(rng)
		rows := b.rows()
		for _, test := range []struct {
			name string
			f    func(dst *Block) int
			want *rowSet
		}{
			{"Or", func(d *Block) int { Or(d, b.block()); return Count(d) }, combine(a, b, or)},
			{"And", func(d *Block) int { And(d, b.block()); return Count(d) }, combine(a, b, and)},
			{"AndNot", func(d *Block) int { AndNot(d, b.block()); return Count(d) }, combine(a, b, andNot)},
			{"OrCount", func(d *Block) int { return OrCount(d, b.block()) }, combine(a, b, or)},
			{"AndCount", func(d *Block) int { return AndCount(d, b.block()) }, combine(a, b, and)},
			{"AndNotCount", func(d *Block) int { return AndNotCount(d, b.block()) }, combine(a, b, andNot)},
			{"OrArray", func(d *Block) int { OrArray(d, rows); return Count(d) }, combine(a, b, or)},
			{"AndNotArray", func(d *Block) int { AndNotArray(d, rows); return Count(d) }, combine(a, b, andNot)},
		} {
			d := a.block()
			n := test.f(d)
			check(t, test.name, d, test.want.block())
			if want := test.want.count(); n != want {
				t.Errorf("%s: count %d, want %d", test.name, n, want)
			}
		}
		if got, want := CountArray(a.block(), rows), combine(a, b, and).count(); got != want {
			t.Errorf("CountArray = %d, want %d", got, want)
		}
		if diff := cmp.Diff(a.rows(), AppendRows(nil, a.block())); diff != "" {
			t.Errorf("AppendRows (-want +got):\n%s", diff)
		}
		if got, want := IsEmpty(a.block()), a.count() == 0; got != want {
			t.Errorf("IsEmpty = %t, want %t", got, want)
		}
	}
}

func TestRanges(t *testing.T) {
	rng := newRand(t)
	edges := []int{0, 1, 62, 63, 64, 65, 127, 128, Rows - 65, Rows - 64, Rows - 1}
	for range 200 {
		first, last := edges[rng.IntN(len(edges))], rng.IntN(Rows)
		if rng.IntN(2) == 0 {
			last = edges[rng.IntN(len(edges))]
		}
		first, last = min(first, last), max(first, last)
		a := random(rng)
		with, without := *a, *a
		for r := first; r <= last; r++ {
			with[r], without[r] = true, false
		}
		d := a.block()
		OrRange(d, uint16(first), uint16(last))
		check(t, fmt.Sprintf("OrRange %d-%d", first, last), d, with.block())
		d = a.block()
		AndNotRange(d, uint16(first), uint16(last))
		check(t, fmt.Sprintf("AndNotRange %d-%d", first, last), d, without.block())
	}
}

func TestFillAndComplement(t *testing.T) {
	rng := newRand(t)
	for _, n := range []int{0, 1, 63, 64, 65, 1000, Rows - 64, Rows - 1, Rows} {
		a := random(rng)
		var fill, complement rowSet
		for r := range n {
			fill[r], complement[r] = true, !a[r]
		}
		d := a.block()
		Fill(d, n)
		check(t, fmt.Sprintf("Fill %d", n), d, fill.block())
		d = a.block()
		Complement(d, n)
		check(t, fmt.Sprintf("Complement %d", n), d, complement.block())
	}
}

func TestHasFrom(t *testing.T) {
	for _, last := range []int{-1, 0, 1, 63, 64, 65, 1000, Rows - 65, Rows - 64, Rows - 1} {
		var b Block
		if last >= 0 {
			OrRange(&b, 0, uint16(last))
		}
		for _, n := range []int{0, 1, 63, 64, 65, 1000, 1001, Rows - 64, Rows - 1, Rows} {
			if got := HasFrom(&b, n); got != (last >= n) {
				t.Errorf("HasFrom(rows to %d, %d) = %t, want %t", last, n, got, last >= n)
			}
		}
	}
}

// counts is Counters without any trick.
func counts(sets []*rowSet) (c [Rows]int) {
	for _, s := range sets {
		for r, in := range s {
			if in {
				c[r]++
			}
		}
	}
	return c
}

func atLeast(c *[Rows]int, k int) *Block {
	var n rowSet
	for r := range c {
		n[r] = c[r] >= k
	}
	return n.block()
}

func TestCounters(t *testing.T) { everywhere(t, testCounters) }

func testCounters(t *testing.T) {
	rng := newRand(t)
	for _, size := range []int{1, 5, 50, 255, 300} {
		sets := make([]*rowSet, size)
		pool := []*rowSet{random(rng), random(rng), random(rng), random(rng), random(rng)}
		for i := range sets {
			sets[i] = pool[rng.IntN(len(pool))]
		}
		want := counts(sets)
		var c Counters
		for i, s := range sets {
			switch {
			case rng.IntN(2) == 0:
				c.AddBlockSaturating(s.block(), 1)
			case i < MaxCount && rng.IntN(2) == 0:
				c.AddArray(s.rows())
			default:
				c.AddArraySaturating(s.rows())
			}
		}
		for r := range c {
			if int(c[r]) != min(want[r], MaxCount) {
				t.Fatalf("%d sets: count of row %d = %d, want %d", size, r, c[r], want[r])
			}
		}
		for _, k := range []int{1, 2, 3, 10, 127, 128, 129, 200, 254, 255} {
			got, left := new(Block), c
			left.AtLeast(got, nil, uint8(k), size)
			check(t, fmt.Sprintf("%d sets, at least %d", size, k), got, atLeast(&want, k))
			if left != (Counters{}) {
				t.Fatal("counters are not zero after AtLeast")
			}
		}
	}
}

func TestAddBlock(t *testing.T) { everywhere(t, testAddBlock) }

func testAddBlock(t *testing.T) {
	rng := newRand(t)
	for range 10 {
		var c, want Counters
		for _, weight := range []uint8{1, 2, 3, 8, 64, 100} { // in all below 255
			n := random(rng)
			c.AddBlock(n.block(), weight)
			for r, in := range n {
				if in {
					want[r] += weight
				}
			}
		}
		if c != want {
			t.Fatal("AddBlock counts otherwise than row by row")
		}
	}
}

func TestAddArrayUntil(t *testing.T) {
	rng := newRand(t)
	var c Counters
	for range 5 {
		sets := make([]*rowSet, 9)
		for i := range sets {
			sets[i] = random(rng)
		}
		want := counts(sets)
		k := 1 + rng.IntN(len(sets))
		got := new(Block)
		for _, s := range sets {
			c.AddArrayUntil(s.rows(), uint8(k), got)
		}
		check(t, fmt.Sprintf("at least %d", k), got, atLeast(&want, k))
		for _, s := range sets {
			c.Reset(s.rows())
		}
		if c != (Counters{}) {
			t.Fatal("counters are not zero after Reset")
		}
	}
}

func TestSlices(t *testing.T) { everywhere(t, testSlices) }

func testSlices(t *testing.T) {
	rng := newRand(t)
	var s Slices
	for _, size := range []int{1, 2, 3, 4, 7, 8, 9, 50, 300, 600} {
		s.Reset()
		pool := []*rowSet{random(rng), random(rng), random(rng), random(rng)}
		sets := make([]*rowSet, size)
		var in [7]*Block
		empty := new(Block)
		n := 0
		for i := range sets {
			sets[i] = pool[rng.IntN(len(pool))]
			if i%5 == 4 && i < size-1 {
				s.AddArray(sets[i].rows())
				continue
			}
			in[n] = sets[i].block()
			if n++; n == 7 || i == size-1 {
				for j := n; j < 7; j++ {
					in[j] = empty
				}
				s.Add(&in, n)
				n = 0
			}
		}
		want := counts(sets)
		for _, k := range []int{1, 2, 3, 7, 8, size, size + 1, size * 4} {
			got := new(Block)
			s.AtLeast(got, k)
			check(t, fmt.Sprintf("%d blocks, at least %d", size, k), got, atLeast(&want, k))
		}
		var c Counters
		for r := range c {
			c[r] = uint8(r % 7)
		}
		for r := range want {
			want[r] += r % 7
		}
		for _, k := range []int{1, 2, 7, 8, 13, 60, 127, 128, 255} {
			got, left := new(Block), c
			left.AtLeast(got, &s, uint8(k), size+7)
			check(t, fmt.Sprintf("%d blocks and counters, at least %d", size, k), got, atLeast(&want, k))
			if left != (Counters{}) {
				t.Fatal("counters are not zero after AtLeast")
			}
		}
	}
}
