package export

import (
	"fmt"
	"hash/crc32"
	"io"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/format"

	"throng/internal/huffgz"
	"throng/internal/parquetfile"
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

// parquetWriter writes a file of pairs.
type parquetWriter struct {
	file    *parquetfile.Writer
	columns [2]parquetColumn
	rows    int // of the row group
}

// parquetColumn is a column of the row group that is being made.
type parquetColumn struct {
	chunk        parquetfile.Chunk
	packer       huffgz.Encoder
	page, packed []byte // scratch
	offsets      []uint32
}

// WriteParquet writes the pairs as a Parquet file with the columns person and the
// type's name.
func (p *Pairs) WriteParquet(w io.Writer) error {
	out := &parquetWriter{}
	schema := parquetfile.Schema{Name: "pairs", CreatedBy: "throng"}
	for i, name := range []string{"person", string(p.typ)} {
		schema.Columns = append(schema.Columns, parquetfile.Column{Name: name, Type: format.ByteArray, Codec: format.Gzip})
		out.columns[i].chunk.Encodings = []format.Encoding{format.DeltaLengthByteArray}
	}
	out.file = parquetfile.NewWriter(w, schema)
	for more := true; more && out.file.Err() == nil; {
		var err error
		if more, err = p.next(); err != nil {
			return err
		}
		if err := out.add(&p.person, &p.value); err != nil {
			return err
		}
	}
	out.flush()
	return out.file.Close()
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
	if p.rows += len(person.ends); p.rows >= parquetRows {
		p.flush()
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
	c.chunk.Data(len(values.ends), format.DeltaLengthByteArray, len(c.page), c.packed, crc32.ChecksumIEEE(c.packed))
	return nil
}

// flush ends a row group.
func (p *parquetWriter) flush() {
	if p.rows == 0 {
		return
	}
	p.file.Group(p.rows)
	for i := range p.columns {
		p.file.Column(&p.columns[i].chunk)
	}
	p.rows = 0
}
