package kernel

import "golang.org/x/sys/cpu"

// printersHere returns those that this machine can run, the best last.
func printersHere() []*printers {
	all := []*printers{&portablePrinters}
	if cpu.X86.HasAVX2 {
		all = append(all, &avx2Printers)
	}
	return all
}

var avx2Printers = printers{
	name: "AVX2",
	hexLines: func(dst, data []byte, values []uint32, digits *[16]byte) {
		hexLinesAVX2(&dst[:HexLine*len(values)][0], &data[0], &values[0], len(values), digits)
	},
	uuidLines: func(dst, data []byte, values []uint32, digits *[16]byte) {
		uuidLinesAVX2(&dst[:UUIDLine*len(values)][0], &data[0], &values[0], len(values), digits)
	},
}
