// Package parquetfile writes the frame of Parquet files of flat columns: page
// headers, row groups and the footer. What stands in the pages is made and
// compressed by its users, who know their values well enough to need no
// general writer.
package parquetfile

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const magic = "PAR1"

// Schema says what a file holds.
type Schema struct {
	// Name is that of the root, CreatedBy that of the program.
	Name, CreatedBy string
	Columns         []Column
}

// Column is a flat column. Those of byte arrays are texts.
type Column struct {
	Name     string
	Type     format.Type
	Optional bool
	Codec    format.CompressionCodec
}

// Writer writes one file. After an error it writes nothing more; Close tells
// the first. It is for one goroutine.
type Writer struct {
	out    io.Writer
	at     int64
	schema Schema
	groups []format.RowGroup
	rows   int64
	err    error
}

// NewWriter begins a file.
func NewWriter(out io.Writer, schema Schema) *Writer {
	w := &Writer{out: out, schema: schema}
	w.write([]byte(magic))
	return w
}

// Rows is how many rows the groups begun so far have.
func (w *Writer) Rows() int64 { return w.rows }

// Err is the first error.
func (w *Writer) Err() error { return w.err }

// Group begins a row group of so many rows. Its columns follow, each by a call
// of Column.
func (w *Writer) Group(rows int) {
	w.groups = append(w.groups, format.RowGroup{NumRows: int64(rows), FileOffset: w.at, Ordinal: int16(len(w.groups))})
	w.rows += int64(rows)
}

// Column writes the next column of the group, and empties c.
func (w *Writer) Column(c *Chunk) {
	group := &w.groups[len(w.groups)-1]
	column := w.schema.Columns[len(group.Columns)]
	meta := format.ColumnMetaData{
		Type: column.Type, Encoding: c.Encodings, PathInSchema: []string{column.Name}, Codec: column.Codec,
		NumValues: group.NumRows, TotalUncompressedSize: c.plain, TotalCompressedSize: int64(len(c.pages)),
		DataPageOffset: w.at + c.dictionary,
	}
	if c.dictionary > 0 {
		meta.DictionaryPageOffset = w.at
	}
	group.Columns = append(group.Columns, format.ColumnChunk{MetaData: meta})
	group.TotalByteSize += meta.TotalUncompressedSize
	group.TotalCompressedSize += meta.TotalCompressedSize
	if w.err == nil {
		w.err = c.err
	}
	w.write(c.pages)
	c.pages, c.plain, c.dictionary, c.err = c.pages[:0], 0, 0, nil
}

// Close writes the footer. It does not close what is written to.
func (w *Writer) Close() error {
	columns := w.schema.Columns
	schema := []format.SchemaElement{{Name: w.schema.Name, NumChildren: thrift.New(int32(len(columns)))}}
	for _, c := range columns {
		e := format.SchemaElement{Name: c.Name, Type: thrift.New(c.Type), RepetitionType: thrift.New(format.Required)}
		if c.Optional {
			e.RepetitionType = thrift.New(format.Optional)
		}
		if c.Type == format.ByteArray {
			e.ConvertedType = thrift.New(deprecated.UTF8)
			e.LogicalType = format.LogicalType{Value: new(format.StringType)}
		}
		schema = append(schema, e)
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &format.FileMetaData{
		Version: 1, Schema: schema, NumRows: w.rows, RowGroups: w.groups, CreatedBy: w.schema.CreatedBy,
	})
	if err != nil {
		return fmt.Errorf("encode footer: %w", err)
	}
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	w.write(append(footer, magic...))
	return w.err
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.out.Write(b)
	w.at += int64(n)
	w.err = err
}

// Chunk collects the pages of a column of one row group. The zero value is
// empty; its memory is used again.
type Chunk struct {
	// Encodings are those that its pages use.
	Encodings []format.Encoding

	pages      []byte
	plain      int64 // size of the pages before they were compressed
	dictionary int64 // size of the dictionary's page; 0 for none
	err        error // the first
}

// Dictionary adds the page of a dictionary, which comes first. size is that of
// the plain values, packed what they are compressed to.
func (c *Chunk) Dictionary(values, size int, packed []byte) {
	c.page(size, packed, format.PageHeader{
		Type:                 format.DictionaryPage,
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(values), Encoding: format.Plain}),
	})
	c.dictionary = int64(len(c.pages))
}

// Data adds a page of values, absent ones included. crc is the checksum of
// packed, 0 for none.
func (c *Chunk) Data(values int, encoding format.Encoding, size int, packed []byte, crc uint32) {
	c.page(size, packed, format.PageHeader{
		Type: format.DataPage, CRC: int32(crc),
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(values), Encoding: encoding,
			DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		}),
	})
}

func (c *Chunk) page(size int, packed []byte, header format.PageHeader) {
	header.UncompressedPageSize, header.CompressedPageSize = int32(size), int32(len(packed))
	b, err := thrift.Marshal(new(thrift.CompactProtocol), &header)
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("encode page: %w", err)
	}
	c.pages = append(append(c.pages, b...), packed...)
	c.plain += int64(len(b) + size)
}

// AppendText appends a text in Parquet's plain form: its length in four bytes,
// then the text.
func AppendText[T []byte | string](dst []byte, text T) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(text))), text...)
}
