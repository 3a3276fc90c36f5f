package model

import (
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// word is a word of a text, with the sign directly before it or 0.
type word struct {
	text string
	sign rune
}

// cutWords cuts a text as semantics.md says: NFKC, case folding, segments of
// UAX #29, of which those with a letter, a digit, a pictograph or a flag's
// letter are words.
func cutWords(text string) []word {
	rest := cases.Fold().String(norm.NFKC.String(text))
	var words []word
	state, before := -1, rune(0)
	for rest != "" {
		var segment string
		segment, rest, state = uniseg.FirstWordInString(rest, state)
		if isWord(segment) {
			w := word{text: segment}
			if before == '#' || before == '@' || before == '$' {
				w.sign = before
			}
			words = append(words, w)
		}
		before, _ = utf8.DecodeLastRuneInString(segment)
	}
	return words
}

// HasWords tells whether a text holds any word.
func HasWords(text string) bool { return len(cutWords(text)) > 0 }

func isWord(segment string) bool {
	for _, r := range segment {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || isPictographic(r) || isRegionalIndicator(r) {
			return true
		}
	}
	return false
}

func isRegionalIndicator(r rune) bool { return 0x1F1E6 <= r && r <= 0x1F1FF }

// isPictographic tells whether r is Extended_Pictographic. Only such a
// character is held together with another one by a joiner (rule GB11).
func isPictographic(r rune) bool {
	if r < 0xA9 {
		return false
	}
	joined := string(r) + "\u200d\U0001F600"
	cluster, _, _, _ := uniseg.FirstGraphemeClusterInString(joined, -1)
	return cluster == joined
}

// holds tells whether a text holds a phrase.
func holds(text, phrase []word) bool {
	if len(phrase) == 0 {
		return false
	}
	for start := 0; start+len(phrase) <= len(text); start++ {
		all := true
		for i, p := range phrase {
			w := text[start+i]
			if w.text != p.text || p.sign != 0 && p.sign != w.sign {
				all = false
				break
			}
		}
		if all {
			return true
		}
	}
	return false
}

// lower is the folding of screen names and addresses: character by character.
func lower(s string) string {
	var out []rune
	for _, r := range s {
		out = append(out, unicode.ToLower(r))
	}
	return string(out)
}
