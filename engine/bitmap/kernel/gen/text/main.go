// Command text writes the assembly that prints values of 16 bytes as lines of
// text; see print.go of package kernel.
package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	hexLines()
	uuidLines()
	Generate()
}

// ahead is how many values before it is printed a value is asked for.
const ahead = 24

const newline = 10

// lines writes a function that prints n values, each by body, which has the
// value's digits in order in a register and stores the line at dst; length is
// that of a line.
func lines(name, doc string, length int, begin func(), body func(dst reg.Register, digits reg.VecVirtual)) {
	TEXT(name, NOSPLIT, "func(dst, data *byte, values *uint32, n int, digits *[16]byte)")
	Pragma("noescape")
	Doc(name + " " + doc)
	dst, data := Load(Param("dst"), GP64()), Load(Param("data"), GP64())
	values, n := Load(Param("values"), GP64()), Load(Param("n"), GP64())
	table := YMM()
	VBROADCASTI128(Mem{Base: Load(Param("digits"), GP64())}, table)
	low := YMM()
	VPBROADCASTQ(words("low", 0x0f0f0f0f0f0f0f0f), low)
	begin()

	// What lies ahead goes up to the last value, not beyond the list.
	last := GP64()
	LEAQ(Mem{Base: values, Index: n, Scale: 4, Disp: -4}, last)
	Label("loop")
	next, v := GP64(), GP64()
	LEAQ(Mem{Base: values, Disp: 4 * ahead}, next)
	CMPQ(next, last)
	CMOVQHI(last, next)
	MOVL(Mem{Base: next}, v.As32())
	SHLQ(U8(4), v)
	PREFETCHT0(Mem{Base: data, Index: v, Scale: 1})

	MOVL(Mem{Base: values}, v.As32())
	SHLQ(U8(4), v)
	// Each byte becomes a word of its digits, the higher one first.
	digits, high := YMM(), YMM()
	VPMOVZXBW(Mem{Base: data, Index: v, Scale: 1}, digits)
	VPSRLW(U8(4), digits, high)
	VPSLLW(U8(8), digits, digits)
	VPOR(high, digits, digits)
	VPAND(low, digits, digits)
	VPSHUFB(digits, table, digits)
	body(dst, digits)
	ADDQ(U8(length), dst)
	ADDQ(U8(4), values)
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func hexLines() {
	lines("hexLinesAVX2", "prints n values, at least one, as 32 digits and a line end each.", 33, func() {},
		func(dst reg.Register, digits reg.VecVirtual) {
			VMOVDQU(digits, Mem{Base: dst})
			MOVB(U8(newline), Mem{Base: dst, Disp: 32})
		})
}

// uuidLines leaves out of the two halves of the digits, 0 to 15 and 16 to 31,
// what lies behind two dashes each; that follows by itself:
//
//	01234567-89ab-cd | ef | -ghij-klmnopqrst | uv | end of line
func uuidLines() {
	var order, dash reg.VecVirtual
	lines("uuidLinesAVX2", "prints n values, at least one, as UUIDs with a line end each.", 37, func() {
		const none = 0x80
		order, dash = YMM(), YMM()
		VMOVDQU(words("order",
			word(0, 1, 2, 3, 4, 5, 6, 7), word(none, 8, 9, 10, 11, none, 12, 13),
			word(none, 0, 1, 2, 3, none, 4, 5), word(6, 7, 8, 9, 10, 11, 12, 13)), order)
		VMOVDQU(words("dash",
			0, word('-', 0, 0, 0, 0, '-', 0, 0),
			word('-', 0, 0, 0, 0, '-', 0, 0), 0), dash)
	}, func(dst reg.Register, digits reg.VecVirtual) {
		dashed, upper := YMM(), XMM()
		VPSHUFB(order, digits, dashed)
		VPOR(dash, dashed, dashed)
		VMOVDQU(dashed.AsX(), Mem{Base: dst})
		VPEXTRW(U8(7), digits.AsX(), Mem{Base: dst, Disp: 16})
		VEXTRACTI128(U8(1), dashed, Mem{Base: dst, Disp: 18})
		VEXTRACTI128(U8(1), digits, upper)
		VPEXTRW(U8(7), upper, Mem{Base: dst, Disp: 34})
		MOVB(U8(newline), Mem{Base: dst, Disp: 36})
	})
}

// word is eight bytes, the first the lowest.
func word(b ...uint64) (w uint64) {
	for i, x := range b {
		w |= x << (8 * i)
	}
	return w
}

// global has the constants written so far.
var global = map[string]Mem{}

// words is memory with the words.
func words(name string, w ...uint64) Mem {
	if m, ok := global[name]; ok {
		return m
	}
	m := GLOBL("text_"+name, attr.RODATA|attr.NOPTR)
	for i, x := range w {
		DATA(8*i, U64(x))
	}
	global[name] = m
	return m
}
