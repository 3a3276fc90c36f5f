// Package huffgz compresses text to the gzip format (RFC 1952) by Huffman
// coding alone. Identifiers have next to no repetitions to find, and the
// search for them is what costs general compressors their time.
//
// The output depends on the text alone, not on how it was cut into writes, so
// that one text always has one compressed form.
package huffgz

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// blockBytes is how much text makes a block of its own, with its own code.
const blockBytes = 128 << 10

// header begins a gzip member: deflate, no name, no time, system unknown.
const header = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// errClosed says that a Writer was used after Close.
var errClosed = errors.New("write compressed text: writer is closed")

// Writer compresses what is written to it into one gzip member. It keeps some
// 800 KiB and is for one goroutine.
type Writer struct {
	w    io.Writer
	c    coder
	text []byte
	sum  uint32
	size uint32 // of the text, modulo 2^32
	err  error
}

// NewWriter returns a Writer to w. Nothing is written before the first block
// is full, or Close.
func NewWriter(w io.Writer) *Writer {
	z := &Writer{w: w, text: make([]byte, 0, blockBytes)}
	z.c.out = append(z.c.out, header...)
	return z
}

// Write implements io.Writer. Its errors are those of the writer below.
func (z *Writer) Write(p []byte) (n int, err error) {
	if z.err != nil {
		return 0, z.err
	}
	n = len(p)
	for len(p) > 0 {
		if len(z.text) == 0 && len(p) > blockBytes { // no need to copy it
			z.block(p[:blockBytes], false)
			p = p[blockBytes:]
			continue
		}
		if len(z.text) == blockBytes {
			z.block(z.text, false)
			z.text = z.text[:0]
			continue
		}
		k := min(len(p), blockBytes-len(z.text))
		z.text, p = append(z.text, p[:k]...), p[k:]
	}
	if z.err != nil {
		return 0, z.err
	}
	return n, nil
}

func (z *Writer) block(text []byte, last bool) {
	z.sum = crc32.Update(z.sum, crc32.IEEETable, text)
	z.size += uint32(len(text))
	z.c.block(text, last)
	if last {
		z.c.align()
		z.c.out = binary.LittleEndian.AppendUint32(z.c.out, z.sum)
		z.c.out = binary.LittleEndian.AppendUint32(z.c.out, z.size)
	}
	if z.err == nil {
		_, z.err = z.w.Write(z.c.out)
	}
	z.c.out = z.c.out[:0]
}

// Close writes the rest of the member. It does not close the writer below.
func (z *Writer) Close() error {
	if z.err != nil {
		return z.err
	}
	z.block(z.text, true)
	if z.err != nil {
		return z.err
	}
	z.err = errClosed
	return nil
}

// Encoder compresses texts one by one. What it makes of one depends on those
// before, from which it keeps the code while it fits. The zero value is ready;
// it keeps some 400 KiB and is for one goroutine.
type Encoder struct{ c coder }

// Append appends lead and text as one gzip member to dst; lead, which is
// nothing like text, is put there as it is.
func (e *Encoder) Append(dst, lead, text []byte) []byte {
	sum, size := crc32.Update(crc32.ChecksumIEEE(lead), crc32.IEEETable, text), uint32(len(lead)+len(text))
	e.c.out = append(dst, header...)
	if len(lead) > 0 {
		e.c.stored(lead, false)
	}
	for len(text) > blockBytes {
		e.c.block(text[:blockBytes], false)
		text = text[blockBytes:]
	}
	e.c.block(text, true)
	e.c.align()
	dst = binary.LittleEndian.AppendUint32(e.c.out, sum)
	e.c.out = nil
	return binary.LittleEndian.AppendUint32(dst, size)
}
