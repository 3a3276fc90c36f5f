package words

// Classes of ASCII characters: the values of the Word_Break property, and the
// characters at which a text can be cut without harm.
const (
	classOther       = iota
	classSpace       // controls and space
	classLetter      // ALetter
	classDigit       // Numeric
	classLow         // ExtendNumLet: the low line
	classMidLetter   // between letters
	classMidNum      // between digits
	classMidNumLet   // between letters, and between digits
	firstClassInside = classLetter
	lastClassInside  = classLow
	lastClassASCII   = classMidNumLet
)

// class and lower are indexed by byte. Bytes outside ASCII are classOther.
var class, lower = asciiTables()

func asciiTables() (class, lower [256]byte) {
	for c := range 256 {
		lower[c] = byte(c)
		switch {
		case c <= ' ' || c == 0x7F:
			class[c] = classSpace
		case 'a' <= c && c <= 'z':
			class[c] = classLetter
		case 'A' <= c && c <= 'Z':
			class[c], lower[c] = classLetter, byte(c)+'a'-'A'
		case '0' <= c && c <= '9':
			class[c] = classDigit
		}
	}
	class['_'] = classLow
	class[':'] = classMidLetter
	class[','], class[';'] = classMidNum, classMidNum
	class['.'], class['\''] = classMidNumLet, classMidNumLet
	return class, lower
}

// appendASCII does for ASCII without spaces what appendUnicode does for any
// text, some ten times as fast.
func appendASCII(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if c := class[text[i]]; c < firstClassInside || c > lastClassInside {
			i++
			continue
		}
		start := len(dst)
		dst = append(dst, TokenStart)
		if i > 0 && isSign(text[i-1]) {
			dst = append(dst, text[i-1])
		}
		word := false // it holds a letter or digit
		for ; i < len(text); i++ {
			c := class[text[i]]
			switch {
			case c == classLetter || c == classDigit:
				word = true
			case c == classLow:
			case c < classMidLetter || i+1 == len(text) || !joins(c, class[text[i-1]], class[text[i+1]]):
				c = classOther
			}
			if c == classOther {
				break
			}
			dst = append(dst, lower[text[i]])
		}
		if !word {
			dst = dst[:start]
		}
	}
	return dst
}

// joins reports whether a character of class mid joins its neighbours into one
// word (rules WB6, WB7, WB11 and WB12).
func joins(mid, before, after byte) bool {
	if before != after {
		return false
	}
	switch before {
	case classLetter:
		return mid == classMidLetter || mid == classMidNumLet
	case classDigit:
		return mid == classMidNum || mid == classMidNumLet
	default:
		return false
	}
}
