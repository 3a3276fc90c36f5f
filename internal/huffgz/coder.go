package huffgz

import (
	"encoding/binary"
	"slices"
)

const (
	// maxBits is the length of the longest code: two pairs of bytes, and the
	// bits of a byte that is not full, fit into a word.
	maxBits = 12
	// fewBits is the length of codes of which four pairs do.
	fewBits = 7

	// known is a bit of the pairs that have a code.
	known = 0x80

	endOfBlock = 256
	symbols    = 257 // the bytes and endOfBlock: without repetitions, no others
)

// coder writes blocks of deflate (RFC 1951). The code of one block is used for
// the next ones while it fits them.
type coder struct {
	out  []byte
	bits uint64 // not yet in out, the first the lowest
	n    uint   // how many: below 8 between blocks

	lens    [symbols]uint8 // of codes; 0 where there is none
	codes   [symbols]uint16
	longest uint8
	used    []byte // the bytes that have a code
	known   bool   // there is a code
	// cost is what a byte of the block that the code was made for took, in
	// 1/256 bits.
	cost uint64
	// pairs has for each two bytes, the first the lower, the codes of both
	// and, in the lowest byte, known and their length together; 0 where one
	// has none.
	pairs *[1 << 16]uint32
	// narrow is the code for vector instructions, where isNarrow.
	narrow   narrow
	isNarrow bool
}

// block writes text, of at most blockBytes, as blocks of deflate.
func (c *coder) block(text []byte, last bool) {
	start, bits, n := len(c.out), c.bits, c.n
	if len(text) > 0 {
		// The code is repeated with each block: it takes 60 bytes or so.
		for again := !c.known; ; again = true {
			if again {
				c.learn(text)
			}
			c.header(last)
			ok := c.encode(text)
			c.put(uint64(c.codes[endOfBlock]), uint(c.lens[endOfBlock]))
			c.flush()
			size := uint64(len(c.out)-start) * 8 * 256 / uint64(len(text))
			if again {
				c.cost = size
			}
			if ok && size <= c.cost+c.cost/64 {
				break
			}
			c.out, c.bits, c.n = c.out[:start], bits, n
		}
		if len(c.out)-start < len(text)+len(text)/0xffff*5+5 {
			return
		}
		c.out, c.bits, c.n, c.known = c.out[:start], bits, n, false
	}
	c.stored(text, last)
}

// stored writes text as it is; a stored block is shorter than 64 KiB.
func (c *coder) stored(text []byte, last bool) {
	for {
		n := min(len(text), 0xffff)
		final := uint64(0)
		if last && n == len(text) {
			final = 1
		}
		c.put(final, 3) // the kind is 0
		c.align()
		c.out = binary.LittleEndian.AppendUint16(c.out, uint16(n))
		c.out = binary.LittleEndian.AppendUint16(c.out, ^uint16(n))
		c.out = append(c.out, text[:n]...)
		if text = text[n:]; len(text) == 0 {
			return
		}
	}
}

// put appends bits, 48 at most.
func (c *coder) put(bits uint64, n uint) {
	c.bits |= bits << c.n
	c.n += n
	c.flush()
}

// flush moves whole bytes to out.
func (c *coder) flush() {
	for ; c.n >= 8; c.n -= 8 {
		c.out = append(c.out, byte(c.bits))
		c.bits >>= 8
	}
}

// align fills up the last byte.
func (c *coder) align() {
	if c.n > 0 {
		c.out = append(c.out, byte(c.bits))
	}
	c.bits, c.n = 0, 0
}

// learn makes a code for text.
func (c *coder) learn(text []byte) {
	if c.pairs == nil {
		c.pairs = new([1 << 16]uint32)
	}
	for _, a := range c.used {
		for _, b := range c.used {
			c.pairs[uint(a)|uint(b)<<8] = 0
		}
	}
	var counts [symbols]uint32
	count(&counts, text)
	counts[endOfBlock] = 1
	codeLengths(c.lens[:], counts[:], maxBits)
	canonical(c.codes[:], c.lens[:])
	c.used, c.longest = c.used[:0], 0
	for b, n := range c.lens[:endOfBlock] {
		if n > 0 {
			c.used = append(c.used, byte(b))
			c.longest = max(c.longest, n)
		}
	}
	for _, a := range c.used {
		for _, b := range c.used {
			n := c.lens[a]
			bits := uint32(c.codes[a]) | uint32(c.codes[b])<<n
			c.pairs[uint(a)|uint(b)<<8] = bits<<8 | known | uint32(n+c.lens[b])
		}
	}
	c.isNarrow = hasVector && c.narrow.set(c)
	c.known = true
}

// count counts the bytes of text, in four tables, since one counter cannot be
// added to again before it is written.
func count(counts *[symbols]uint32, text []byte) {
	var t [4][256]uint32
	for len(text) >= 4 {
		b := (*[4]byte)(text)
		t[0][b[0]]++
		t[1][b[1]]++
		t[2][b[2]]++
		t[3][b[3]]++
		text = text[4:]
	}
	for _, b := range text {
		t[0][b]++
	}
	for b := range 256 {
		counts[b] = t[0][b] + t[1][b] + t[2][b] + t[3][b]
	}
}

// encode writes the codes of text; false where one of its bytes has none, what
// is written then is of no use.
func (c *coder) encode(text []byte) (ok bool) {
	c.out = slices.Grow(c.out, len(text)*maxBits/8+16)
	ok, rest := false, 0
	switch {
	case c.isNarrow:
		ok, rest = c.encodeNarrow(text)
	case c.longest <= fewBits:
		ok, rest = c.encodeShort(text)
	default:
		ok, rest = c.encodeLong(text)
	}
	for _, b := range text[rest:] {
		if c.lens[b] == 0 {
			return false
		}
		c.put(uint64(c.codes[b]), uint(c.lens[b]))
	}
	return ok
}

// encodeShort encodes eight bytes at a time and returns how many it did.
func (c *coder) encodeShort(text []byte) (ok bool, done int) {
	out, p, pairs := c.out[:cap(c.out)], len(c.out), c.pairs
	bits, n := c.bits, c.n
	all := uint64(known)
	for len(text) >= 8 {
		w := binary.LittleEndian.Uint64(text)
		text = text[8:]
		e0, e1 := uint64(pairs[uint16(w)]), uint64(pairs[uint16(w>>16)])
		e2, e3 := uint64(pairs[uint16(w>>32)]), uint64(pairs[w>>48])
		all &= e0 & e1 & e2 & e3
		low := e0>>8 | e1>>8<<(e0&63)
		high := e2>>8 | e3>>8<<(e2&63)
		bits |= (low | high<<((e0+e1)&63)) << (n & 63)
		n += uint(e0+e1+e2+e3) & 63
		binary.LittleEndian.PutUint64(out[p:], bits)
		p += int(n >> 3)
		bits >>= n &^ 7 & 63
		n &= 7
		done += 8
	}
	c.out, c.bits, c.n = out[:p], bits, n
	return all != 0, done
}

// encodeLong encodes four bytes at a time and returns how many it did.
func (c *coder) encodeLong(text []byte) (ok bool, done int) {
	out, p, pairs := c.out[:cap(c.out)], len(c.out), c.pairs
	bits, n := c.bits, c.n
	all := uint64(known)
	for len(text) >= 4 {
		w := binary.LittleEndian.Uint32(text)
		text = text[4:]
		e0, e1 := uint64(pairs[uint16(w)]), uint64(pairs[w>>16])
		all &= e0 & e1
		bits |= (e0>>8 | e1>>8<<(e0&63)) << (n & 63)
		n += uint(e0+e1) & 63
		binary.LittleEndian.PutUint64(out[p:], bits)
		p += int(n >> 3)
		bits >>= n &^ 7 & 63
		n &= 7
		done += 4
	}
	c.out, c.bits, c.n = out[:p], bits, n
	return all != 0, done
}
