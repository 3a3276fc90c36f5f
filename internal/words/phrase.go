package words

import (
	"bytes"
	"slices"
)

// Phrase is a run of words to be found in texts. A word of it without a sign
// is found with and without one; a word with a sign is found with that sign
// only. It is immutable and safe for concurrent use.
type Phrase struct {
	tokens [][]byte // each with its sign, as in a stream
	anchor int      // the index of the longest token
}

// ParsePhrase returns the phrase that s holds; false if s holds no word.
func ParsePhrase(s string) (Phrase, bool) {
	var z Tokenizer
	var p Phrase
	for token := range tokens(z.Stream(nil, []byte(s))) {
		p.tokens = append(p.tokens, token)
		if len(token) > len(p.tokens[p.anchor]) {
			p.anchor = len(p.tokens) - 1
		}
	}
	return p, len(p.tokens) > 0
}

// Terms returns the index terms that every text with the phrase has, see
// [StreamTerms], each once, in the order of the phrase.
func (p Phrase) Terms() []string {
	terms := make([]string, 0, len(p.tokens))
	for _, token := range p.tokens {
		if term := string(token); !slices.Contains(terms, term) {
			terms = append(terms, term)
		}
	}
	return terms
}

// In reports whether any one text of a stream holds the phrase. The zero
// phrase is in no text.
func (p Phrase) In(stream []byte) bool {
	if len(p.tokens) == 0 {
		return false
	}
	anchor := p.tokens[p.anchor]
	for from := 0; ; {
		at := bytes.Index(stream[from:], anchor)
		if at < 0 {
			return false
		}
		at += from
		if start, ok := tokenStart(stream, at); ok && p.around(stream, start) {
			return true
		}
		// The next one begins behind this: a token that holds the anchor
		// twice does not equal it.
		from = at + len(anchor)
	}
}

// around reports whether the phrase stands in the stream with its anchor at
// the token that starts at start.
func (p Phrase) around(stream []byte, start int) bool {
	for range p.anchor {
		start--
		for start >= 0 && stream[start] != TokenStart {
			if stream[start] == TextEnd {
				return false
			}
			start--
		}
		if start < 0 {
			return false
		}
	}
	for _, token := range p.tokens {
		if start >= len(stream) || stream[start] != TokenStart {
			return false
		}
		start++
		if start < len(stream) && isSign(stream[start]) && !isSign(token[0]) {
			start++
		}
		if !bytes.HasPrefix(stream[start:], token) {
			return false
		}
		start += len(token)
	}
	return start == len(stream) || stream[start] == TokenStart || stream[start] == TextEnd
}

// tokenStart returns where in the stream the token starts whose word, or whose
// sign and word, is at at.
func tokenStart(stream []byte, at int) (start int, ok bool) {
	at--
	if at > 0 && isSign(stream[at]) {
		at--
	}
	return at, at >= 0 && stream[at] == TokenStart
}
