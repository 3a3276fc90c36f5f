package s3

import (
	"crypto/rand"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// What a blob of the key K consists of (all behind the store's prefix):
//
//	K!!<version>-<id>-<size>   a mark: since it is there, K is the data of that id
//	K!!<version>-gone-0        a mark: since it is there, K is deleted
//	K!<id>                     data, never changed
//	K                          what a client wrote by a URL of PresignPut
//
// Versions count up with each commit and deletion and are written so that the
// newest mark comes first. "!" is in no key, and less than all that is, so that
// everything of a key lies together in a listing, and listings are in the order
// of keys.
const (
	dataSign = "!"
	markSign = "!!"
	goneID   = "gone"
)

// mark is what the name of a mark tells.
type mark struct {
	version uint64
	id      string // of the data; goneID where it was deleted
	size    int64
}

func (m mark) gone() bool { return m.id == goneID }

// name is what follows the key.
func (m mark) name() string {
	return fmt.Sprintf("%s%016x-%s-%d", markSign, math.MaxUint64-m.version, m.id, m.size)
}

// parseMark reads what follows the key and the sign of a mark.
func parseMark(text string) (m mark, ok bool) {
	parts := strings.Split(text, "-")
	if len(parts) != 3 || len(parts[0]) != 16 || parts[1] == "" {
		return m, false
	}
	inverted, err := strconv.ParseUint(parts[0], 16, 64)
	if err != nil {
		return m, false
	}
	size, err := strconv.ParseInt(parts[2], 10, 64)
	m = mark{version: math.MaxUint64 - inverted, id: parts[1], size: size}
	return m, err == nil && size >= 0 && markSign+text == m.name()
}

// newID names data, once and for all.
func newID() string { return strings.ToLower(rand.Text()) }

// split takes an object's name apart: key, and what it is of it.
func split(name string) (key, rest string, isMark, isData bool) {
	key, rest, found := strings.Cut(name, dataSign)
	if !found {
		return key, "", false, false
	}
	if text, ok := strings.CutPrefix(rest, dataSign); ok {
		return key, text, true, false
	}
	return key, rest, false, true
}
