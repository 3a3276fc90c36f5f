// Package seal keeps secrets: it seals with the server's one secret key what
// must be read again, and makes and compares the tokens of which only a hash is
// kept.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"throng/internal/durable"
)

// KeySize is the length of a secret key in bytes.
const KeySize = 32

var (
	// ErrKey says that a text is no secret key.
	ErrKey = errors.New("secret key: want 32 bytes in base64")
	// ErrSealed says that a text was not sealed with this key and binding, or
	// was changed since. Which of these is not told.
	ErrSealed = errors.New("sealed text cannot be opened with this key")
)

// version begins every sealed text, so that the way of sealing can change.
const version = "v1."

// Key is the secret key of a server. It is safe for concurrent use. Separate
// keys are derived from it for each use, so that none weakens another.
type Key struct {
	aead cipher.AEAD
	mac  []byte
	id   string
}

// NewKey returns a fresh key as text, for [ParseKey].
func NewKey() string {
	secret := make([]byte, KeySize)
	rand.Read(secret) // never fails: it ends the program instead
	return base64.StdEncoding.EncodeToString(secret)
}

// ParseKey reads a key of 32 bytes in base64: standard or URL alphabet, padded
// or not, with white space around. The error is [ErrKey] and holds no part of
// the text.
func ParseKey(text string) (*Key, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	secret, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(secret) != KeySize {
		return nil, ErrKey
	}
	var derived [3][]byte
	for i, use := range []string{"throng seal v1", "throng mac v1", "throng key id v1"} {
		if derived[i], err = hkdf.Key(sha256.New, secret, nil, use, KeySize); err != nil {
			return nil, fmt.Errorf("derive key: %w", err)
		}
	}
	block, err := aes.NewCipher(derived[0])
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return &Key{aead: aead, mac: derived[1], id: hex.EncodeToString(derived[2][:8])}, nil
}

// LoadOrCreate reads the key of a file, which is made with a fresh one (0600,
// durably) if it is not there. Processes that do so at once get the same key.
func LoadOrCreate(name string) (*Key, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = durable.CreateFile(name, []byte(NewKey()+"\n"))
		if err == nil || errors.Is(err, fs.ErrExist) {
			text, err = os.ReadFile(name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("load secret key: %w", err)
	}
	key, err := ParseKey(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil, fmt.Errorf("load secret key %s: %w", name, err)
	}
	return key, nil
}

// ID names the key without telling anything of it: 16 hex digits. A server can
// keep it beside what it seals, and find out that it was given another key.
func (k *Key) ID() string { return k.id }

// Seal encrypts and authenticates a text, for keeping in a row or file that
// binding names, such as "callers.api_key:NAME": moved elsewhere it does not
// open. The same text seals differently each time. Up to 2^32 texts may be
// sealed with one key.
func (k *Key) Seal(plain, binding string) string {
	sealed := k.aead.Seal(nil, nil, []byte(plain), []byte(version+binding))
	return version + base64.RawStdEncoding.EncodeToString(sealed)
}

// Open returns what was sealed with this key and binding, or [ErrSealed].
func (k *Key) Open(sealed, binding string) (string, error) {
	text, ok := strings.CutPrefix(sealed, version)
	if !ok {
		return "", ErrSealed
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return "", ErrSealed
	}
	plain, err := k.aead.Open(nil, nil, raw, []byte(version+binding))
	if err != nil {
		return "", ErrSealed
	}
	return string(plain), nil
}

// MAC returns 32 bytes that only the key's holder can compute for the parts.
// The first part should name the use. Parts are kept apart: ("a", "bc") and
// ("ab", "c") differ.
func (k *Key) MAC(parts ...string) []byte {
	h := hmac.New(sha256.New, k.mac)
	for _, part := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}
