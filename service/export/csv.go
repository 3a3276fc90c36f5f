package export

import (
	"bytes"
	"encoding/binary"
	"io"
	"unicode"
	"unicode/utf8"

	"throng/internal/lines"
)

// WriteCSV writes the pairs in the form of encoding/csv, below a header of person
// and the type's name.
func (p *Pairs) WriteCSV(w io.Writer) error {
	out := append(make([]byte, 0, writeBuffer+lines.Max), "person,"+string(p.typ)+"\n"...)
	for {
		more, err := p.next()
		if err != nil {
			return err
		}
		for i := range p.person.ends {
			out = append(appendCSV(out, p.person.value(i)), ',')
			out = append(appendCSV(out, p.value.value(i)), '\n')
			if len(out) >= writeBuffer {
				if _, err := w.Write(out); err != nil {
					return err
				}
				out = out[:0]
			}
		}
		if !more {
			_, err := w.Write(out)
			return err
		}
	}
}

// appendCSV appends a field, in quotes where encoding/csv would quote it; there
// are no line ends in identifiers.
func appendCSV(out, field []byte) []byte {
	if plain(field) || !quoted(field) {
		return append(out, field...)
	}
	out = append(out, '"')
	for _, c := range field {
		if c == '"' {
			out = append(out, '"')
		}
		out = append(out, c)
	}
	return append(out, '"')
}

// plain tells of most fields that are not to be quoted that they are not.
func plain(field []byte) bool {
	if len(field) < 8 {
		return len(field) == 0 || !quoted(field)
	}
	last := binary.LittleEndian.Uint64(field[len(field)-8:])
	special := specials(last)
	for f := field; len(f) > 8; f = f[8:] {
		special |= specials(binary.LittleEndian.Uint64(f))
	}
	return special == 0 && field[0] > ' '
}

// specials has a bit for a comma, a quote or a byte beyond ASCII in eight
// bytes. A byte above one of them may be taken for another.
func specials(w uint64) uint64 {
	const each, top = 0x0101010101010101, 0x8080808080808080
	comma, quote := w^each*',', w^each*'"'
	return ((comma-each)&^comma | (quote-each)&^quote | w) & top
}

// quoted tells whether a field is to be quoted.
func quoted(field []byte) bool {
	if len(field) == 0 {
		return false
	}
	first, _ := utf8.DecodeRune(field)
	return string(field) == `\.` || bytes.ContainsAny(field, ",\"\r\n") || unicode.IsSpace(first)
}
