package format

import (
	"unsafe"

	"throng/engine/bitmap/kernel"
)

// number is what a payload is made of: whole numbers and runs of them.
type number interface {
	uint16 | uint32 | uint64 | ~struct{ Start, Last uint16 } | kernel.Line
}

// View reads b as numbers, without copying. b must be aligned, which holds for
// every offset that is a multiple of their size; a remainder is left out.
func View[T number](b []byte) []T {
	var t T
	n := len(b) / int(unsafe.Sizeof(t))
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// Bytes is the inverse of [View].
func Bytes[T number](s []T) []byte {
	var t T
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(t)))
}

// Pad8 is the next multiple of 8.
func Pad8(n uint64) uint64 { return (n + 7) &^ 7 }

// Padded appends zeros up to a multiple of 8 bytes.
func Padded(b []byte) []byte {
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}
