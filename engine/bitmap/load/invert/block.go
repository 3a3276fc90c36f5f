package invert

import (
	"encoding/binary"
	"slices"
	"sort"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/load/radix"
	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
)

// Numbering tells the final numbers of the terms in pairs.
type Numbering struct {
	// Final is the final number by temporary number; Order the temporary ones
	// in the order of the final ones. Both are nil where the numbers in pairs
	// are the final ones already.
	Final, Order []uint32
	Terms        int // temporary numbers are below
}

// of is the final number of a term.
func (n *Numbering) of(term uint32) uint32 {
	if n.Final == nil {
		return term
	}
	return n.Final[term]
}

// fewFor tells whether to look at all terms costs less, for so many pairs, than
// to find those that are there. In the order of their final numbers they lie
// anywhere in memory.
func (n *Numbering) fewFor(pairs int) bool {
	if n.Order == nil {
		return n.Terms <= 4*pairs
	}
	return n.Terms <= pairs/2
}

// inverter turns the pairs of a block around, by counting: how many rows each
// term has tells where its rows go, and they are put there. Beside the rows
// themselves that takes a number for each term and nothing for a pair; both
// stay in the caches. It keeps its memory from block to block and is for one
// goroutine.
type inverter struct {
	n    *Numbering
	next []uint32 // of places, by temporary number: rows so far; then where the next goes. 0 between blocks
	list []uint32 // temporary numbers of the block's terms, in the order of final ones
	keys []uint64
	swap []uint64
	// raw are the rows of the block as they come: most tables are in the order
	// of people, so that most lists are in order already, but not all.
	raw  []uint16
	tidy kernel.Lists

	buffer pairBuffer
	places spill.Array[uint32]
	spare  spill.Array[uint16]
}

func newInverter(n *Numbering) (v *inverter, err error) {
	v = &inverter{n: n}
	v.next, err = v.places.Get(n.Terms)
	return v, err
}

func (v *inverter) free() {
	v.places.Free()
	v.spare.Free()
}

// blockLists is a block, inverted. Its memory is used for one after another.
type blockLists struct {
	storage.BlockLists
	rows spill.Array[uint16]
}

// termRange is final numbers from first on and before end.
type termRange struct{ first, end uint32 }

var allTerms = termRange{end: noTerm}

// invert turns pieces of pairs into out, whose memory is used again. more are
// records of final terms that are not among those of the pieces. Terms out of
// the range are left out.
func (v *inverter) invert(pieces, more [][]byte, of termRange, out *blockLists) error {
	total := 0
	for _, p := range pieces {
		if err := v.buffer.each(p, func(terms []uint32, _ []uint16) bool {
			total += len(terms)
			return countPairs(v.next, terms)
		}); err != nil {
			return err
		}
	}
	rare := finalPairs{pieces: slices.Clone(more)} // which it takes apart
	others, err := rare.count()
	if err != nil {
		return err
	}
	all := v.n.fewFor(total) // are looked at
	list := v.list
	if of != allTerms {
		rare.pieces, others = rare.within(of)
		v.listTerms(all)
		list, total = v.only(of)
	}
	if v.raw, err = v.spare.Get(total + others + kernel.ListSlack); err != nil {
		return err
	}
	if out.Rows, err = out.rows.Get(total + others + kernel.ListSlack); err != nil {
		return err
	}
	v.raw, out.Rows = v.raw[:total+others], out.Rows[:total+others]
	switch {
	case of != allTerms:
		v.mergeTerms(list, &rare, out)
	case all && others == 0:
		v.walkTerms(total, out)
	default:
		v.listTerms(all)
		v.mergeTerms(v.list, &rare, out)
	}
	for _, p := range pieces {
		if err := v.buffer.each(p, func(terms []uint32, rows []uint16) bool {
			return placePairs(v.raw, v.next, terms, rows)
		}); err != nil {
			return err
		}
	}
	if all {
		clear(v.next)
	} else {
		for _, t := range v.list {
			v.next[t] = 0
		}
	}
	out.Rows = out.Rows[:v.tidy.Tidy(out.Rows, v.raw, out.Ends)]
	return nil
}

// walkTerms tells where the rows of each term go, by walking all terms in the
// order of their final numbers: without a branch, since most may be there.
func (v *inverter) walkTerms(pairs int, out *blockLists) {
	n := min(v.n.Terms, pairs) + 1
	terms, ends := slices.Grow(out.Terms[:0], n)[:n], slices.Grow(out.Ends[:0], n)[:n]
	i, at := 0, uint32(0)
	if v.n.Order == nil {
		for t, n := range v.next {
			terms[i], ends[i], v.next[t] = uint32(t), at+n, at
			at += n
			i += int((n | -n) >> 31)
		}
	} else {
		for _, t := range v.n.Order {
			n := v.next[t]
			terms[i], ends[i], v.next[t] = v.n.Final[t], at+n, at
			at += n
			i += int((n | -n) >> 31)
		}
	}
	out.Terms, out.Ends = terms[:i], ends[:i]
}

// only gives the part of the list that is in a range, and how many rows its
// terms have. The others get no place.
func (v *inverter) only(of termRange) (list []uint32, pairs int) {
	below := func(limit uint32) int {
		return sort.Search(len(v.list), func(i int) bool { return v.n.of(v.list[i]) >= limit })
	}
	from, to := below(of.first), below(of.end)
	for _, t := range v.list[from:to] {
		pairs += int(v.next[t])
	}
	for _, others := range [][]uint32{v.list[:from], v.list[to:]} {
		for _, t := range others {
			v.next[t] = noPlace
		}
	}
	return v.list[from:to], pairs
}

// mergeTerms tells where the rows of listed terms go, and puts those of final
// terms between them.
func (v *inverter) mergeTerms(list []uint32, rare *finalPairs, out *blockLists) {
	out.Terms, out.Ends = out.Terms[:0], out.Ends[:0]
	at := uint32(0)
	for _, t := range list {
		f := v.n.of(t)
		at = v.placeFinal(rare, out, at, f)
		n := v.next[t]
		v.next[t] = at
		at += n
		out.Terms, out.Ends = append(out.Terms, f), append(out.Ends, at)
	}
	v.placeFinal(rare, out, at, noTerm)
}

// listTerms lists the terms that were counted in the order of their final
// numbers: by walking all of them, else by sorting those that are there.
func (v *inverter) listTerms(all bool) {
	v.list = v.list[:0]
	switch {
	case v.n.Order == nil:
		for t, n := range v.next {
			if n > 0 {
				v.list = append(v.list, uint32(t))
			}
		}
	case all:
		for _, t := range v.n.Order {
			if v.next[t] > 0 {
				v.list = append(v.list, t)
			}
		}
	default:
		v.keys = v.keys[:0]
		for t, n := range v.next {
			if n > 0 {
				v.keys = append(v.keys, uint64(v.n.Final[t])<<32|uint64(t))
			}
		}
		v.swap = slices.Grow(v.swap[:0], len(v.keys))[:len(v.keys)]
		v.keys, v.swap = radix.Sort(v.keys, v.swap, 32, 32)
		for _, k := range v.keys {
			v.list = append(v.list, uint32(k))
		}
	}
}

// finalPairs reads records of final terms, which are in order.
type finalPairs struct{ pieces [][]byte }

// count counts the records and checks their order.
func (p *finalPairs) count() (int, error) {
	n, last := 0, uint32(0)
	for _, b := range p.pieces {
		for ; len(b) >= finalPair; b = b[finalPair:] {
			t := binary.LittleEndian.Uint32(b)
			if t < last || t == noTerm {
				return 0, spill.ErrDamaged
			}
			last = t
			n++
		}
		if len(b) > 0 {
			return 0, spill.ErrDamaged
		}
	}
	return n, nil
}

// peek gives the term of the next record; noTerm at the end.
func (p *finalPairs) peek() uint32 {
	for len(p.pieces) > 0 && len(p.pieces[0]) < finalPair {
		p.pieces = p.pieces[1:]
	}
	if len(p.pieces) == 0 {
		return noTerm
	}
	return binary.LittleEndian.Uint32(p.pieces[0])
}

// skip passes over the next record. It changes the list of pieces.
func (p *finalPairs) skip() { p.pieces[0] = p.pieces[0][finalPair:] }

// within gives the records of a range of terms, and how many there are.
func (p *finalPairs) within(of termRange) (pieces [][]byte, n int) {
	for _, b := range p.pieces {
		below := func(limit uint32) int {
			return sort.Search(len(b)/finalPair, func(i int) bool { return binary.LittleEndian.Uint32(b[i*finalPair:]) >= limit })
		}
		from, to := below(of.first), below(of.end)
		if from < to {
			pieces = append(pieces, b[from*finalPair:to*finalPair])
			n += to - from
		}
	}
	return pieces, n
}

// placeFinal puts the rows of all final terms below a limit at raw[at:], and
// returns where they end.
func (v *inverter) placeFinal(p *finalPairs, out *blockLists, at, limit uint32) uint32 {
	for len(p.pieces) > 0 {
		b := p.pieces[0]
		for ; len(b) >= finalPair; b = b[finalPair:] {
			t := binary.LittleEndian.Uint32(b)
			if t >= limit {
				p.pieces[0] = b
				return at
			}
			v.raw[at] = binary.LittleEndian.Uint16(b[4:])
			at++
			if n := len(out.Terms); n > 0 && out.Terms[n-1] == t {
				out.Ends[n-1] = at
			} else {
				out.Terms, out.Ends = append(out.Terms, t), append(out.Ends, at)
			}
		}
		p.pieces = p.pieces[1:]
	}
	return at
}
