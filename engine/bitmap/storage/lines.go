package storage

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"throng/engine/bitmap/kernel"
)

// Find appends to values the numbers of the values of rows, which ascend, and
// to members whose each is: the first row is member number member, and so on.
func (cb *ColumnBlock) Find(rows []uint16, member uint32, values, members []uint32) (v, m []uint32) {
	if cb.values == 0 {
		return values, members
	}
	if cb.flags&flagEnds != 0 {
		for i, row := range rows {
			from, to := cb.Range(int(row))
			for ; from < to; from++ {
				values, members = append(values, uint32(from)), append(members, member+uint32(i))
			}
		}
		return values, members
	}
	n := len(values)
	values, members = slices.Grow(values, len(rows)), slices.Grow(members, len(rows))
	// A row has one value at most: what one has not, the next overwrites.
	v, m = values[n:][:len(rows)], members[len(members):][:len(rows)]
	k := 0
	if cb.flags&flagPresent == 0 {
		for i, row := range rows {
			v[i], m[i] = uint32(row), member+uint32(i)
		}
		k = len(rows)
	} else {
		for i, row := range rows {
			w := cb.present[row>>6]
			v[k] = uint32(cb.ranks[row>>6]) + uint32(bits.OnesCount64(w&(1<<(row&63)-1)))
			m[k] = member + uint32(i)
			k += int(w >> (row & 63) & 1)
		}
	}
	return values[:n+k], members[:len(members)+k]
}

// AppendLines appends the printed forms of values of a block, each followed by
// a line end, to lines, and where each ends to ends.
func (c Codec) AppendLines(lines []byte, ends []uint32, cb *ColumnBlock, values []uint32) (l []byte, e []uint32) {
	if c.kind < codecHex || cb.flags&flagFixed == 0 || cb.width != kernel.ValueBytes {
		return c.appendEach(lines, ends, cb, values)
	}
	size := kernel.HexLine
	if c.kind != codecHex {
		size = kernel.UUIDLine
	}
	n := len(lines)
	lines = slices.Grow(lines, size*len(values))[:n+size*len(values)]
	if c.kind == codecHex {
		kernel.HexLines(lines[n:], cb.data, values)
	} else {
		kernel.UUIDLines(lines[n:], cb.data, values, c.kind == codecUpper)
	}
	ends = slices.Grow(ends, len(values))
	for range values {
		n += size
		ends = append(ends, uint32(n))
	}
	return lines, ends
}

// appendEach is AppendLines for values that are printed one by one.
func (c Codec) appendEach(lines []byte, ends []uint32, cb *ColumnBlock, values []uint32) (l []byte, e []uint32) {
	ends = slices.Grow(ends, len(values))
	if c.kind >= codecHex {
		for _, v := range values {
			lines = append(c.Decode(lines, cb.Value(int(v))), '\n')
			ends = append(ends, uint32(len(lines)))
		}
		return lines, ends
	}
	for _, v := range values {
		from, to := cb.bounds(v)
		lines = appendLine(lines, cb.data, from, to)
		ends = append(ends, uint32(len(lines)))
	}
	return lines, ends
}

// short is the length up to which a value is copied as a whole number of
// words.
const short = 32

// appendLine appends data[from:to] and a line end. Most values are shorter
// than the call of a function that copies memory is worth.
func appendLine(lines, data []byte, from, to uint32) []byte {
	n, size := len(lines), int(to-from)
	if size > short || int(from)+short > len(data) {
		return append(append(lines, data[from:to]...), '\n')
	}
	if cap(lines)-n < short+1 {
		lines = slices.Grow(lines, 4*(short+1)) // doubles
	}
	dst, src := (*[short]byte)(lines[n:n+short]), (*[short]byte)(data[from:])
	le := binary.LittleEndian
	le.PutUint64(dst[0:], le.Uint64(src[0:]))
	le.PutUint64(dst[8:], le.Uint64(src[8:]))
	if size > 16 {
		le.PutUint64(dst[16:], le.Uint64(src[16:]))
		le.PutUint64(dst[24:], le.Uint64(src[24:]))
	}
	lines = lines[:n+size+1]
	lines[n+size] = '\n'
	return lines
}
