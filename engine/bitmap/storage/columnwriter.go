package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"throng/engine/bitmap/format"
)

func join(dir, name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }

// ColumnWriter writes a column in the order of rows. It keeps the numbers of
// one block in memory, about ten bytes a value, and none of the values. It is
// for one goroutine.
type ColumnWriter struct {
	w      *format.Writer
	name   string
	rows   uint32
	values uint64
	meta   []byte
	blocks int // ended

	start   uint64 // of the block's data
	counts  []uint32
	shared  []uint64
	lens    []uint32
	fixed   bool
	anyone  bool // some value is shared
	lastRow int64
}

// NewColumnWriter creates the file of a column of so many rows under dir.
func NewColumnWriter(dir, name string, rows uint32) (*ColumnWriter, error) {
	w, err := format.Create(dir, name, format.KindColumn)
	if err != nil {
		return nil, err
	}
	c := &ColumnWriter{w: w, name: name, rows: rows, lastRow: -1}
	c.reset()
	return c, nil
}

func (c *ColumnWriter) reset() {
	n := min(BlockRows, int(c.rows)-c.blocks*BlockRows)
	if cap(c.counts) < n {
		c.counts = make([]uint32, n)
	}
	c.counts = c.counts[:max(n, 0)]
	clear(c.counts)
	c.shared, c.lens = c.shared[:0], c.lens[:0]
	c.fixed, c.anyone = true, false
	c.start = c.w.Len()
}

// Add appends a value of a row. Rows come in ascending order, the values of
// one row one after another. shared says that another row has the value, too.
func (c *ColumnWriter) Add(row uint32, value []byte, shared bool) error {
	if int64(row) < c.lastRow || row >= c.rows {
		return errors.New("write column: rows are out of order")
	}
	c.lastRow = int64(row)
	for int(row) >= (c.blocks+1)*BlockRows {
		c.endBlock()
	}
	v := len(c.lens)
	if v&63 == 0 {
		c.shared = append(c.shared, 0)
	}
	if shared {
		c.shared[v>>6] |= 1 << (v & 63)
		c.anyone = true
	}
	c.fixed = c.fixed && len(value) <= math.MaxUint16 && (v == 0 || int(c.lens[0]) == len(value))
	c.lens = append(c.lens, uint32(len(value)))
	c.counts[int(row)-c.blocks*BlockRows]++
	c.w.Append(value)
	if c.w.Len()-c.start > math.MaxUint32 {
		return fmt.Errorf("write column %s: values of %d rows exceed 4 GiB", c.name, BlockRows)
	}
	return c.w.Err()
}

func (c *ColumnWriter) endBlock() {
	size := c.w.Len() - c.start
	c.w.Align(8)
	var flags, width uint16
	have, most := havings(c.counts)
	var present []uint64
	var ranks []uint16
	if int(have) < len(c.counts) {
		flags |= flagPresent
		present, ranks = presence(c.counts)
	}
	if most > 1 {
		flags |= flagEnds
	}
	if c.anyone {
		flags |= flagShared
	}
	var bases, ends []uint32
	if c.fixed {
		flags |= flagFixed
		if len(c.lens) > 0 {
			width = uint16(c.lens[0])
		}
	} else {
		bases, ends = valueEnds(c.lens)
		for _, e := range ends {
			if e > math.MaxUint16 {
				flags |= flagWide
				break
			}
		}
	}
	c.w.Append(format.Bytes(present))
	if c.anyone {
		c.w.Append(format.Bytes(c.shared))
	}
	if flags&flagEnds != 0 {
		c.w.Append(format.Bytes(rowEnds(c.counts)))
	}
	c.w.Append(format.Bytes(bases))
	if flags&flagWide != 0 {
		c.w.Append(format.Bytes(ends))
	}
	c.w.Append(format.Bytes(ranks))
	if flags&flagWide == 0 {
		c.w.Append(format.Bytes(narrow(ends)))
	}
	c.w.Align(8)
	le := binary.LittleEndian
	c.meta = le.AppendUint64(c.meta, c.start)
	c.meta = le.AppendUint32(c.meta, uint32(size))
	c.meta = le.AppendUint32(c.meta, uint32(len(c.lens)))
	c.meta = le.AppendUint32(c.meta, have)
	c.meta = le.AppendUint16(c.meta, width)
	c.meta = le.AppendUint16(c.meta, flags)
	c.values += uint64(len(c.lens))
	c.blocks++
	c.reset()
}

// havings is how many rows have a value, and the most that one has.
func havings(counts []uint32) (have, most uint32) {
	for _, n := range counts {
		if n > 0 {
			have++
		}
		most = max(most, n)
	}
	return have, most
}

func presence(counts []uint32) (present []uint64, ranks []uint16) {
	present = make([]uint64, (len(counts)+63)/64)
	ranks = make([]uint16, len(present))
	n := 0
	for i, k := range counts {
		if i&63 == 0 {
			ranks[i>>6] = uint16(n)
		}
		if k > 0 {
			present[i>>6] |= 1 << (i & 63)
			n++
		}
	}
	return present, ranks
}

// rowEnds adds up the counts of the rows that have values.
func rowEnds(counts []uint32) []uint32 {
	ends := make([]uint32, 0, len(counts))
	n := uint32(0)
	for _, k := range counts {
		if k > 0 {
			n += k
			ends = append(ends, n)
		}
	}
	return ends
}

// valueEnds turns lengths into offsets: of each 64th value from the start,
// and of each value's end from that.
func valueEnds(lens []uint32) (bases, ends []uint32) {
	ends = make([]uint32, len(lens))
	at := uint32(0)
	for i, n := range lens {
		if i&63 == 0 {
			bases = append(bases, at)
		}
		at += n
		ends[i] = at - bases[i>>6]
	}
	return bases, ends
}

func narrow(s []uint32) []uint16 {
	t := make([]uint16, len(s))
	for i, v := range s {
		t[i] = uint16(v)
	}
	return t
}

// Close ends the column and makes it durable.
func (c *ColumnWriter) Close() (FileSum, error) {
	for c.blocks < (int(c.rows)+BlockRows-1)/BlockRows {
		c.endBlock()
	}
	le := binary.LittleEndian
	meta := le.AppendUint32(nil, c.rows)
	meta = le.AppendUint32(meta, uint32(c.blocks))
	meta = le.AppendUint64(meta, c.values)
	return c.w.Finish(append(meta, c.meta...))
}

// Abort closes the file without ending it. After Close it does nothing.
func (c *ColumnWriter) Abort() { c.w.Abort() }
