// Package cell writes texts into cells of tables that people open in a
// spreadsheet, which takes some texts for formulas.
//
// It is for reports. A file of identifiers is read by programs, and its lines
// are never altered.
package cell

// Escape gives a text that a spreadsheet shows and does not run: one that begins
// with = + - @, also in their full-width forms, or with a tab or an end of line,
// behind which one of these could stand, gets an apostrophe before it.
func Escape(s string) string {
	for _, c := range s { // the first
		switch c {
		case '=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n':
			return "'" + s
		}
		break
	}
	return s
}
