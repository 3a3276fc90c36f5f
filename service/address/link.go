package address

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"throng/internal/seal"
)

// linkSum is how many bytes of a link's MAC are in its token: 192 bits.
const linkSum = 24

// linkMAC is what only the holder of the secret key can make of a link.
func linkMAC(key *seal.Key, id, counter int64) []byte {
	return key.MAC("public link of an insight", strconv.FormatInt(id, 10), strconv.FormatInt(counter, 10))[:linkSum]
}

// Link makes the token of the link to a report: the audience's id, by which the
// link is found, and a MAC of it and of how often the link was replaced.
func Link(key *seal.Key, id, counter int64) string {
	return base64.RawURLEncoding.EncodeToString(append(binary.AppendUvarint(nil, uint64(id)), linkMAC(key, id, counter)...))
}

// ReadLink reads the audience's id of a token, and what IsLink proves it by. ok is
// false for what Link never made.
func ReadLink(token string) (id int64, proof []byte, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	n, length := binary.Uvarint(raw)
	if err != nil || length <= 0 || len(raw) != length+linkSum || n == 0 || n > 1<<62 {
		return 0, nil, false
	}
	return int64(n), raw[length:], true
}

// IsLink tells whether a proof is that of a link, in the same time for all.
func IsLink(key *seal.Key, id, counter int64, proof []byte) bool {
	return hmac.Equal(proof, linkMAC(key, id, counter))
}
