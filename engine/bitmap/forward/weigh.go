package forward

import (
	"encoding/binary"
	"math"

	"throng/engine/bitmap/format"
)

// What rows have is weighed as it is counted, a batch at a time: codes are
// copied on end, their weights added up from the first code of the batch to the
// last, and what a row weighs is the difference between two of these sums. No
// branch depends on how many terms a row has.

// Weigher adds up the weights of terms of rows of one part. It is for one
// goroutine.
type Weigher struct {
	// Rare are the weights of all terms, for those without a code. It belongs
	// to the caller.
	Rare []int16

	short [256]int16
	long  [longCodes]int16

	tally Tally // its memory for batches
	ends  [3][batchRows + 1]uint16
	sums  [batchRows*copyCodes + 1]int32
	odd   []uint16 // positions of rows that are weighed by themselves
}

// Take makes a Weigher one for rows of the part, of whose codes weights are
// given by term. Codes must have been verified. An error wraps [engine.ErrCorrupt].
func (w *Weigher) Take(f *Index, weights []int16) error {
	if int(f.limit) > len(weights) {
		return f.Corrupt("has other terms than the generation")
	}
	clear(w.short[:])
	clear(w.long[:])
	for code, term := range f.terms {
		if term >= f.limit {
			return f.Corrupt("holds a code of no term")
		}
		if code < f.short {
			w.short[code] = weights[term]
		} else {
			w.long[code-f.short] = weights[term]
		}
	}
	w.Rare = weights
	return nil
}

// Weigh finds what rows of the block weigh: scores[i] is of rows[i]. An error
// wraps [engine.ErrCorrupt].
func (b *Block) Weigh(w *Weigher, rows []uint16, scores []int32) error {
	for len(rows) > 0 {
		n := min(len(rows), batchRows)
		if !b.findAny(&w.tally, rows[:n]) || !b.weigh(w, rows[:n], scores[:n]) {
			return b.corrupt()
		}
		rows, scores = rows[n:], scores[n:]
	}
	return nil
}

// findAny is find of blocks of any size.
func (b *Block) findAny(t *Tally, rows []uint16) bool {
	if b.rows == format.BlockRows && b.end <= 1<<31 {
		return b.find(t, rows)
	}
	for i, r := range rows {
		if int(r) >= b.rows {
			return false
		}
		t.from[i], t.to[i] = b.offset(int(r)), b.offset(int(r)+1)
		if t.from[i] >= t.to[i] || t.to[i] > b.end {
			return false
		}
	}
	return true
}

func (b *Block) weigh(w *Weigher, rows []uint16, scores []int32) bool {
	t, le := &w.tally, binary.LittleEndian
	from, to := t.from[:len(rows)], t.to[:len(rows)]
	width := rareBytes(b.f.limit)
	counted := 0 // bytes of the head that say how many codes of two bytes there are
	if b.f.rare {
		counted = 1
	}
	short, long, far := 0, 0, 0
	w.odd = w.odd[:0]
	for i, at := range from {
		head := b.records[at]
		n := int(head&15) + int(head>>4)
		first := int(at) + 1 + counted
		second := first + n
		size := int(to[i]) - second
		if counted > 0 {
			size = 2 * int(b.records[at+1]) // slack follows
		}
		third := second + size
		more := int(to[i]) - third
		if n > copyCodes || head == escape || uint(size) > copyPairs || size&1 != 0 || uint(more) > copyRare || more%width != 0 {
			w.odd = append(w.odd, uint16(i))
		} else {
			src, dst := b.records[first:][:copyCodes], t.codes[short:][:copyCodes]
			le.PutUint64(dst, le.Uint64(src))
			le.PutUint64(dst[8:], le.Uint64(src[8:]))
			src, dst = b.records[second:][:copyPairs], t.pairs[long:][:copyPairs]
			le.PutUint64(dst, le.Uint64(src))
			le.PutUint64(dst[8:], le.Uint64(src[8:]))
			le.PutUint64(dst[16:], le.Uint64(src[16:]))
			le.PutUint64(dst[24:], le.Uint64(src[24:]))
			if more > 0 {
				copy(t.rare[far:], b.records[third:][:more])
			}
			short, long, far = short+n, long+size, far+more
		}
		w.ends[0][i+1], w.ends[1][i+1], w.ends[2][i+1] = uint16(short), uint16(long/2), uint16(far/width)
	}
	w.addShort(t.codes[:short], scores)
	w.addLong(t.pairs[:long], scores)
	if far > 0 && !w.addRare(t.rare[:far], width, scores) {
		return false
	}
	for _, i := range w.odd {
		if !b.weighOne(w, int(rows[i]), &scores[i]) {
			return false
		}
	}
	return true
}

// addShort sets scores to the weights of codes of one byte.
func (w *Weigher) addShort(codes []byte, scores []int32) {
	sum, sums := int32(0), w.sums[1:][:len(codes)]
	for i, c := range codes {
		sum += int32(w.short[c])
		sums[i] = sum
	}
	ends := w.ends[0][:len(scores)+1]
	for i := range scores {
		scores[i] = w.sums[ends[i+1]] - w.sums[ends[i]]
	}
}

// addLong adds the weights of codes of two bytes.
func (w *Weigher) addLong(pairs []byte, scores []int32) {
	sum, sums := int32(0), w.sums[1:][:len(pairs)/2]
	for i := range sums {
		sum += int32(w.long[binary.LittleEndian.Uint16(pairs[2*i:])])
		sums[i] = sum
	}
	w.addSums(1, scores)
}

// addRare adds the weights of terms without a code.
func (w *Weigher) addRare(rare []byte, width int, scores []int32) bool {
	sum := int32(0)
	for i := 1; len(rare) >= width; i, rare = i+1, rare[width:] {
		t := rareTerm(rare, width)
		if int(t) >= len(w.Rare) {
			return false
		}
		sum += int32(w.Rare[t])
		w.sums[i] = sum
	}
	w.addSums(2, scores)
	return true
}

func (w *Weigher) addSums(kind int, scores []int32) {
	ends := w.ends[kind][:len(scores)+1]
	for i := range scores {
		scores[i] += w.sums[ends[i+1]] - w.sums[ends[i]]
	}
}

// weighOne weighs one row.
func (b *Block) weighOne(w *Weigher, row int, score *int32) bool {
	r, ok := b.record(row)
	if !ok {
		return false
	}
	sum := int64(0)
	for _, c := range r.dense {
		sum += int64(w.short[c])
	}
	for _, c := range r.frequent {
		sum += int64(w.short[c])
	}
	for ; len(r.long) > 0; r.long = r.long[2:] {
		sum += int64(w.long[binary.LittleEndian.Uint16(r.long)])
	}
	for width := rareBytes(b.f.limit); len(r.rare) > 0; r.rare = r.rare[width:] {
		t := rareTerm(r.rare, width)
		if int(t) >= len(w.Rare) {
			return false
		}
		sum += int64(w.Rare[t])
	}
	*score = int32(max(math.MinInt32, min(math.MaxInt32, sum)))
	return true
}

// NoNumber is the number of a term that a Numberer leaves out.
const NoNumber = math.MaxUint32

// Numberer lists the terms of rows of one part by numbers of the reader's own.
// It is for one goroutine.
type Numberer struct {
	number func(term uint32) uint32
	short  [256]uint32
	long   []uint32
}

// Take makes a Numberer one for rows of the part: number tells what number a
// term has, or NoNumber. Codes must have been verified. An error wraps
// [engine.ErrCorrupt].
func (z *Numberer) Take(f *Index, number func(term uint32) uint32) error {
	z.number = number
	z.long = z.long[:0]
	for code, term := range f.terms {
		if term >= f.limit {
			return f.Corrupt("holds a code of no term")
		}
		if n := number(term); code < f.short {
			z.short[code] = n
		} else {
			z.long = append(z.long, n)
		}
	}
	return nil
}

// Numbers appends the numbers of the terms of a row to dst. An error wraps
// [engine.ErrCorrupt].
func (b *Block) Numbers(z *Numberer, dst []uint32, row int) ([]uint32, error) {
	if row >= b.rows {
		return dst, b.corrupt()
	}
	r, ok := b.record(row)
	if !ok {
		return dst, b.corrupt()
	}
	n := len(dst)
	room := len(r.dense) + len(r.frequent) + len(r.long)/2 + len(r.rare)/3
	if cap(dst)-n < room {
		dst = append(make([]uint32, 0, 2*cap(dst)+room), dst...)
	}
	dst = dst[:n+room]
	put := func(v uint32) {
		dst[n] = v
		if v != NoNumber {
			n++
		}
	}
	for _, c := range r.dense {
		put(z.short[c])
	}
	for _, c := range r.frequent {
		put(z.short[c])
	}
	for ; len(r.long) > 0; r.long = r.long[2:] {
		c := int(binary.LittleEndian.Uint16(r.long))
		if c >= len(z.long) {
			return dst[:0], b.corrupt()
		}
		put(z.long[c])
	}
	for width := rareBytes(b.f.limit); len(r.rare) > 0; r.rare = r.rare[width:] {
		put(z.number(rareTerm(r.rare, width)))
	}
	return dst[:n], nil
}
