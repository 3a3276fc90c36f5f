package load

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"throng/engine/bitmap/storage"
)

// blockTerms is the pairs of one block, inverted: terms ascending, and the rows
// of terms[i] at rows[ends[i-1]:ends[i]], ascending and distinct.
type blockTerms struct {
	terms []uint32
	ends  []uint32
	rows  []uint16
}

// numbering tells the final numbers of the terms in pairs.
type numbering struct {
	// final is the final number by temporary number; order the temporary ones
	// in the order of the final ones. Both are nil where the numbers in pairs
	// are the final ones already.
	final, order []uint32
	terms        int // temporary numbers are below
}

// of is the final number of a term.
func (n *numbering) of(term uint32) uint32 {
	if n.final == nil {
		return term
	}
	return n.final[term]
}

// inverter turns the pairs of a block around, by counting: how many rows each
// term has tells where its rows go, and they are put there. Beside the rows
// themselves that takes a number for each term and nothing for a pair; both
// stay in the caches. It keeps its memory from block to block and is for one
// goroutine.
type inverter struct {
	n    *numbering
	next []uint32 // by temporary number: rows so far; then where the next goes. 0 between blocks
	list []uint32 // temporary numbers of the block's terms, in the order of final ones
	keys []uint64
	swap []uint64
	seen [storage.BlockWords]uint64
	some [storage.BlockWords / 64]uint64 // words of seen that are not 0
}

func newInverter(n *numbering) *inverter {
	return &inverter{n: n, next: make([]uint32, n.terms)}
}

// invert turns pieces of pairs into out, whose memory is used again. more are
// records of final terms that are not among those of the pieces.
func (v *inverter) invert(pieces, more [][]byte, out *blockTerms) error {
	pairs := 0
	for _, p := range pieces {
		if err := countPairs(v.next, p); err != nil {
			return err
		}
		pairs += len(p) / unitBytes
	}
	v.listTerms(pairs)
	out.terms, out.ends = out.terms[:0], out.ends[:0]
	rare := finalPairs{pieces: more}
	total, err := rare.count()
	if err != nil {
		return err
	}
	for _, t := range v.list {
		total += int(v.next[t])
	}
	if cap(out.rows) < total {
		out.rows = nil // first, so that both are not there at once
		out.rows = make([]uint16, total)
	}
	out.rows = out.rows[:total]
	at := uint32(0)
	for _, t := range v.list {
		f := v.n.of(t)
		at = rare.place(out, at, f)
		n := v.next[t]
		v.next[t] = at
		at += n
		out.terms, out.ends = append(out.terms, f), append(out.ends, at)
	}
	rare.place(out, at, noTerm)
	for _, p := range pieces {
		if err := placePairs(out.rows, v.next, p); err != nil {
			return err
		}
	}
	for _, t := range v.list {
		v.next[t] = 0
	}
	v.tidy(out)
	return nil
}

// listTerms lists the terms that were counted in the order of their final
// numbers: by walking all terms where there are not many more than pairs, else
// by sorting those that are there.
func (v *inverter) listTerms(pairs int) {
	v.list = v.list[:0]
	switch {
	case v.n.order == nil:
		for t, n := range v.next {
			if n > 0 {
				v.list = append(v.list, uint32(t))
			}
		}
	case len(v.n.order) <= pairs/4:
		for _, t := range v.n.order {
			if v.next[t] > 0 {
				v.list = append(v.list, t)
			}
		}
	default:
		v.keys = v.keys[:0]
		for t, n := range v.next {
			if n > 0 {
				v.keys = append(v.keys, uint64(v.n.final[t])<<32|uint64(t))
			}
		}
		v.swap = slices.Grow(v.swap[:0], len(v.keys))[:len(v.keys)]
		v.keys, v.swap = radixSort(v.keys, v.swap, 32, 32)
		for _, k := range v.keys {
			v.list = append(v.list, uint32(k))
		}
	}
}

// tidy makes the rows of every term ascending and distinct. Since most tables
// come in the order of people, most lists are so already.
func (v *inverter) tidy(out *blockTerms) {
	from, to := uint32(0), 0 // where a list begins, and where it goes
	for i, end := range out.ends {
		list := out.rows[from:end]
		from = end
		n := len(list)
		switch ascends, repeats := inspect(list); {
		case !ascends:
			n = v.order(list)
		case repeats:
			n = len(slices.Compact(list))
		}
		if to+n < int(end) || n < len(list) {
			copy(out.rows[to:], list[:n])
		}
		to += n
		out.ends[i] = uint32(to)
	}
	out.rows = out.rows[:to]
}

// inspect tells whether no row comes before a lesser one, and whether one comes
// again right away.
func inspect(list []uint16) (ascends, repeats bool) {
	for i := 1; i < len(list); i++ {
		if list[i-1] >= list[i] {
			if list[i-1] > list[i] {
				return false, false
			}
			repeats = true
		}
	}
	return true, repeats
}

// order sorts rows and drops those that are there already. It returns how many
// are left.
func (v *inverter) order(rows []uint16) int {
	if len(rows) <= 24 {
		return insert(rows)
	}
	for _, r := range rows {
		v.seen[r>>6] |= 1 << (r & 63)
		v.some[r>>12] |= 1 << (r >> 6 & 63)
	}
	n := 0
	for i, some := range v.some {
		v.some[i] = 0
		for ; some != 0; some &= some - 1 {
			at := i<<6 | bits.TrailingZeros64(some)
			w := v.seen[at]
			v.seen[at] = 0
			for ; w != 0; w &= w - 1 {
				rows[n] = uint16(at<<6 | bits.TrailingZeros64(w))
				n++
			}
		}
	}
	return n
}

// insert sorts a few rows one by one, and drops those that are there already.
func insert(rows []uint16) int {
	n := 0
	for _, r := range rows {
		i := n
		for i > 0 && rows[i-1] > r {
			i--
		}
		if i > 0 && rows[i-1] == r {
			continue
		}
		copy(rows[i+1:n+1], rows[i:n])
		rows[i] = r
		n++
	}
	return n
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
				return 0, errSpill
			}
			last = t
			n++
		}
		if len(b) > 0 {
			return 0, errSpill
		}
	}
	return n, nil
}

// place puts the rows of all terms below a limit at rows[at:], and returns
// where they end.
func (p *finalPairs) place(out *blockTerms, at, limit uint32) uint32 {
	for len(p.pieces) > 0 {
		b := p.pieces[0]
		for ; len(b) >= finalPair; b = b[finalPair:] {
			t := binary.LittleEndian.Uint32(b)
			if t >= limit {
				p.pieces[0] = b
				return at
			}
			out.rows[at] = binary.LittleEndian.Uint16(b[4:])
			at++
			if n := len(out.terms); n > 0 && out.terms[n-1] == t {
				out.ends[n-1] = at
			} else {
				out.terms, out.ends = append(out.terms, t), append(out.ends, at)
			}
		}
		p.pieces = p.pieces[1:]
	}
	return at
}
