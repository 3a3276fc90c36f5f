package rowset

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"slices"

	"throng/engine"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
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
	magic    = "THRONGRS"
	format   = 1
	headSize = 8 + 4 + 4 + 8 + 32
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// Write writes the file of the set. The same rows give the same bytes.
func (s *Set) Write(w io.Writer) error {
	le := binary.LittleEndian
	used := uint32(0)
	for i := range s.Blocks {
		if s.Blocks[i].N > 0 {
			used++
		}
	}
	head := append(make([]byte, 0, headSize+4), magic...)
	head = le.AppendUint32(head, format)
	head = le.AppendUint32(head, used)
	head = le.AppendUint64(head, s.n)
	head = append(head, s.Stamp[:]...)
	head = le.AppendUint32(head, crc32.Checksum(head, crcTable))
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	sum := uint32(0)
	var buf []byte
	for i := range s.Blocks {
		if s.Blocks[i].N == 0 {
			continue
		}
		buf = appendBlock(buf[:0], uint32(i), &s.Blocks[i])
		sum = crc32.Update(sum, crcTable, buf)
		if _, err := w.Write(buf); err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
	}
	if _, err := w.Write(le.AppendUint32(nil, sum)); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

// appendBlock encodes a block.
func appendBlock(dst []byte, number uint32, b *Block) []byte {
	le := binary.LittleEndian
	var scratch []uint16
	if b.Bits != nil {
		scratch = make([]uint16, 0, b.N)
	}
	rows := b.Rows(scratch)
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
	case 2*len(rows) == size && b.Bits == nil:
		head(storage.Array, len(rows))
		for _, r := range rows {
			dst = le.AppendUint16(dst, r)
		}
	default:
		head(storage.Bitmap, kernel.Words)
		for _, w := range b.Bits {
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

// Read reads the file of a set of the generation with a stamp, which has so many
// rows, to its end. id becomes the set's. It returns an error that wraps
// engine.ErrCorrupt where the file is damaged, and engine.ErrForeignRows where it
// is of another generation. What it returns is sound whatever the file holds.
func Read(r io.Reader, stamp [32]byte, rows, id uint64) (*Set, error) {
	set, err := readFile(r, stamp, rows, id)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, corrupt("cut short")
	case err != nil:
		return nil, err
	}
	return set, nil
}

func corrupt(what string) error {
	return fmt.Errorf("read rows: %w: file of rows: %s", engine.ErrCorrupt, what)
}

func readFile(r io.Reader, stamp [32]byte, rows, id uint64) (*Set, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var head [headSize + 4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	le := binary.LittleEndian
	switch {
	case string(head[:8]) != magic:
		return nil, corrupt("not one")
	case le.Uint32(head[headSize:]) != crc32.Checksum(head[:headSize], crcTable):
		return nil, corrupt("checksum differs")
	case le.Uint32(head[8:]) != format:
		return nil, fmt.Errorf("read rows: format %d is not known", le.Uint32(head[8:]))
	case [32]byte(head[24:]) != stamp:
		return nil, engine.ErrForeignRows
	}
	used, all := int(le.Uint32(head[12:])), int((rows+storage.BlockRows-1)/storage.BlockRows)
	if used > all {
		return nil, corrupt("more blocks than the generation has")
	}
	br := blockReader{in: in, sum: crc32.New(crcTable), rows: int64(rows)}
	blocks := make([]Block, all)
	last := -1
	for range used {
		number, b, err := br.next(last)
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
		return nil, corrupt("checksum differs")
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, fmt.Errorf("read rows: %w", err)
		}
		return nil, corrupt("goes on behind its end")
	}
	set := New(stamp, id, blocks)
	if set.n != le.Uint64(head[16:]) {
		return nil, corrupt("number of rows differs")
	}
	return set, nil
}

// blockReader reads the blocks of a file of rows. What it returns is sound
// whatever the file holds.
type blockReader struct {
	in   io.Reader
	rows int64 // of the generation
	sum  hash.Hash32
	buf  []byte
	acc  kernel.Block
}

func (br *blockReader) read(n int) ([]byte, error) {
	br.buf = slices.Grow(br.buf[:0], n)[:n]
	if _, err := io.ReadFull(br.in, br.buf); err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	br.sum.Write(br.buf)
	return br.buf, nil
}

// next reads a block, whose number is above last.
func (br *blockReader) next(last int) (number int, b Block, err error) {
	head, err := br.read(8)
	if err != nil {
		return 0, b, err
	}
	le := binary.LittleEndian
	at, kind, units := le.Uint32(head), storage.Kind(le.Uint16(head[4:])), int(le.Uint16(head[6:]))+1
	if int64(at) <= int64(last) || int64(at)*storage.BlockRows >= br.rows {
		return 0, b, corrupt("blocks are out of order")
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
	limit := min(storage.BlockRows, int(br.rows)-number*storage.BlockRows)
	n := kernel.Count(&br.acc)
	if !ok || n == 0 || kernel.HasFrom(&br.acc, limit) {
		return 0, b, corrupt("a block contradicts itself")
	}
	return number, NewBlock(&br.acc, n), nil
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
