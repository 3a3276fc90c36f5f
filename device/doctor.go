package device

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"throng/identifier"
)

// Finding is something odd about a list.
type Finding struct {
	Code string
	// Share is that of the rows that it concerns, 0 to 1; of the rows whose
	// raw id is known, where it is about how sums were made.
	Share float64
	// Message says what the list looks like and what to do, with no value of
	// it.
	Message string
	// Hint is true where nothing has to be wrong.
	Hint bool
}

// grave tells whether so many lines of all are worth a word: most of them, or a
// fifth where that is no accident of a short list.
func grave(n, of uint64) bool { return n > 0 && (2*n > of || n >= 10 && 5*n >= of) }

// findings say what a list looks like, the gravest first.
func (l *list) findings() []Finding {
	d := doctor{list: l, rows: l.report.Rows}
	d.refused()
	d.taken()
	d.hashed()
	slices.SortStableFunc(d.found, func(a, b Finding) int {
		if a.Hint != b.Hint {
			if a.Hint {
				return 1
			}
			return -1
		}
		return cmp.Compare(b.Share, a.Share)
	})
	return d.found
}

type doctor struct {
	*list
	rows  uint64
	found []Finding
}

// accuse tells of n of so many rows.
func (d *doctor) accuse(code string, n, of uint64, format string, args ...any) {
	if grave(n, of) {
		d.add(code, n, of, false, format, args...)
	}
}

// hint tells of what most rows have.
func (d *doctor) hint(code string, n uint64, format string, args ...any) {
	if n > 0 && 2*n > d.rows {
		d.add(code, n, d.rows, true, format, args...)
	}
}

func (d *doctor) add(code string, n, of uint64, hint bool, format string, args ...any) {
	share := float64(n) / float64(of)
	d.found = append(d.found, Finding{
		Code: code, Share: share, Hint: hint, Message: percent(share) + " of the rows " + fmt.Sprintf(format, args...),
	})
}

// percent rounds so that 100% is all and 0% none.
func percent(share float64) string {
	switch p := 100 * share; {
	case p >= 100:
		return "100%"
	case p > 99:
		return "more than 99%"
	case p < 1:
		return "less than 1%"
	default:
		return fmt.Sprintf("%.0f%%", p)
	}
}

// refused tells what lines look like that are no ids of the type.
func (d *doctor) refused() {
	counts, rows := d.signs.refused, d.rows
	if rows == 0 && d.report.Header { // the one line there is
		counts, rows = map[string]uint64{d.signs.header: 1}, 1
	}
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		code, message := d.explain(reason)
		if reason == string(identifier.Empty) {
			d.hint(code, counts[reason], "%s", message)
			continue
		}
		d.accuse(code, counts[reason], rows, "%s", message)
	}
}

// explain words what lines of a reason are, and what to do.
func (d *doctor) explain(reason string) (code, message string) {
	raw, md5, typ := d.family.Raw(), d.family.MD5(), d.report.Type
	switch reason {
	case string(identifier.Empty):
		return "empty_lines", "are empty; nothing is lost, but a program may have written its line ends twice"
	case string(identifier.ZeroID):
		return "zero_ids", "are the zeroed id of devices whose owners opted out, which is nobody's; leave them out"
	case string(identifier.EmptyMD5):
		return "empty_md5", "are the MD5 of the empty string; leave out rows without an id before hashing"
	case reasonUTF16:
		return "utf_16", "are text in UTF-16; save the file as UTF-8"
	case reasonLineEnds:
		return "line_ends", "are lines that end in CR alone; save the file with line ends of LF or CRLF"
	case reasonColumns:
		return "columns", fmt.Sprintf("have several columns; send a file with the column of the %s alone", typ)
	case reasonEmail:
		return "emails", "are e-mail addresses, which name no device; send ids of devices"
	case reasonPhone:
		return "phones", "look like telephone numbers, which name no device; send ids of devices"
	case reasonSHA1, reasonSHA256:
		code = map[string]string{reasonSHA1: "sha1", reasonSHA256: "sha256"}[reason]
		return code, fmt.Sprintf("look like SHA%s sums; hash with MD5 and declare the file as %s, or send the ids as they are as %s", code[3:], md5, raw)
	case reasonMD5:
		return "md5_in_raw", fmt.Sprintf("look like MD5 sums, and the file is declared as %s; declare it as %s", typ, md5)
	case reasonRaw:
		return "raw_in_md5", fmt.Sprintf("look like ids that are not hashed, and the file is declared as %s; declare it as %s", typ, raw)
	case reasonOther:
		return "other_type", fmt.Sprintf("look like ids of another type than %s; declare the file as what it holds", typ)
	case reasonBraces:
		return "braces", "are UUIDs in braces; send them without"
	case reasonCheckDigit:
		return "check_digit", "are IMEIs with a wrong check digit; see whether they were made up, cut or rounded, or send the first 14 digits alone"
	case reasonScientific:
		return "scientific", "are numbers as a spreadsheet writes them, which lose digits; format the column as text and export it again from the source"
	case reasonSeparators:
		return "separators", "look like IMEIs with separators; send the digits alone"
	case reasonNothing:
		return "placeholders", "are words for nothing (null, n/a, 0); leave out rows without an id"
	default:
		return "unrecognised", fmt.Sprintf("are no %s, and nothing else that is known here; see whether this is the right file and column", typ)
	}
}

// taken tells what is odd about ids that were taken.
func (d *doctor) taken() {
	s, raw, md5, typ := &d.signs, d.family.Raw(), d.family.MD5(), d.report.Type
	// One in thirteen sums has the marks of a UUID, and each UUID has.
	if 2*s.plainUUID < s.plain {
		d.accuse("md5_in_raw", s.plain, d.rows, "look like MD5 sums, and the file is declared as %s; declare it as %s", typ, md5)
	} else {
		d.hint("no_hyphens", s.plain, "are UUIDs without hyphens; they are read as if they had them")
	}
	// One in 64 sums has the marks of a random UUID.
	if s.marked >= 8 && 20*s.marked >= 19*s.taken {
		d.accuse("raw_in_md5", s.marked, d.rows, "look like UUIDs without hyphens, and the file is declared as %s; declare it as %s", typ, raw)
	}
	d.accuse("zero_ids", s.zeroSums, d.rows, "are the MD5 of the zeroed id of devices whose owners opted out, which is nobody's; leave them out before hashing")
	if s.most.hits >= 10 && 2*s.most.hits > d.rows {
		d.accuse("repeated", s.most.hits, d.rows, "are one and the same id; see whether the right column was exported")
	}
	if 2*s.phones > d.rows {
		d.accuse("phones", s.phones, d.rows, "look like telephone numbers, which name no device; send ids of devices")
	}
	if 2*s.imeis > d.rows {
		d.accuse("other_type", s.imeis, d.rows, "look like IMEIs, and the file is declared as %s; declare it as %s", typ, identifier.IMEI)
	}
	d.hint("md5_in_raw", s.hex32, "could be MD5 sums, and the file is declared as %s; if they are, declare it as %s", typ, md5)
	habit := "lower"
	if !d.list.hashed && d.family.upper() {
		habit = "upper"
	}
	d.hint("other_case", s.oddCase, "are not in %s case as %s are otherwise; they are read all the same, but see whether this is the right type", habit, typ)
}

// hashed tells how sums were made whose raw ids are known.
func (d *doctor) hashed() {
	c := d.compared
	known, raw := c.known(), d.family.Raw()
	right := "as it is"
	switch {
	case d.family.upper():
		right = "in upper case with hyphens"
	case d.family.uuid():
		right = "in lower case with hyphens"
	}
	const of = "whose raw id is known "
	d.accuse("md5_other_case", c.otherCase, known, of+"are the MD5 of the id in the other case; hash each %s %s", raw, right)
	d.accuse("md5_no_hyphens", c.plain, known, of+"are the MD5 of the id without hyphens; hash each %s %s", raw, right)
	d.accuse("md5_twice", c.twice, known, of+"are the MD5 of an MD5; hash each %s once", raw)
}
