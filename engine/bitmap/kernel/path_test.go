//go:build unix

package kernel

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// naive is what every implementation must do: row by row, without any trick.
var naive = kernels{
	name:   "naive",
	or:     func(dst, src *Block) { eachRow(dst, func(r int) bool { return has(dst, r) || has(src, r) }) },
	and:    func(dst, src *Block) { eachRow(dst, func(r int) bool { return has(dst, r) && has(src, r) }) },
	andNot: func(dst, src *Block) { eachRow(dst, func(r int) bool { return has(dst, r) && !has(src, r) }) },
	count:  func(b *Block) int { return eachRow(b, func(r int) bool { return has(b, r) }) },
	orCount: func(dst, src *Block) int {
		return eachRow(dst, func(r int) bool { return has(dst, r) || has(src, r) })
	},
	andCount: func(dst, src *Block) int {
		return eachRow(dst, func(r int) bool { return has(dst, r) && has(src, r) })
	},
	andNotCount: func(dst, src *Block) int {
		return eachRow(dst, func(r int) bool { return has(dst, r) && !has(src, r) })
	},
	add7: func(in *[7]*Block, p0, p1, p2, carry *Block) bool {
		n := 0
		for r := range Rows {
			sum := digit(p0, r, 1) + digit(p1, r, 2) + digit(p2, r, 4) + naiveSum(in, r)
			put(p0, r, sum&1 != 0)
			put(p1, r, sum&2 != 0)
			put(p2, r, sum&4 != 0)
			put(carry, r, sum&8 != 0)
			n += sum & 8
		}
		return n != 0
	},
	add1: func(p, carry *Block) bool {
		n := 0
		for r := range Rows {
			sum := digit(p, r, 1) + digit(carry, r, 1)
			put(p, r, sum&1 != 0)
			put(carry, r, sum&2 != 0)
			n += sum & 2
		}
		return n != 0
	},
	sum7: func(in *[7]*Block, p0, p1, p2 *Block) {
		for r := range Rows {
			sum := naiveSum(in, r)
			put(p0, r, sum&1 != 0)
			put(p1, r, sum&2 != 0)
			put(p2, r, sum&4 != 0)
		}
	},
	atLeast7: func(dst *Block, in *[7]*Block, k int) {
		eachRow(dst, func(r int) bool { return naiveSum(in, r) >= k })
	},
	addBlock:           naiveAddBlock,
	addBlockSaturating: naiveAddBlock,
	atLeast:            naiveAtLeast,
	atLeastLow:         naiveAtLeast,
	orArray: func(dst *Block, rows []uint16) {
		for _, r := range rows {
			put(dst, int(r), true)
		}
	},
	andNotArray: func(dst *Block, rows []uint16) {
		for _, r := range rows {
			put(dst, int(r), false)
		}
	},
	addArray: func(c *[Rows]uint8, rows []uint16) {
		for _, r := range rows {
			c[r]++
		}
	},
}

// naiveSum is how many of the blocks have a row.
func naiveSum(in *[7]*Block, r int) (sum int) {
	for _, b := range in {
		sum += digit(b, r, 1)
	}
	return sum
}

func naiveAddBlock(c *[Rows]uint8, b *Block, weight uint8) {
	for r := range c {
		c[r] = uint8(min(int(c[r])+digit(b, r, int(weight)), MaxCount))
	}
}

func naiveAtLeast(dst *Block, c *[Rows]uint8, low *[3]*Block, k uint8) {
	eachRow(dst, func(r int) bool {
		n := int(c[r])
		if low != nil {
			n += digit(low[0], r, 1) + digit(low[1], r, 2) + digit(low[2], r, 4)
		}
		return n >= int(k)
	})
	clear(c[:])
}

func has(b *Block, r int) bool { return b[r/64]>>(r%64)&1 != 0 }

// digit is worth where b has the row.
func digit(b *Block, r, worth int) int {
	if has(b, r) {
		return worth
	}
	return 0
}

func put(b *Block, r int, in bool) {
	b[r/64] &^= 1 << (r % 64)
	if in {
		b[r/64] |= 1 << (r % 64)
	}
}

// eachRow makes dst the rows of which f says so and returns how many.
func eachRow(dst *Block, f func(r int) bool) (n int) {
	for r := range Rows {
		in := f(r)
		put(dst, r, in)
		if in {
			n++
		}
	}
	return n
}

// arguments are what kernels are called with, each array between pages that
// cannot be touched.
type arguments struct {
	dst, src *Block
	in       [7]*Block
	p        [3]*Block
	counts   *[Rows]uint8
	rows     *[arrayRows]uint16
	n        int // of rows that are given
	k        uint8
	around   [][]byte // the arrays with what lies around them, all ours
}

// calls runs each kernel. It is what tests and benchmarks go through.
var calls = []struct {
	name string
	f    func(k *kernels, a *arguments) int
}{
	{"Or", func(k *kernels, a *arguments) int { k.or(a.dst, a.src); return 0 }},
	{"And", func(k *kernels, a *arguments) int { k.and(a.dst, a.src); return 0 }},
	{"AndNot", func(k *kernels, a *arguments) int { k.andNot(a.dst, a.src); return 0 }},
	{"Count", func(k *kernels, a *arguments) int { return k.count(a.src) }},
	{"OrCount", func(k *kernels, a *arguments) int { return k.orCount(a.dst, a.src) }},
	{"AndCount", func(k *kernels, a *arguments) int { return k.andCount(a.dst, a.src) }},
	{"AndNotCount", func(k *kernels, a *arguments) int { return k.andNotCount(a.dst, a.src) }},
	{"Add7", func(k *kernels, a *arguments) int { return number(k.add7(&a.in, a.p[0], a.p[1], a.p[2], a.dst)) }},
	{"Sum7", func(k *kernels, a *arguments) int { k.sum7(&a.in, a.p[0], a.p[1], a.p[2]); return 0 }},
	{"AtLeast7", func(k *kernels, a *arguments) int { k.atLeast7(a.dst, &a.in, 1+int(a.k)%7); return 0 }},
	{"Add1", func(k *kernels, a *arguments) int { return number(k.add1(a.p[0], a.dst)) }},
	{"AddBlock", func(k *kernels, a *arguments) int { k.addBlock(a.counts, a.src, a.k); return 0 }},
	{"AddBlockSaturating", func(k *kernels, a *arguments) int { k.addBlockSaturating(a.counts, a.src, a.k); return 0 }},
	{"AtLeast", func(k *kernels, a *arguments) int { k.atLeast(a.dst, a.counts, nil, a.k); return 0 }},
	{"AtLeastLow", func(k *kernels, a *arguments) int { k.atLeastLow(a.dst, a.counts, nil, a.k); return 0 }},
	{"AtLeastSlices", func(k *kernels, a *arguments) int { k.atLeast(a.dst, a.counts, &a.p, a.k); return 0 }},
	{"AtLeastLowSlices", func(k *kernels, a *arguments) int { k.atLeastLow(a.dst, a.counts, &a.p, a.k); return 0 }},
	{"OrArray", func(k *kernels, a *arguments) int { k.orArray(a.dst, a.array()); return 0 }},
	{"AndNotArray", func(k *kernels, a *arguments) int { k.andNotArray(a.dst, a.array()); return 0 }},
	{"AddArray", func(k *kernels, a *arguments) int { k.addArray(a.counts, a.array()); return 0 }},
}

// arrayRows is the largest number of rows of an array.
const arrayRows = 4096

// array is the last n rows, so that what follows them cannot be touched where
// the rows lie at the end.
func (a *arguments) array() []uint16 { return a.rows[arrayRows-a.n:] }

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Where the arrays lie in their memory.
const (
	atStart = iota
	atOdd   // at an address that divides by no more than a word
	atEnd
	places
)

func newArguments(tb testing.TB, place int) *arguments {
	a := new(arguments)
	array := func(size int) unsafe.Pointer {
		m := fenced(tb, size)
		a.around = append(a.around, m)
		switch place {
		case atOdd:
			m = m[8:]
		case atEnd:
			m = m[len(m)-size:]
		}
		return unsafe.Pointer(&m[0])
	}
	block := func() *Block { return (*Block)(array(Rows / 8)) }
	a.dst, a.src = block(), block()
	for i := range a.in {
		a.in[i] = block()
	}
	for i := range a.p {
		a.p[i] = block()
	}
	a.counts = (*[Rows]uint8)(array(Rows))
	a.rows = (*[arrayRows]uint16)(array(2 * arrayRows))
	return a
}

// fenced returns memory of the size and a page more between two pages that
// cannot be touched: neither read nor written.
func fenced(tb testing.TB, size int) []byte {
	tb.Helper()
	page := unix.Getpagesize()
	all, err := unix.Mmap(-1, 0, size+3*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := unix.Munmap(all); err != nil {
			tb.Error(err)
		}
	})
	for _, fence := range [][]byte{all[:page], all[len(all)-page:]} {
		if err := unix.Mprotect(fence, unix.PROT_NONE); err != nil {
			tb.Fatal(err)
		}
	}
	return all[page : len(all)-page]
}

// fill gives the arguments, and what is around them, any values; those of
// counts and k that the call allows.
func (a *arguments) fill(rng *rand.Rand, call string) {
	for _, m := range a.around {
		for i := 0; i < len(m); i += 8 {
			binary.LittleEndian.PutUint64(m[i:], rng.Uint64())
		}
	}
	// What is left as it is has half of the rows.
	for _, b := range append([]*Block{a.dst, a.src}, append(a.p[:], a.in[:]...)...) {
		if rng.IntN(4) != 0 {
			*b = *random(rng).block()
		}
	}
	edges := []uint8{1, 2, 3, 64, 100, 126, 127, 128, 129, 200, 254, 255}
	a.k = edges[rng.IntN(len(edges))]
	most := uint8(MaxCount)
	switch call {
	case "AddBlock":
		most = MaxCount - a.k
	case "AtLeastLow":
		a.k, most = min(a.k, 127), 127
	case "AtLeastLowSlices":
		a.k, most = min(a.k, 127), 120
	case "AddArray":
		most = MaxCount - 1
	}
	a.n = rng.IntN(20)
	if rng.IntN(2) == 0 {
		a.n = rng.IntN(arrayRows + 1)
	}
	copy(a.array(), distinct(rng, a.n))
	mode := rng.IntN(3)
	for r, n := range a.counts {
		switch mode {
		case 0: // around k
			n = a.k + n%3 - 1
		case 1:
			n = MaxCount - n%2*MaxCount
		}
		a.counts[r] = min(n, most)
	}
}

// distinct picks n rows, ascending, of all or of those next to each other.
func distinct(rng *rand.Rand, n int) (rows []uint16) {
	among := Rows
	if rng.IntN(3) == 0 {
		among = n + rng.IntN(n+1)
	}
	from := rng.IntN(Rows - among + 1)
	for i := range among {
		if rng.IntN(among-i) < n-len(rows) {
			rows = append(rows, uint16(from+i))
		}
	}
	return rows
}

// set makes the arguments those of from, which lie at the same place.
func (a *arguments) set(from *arguments) {
	for i := range a.around {
		copy(a.around[i], from.around[i])
	}
	a.k, a.n = from.k, from.n
}

// TestImplementations compares every implementation that this machine has with
// the naive one: results, arrays, and that nothing around them is touched.
func TestImplementations(t *testing.T) {
	for _, k := range implementations() {
		t.Run(k.name, func(t *testing.T) {
			rng := newRand(t)
			for place := range places {
				got, want, before := newArguments(t, place), newArguments(t, place), newArguments(t, place)
				for _, call := range calls {
					for range 3 {
						before.fill(rng, call.name)
						got.set(before)
						want.set(before)
						n, wantN := call.f(k, got), call.f(&naive, want)
						if n != wantN {
							t.Errorf("%s at place %d = %d, want %d", call.name, place, n, wantN)
						}
						for i := range got.around {
							if !bytes.Equal(got.around[i], want.around[i]) {
								t.Fatalf("%s at place %d: memory %d differs from what it should be", call.name, place, i)
							}
						}
					}
				}
			}
		})
	}
}

// TestSameBlock combines blocks with themselves.
func TestSameBlock(t *testing.T) {
	rng := newRand(t)
	everywhere(t, func(t *testing.T) {
		old := random(rng).block()
		d, none := *old, new(Block)
		Or(&d, &d)
		check(t, "Or", &d, old)
		And(&d, &d)
		check(t, "And", &d, old)
		if n, want := OrCount(&d, &d), naive.count(old); n != want {
			t.Errorf("OrCount = %d, want %d", n, want)
		}
		if n, want := AndCount(&d, &d), naive.count(old); n != want {
			t.Errorf("AndCount = %d, want %d", n, want)
		}
		check(t, "OrCount, AndCount", &d, old)
		e := d
		AndNot(&d, &d)
		check(t, "AndNot", &d, none)
		if n := AndNotCount(&e, &e); n != 0 {
			t.Errorf("AndNotCount = %d, want 0", n)
		}
		check(t, "AndNotCount", &e, none)
	})
}
