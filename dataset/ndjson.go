package dataset

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// ndjsonFile is the format of one NDJSON file.
type ndjsonFile struct{ *fileReader }

// begin implements textFormat: there is no header.
func (*ndjsonFile) begin(chunk []byte) (int, error) { return 0, checkText(chunk) }

// cut implements textFormat.
func (*ndjsonFile) cut(b []byte) (end, open int) { return bytes.LastIndexByte(b, '\n') + 1, -1 }

// parse implements textFormat.
func (f *ndjsonFile) parse(b *Batch, line int) {
	valid := utf8.Valid(b.data)
	keys := jsonKeys{file: f.fileReader, known: map[string]int{}}
	for pos := 0; pos < len(b.data); line++ {
		end := pos + bytes.IndexByte(b.data[pos:], '\n')
		if end < pos { // the splitter sends whole lines alone
			end = len(b.data)
		}
		s := jsonScanner{data: b.data[:end], pos: pos}
		s.space()
		if s.pos < end {
			row := b.addRow(line)
			reason := ""
			if !valid && !utf8.Valid(b.data[pos:end]) {
				reason = NotUTF8
			} else {
				reason = s.object(row, &keys)
			}
			if reason != "" {
				b.dropRow(reason)
			}
		}
		pos = end + 1
	}
}

// jsonKeys finds the columns of keys. Objects of one file mostly have the same
// keys in the same order, so the one expected is looked at first.
type jsonKeys struct {
	file  *fileReader
	known map[string]int
	order []jsonKey // by position in the object
}

type jsonKey struct {
	name string
	col  int // -1: none
}

// column returns the column of a key at a position of its object, or -1.
func (k *jsonKeys) column(position int, key []byte) int {
	if position < len(k.order) && k.order[position].name == string(key) {
		return k.order[position].col
	}
	col, ok := k.known[string(key)]
	if !ok {
		if col = k.file.find(string(key)); col < 0 {
			k.file.table.ignore(string(key))
		}
		if len(k.known) < maxIgnored {
			k.known[string(key)] = col
		}
	}
	switch {
	case position < len(k.order):
		k.order[position] = jsonKey{string(key), col}
	case position == len(k.order) && position < maxIgnored:
		k.order = append(k.order, jsonKey{string(key), col})
	}
	return col
}

// maxDepth is how deep values may be nested that are read past.
const maxDepth = 100

// jsonScanner reads one line of JSON. Strings are unescaped in place.
type jsonScanner struct {
	data []byte
	pos  int
}

// object reads the line as one object into a row of absent cells and returns
// why it cannot, or "".
func (s *jsonScanner) object(row []span, keys *jsonKeys) (reason string) {
	if !s.take('{') {
		return MalformedJSON
	}
	s.space()
	if s.take('}') {
		return s.finish()
	}
	for position := 0; ; position++ {
		s.space()
		name, reason := s.str()
		if reason != "" {
			return reason
		}
		s.space()
		if !s.take(':') {
			return MalformedJSON
		}
		s.space()
		col := keys.column(position, s.data[name.off:name.end])
		cell, reason := s.value(0)
		if reason != "" {
			return reason
		}
		if col >= 0 {
			row[col] = cell
		}
		s.space()
		if s.take(',') {
			continue
		}
		if s.take('}') {
			return s.finish()
		}
		return MalformedJSON
	}
}

// finish checks that nothing follows.
func (s *jsonScanner) finish() (reason string) {
	if s.space(); s.pos < len(s.data) {
		return MalformedJSON
	}
	return ""
}

func (s *jsonScanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// take reads past c, if it comes next.
func (s *jsonScanner) take(c byte) bool {
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// value reads any value. null is the empty span; what is no string and no
// number is the malformed one.
func (s *jsonScanner) value(depth int) (cell span, reason string) {
	if s.pos >= len(s.data) || depth > maxDepth {
		return span{}, MalformedJSON
	}
	start := s.pos
	switch c := s.data[s.pos]; c {
	case '"':
		return s.str()
	case '[':
		return malformedSpan(), s.nested(']', depth)
	case '{':
		return malformedSpan(), s.nested('}', depth)
	case 't':
		return malformedSpan(), s.word("true")
	case 'f':
		return malformedSpan(), s.word("false")
	case 'n':
		return span{}, s.word("null")
	default:
		if !s.number() {
			return span{}, MalformedJSON
		}
		return span{uint32(start), uint32(s.pos)}, ""
	}
}

// nested reads past an array or object.
func (s *jsonScanner) nested(closing byte, depth int) (reason string) {
	s.pos++
	s.space()
	if s.take(closing) {
		return ""
	}
	for {
		s.space()
		if closing == '}' {
			if _, reason := s.str(); reason != "" {
				return reason
			}
			s.space()
			if !s.take(':') {
				return MalformedJSON
			}
			s.space()
		}
		if _, reason := s.value(depth + 1); reason != "" {
			return reason
		}
		s.space()
		if s.take(',') {
			continue
		}
		if s.take(closing) {
			return ""
		}
		return MalformedJSON
	}
}

func (s *jsonScanner) word(w string) (reason string) {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(w)) {
		return MalformedJSON
	}
	s.pos += len(w)
	return ""
}

// number reads past a number and reports whether it is one.
func (s *jsonScanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

// digits reads past digits and reports whether there is any.
func (s *jsonScanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// str reads a string.
func (s *jsonScanner) str() (cell span, reason string) {
	if !s.take('"') {
		return span{}, MalformedJSON
	}
	start := s.pos
	for i := start; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			return span{uint32(start), uint32(i)}, ""
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			return span{}, MalformedJSON
		}
	}
	return span{}, MalformedJSON
}

// escaped reads the rest of a string from its first backslash on. What it
// writes is never longer than what it has read.
func (s *jsonScanner) escaped(start, i int) (cell span, reason string) {
	to := i
	for i < len(s.data) {
		c := s.data[i]
		i++
		switch {
		case c == '"':
			s.pos = i
			return span{uint32(start), uint32(to)}, ""
		case c < ' ' || (c == '\\' && i >= len(s.data)):
			return span{}, MalformedJSON
		case c != '\\':
			s.data[to] = c
			to++
			continue
		}
		c = s.data[i]
		i++
		if c != 'u' {
			if c = unescape(c); c == 0 {
				return span{}, MalformedJSON
			}
			s.data[to] = c
			to++
			continue
		}
		r, ok := hex4(s.data[i:])
		if !ok {
			return span{}, MalformedJSON
		}
		i += 4
		if utf16.IsSurrogate(r) {
			low := rune(0)
			if bytes.HasPrefix(s.data[i:], []byte(`\u`)) {
				low, _ = hex4(s.data[i+2:])
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return span{}, NotUTF8 // half a pair stands for nothing
			}
			i += 6
		}
		to += utf8.EncodeRune(s.data[to:], r)
	}
	return span{}, MalformedJSON
}

// unescape returns what a backslash and c stand for, or 0.
func unescape(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return 0
	}
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
