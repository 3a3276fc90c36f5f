package dataset

import (
	"math"
	"slices"
)

// Reasons for which a row is bad whatever its table.
const (
	WrongColumns      = "wrong number of columns"
	NotUTF8           = "not UTF-8"
	MalformedQuotes   = "malformed quotes"
	UnterminatedQuote = "unterminated quote"
	RowTooLong        = "row is too long"
	MalformedJSON     = "malformed JSON"
)

// Batch is neighbouring rows of one file. It and everything got from it is
// valid only during the call of emit that it is passed to.
type Batch struct {
	Table string
	File  string // relative to the folder, with slashes
	// FileIndex is the position of the file in Table.Files, and Seq numbers
	// the batches of a file from 0: (FileIndex, Seq) is the order of the
	// dataset.
	FileIndex, Seq int
	// Lines says where each row begins: the line of the file from 1 for CSV
	// (on which a record begins) and NDJSON, the number of the row from 1 for
	// Parquet.
	Lines []int
	// Bad are rows that could not be read into cells. They are not among the
	// rows.
	Bad []BadRow

	width int
	data  []byte
	spans []span // width for each row; not of columns that have codes
	// codes are, for each column, positions in texts of the rows' cells, -1 for
	// absent ones; nil where the cells are in spans.
	codes [][]int32
	texts [][]span
	// Cells below dict in data are of dictionaries, which the batches of a
	// row group share; group tells row groups of the table apart.
	dict  uint32
	group uint32
	// clean has a bit for where each text of a dictionary ends that is a name.
	clean []uint64
}

// BadRow is a row that could not be read into cells.
type BadRow struct {
	Line   int
	Reason string // a fixed text, without values
}

// span is where a cell is in the data of its batch.
type span struct{ off, end uint32 }

// malformedSpan marks a cell that holds something that is no value of any
// column, such as a nested object.
func malformedSpan() span { return span{math.MaxUint32, math.MaxUint32} }

// Rows is the number of rows in the batch, without bad ones.
func (b *Batch) Rows() int { return len(b.Lines) }

// Cell returns a cell by its row in the batch and its column in the order of
// [Columns]. An absent cell is empty, and so is a malformed one. It is valid
// UTF-8. It is the batch's memory and must not be changed.
func (b *Batch) Cell(row, col int) []byte {
	s := b.span(row, col)
	if s.off == math.MaxUint32 {
		return nil
	}
	return b.data[s.off:s.end:s.end]
}

// Malformed reports whether a cell holds what can be no value of any column: a
// nested object or list.
func (b *Batch) Malformed(row, col int) bool {
	return b.span(row, col).off == math.MaxUint32
}

func (b *Batch) span(row, col int) span {
	if codes := b.codes[col]; codes != nil {
		if x := codes[row]; x >= 0 {
			return b.texts[col][x]
		}
		return span{}
	}
	return b.spans[row*b.width+col]
}

// Codes returns, for a column whose cells in the batch are all of a dictionary,
// where in it each row's is, -1 for an absent one, and how many places there
// are; nil for any other column. A code means the same text in all batches of
// the same Group. It is the batch's memory and must not be changed.
func (b *Batch) Codes(col int) (codes []int32, n int) {
	return b.codes[col], len(b.texts[col])
}

// Text is the text of a code of a column. It is the batch's memory and must not
// be changed.
func (b *Batch) Text(col int, code int32) []byte {
	s := b.texts[col][code]
	return b.data[s.off:s.end:s.end]
}

// Group is the number of what shares dictionaries among the batches of the
// table: the row group. 0 where there are none.
func (b *Batch) Group() uint32 { return b.group }

// uncode moves the cells of the first n rows of a column to its spans.
func (b *Batch) uncode(col, n int) {
	if b.codes[col] == nil {
		return
	}
	for row := range n {
		b.spans[row*b.width+col] = b.span(row, col)
	}
	b.codes[col] = nil
}

// Token identifies the text of a cell among all rows of the table: cells with
// the same token have the same text. 0 says nothing, as for every cell that is
// absent. It saves whoever asks what a text means from asking again.
func (b *Batch) Token(row, col int) uint64 {
	s := b.span(row, col)
	if s.end > b.dict || s.off >= s.end {
		return 0
	}
	return uint64(b.group)<<32 | uint64(s.end)
}

// isName reports whether a cell is known to be what [name] accepts.
func (b *Batch) isName(s span) bool {
	return s.end <= b.dict && s.off < s.end && b.clean[s.end>>6]>>(s.end&63)&1 != 0
}

// reset makes the batch an empty one of the file.
func (b *Batch) reset(f *fileReader, seq int) {
	*b = Batch{
		Table: f.table.Name, File: f.file.Path, FileIndex: f.index, Seq: seq,
		Lines: b.Lines[:0], Bad: b.Bad[:0], width: len(f.columns), spans: b.spans[:0],
		codes: b.codes, texts: b.texts,
	}
	if len(b.codes) != b.width {
		b.codes, b.texts = make([][]int32, b.width), make([][]span, b.width)
	}
	clear(b.codes)
	clear(b.texts)
}

// addRows appends n rows of absent cells on the lines from first on.
func (b *Batch) addRows(first, n int) {
	b.Lines = slices.Grow(b.Lines, n)
	for i := range n {
		b.Lines = append(b.Lines, first+i)
	}
	from := len(b.spans)
	b.spans = slices.Grow(b.spans, n*b.width)[:from+n*b.width]
	clear(b.spans[from:])
}

// addRow appends a row of absent cells and returns it. It is the last one
// until the next addRow or dropRow.
func (b *Batch) addRow(line int) []span {
	b.Lines = append(b.Lines, line)
	n := len(b.spans)
	if n+b.width > cap(b.spans) {
		spans := make([]span, n, max(2*cap(b.spans), 1024*b.width))
		copy(spans, b.spans)
		b.spans = spans
	}
	b.spans = b.spans[:n+b.width]
	row := b.spans[n:]
	clear(row)
	return row
}

// dropRow takes the last row away and keeps its line and the reason.
func (b *Batch) dropRow(reason string) {
	last := len(b.Lines) - 1
	b.Bad = append(b.Bad, BadRow{Line: b.Lines[last], Reason: reason})
	b.Lines = b.Lines[:last]
	b.spans = b.spans[:last*b.width]
}

// dropRows takes rows away, by their position, for the reasons given.
func (b *Batch) dropRows(reasons map[int]string) {
	if len(reasons) == 0 {
		return
	}
	for col := range b.codes {
		b.uncode(col, len(b.Lines))
	}
	to := 0
	for row, line := range b.Lines {
		if reason, bad := reasons[row]; bad {
			b.Bad = append(b.Bad, BadRow{Line: line, Reason: reason})
			continue
		}
		b.Lines[to] = line
		copy(b.spans[to*b.width:(to+1)*b.width], b.spans[row*b.width:])
		to++
	}
	b.Lines, b.spans = b.Lines[:to], b.spans[:to*b.width]
}
