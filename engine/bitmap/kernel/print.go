package kernel

import "encoding/binary"

//go:generate go run -C gen ./text -out ../print_amd64.s -stubs ../printvector_amd64.go -pkg kernel

// The lengths of the lines that [HexLines] and [UUIDLines] print.
const (
	HexLine  = 32 + 1
	UUIDLine = 36 + 1
)

// ValueBytes is the size of the values that [HexLines] and [UUIDLines] print.
const ValueBytes = 16

// The digits that the printing kernels take.
var (
	lowerDigits = [16]byte([]byte("0123456789abcdef"))
	upperDigits = [16]byte([]byte("0123456789ABCDEF"))
)

// printers is an implementation of the loops that print values.
type printers struct {
	name string
	// n is at least 1; value v is data[16*v:][:16]; dst has the length of
	// what is printed.
	hexLines, uuidLines func(dst, data []byte, values []uint32, digits *[16]byte)
}

// usePrinters is the implementation in use: the last of those that the processor
// can run. Only tests write to it.
var usePrinters = printersHere()[len(printersHere())-1]

// HexLines prints values in lower case, each followed by a line end: value v is
// data[16*v:][:16]. dst must have HexLine bytes for each of them.
func HexLines(dst, data []byte, values []uint32) {
	if len(values) > 0 {
		usePrinters.hexLines(dst, data, values, &lowerDigits)
	}
}

// UUIDLines is HexLines with the dashes of UUIDs, in upper or lower case. dst
// must have UUIDLine bytes for each value.
func UUIDLines(dst, data []byte, values []uint32, upper bool) {
	digits := &lowerDigits
	if upper {
		digits = &upperDigits
	}
	if len(values) > 0 {
		usePrinters.uuidLines(dst, data, values, digits)
	}
}

// portablePrinters is for every machine.
var portablePrinters = printers{name: "portable", hexLines: hexLines, uuidLines: uuidLines}

func hexLines(dst, data []byte, values []uint32, digits *[16]byte) {
	letters := lettersOf(digits)
	for i, v := range values {
		line := (*[HexLine]byte)(dst[HexLine*i:])
		hex32((*[32]byte)(line[:]), (*[ValueBytes]byte)(data[ValueBytes*int(v):]), letters)
		line[32] = '\n'
	}
}

func uuidLines(dst, data []byte, values []uint32, digits *[16]byte) {
	letters := lettersOf(digits)
	for i, v := range values {
		line := (*[UUIDLine]byte)(dst[UUIDLine*i:])
		var all [32]byte
		hex32(&all, (*[ValueBytes]byte)(data[ValueBytes*int(v):]), letters)
		copy(line[0:8], all[0:8])
		copy(line[9:13], all[8:12])
		copy(line[14:18], all[12:16])
		copy(line[19:23], all[16:20])
		copy(line[24:36], all[20:32])
		line[8], line[13], line[18], line[23], line[36] = '-', '-', '-', '-', '\n'
	}
}

// lettersOf is how much farther from the numerals the letters are than their
// worth.
func lettersOf(digits *[16]byte) uint64 { return uint64(digits[10] - '9' - 1) }

func hex32(dst *[32]byte, src *[ValueBytes]byte, letters uint64) {
	le := binary.LittleEndian
	le.PutUint64(dst[0:], hex8(le.Uint32(src[0:]), letters))
	le.PutUint64(dst[8:], hex8(le.Uint32(src[4:]), letters))
	le.PutUint64(dst[16:], hex8(le.Uint32(src[8:]), letters))
	le.PutUint64(dst[24:], hex8(le.Uint32(src[12:]), letters))
}

// hex8 prints four bytes as eight digits, all of them at once in one word.
func hex8(src uint32, letters uint64) uint64 {
	const each = 0x0101010101010101
	x := uint64(src)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x>>4 | x<<8) & (each * 0x0f)
	big := (x + each*6) >> 4 & each // 1 where the digit is a letter
	return x + each*'0' + big*letters
}
