package forward

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"throng/engine/bitmap/format"
)

// Rows are counted a batch at a time, in three steps that hold no branch which
// depends on a row, since members are as good as random: where their records
// are; a look at each, so that those that are far away arrive at the same time;
// then their codes, copied on end. Codes on end are counted last. A row with
// more codes than are copied at once is counted by itself. Where every few rows
// one is counted, the processor foresees what is looked at, and the steps are
// one.
const (
	batchRows = 128
	copyCodes = 16 // of each record at once
	copyPairs = 32
	copyRare  = 24

	// Rows of a block from which on nothing is looked at in advance.
	manyRows = format.BlockRows / 10
)

// Tally counts the terms of rows of one part. It is for one goroutine.
type Tally struct {
	// Rare are the counts of terms that have no code, by term. It belongs to
	// the caller.
	Rare []uint32

	short [4][256]uint32 // neighbours are counted apart
	long  [longCodes]uint32

	from, to [batchRows]uint32
	rows     [batchRows]uint16
	codes    [batchRows*copyCodes + copyCodes]byte // of one byte
	pairs    [batchRows*copyPairs + copyPairs]byte // of two
	rare     [batchRows*copyRare + copyRare]byte
	terms    []uint32 // of one row
	touched  byte
}

// Count adds the terms of rows of the block to the tally: rows is a bit a row.
// Dense terms are left out unless they are asked for. An error wraps
// [engine.ErrCorrupt].
func (b *Block) Count(t *Tally, rows *[format.BlockWords]uint64, dense bool) error {
	n := 0
	if b.rows == format.BlockRows && !b.f.rare && b.wide == nil {
		for _, w := range rows {
			n += bits.OnesCount64(w)
		}
		if n >= manyRows {
			return b.countMany(t, rows, dense)
		}
		n = 0
	}
	for i, w := range rows[:(b.rows+63)/64] {
		if n+64 > batchRows {
			if err := b.CountRows(t, t.rows[:n], dense); err != nil {
				return err
			}
			n = 0
		}
		for ; w != 0; w &= w - 1 {
			t.rows[n&(batchRows-1)] = uint16(i<<6 | bits.TrailingZeros64(w))
			n++
		}
	}
	return b.CountRows(t, t.rows[:n], dense)
}

// countMany is Count of many rows of a whole block.
func (b *Block) countMany(t *Tally, rows *[format.BlockWords]uint64, dense bool) error {
	bases, offsets := (*[format.BlockRows/groupRows + 1]uint32)(b.bases), (*[format.BlockRows + 1]uint16)(b.offsets)
	records, limit := b.records, uint(b.end)
	take := 0
	if dense {
		take = 15
	}
	src, codes, pairs := unsafe.Pointer(&records[0]), unsafe.Pointer(&t.codes), unsafe.Pointer(&t.pairs)
	short, long, odd := 0, 0, 0
	for i, w := range rows {
		for ; w != 0; w &= w - 1 {
			r := uint(i<<6 | bits.TrailingZeros64(w)&63)
			at := uint(bases[r/groupRows]) + uint(offsets[r])
			end := uint(bases[(r+1)/groupRows]) + uint(offsets[r+1])
			if at >= end || end > limit {
				return b.corrupt()
			}
			head := *(*byte)(unsafe.Add(src, at))
			n, m := int(head&15), int(head>>4)
			second := int(at) + 1 + n + m
			size := int(end) - second
			n &= take
			if uint(size) > copyPairs || n+m > copyCodes || head == escape {
				if !b.count(t, int(r), dense) {
					return b.corrupt()
				}
				continue
			}
			copy16(unsafe.Add(codes, short), unsafe.Add(src, second-m-n))
			copy16(unsafe.Add(pairs, long), unsafe.Add(src, second))
			copy16(unsafe.Add(pairs, long+16), unsafe.Add(src, second+16))
			short += n + m
			long += size
			odd |= size
		}
		if short > len(t.codes)-65*copyCodes || long > len(t.pairs)-65*copyPairs {
			t.add(t.codes[:short], t.pairs[:long])
			short, long = 0, 0
		}
	}
	t.add(t.codes[:short], t.pairs[:long])
	if odd%2 != 0 {
		return b.corrupt()
	}
	return nil
}

// CountRows is Count of a list of rows.
func (b *Block) CountRows(t *Tally, rows []uint16, dense bool) error {
	if b.rows < format.BlockRows || b.end > 1<<31 {
		return b.countEach(t, rows, dense)
	}
	for len(rows) > 0 {
		n := min(len(rows), batchRows)
		ok := b.find(t, rows[:n])
		if ok && b.f.rare {
			ok = b.batchRare(t, rows[:n], dense)
		} else if ok {
			ok = b.batch(t, rows[:n], dense)
		}
		if !ok {
			return b.corrupt()
		}
		rows = rows[n:]
	}
	return nil
}

// copy16 copies 16 bytes. Bounds are the callers': records are found to lie in
// the section, which goes on for slack bytes behind them; of codes and
// pairs there is one copy's more than a batch takes.
func copy16(dst, src unsafe.Pointer) { *(*[16]byte)(dst) = *(*[16]byte)(src) }

// find finds the records of a batch and touches them.
func (b *Block) find(t *Tally, rows []uint16) bool {
	from, to := t.from[:len(rows)], t.to[:len(rows)]
	bad := int64(0)
	if b.wide != nil {
		wide := (*[format.BlockRows + 1]uint32)(b.wide)
		for i, r := range rows {
			from[i], to[i] = wide[r], wide[int(r)+1]
			bad |= int64(to[i]) - int64(from[i]) - 1 | int64(b.end) - int64(to[i])
		}
	} else {
		bases, offsets := (*[format.BlockRows/groupRows + 1]uint32)(b.bases), (*[format.BlockRows + 1]uint16)(b.offsets)
		for i, r := range rows {
			next := int(r) + 1
			f := bases[r/groupRows] + uint32(offsets[r])
			e := bases[next/groupRows] + uint32(offsets[next])
			from[i], to[i] = f, e
			bad |= int64(e) - int64(f) - 1 | int64(b.end) - int64(e)
		}
	}
	if bad < 0 {
		return false
	}
	for _, at := range from {
		t.touched += b.records[at]
	}
	return true
}

// batch counts the records that find has found.
func (b *Block) batch(t *Tally, rows []uint16, dense bool) bool {
	from, to := t.from[:len(rows)], t.to[:len(rows)]
	take := 0
	if dense {
		take = 15
	}
	src, codes, pairs := unsafe.Pointer(&b.records[0]), unsafe.Pointer(&t.codes), unsafe.Pointer(&t.pairs)
	short, long, odd := 0, 0, 0
	for i, at := range from {
		head := *(*byte)(unsafe.Add(src, at))
		n, m := int(head&15), int(head>>4)
		second := int(at) + 1 + n + m
		size := int(to[i]) - second
		n &= take
		if uint(size) > copyPairs || n+m > copyCodes || head == escape {
			if !b.count(t, int(rows[i]), dense) {
				return false
			}
			continue
		}
		copy16(unsafe.Add(codes, short), unsafe.Add(src, second-m-n))
		copy16(unsafe.Add(pairs, long), unsafe.Add(src, second))
		copy16(unsafe.Add(pairs, long+16), unsafe.Add(src, second+16))
		short += n + m
		long += size
		odd |= size
	}
	t.add(t.codes[:short], t.pairs[:long])
	return odd%2 == 0
}

// batchRare is batch where some terms have no code.
func (b *Block) batchRare(t *Tally, rows []uint16, dense bool) bool {
	from, to := t.from[:len(rows)], t.to[:len(rows)]
	take := 0
	if dense {
		take = 15
	}
	le := binary.LittleEndian
	width := rareBytes(b.f.limit)
	short, long, far := 0, 0, 0
	for i, at := range from {
		head, size := b.records[at], int(b.records[at+1]) // slack follows
		n, m := int(head&15), int(head>>4)
		second := int(at) + 2 + n + m
		third := second + 2*size
		more := int(to[i]) - third
		n &= take
		// A second byte of a longer number is 0x80 or more, and too many.
		if size > copyPairs/2 || n+m > copyCodes || head == escape || uint(more) > copyRare || more%width != 0 {
			if !b.count(t, int(rows[i]), dense) {
				return false
			}
			continue
		}
		src, dst := b.records[second-m-n:][:copyCodes], t.codes[short:][:copyCodes]
		le.PutUint64(dst, le.Uint64(src))
		le.PutUint64(dst[8:], le.Uint64(src[8:]))
		src, dst = b.records[second:][:copyPairs], t.pairs[long:][:copyPairs]
		le.PutUint64(dst, le.Uint64(src))
		le.PutUint64(dst[8:], le.Uint64(src[8:]))
		le.PutUint64(dst[16:], le.Uint64(src[16:]))
		le.PutUint64(dst[24:], le.Uint64(src[24:]))
		src, dst = b.records[third:][:copyRare], t.rare[far:][:copyRare]
		le.PutUint64(dst, le.Uint64(src))
		le.PutUint64(dst[8:], le.Uint64(src[8:]))
		le.PutUint64(dst[16:], le.Uint64(src[16:]))
		short += n + m
		long += 2 * size
		far += more
	}
	t.add(t.codes[:short], t.pairs[:long])
	return t.addRare(t.rare[:far], width)
}

// addRare counts terms that have no code.
func (t *Tally) addRare(rare []byte, width int) bool {
	for ; len(rare) >= width; rare = rare[width:] {
		n := rareTerm(rare, width)
		if int(n) >= len(t.Rare) {
			return false
		}
		t.Rare[n]++
	}
	return len(rare) == 0
}

// add counts codes of one byte and of two.
func (t *Tally) add(codes, pairs []byte) {
	for len(codes) >= 8 {
		v := binary.LittleEndian.Uint64(codes)
		t.short[0][byte(v)]++
		t.short[1][byte(v>>8)]++
		t.short[2][byte(v>>16)]++
		t.short[3][byte(v>>24)]++
		t.short[0][byte(v>>32)]++
		t.short[1][byte(v>>40)]++
		t.short[2][byte(v>>48)]++
		t.short[3][byte(v>>56)]++
		codes = codes[8:]
	}
	for _, c := range codes {
		t.short[0][c]++
	}
	for len(pairs) >= 8 {
		v := binary.LittleEndian.Uint64(pairs)
		t.long[uint16(v)]++
		t.long[uint16(v>>16)]++
		t.long[uint16(v>>32)]++
		t.long[uint16(v>>48)]++
		pairs = pairs[8:]
	}
	for ; len(pairs) >= 2; pairs = pairs[2:] {
		t.long[binary.LittleEndian.Uint16(pairs)]++
	}
}

func (b *Block) countEach(t *Tally, rows []uint16, dense bool) error {
	for _, r := range rows {
		if int(r) >= b.rows || !b.count(t, int(r), dense) {
			return b.corrupt()
		}
	}
	return nil
}

// count counts one row.
func (b *Block) count(t *Tally, row int, dense bool) bool {
	r, ok := b.record(row)
	if !ok {
		return false
	}
	if dense {
		t.add(r.dense, nil)
	}
	t.add(r.frequent, r.long)
	return t.addRare(r.rare, rareBytes(b.f.limit))
}

// CountFew adds the terms of rows of the block to counts, by term. It is for
// rows that have fewer terms than the part has codes; of t it needs the memory
// alone. Codes must have been verified. An error wraps [engine.ErrCorrupt].
func (b *Block) CountFew(t *Tally, counts []uint32, rows []uint16) (err error) {
	for len(rows) > 0 {
		n := min(len(rows), batchRows)
		// Records of a few rows are far apart: all are asked for at once.
		if b.rows == format.BlockRows && b.end <= 1<<31 && !b.find(t, rows[:n]) {
			return b.corrupt()
		}
		if err := b.countTerms(t, counts, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (b *Block) countTerms(t *Tally, counts []uint32, rows []uint16) (err error) {
	terms := t.terms
	defer func() { t.terms = terms }()
	for _, r := range rows {
		if int(r) >= b.rows {
			return b.corrupt()
		}
		if terms, err = b.Terms(terms[:0], int(r)); err != nil {
			return err
		}
		for _, term := range terms {
			if int(term) >= len(counts) {
				return b.f.Corrupt("holds a code of no term")
			}
			counts[term]++
		}
	}
	return nil
}

// Take adds what was tallied of rows of the part to counts, by term, and
// begins anew. Codes must have been verified. An error wraps [engine.ErrCorrupt].
func (f *Index) Take(t *Tally, counts []uint32) error {
	if int(f.limit) > len(counts) {
		return f.Corrupt("counts other terms than the generation has")
	}
	stray := uint32(0) // of codes that there are not
	for code := range 256 {
		n := t.short[0][code] + t.short[1][code] + t.short[2][code] + t.short[3][code]
		if code >= f.short {
			stray |= n
			continue
		}
		if term := f.terms[code]; term < f.limit {
			counts[term] += n
		} else {
			stray |= 1
		}
	}
	clear(t.short[:])
	long := f.terms[f.short:]
	for code, term := range long {
		if term >= f.limit {
			stray |= 1
			continue
		}
		counts[term] += t.long[code]
	}
	for _, n := range t.long[len(long):] {
		stray |= n
	}
	clear(t.long[:len(long)])
	if stray != 0 {
		return f.Corrupt("holds a code of no term")
	}
	return nil
}
