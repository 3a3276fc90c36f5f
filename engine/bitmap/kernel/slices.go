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
		s.addSlow(in)
		return
	}
	p0, p1, p2 := s.slices[0], s.slices[1], s.slices[2]
	rest := s.slices[3:s.used]
	for i := range Words {
		s1, c1 := add3(a0[i], a1[i], a2[i])
		s2, c2 := add3(a3[i], a4[i], a5[i])
		one, c3 := add3(s1, s2, a6[i])
		two, four := add3(c1, c2, c3)
		var carry uint64
		p0[i], carry = p0[i]^one, p0[i]&one
		p1[i], carry = add3(p1[i], two, carry)
		p2[i], carry = add3(p2[i], four, carry)
		for _, p := range rest {
			if carry == 0 {
				break
			}
			p[i], carry = p[i]^carry, p[i]&carry
		}
	}
}

// addSlow adds block by block: for the few first ones, whose sum has fewer
// digits than three.
func (s *Slices) addSlow(in *[7]*Block) {
	for _, b := range in {
		for i := range Words {
			carry := b[i]
			for _, p := range s.slices[:s.used] {
				p[i], carry = p[i]^carry, p[i]&carry
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
	for i := range dst {
		var greater uint64
		equal := ^uint64(0)
		for d := s.used - 1; d >= 0; d-- {
			p := s.slices[d][i]
			if k>>d&1 == 1 {
				equal &= p
			} else {
				greater |= equal & p
				equal &^= p
			}
		}
		dst[i] = greater | equal
	}
}

// AddSlices adds the counts of s to c; those that would pass MaxCount stay
// there.
func (c *Counters) AddSlices(s *Slices) {
	for d := range s.used {
		weight := uint8(MaxCount)
		if d < 8 {
			weight = 1 << d
		}
		c.AddBlock(s.slices[d], weight)
	}
}

// add3 adds three bits: their sum is low + 2·high.
func add3(a, b, c uint64) (low, high uint64) {
	x := a ^ b
	return x ^ c, a&b | x&c
}
