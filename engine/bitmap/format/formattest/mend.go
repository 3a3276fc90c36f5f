// Package formattest makes damaged index files that look sound, for tests of what
// reads them.
package formattest

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"throng/engine/bitmap/format"
)

// Damaged gives a copy of a file, of which it cuts cut bytes modulo its length
// off the end and changes eight from at on, wherever that lies, by xor. Its
// checksums are mended.
func Damaged(good []byte, at uint32, xor uint64, cut uint32) []byte {
	bad := bytes.Clone(good)
	bad = bad[:len(bad)-int(cut)%len(bad)]
	for i := range 8 {
		bad[(int(at)+i)%len(bad)] ^= byte(xor >> (8 * i))
	}
	Mend(bad)
	return bad
}

// Mend makes the checksums of a damaged file right again, as far as its footer
// lets it. It changes b.
func Mend(b []byte) {
	size := uint64(len(b))
	if size < format.FooterSize {
		return
	}
	le, table := binary.LittleEndian, crc32.MakeTable(crc32.Castagnoli)
	foot := b[size-format.FooterSize:]
	payload, meta, sums := le.Uint64(foot[16:]), le.Uint64(foot[24:]), le.Uint64(foot[32:])
	rest := size - format.FooterSize
	if payload > rest || meta > rest || sums > rest ||
		format.Pad8(payload)+format.Pad8(meta)+format.Pad8(sums) != rest || sums != 4*format.Chunks(payload) {
		return
	}
	at := format.Pad8(payload) + format.Pad8(meta)
	for c := range format.Chunks(payload) {
		part := b[c*format.ChunkSize : min((c+1)*format.ChunkSize, payload)]
		le.PutUint32(b[at+4*c:], crc32.Checksum(part, table))
	}
	le.PutUint64(foot[40:], uint64(crc32.Checksum(b[format.Pad8(payload):size-8], table)))
}
