package huffgz

//go:generate go run -C gen . -out ../vector_amd64.s -stubs ../vector_amd64.go -pkg huffgz

// narrow is a code of short codes for few bytes, no two of which have the same
// lowest four bits in the same half of ASCII: hexadecimal digits of one case,
// decimal ones, dashes and line ends have such a code. Of each table the first
// sixteen entries are for bytes below 64, the others for those below 128.
type narrow [4][32]byte

// The tables of a narrow code.
const (
	narrowCodes   = iota
	narrowLengths // of codes
	narrowPowers  // two to the length
	narrowBytes   // the very byte that the entry is for
)

// set makes t the code of c; false where there is none such.
func (t *narrow) set(c *coder) bool {
	if c.longest > fewBits {
		return false
	}
	for i := range t[narrowBytes] {
		t[narrowBytes][i] = byte(i) ^ 1 // other lowest bits: no byte is that one
	}
	taken := uint32(0)
	for _, b := range c.used {
		i := b&0x0f | b>>2&0x10
		if b >= 0x80 || taken>>i&1 != 0 {
			return false
		}
		taken |= 1 << i
		t[narrowCodes][i], t[narrowLengths][i], t[narrowBytes][i] = byte(c.codes[b]), c.lens[b], b
		t[narrowPowers][i] = 1 << c.lens[b]
	}
	return true
}
