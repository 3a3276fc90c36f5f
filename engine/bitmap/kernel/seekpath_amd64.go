package kernel

import (
	"golang.org/x/sys/cpu"

	"throng/internal/hexkey"
)

// seekersHere returns those that this machine can run, the best last.
func seekersHere() []*seekers {
	all := []*seekers{&portableSeekers}
	if !cpu.X86.HasAVX2 || !cpu.X86.HasBMI1 || !cpu.X86.HasBMI2 {
		return all
	}
	all = append(all, &avx2Seekers)
	if !cpu.X86.HasAVX512F || !cpu.X86.HasAVX512BW || !cpu.X86.HasAVX512DQ || !cpu.X86.HasAVX512VL {
		return all
	}
	return append(all, &avx512Seekers)
}

var avx2Seekers = seekers{
	name:      "AVX2",
	hexSought: hexSought,
	places: func(dst []Place, sought []Sought, lines []Line) {
		placesBMI2(&dst[0].Line, &sought[0].Hash, len(sought), &lines[0].Rows[0], uint64(len(lines)))
	},
	look: func(found []uint64, odd []uint32, lines []Line, places []Place, first uint32) (nFound, nOdd int) {
		return lookAVX2(&found[0], &odd[0], &lines[0].Rows[0], &places[0].Line, len(places), uint64(first))
	},
	fetch: func(list *byte, _ int, at []uint32) { fetchEach(list, &at[0], len(at)) },
}

var avx512Seekers = func() seekers {
	s := avx2Seekers
	s.name = "AVX-512"
	s.hexSought = func(dst []Sought, text []byte) {
		const atOnce = 8
		whole := len(dst) &^ (atOnce - 1)
		if whole > 0 {
			hexSoughtAVX512(&dst[0].Hash, &text[0], whole)
		}
		hexSought(dst[whole:], text[hexkey.SumLen*whole:])
	}
	return s
}()
