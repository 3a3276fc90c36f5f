package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// maxPage is the largest page read, in bytes, compressed or not. Writers make
// pages of one megabyte, some of a hundred.
const maxPage = 1 << 30

// checkFooter checks the end of a file before the Parquet reader allocates as
// much as it says.
func checkFooter(in io.ReaderAt, size int64) error {
	const magic = "PAR1"
	if size < int64(2*len(magic)+4) {
		return errTruncated
	}
	var end [8]byte // the length of the footer, and the magic
	if _, err := in.ReadAt(end[:], size-int64(len(end))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(end[4:]) != magic {
		return errors.New("file has no Parquet footer: it is truncated or no Parquet file")
	}
	if n := int64(binary.LittleEndian.Uint32(end[:4])); n > size-int64(len(end)+len(magic)) {
		return errors.New("file is damaged: length of the footer")
	}
	return nil
}

// checkPages walks the headers of the pages of one column of a row group before
// the Parquet reader sees them: it believes every size that it reads there, and
// allocates it.
func (p *parquetFile) checkPages(meta *format.ColumnMetaData, rows int64) error {
	from := meta.DataPageOffset
	if meta.DictionaryPageOffset != 0 {
		from = meta.DictionaryPageOffset
	}
	if from < 0 || meta.TotalCompressedSize < 0 || from+meta.TotalCompressedSize < from {
		return errors.New("file is damaged: offset of a column")
	}
	section := io.NewSectionReader(p.file, from, meta.TotalCompressedSize)
	w := pageWalker{in: section, size: section.Size()}
	values := int64(0)
	for w.at < w.size {
		header, err := w.next()
		if err != nil {
			return err
		}
		n := int64(0)
		switch header.Type {
		case format.DataPage:
			n = int64(header.DataPageHeader.V.NumValues)
			values += n
		case format.DataPageV2:
			n = int64(header.DataPageHeaderV2.V.NumValues)
			values += n
		case format.DictionaryPage:
			n = int64(header.DictionaryPageHeader.V.NumValues)
		case format.IndexPage: // holds no values
		}
		if n < 0 || n > rows || values > rows {
			return errors.New("file is damaged: number of values in a page")
		}
		w.at += int64(header.CompressedPageSize)
	}
	return nil
}

// pageWalker reads headers of pages.
type pageWalker struct {
	in     io.ReaderAt
	at     int64 // of the next header, then of the page behind it
	size   int64
	buffer []byte
}

// next reads the header at w.at and moves behind it.
func (w *pageWalker) next() (*format.PageHeader, error) {
	const usual, most = 1 << 10, 64 << 20 // headers hold the least and the greatest value
	for size := int64(usual); ; size *= 8 {
		size = min(size, w.size-w.at)
		if int64(cap(w.buffer)) < size {
			w.buffer = make([]byte, size)
		}
		n, err := w.in.ReadAt(w.buffer[:size], w.at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if int64(n) < size {
			return nil, errTruncated
		}
		r := bytes.NewReader(w.buffer[:n])
		header := &format.PageHeader{}
		err = thrift.NewDecoder((&thrift.CompactProtocol{}).NewReader(r)).Decode(header)
		if err != nil {
			if size == w.size-w.at || size >= most {
				return nil, fmt.Errorf("file is damaged: header of a page: %w", err)
			}
			continue
		}
		w.at += size - int64(r.Len())
		if s := int64(header.CompressedPageSize); s < 0 || s > min(maxPage, w.size-w.at) {
			return nil, errors.New("file is damaged: size of a page")
		}
		if s := header.UncompressedPageSize; s < 0 || s > maxPage {
			return nil, errors.New("file is damaged: size of a page")
		}
		return header, nil
	}
}

// checkGroup checks the pages of the columns that are read, of row group i.
func (p *parquetFile) checkGroup(i int) (err error) {
	defer damaged(&err)
	groups := p.pf.Metadata().RowGroups
	if i >= len(groups) {
		return errors.New("file is damaged: number of row groups")
	}
	for _, c := range p.columns {
		if c.leaf < 0 || c.leaf >= len(groups[i].Columns) {
			return errors.New("file is damaged: a row group lacks a column")
		}
		meta := &groups[i].Columns[c.leaf].MetaData
		if err := p.checkPages(meta, groups[i].NumRows); err != nil {
			return err
		}
	}
	return nil
}
