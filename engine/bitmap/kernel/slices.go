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

	lowest [3]*[Words]uint64 // of low
	none   *Block            // has no row
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
	if s.used < 3 {
		s.addFew(in[:n])
		return
	}
	some := use.add7(in, s.slices[0], s.slices[1], s.slices[2], &s.carry)
	for _, p := range s.slices[3:s.used] {
		if !some {
			break
		}
		some = use.add1(p, &s.carry)
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
		s.carry = *b
		if use.add1(s.slices[0], &s.carry) {
			Or(s.slices[1], &s.carry) // at most three: no carry
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

// low gives the three lowest slices, nil where none is in use, and adds those
// above to c. most is at least as large as every sum.
func (s *Slices) low(c *Counters, most int) *[3]*[Words]uint64 {
	if s.used == 0 {
		return nil
	}
	for d := 3; d < s.used; d++ {
		switch {
		case most <= MaxCount:
			c.AddBlock(s.slices[d], 1<<d)
		case d < 8:
			c.AddBlockSaturating(s.slices[d], 1<<d)
		default:
			c.AddBlockSaturating(s.slices[d], MaxCount)
		}
	}
	if s.used < len(s.lowest) && s.none == nil {
		s.none = new(Block)
	}
	for d := range s.lowest {
		if s.lowest[d] = s.none; d < s.used {
			s.lowest[d] = s.slices[d]
		}
	}
	return &s.lowest
}
