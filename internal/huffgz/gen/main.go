// Command gen writes the assembly of package huffgz:
//
//	go generate ./internal/huffgz
//
// It is a module of its own so that the assembler's library stays out of the
// product's.
package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The tables of a narrow code, in its order.
const (
	codes = iota
	lengths
	powers
	bytes
)

func main() {
	TEXT("encodeAVX2", NOSPLIT, "func(t *[4][32]byte, out, text *byte, n int, bits, used uint64) (size int, rest, left uint64, ok bool)")
	Pragma("noescape")
	Doc("encodeAVX2 writes the codes of n times 32 bytes, n at least 1, behind the used bits.")
	t, out, text := Load(Param("t"), GP64()), Load(Param("out"), GP64()), Load(Param("text"), GP64())
	n, bits, used := Load(Param("n"), GP64()), Load(Param("bits"), GP64()), Load(Param("used"), GP64())
	start := GP64()
	MOVQ(out, start)
	words := AllocLocal(64) // four codes, and their lengths

	wrong := YMM()
	VPXOR(wrong, wrong, wrong)
	Label("loop")
	x, upper := YMM(), YMM()
	VMOVDQU(Mem{Base: text}, x)
	VPADDB(x, x, upper) // the highest bit now tells the half of the table

	look := func(table int) reg.VecVirtual {
		low, high := YMM(), YMM()
		VBROADCASTI128(Mem{Base: t, Disp: 32 * table}, low)
		VBROADCASTI128(Mem{Base: t, Disp: 32*table + 16}, high)
		VPSHUFB(x, low, low)
		VPSHUFB(x, high, high)
		VPBLENDVB(upper, high, low, low)
		return low
	}
	same := look(bytes)
	VPXOR(x, same, same)
	VPOR(same, wrong, wrong)
	code, length, power := look(codes), look(lengths), look(powers)

	// Pairs of bytes: the second code times two to the length of the first.
	VPSLLW(U8(8), power, power)
	VPOR(constant("one", 0x0001000100010001), power, power)
	VPMADDUBSW(code, power, code)
	VPMADDUBSW(constant("ones", 0x0101010101010101), length, length)
	// Pairs of pairs, and pairs of those: the second is shifted.
	high, by := YMM(), YMM()
	VPSRLD(U8(16), code, high)
	VPAND(constant("low16", 0x0000ffff0000ffff), code, code)
	VPAND(constant("low16", 0x0000ffff0000ffff), length, by)
	VPSLLVD(by, high, high)
	VPOR(high, code, code)
	VPSRLD(U8(16), length, length)
	VPADDD(by, length, length)
	VPSRLQ(U8(32), code, high)
	VPAND(constant("low32", 0x00000000ffffffff), code, code)
	VPAND(constant("low32", 0x00000000ffffffff), length, by)
	VPSLLVQ(by, high, high)
	VPOR(high, code, code)
	VPSRLQ(U8(32), length, length)
	VPADDQ(by, length, length)
	VMOVDQU(code, words)
	VMOVDQU(length, words.Offset(32))

	for i := range 4 {
		w, all := GP64(), GP64()
		SHLXQ(used, words.Offset(8*i), w)
		ORQ(w, bits)
		MOVQ(bits, Mem{Base: out})
		ADDQ(words.Offset(32+8*i), used)
		MOVQ(used, all)
		SHRQ(U8(3), all)
		ADDQ(all, out)
		SHLQ(U8(3), all) // the bits of whole bytes
		SHRXQ(all, bits, bits)
		ANDQ(U8(7), used)
	}
	ADDQ(U8(32), text)
	DECQ(n)
	JNZ(LabelRef("loop"))

	SUBQ(start, out)
	Store(out, ReturnIndex(0))
	Store(bits, ReturnIndex(1))
	Store(used, ReturnIndex(2))
	ok := GP8()
	VPTEST(wrong, wrong)
	SETEQ(ok)
	Store(ok, ReturnIndex(3))
	VZEROUPPER()
	RET()
	Generate()
}

// global has the constants written so far.
var global = map[string]Mem{}

// constant is memory with the word, four times.
func constant(name string, word uint64) Mem {
	if m, ok := global[name]; ok {
		return m
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range 4 {
		DATA(8*i, U64(word))
	}
	global[name] = m
	return m
}
