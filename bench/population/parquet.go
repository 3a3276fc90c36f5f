package population

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/klauspost/compress/s2"
	"github.com/parquet-go/parquet-go/format"

	"throng/internal/parquetfile"
)

// parquetFile writes a Parquet file of text columns that are never null. Row
// groups are handed over whole, with the dictionaries made already: of rows
// that come out of a generator in order, a dictionary costs nothing, while a
// general writer hashes every value.
type parquetFile struct {
	*parquetfile.Writer
	file   *os.File
	out    *bufio.Writer
	chunk  parquetfile.Chunk
	page   []byte
	shrunk []byte
}

// flushBytes is how much is kept before it is written.
const flushBytes = 1 << 20

func createParquet(path string, columns ...string) (*parquetFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	schema := parquetfile.Schema{Name: "schema", CreatedBy: "throng bench"}
	for _, name := range columns {
		schema.Columns = append(schema.Columns, parquetfile.Column{Name: name, Type: format.ByteArray, Codec: format.Snappy})
	}
	out := bufio.NewWriterSize(f, flushBytes)
	return &parquetFile{Writer: parquetfile.NewWriter(out, schema), file: f, out: out}, nil
}

// parquetColumn is one column of a row group. Either values holds every value,
// or dict the distinct ones and one of narrow and wide their positions. Both
// are in Parquet's plain form: the length in four bytes, then the text.
type parquetColumn struct {
	values []byte
	dict   []byte
	terms  int // in dict
	narrow []uint8
	wide   []uint16
	// same says that all rows have the only value of dict.
	same bool
	// shrink says that data pages are worth compressing; dictionaries always are.
	shrink bool
}

// group writes a row group; one column for each of the file, in order.
func (p *parquetFile) group(rows int, columns ...parquetColumn) {
	if rows == 0 || p.Err() != nil {
		return
	}
	p.Group(rows)
	for _, c := range columns {
		p.column(rows, c)
	}
}

func (p *parquetFile) column(rows int, c parquetColumn) {
	p.chunk.Encodings = []format.Encoding{format.Plain}
	encoding, page := format.Plain, c.values
	if c.values == nil {
		p.chunk.Dictionary(c.terms, len(c.dict), p.pack(c.dict, true))
		encoding = format.RLEDictionary
		p.chunk.Encodings = append(p.chunk.Encodings, encoding)
		p.page = c.positions(p.page[:0], rows)
		page = p.page
	}
	p.chunk.Data(rows, encoding, len(page), p.pack(page, c.shrink), 0)
	p.Column(&p.chunk)
}

// positions appends the body of a data page of positions: their width, then one
// run. Widths of whole bytes are packed by copying.
func (c *parquetColumn) positions(b []byte, rows int) []byte {
	if c.same {
		b = append(b, 8)
		b = binary.AppendUvarint(b, uint64(rows)<<1)
		return append(b, 0)
	}
	groups := (rows + 7) / 8
	width := 1
	if c.wide != nil {
		width = 2
	}
	b = append(b, byte(8*width))
	b = binary.AppendUvarint(b, uint64(groups)<<1|1)
	if c.wide != nil {
		for _, x := range c.wide {
			b = binary.LittleEndian.AppendUint16(b, x)
		}
	} else {
		b = append(b, c.narrow...)
	}
	return append(b, make([]byte, (groups*8-rows)*width)...)
}

// pack compresses a page; the bytes are valid until the next call. Without
// shrink the page is kept in one literal, which costs a copy.
func (p *parquetFile) pack(page []byte, shrink bool) []byte {
	if shrink {
		p.shrunk = s2.EncodeSnappy(p.shrunk[:cap(p.shrunk)], page)
	} else {
		p.shrunk = appendLiteral(p.shrunk[:0], page)
	}
	return p.shrunk
}

// appendLiteral appends a Snappy block that holds the page as it is.
func appendLiteral(b, page []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(page)))
	if len(page) == 0 {
		return b
	}
	const fourBytes = 63 << 2 // of length follow
	b = append(b, fourBytes)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(page)-1))
	return append(b, page...)
}

// close writes the footer and makes the file durable.
func (p *parquetFile) close() error {
	err := p.Close()
	if err == nil {
		err = p.out.Flush()
	}
	if err == nil {
		err = p.file.Sync()
	}
	if err = errors.Join(err, p.file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", p.file.Name(), err)
	}
	return nil
}

// plainStrings is a dictionary of texts in Parquet's plain form.
func plainStrings(texts ...string) []byte {
	var b []byte
	for _, t := range texts {
		b = parquetfile.AppendText(b, t)
	}
	return b
}
