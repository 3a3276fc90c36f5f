package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// csvFile is the format of one CSV file. It is shared by the workers and does
// not change after begin.
type csvFile struct {
	*fileReader
	cols []int // for each column of the file: that of the table, or -1
}

// begin reads the header.
func (c *csvFile) begin(chunk []byte) (int, error) {
	if err := checkText(chunk); err != nil {
		return 0, err
	}
	scan := recordScanner{data: bytes.Clone(chunk), valid: utf8.Valid(chunk)}
	for scan.pos < len(chunk) {
		reason := scan.next()
		if scan.empty() {
			continue
		}
		if reason != "" {
			return 0, errors.New("header row: " + reason)
		}
		names := make([]string, len(scan.fields))
		for i, f := range scan.fields {
			names[i] = string(scan.data[f.off:f.end])
			if strings.ContainsRune(strings.ReplaceAll(names[i], "\r\n", ""), '\r') {
				return 0, errors.New("lines end in CR alone: want LF or CRLF")
			}
		}
		var err error
		if c.cols, err = c.mapColumns(names); err != nil {
			err = fmt.Errorf("%w%s", err, otherSeparator(names))
		}
		return scan.pos, err
	}
	return 0, errors.New("file is empty: want a header row")
}

// otherSeparator says what a header of one column seems to be separated by.
func otherSeparator(names []string) string {
	if len(names) > 1 {
		return ""
	}
	for _, c := range []struct{ by, name string }{{";", "semicolons"}, {"\t", "tabs"}, {"|", "bars"}} {
		if strings.Contains(names[0], c.by) {
			return ": columns seem to be separated by " + c.name + ", want commas"
		}
	}
	return ""
}

// cut implements textFormat. A quote opens a field only at its beginning.
func (c *csvFile) cut(b []byte) (end, open int) {
	pos := 0
	for {
		i := bytes.IndexByte(b[pos:], '"')
		plain := b[pos:]
		if i >= 0 {
			plain = b[pos : pos+i]
		}
		if j := bytes.LastIndexByte(plain, '\n'); j >= 0 {
			end = pos + j + 1
		}
		if i < 0 {
			return end, -1
		}
		quote := pos + i
		pos = quote + 1
		if quote > 0 && b[quote-1] != ',' && b[quote-1] != '\n' {
			continue
		}
		closing, _ := closingQuote(b, pos)
		if closing < 0 {
			return end, quote
		}
		pos = closing + 1
	}
}

// closingQuote returns where the quoted field whose content begins at pos ends,
// or -1, and whether it holds doubled quotes.
func closingQuote(b []byte, pos int) (closing int, doubled bool) {
	for {
		i := bytes.IndexByte(b[pos:], '"')
		if i < 0 {
			return -1, doubled
		}
		pos += i
		if pos+1 >= len(b) || b[pos+1] != '"' {
			return pos, doubled
		}
		doubled = true
		pos += 2
	}
}

// parse implements textFormat.
func (c *csvFile) parse(b *Batch, line int) {
	valid := utf8.Valid(b.data)
	if bytes.IndexByte(b.data, '"') < 0 {
		c.parsePlain(b, line, valid)
		return
	}
	c.parseQuoted(b, line, valid)
}

// parsePlain parses a chunk without quotes, eight bytes at a time.
func (c *csvFile) parsePlain(b *Batch, line int, valid bool) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	data := b.data
	padded := data[:len(data)+padding]
	record, start, field := 0, 0, 0
	var row []span
	for i := 0; i < len(data); i += 8 {
		w := binary.LittleEndian.Uint64(padded[i:])
		// The high bit of each byte of found is set where w has a comma or
		// a line end.
		x, y := w^(ones*','), w^(ones*'\n')
		found := ^((((x &^ highs) + (ones * 0x7F)) | x) & (((y &^ highs) + (ones * 0x7F)) | y)) & highs
		for ; found != 0; found &= found - 1 {
			end := i + bits.TrailingZeros64(found)>>3
			if end >= len(data) {
				break
			}
			next := end + 1
			if padded[end] == '\n' {
				if end > start && padded[end-1] == '\r' {
					end--
				}
				if field == 0 && end == start { // an empty line
					line++
					start, record = next, next
					continue
				}
			}
			if field == 0 {
				row = b.addRow(line)
			}
			if field < len(c.cols) {
				if col := c.cols[field]; col >= 0 {
					row[col] = span{uint32(start), uint32(end)}
				}
			}
			field++
			start = next
			if padded[next-1] == '\n' {
				switch {
				case !valid && !utf8.Valid(data[record:end]):
					b.dropRow(NotUTF8)
				case field != len(c.cols):
					b.dropRow(WrongColumns)
				}
				line++
				field, record = 0, next
			}
		}
	}
}

// parseQuoted parses a chunk with quotes, record by record.
func (c *csvFile) parseQuoted(b *Batch, line int, valid bool) {
	scan := recordScanner{data: b.data, valid: valid}
	for ; scan.pos < len(b.data); line += scan.lines {
		reason := scan.next()
		if scan.empty() {
			continue
		}
		row := b.addRow(line)
		switch {
		case reason != "":
			b.dropRow(reason)
		case len(scan.fields) != len(c.cols):
			b.dropRow(WrongColumns)
		default:
			for i, col := range c.cols {
				if col >= 0 {
					row[col] = scan.fields[i]
				}
			}
		}
	}
}

// recordScanner cuts text that ends in a line end into records and fields.
type recordScanner struct {
	data  []byte // doubled quotes are undoubled in place
	valid bool   // all of data is UTF-8
	pos   int    // of the next record

	// Of the last record:
	fields []span
	lines  int // line ends in it, its own included
	quoted bool
}

// empty reports whether the last record is an empty line.
func (s *recordScanner) empty() bool {
	return len(s.fields) == 1 && !s.quoted && s.fields[0].off == s.fields[0].end
}

// next scans the record at pos and returns why it is a bad one, or "".
func (s *recordScanner) next() (reason string) {
	s.fields, s.lines, s.quoted = s.fields[:0], 0, false
	data, pos := s.data, s.pos
	for {
		start, rest := pos, pos
		var cell span
		if pos < len(data) && data[pos] == '"' {
			s.quoted = true
			closing, doubled := closingQuote(data, pos+1)
			if closing < 0 { // the splitter sends no such thing
				closing, reason = len(data), UnterminatedQuote
			}
			content := data[pos+1 : closing]
			s.lines += bytes.Count(content, newline)
			if !s.valid && !utf8.Valid(content) {
				reason = NotUTF8
			}
			cell = span{uint32(pos + 1), uint32(closing)}
			if doubled {
				cell.end = cell.off + uint32(undouble(content))
			}
			rest = min(closing+1, len(data))
		}
		pos = rest
		for pos < len(data) && data[pos] != ',' && data[pos] != '\n' {
			pos++
		}
		last := pos >= len(data) || data[pos] == '\n'
		end := pos
		if last && end > rest && data[end-1] == '\r' {
			end--
		}
		if !s.valid && !utf8.Valid(data[rest:end]) {
			reason = NotUTF8
		}
		switch {
		case rest == start:
			cell = span{uint32(start), uint32(end)}
		case rest < end && reason == "":
			reason = MalformedQuotes
		}
		s.fields = append(s.fields, cell)
		pos++
		if last {
			s.lines++
			s.pos = min(pos, len(data))
			return reason
		}
	}
}

// undouble makes each doubled quote one, in place, and returns the length.
func undouble(b []byte) int {
	n := 0
	for i := 0; i < len(b); i++ {
		b[n] = b[i]
		n++
		if b[i] == '"' {
			i++
		}
	}
	return n
}
