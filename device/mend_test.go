package device

import (
	"encoding/binary"
	"hash/crc32"
)

// mend sets the checksums of a set to what its bytes ask for, as far as its
// lengths lead to any.
func mend(b []byte) []byte {
	if len(b) < footerSize {
		return b
	}
	le := binary.LittleEndian
	foot, body := b[len(b)-footerSize:], b[:len(b)-footerSize]
	copy(foot, setMagic)
	for pass, sumAt := range []int{12, 16} {
		for i := range NumFamilies {
			at := foot[headSize+i*familySize:]
			n := le.Uint64(at) * keySize
			if pass == 1 {
				if le.Uint32(at[8:]) > maxBits {
					return b
				}
				n = dirLen(uint(le.Uint32(at[8:])))
			}
			if n > uint64(len(body)) {
				return b
			}
			le.PutUint32(at[sumAt:], crc32.Checksum(body[:n], castagnoli))
			body = body[n:]
		}
	}
	tail := foot[footerSize-tailSize:]
	le.PutUint64(tail, uint64(len(b)))
	le.PutUint32(tail[12:], 0)
	le.PutUint32(tail[8:], crc32.Checksum(foot[:footerSize-8], castagnoli))
	return b
}
