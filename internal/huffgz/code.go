package huffgz

import (
	"cmp"
	"math/bits"
	"slices"
)

// codeLengths makes lens the lengths of the codes of an optimal prefix code for
// symbols that come so often, of limit bits at most; 0 for those that do not
// come. A single symbol gets a length of 1.
func codeLengths(lens []uint8, counts []uint32, limit uint8) {
	clear(lens)
	var order []int
	for s, n := range counts {
		if n > 0 {
			order = append(order, s)
		}
	}
	if len(order) == 1 {
		lens[order[0]] = 1
		return
	}
	weights := make([]uint64, len(order))
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(counts[a], counts[b]), cmp.Compare(a, b))
	})
	for i, s := range order {
		weights[i] = uint64(counts[s])
	}
	depths := treeDepths(weights)
	for slices.Max(depths) > int(limit) { // rare: then the rare are made commoner
		for i, w := range weights {
			weights[i] = w/2 + 1
		}
		depths = treeDepths(weights)
	}
	for i, s := range order {
		lens[s] = uint8(depths[i])
	}
}

// treeDepths returns the depths of the leaves of Huffman's tree. The weights
// ascend, and there are two at least.
func treeDepths(weights []uint64) []int {
	n := len(weights)
	all := make([]uint64, n, 2*n-1) // leaves, then inner nodes, which ascend too
	copy(all, weights)
	parent := make([]int, 2*n-1)
	leaf, inner := 0, n
	least := func() int {
		if leaf < n && (inner >= len(all) || all[leaf] <= all[inner]) {
			leaf++
			return leaf - 1
		}
		inner++
		return inner - 1
	}
	for len(all) < 2*n-1 {
		a := least()
		b := least()
		parent[a], parent[b] = len(all), len(all)
		all = append(all, all[a]+all[b])
	}
	depth := make([]int, 2*n-1)
	for i := 2*n - 3; i >= 0; i-- {
		depth[i] = depth[parent[i]] + 1
	}
	return depth[:n]
}

// canonical makes codes those that the lengths imply, the first bit the lowest.
func canonical(codes []uint16, lens []uint8) {
	var next [16]uint16
	for _, n := range lens {
		next[n]++
	}
	code := uint16(0)
	for n := range next {
		number := next[n]
		if n == 0 {
			number = 0
		}
		next[n] = code
		code = (code + number) << 1
	}
	for s, n := range lens {
		if n > 0 {
			codes[s] = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}

// lengthOrder is the order in which the lengths of the codes of lengths come.
var lengthOrder = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// token is a symbol of the alphabet of lengths, with the extra bits of those
// that repeat.
type token struct{ symbol, extra uint8 }

// header begins a block with the code in use.
func (c *coder) header(last bool) {
	// One code for distances, of one bit, since some readers want one.
	tokens := tokens(append(c.lens[:len(c.lens):len(c.lens)], 1))
	var counts [19]uint32
	for _, t := range tokens {
		counts[t.symbol]++
	}
	var lens [19]uint8
	var codes [19]uint16
	codeLengths(lens[:], counts[:], 7)
	canonical(codes[:], lens[:])
	n := len(lengthOrder)
	for n > 4 && lens[lengthOrder[n-1]] == 0 {
		n--
	}
	final := uint64(0)
	if last {
		final = 1
	}
	c.put(final|2<<1, 3)
	c.put(symbols-257, 5)
	c.put(0, 5) // one distance
	c.put(uint64(n-4), 4)
	for _, s := range lengthOrder[:n] {
		c.put(uint64(lens[s]), 3)
	}
	extra := [19]uint{16: 2, 17: 3, 18: 7}
	for _, t := range tokens {
		c.put(uint64(codes[t.symbol]), uint(lens[t.symbol]))
		c.put(uint64(t.extra), extra[t.symbol])
	}
}

// tokens writes lengths with runs of one length put together.
func tokens(lens []uint8) (out []token) {
	for len(lens) > 0 {
		n := 1
		for n < len(lens) && lens[n] == lens[0] {
			n++
		}
		v := lens[0]
		lens = lens[n:]
		if v != 0 {
			out = append(out, token{v, 0})
			n--
		}
		for n > 0 {
			k := n
			switch {
			case v == 0 && n >= 11:
				k = min(n, 138)
				out = append(out, token{18, uint8(k - 11)})
			case v == 0 && n >= 3:
				out = append(out, token{17, uint8(k - 3)})
			case v != 0 && n >= 3:
				k = min(n, 6)
				out = append(out, token{16, uint8(k - 3)})
			default:
				k = 1
				out = append(out, token{v, 0})
			}
			n -= k
		}
	}
	return out
}
