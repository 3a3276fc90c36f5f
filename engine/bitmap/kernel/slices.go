package kernel

import "math/bits"

// Slices holds a count for each row of a block as binary numbers cut into
// slices: bit i of a row's count is the row's bit in slice i. Counts are exact
// up to the number of blocks added, whatever it is. The zero value counts
// nothing; it grows to one block for each binary digit and keeps them through
// Reset.
type Slices struct {
	slices []*Block
	used   int // slices that hold anything
	added  int // blocks added since Reset
	carry  Block
}

// Reset makes every count 0.
func (s *Slices) Reset() { s.used, s.added = 0, 0 }

// Len returns the number of slices in use.
func (s *Slices) Len() int { return s.used }

// Slice returns the slice of the bits worth 1<<i. It is shared.
func (s *Slices) Slice(i int) *Block { return s.slices[i] }

// Add counts the rows of each of seven blocks once more, by a carry-save
// adder from seven bits to three. Fewer blocks are added by giving an empty
// one in place of the rest; n says how many are real.
func (s *Slices) Add(in *[7]*Block, n int) {
	s.grow(s.added + n)
	a0, a1, a2, a3, a4, a5, a6 := in[0], in[1], in[2], in[3], in[4], in[5], in[6]
	if s.used < 3 {
		s.addFew(in[:n])
		return
	}
	p0, p1, p2, out := s.slices[0], s.slices[1], s.slices[2], &s.carry
	for i := range Words {
		s1, c1 := add3(a0[i], a1[i], a2[i])
		s2, c2 := add3(a3[i], a4[i], a5[i])
		one, c3 := add3(s1, s2, a6[i])
		two, four := add3(c1, c2, c3)
		var carry uint64
		p0[i], carry = p0[i]^one, p0[i]&one
		p1[i], carry = add3(p1[i], two, carry)
		p2[i], out[i] = add3(p2[i], four, carry)
	}
	for _, p := range s.slices[3:s.used] {
		if IsEmpty(out) {
			break
		}
		for i := 0; i < Words; i += 4 {
			p, c := (*[4]uint64)(p[i:]), (*[4]uint64)(out[i:])
			p[0], c[0] = p[0]^c[0], p[0]&c[0]
			p[1], c[1] = p[1]^c[1], p[1]&c[1]
			p[2], c[2] = p[2]^c[2], p[2]&c[2]
			p[3], c[3] = p[3]^c[3], p[3]&c[3]
		}
	}
}

// addFew adds block by block: for the first ones, whose sum has fewer digits
// than three.
func (s *Slices) addFew(in []*Block) {
	for _, b := range in {
		if s.used == 1 {
			Or(s.slices[0], b) // the only one
			continue
		}
		p0, p1 := s.slices[0], s.slices[1]
		for i, w := range b {
			p1[i] |= p0[i] & w // at most three
			p0[i] ^= w
		}
	}
}

// AddArray counts rows once more. It is for few rows: many are better made a
// block.
func (s *Slices) AddArray(rows []uint16) {
	s.grow(s.added + 1)
	for _, r := range rows {
		i, bit := r>>6, uint64(1)<<(r&63)
		for _, p := range s.slices[:s.used] {
			old := p[i]
			p[i] = old ^ bit
			if old&bit == 0 {
				break
			}
		}
	}
}

// grow makes room for counts up to n.
func (s *Slices) grow(n int) {
	s.added = n
	for s.used < bits.Len(uint(n)) {
		if s.used == len(s.slices) {
			s.slices = append(s.slices, new(Block))
		}
		clear(s.slices[s.used][:])
		s.used++
	}
}

// AtLeast makes dst the rows whose count is k or more. k is from 1.
func (s *Slices) AtLeast(dst *Block, k int) {
	if k > s.added {
		clear(dst[:])
		return
	}
	// Slice by slice from the lowest digit on, dst is the rows whose digits so
	// far are at least those of k: where k has a 1 the row needs one, too, or
	// is below; where it has a 0 a 1 decides.
	first := true
	for d, p := range s.slices[:s.used] {
		switch {
		case first && k>>d&1 == 1:
			*dst = *p
			first = false
		case first: // zeros at the end of k: digits there do not matter
		case k>>d&1 == 1:
			And(dst, p)
		default:
			Or(dst, p)
		}
	}
}

// AddSlices adds the counts of s to c; those that would pass MaxCount stay
// there. most is at least as large as every sum.
func (c *Counters) AddSlices(s *Slices, most int) {
	for d := range s.used {
		switch {
		case most <= MaxCount:
			c.AddBlock(s.slices[d], 1<<d)
		case d < 8:
			c.AddBlockSaturating(s.slices[d], 1<<d)
		default:
			c.AddBlockSaturating(s.slices[d], MaxCount)
		}
	}
}

// add3 adds three bits: their sum is low + 2·high.
func add3(a, b, c uint64) (low, high uint64) {
	x := a ^ b
	return x ^ c, a&b | x&c
}
