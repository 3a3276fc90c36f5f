package storage

import (
	"encoding/binary"
	"hash/crc32"
)

// mend makes the checksums of a damaged file right again, as far as its footer
// lets it.
func mend(b []byte) {
	size := uint64(len(b))
	if size < footerSize {
		return
	}
	le := binary.LittleEndian
	foot := b[size-footerSize:]
	payload, meta, sums := le.Uint64(foot[16:]), le.Uint64(foot[24:]), le.Uint64(foot[32:])
	rest := size - footerSize
	if payload > rest || meta > rest || sums > rest || pad8(payload)+pad8(meta)+pad8(sums) != rest || sums != 4*chunks(payload) {
		return
	}
	at := pad8(payload) + pad8(meta)
	for c := range chunks(payload) {
		part := b[c*chunkSize : min((c+1)*chunkSize, payload)]
		le.PutUint32(b[at+4*c:], crc32.Checksum(part, castagnoli))
	}
	le.PutUint64(foot[40:], uint64(crc32.Checksum(b[pad8(payload):size-8], castagnoli)))
}
