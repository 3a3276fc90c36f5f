// Command seek writes the assembly that makes keys of digits and looks for them
// in lines of a lookup; see seek.go of package kernel.
package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	hexSought()
	placesOf()
	lookThrough()
	fetch()
	Generate()
}

// atOnce is how many keys hexSought makes at once: one a 64-bit word.
const atOnce = 8

// hexSought makes eight keys at once: their digits are four registers, then the
// bytes two, then the halves one each.
func hexSought() {
	TEXT("hexSoughtAVX512", NOSPLIT, "func(dst *uint64, text *byte, n int)")
	Pragma("noescape")
	Doc("hexSoughtAVX512 makes n keys, a multiple of eight and at least as many, of 32 digits each.")
	dst, text, n := Load(Param("dst"), GP64()), Load(Param("text"), GP64()), Load(Param("n"), GP64())
	low, letter, nine := each8(0x0f), each8(0x40), each8(9)
	tens, factor := ZMM(), ZMM()
	VPBROADCASTW(words("tens", 0x0110011001100110), tens) // 16 and 1
	VPBROADCASTQ(words("factor", 0xd6e8feb86659fd93), factor)
	swap := ZMM()
	VBROADCASTI32X4(words("swap", 0x0001020304050607, 0x08090a0b0c0d0e0f), swap)

	Label("loop")
	var four [2]reg.VecVirtual // keys in order, four each
	for i := range four {
		var two [2]reg.VecVirtual
		for j := range two {
			v, letters := ZMM(), K()
			VMOVDQU64(Mem{Base: text, Disp: 128*i + 64*j}, v)
			VPTESTMB(letter, v, letters)
			VPANDQ(low, v, v)
			VPADDB(nine, v, letters, v)
			VPMADDUBSW(tens, v, v)
			VPMOVWB(v, v.AsY())
			two[j] = v
		}
		VINSERTI64X4(U8(1), two[1].AsY(), two[0], two[0])
		VPSHUFB(swap, two[0], two[0])
		four[i] = two[0]
	}
	hash, rest := ZMM(), ZMM()
	VPUNPCKHQDQ(four[1], four[0], rest)
	VPUNPCKLQDQ(four[1], four[0], hash)
	m := ZMM()
	VMOVDQA64(rest, m)
	mix(m, factor)
	VPXORQ(m, hash, hash)
	mix(hash, factor)
	out := ZMM()
	VPUNPCKLQDQ(rest, hash, out)
	VMOVDQU64(out, Mem{Base: dst})
	VPUNPCKHQDQ(rest, hash, out)
	VMOVDQU64(out, Mem{Base: dst, Disp: 64})
	ADDQ(U32(32*atOnce), text)
	ADDQ(U32(16*atOnce), dst)
	SUBQ(U8(atOnce), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// mix is what makes a hash of a half.
func mix(x, factor reg.VecVirtual) {
	high := ZMM()
	for range 2 {
		VPSRLQ(U8(32), x, high)
		VPXORQ(high, x, x)
		VPMULLQ(factor, x, x)
	}
	VPSRLQ(U8(32), x, high)
	VPXORQ(high, x, x)
}

// placesOf multiplies, and asks for the lines.
func placesOf() {
	TEXT("placesBMI2", NOSPLIT, "func(dst *uint32, sought *uint64, n int, lines *uint32, count uint64)")
	Pragma("noescape")
	Doc("placesBMI2 tells where n keys, at least one, are looked for, and asks for the memory.")
	dst, sought, n := Load(Param("dst"), GP64()), Load(Param("sought"), GP64()), Load(Param("n"), GP64())
	lines := Load(Param("lines"), GP64())
	Load(Param("count"), reg.RDX)
	Label("loop")
	behind, line, at := GP64(), GP64(), GP64()
	MULXQ(Mem{Base: sought}, behind, line)
	MOVQ(line, at)
	SHLQ(U8(6), at)
	// To the second cache: it waits for more lines at once than the first one.
	PREFETCHT1(Mem{Base: lines, Index: at, Scale: 1})
	MOVL(line.As32(), Mem{Base: dst})
	SHRQ(U8(32), behind)
	MOVL(behind.As32(), Mem{Base: dst, Disp: 4})
	ADDQ(U8(16), sought)
	ADDQ(U8(8), dst)
	DECQ(n)
	JNZ(LabelRef("loop"))
	RET()
}

// lookThrough compares twelve tags at once. What it finds, and what it leaves
// to others, it notes without a branch: whether there is something cannot be
// guessed.
func lookThrough() {
	TEXT("lookAVX2", NOSPLIT, "func(found *uint64, odd *uint32, lines, places *uint32, n int, first uint64) (nFound, nOdd int)")
	Pragma("noescape")
	Doc("lookAVX2 looks for n keys, at least one, numbered from first on, at their places.")
	found, odd, lines := Load(Param("found"), GP64()), Load(Param("odd"), GP64()), Load(Param("lines"), GP64())
	places, n, number := Load(Param("places"), GP64()), Load(Param("n"), GP64()), Load(Param("first"), GP64())
	foundAt, oddAt, i := GP64(), GP64(), GP64()
	XORQ(foundAt, foundAt)
	XORQ(oddAt, oddAt)
	XORQ(i, i)
	Label("loop")
	line := GP64()
	MOVL(Mem{Base: places, Index: i, Scale: 8}, line.As32())
	SHLQ(U8(6), line)
	ADDQ(lines, line)
	tag, same := XMM(), GP64()
	VPBROADCASTB(Mem{Base: places, Index: i, Scale: 8, Disp: 7}, tag)
	VPCMPEQB(Mem{Base: line, Disp: 48}, tag, tag)
	VPMOVMSKB(tag, same.As32())
	// Those behind the last are none.
	slots, many := GP64(), GP64()
	MOVL(Mem{Base: line, Disp: 60}, slots.As32())
	XORQ(many, many)
	CMPL(slots.As32(), U8(13))
	SETCC(many.As8())
	BZHIL(slots.As32(), same.As32(), same.As32())
	// Two or more are odd, and so is a line that is too full.
	less, two, one := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: same, Disp: -1}, less)
	XORQ(two, two)
	XORQ(one, one)
	TESTQ(same, less)
	SETNE(two.As8())
	// Where there is none, any slot is as good as any other.
	row := GP64()
	TESTQ(same, same)
	SETNE(one.As8())
	TZCNTQ(same, row)
	ANDQ(U8(15), row)
	MOVL(Mem{Base: line, Index: row, Scale: 4}, row.As32())
	SHLQ(U8(32), row)
	ORQ(number, row)
	ORQ(two, many)
	MOVQ(row, Mem{Base: found, Index: foundAt, Scale: 8})
	MOVL(i.As32(), Mem{Base: odd, Index: oddAt, Scale: 4})
	ADDQ(many, oddAt)
	ANDNQ(one, many, one)
	ADDQ(one, foundAt)
	INCQ(number)
	INCQ(i)
	CMPQ(i, n)
	JNE(LabelRef("loop"))
	Store(foundAt, ReturnIndex(0))
	Store(oddAt, ReturnIndex(1))
	RET()
}

// fetch asks for memory, as placesOf does.
func fetch() {
	TEXT("fetchEach", NOSPLIT, "func(list *byte, at *uint32, n int)")
	Pragma("noescape")
	Doc("fetchEach asks for n things of 16 bytes, at least one.")
	list, at, n := Load(Param("list"), GP64()), Load(Param("at"), GP64()), Load(Param("n"), GP64())
	Label("loop")
	i := GP64()
	MOVL(Mem{Base: at}, i.As32())
	SHLQ(U8(4), i)
	PREFETCHT1(Mem{Base: list, Index: i, Scale: 1})
	ADDQ(U8(4), at)
	DECQ(n)
	JNZ(LabelRef("loop"))
	RET()
}

// each8 is a register with the byte everywhere.
func each8(b uint64) reg.VecVirtual {
	v := ZMM()
	VPBROADCASTQ(words("bytes", b*0x0101010101010101), v)
	return v
}

// words is memory with the words, under a name of its own.
func words(name string, w ...uint64) Mem {
	named++
	m := GLOBL("seek_"+name+string(rune('a'+named-1)), attr.RODATA|attr.NOPTR)
	for i, x := range w {
		DATA(8*i, U64(x))
	}
	return m
}

// named counts the names.
var named int
