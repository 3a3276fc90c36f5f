package dataset

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// maxDictionary is how much text of dictionaries is kept for a row group, in
// bytes. Columns beyond it are read value by value.
const maxDictionary = 64 << 20

// columnReader reads one column of a row group from its beginning.
type columnReader struct {
	parquetColumn
	pages  parquet.Pages
	page   parquet.Page // nil: there is none
	rows   int          // of page
	at     int          // rows of page that were read
	levels []byte       // of the rows of page; nil: none is null

	// One of three is how the values of page are read: by their positions in
	// the dictionary; as they are; by the reader of the page.
	indexes []int32
	data    []byte
	ends    []uint32 // one more than values: where each begins, and the last ends
	reader  parquet.ValueReader
	values  []parquet.Value

	// texts are the cells that the values of the dictionary make, in the
	// arena; nil where it is not kept.
	texts []span
	bad   map[int32]string // why a value of the dictionary makes none
	codes []int32          // of the batch at hand
}

var (
	errShortColumn = errors.New("file is damaged: the columns of a row group differ in length")
	errNoValue     = errors.New("file is damaged: a page lacks values")
)

// begin reads the first page, and the texts of the dictionary, which it
// appends to the arena.
func (c *columnReader) begin(arena []byte) (_ []byte, err error) {
	defer damaged(&err)
	if err := c.next(); err != nil || c.page == nil {
		return arena, err
	}
	dict := c.page.Dictionary()
	if dict == nil || int64(len(arena))+dict.Size() > maxDictionary {
		return arena, nil
	}
	if texts, all := c.dictionaryText(dict, arena); all != nil {
		c.texts = texts
		return all, c.open()
	}
	texts := make([]span, dict.Len())
	for i := range texts {
		v := dict.Index(int32(i))
		start := len(arena)
		reason := ""
		if arena, reason = c.appendText(arena, v); reason != "" {
			if c.bad == nil {
				c.bad = map[int32]string{}
			}
			c.bad[int32(i)] = reason
		}
		texts[i] = span{uint32(start), uint32(len(arena))}
	}
	c.texts = texts
	return arena, c.open()
}

// dictionaryText appends all texts of a dictionary at once, where they are ASCII
// and not too long; else it returns nil.
func (c *columnReader) dictionaryText(dict parquet.Dictionary, arena []byte) (texts []span, _ []byte) {
	if c.text != nil || c.page.Type().Kind() != parquet.ByteArray {
		return nil, nil
	}
	values := dict.Page().Data()
	data, ends := values.ByteArray()
	n := dict.Len()
	if n == 0 || len(ends) != n+1 || ends[0] != 0 || uint64(ends[n]) > uint64(len(data)) || ends[n] > maxRecord || !isASCII(data[:ends[n]]) {
		return nil, nil
	}
	texts = make([]span, n)
	base := uint32(len(arena))
	for i := range texts {
		if ends[i] > ends[i+1] {
			return nil, nil
		}
		texts[i] = span{base + ends[i], base + ends[i+1]}
	}
	return texts, append(arena, data[:ends[n]]...)
}

// appendText appends the text of a value that is not null, or says why it has
// none.
func (c *columnReader) appendText(arena []byte, v parquet.Value) (_ []byte, reason string) {
	if c.text != nil {
		return c.text(arena, v), ""
	}
	s := v.ByteArray()
	if reason := badText(s); reason != "" {
		return arena, reason
	}
	return append(arena, s...), ""
}

func badText(s []byte) (reason string) {
	switch {
	case len(s) > maxRecord:
		return RowTooLong
	case !utf8.Valid(s):
		return NotUTF8
	}
	return ""
}

// next moves to the next page that has rows, if there is one.
func (c *columnReader) next() error {
	for {
		parquet.Release(c.page)
		c.page, c.rows, c.at = nil, 0, 0
		page, err := c.pages.ReadPage()
		if errors.Is(err, io.EOF) && page == nil {
			return nil
		}
		if err != nil {
			return err
		}
		c.page, c.rows = page, int(page.NumRows())
		if c.rows > 0 {
			return c.open()
		}
	}
}

// open finds out how the values of the page are read.
func (c *columnReader) open() error {
	c.indexes, c.data, c.ends, c.reader, c.levels = nil, nil, nil, nil, nil
	values := c.rows
	if c.level > 0 {
		c.levels = c.page.DefinitionLevels()
		values = 0
		for _, l := range c.levels {
			if int(l) == c.level {
				values++
			}
		}
	}
	data := c.page.Data()
	indexed := c.page.Dictionary() != nil
	switch {
	case c.level > 0 && len(c.levels) != c.rows:
		c.reader = c.page.Values()
		return nil
	case indexed && c.texts != nil:
		c.indexes = data.Int32()
	case !indexed && c.text == nil && c.page.Type().Kind() == parquet.ByteArray:
		c.data, c.ends = data.ByteArray()
	default:
		c.reader = c.page.Values()
		return nil
	}
	if c.ends == nil && len(c.indexes) < values || c.ends != nil && len(c.ends) < values+1 {
		return errNoValue
	}
	return nil
}

// fill reads the next n values into the column's cells of the batch, whose text
// is appended to arena. Rows with a cell that is none are put in reasons.
func (c *columnReader) fill(b *Batch, n int, arena []byte, reasons map[int]string) (_ []byte, err error) {
	defer damaged(&err)
	for row := 0; row < n; {
		if c.at == c.rows {
			if err := c.next(); err != nil {
				return arena, err
			}
			if c.page == nil {
				return arena, errShortColumn
			}
		}
		k := min(n-row, c.rows-c.at)
		if indexed := c.reader == nil && c.ends == nil; indexed && c.bad == nil && (row == 0 || b.codes[c.col] != nil) {
			if err := c.fillCodes(b, row, k); err != nil {
				return arena, err
			}
			row += k
			c.at += k
			continue
		}
		if b.codes[c.col] != nil {
			b.uncode(c.col, row)
		}
		cells := cellsOf{spans: b.spans[row*b.width+c.col:], width: b.width, row: row, n: k, reasons: reasons}
		switch {
		case c.reader != nil:
			arena, err = c.fillValues(cells, arena)
		case c.ends != nil:
			arena, err = c.fillText(cells, arena)
		default:
			err = c.fillIndexes(cells)
		}
		if err != nil {
			return arena, err
		}
		if len(arena) > maxArena {
			return arena, fmt.Errorf("%d rows have more than %d bytes of text", n, maxArena)
		}
		row += k
		c.at += k
	}
	return arena, nil
}

// cellsOf is the cells of one column in n rows of a batch.
type cellsOf struct {
	spans   []span // every width-th
	width   int
	row, n  int // in the batch
	reasons map[int]string
}

// null tells whether the i-th of the next rows is.
func (c *columnReader) null(i int) bool { return c.levels != nil && int(c.levels[c.at+i]) != c.level }

// fillCodes reads the codes of the next n cells, from a row of the batch on.
func (c *columnReader) fillCodes(b *Batch, row, n int) error {
	if cap(c.codes) < len(b.Lines) {
		c.codes = make([]int32, parquetRows)
	}
	codes := c.codes[:row+n]
	b.codes[c.col], b.texts[c.col] = codes, c.texts
	codes = codes[row:]
	values := n
	if c.levels == nil {
		copy(codes, c.indexes[:n])
	} else {
		values = 0
		for i, l := range c.levels[c.at : c.at+n] {
			codes[i] = -1
			if int(l) == c.level {
				codes[i] = c.indexes[values]
				values++
			}
		}
	}
	for _, x := range c.indexes[:values] {
		if uint32(x) >= uint32(len(c.texts)) {
			return errNoValue
		}
	}
	c.indexes = c.indexes[values:]
	return nil
}

func (c *columnReader) fillIndexes(cells cellsOf) error {
	next := 0
	for i := range cells.n {
		if c.null(i) {
			continue
		}
		x := c.indexes[next]
		next++
		if uint32(x) >= uint32(len(c.texts)) {
			return errNoValue
		}
		if c.bad != nil {
			if reason, ok := c.bad[x]; ok {
				cells.reasons[cells.row+i] = reason
				continue
			}
		}
		cells.spans[i*cells.width] = c.texts[x]
	}
	c.indexes = c.indexes[next:]
	return nil
}

// fillText copies the text of all rows at once.
func (c *columnReader) fillText(cells cellsOf, arena []byte) ([]byte, error) {
	values := cells.n
	for i := range cells.n {
		if c.null(i) {
			values--
		}
	}
	from, to := c.ends[0], c.ends[values]
	if from > to || uint64(to) > uint64(len(c.data)) {
		return arena, errNoValue
	}
	text, base := c.data[from:to], uint32(len(arena))
	if len(arena)+len(text) > maxArena {
		return arena, fmt.Errorf("%d rows have more than %d bytes of text", cells.n, maxArena)
	}
	arena = append(arena, text...)
	plain := len(text) <= maxRecord && isASCII(text)
	next := 0
	for i := range cells.n {
		if c.null(i) {
			continue
		}
		start, end := c.ends[next], c.ends[next+1]
		next++
		if start > end || start < from || end > to {
			return arena, errNoValue
		}
		s := span{start - from + base, end - from + base}
		if !plain {
			if reason := badText(arena[s.off:s.end]); reason != "" {
				cells.reasons[cells.row+i] = reason
				continue
			}
		}
		cells.spans[i*cells.width] = s
	}
	c.ends = c.ends[values:]
	return arena, nil
}

// fillValues reads value by value.
func (c *columnReader) fillValues(cells cellsOf, arena []byte) ([]byte, error) {
	if c.values == nil {
		c.values = make([]parquet.Value, 512)
	}
	for row := 0; row < cells.n; {
		k, err := c.reader.ReadValues(c.values[:min(cells.n-row, len(c.values))])
		if k == 0 {
			if err == nil || errors.Is(err, io.EOF) {
				err = errNoValue
			}
			return arena, err
		}
		for i, v := range c.values[:k] {
			if v.IsNull() {
				continue
			}
			start := len(arena)
			reason := ""
			if arena, reason = c.appendText(arena, v); reason != "" {
				cells.reasons[cells.row+row+i] = reason
				continue
			}
			cells.spans[(row+i)*cells.width] = span{uint32(start), uint32(len(arena))}
		}
		row += k
	}
	return arena, nil
}

// finish checks that there are no more values.
func (c *columnReader) finish() (err error) {
	defer damaged(&err)
	if c.at == c.rows {
		err = c.next()
	}
	if err == nil && c.page != nil {
		err = errShortColumn
	}
	return err
}
