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
	if s.added == 0 {
		for len(s.slices) < 3 {
			s.slices = append(s.slices, new(Block))
		}
		use.sum7(in, s.slices[0], s.slices[1], s.slices[2])
		s.used, s.added = 3, n
		return
	}
	s.added += n
	s.grow(max(s.added, 4)) // three slices at least
	some := use.add7(in, s.slices[0], s.slices[1], s.slices[2], &s.carry)
	for _, p := range s.slices[3:s.used] {
		if !some {
			break
		}
		some = use.add1(p, &s.carry)
	}
}

// AddArray counts rows once more. It is for few rows: many are better made a
// block.
func (s *Slices) AddArray(rows []uint16) {
	s.added++
	s.grow(s.added)
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
	for s.used < bits.Len(uint(n)) {
		if s.used == len(s.slices) {
			s.slices = append(s.slices, new(Block))
		}
		clear(s.slices[s.used][:])
		s.used++
	}
}

// AtLeast7 makes dst the rows that k or more of seven blocks have, without
// counting any further. k is from 1 to 7; dst may be one of them.
func AtLeast7(dst *Block, in *[7]*Block, k int) { use.atLeast7(dst, in, k) }

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
