package storage

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"

	"throng/identifier"
	"throng/internal/hexkey"
)

// Codec knows how identifiers of one type are stored: MD5 sums and UUIDs as
// their 16 bytes, everything else as it is printed. It is safe for concurrent
// use.
type Codec struct {
	kind codecKind
	typ  identifier.Type
}

type codecKind uint8

const (
	codecText  codecKind = iota // stored as it is printed
	codecFold                   // the same, compared in its normal form
	codecHex                    // 32 hexadecimal digits
	codecLower                  // a UUID in lower case
	codecUpper                  // a UUID in upper case
)

// CodecOf is the codec of a type.
func CodecOf(t identifier.Type) Codec {
	switch {
	case t.IsMD5():
		return Codec{codecHex, t}
	case t == identifier.MAID || t == identifier.GAID:
		return Codec{codecLower, t}
	case t == identifier.IDFA || t == identifier.IDFV:
		return Codec{codecUpper, t}
	case t == identifier.TwitterUser || t == identifier.EmailRaw:
		return Codec{codecFold, t}
	default:
		return Codec{codecText, t}
	}
}

// Binary tells whether values are stored in 16 bytes.
func (c Codec) Binary() bool { return c.kind >= codecHex }

// Encode appends the stored form of text to dst, which is in the form that
// [identifier.Type.Printed] or [identifier.Type.Normalize] gives.
func (c Codec) Encode(dst, text []byte) []byte {
	if c.kind < codecHex {
		return append(dst, text...)
	}
	if k, ok := hexkey.Of(text); ok {
		dst = binary.BigEndian.AppendUint64(dst, k.Hi)
		return binary.BigEndian.AppendUint64(dst, k.Lo)
	}
	var raw [16]byte
	n := 0
	for i := 0; i+1 < len(text) && n < len(raw); {
		if text[i] == '-' {
			i++
			continue
		}
		raw[n] = hexValue(text[i])<<4 | hexValue(text[i+1])
		i += 2
		n++
	}
	return append(dst, raw[:]...)
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// Decode appends the printed form of a stored value to dst.
func (c Codec) Decode(dst, stored []byte) []byte {
	switch {
	case c.kind < codecHex || len(stored) != 16:
		return append(dst, stored...)
	case c.kind == codecHex:
		return hex.AppendEncode(dst, stored)
	}
	start := len(dst)
	dst = hex.AppendEncode(dst, stored[:4])
	for _, r := range [4][2]int{{4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		dst = append(dst, '-')
		dst = hex.AppendEncode(dst, stored[r[0]:r[1]])
	}
	if c.kind == codecUpper {
		upper(dst[start:])
	}
	return dst
}

func upper(b []byte) {
	for i, c := range b {
		if 'a' <= c && c <= 'f' {
			b[i] = c - 'a' + 'A'
		}
	}
}

// Key gives the form of a stored value that is hashed and compared: the value
// itself, or, where printed forms differ, its normal form in scratch[:0].
func (c Codec) Key(scratch, stored []byte) []byte {
	if c.kind != codecFold {
		return stored
	}
	key, reason := c.typ.Normalize(scratch[:0], stored)
	if reason != "" { // cannot be, since it was normalised before it was stored
		return stored
	}
	return key
}

// Equal tells whether a stored value has the key that [Codec.Key] gave of
// another.
func (c Codec) Equal(stored, key []byte) bool {
	if c.kind != codecFold || bytes.Equal(stored, key) {
		return bytes.Equal(stored, key)
	}
	var scratch [64]byte
	return bytes.Equal(c.Key(scratch[:0], stored), key)
}
