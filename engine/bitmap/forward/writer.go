package forward

import (
	"encoding/binary"
	"fmt"

	"throng/engine/bitmap/format"
)

// Writer writes the forward index of a part, block by block. It is for
// one goroutine.
type Writer struct {
	w      *format.Writer
	first  uint32
	rows   int
	codes  *Codes
	blocks []blockMeta
}

// Name is the name of the file of a part's forward index within a
// generation's folder.
func Name(part int) string { return fmt.Sprintf("parts/%05d.forward", part) }

// NewWriter creates the file of a part under dir. first is the number
// of its first row, a multiple of format.PartRows; rows how many it has.
func NewWriter(dir, name string, first uint32, rows int, codes *Codes) (*Writer, error) {
	w, err := format.Create(dir, name, format.KindForward)
	if err != nil {
		return nil, err
	}
	fw := &Writer{w: w, first: first, rows: rows, codes: codes}
	w.Append(format.Bytes(codes.terms))
	return fw, w.Err()
}

// Add writes the section of the next block, which may be used again afterwards.
func (fw *Writer) Add(e *Encoded) error {
	fw.w.Align(8)
	b := e.block
	b.at = fw.w.Len()
	fw.w.Append(e.data)
	fw.blocks = append(fw.blocks, b)
	return fw.w.Err()
}

// Close ends the file and makes it durable.
func (fw *Writer) Close() (format.FileSum, error) {
	le := binary.LittleEndian
	meta := le.AppendUint32(nil, fw.first)
	meta = le.AppendUint32(meta, uint32(fw.rows))
	meta = le.AppendUint32(meta, fw.codes.counted.Limit())
	meta = le.AppendUint32(meta, uint32(len(fw.codes.terms)))
	meta = le.AppendUint16(meta, uint16(fw.codes.dense))
	meta = le.AppendUint16(meta, uint16(fw.codes.short))
	flags := uint32(0)
	if fw.codes.rare {
		flags |= flagRare
	}
	meta = le.AppendUint32(meta, flags)
	for i := range fw.blocks {
		meta = fw.blocks[i].append(meta)
	}
	return fw.w.Finish(meta)
}

// Abort closes the file without ending it. After Close it does nothing.
func (fw *Writer) Abort() { fw.w.Abort() }
