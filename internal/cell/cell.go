// Package cell writes texts into cells of tables that people open in a
// spreadsheet, which takes some texts for formulas.
//
// It is for reports. A file of identifiers is read by programs, and its lines
// are never altered.
package cell

import "unicode/utf8"

// Escape gives a text that a spreadsheet shows and does not run: one that begins
// with = + - @, also in their full-width forms, or with a tab or an end of line,
// behind which one of these could stand, gets an apostrophe before it.
func Escape(s string) string {
	switch first, _ := utf8.DecodeRuneInString(s); first {
	case '=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n':
		return "'" + s
	}
	return s
}
