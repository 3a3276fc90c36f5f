package kernel

import "math/bits"

//go:generate go run -C gen ./lists -out ../lists_amd64.s -stubs ../listsvector_amd64.go -pkg kernel

// ListSlack is how many rows may be read and written behind the end of the
// slices that [Lists.Tidy] is given: their capacity must allow it.
const ListSlack = 32

// shortList and longList are up to how many rows are sorted in registers: by
// short, and by sort.
const (
	shortList = 32
	longList  = 256
)

// listers is an implementation of the loops that take pairs apart and put lists
// of rows in order. Lists lie on end: the one before ends[i] begins where ends[i-1] says, the
// first at 0. All of them may use the slack.
type listers struct {
	name string
	// split is SplitPairs.
	split func(terms []uint32, rows []uint16, units []byte, head uint32) (n int, last uint32)
	// short puts lists of up to shortList rows in order, from list i on: it
	// copies them from src, of which they begin at from, to dst[to:], ascending
	// and distinct, makes ends those in dst, and stops at the first that is
	// longer, or after the last.
	short func(dst, src []uint16, ends []uint32, i int, from, to uint32) (int, uint32, uint32)
	// distinct copies a list that ascends and leaves out what comes again. It
	// returns how many rows are left, and false where one comes before a lesser.
	distinct func(dst, src []uint16) (int, bool)
	// sort copies a list of more than shortList and up to longList rows, in
	// order; they may repeat. nil where there is nothing better than to count.
	sort func(dst, src []uint16)
	// rows lists the rows of a block.
	rows func(dst []uint16, b *[Words]uint64) int
}

var useListers = listersHere()[len(listersHere())-1]

var portableListers = listers{
	name: "portable", split: splitPairs,
	short: shortLists, distinct: distinctRows, rows: listRows,
}

// Lists puts lists of rows in order. It keeps its memory, and is for one
// goroutine.
type Lists struct {
	seen   Block
	sorted [maxRadix + ListSlack]uint16
	swap   [maxRadix + ListSlack]uint16
}

// maxRadix is up to how many rows are sorted by their bytes. More are as
// quickly set in a bitmap and listed again.
const maxRadix = 4096

// Tidy copies lists to dst, each ascending and without what comes again.
// Lists lie on end, the i-th before ends[i]; afterwards ends are those in dst.
// It returns their sum. dst and src must not overlap, dst must be as long as
// src, and both must have ListSlack more rows of memory behind their end.
func (l *Lists) Tidy(dst, src []uint16, ends []uint32) int {
	dst, src = dst[:len(dst)+ListSlack], src[:len(src)+ListSlack]
	from, to := uint32(0), uint32(0)
	for i := 0; ; i++ {
		if i, from, to = useListers.short(dst, src, ends, i, from, to); i == len(ends) {
			return int(to)
		}
		list := src[from:ends[i]]
		from = ends[i]
		to += uint32(l.long(dst[to:], list))
		ends[i] = to
	}
}

// long puts one list in order.
func (l *Lists) long(dst, list []uint16) int {
	n, ascends := useListers.distinct(dst, list)
	switch {
	case ascends:
		return n
	case len(list) > maxRadix:
		for _, r := range list {
			l.seen[r>>6] |= 1 << (r & 63)
		}
		n = useListers.rows(dst, &l.seen)
		l.seen = Block{}
		return n
	case len(list) <= longList && useListers.sort != nil:
		useListers.sort(l.sorted[:], list)
	default:
		l.radix(list)
	}
	n, _ = useListers.distinct(dst, l.sorted[:len(list)])
	return n
}

// radix sorts rows by their lower byte, then by their higher.
func (l *Lists) radix(rows []uint16) {
	var low, high [256]uint16
	for _, r := range rows {
		low[uint8(r)]++
		high[r>>8]++
	}
	a, b := uint16(0), uint16(0)
	for i := range low {
		low[i], a = a, a+low[i]
		high[i], b = b, b+high[i]
	}
	swap, sorted := (*[maxRadix]uint16)(l.swap[:]), (*[maxRadix]uint16)(l.sorted[:])
	for _, r := range rows {
		at := low[uint8(r)]
		low[uint8(r)] = at + 1
		swap[at%maxRadix] = r
	}
	for _, r := range swap[:len(rows)] {
		at := high[r>>8]
		high[r>>8] = at + 1
		sorted[at%maxRadix] = r
	}
}

func shortLists(dst, src []uint16, ends []uint32, i int, from, to uint32) (int, uint32, uint32) {
	for ; i < len(ends); i++ {
		end := ends[i]
		if end-from > shortList {
			break
		}
		list := src[from:end]
		from = end
		n, ascends := distinctRows(dst[to:], list)
		if !ascends {
			n = insert(dst[to:], list)
		}
		to += uint32(n)
		ends[i] = to
	}
	return i, from, to
}

// insert sorts a few rows one by one, and drops those that are there already.
func insert(dst, list []uint16) int {
	n := 0
	for _, r := range list {
		i := n
		for i > 0 && dst[i-1] > r {
			i--
		}
		if i > 0 && dst[i-1] == r {
			continue
		}
		copy(dst[i+1:n+1], dst[i:n])
		dst[i] = r
		n++
	}
	return n
}

func distinctRows(dst, src []uint16) (int, bool) {
	if len(src) == 0 {
		return 0, true
	}
	last := src[0]
	dst[0] = last
	n := 1
	for _, r := range src[1:] {
		if r < last {
			return 0, false
		}
		dst[n] = r
		if r != last {
			n++
		}
		last = r
	}
	return n, true
}

func listRows(dst []uint16, b *[Words]uint64) int {
	n := 0
	for i, w := range b {
		for base := uint16(i) << 6; w != 0; w &= w - 1 {
			dst[n] = base | uint16(bits.TrailingZeros64(w))
			n++
		}
	}
	return n
}
