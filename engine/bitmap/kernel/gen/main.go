// Command gen writes the assembly of package kernel:
//
//	go generate ./engine/bitmap/kernel
//
// It is a module of its own so that the assembler's library stays out of the
// product's.
//
// Every function is written once, for registers of any width, and made for
// each of the sets of instructions in sets.go. Arguments have the types of
// package kernel: a block is *[1024]uint64, counters are *[65536]uint8.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	blockBytes = 8192
	rows       = 65536
)

func main() {
	for _, s := range []*set{avx2(), avx512()} {
		for _, op := range []string{"or", "and", "andNot"} {
			combine(s, op, false)
			combine(s, op, true)
		}
		count(s)
		add7(s)
		sum7(s)
		atLeast7(s)
		add1(s)
		s.atLeast(s)
		s.addBlock(s)
	}
	// All that it does better is counting.
	s := vpopcnt()
	for _, op := range []string{"or", "and", "andNot"} {
		combine(s, op, true)
	}
	count(s)
	arrays()
	Generate()
}

// text begins a function of the set.
func text(s *set, name, signature, doc string) {
	TEXT(name+s.name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + s.name + " " + doc)
}

// loop repeats body for i from 0 to limit by step; i is the register that
// body uses as an index.
func loop(name string, limit, step int, body func(i reg.Register)) {
	i := GP64()
	XORQ(i, i)
	Label(name)
	body(i)
	ADDQ(U32(step), i)
	CMPQ(i, U32(limit))
	JNE(LabelRef(name))
}

// at is the memory of register n of those that follow base+i.
func at(s *set, base, i reg.Register, n int) Mem {
	return Mem{Base: base, Index: i, Scale: 1, Disp: n * s.bytes}
}

// unroll is how many registers a turn of the loops of combine and count takes:
// as many as popcount adds up at once.
const unroll = 8

// combine writes or, and, andNot and their counting kin.
func combine(s *set, op string, counting bool) {
	doc := map[string]string{
		"or":     "adds the rows of src to dst",
		"and":    "keeps the rows of dst that src has",
		"andNot": "removes the rows of src from dst",
	}[op]
	if counting {
		text(s, op+"Count", "func(dst, src *[1024]uint64) int", doc+" and returns how many dst has then.")
	} else {
		text(s, op, "func(dst, src *[1024]uint64)", doc+".")
	}
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	var sum *counter
	if counting {
		sum = newCounter(s)
	}
	loop("loop", blockBytes, unroll*s.bytes, func(i reg.Register) {
		word := func(n int) reg.VecVirtual {
			w := s.vec()
			s.mov(at(s, src, i, n), w)
			s.op(op, at(s, dst, i, n), w)
			s.mov(w, at(s, dst, i, n))
			return w
		}
		if counting {
			sum.add(word)
			return
		}
		for n := range unroll {
			word(n)
		}
	})
	if counting {
		sum.ret()
	}
	VZEROUPPER()
	RET()
}

// count writes count.
func count(s *set) {
	text(s, "count", "func(b *[1024]uint64) int", "returns the number of rows in b.")
	b := Load(Param("b"), GP64())
	sum := newCounter(s)
	loop("loop", blockBytes, unroll*s.bytes, func(i reg.Register) {
		sum.add(func(n int) reg.VecVirtual {
			w := s.vec()
			s.mov(at(s, b, i, n), w)
			return w
		})
	})
	sum.ret()
	VZEROUPPER()
	RET()
}

// seven loads the addresses of seven blocks.
func seven() (in [7]reg.Register) {
	list := Load(Param("in"), GP64())
	for j := range in {
		in[j] = GP64()
		MOVQ(Mem{Base: list, Disp: 8 * j}, in[j])
	}
	return in
}

// digits adds up the bits of seven blocks: the digits of the sum, from the
// lowest.
func digits(s *set, in [7]reg.Register, i reg.Register) (one, two, four reg.VecVirtual) {
	load := func(j int) reg.VecVirtual {
		v := s.vec()
		s.mov(at(s, in[j], i, 0), v)
		return v
	}
	one, two = load(0), s.vec()
	s.add3(one, load(1), load(2), two)
	s2, c2 := load(3), s.vec()
	s.add3(s2, load(4), load(5), c2)
	c3 := s.vec()
	s.add3(one, s2, load(6), c3)
	four = s.vec()
	s.add3(two, c2, c3, four)
	return one, two, four
}

// add7 writes the step of Slices.Add: seven blocks join the three lowest
// slices.
func add7(s *set) {
	text(s, "add7", "func(in *[7]*[1024]uint64, p0, p1, p2, carry *[1024]uint64) bool",
		"adds in to the slices and returns whether anything is carried.")
	in := seven()
	p0, p1, p2 := Load(Param("p0"), GP64()), Load(Param("p1"), GP64()), Load(Param("p2"), GP64())
	carry := Load(Param("carry"), GP64())
	some := s.vec()
	s.zero(some)
	loop("loop", blockBytes, s.bytes, func(i reg.Register) {
		load := func(base reg.Register) reg.VecVirtual {
			v := s.vec()
			s.mov(at(s, base, i, 0), v)
			return v
		}
		one, two, four := digits(s, in, i)
		low, twos := load(p0), s.vec()
		s.mov(low, twos)
		s.op("and", one, twos)
		s.op("xor", one, low)
		s.mov(low, at(s, p0, i, 0))
		mid, fours := load(p1), s.vec()
		s.add3(mid, two, twos, fours)
		s.mov(mid, at(s, p1, i, 0))
		high, out := load(p2), s.vec()
		s.add3(high, four, fours, out)
		s.mov(high, at(s, p2, i, 0))
		s.mov(out, at(s, carry, i, 0))
		s.op("or", out, some)
	})
	s.retSome(some)
}

// sum7 writes the first step of Slices.Add: nothing was added before.
func sum7(s *set) {
	text(s, "sum7", "func(in *[7]*[1024]uint64, p0, p1, p2 *[1024]uint64)", "makes the slices the sums of in.")
	in := seven()
	p0, p1, p2 := Load(Param("p0"), GP64()), Load(Param("p1"), GP64()), Load(Param("p2"), GP64())
	loop("loop", blockBytes, s.bytes, func(i reg.Register) {
		one, two, four := digits(s, in, i)
		s.mov(one, at(s, p0, i, 0))
		s.mov(two, at(s, p1, i, 0))
		s.mov(four, at(s, p2, i, 0))
	})
	VZEROUPPER()
	RET()
}

// atLeast7 writes the threshold of up to seven blocks.
func atLeast7(s *set) {
	text(s, "atLeast7", "func(dst *[1024]uint64, in *[7]*[1024]uint64, k int)",
		"makes dst the rows that k or more of in have. k is from 1 to 7.")
	dst, in, k := Load(Param("dst"), GP64()), seven(), Load(Param("k"), GP64())
	// All bits of below[d] are those of digit d of k, the other way round.
	var below [3]reg.VecVirtual
	for d := range below {
		digit, x := GP64(), XMM()
		below[d] = s.vec()
		MOVQ(k, digit)
		SHRQ(U8(d), digit)
		ANDQ(U8(1), digit)
		DECQ(digit)
		VMOVQ(digit, x)
		VPBROADCASTQ(x, below[d])
	}
	loop("loop", blockBytes, s.bytes, func(i reg.Register) {
		one, two, four := digits(s, in, i)
		// Digit by digit from the lowest, the sum so far is at least k's where
		// two of three say so: the digit, k's digit being 0, and those below.
		s.op("or", below[0], one)
		s.majority(two, below[1], one)
		s.majority(four, below[2], two)
		s.mov(four, at(s, dst, i, 0))
	})
	VZEROUPPER()
	RET()
}

// add1 writes the step by which a carry goes up through the slices.
func add1(s *set) {
	text(s, "add1", "func(p, carry *[1024]uint64) bool",
		"adds carry to the slice p, makes it what is carried on and returns whether that is anything.")
	p, carry := Load(Param("p"), GP64()), Load(Param("carry"), GP64())
	some := s.vec()
	s.zero(some)
	loop("loop", blockBytes, 4*s.bytes, func(i reg.Register) {
		for n := range 4 {
			c, v, sum := s.vec(), s.vec(), s.vec()
			s.mov(at(s, carry, i, n), c)
			s.mov(at(s, p, i, n), v)
			s.mov(v, sum)
			s.op("xor", c, sum)
			s.op("and", v, c)
			s.mov(sum, at(s, p, i, n))
			s.mov(c, at(s, carry, i, n))
			s.op("or", c, some)
		}
	})
	s.retSome(some)
}

// atLeast2 writes the threshold of counters for AVX2.
func atLeast2(s *set) {
	dst, c, low, k := textAtLeast(s)
	zero := s.vec()
	s.zero(zero)
	from, bit := ofBits(s)
	turn := func(add func(i reg.Register, n int, v reg.VecVirtual)) func(i reg.Register) {
		return func(i reg.Register) {
			// A word of dst is worth eight times as many counters.
			for n := range 2 {
				v, mask := s.vec(), GP32()
				counts := Mem{Base: c, Index: i, Scale: 8, Disp: 32 * n}
				VMOVDQU(counts, v)
				VMOVDQU(zero, counts)
				add(i, n, v)
				VPMINUB(v, k, v)
				VPCMPEQB(k, v, v)
				VPMOVMSKB(v, mask)
				MOVL(mask, Mem{Base: dst, Index: i, Scale: 1, Disp: 4 * n})
			}
		}
	}
	withSlices(low, 8, turn(func(reg.Register, int, reg.VecVirtual) {}), func(p [3]reg.Register) func(reg.Register) {
		return turn(func(i reg.Register, n int, v reg.VecVirtual) {
			// Bytes are 0 or −1 by their bits: minus the sum is 4·p2 + 2·p1 + p0.
			var is [3]reg.VecVirtual
			for d := range p {
				is[d] = s.vec()
				VPBROADCASTD(Mem{Base: p[d], Index: i, Scale: 1, Disp: 4 * n}, is[d])
				VPSHUFB(from, is[d], is[d])
				VPAND(bit, is[d], is[d])
				VPCMPEQB(bit, is[d], is[d])
			}
			sum := is[2]
			VPADDB(sum, sum, sum)
			VPADDB(is[1], sum, sum)
			VPADDB(sum, sum, sum)
			VPADDB(is[0], sum, sum)
			VPABSB(sum, sum)
			VPADDUSB(sum, v, v)
		})
	})
}

// atLeast512 writes the threshold of counters for AVX-512.
func atLeast512(s *set) {
	dst, c, low, k := textAtLeast(s)
	zero := s.vec()
	s.zero(zero)
	turn := func(add func(i reg.Register, n int, v reg.VecVirtual)) func(i reg.Register) {
		return func(i reg.Register) {
			for n := range 4 {
				v, mask := s.vec(), K()
				counts := Mem{Base: c, Index: i, Scale: 8, Disp: 64 * n}
				VMOVDQU64(counts, v)
				VMOVDQU64(zero, counts)
				add(i, n, v)
				VPCMPUB(U8(5), k, v, mask) // not less than
				KMOVQ(mask, Mem{Base: dst, Index: i, Scale: 1, Disp: 8 * n})
			}
		}
	}
	var worth [3]reg.VecVirtual
	for d := range worth {
		worth[d] = s.vec()
		VPBROADCASTQ(data([]string{"worth1", "worth2", "worth4"}[d], 0x0101010101010101<<d), worth[d])
	}
	withSlices(low, 32, turn(func(reg.Register, int, reg.VecVirtual) {}), func(p [3]reg.Register) func(reg.Register) {
		return turn(func(i reg.Register, n int, v reg.VecVirtual) {
			for d := range p {
				in := K()
				KMOVQ(Mem{Base: p[d], Index: i, Scale: 1, Disp: 8 * n}, in)
				VPADDUSB(worth[d], v, in, v)
			}
		})
	})
}

func textAtLeast(s *set) (dst, c, low reg.Register, k reg.VecVirtual) {
	text(s, "atLeast", "func(dst *[1024]uint64, c *[65536]uint8, low *[3]*[1024]uint64, k uint8)",
		"makes dst the rows whose count, with the slices of low, is k or more, and all counts 0.")
	return Load(Param("dst"), GP64()), Load(Param("c"), GP64()), Load(Param("low"), GP64()), broadcast(s, "k")
}

// withSlices writes the loop plain for where low is nil, and the one that
// slices gives for its three blocks.
func withSlices(low reg.Register, step int, plain func(reg.Register), slices func(p [3]reg.Register) func(reg.Register)) {
	TESTQ(low, low)
	JNE(LabelRef("slices"))
	loop("plain", rows/8, step, plain)
	VZEROUPPER()
	RET()
	Label("slices")
	var p [3]reg.Register
	for d := range p {
		p[d] = GP64()
		MOVQ(Mem{Base: low, Disp: 8 * d}, p[d])
	}
	loop("loop", rows/8, step, slices(p))
	VZEROUPPER()
	RET()
}

// ofBits are constants that make bytes of bits: each byte of a register takes
// the byte of the bitmap that has its bit, and of that the bit.
func ofBits(s *set) (from, bit reg.VecVirtual) {
	from, bit = s.vec(), s.vec()
	VMOVDQU(data("from", 0x0000000000000000, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303), from)
	VPBROADCASTQ(data("bit", 0x8040201008040201), bit)
	return from, bit
}

// addBlock2 writes the adding of a block to counters for AVX2.
func addBlock2(s *set) {
	textAddBlock(s)
	c, b, weight := Load(Param("c"), GP64()), Load(Param("b"), GP64()), broadcast(s, "weight")
	from, bit := ofBits(s)
	loop("loop", rows/8, 8, func(i reg.Register) {
		for n := range 2 {
			v := s.vec()
			counts := Mem{Base: c, Index: i, Scale: 8, Disp: 32 * n}
			VPBROADCASTD(Mem{Base: b, Index: i, Scale: 1, Disp: 4 * n}, v)
			VPSHUFB(from, v, v)
			VPAND(bit, v, v)
			VPCMPEQB(bit, v, v)
			VPAND(weight, v, v)
			VPADDUSB(counts, v, v)
			VMOVDQU(v, counts)
		}
	})
	VZEROUPPER()
	RET()
}

// addBlock512 writes the adding of a block to counters for AVX-512.
func addBlock512(s *set) {
	textAddBlock(s)
	c, b, weight := Load(Param("c"), GP64()), Load(Param("b"), GP64()), broadcast(s, "weight")
	loop("loop", rows/8, 32, func(i reg.Register) {
		for n := range 4 {
			v, mask := s.vec(), K()
			counts := Mem{Base: c, Index: i, Scale: 8, Disp: 64 * n}
			KMOVQ(Mem{Base: b, Index: i, Scale: 1, Disp: 8 * n}, mask)
			VMOVDQU64(counts, v)
			VPADDUSB(weight, v, mask, v)
			VMOVDQU64(v, counts)
		}
	})
	VZEROUPPER()
	RET()
}

func textAddBlock(s *set) {
	text(s, "addBlock", "func(c *[65536]uint8, b *[1024]uint64, weight uint8)",
		"adds weight to the counts of the rows of b, to 255 at most.")
}
