package words

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// FoldName appends the words of a name, in the form in which names are
// searched, to dst: [TokenStart] before each word, case and accents ignored,
// signs left out. Where the words of a text hold punctuation, they are cut
// there too, so that L'Aquila is found by aquila and Node.js by js.
func FoldName(dst []byte, name string) []byte {
	if isASCII(name) {
		return appendPlainName(dst, name)
	}
	if !utf8.ValidString(name) {
		// A broken byte only separates; left in, it would keep the character
		// behind it from being taken apart.
		name = strings.ToValidUTF8(name, "\uFFFD")
	}
	stripped := stripAccents(name)
	if isASCII(stripped) {
		return appendPlainName(dst, stripped)
	}
	var z Tokenizer
	z.Tokens(stripped, func(_ byte, word []byte) bool {
		dst = appendUnpunctuated(dst, word)
		return true
	})
	return dst
}

// NameQuery is what a user typed into a search box. The zero value matches
// every name. It is immutable and safe for concurrent use.
type NameQuery struct {
	folded []byte
	none   bool // not empty, but without a word
}

// ParseNameQuery returns the query that s holds. A query of white space
// matches every name, one of other characters without a word matches none.
func ParseNameQuery(s string) NameQuery {
	q := NameQuery{folded: FoldName(nil, s)}
	q.none = len(q.folded) == 0 && len(bytes.TrimSpace([]byte(s))) > 0
	return q
}

// MatchesAll reports whether q matches every name.
func (q NameQuery) MatchesAll() bool { return len(q.folded) == 0 && !q.none }

// MatchName reports whether the words of q stand next to each other in a name
// folded by [FoldName], the last of them as the beginning of a word: `new`
// finds Newport News and not Kennewick, `new york` finds East New York.
func MatchName(folded []byte, q NameQuery) bool {
	return !q.none && bytes.Contains(folded, q.folded)
}

// appendPlainName is FoldName for ASCII: the words are the runs of letters and
// digits.
func appendPlainName[T string | []byte](dst []byte, name T) []byte {
	inside := false
	for i := range len(name) {
		c := class[name[i]]
		if c != classLetter && c != classDigit {
			inside = false
			continue
		}
		if !inside {
			dst = append(dst, TokenStart)
			inside = true
		}
		dst = append(dst, lower[name[i]])
	}
	return dst
}

// appendUnpunctuated appends the parts of a word between its punctuation that
// are not empty.
func appendUnpunctuated(dst, word []byte) []byte {
	inside := false
	for i := 0; i < len(word); {
		r, size := utf8.DecodeRune(word[i:])
		if unicode.IsPunct(r) {
			inside = false
		} else {
			if !inside {
				dst = append(dst, TokenStart)
				inside = true
			}
			dst = append(dst, word[i:i+size]...)
		}
		i += size
	}
	return dst
}

// stripAccents returns the name without its nonspacing marks, and with the
// stroke taken off the letters that Unicode does not decompose.
func stripAccents(name string) []byte {
	decomposed := norm.NFKD.Bytes([]byte(name))
	stripped := make([]byte, 0, len(decomposed))
	for i := 0; i < len(decomposed); {
		r, size := utf8.DecodeRune(decomposed[i:])
		i += size
		switch {
		case r == utf8.RuneError && size == 1:
			stripped = append(stripped, ' ') // not text, so it separates
		case !unicode.Is(unicode.Mn, r):
			stripped = utf8.AppendRune(stripped, withoutStroke(r))
		}
	}
	return stripped
}

func withoutStroke(r rune) rune {
	switch r {
	case 'Đ', 'đ':
		return 'd'
	case 'Ħ', 'ħ':
		return 'h'
	case 'ı':
		return 'i'
	case 'Ł', 'ł':
		return 'l'
	case 'Ø', 'ø':
		return 'o'
	case 'Ŧ', 'ŧ':
		return 't'
	default:
		return r
	}
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
