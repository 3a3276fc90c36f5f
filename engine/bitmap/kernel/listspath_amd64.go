package kernel

import "golang.org/x/sys/cpu"

// listersHere returns those that this machine can run, the best last.
func listersHere() []*listers {
	all := []*listers{&portableListers}
	x := &cpu.X86
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512CD && x.HasAVX512VBMI && x.HasAVX512VBMI2 &&
		x.HasAVX512VPOPCNTDQ && x.HasBMI1 && x.HasBMI2 && x.HasPOPCNT {
		all = append(all, &vbmiListers)
	}
	return all
}

// vbmiListers is for processors since Ice Lake (2019) and Zen 4 (2022), which
// pack words by an instruction.
var vbmiListers = listers{
	name: "VBMI",
	split: func(terms []uint32, rows []uint16, units []byte, head uint32) (int, uint32) {
		// A group is read as 64 bytes, of which it has 48.
		groups := (len(units) - 16) / (pairGroup * unitBytes)
		if groups <= 0 {
			return splitPairs(terms, rows, units, head)
		}
		n, last := splitPairsVBMI(&terms[0], &rows[0], &units[0], groups, head)
		k, last := splitPairs(terms[n:], rows[n:], units[groups*pairGroup*unitBytes:], last)
		return n + k, last
	},
	short: func(dst, src []uint16, ends []uint32, i int, from, to uint32) (int, uint32, uint32) {
		if i == len(ends) {
			return i, from, to
		}
		return shortListsVBMI(&dst[0], &src[0], &ends[0], i, len(ends), from, to)
	},
	distinct: func(dst, src []uint16) (int, bool) {
		if len(src) == 0 {
			return 0, true
		}
		return distinctRowsVBMI(&dst[0], &src[0], len(src))
	},
	sort: func(dst, src []uint16) { sortRowsVBMI(&dst[0], &src[0], len(src)) },
	rows: func(dst []uint16, b *[Words]uint64) int { return listRowsVBMI(&dst[0], b) },
}
