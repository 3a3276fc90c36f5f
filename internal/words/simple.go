package words

import (
	"sync"
	"unicode"
	"unicode/utf8"

	uax29 "github.com/clipperhouse/uax29/v2/words"
	"golang.org/x/text/unicode/norm"
)

// Classes that only characters beyond ASCII have.
const (
	// classComplex is of characters that change with those around them: marks,
	// joiners, Katakana, Hebrew, flags. A text with one needs every rule.
	classComplex = lastClassASCII + 1 + iota
	// classAlone is of characters that are a word each: ideographs, emoji.
	classAlone
)

// simple says what becomes of a character wherever it stands.
type simple struct {
	fold  rune // what it is when normalised and folded
	class byte
}

const (
	pageSize = 256
	numPages = 0x20000 / pageSize // the two planes with nearly all text
)

// pages holds the simple characters. Each page is worked out when a text first
// needs it; all would take a second.
var pages = newPages()

func newPages() (pages [numPages]func() *[pageSize]simple) {
	for n := range pages {
		pages[n] = sync.OnceValue(func() *[pageSize]simple {
			var z Tokenizer
			var page [pageSize]simple
			for i := range page {
				page[i] = z.describe(rune(n*pageSize + i))
			}
			return &page
		})
	}
	return pages
}

// lookup returns the first character of text, which is not empty, and its
// length.
func lookup(text []byte) (simple, int) {
	if c := text[0]; c < utf8.RuneSelf {
		return simple{rune(lower[c]), class[c]}, 1
	}
	r, size := utf8.DecodeRune(text)
	if r >= numPages*pageSize || r == utf8.RuneError {
		return simple{r, classComplex}, size
	}
	return pages[r/pageSize]()[r%pageSize], size
}

// appendSimple does for text of simple characters what appendUnicode does for
// any, several times as fast. It reports false, and returns dst as it was, if
// a character is not simple.
func appendSimple(dst, text []byte) ([]byte, bool) {
	start := len(dst)
	sign := byte(0) // the character before, if it is one
	for len(text) > 0 {
		c, size := lookup(text)
		switch {
		case c.class == classComplex:
			return dst[:start], false
		case c.class == classAlone:
			dst = appendStart(dst, sign)
			dst = utf8.AppendRune(dst, c.fold)
		case firstClassInside <= c.class && c.class <= lastClassInside:
			token := len(dst)
			var word, ok bool
			dst, size, word, ok = appendRun(appendStart(dst, sign), text)
			if !ok {
				return dst[:start], false
			}
			if !word {
				dst = dst[:token]
			}
		default:
			if isSign(byte(c.fold)) && c.fold < utf8.RuneSelf {
				sign, text = byte(c.fold), text[size:]
				continue
			}
		}
		sign, text = 0, text[size:]
	}
	return dst, true
}

func appendStart(dst []byte, sign byte) []byte {
	if sign != 0 {
		return append(dst, TokenStart, sign)
	}
	return append(dst, TokenStart)
}

// appendRun appends the segment with which text begins and returns its length
// in text, whether it is a word, and false if it meets a complex character.
func appendRun(dst, text []byte) (_ []byte, n int, word, ok bool) {
	before := byte(classOther)
	for n < len(text) {
		c, size := lookup(text[n:])
		switch c.class {
		case classComplex:
			return dst, n, false, false
		case classLetter, classDigit:
			word = true
		case classLow:
		case classMidLetter, classMidNum, classMidNumLet:
			if n+size == len(text) {
				return dst, n, word, true
			}
			if after, _ := lookup(text[n+size:]); !joins(c.class, before, after.class) {
				// A complex one behind it may yet be joined.
				return dst, n, word, after.class != classComplex
			}
		default:
			return dst, n, word, true
		}
		dst = utf8.AppendRune(dst, c.fold)
		before = c.class
		n += size
	}
	return dst, n, word, true
}

// describe works out of the rules themselves what becomes of a character.
func (z *Tokenizer) describe(r rune) simple {
	complex := simple{r, classComplex}
	if !utf8.ValidRune(r) || !startsAnew(r) {
		return complex
	}
	normal := string(z.normalize([]byte(string(r))))
	fold, size := utf8.DecodeRuneInString(normal)
	if size != len(normal) || !startsAnew(fold) {
		return complex
	}
	if class, ok := classOf(fold, normal); ok {
		return simple{fold, class}
	}
	return complex
}

// startsAnew reports whether no character before r can normalise together
// with it.
func startsAnew(r rune) bool {
	return norm.NFKC.PropertiesString(string(r)).BoundaryBefore()
}

// classOf returns the class of a normalised character r, s as a string; false
// if it is not simple.
func classOf(r rune, s string) (class byte, ok bool) {
	letter, digit := unicode.IsLetter(r), unicode.IsDigit(r)
	switch {
	case r == ' ':
		return classOther, true
	case isRegionalIndicator(r), oneSegment("\x00" + s), oneSegment(s+s) && oneSegment("ア"+s):
		return 0, false // flags; what joins anything; Katakana and low lines
	case oneSegment("a" + s):
		ok := letter && !isPictographic(r) && oneSegment(s+"a") && oneSegment("a:"+s) && oneSegment(s+":a")
		if ok && !oneSegment(s+"'") { // Hebrew
			return classLetter, true
		}
		ok = digit && oneSegment(s+"a") && oneSegment("1,"+s) && oneSegment(s+",1")
		return classDigit, ok
	case oneSegment(s + "a"), oneSegment("1" + s), oneSegment(s + "1"), oneSegment(s + s), oneSegment("_" + s), oneSegment(s + "_"), oneSegment("א" + s + "א"):
		if !oneSegment("a"+s+"a") && !oneSegment("1"+s+"1") {
			return 0, false
		}
	}
	betweenLetters, betweenDigits := oneSegment("a"+s+"a"), oneSegment("1"+s+"1")
	switch {
	case letter || digit || isPictographic(r):
		return classAlone, !betweenLetters && !betweenDigits
	case betweenLetters && betweenDigits:
		return classMidNumLet, true
	case betweenLetters:
		return classMidLetter, true
	case betweenDigits:
		return classMidNum, true
	default:
		return classOther, true
	}
}

// oneSegment reports whether s is a single segment.
func oneSegment(s string) bool {
	n, _, err := uax29.SplitFunc([]byte(s), true)
	return err == nil && n == len(s)
}
