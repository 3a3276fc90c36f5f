package identifier

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"unicode"
	"unicode/utf8"
)

// Longest identifiers, in bytes of their normal form.
const (
	// MaxKey is the longest SSID.
	MaxKey = 64
	// MaxLen is the longest identifier of any other type. The longest that
	// has a standard, an e-mail address, ends at 320.
	MaxLen = 1024
)

// Reason says why a string is no identifier of a type; "" says that it is one.
// It is a stable text, fit for a report, and holds nothing of the string.
type Reason string

// The reasons. Where several apply, the first of this list is given.
const (
	Empty            Reason = "empty"
	TooLong          Reason = "too long"
	NotUTF8          Reason = "not utf-8"
	ControlCharacter Reason = "control character"
	Invalid          Reason = "invalid"
	ZeroID           Reason = "zero id"                 // the advertising id of a person who opted out
	EmptyMD5         Reason = "md5 of the empty string" // what a missing address hashes to
)

const md5OfEmpty = "d41d8cd98f00b204e9800998ecf8427e"

// Normalize appends the form of raw by which identifiers of type t are
// compared to dst: two strings name the same thing exactly if their forms are
// equal. Normalising a normal form changes nothing. When raw is no identifier
// of the type, dst is returned as it was, with the reason.
//
// raw is not kept and must not overlap the spare capacity of dst.
func (t Type) Normalize(dst, raw []byte) (key []byte, reason Reason) {
	raw, reason = t.clean(raw)
	if reason != "" {
		return dst, reason
	}
	start := len(dst)
	switch t {
	case SSID, CintID, RampID:
		return append(dst, raw...), ""
	case TwitterID:
		if !all(raw, isDigit) {
			return dst, Invalid
		}
		return append(dst, raw...), ""
	case TwitterUser, EmailRaw:
		if dst = appendLower(dst, raw); len(dst)-start > MaxLen {
			return dst[:start], TooLong
		}
		return dst, ""
	case MD5, IMEIMD5, IDFAMD5, GAIDMD5, OAIDMD5, IDFVMD5:
		return appendMD5(dst, raw)
	case MAID, GAID:
		return appendUUID(dst, raw, &lowerDigits)
	case IDFA, IDFV:
		return appendUUID(dst, raw, &upperDigits)
	case OAID:
		return appendOAID(dst, raw)
	case IMEI:
		if len(raw) < 14 || len(raw) > 16 || !all(raw, isDigit) || (len(raw) == 15 && !luhn(raw)) {
			return dst, Invalid
		}
		if all(raw, isZero) {
			return dst, ZeroID
		}
		return append(dst, raw...), ""
	default:
		return dst, Invalid
	}
}

// Printed appends the form of raw that output files hold to dst: as it is,
// trimmed and without a leading @, for TwitterUser and EmailRaw, whose case is
// kept; the normal form for every other type. It accepts and refuses what
// [Type.Normalize] does, and has the same normal form as raw.
func (t Type) Printed(dst, raw []byte) ([]byte, Reason) {
	if t != TwitterUser && t != EmailRaw {
		return t.Normalize(dst, raw)
	}
	raw, reason := t.clean(raw)
	if reason != "" {
		return dst, reason
	}
	if lowerLen(raw) > MaxLen {
		return dst, TooLong
	}
	return append(dst, raw...), ""
}

// EmailMD5 appends the MD5 of an e-mail address in its normal form to dst, as
// 32 lower-case hexadecimal digits: the identifier of type [MD5] of whoever
// has the address.
func EmailMD5(dst, normalized []byte) []byte { return HexMD5(dst, normalized) }

// HexMD5 appends the MD5 of an identifier in its normal form to dst, as 32
// lower-case hexadecimal digits: an identifier of the type that
// [Type.HasMD5] names.
func HexMD5(dst, normalized []byte) []byte {
	sum := md5.Sum(normalized)
	return hex.AppendEncode(dst, sum[:])
}

// clean returns the part of raw that counts, without copying, after the checks
// that do not need its normal form.
func (t Type) clean(raw []byte) ([]byte, Reason) {
	limit := MaxLen
	if t == SSID {
		limit = MaxKey
	} else {
		raw = bytes.TrimSpace(raw)
	}
	at := false // a handle whose one @ is gone must not begin with another
	if t == TwitterUser && len(raw) > 0 && raw[0] == '@' {
		at = true
		raw = bytes.TrimSpace(raw[1:])
	}
	switch {
	case len(raw) == 0:
		return nil, Empty
	case len(raw) > limit:
		return nil, TooLong
	}
	if reason := checkText(raw); reason != "" {
		return nil, reason
	}
	switch {
	case at && raw[0] == '@':
		return nil, Invalid
	case t == EmailRaw && bytes.IndexByte(raw, '@') < 0:
		return nil, Invalid
	}
	return raw, ""
}

// checkText refuses what could break a line of a file apart.
func checkText(b []byte) Reason {
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7F {
				// Bytes that are no text at all are the graver fault.
				if !utf8.Valid(b[i:]) {
					return NotUTF8
				}
				return ControlCharacter
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return NotUTF8
		case unicode.IsControl(r):
			if !utf8.Valid(b[i:]) {
				return NotUTF8
			}
			return ControlCharacter
		}
		i += size
	}
	return ""
}

// appendLower appends b with every character in its lower case, one to one,
// whatever the language: the folding of handles and addresses everywhere.
func appendLower(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		i += size
	}
	return dst
}

// lowerLen returns how many bytes appendLower(nil, b) has; lower case can be
// the longer one.
func lowerLen(b []byte) int {
	n := len(b)
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		n += utf8.RuneLen(unicode.ToLower(r)) - size
		i += size
	}
	return n
}

func appendMD5(dst, raw []byte) ([]byte, Reason) {
	if len(raw) != 32 {
		return dst, Invalid
	}
	b := [32]byte(raw)
	switch seen := rewrite(&b, &lowerDigits); {
	case seen&noDigit != 0:
		return dst, Invalid
	case string(b[:]) == md5OfEmpty:
		return dst, EmptyMD5
	}
	return append(dst, b[:]...), ""
}

// rewrite writes hexadecimal digits anew. It returns the bits that are set in
// any of them, noDigit where one is none.
func rewrite(b *[32]byte, digits *[16]byte) (seen byte) {
	for i, c := range b {
		v := hexValues[c]
		seen |= v
		b[i] = digits[v&15]
	}
	return seen
}

// appendUUID accepts the two ways in which advertising ids are written: groups
// of 8-4-4-4-12 digits, and 32 digits on end.
func appendUUID(dst, raw []byte, digits *[16]byte) ([]byte, Reason) {
	var b [32]byte
	switch {
	case len(raw) == len(b):
		copy(b[:], raw)
	case len(raw) == 36 && raw[8] == '-' && raw[13] == '-' && raw[18] == '-' && raw[23] == '-':
		copy(b[:8], raw[:8])
		copy(b[8:12], raw[9:13])
		copy(b[12:16], raw[14:18])
		copy(b[16:20], raw[19:23])
		copy(b[20:], raw[24:])
	default:
		return dst, Invalid
	}
	switch seen := rewrite(&b, digits); {
	case seen&noDigit != 0:
		return dst, Invalid
	case seen == 0:
		return dst, ZeroID
	}
	dst = append(append(dst, b[:8]...), '-')
	dst = append(append(dst, b[8:12]...), '-')
	dst = append(append(dst, b[12:16]...), '-')
	dst = append(append(dst, b[16:20]...), '-')
	return append(dst, b[20:]...), ""
}

// The digits as the makers of phones write them.
var (
	lowerDigits = [16]byte([]byte("0123456789abcdef"))
	upperDigits = [16]byte([]byte("0123456789ABCDEF"))
)

// noDigit marks in hexValues what is no hexadecimal digit.
const noDigit = 0x80

// hexValues are the values of digits in either case.
var hexValues = func() (v [256]byte) {
	for c := range v {
		v[c] = noDigit
		if isHex(byte(c)) {
			v[c] = hexValue(byte(c))
		}
	}
	return v
}()

func appendOAID(dst, raw []byte) ([]byte, Reason) {
	if len(raw) > 64 || !all(raw, isOAID) {
		return dst, Invalid
	}
	if all(raw, isZero) {
		return dst, ZeroID
	}
	return append(dst, raw...), ""
}

// luhn reports whether the last of the digits is the check digit of the rest.
func luhn(digits []byte) bool {
	sum := 0
	for i, c := range digits {
		d := int(c - '0')
		if (len(digits)-i)%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

func all(b []byte, ok func(byte) bool) bool {
	for _, c := range b {
		if !ok(c) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isZero tells of what an id of zeros is written with.
func isZero(c byte) bool { return c == '0' || c == '-' }

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isOAID(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-'
}

// hexValue returns the value of a digit for which isHex holds.
func hexValue(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
