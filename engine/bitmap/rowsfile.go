package bitmap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"throng/engine"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// A file of rows, all numbers little endian:
//
//	header   magic (8), format u32, blocks that have rows u32, rows u64, stamp
//	         of the generation (32), CRC32C of the header so far u32
//	blocks   each: number u32, kind u16, units−1 u16, then the units: rows
//	         (u16) of an array, words (u64) of a bitmap, first and last rows
//	         (u16 each) of runs; each kind where it is the smallest
//	end      CRC32C of the blocks u32
const (
	rowsMagic  = "THRONGRS"
	rowsFormat = 1
	rowsHeader = 8 + 4 + 4 + 8 + 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// WriteRows implements engine.RowStore.
func (g *generation) WriteRows(w io.Writer, rows query.RowSet) error {
	set, err := g.own(rows)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	used := uint32(0)
	for i := range set.blocks {
		if set.blocks[i].n > 0 {
			used++
		}
	}
	head := append(make([]byte, 0, rowsHeader+4), rowsMagic...)
	head = le.AppendUint32(head, rowsFormat)
	head = le.AppendUint32(head, used)
	head = le.AppendUint64(head, set.n)
	head = append(head, set.gen[:]...)
	head = le.AppendUint32(head, crc32.Checksum(head, castagnoli))
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	sum := uint32(0)
	var buf []byte
	for i := range set.blocks {
		if set.blocks[i].n == 0 {
			continue
		}
		buf = appendRowBlock(buf[:0], uint32(i), &set.blocks[i])
		sum = crc32.Update(sum, castagnoli, buf)
		if _, err := w.Write(buf); err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
	}
	if _, err := w.Write(le.AppendUint32(nil, sum)); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

// appendRowBlock encodes a block.
func appendRowBlock(dst []byte, number uint32, b *rowBlock) []byte {
	le := binary.LittleEndian
	var scratch []uint16
	if b.bits != nil {
		scratch = make([]uint16, 0, b.n)
	}
	rows := b.each(scratch)
	runs := countRuns(rows)
	head := func(kind storage.Kind, units int) {
		dst = le.AppendUint32(dst, number)
		dst = le.AppendUint16(dst, uint16(kind))
		dst = le.AppendUint16(dst, uint16(units-1))
	}
	switch size := min(2*len(rows), 8*kernel.Words); {
	case 4*runs < size:
		head(storage.Runs, runs)
		for i := 0; i < len(rows); {
			j := i + 1
			for j < len(rows) && rows[j] == rows[j-1]+1 {
				j++
			}
			dst = le.AppendUint16(dst, rows[i])
			dst = le.AppendUint16(dst, rows[j-1])
			i = j
		}
	case 2*len(rows) == size && b.bits == nil:
		head(storage.Array, len(rows))
		for _, r := range rows {
			dst = le.AppendUint16(dst, r)
		}
	default:
		head(storage.Bitmap, kernel.Words)
		for _, w := range b.bits {
			dst = le.AppendUint64(dst, w)
		}
	}
	return dst
}

func countRuns(rows []uint16) int {
	n := 0
	for i, r := range rows {
		if i == 0 || r != rows[i-1]+1 {
			n++
		}
	}
	return n
}

// ReadRows implements engine.RowStore. It reads r to its end.
func (g *generation) ReadRows(r io.Reader) (query.RowSet, error) {
	set, err := g.readRows(r)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, corruptRows("cut short")
	case err != nil:
		return nil, err
	}
	return set, nil
}

func corruptRows(what string) error {
	return fmt.Errorf("read rows: %w: file of rows: %s", engine.ErrCorrupt, what)
}

func (g *core) readRows(r io.Reader) (*rowSet, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var head [rowsHeader + 4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	le := binary.LittleEndian
	switch {
	case string(head[:8]) != rowsMagic:
		return nil, corruptRows("not one")
	case le.Uint32(head[rowsHeader:]) != crc32.Checksum(head[:rowsHeader], castagnoli):
		return nil, corruptRows("checksum differs")
	case le.Uint32(head[8:]) != rowsFormat:
		return nil, fmt.Errorf("read rows: format %d is not known", le.Uint32(head[8:]))
	case [32]byte(head[24:]) != g.stamp:
		return nil, engine.ErrForeignRows
	}
	used := int(le.Uint32(head[12:]))
	if used > g.blocks {
		return nil, corruptRows("more blocks than the generation has")
	}
	br := blockReader{in: in, sum: crc32.New(castagnoli)}
	blocks := make([]rowBlock, g.blocks)
	last := -1
	for range used {
		number, b, err := br.next(g, last)
		if err != nil {
			return nil, err
		}
		blocks[number], last = b, number
	}
	sum := br.sum.Sum32()
	if _, err := io.ReadFull(in, head[:4]); err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	if le.Uint32(head[:]) != sum {
		return nil, corruptRows("checksum differs")
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, fmt.Errorf("read rows: %w", err)
		}
		return nil, corruptRows("goes on behind its end")
	}
	set := g.newRowSet(blocks)
	if set.n != le.Uint64(head[16:]) {
		return nil, corruptRows("number of rows differs")
	}
	return set, nil
}

// blockReader reads the blocks of a file of rows. What it returns is sound
// whatever the file holds.
type blockReader struct {
	in  io.Reader
	sum hash.Hash32
	buf []byte
	acc kernel.Block
}

func (br *blockReader) read(n int) ([]byte, error) {
	br.buf = resize(br.buf, n)
	if _, err := io.ReadFull(br.in, br.buf); err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	br.sum.Write(br.buf)
	return br.buf, nil
}

// next reads a block, whose number is above last.
func (br *blockReader) next(g *core, last int) (number int, b rowBlock, err error) {
	head, err := br.read(8)
	if err != nil {
		return 0, b, err
	}
	le := binary.LittleEndian
	at, kind, units := le.Uint32(head), storage.Kind(le.Uint16(head[4:])), int(le.Uint16(head[6:]))+1
	if int64(at) <= int64(last) || int64(at) >= int64(g.blocks) {
		return 0, b, corruptRows("blocks are out of order")
	}
	number = int(at)
	var ok bool
	clear(br.acc[:])
	switch kind {
	case storage.Array:
		ok, err = br.array(units)
	case storage.Bitmap:
		ok, err = br.bitmap(units)
	case storage.Runs:
		ok, err = br.runs(units)
	case storage.None:
	}
	if err != nil {
		return 0, b, err
	}
	limit := min(storage.BlockRows, int(g.rows)-number*storage.BlockRows)
	n := kernel.Count(&br.acc)
	if !ok || n == 0 || kernel.HasFrom(&br.acc, limit) {
		return 0, b, corruptRows("a block contradicts itself")
	}
	return number, newRowBlock(&br.acc, n), nil
}

func (br *blockReader) array(units int) (ok bool, err error) {
	b, err := br.read(2 * units)
	if err != nil {
		return false, err
	}
	for last := -1; len(b) > 0; b = b[2:] {
		row := binary.LittleEndian.Uint16(b)
		if int(row) <= last {
			return false, nil
		}
		last = int(row)
		br.acc[row/64] |= 1 << (row % 64)
	}
	return true, nil
}

func (br *blockReader) bitmap(units int) (ok bool, err error) {
	if units != kernel.Words {
		return false, nil
	}
	b, err := br.read(8 * units)
	if err != nil {
		return false, err
	}
	for i := range br.acc {
		br.acc[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return true, nil
}

func (br *blockReader) runs(units int) (ok bool, err error) {
	b, err := br.read(4 * units)
	if err != nil {
		return false, err
	}
	for next := 0; len(b) > 0; b = b[4:] {
		first, last := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
		if int(first) < next || last < first {
			return false, nil
		}
		next = int(last) + 2 // runs do not touch
		kernel.OrRange(&br.acc, first, last)
	}
	return true, nil
}
