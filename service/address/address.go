// Package address makes the addresses that are given out: where a caller can send a
// file, and where whoever has it can see a report. Each names a row and is proved
// by a MAC, so that nobody can make one.
package address

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"throng"
	"throng/internal/seal"
)

// Path names a file from its sending on:
// s3://<bucket>/audience/tmp_upload/2024/01/10/<slot>/<MD5>/<name>, without the
// MD5 where that is "".
func Path(bucket string, now time.Time, slot, md5, name string) string {
	parts := []string{"s3:/", bucket, "audience/tmp_upload", now.Format("2006/01/02"), slot}
	if md5 != "" {
		parts = append(parts, md5)
	}
	return strings.Join(append(parts, name), "/")
}

// IsName tells whether a file can have a name, which is one element of its path.
func IsName(name string) bool {
	return name != "." && name != ".." && utf8.ValidString(name) && utf8.RuneCountInString(name) <= throng.MaxName &&
		!strings.ContainsFunc(name, func(r rune) bool { return r == '/' || unicode.IsControl(r) })
}

// IsMD5 tells whether a text is a sum in hex.
func IsMD5(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && len(text) == 2*md5.Size
}

// SlotLen letters are 75 random bits.
const SlotLen = 16

// NewSlot makes 16 lower-case letters, as the vendor's paths have them.
func NewSlot() string {
	slot := make([]byte, 0, SlotLen)
	var b [2 * SlotLen]byte
	for {
		rand.Read(b[:]) // never fails: it ends the program instead
		for _, c := range b {
			if c >= 26*9 { // the rest of a byte would prefer some letters
				continue
			}
			if slot = append(slot, 'a'+c%26); len(slot) == SlotLen {
				return string(slot)
			}
		}
	}
}

// Token signs a slot and the second in which its address ends.
func Token(key *seal.Key, slot string, ends time.Time) string {
	head := slot + "." + strconv.FormatInt(ends.Unix(), 36)
	return head + "." + base64.RawURLEncoding.EncodeToString(key.MAC("incoming", head))
}

// ReadToken gives the slot of a token that was signed by the key, and
// when it ends.
func ReadToken(key *seal.Key, token string) (slot string, ends time.Time, ok bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || !seal.Equal(token[i+1:], base64.RawURLEncoding.EncodeToString(key.MAC("incoming", token[:i]))) {
		return "", time.Time{}, false
	}
	slot, text, _ := strings.Cut(token[:i], ".")
	n, err := strconv.ParseInt(text, 36, 64)
	return slot, time.Unix(n, 0), err == nil
}
