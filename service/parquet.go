package service

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"throng/identifier"
	"throng/internal/huffgz"
)

// A Parquet file of pairs is two columns of required texts, in row groups of a
// bounded length, whose pages hold the lengths of the values (packed
// differences), then the values, compressed as gzip. The library writes such
// files too, value by value through an interface; here whole pages of values
// on end are encoded.
const (
	// parquetRows is the length of a row group: some 3 MB of a column are
	// held before they are written.
	parquetRows = 32 * pairBatch
	// pageRows is the length of a page.
	pageRows = pairBatch
)

const parquetMagic = "PAR1"

// parquetWriter writes a file of pairs.
type parquetWriter struct {
	w       io.Writer
	offset  int64
	columns [2]parquetColumn
	rows    int64 // of the row group
	groups  []format.RowGroup
	total   int64 // rows written
	ordinal int16
}

// parquetColumn is a column of the row group that is being made.
type parquetColumn struct {
	name              string
	pages             []byte // encoded, with their headers
	plain, compressed int64  // their sizes
	packer            huffgz.Encoder
	page, packed      []byte // scratch
	offsets           []uint32
}

// writeParquet writes pairs as a Parquet file.
func writeParquet(w io.Writer, t identifier.Type, pairs *pairReader) error {
	out := &parquetWriter{w: w}
	out.columns[0].name, out.columns[1].name = "person", string(t)
	if err := out.write([]byte(parquetMagic)); err != nil {
		return err
	}
	for more := true; more; {
		var err error
		if more, err = pairs.next(); err != nil {
			return err
		}
		if err := out.add(&pairs.person, &pairs.value); err != nil {
			return err
		}
	}
	return out.close()
}

func (p *parquetWriter) write(b []byte) error {
	n, err := p.w.Write(b)
	p.offset += int64(n)
	return err
}

// add writes pairs, of pageRows at most.
func (p *parquetWriter) add(person, value *textList) error {
	if len(person.ends) == 0 {
		return nil
	}
	for i, values := range []*textList{person, value} {
		if err := p.columns[i].add(values); err != nil {
			return fmt.Errorf("encode page: %w", err)
		}
	}
	if p.rows += int64(len(person.ends)); p.rows >= parquetRows {
		return p.flush()
	}
	return nil
}

// add makes a page of values.
func (c *parquetColumn) add(values *textList) (err error) {
	c.offsets = append(append(c.offsets[:0], 0), values.ends...)
	if c.page, err = new(delta.LengthByteArrayEncoding).EncodeByteArray(c.page[:0], values.data, c.offsets); err != nil {
		return err
	}
	lengths := len(c.page) - len(values.data)
	c.packed = c.packer.Append(c.packed[:0], c.page[:lengths], values.data)
	header := format.PageHeader{
		Type: format.DataPage, UncompressedPageSize: int32(len(c.page)), CompressedPageSize: int32(len(c.packed)),
		CRC: int32(crc32.ChecksumIEEE(c.packed)),
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(len(values.ends)), Encoding: format.DeltaLengthByteArray,
			DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		}),
	}
	b, err := thrift.Marshal(new(thrift.CompactProtocol), &header)
	if err != nil {
		return err
	}
	c.pages = append(append(c.pages, b...), c.packed...)
	c.plain += int64(len(b) + len(c.page))
	c.compressed += int64(len(b) + len(c.packed))
	return nil
}

// flush ends a row group.
func (p *parquetWriter) flush() error {
	if p.rows == 0 {
		return nil
	}
	group := format.RowGroup{NumRows: p.rows, FileOffset: p.offset, Ordinal: p.ordinal}
	for i := range p.columns {
		c := &p.columns[i]
		group.Columns = append(group.Columns, format.ColumnChunk{
			MetaData: format.ColumnMetaData{
				Type: format.ByteArray, Encoding: []format.Encoding{format.DeltaLengthByteArray}, PathInSchema: []string{c.name},
				Codec: format.Gzip, NumValues: p.rows, TotalUncompressedSize: c.plain, TotalCompressedSize: c.compressed,
				DataPageOffset: p.offset,
			},
		})
		group.TotalByteSize += c.plain
		group.TotalCompressedSize += c.compressed
		if err := p.write(c.pages); err != nil {
			return err
		}
		c.pages, c.plain, c.compressed = c.pages[:0], 0, 0
	}
	p.groups = append(p.groups, group)
	p.total += p.rows
	p.rows = 0
	p.ordinal++
	return nil
}

// close ends the file.
func (p *parquetWriter) close() error {
	if err := p.flush(); err != nil {
		return err
	}
	schema := []format.SchemaElement{{Name: "pairs", NumChildren: thrift.New(int32(len(p.columns)))}}
	for _, c := range p.columns {
		schema = append(schema, format.SchemaElement{
			Name: c.name, Type: thrift.New(format.ByteArray), RepetitionType: thrift.New(format.Required),
			ConvertedType: thrift.New(deprecated.UTF8), LogicalType: format.LogicalType{Value: new(format.StringType)},
		})
	}
	b, err := thrift.Marshal(new(thrift.CompactProtocol), &format.FileMetaData{
		Version: 1, Schema: schema, NumRows: p.total, RowGroups: p.groups, CreatedBy: "throng",
	})
	if err != nil {
		return fmt.Errorf("encode footer: %w", err)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(b)))
	return p.write(append(b, parquetMagic...))
}
