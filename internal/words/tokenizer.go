// Package words cuts text into the words by which texts and names are
// searched.
//
// The words of a text are the segments of Unicode UAX #29 that hold a letter,
// a digit, an Extended_Pictographic or a Regional_Indicator, after the text is
// normalised to NFKC and case folded. A sign, one of # @ $, belongs to a word
// if it is the character directly before it. Every other character only
// separates. So `C++` is the word c, `don't` is one word, `#Go` is go with a
// sign, `a@b.com` is a, then b.com with a sign, and a family emoji is one word.
//
// Three corners that the rules above leave open:
//
//   - Folding can undo a normal form and normalising can undo folding, so both
//     are repeated until nothing changes.
//   - A zero width joiner joins a pictograph to whatever stands before it, even
//     a space or a control character. Where nothing of a word stands before the
//     joiner, the word begins behind it.
//   - Bytes that are not UTF-8 separate.
package words

//go:generate go run ./gen

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	uax29 "github.com/clipperhouse/uax29/v2/words"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Marks in a stream of tokens. Words hold no control characters.
const (
	// TokenStart comes before each token.
	TokenStart = 0x1F
	// TextEnd comes after the last token of a text.
	TextEnd = 0x1E
)

// Tokens calls yield with each word of text, in order, until it returns false.
// sign is '#', '@', '$' or 0. word is valid during the call only.
// To cut many texts, use one [Tokenizer].
func Tokens(text []byte, yield func(sign byte, word []byte) bool) {
	var z Tokenizer
	z.Tokens(text, yield)
}

// Tokenizer cuts texts into words, reusing its buffers from text to text. The
// zero value is ready. It is not safe for concurrent use.
type Tokenizer struct {
	stream     []byte // of Tokens
	text, fold []byte // of normalize
	caser      cases.Caser
	ready      bool // caser is set
}

// Tokens is [Tokens] with the buffers of z. yield must not call z.
func (z *Tokenizer) Tokens(text []byte, yield func(sign byte, word []byte) bool) {
	z.stream = z.Stream(z.stream[:0], text)
	Split(z.stream, yield)
}

// Stream appends the words of text to dst: for each [TokenStart], its sign if
// it has one, and the word; then one [TextEnd], also if there is no word.
// text must not overlap the spare capacity of dst.
func (z *Tokenizer) Stream(dst, text []byte) []byte {
	// No word reaches over a control character or a space, and neither
	// normalising nor folding looks across one. So the text is taken piece by
	// piece, and only pieces that need all of Unicode's rules pay for them.
	for i := 0; i < len(text); {
		if class[text[i]] == classSpace {
			i++
			continue
		}
		start, high := i, byte(0)
		for i < len(text) && class[text[i]] != classSpace {
			high |= text[i]
			i++
		}
		if high < utf8.RuneSelf {
			dst = appendASCII(dst, text[start:i])
			continue
		}
		var ok bool
		if dst, ok = appendSimple(dst, text[start:i]); !ok {
			dst = z.appendUnicode(dst, text[start:i])
		}
	}
	return append(dst, TextEnd)
}

// appendUnicode appends the tokens of any text to dst.
func (z *Tokenizer) appendUnicode(dst, text []byte) []byte {
	text = z.normalize(text)
	for i := 0; i < len(text); {
		n, _, err := uax29.SplitFunc(text[i:], true)
		if n <= 0 || err != nil {
			break // not for valid UTF-8
		}
		segment, before := text[i:i+n], byte(0)
		if i > 0 {
			before = text[i-1]
		}
		i += n
		skip, ok := wordStart(segment)
		switch {
		case !ok:
			continue
		case skip == 0 && isSign(before):
			dst = append(dst, TokenStart, before)
		default:
			dst = append(dst, TokenStart)
		}
		dst = append(dst, segment[skip:]...)
	}
	return dst
}

const zeroWidthJoiner = "\u200D"

// wordStart returns at which byte of a segment its word begins, and whether
// it holds one.
func wordStart(segment []byte) (start int, ok bool) {
	for i := 0; i < len(segment); {
		r, size := utf8.DecodeRune(segment[i:])
		if unicode.IsLetter(r) || unicode.IsDigit(r) || isRegionalIndicator(r) {
			return 0, true
		}
		if isPictographic(r) {
			if bytes.HasSuffix(segment[:i], []byte(zeroWidthJoiner)) {
				return i, true
			}
			return 0, true
		}
		i += size
	}
	return 0, false
}

// normalize returns text in NFKC and case folded. The result is valid until
// the next call.
func (z *Tokenizer) normalize(text []byte) []byte {
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	if !z.ready {
		z.caser, z.ready = cases.Fold(), true
	}
	z.text = norm.NFKC.Append(z.text[:0], text...)
	// Two rounds settle every text met so far, and most need one and a look.
	// The bound is for texts made to go on.
	for range 8 {
		if !z.foldOnce() {
			break
		}
	}
	return z.text
}

// foldOnce folds z.text and normalises the outcome, and reports whether that
// changed it.
func (z *Tokenizer) foldOnce() bool {
	text := z.text
	if bytes.ContainsFunc(text, isCherokee) {
		// The caser swaps the cases of Cherokee, whose folded form is the
		// capital one.
		text = bytes.Map(smallCherokee, text)
	}
	z.caser.Reset()
	if _, err := z.caser.Span(text, true); err == nil {
		return false
	}
	z.caser.Reset()
	// Full folding makes at most three characters of one; none grows by more
	// than three times in UTF-8.
	if need := 3*len(text) + utf8.UTFMax; cap(z.fold) < need {
		z.fold = make([]byte, need)
	}
	n, _, err := z.caser.Transform(z.fold[:cap(z.fold)], text, true)
	if err != nil {
		return false // not with room for all
	}
	folded := z.fold[:n]
	if bytes.Equal(folded, z.text) {
		return false
	}
	z.text = norm.NFKC.Append(z.text[:0], folded...)
	return true
}

func isCherokee(r rune) bool {
	return 0x13A0 <= r && r <= 0x13FD || 0xAB70 <= r && r <= 0xABBF
}

// smallCherokee returns the small letter of a Cherokee capital, and every
// other character as it is.
func smallCherokee(r rune) rune {
	switch {
	case 0x13A0 <= r && r <= 0x13EF:
		return r - 0x13A0 + 0xAB70
	case 0x13F0 <= r && r <= 0x13F5:
		return r + 8
	default:
		return r
	}
}

func isSign(c byte) bool { return c == '#' || c == '@' || c == '$' }

func isRegionalIndicator(r rune) bool { return 0x1F1E6 <= r && r <= 0x1F1FF }

func isPictographic(r rune) bool { return r >= 0xA9 && unicode.Is(extendedPictographic, r) }
