package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Rows of an array are taken one by one: several may fall into one word, so
// no vector holds them. What is gained over the compiler's code is that shifts
// by BMI2 need no copy of what they shift, and that addresses are made before
// they are used: stores to plain addresses have a port of their own, those
// with an index compete with the loads.

// arrays writes the loops over arrays.
func arrays() {
	prefetch()
	eachRow("orArray", "func(dst *[1024]uint64, rows []uint16)", "adds rows to dst.", "dst",
		func(dst, six, row reg.Register) { inWord(dst, six, row, func(w reg.Register) { BTSQ(row, w) }) })
	eachRow("andNotArray", "func(dst *[1024]uint64, rows []uint16)", "removes rows from dst.", "dst",
		func(dst, six, row reg.Register) { inWord(dst, six, row, func(w reg.Register) { BTRQ(row, w) }) })
	eachRow("addArray", "func(c *[65536]uint8, rows []uint16)", "counts rows once more. No count may be 255 already.", "c",
		func(c, _, row reg.Register) {
			at := GP64()
			LEAQ(Mem{Base: c, Index: row, Scale: 1}, at)
			INCB(Mem{Base: at})
		})
}

// prefetch writes what asks for lines of memory.
func prefetch() {
	TEXT("prefetch", NOSPLIT, "func(p *uint16, lines int)")
	Pragma("noescape")
	Doc("prefetch asks for so many lines of 64 bytes from p on, one at least.")
	p, lines := Load(Param("p"), GP64()), Load(Param("lines"), GP64())
	Label("loop")
	PREFETCHT0(Mem{Base: p})
	ADDQ(U32(64), p)
	DECQ(lines)
	JNE(LabelRef("loop"))
	RET()
}

// inWord changes the word of dst that has the row's bit.
func inWord(dst, six, row reg.Register, change func(w reg.Register)) {
	i, at, w := GP64(), GP64(), GP64()
	SHRXQ(six, row, i)
	LEAQ(Mem{Base: dst, Index: i, Scale: 8}, at)
	MOVQ(Mem{Base: at}, w)
	change(w)
	MOVQ(w, Mem{Base: at})
}

// eachRow writes a function that does something for each of rows. six is a
// register that holds 6.
func eachRow(name, signature, doc, to string, do func(to, six, row reg.Register)) {
	const turn = 8 // rows at once
	TEXT(name+"BMI2", NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + "BMI2 " + doc)
	base := Load(Param(to), GP64())
	rows, n := Load(Param("rows").Base(), GP64()), Load(Param("rows").Len(), GP64())
	six := GP64()
	MOVQ(U32(6), six)
	take := func(i int) {
		row := GP64()
		MOVWQZX(Mem{Base: rows, Disp: 2 * i}, row)
		do(base, six, row)
	}
	Label("many")
	CMPQ(n, U32(turn))
	JLT(LabelRef("few"))
	for i := range turn {
		take(i)
	}
	ADDQ(U32(2*turn), rows)
	SUBQ(U32(turn), n)
	JMP(LabelRef("many"))
	Label("few")
	TESTQ(n, n)
	JE(LabelRef("end"))
	take(0)
	ADDQ(U32(2), rows)
	DECQ(n)
	JMP(LabelRef("few"))
	Label("end")
	RET()
}
