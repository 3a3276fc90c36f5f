package kernel

import "golang.org/x/sys/cpu"

// implementations returns those that this machine can run, the best last.
func implementations() []*kernels {
	all := []*kernels{&portable}
	// These say, too, that the operating system saves the registers.
	if !cpu.X86.HasAVX2 || !cpu.X86.HasBMI2 {
		return all
	}
	all = append(all, &avx2)
	if !cpu.X86.HasAVX512F || !cpu.X86.HasAVX512BW || !cpu.X86.HasAVX512VL {
		return all
	}
	all = append(all, &avx512)
	if !cpu.X86.HasAVX512VPOPCNTDQ {
		return all
	}
	return append(all, &vpopcnt)
}

// avx2 is for processors since Haswell (2013) and Excavator (2015).
var avx2 = kernels{
	name:   "AVX2",
	or:     orAVX2,
	and:    andAVX2,
	andNot: andNotAVX2,
	count:  countAVX2,

	orCount:     orCountAVX2,
	andCount:    andCountAVX2,
	andNotCount: andNotCountAVX2,

	add7: add7AVX2,
	add1: add1AVX2,

	sum7:     sum7AVX2,
	atLeast7: atLeast7AVX2,

	addBlock:           addBlockAVX2,
	addBlockSaturating: addBlockAVX2,
	atLeast:            atLeastAVX2,
	atLeastLow:         atLeastAVX2,

	orArray:     orArrayBMI2,
	andNotArray: andNotArrayBMI2,
	addArray:    addArrayBMI2,
}

// avx512 is for Skylake's servers (2017), which count bits by adders.
var avx512 = kernels{
	name:   "AVX-512",
	or:     orAVX512,
	and:    andAVX512,
	andNot: andNotAVX512,
	count:  countAVX512,

	orCount:     orCountAVX512,
	andCount:    andCountAVX512,
	andNotCount: andNotCountAVX512,

	add7: add7AVX512,
	add1: add1AVX512,

	sum7:     sum7AVX512,
	atLeast7: atLeast7AVX512,

	addBlock:           addBlockAVX512,
	addBlockSaturating: addBlockAVX512,
	atLeast:            atLeastAVX512,
	atLeastLow:         atLeastAVX512,

	orArray:     orArrayBMI2,
	andNotArray: andNotArrayBMI2,
	addArray:    addArrayBMI2,
}

// vpopcnt is for processors since Ice Lake (2019) and Zen 4 (2022), which
// count the bits of 64-bit words by an instruction.
var vpopcnt = func() kernels {
	k := avx512
	k.name = "VPOPCNTDQ"
	k.count, k.orCount, k.andCount, k.andNotCount = countVPOPCNT, orCountVPOPCNT, andCountVPOPCNT, andNotCountVPOPCNT
	return k
}()
