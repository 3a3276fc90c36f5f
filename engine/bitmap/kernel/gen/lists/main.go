// Command lists writes the assembly that takes pairs apart and puts lists of
// rows in order; see lists.go and pairs.go of package kernel.
package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	splitPairs()
	shortLists()
	distinctRows()
	sortRows()
	listRows()
	Generate()
}

// The comparisons of VPCMPUW.
const (
	less    = 1
	unequal = 4
	greater = 6
)

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

// numbers is memory with a number of so many bytes for each i below n.
func numbers(name string, n, bytes int, of func(i int) int) Mem {
	words := make([]uint64, n*bytes/8)
	for i := range n {
		words[i*bytes/8] |= uint64(of(i)) & (1<<(8*bytes) - 1) << (i * bytes % 8 * 8)
	}
	return data(name, words...)
}

// load is a register with the constant.
func load(m Mem) reg.VecVirtual {
	v := ZMM()
	VMOVDQU64(m, v)
	return v
}

// ones is a register of ones.
func ones() reg.VecVirtual {
	v := ZMM()
	VPTERNLOGD(U8(0xff), v, v, v)
	return v
}

// compressWords moves the words that k has to the front. The assembler's
// library does not know the instruction.
func compressWords(v reg.Register, k, to reg.Register) {
	Instruction(&ir.Instruction{
		Opcode:   "VPCOMPRESSW.Z",
		Operands: []Op{v, k, to},
		Inputs:   []Op{v, k},
		Outputs:  []Op{to},
	})
}

// firstWords makes k the first n words of a register, all where n is more.
func firstWords(all, n reg.GPVirtual, mask reg.GPVirtual) {
	BZHIL(n.As32(), all.As32(), mask.As32())
}

// splitPairs takes 16 units at a time. Which head a lane stands under is how
// many heads there are up to it; they are packed behind the one before.
func splitPairs() {
	TEXT("splitPairsVBMI", NOSPLIT, "func(terms *uint32, rows *uint16, units *byte, groups int, head uint32) (n int, last uint32)")
	Pragma("noescape")
	Doc("splitPairsVBMI takes groups of 16 units apart, at least one.")
	terms, rows := Load(Param("terms"), GP64()), Load(Param("rows"), GP64())
	units, groups := Load(Param("units"), GP64()), Load(Param("groups"), GP64())
	spread := load(numbers("spread", 64, 1, func(i int) int { return i/4*3 + i%4 }))
	upTo := load(numbers("upTo", 16, 4, func(i int) int { return 2<<i - 1 }))
	bit, high, under := ZMM(), ZMM(), ZMM()
	h := GP32()
	MOVL(U32(1<<23), h)
	VPBROADCASTD(h, bit)
	MOVL(U32(0x7f<<23), h)
	VPBROADCASTD(h, high)
	Load(Param("head"), h)
	VPBROADCASTD(h, under)
	three, k64 := K(), GP64()
	MOVQ(U64(0x7777777777777777), k64)
	KMOVQ(k64, three)
	total := GP64()
	XORQ(total, total)
	Label("group")
	v := ZMM()
	VMOVDQU64(Mem{Base: units}, v)
	VPERMB_Z(v, spread, three, v)
	heads, others := K(), K()
	VPTESTMD(bit, v, heads)
	rank, packed := ZMM(), ZMM()
	VPBROADCASTMW2D(heads, rank)
	VPANDD(upTo, rank, rank)
	VPOPCNTD(rank, rank)
	VPCOMPRESSD_Z(v, heads, packed)
	VALIGND(U8(15), under, packed, packed)
	VPERMD(packed, rank, under)
	t, r := ZMM(), ZMM()
	VPSLLD(U8(7), under, t)
	VPTERNLOGD(U8(0xea), v, high, t)
	KNOTW(heads, others)
	VPCOMPRESSD_Z(t, others, t)
	VPCOMPRESSD_Z(under, others, r)
	VMOVDQU64(t, Mem{Base: terms})
	VPMOVDW(r, r.AsY())
	VMOVDQU(r.AsY(), Mem{Base: rows})
	n := GP64()
	KMOVW(others, n.As32())
	POPCNTL(n.As32(), n.As32())
	LEAQ(Mem{Base: terms, Index: n, Scale: 4}, terms)
	LEAQ(Mem{Base: rows, Index: n, Scale: 2}, rows)
	ADDQ(n, total)
	ADDQ(U32(48), units)
	DECQ(groups)
	JNE(LabelRef("group"))
	Store(total, Return("n"))
	VEXTRACTI64X4(U8(1), under, under.AsY())
	VEXTRACTI128(U8(1), under.AsY(), under.AsX())
	last := GP32()
	VPEXTRD(U8(3), under.AsX(), last)
	Store(last, Return("last"))
	VZEROUPPER()
	RET()
}

// network sorts the words of registers, by comparing each with its partner:
// first with that in the mirror of ever larger groups, then at ever smaller
// distances.
type network struct {
	mirror4, mirror8   reg.VecVirtual  // of bytes
	mirror16, mirror32 reg.VecVirtual  // of words
	upper              [5]reg.Register // words whose number has bit i
}

func newNetwork(most int) *network {
	n := &network{}
	mirror := func(group int) func(i int) int {
		return func(i int) int { return (i ^ (2*group - 2)) & 15 }
	}
	n.mirror4 = load(numbers("mirror4", 64, 1, mirror(4)))
	n.mirror8 = load(numbers("mirror8", 64, 1, mirror(8)))
	n.mirror16 = load(numbers("mirror16", 32, 2, func(i int) int { return i ^ 15 }))
	if most > 16 {
		n.mirror32 = load(numbers("mirror32", 32, 2, func(i int) int { return i ^ 31 }))
	}
	m := GP32()
	for i, words := range [...]uint32{0xaaaaaaaa, 0xcccccccc, 0xf0f0f0f0, 0xff00ff00, 0xffff0000} {
		if 1<<i < most {
			n.upper[i] = K()
			MOVL(U32(words), m)
			KMOVD(m, n.upper[i])
		}
	}
	return n
}

// vec is v as wide as words, 16 or 32, ask for.
func vec(v reg.VecVirtual, words int) reg.Register {
	if words == 16 {
		return v.AsY()
	}
	return v.AsZ()
}

// order makes each word and its partner p the lesser and the greater one, the
// greater in the words of upper.
func (n *network) order(v, p reg.VecVirtual, upper, words int) {
	least := ZMM()
	VPMINUW(vec(v, words), vec(p, words), vec(least, words))
	VPMAXUW(vec(v, words), vec(p, words), n.upper[upper], vec(least, words))
	if words == 16 {
		VMOVDQA(least.AsY(), v.AsY())
	} else {
		VMOVDQA64(least, v)
	}
}

// clean sorts words that ascend and then descend, or the other way round.
func (n *network) clean(v reg.VecVirtual, from, words int) {
	for bit := from; bit >= 0; bit-- {
		p := ZMM()
		to, of := vec(p, words), vec(v, words)
		switch bit {
		case 0:
			VPROLD(U8(16), of, to)
		case 1:
			VPSHUFD(U8(0xb1), of, to)
		case 2:
			VPSHUFD(U8(0x4e), of, to)
		case 3:
			if words == 16 {
				VPERMQ(U8(0x4e), of, to)
			} else {
				VSHUFI64X2(U8(0xb1), of, of, to)
			}
		case 4:
			VSHUFI64X2(U8(0x4e), of, of, to)
		}
		n.order(v, p, bit, words)
	}
}

// sort sorts the words of a register.
func (n *network) sort(v reg.VecVirtual, words int) {
	for bit := 0; 1<<bit < words; bit++ {
		p := ZMM()
		to, of := vec(p, words), vec(v, words)
		switch bit {
		case 0:
			VPROLD(U8(16), of, to)
		case 1:
			VPSHUFB(vec(n.mirror4, words), of, to)
		case 2:
			VPSHUFB(vec(n.mirror8, words), of, to)
		case 3:
			VPERMW(of, vec(n.mirror16, words), to)
		case 4:
			VPERMW(of, n.mirror32, to)
		}
		n.order(v, p, bit, words)
		n.clean(v, bit-1, words)
	}
}

// merge sorts two sorted halves of registers.
func (n *network) merge(v []reg.VecVirtual) {
	half := len(v) / 2
	for i := range half { // the second half comes in the mirror
		VPERMW(v[half+i], n.mirror32, v[half+i])
	}
	for i := range half / 2 {
		v[half+i], v[len(v)-1-i] = v[len(v)-1-i], v[half+i]
	}
	for distance := half; distance > 0; distance /= 2 {
		for i := range v {
			if i&distance == 0 {
				least := ZMM()
				VPMINUW(v[i], v[i+distance], least)
				VPMAXUW(v[i], v[i+distance], v[i+distance])
				v[i] = least
			}
		}
	}
	for i := range v {
		n.clean(v[i], 4, 32)
	}
}

// before is a register in which each word's number is that of the one before.
func before() reg.VecVirtual {
	return load(numbers("before", 32, 2, func(i int) int { return max(i-1, 0) }))
}

func shortLists() {
	TEXT("shortListsVBMI", NOSPLIT, "func(dst, src *uint16, ends *uint32, i, n int, from, to uint32) (next int, f, t uint32)")
	Pragma("noescape")
	Doc("shortListsVBMI puts lists i to n in order and stops at one of more than 32 rows.")
	dst, src, ends := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("ends"), GP64())
	i, n := Load(Param("i"), GP64()), Load(Param("n"), GP64())
	from, to := GP64(), GP64()
	Load(Param("from"), from.As32())
	Load(Param("to"), to.As32())
	net := newNetwork(32)
	prev := before()
	all := GP64()
	MOVL(U32(0xffffffff), all.As32())
	k, above := K(), K()

	Label("list")
	CMPQ(i, n)
	JGE(LabelRef("end"))
	end, rows, mask := GP64(), GP64(), GP64()
	MOVL(Mem{Base: ends, Index: i, Scale: 4}, end.As32())
	MOVL(end.As32(), rows.As32())
	SUBL(from.As32(), rows.As32())
	CMPL(rows.As32(), U8(32))
	JHI(LabelRef("end"))
	v, p := ZMM(), ZMM()
	VMOVDQU64(Mem{Base: src, Index: from, Scale: 2}, v)
	firstWords(all, rows, mask)
	VPERMW(v, prev, p)
	VPCMPUW(U8(greater), p, v, above)
	up := GP64()
	KMOVD(above, up.As32())
	ORL(U8(1), up.As32())
	ANDNL(mask.As32(), up.As32(), up.As32())
	JNE(LabelRef("disorder"))
	VMOVDQU64(v, Mem{Base: dst, Index: to, Scale: 2})
	ADDL(rows.As32(), to.As32())
	Label("next")
	MOVL(to.As32(), Mem{Base: ends, Index: i, Scale: 4})
	MOVL(end.As32(), from.As32())
	INCQ(i)
	JMP(LabelRef("list"))

	Label("disorder") // what is behind the list goes behind it
	KMOVD(mask.As32(), k)
	most := ones()
	VPBLENDMW(v, most, k, v)
	CMPL(rows.As32(), U8(16))
	JHI(LabelRef("wide"))
	net.sort(v, 16)
	JMP(LabelRef("sorted"))
	Label("wide")
	net.sort(v, 32)
	Label("sorted")
	VPERMW(v, prev, p)
	VPCMPUW(U8(unequal), p, v, above)
	KMOVD(above, up.As32())
	ORL(U8(1), up.As32())
	ANDL(mask.As32(), up.As32())
	KMOVD(up.As32(), above)
	compressWords(v, above, v)
	VMOVDQU64(v, Mem{Base: dst, Index: to, Scale: 2})
	POPCNTL(up.As32(), up.As32())
	ADDL(up.As32(), to.As32())
	JMP(LabelRef("next"))

	Label("end")
	Store(i, Return("next"))
	Store(from.As32(), Return("f"))
	Store(to.As32(), Return("t"))
	VZEROUPPER()
	RET()
}

func distinctRows() {
	TEXT("distinctRowsVBMI", NOSPLIT, "func(dst, src *uint16, n int) (m int, ascends bool)")
	Pragma("noescape")
	Doc("distinctRowsVBMI copies n rows, at least one, without those that come again.")
	dst, src, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
	start := GP64()
	MOVQ(dst, start)
	all, mask := GP64(), GP64()
	MOVL(U32(0xffffffff), all.As32())
	k, k2 := K(), K()
	differ, falls := GP64(), GP64()
	v, p := ZMM(), ZMM()
	take := func(first bool) {
		VPCMPUW(U8(unequal), p, v, k)
		VPCMPUW(U8(less), p, v, k2)
		KMOVD(k, differ.As32())
		KMOVD(k2, falls.As32())
		if first {
			ORL(U8(1), differ.As32())
		}
		ANDL(mask.As32(), differ.As32())
		TESTL(mask.As32(), falls.As32())
		JNE(LabelRef("falls"))
		KMOVD(differ.As32(), k)
		compressWords(v, k, v)
		VMOVDQU64(v, Mem{Base: dst})
		POPCNTL(differ.As32(), differ.As32())
		LEAQ(Mem{Base: dst, Index: differ, Scale: 2}, dst)
		ADDQ(U8(64), src)
		SUBQ(U8(32), n)
	}
	few := func() {
		bound := GP64()
		MOVQ(U32(32), bound)
		CMPQ(n, bound)
		CMOVQLT(n, bound)
		firstWords(all, bound, mask)
	}
	few()
	VMOVDQU64(Mem{Base: src}, v)
	VPERMW(v, before(), p)
	take(true)
	Label("rest")
	CMPQ(n, U8(0))
	JLE(LabelRef("end"))
	few()
	VMOVDQU64(Mem{Base: src}, v)
	VMOVDQU64(Mem{Base: src, Disp: -2}, p)
	take(false)
	JMP(LabelRef("rest"))
	Label("end")
	SUBQ(start, dst)
	SHRQ(U8(1), dst)
	Store(dst, Return("m"))
	ok := GP8()
	MOVB(U8(1), ok)
	Store(ok, Return("ascends"))
	VZEROUPPER()
	RET()
	Label("falls")
	zero := GP64()
	XORL(zero.As32(), zero.As32())
	Store(zero, Return("m"))
	Store(zero.As8(), Return("ascends"))
	VZEROUPPER()
	RET()
}

func sortRows() {
	TEXT("sortRowsVBMI", NOSPLIT, "func(dst, src *uint16, n int)")
	Pragma("noescape")
	Doc("sortRowsVBMI sorts n rows, up to 256, into 64, 128 or 256, of which those after them are 65535.")
	dst, src, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
	net := newNetwork(32)
	all := GP64()
	MOVL(U32(0xffffffff), all.As32())
	for _, path := range []struct {
		name      string
		registers int
	}{{"", 2}, {"four", 4}, {"eight", 8}} {
		if path.name != "" {
			Label(path.name)
		}
		if path.registers < 8 {
			CMPQ(n, U32(32*path.registers))
			JHI(LabelRef(map[int]string{2: "four", 4: "eight"}[path.registers]))
		}
		var v []reg.VecVirtual
		for i := range path.registers {
			left, zero, bound := GP64(), GP64(), GP64()
			MOVQ(n, left)
			XORL(zero.As32(), zero.As32())
			SUBQ(U32(32*i), left)
			CMOVQLT(zero, left)
			MOVQ(U32(32), bound)
			CMPQ(left, bound)
			CMOVQGT(bound, left)
			firstWords(all, left, left)
			k := K()
			KMOVD(left.As32(), k)
			r := ones()
			VMOVDQU16(Mem{Base: src, Disp: 64 * i}, k, r)
			v = append(v, r)
		}
		for _, r := range v {
			net.sort(r, 32)
		}
		for size := 2; size <= len(v); size *= 2 {
			for i := 0; i < len(v); i += size {
				net.merge(v[i : i+size])
			}
		}
		for i, r := range v {
			VMOVDQU64(r, Mem{Base: dst, Disp: 64 * i})
		}
		VZEROUPPER()
		RET()
	}
}

func listRows() {
	TEXT("listRowsVBMI", NOSPLIT, "func(dst *uint16, b *[1024]uint64) int")
	Pragma("noescape")
	Doc("listRowsVBMI lists the rows of b.")
	dst, b := Load(Param("dst"), GP64()), Load(Param("b"), GP64())
	start, left := GP64(), GP64()
	MOVQ(dst, start)
	MOVQ(U32(2048), left)
	row := load(numbers("rowNumbers", 32, 2, func(i int) int { return i }))
	step, h := ZMM(), GP32()
	MOVL(U32(32), h)
	VPBROADCASTW(h, step)
	k := K()
	Label("loop")
	w := GP64()
	MOVL(Mem{Base: b}, w.As32())
	KMOVD(w.As32(), k)
	v := ZMM()
	compressWords(row, k, v)
	VMOVDQU64(v, Mem{Base: dst})
	POPCNTL(w.As32(), w.As32())
	LEAQ(Mem{Base: dst, Index: w, Scale: 2}, dst)
	VPADDW(step, row, row)
	ADDQ(U8(4), b)
	DECQ(left)
	JNE(LabelRef("loop"))
	SUBQ(start, dst)
	SHRQ(U8(1), dst)
	Store(dst, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
