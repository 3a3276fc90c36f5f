package words

import "bytes"

// Split calls yield with each token of a stream, through all its texts, until
// it returns false. word is a part of the stream.
func Split(stream []byte, yield func(sign byte, word []byte) bool) {
	for token := range tokens(stream) {
		sign, word := byte(0), token
		if isSign(token[0]) {
			sign, word = token[0], token[1:]
		}
		if !yield(sign, word) {
			return
		}
	}
}

// StreamTerms calls yield with each term under which a text is found, through
// all texts of a stream: each word and, where one carries a sign, the sign with
// the word. term is a part of the stream. Terms come as often as they occur.
func StreamTerms(stream []byte, yield func(term []byte)) {
	for token := range tokens(stream) {
		if isSign(token[0]) {
			yield(token[1:])
		}
		yield(token)
	}
}

// tokens iterates over the tokens of a stream, each with its sign. Malformed
// stretches of the stream yield nothing.
func tokens(stream []byte) func(yield func(token []byte) bool) {
	return func(yield func(token []byte) bool) {
		for {
			start := bytes.IndexByte(stream, TokenStart)
			if start < 0 {
				return
			}
			stream = stream[start+1:]
			end := 0
			for end < len(stream) && stream[end] != TokenStart && stream[end] != TextEnd {
				end++
			}
			if end > 0 && !yield(stream[:end]) {
				return
			}
			stream = stream[end:]
		}
	}
}
