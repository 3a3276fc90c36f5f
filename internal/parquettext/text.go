// Package parquettext writes the values of Parquet columns as the text that
// tables in CSV would have: numbers without an exponent where they are
// reasonable, decimals with their point, days and times as RFC 3339 has them in
// UTC, UUIDs with dashes.
package parquettext

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// Append appends the text of a value to dst. The value is not null. What has no
// text, as a number that is none, comes to nothing.
type Append func(dst []byte, v parquet.Value) []byte

// Of returns how values of a type are written, nil where they are text already.
// The error says what of the type is not known.
func Of(t parquet.Type) (Append, error) {
	if logical := t.LogicalType(); logical != nil {
		switch l := logical.Value.(type) {
		case *format.DecimalType:
			return decimalText(t.Kind(), int(l.Scale))
		case *format.DateType:
			return dateText, nil
		case *format.TimestampType:
			return timestampText(l.Unit)
		case *format.IntType:
			if !l.IsSigned && t.Kind() == parquet.Int32 {
				return func(dst []byte, v parquet.Value) []byte { return strconv.AppendUint(dst, uint64(v.Uint32()), 10) }, nil
			}
			if !l.IsSigned {
				return func(dst []byte, v parquet.Value) []byte { return strconv.AppendUint(dst, v.Uint64(), 10) }, nil
			}
		case *format.UUIDType:
			return uuidText, nil
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return func(dst []byte, v parquet.Value) []byte { return strconv.AppendBool(dst, v.Boolean()) }, nil
	case parquet.Int32:
		return func(dst []byte, v parquet.Value) []byte { return strconv.AppendInt(dst, int64(v.Int32()), 10) }, nil
	case parquet.Int64:
		return func(dst []byte, v parquet.Value) []byte { return strconv.AppendInt(dst, v.Int64(), 10) }, nil
	case parquet.Int96:
		return int96Text, nil
	case parquet.Float:
		return func(dst []byte, v parquet.Value) []byte { return appendFloat(dst, float64(v.Float()), 32) }, nil
	case parquet.Double:
		return func(dst []byte, v parquet.Value) []byte { return appendFloat(dst, v.Double(), 64) }, nil
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return nil, nil
	default:
		return nil, errors.New("unknown type")
	}
}

// appendFloat appends a number without an exponent where it is a reasonable
// one: ids go through columns of floating-point numbers, too.
func appendFloat(dst []byte, x float64, bits int) []byte {
	switch {
	case math.IsNaN(x):
		return dst
	case math.Abs(x) < 1e21:
		return strconv.AppendFloat(dst, x, 'f', -1, bits)
	default:
		return strconv.AppendFloat(dst, x, 'g', -1, bits)
	}
}

func dateText(dst []byte, v parquet.Value) []byte {
	return time.Unix(int64(v.Int32())*86400, 0).UTC().AppendFormat(dst, time.DateOnly)
}

func timestampText(unit format.TimeUnit) (Append, error) {
	var at func(int64) time.Time
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		at = time.UnixMilli
	case *format.MicroSeconds:
		at = time.UnixMicro
	case *format.NanoSeconds:
		at = func(ns int64) time.Time { return time.Unix(0, ns) }
	default:
		return nil, errors.New("unknown unit of time")
	}
	return func(dst []byte, v parquet.Value) []byte { return appendTime(dst, at(v.Int64())) }, nil
}

func appendTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999Z07:00")
}

// int96Text writes what old writers mean by INT96: nanoseconds of a day, and
// the day's Julian number.
func int96Text(dst []byte, v parquet.Value) []byte {
	const epoch = 2440588 // 1970-01-01
	x := v.Int96()
	nanos := int64(x[1])<<32 | int64(x[0])
	return appendTime(dst, time.Unix((int64(x[2])-epoch)*86400, nanos))
}

func uuidText(dst []byte, v parquet.Value) []byte {
	b := v.ByteArray()
	if len(b) != 16 {
		return dst
	}
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// decimalText writes decimals, of which the last scale digits are behind the
// point.
func decimalText(kind parquet.Kind, scale int) (Append, error) {
	const maxScale = 76 // of the widest decimals in use
	if scale < 0 || scale > maxScale {
		return nil, errors.New("unknown scale of decimals")
	}
	switch kind {
	case parquet.Int32:
		return func(dst []byte, v parquet.Value) []byte {
			return appendDecimal(dst, strconv.AppendInt(nil, int64(v.Int32()), 10), scale)
		}, nil
	case parquet.Int64:
		return func(dst []byte, v parquet.Value) []byte {
			return appendDecimal(dst, strconv.AppendInt(nil, v.Int64(), 10), scale)
		}, nil
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return func(dst []byte, v parquet.Value) []byte {
			return appendDecimal(dst, appendBig(nil, v.ByteArray()), scale)
		}, nil
	default:
		return nil, errors.New("unknown type of decimals")
	}
}

// appendBig appends a big-endian number in two's complement.
func appendBig(dst, b []byte) []byte {
	if len(b) > 32 { // no decimal in use is wider
		return dst
	}
	if len(b) <= 8 {
		var wide [8]byte
		if len(b) > 0 && b[0] >= 0x80 {
			wide = [8]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}
		}
		copy(wide[8-len(b):], b)
		return strconv.AppendInt(dst, int64(binary.BigEndian.Uint64(wide[:])), 10)
	}
	n := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8))
	}
	return n.Append(dst, 10)
}

// appendDecimal appends a whole number with the point before its last scale
// digits.
func appendDecimal(dst, digits []byte, scale int) []byte {
	if len(digits) > 0 && digits[0] == '-' {
		dst, digits = append(dst, '-'), digits[1:]
	}
	if len(digits) == 0 || scale == 0 {
		return append(dst, digits...)
	}
	for len(digits) <= scale {
		digits = slices.Insert(digits, 0, '0')
	}
	dst = append(dst, digits[:len(digits)-scale]...)
	dst = append(dst, '.')
	return append(dst, digits[len(digits)-scale:]...)
}
