// Package hexkey turns identifiers of 16 bytes, MD5 sums and UUIDs, from the
// digits in which they are written to two numbers and back, eight digits at a
// time.
//
// All of it is pure: no state, no I/O, safe for concurrent use.
package hexkey

import "encoding/binary"

// Key is 16 bytes in the order in which they are written. Keys compare as
// their digits in one case do.
type Key struct {
	Hi, Lo uint64 // the first and the last eight bytes, the first byte highest
}

// Less orders keys as their bytes.
func (k Key) Less(o Key) bool { return k.Hi < o.Hi || k.Hi == o.Hi && k.Lo < o.Lo }

// The lengths of the two ways in which a key is written.
const (
	SumLen  = 32 // digits on end
	UUIDLen = 36 // groups of 8-4-4-4-12 digits
)

// ones is 1 in each byte of a word.
const ones = 0x0101010101010101

// Parse reads the digits of an MD5 sum or, with hyphens, a UUID, in either
// case. ok is false where text is in neither form.
func Parse(text []byte) (k Key, ok bool) {
	var scratch [SumLen]byte
	digits, ok := digitsOf(&scratch, text)
	if !ok {
		return Key{}, false
	}
	le := binary.LittleEndian
	a, b := le.Uint64(digits), le.Uint64(digits[8:])
	c, d := le.Uint64(digits[16:]), le.Uint64(digits[24:])
	bad := wrong(a) | wrong(b) | wrong(c) | wrong(d)
	return key(a, b, c, d), bad == 0
}

// Of is the key that Parse gives of text that is known to be valid, in less
// time. What it gives of other text of the right length means nothing. ok is
// false where the length is wrong.
func Of(text []byte) (k Key, ok bool) {
	var scratch [SumLen]byte
	digits, ok := digitsOf(&scratch, text)
	if !ok {
		return Key{}, false
	}
	le := binary.LittleEndian
	return key(le.Uint64(digits), le.Uint64(digits[8:]), le.Uint64(digits[16:]), le.Uint64(digits[24:])), true
}

// digitsOf is text without hyphens, in scratch where it has any.
func digitsOf(scratch *[SumLen]byte, text []byte) ([]byte, bool) {
	if len(text) == SumLen {
		return text, true
	}
	return scratch[:], ungroup(scratch, text)
}

func ungroup(digits *[SumLen]byte, text []byte) bool {
	if len(text) != UUIDLen || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return false
	}
	copy(digits[:8], text)
	copy(digits[8:12], text[9:])
	copy(digits[12:16], text[14:])
	copy(digits[16:20], text[19:])
	copy(digits[20:], text[24:])
	return true
}

// letters has a 1 in each byte of a word of digits that is a letter.
func letters(w uint64) uint64 { return w >> 6 & ones }

// values is what each digit of a word is worth. The low half of a letter is
// nine less than that.
func values(w uint64) uint64 { return w&(0x0f*ones) + letters(w)*9 }

// wrong is 0 where each byte of a word is a digit: where its high half is that
// of a digit or of a letter in either case, and its value is below ten without
// a letter, from ten up to fifteen with one.
func wrong(w uint64) uint64 {
	letter, n := letters(w), values(w)
	return (w|letter<<5)&(0xf0*ones) ^ (0x30*ones + letter*0x30) |
		((n+6*ones)>>4^letter)&ones | n&(0xf0*ones)
}

// key puts 32 digits together, the first in the lowest byte of a.
func key(a, b, c, d uint64) Key {
	return Key{pack(values(a))<<32 | pack(values(b)), pack(values(c))<<32 | pack(values(d))}
}

// pack is the number of 32 bits with these eight digits, the first in the
// lowest byte of n.
func pack(n uint64) uint64 {
	n = (n<<4 | n>>8) & 0x00ff00ff00ff00ff
	n = (n<<8 | n>>16) & 0x0000ffff0000ffff
	return (n<<16 | n>>32) & 0xffffffff
}

// Append appends the 32 digits of a key, in lower case.
func (k Key) Append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, spell(k.Hi>>32))
	dst = le.AppendUint64(dst, spell(k.Hi&0xffffffff))
	dst = le.AppendUint64(dst, spell(k.Lo>>32))
	return le.AppendUint64(dst, spell(k.Lo&0xffffffff))
}

// AppendUUID appends a key in groups of 8-4-4-4-12 digits, in lower case.
func (k Key) AppendUUID(dst []byte) []byte {
	var digits [SumLen]byte
	k.Append(digits[:0])
	dst = append(append(dst, digits[:8]...), '-')
	dst = append(append(dst, digits[8:12]...), '-')
	dst = append(append(dst, digits[12:16]...), '-')
	dst = append(append(dst, digits[16:20]...), '-')
	return append(dst, digits[20:]...)
}

// spell is the eight digits of a number of 32 bits, the first in the lowest
// byte.
func spell(n uint64) uint64 {
	n = (n<<32 | n>>16) & 0x0000ffff0000ffff
	n = (n<<16 | n>>8) & 0x00ff00ff00ff00ff
	n = (n<<8 | n>>4) & (0x0f * ones)
	letter := (n + 6*ones) >> 4 & ones
	return n + '0'*ones + letter*('a'-'0'-10)
}
