package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"throng/internal/parquettext"
)

const (
	// parquetRows is how many rows of a Parquet file make a batch.
	parquetRows = 4096
	// parquetBuffer is how much of a column is read at a time, in bytes.
	parquetBuffer = 128 << 10
	// maxArena bounds the text of a batch made of a Parquet file; offsets into
	// it have 32 bits.
	maxArena = 1 << 30
)

// parquetFile is one Parquet file, shared by those who read its row groups.
type parquetFile struct {
	*fileReader
	file    *os.File
	refs    atomic.Int32 // the file is closed when the last one goes
	pf      *parquet.File
	columns []parquetColumn
	rows    int64 // of the file
}

// parquetColumn is a column that is read.
type parquetColumn struct {
	leaf int // in the file
	col  int // in the table
	// text appends the text of a value that is not null; nil for strings,
	// which are text.
	text parquettext.Append
	// level is the definition level of values that are not null.
	level int
}

// readParquet makes a task of each row group. It takes over the file.
func (f *fileReader) readParquet(ctx context.Context, file *os.File) (err error) {
	p := &parquetFile{fileReader: f, file: file}
	p.refs.Store(1)
	defer func() { err = errors.Join(err, p.release()) }()
	groups, err := p.open()
	if err != nil {
		return f.wrap(err)
	}
	if p.rows == 0 {
		f.progress(f.file.Size)
	}
	var row int64
	seq := 0
	for i, g := range groups {
		first, firstSeq := row, seq
		p.refs.Add(1)
		err := f.add(ctx, func(b *Batch, emit func(*Batch) error) (err error) {
			defer func() { err = errors.Join(err, p.release()) }()
			if err := p.checkGroup(i); err != nil {
				return p.wrap(err)
			}
			return p.readGroup(g, first, firstSeq, b, emit)
		})
		if err != nil {
			p.refs.Add(-1)
			return err
		}
		row += g.NumRows()
		seq += int((g.NumRows() + parquetRows - 1) / parquetRows)
	}
	return nil
}

func (p *parquetFile) release() error {
	if p.refs.Add(-1) == 0 {
		return p.file.Close()
	}
	return nil
}

// damaged turns a panic of the Parquet reader, which is how it meets some
// malformed files, into an error.
func damaged(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("file is damaged: %v", v)
	}
}

// open reads the footer.
func (p *parquetFile) open() (groups []parquet.RowGroup, err error) {
	defer damaged(&err)
	info, err := p.file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFooter(p.file, info.Size()); err != nil {
		return nil, err
	}
	pf, err := parquet.OpenFile(p.file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(parquetBuffer))
	if err != nil {
		return nil, err
	}
	p.pf = pf
	leaves := pf.Root().Columns()
	names := make([]string, len(leaves))
	for i, c := range leaves {
		names[i] = c.Name()
	}
	cols, err := p.mapColumns(names)
	if err != nil {
		return nil, err
	}
	for i, c := range leaves {
		if cols[i] < 0 {
			continue
		}
		if !c.Leaf() || c.Repeated() || c.MaxRepetitionLevel() > 0 {
			return nil, fmt.Errorf("column %s is nested", c.Name())
		}
		// The reader returns wrong bytes for pages that shrank to more than a
		// third, and takes ever more memory for damaged ones.
		if codec := c.Compression(); codec != nil && codec.CompressionCodec() == format.Lz4Raw {
			return nil, fmt.Errorf("column %s is compressed with LZ4_RAW, which is not read: want zstd, snappy, gzip or brotli", c.Name())
		}
		text, err := parquettext.Of(c.Type())
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name(), err)
		}
		p.columns = append(p.columns, parquetColumn{leaf: c.Index(), col: cols[i], text: text, level: c.MaxDefinitionLevel()})
	}
	groups = pf.RowGroups()
	for _, g := range groups {
		n := g.NumRows()
		if n < 0 || p.rows+n < p.rows {
			return nil, errors.New("file is damaged: number of rows")
		}
		p.rows += n
	}
	return groups, nil
}

// readGroup emits the rows of a row group, whose first row and batch have these
// numbers in the file.
func (p *parquetFile) readGroup(g parquet.RowGroup, first int64, seq int, b *Batch, emit func(*Batch) error) (err error) {
	columns, err := p.openGroup(g)
	defer func() { err = errors.Join(err, closeColumns(columns)) }()
	if err != nil {
		return p.wrap(err)
	}
	// The texts of dictionaries lie at the start of the arena, for all batches
	// of the row group.
	arena := make([]byte, 0, parquetBuffer)
	for _, c := range columns {
		if arena, err = c.begin(arena); err != nil {
			return p.wrap(err)
		}
	}
	dict, group := uint32(len(arena)), p.table.groups.Add(1)
	clean := cleanOf(columns, arena)
	total := g.NumRows()
	for done := int64(0); done < total; seq++ {
		n := int(min(total-done, parquetRows))
		b.reset(p.fileReader, seq)
		b.addRows(int(first+done+1), n)
		reasons := map[int]string{}
		for _, c := range columns {
			if arena, err = c.fill(b, n, arena, reasons); err != nil {
				return p.wrap(err)
			}
		}
		b.data, b.dict, b.group, b.clean = arena, dict, group, clean
		b.dropRows(reasons)
		if err := emit(b); err != nil {
			return err
		}
		from, to := first+done, first+done+int64(n)
		p.progress(p.share(to) - p.share(from))
		arena = arena[:dict]
		done += int64(n)
	}
	for _, c := range columns {
		if err := c.finish(); err != nil {
			return p.wrap(err)
		}
	}
	return nil
}

// cleanOf has a bit for where each text of a dictionary ends that is a name.
func cleanOf(columns []*columnReader, arena []byte) []uint64 {
	clean := make([]uint64, len(arena)/64+1)
	for _, c := range columns {
		if len(c.texts) == 0 {
			continue
		}
		all := arena[c.texts[0].off:c.texts[len(c.texts)-1].end]
		plain := isASCII(all) && !hasControl(all)
		for _, s := range c.texts {
			if s.end-s.off <= maxName && (plain || !hasControl(arena[s.off:s.end])) {
				clean[s.end>>6] |= 1 << (s.end & 63)
			}
		}
	}
	return clean
}

// share is the part of the file's size that its first rows stand for.
func (p *parquetFile) share(rows int64) int64 {
	return int64(float64(p.fileReader.file.Size) * (float64(rows) / float64(p.rows)))
}

// openGroup begins to read the columns of a row group. What it returns is to be
// closed, also with an error.
func (p *parquetFile) openGroup(g parquet.RowGroup) (columns []*columnReader, err error) {
	defer damaged(&err)
	chunks := g.ColumnChunks()
	for _, c := range p.columns {
		if c.leaf < 0 || c.leaf >= len(chunks) {
			return columns, errors.New("file is damaged: a row group lacks a column")
		}
		columns = append(columns, &columnReader{parquetColumn: c, pages: chunks[c.leaf].Pages()})
	}
	return columns, nil
}

func closeColumns(columns []*columnReader) (err error) {
	defer damaged(&err)
	for _, c := range columns {
		parquet.Release(c.page)
		err = errors.Join(err, c.pages.Close())
	}
	return err
}
