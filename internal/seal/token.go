package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"math/big"
	"strings"
)

const (
	// TokenPrefix begins every bearer token, so that scanners for leaked
	// secrets can know them.
	TokenPrefix = "thr_"

	tokenBytes = 32
	// tokenDigits is how many digits of base 62 hold tokenBytes.
	tokenDigits = 43
	// idDigits are enough to tell tokens apart, and leave 208 bits unknown.
	idDigits = 8
)

// NewToken returns a fresh bearer token: the prefix and 32 random bytes as 43
// letters and digits.
func NewToken() string { return TokenPrefix + randomDigits() }

// IsToken tells whether a text has the form of a token. What has not is nobody's,
// which costs no look into a database.
func IsToken(text string) bool {
	digits, ok := strings.CutPrefix(text, TokenPrefix)
	return ok && len(digits) == tokenDigits && !strings.ContainsFunc(digits, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// NewSecret returns 32 random bytes as 43 letters and digits, for session
// cookies and keys that need no prefix.
func NewSecret() string { return randomDigits() }

func randomDigits() string {
	b := make([]byte, tokenBytes)
	rand.Read(b) // never fails: it ends the program instead
	digits := new(big.Int).SetBytes(b).Text(62)
	return strings.Repeat("0", tokenDigits-len(digits)) + digits
}

// TokenID is the beginning of a token, by which people tell tokens apart. It
// may be stored and printed.
func TokenID(token string) string {
	return token[:min(len(token), len(TokenPrefix)+idDigits)]
}

// HashToken is what is stored of a token: its SHA-256 in lower-case hex. A
// token is random enough that a slow hash would add nothing.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Equal compares two secrets in a time that depends on their lengths only.
func Equal(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
