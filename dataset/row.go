package dataset

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode"

	"throng/identifier"
	"throng/query"
)

// Outcome says whether a row can be used. At most one of the two is set.
type Outcome struct {
	// Reject says why the row cannot be used; "" that it can.
	Reject string
	// Skip says why the row is left out on purpose; "" that it is not.
	Skip string
}

// OK reports whether the row is used.
func (o Outcome) OK() bool { return o == Outcome{} }

// Reasons of Outcome.Skip.
const (
	SkipUnder18 = "under 18"
	SkipOld     = "outside the 7 days"
)

// Drops names the columns of the last decoded row whose cells were malformed
// and taken as absent.
type Drops struct {
	// Dropped is overwritten by the next Decode.
	Dropped []string
}

// maxName is the longest id, name or title, in bytes. It is generous for what
// people read, and keeps a stray file out of the dictionaries.
const maxName = 1024

func reject(reason string) Outcome { return Outcome{Reject: reason} }

// key returns the person of a row, or why it is none.
func key(b *Batch, row, col int) (cell []byte, reason string) {
	cell = b.Cell(row, col)
	switch {
	case len(cell) == 0:
		if b.Malformed(row, col) {
			return nil, "malformed person"
		}
		return nil, "person is empty"
	case len(cell) > identifier.MaxKey:
		return nil, "person is too long"
	case hasControl(cell):
		return nil, "control character in person"
	}
	return cell, ""
}

// lastKey is the person of the last row, which is that of the next one, too, in
// tables in the order of people.
type lastKey struct{ token uint64 }

func (l *lastKey) key(b *Batch, row, col int) (cell []byte, reason string) {
	token := b.Token(row, col)
	if token != 0 && token == l.token {
		return b.Cell(row, col), ""
	}
	if cell, reason = key(b, row, col); reason == "" {
		l.token = token
	}
	return cell, reason
}

// name returns a required cell that names something, or why it does not.
func name(b *Batch, row, col int, column string) (cell []byte, reason string) {
	cell = b.Cell(row, col)
	switch {
	case b.isName(b.span(row, col)):
	case len(cell) == 0:
		if b.Malformed(row, col) {
			return nil, "malformed " + column
		}
		return nil, column + " is empty"
	case len(cell) > maxName:
		return nil, column + " is too long"
	case hasControl(cell):
		return nil, "control character in " + column
	}
	return cell, ""
}

// optional returns a cell that may be absent and names something. A malformed
// one is dropped.
func (d *Drops) optional(b *Batch, row, col int, column string) []byte {
	cell := b.Cell(row, col)
	if b.Malformed(row, col) || len(cell) > maxName || hasControl(cell) {
		d.drop(column)
		return nil
	}
	return bytes.TrimSpace(cell)
}

func (d *Drops) drop(column string) { d.Dropped = append(d.Dropped, column) }

// isASCII reports whether text has no other characters.
func isASCII(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// hasControl reports whether text that is UTF-8 has a control character. It is
// asked of nearly every cell, so it looks at eight bytes at a time.
func hasControl(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	all := b
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		// The high bit of a byte is set where it is not ASCII, below a space,
		// or (in the last term) 0x7F. A borrow only adds false alarms.
		if (w|(w-ones*' ')|((w^ones*0x7F)-ones))&highs != 0 {
			return slowHasControl(all)
		}
		b = b[8:]
	}
	for _, c := range b {
		if c < ' ' || c >= 0x7F {
			return slowHasControl(all)
		}
	}
	return false
}

func slowHasControl(b []byte) bool { return bytes.ContainsFunc(b, unicode.IsControl) }

// lower returns a cell trimmed and in lower case, for words of a closed set.
// It may share the memory of scratch, and ends with the next use of it.
func lower(scratch, cell []byte) []byte {
	scratch = scratch[:0]
	for _, c := range bytes.TrimSpace(cell) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		scratch = append(scratch, c)
	}
	return scratch
}

// network returns the field of those who follow accounts of the network that
// a cell names, or why there is none.
func network(scratch []byte, b *Batch, row, col int) (query.Field, string) {
	cell := b.Cell(row, col)
	if len(cell) == 0 && !b.Malformed(row, col) {
		return "", "network is empty"
	}
	if f := networkNamed(cell); f != "" {
		return f, ""
	}
	if len(cell) <= cap(scratch) {
		if f := networkNamed(lower(scratch, cell)); f != "" {
			return f, ""
		}
	}
	return "", "unknown network"
}

// networkNamed returns the field of a network by its exact name, or "".
func networkNamed(name []byte) query.Field {
	switch string(name) {
	case "twitter":
		return query.Twitter
	case "twitch":
		return query.Twitch
	case "youtube":
		return query.YouTube
	case "instagram":
		return query.Instagram
	case "tiktok":
		return query.TikTok
	default:
		return ""
	}
}

// parseNumber reads a decimal number as it is written in tables: no hexadecimal
// digits, no infinity.
func parseNumber(cell []byte) (float64, bool) {
	if len(cell) > 64 {
		return 0, false
	}
	for _, c := range cell {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	x, err := strconv.ParseFloat(string(cell), 64)
	return x, err == nil
}

// parseWhole reads a whole number from 0, also one that went through a column
// of floating-point numbers: 34.0.
func parseWhole(cell []byte) (int, bool) {
	whole, fraction, dotted := bytes.Cut(cell, []byte{'.'})
	if len(whole) == 0 || len(whole) > 9 || (dotted && len(bytes.Trim(fraction, "0")) > 0) {
		return 0, false
	}
	return digits(whole)
}
