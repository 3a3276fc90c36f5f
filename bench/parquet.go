package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/klauspost/compress/s2"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// parquetFile writes a Parquet file of text columns that are never null. Row
// groups are handed over whole, with the dictionaries made already: of rows
// that come out of a generator in order, a dictionary costs nothing, while a
// general writer hashes every value.
type parquetFile struct {
	file    *os.File
	columns []string
	out     []byte // what is not written yet
	at      int64  // offset of the next byte
	groups  []format.RowGroup
	rows    int64
	page    []byte
	shrunk  []byte
	err     error // the first
}

const parquetMagic = "PAR1"

// flushBytes is how much is kept before it is written.
const flushBytes = 1 << 20

func createParquet(path string, columns ...string) (*parquetFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	p := &parquetFile{file: f, columns: columns}
	p.write([]byte(parquetMagic))
	return p, nil
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

// appendPlain appends a value in Parquet's plain form.
func appendPlain[T []byte | string](b []byte, value T) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// group writes a row group; one column for each of the file, in order.
func (p *parquetFile) group(rows int, columns ...parquetColumn) {
	if rows == 0 || p.err != nil {
		return
	}
	g := format.RowGroup{NumRows: int64(rows), FileOffset: p.at, Ordinal: int16(len(p.groups))}
	for i, c := range columns {
		meta := p.column(rows, c)
		meta.PathInSchema = []string{p.columns[i]}
		g.Columns = append(g.Columns, format.ColumnChunk{MetaData: meta})
		g.TotalByteSize += meta.TotalUncompressedSize
		g.TotalCompressedSize += meta.TotalCompressedSize
	}
	p.groups = append(p.groups, g)
	p.rows += int64(rows)
}

func (p *parquetFile) column(rows int, c parquetColumn) format.ColumnMetaData {
	meta := format.ColumnMetaData{Type: format.ByteArray, Codec: format.Snappy, NumValues: int64(rows)}
	start := p.at
	encoding := format.Plain
	page := c.values
	if c.values == nil {
		meta.DictionaryPageOffset = p.at
		meta.TotalUncompressedSize += p.writePage(c.dict, true, format.PageHeader{
			Type:                 format.DictionaryPage,
			DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(c.terms), Encoding: format.Plain}),
		})
		encoding = format.RLEDictionary
		p.page = c.positions(p.page[:0], rows)
		page = p.page
		meta.Encoding = []format.Encoding{format.Plain, format.RLEDictionary}
	} else {
		meta.Encoding = []format.Encoding{format.Plain}
	}
	meta.DataPageOffset = p.at
	meta.TotalUncompressedSize += p.writePage(page, c.shrink, format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(rows), Encoding: encoding,
			DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		}),
	})
	meta.TotalCompressedSize = p.at - start
	return meta
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

// writePage writes a page and returns its size as it would be uncompressed.
// Without shrink the page is kept in one literal, which costs a copy.
func (p *parquetFile) writePage(page []byte, shrink bool, header format.PageHeader) int64 {
	if shrink {
		p.shrunk = s2.EncodeSnappy(p.shrunk[:cap(p.shrunk)], page)
	} else {
		p.shrunk = appendLiteral(p.shrunk[:0], page)
	}
	header.UncompressedPageSize = int32(len(page))
	header.CompressedPageSize = int32(len(p.shrunk))
	head, err := thrift.Marshal(&thrift.CompactProtocol{}, &header)
	p.fail(err)
	p.write(head)
	p.write(p.shrunk)
	return int64(len(head) + len(page))
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

func (p *parquetFile) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *parquetFile) write(b []byte) {
	p.at += int64(len(b))
	if p.out = append(p.out, b...); len(p.out) >= flushBytes {
		p.flush()
	}
}

func (p *parquetFile) flush() {
	if p.err == nil {
		_, p.err = p.file.Write(p.out)
	}
	p.out = p.out[:0]
}

// close writes the footer and makes the file durable.
func (p *parquetFile) close() error {
	columns := len(p.columns)
	schema := []format.SchemaElement{{Name: "schema", NumChildren: thrift.New(int32(columns))}}
	for _, name := range p.columns {
		schema = append(schema, format.SchemaElement{
			Name: name, Type: thrift.New(format.ByteArray),
			RepetitionType: thrift.New(format.Required),
			ConvertedType:  thrift.New(deprecated.UTF8),
		})
	}
	foot, err := thrift.Marshal(&thrift.CompactProtocol{}, &format.FileMetaData{
		Version: 1, Schema: schema, NumRows: p.rows, RowGroups: p.groups, CreatedBy: "throng bench",
	})
	p.fail(err)
	p.write(foot)
	p.write(binary.LittleEndian.AppendUint32(nil, uint32(len(foot))))
	p.write([]byte(parquetMagic))
	p.flush()
	if p.err == nil {
		p.err = p.file.Sync()
	}
	err = errors.Join(p.err, p.file.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", p.file.Name(), err)
	}
	return nil
}

// plainStrings is a dictionary of texts in Parquet's plain form.
func plainStrings(texts ...string) []byte {
	var b bytes.Buffer
	for _, t := range texts {
		b.Write(appendPlain(nil, t))
	}
	return b.Bytes()
}
