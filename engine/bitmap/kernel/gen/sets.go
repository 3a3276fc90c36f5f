package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// set is a set of instructions: what differs between the widths of registers.
type set struct {
	name  string // the end of the functions' names
	bytes int    // of a register
	vec   func() reg.VecVirtual
	mov   func(from, to Op)
	// op makes to the result of combining it with from, which is a register
	// or, but for xor, memory. andNot takes the register away from the memory.
	op func(op string, from Op, to reg.VecVirtual)
	// add3 adds three bits: low becomes the sum's lower digit, high its higher.
	// high is none of the others.
	add3 func(low, b, c, high reg.VecVirtual)
	// majority makes a the bits that two or more of the three have.
	majority func(a, b, c reg.VecVirtual)
	// popcount makes v the number of ones in each of its 64-bit words, by the
	// instruction; nil where there is none.
	popcount func(v reg.VecVirtual)
	atLeast  func(*set)
	addBlock func(*set)
}

func avx2() *set {
	return &set{
		name:  "AVX2",
		bytes: 32,
		vec:   YMM,
		mov:   func(from, to Op) { VMOVDQU(from, to) },
		op: func(op string, from Op, to reg.VecVirtual) {
			map[string]func(a, b, c Op){"or": VPOR, "and": VPAND, "xor": VPXOR, "andNot": VPANDN}[op](from, to, to)
		},
		add3: func(low, b, c, high reg.VecVirtual) {
			both := YMM()
			VPAND(low, b, both)
			VPXOR(low, b, low)
			VPAND(low, c, high)
			VPOR(both, high, high)
			VPXOR(low, c, low)
		},
		majority: func(a, b, c reg.VecVirtual) {
			either := YMM()
			VPOR(b, c, either)
			VPAND(a, either, a)
			VPAND(b, c, either)
			VPOR(either, a, a)
		},
		atLeast:  atLeast2,
		addBlock: addBlock2,
	}
}

func avx512() *set {
	return &set{
		name:  "AVX512",
		bytes: 64,
		vec:   ZMM,
		mov:   func(from, to Op) { VMOVDQU64(from, to) },
		op: func(op string, from Op, to reg.VecVirtual) {
			map[string]func(...Op){"or": VPORQ, "and": VPANDQ, "xor": VPXORQ, "andNot": VPANDNQ}[op](from, to, to)
		},
		add3: func(low, b, c, high reg.VecVirtual) {
			VMOVDQA64(low, high)
			VPTERNLOGQ(U8(0xe8), b, c, high) // the majority
			VPTERNLOGQ(U8(0x96), b, c, low)  // the parity
		},
		majority: func(a, b, c reg.VecVirtual) { VPTERNLOGQ(U8(0xe8), b, c, a) },
		atLeast:  atLeast512,
		addBlock: addBlock512,
	}
}

// vpopcnt is AVX-512 that counts bits by an instruction.
func vpopcnt() *set {
	s := avx512()
	s.name = "VPOPCNT"
	s.popcount = func(v reg.VecVirtual) { VPOPCNTQ(v, v) }
	return s
}

// zero makes v 0.
func (s *set) zero(v reg.VecVirtual) { s.op("xor", v, v) }

// retSome returns whether v has any bit.
func (s *set) retSome(v reg.VecVirtual) {
	y := v.AsY()
	if s.bytes == 64 {
		y = YMM()
		VEXTRACTI64X4(U8(1), v, y)
		VPOR(y, v.AsY(), y)
	}
	some := GP8()
	VPTEST(y, y)
	SETNE(some)
	Store(some, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// broadcast loads the parameter, a byte, into every byte of a register.
func broadcast(s *set, param string) reg.VecVirtual {
	r, x, v := GP32(), XMM(), s.vec()
	Load(Param(param), r)
	VMOVD(r, x)
	VPBROADCASTB(x, v)
	return v
}

// global has the constants written so far.
var global = map[string]Mem{}

// data is memory with the words.
func data(name string, words ...uint64) Mem {
	if m, ok := global[name]; ok {
		return m
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i, w := range words {
		DATA(8*i, U64(w))
	}
	global[name] = m
	return m
}

// counter counts the ones in registers. Without an instruction that counts, a
// tree of adders (Harley and Seal) makes eight registers into one that is to
// be counted, by a table of the numbers of ones in four bits.
type counter struct {
	*set
	total             reg.VecVirtual
	ones, twos, fours reg.VecVirtual
	table, low, zeros reg.VecVirtual
}

func newCounter(s *set) *counter {
	c := &counter{set: s, total: s.vec()}
	s.zero(c.total)
	if s.popcount != nil {
		return c
	}
	c.ones, c.twos, c.fours, c.zeros = s.vec(), s.vec(), s.vec(), s.vec()
	for _, v := range []reg.VecVirtual{c.ones, c.twos, c.fours, c.zeros} {
		s.zero(v)
	}
	c.table, c.low = s.vec(), s.vec()
	table := data("ones", 0x0302020102010100, 0x0403030203020201)
	if s.bytes == 64 {
		VBROADCASTI32X4(table, c.table)
	} else {
		VBROADCASTI128(table, c.table)
	}
	VPBROADCASTQ(data("low", 0x0f0f0f0f0f0f0f0f), c.low)
	return c
}

// add counts unroll registers, which word gives one by one.
func (c *counter) add(word func(n int) reg.VecVirtual) {
	if c.popcount != nil {
		for n := range unroll {
			w := word(n)
			c.popcount(w)
			VPADDQ(w, c.total, c.total)
		}
		return
	}
	pair := func(n int) reg.VecVirtual { // two words into ones and twos
		high := c.vec()
		a := word(n)
		c.add3(c.ones, a, word(n+1), high)
		return high
	}
	quad := func(n int) reg.VecVirtual { // four words, into fours
		high := c.vec()
		a := pair(n)
		c.add3(c.twos, a, pair(n+2), high)
		return high
	}
	eights := c.vec()
	a := quad(0)
	c.add3(c.fours, a, quad(4), eights)
	c.addOnes(eights)
}

// addOnes adds the number of ones in v to the total.
func (c *counter) addOnes(v reg.VecVirtual) {
	high := c.vec()
	VPSRLQ(U8(4), v, high)
	c.op("and", c.low, high)
	c.op("and", c.low, v)
	VPSHUFB(v, c.table, v)
	VPSHUFB(high, c.table, high)
	VPADDB(high, v, v)
	VPSADBW(c.zeros, v, v) // the sum of eight bytes in each word
	VPADDQ(v, c.total, c.total)
}

// ret stores the count as the result.
func (c *counter) ret() {
	if c.popcount == nil {
		for _, v := range []reg.VecVirtual{c.fours, c.twos, c.ones} {
			VPADDQ(c.total, c.total, c.total)
			c.addOnes(v)
		}
	}
	y := c.total
	if c.bytes == 64 {
		y = YMM()
		VEXTRACTI64X4(U8(1), c.total, y)
		VPADDQ(c.total.AsY(), y, y)
	}
	x := XMM()
	VEXTRACTI128(U8(1), y.AsY(), x)
	VPADDQ(y.AsX(), x, x)
	high := XMM()
	VPSHUFD(U8(0xee), x, high)
	VPADDQ(high, x, x)
	n := GP64()
	VMOVQ(x, n)
	Store(n, ReturnIndex(0))
}
