package huffgz

import "golang.org/x/sys/cpu"

// hasVector tells whether narrow codes are written by vector instructions. Only
// tests write to it.
var hasVector = cpu.X86.HasAVX2 && cpu.X86.HasBMI2

// encodeNarrow encodes 32 bytes at a time and returns how many it did.
func (c *coder) encodeNarrow(text []byte) (ok bool, done int) {
	n := len(text) / 32
	if n == 0 {
		return true, 0
	}
	size, bits, used, ok := encodeAVX2((*[4][32]byte)(&c.narrow), &c.out[:len(c.out)+1][len(c.out)], &text[0], n, c.bits, uint64(c.n))
	c.out, c.bits, c.n = c.out[:len(c.out)+size], bits, uint(used)
	return ok, 32 * n
}
