package device

import (
	"bytes"

	"throng/identifier"
	"throng/internal/hexkey"
)

// Reasons for which a line is refused, where more is known than that it is no
// id of its type (identifier.Invalid). Each is what the line looks like.
const (
	reasonLineEnds   = "lines that end in CR"
	reasonColumns    = "several columns"
	reasonEmail      = "an e-mail address"
	reasonPhone      = "a telephone number"
	reasonUTF16      = "text in UTF-16"
	reasonSHA1       = "a SHA-1 sum"
	reasonSHA256     = "a SHA-256 sum"
	reasonMD5        = "an MD5 sum"
	reasonRaw        = "a raw id"
	reasonOther      = "an id of another type"
	reasonBraces     = "a UUID in braces"
	reasonCheckDigit = "wrong check digit"
	reasonScientific = "a number as a spreadsheet writes it"
	reasonSeparators = "an IMEI with separators"
	reasonNothing    = "a word for nothing"
)

// looks tells what a line that is no id of the type looks like. text is trimmed
// and without quotes; why is what the type says of it.
func looks(f Family, hashed bool, text []byte, why identifier.Reason) string {
	switch why { //nolint:exhaustive // what is left is looked at
	case identifier.Empty, identifier.ZeroID, identifier.EmptyMD5:
		return string(why)
	}
	if isUTF16(text) {
		return reasonUTF16
	}
	if bytes.IndexByte(text, '\r') >= 0 {
		return reasonLineEnds
	}
	// A line can be too long, or hold a tab, because it has several columns.
	if isScientific(text) {
		return reasonScientific
	}
	if bytes.ContainsAny(text, ",;|\t") {
		return reasonColumns
	}
	if why != identifier.Invalid {
		return string(why)
	}
	if r := looksHex(f, hashed, text); r != "" {
		return r
	}
	if r := looksNumber(f, hashed, text); r != "" {
		return r
	}
	switch {
	case bytes.IndexByte(text, '@') > 0:
		return reasonEmail
	case isNothing(text):
		return reasonNothing
	}
	return string(why)
}

// looksHex knows sums and UUIDs.
func looksHex(f Family, hashed bool, text []byte) string {
	switch len(text) {
	case hexkey.SumLen, hexkey.UUIDLen:
		if _, ok := hexkey.Parse(text); !ok {
			break
		}
		switch {
		case len(text) == hexkey.SumLen: // in a list of sums it would be one
			return reasonMD5
		case hashed && f != IMEI:
			return reasonRaw
		}
		return reasonOther
	case 40:
		if allHex(text) {
			return reasonSHA1
		}
	case 64:
		if allHex(text) {
			return reasonSHA256
		}
	}
	if n := len(text); n > 2 && text[0] == '{' && text[n-1] == '}' || n > 2 && text[0] == '(' && text[n-1] == ')' {
		if _, ok := hexkey.Parse(text[1 : n-1]); ok {
			return reasonBraces
		}
	}
	if hashed && f == OAID && oaidLike(text) {
		return reasonRaw
	}
	return ""
}

// looksNumber knows IMEIs and telephone numbers.
func looksNumber(f Family, hashed bool, text []byte) string {
	digits, plus, others := 0, text[0] == '+', false
	for i, c := range text {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case c == ' ' || c == '-' || c == '/' || c == '.' || c == '(' || c == ')':
			others = true
		case c == '+' && i == 0:
		default:
			return ""
		}
	}
	imei := digits >= 14 && digits <= 16 && !plus
	switch {
	case imei && !others && f == IMEI && !hashed: // all that can be wrong with it
		return reasonCheckDigit
	case imei && f == IMEI && !hashed:
		return reasonSeparators
	case imei && f == IMEI:
		return reasonRaw
	case imei && !others:
		return reasonOther
	case digits >= 7 && digits <= 15:
		return reasonPhone
	}
	return ""
}

func allHex(text []byte) bool {
	for _, c := range text {
		if letter := c | 0x20; (c < '0' || c > '9') && (letter < 'a' || letter > 'f') {
			return false
		}
	}
	return true
}

// oaidLike tells whether a text is of a length in which makers of telephones
// write their ids, and of nothing but what those hold.
func oaidLike(text []byte) bool {
	if len(text) != 16 && len(text) != 64 && len(text) != hexkey.UUIDLen {
		return false
	}
	for _, c := range text {
		if letter := c | 0x20; (c < '0' || c > '9') && (letter < 'a' || letter > 'z') && c != '-' {
			return false
		}
	}
	return true
}

// isUTF16 tells of a line that was cut out of text in UTF-16, in either order
// of bytes: for what ids are made of, every second byte is zero.
func isUTF16(text []byte) bool {
	zeros := bytes.Count(text, []byte{0})
	return zeros > 0 && 3*zeros >= len(text)
}

// isScientific knows numbers such as 3.54E+14 and 354000000000000.0.
func isScientific(text []byte) bool {
	i := digitsAt(text, 0)
	if i == 0 {
		return false
	}
	if i < len(text) && (text[i] == '.' || text[i] == ',') {
		end := digitsAt(text, i+1)
		if end == len(text) { // a fraction of nothing behind a long number
			return i >= 14 && end-i <= 3 && len(bytes.Trim(text[i+1:], "0")) == 0
		}
		i = end
	}
	if i == len(text) || text[i]|0x20 != 'e' {
		return false
	}
	if i++; i < len(text) && text[i] == '+' {
		i++
	}
	return i < len(text) && len(text)-i <= 3 && digitsAt(text, i) == len(text)
}

// digitsAt is where the digits that begin at i end.
func digitsAt(text []byte, i int) int {
	for i < len(text) && '0' <= text[i] && text[i] <= '9' {
		i++
	}
	return i
}

// isNothing knows what programs write where there is no id.
func isNothing(text []byte) bool {
	switch string(bytes.ToLower(text[:min(len(text), 16)])) {
	case "null", "(null)", "<null>", "nil", "none", "nan", "n/a", "na", "undefined", "unknown", "empty", "-", "0", `\n`:
		return true
	}
	return false
}
