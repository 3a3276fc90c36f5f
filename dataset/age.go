package dataset

import (
	"bytes"
	"strings"
)

const (
	// adult is the youngest age that is loaded.
	adult = 18
	// oldest is the greatest age that is believed.
	oldest = 150
)

// ages is the ages from low to high years.
type ages struct{ low, high int }

// band returns the range of audiences that all of the ages are in, or "".
func band(a ages) string {
	for _, r := range []struct {
		ages
		name string
	}{
		{ages{18, 24}, "18-24"},
		{ages{25, 34}, "25-34"},
		{ages{35, 44}, "35-44"},
		{ages{45, 54}, "45-54"},
		{ages{55, oldest}, "over 54"},
	} {
		if r.low <= a.low && a.high <= r.high {
			return r.name
		}
	}
	return ""
}

// age reads the first of age, birth_year and age_range that is there and no
// malformed cell. ok is false where there is none. What it returns is within a
// band, or below 18.
func (p *PersonRow) age(b *Batch, row, year int) (a ages, ok bool) {
	for _, c := range []struct {
		col    int
		column string
	}{{colAge, "age"}, {colBirthYear, "birth_year"}, {colAgeRange, "age_range"}} {
		cell := bytes.TrimSpace(b.Cell(row, c.col))
		if len(cell) == 0 && !b.Malformed(row, c.col) {
			continue
		}
		known := true
		switch c.col {
		case colAge:
			// Of 17.5 the years are 17: nobody below 18 is loaded for a
			// fraction.
			years, fraction, _ := bytes.Cut(cell, []byte{'.'})
			n, whole := parseWhole(years)
			_, decimal := digits(fraction)
			a, ok = ages{n, n}, whole && decimal && n <= oldest
		case colBirthYear:
			n, whole := parseWhole(cell)
			// The birthday may be still to come.
			a, ok = ages{year - n - 1, year - n - 1}, whole && n <= year && year-n-1 <= oldest
		case colAgeRange:
			if len(cell) <= len(p.scratch) {
				a, known, ok = parseAgeRange(string(lower(p.scratch[:], cell)))
			} else {
				ok = false
			}
		}
		if !known {
			continue
		}
		if ok && (a.high < adult || band(a) != "") {
			return a, true
		}
		p.drop(c.column)
	}
	return ages{}, false
}

// parseAgeRange reads a range of ages in lower case: "25-34", "25 to 34",
// "55+", "over 54", "under 18", "<18", ">=55", "65 and over", "30". known is
// false for the word unknown; ok says that it is a range.
func parseAgeRange(s string) (a ages, known, ok bool) {
	if s == "unknown" {
		return a, false, true
	}
	switch s { // the usual ones first: forms are slow
	case "18-24":
		return ages{18, 24}, true, true
	case "25-34":
		return ages{25, 34}, true, true
	case "35-44":
		return ages{35, 44}, true, true
	case "45-54":
		return ages{45, 54}, true, true
	case "over 54", "55+":
		return ages{55, oldest}, true, true
	}
	a = ages{0, oldest}
	for _, form := range []struct {
		before, after string
		set           func(n int)
	}{
		{"over ", "", func(n int) { a.low = n + 1 }},
		{"under ", "", func(n int) { a.high = n - 1 }},
		{">=", "", func(n int) { a.low = n }},
		{"<=", "", func(n int) { a.high = n }},
		{">", "", func(n int) { a.low = n + 1 }},
		{"<", "", func(n int) { a.high = n - 1 }},
		{"", "+", func(n int) { a.low = n }},
		{"", " and over", func(n int) { a.low = n }},
		{"", " and older", func(n int) { a.low = n }},
		{"", " or older", func(n int) { a.low = n }},
		{"", " and under", func(n int) { a.high = n }},
		{"", " and younger", func(n int) { a.high = n }},
		{"", " or younger", func(n int) { a.high = n }},
		{"", "", func(n int) { a.low, a.high = n, n }},
	} {
		if !strings.HasPrefix(s, form.before) || !strings.HasSuffix(s, form.after) {
			continue
		}
		if n, ok := parseAge(strings.TrimSuffix(strings.TrimPrefix(s, form.before), form.after)); ok {
			form.set(n)
			return a, true, a.low <= a.high
		}
	}
	for _, dash := range []string{"-", "\u2013", " to "} {
		low, high, ok := strings.Cut(s, dash)
		if !ok {
			continue
		}
		var ok1, ok2 bool
		a.low, ok1 = parseAge(low)
		a.high, ok2 = parseAge(high)
		return a, true, ok1 && ok2 && a.low <= a.high
	}
	return a, true, false
}

// parseAge reads an age in years.
func parseAge(s string) (int, bool) {
	s = strings.TrimSpace(s)
	if len(s) == 0 || len(s) > 3 {
		return 0, false
	}
	n, ok := digits([]byte(s))
	return n, ok && n <= oldest
}
