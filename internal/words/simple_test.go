package words

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestSimple holds the short cut against the rules, for every character that
// takes it, among neighbours of every class.
func TestSimple(t *testing.T) {
	contexts := []string{
		"X", "XX", "aXb", "1X2", "_X_", "X'X", "X:X", "X,X", "a'X", "X'a", "1,X", "X,1", "a.Xb", "#X", "@aX", "X#X",
		"éX", "Xé", "яXя", "٣X٣", "中X", "X中", "😀X", "X😀", "’X’", "aX’b", "X—X", "X$1",
	}
	var z Tokenizer
	step := rune(1)
	if testing.Short() {
		step = 17
	}
	count := 0
	for r := rune(0x80); r < numPages*pageSize; r += step {
		if !utf8.ValidRune(r) {
			continue
		}
		if c, _ := lookup([]byte(string(r))); c.class == classComplex {
			continue
		}
		count++
		for _, context := range contexts {
			text := strings.ReplaceAll(context, "X", string(r))
			got, ok := appendSimple(nil, []byte(text))
			if want := z.appendUnicode(nil, []byte(text)); !ok || string(got) != string(want) {
				t.Fatalf("%U in %q: %q, %t by the short cut, %q by the rules", r, context, got, ok, want)
			}
		}
	}
	// Without this a short cut that nothing takes would pass.
	if want := 80_000 / int(step); count < want {
		t.Errorf("%d simple characters, want %d", count, want)
	}
}

func TestSimpleRefuses(t *testing.T) {
	for _, s := range []string{"e\u0301", "ア", "ß", "İ", "א", "🇩🇪", "❤\ufe0f", "👩\u200d💻", "\xff", "a\u00adb", "𠮷\U000E0100"} {
		if got, ok := appendSimple([]byte("kept"), []byte("é"+s)); ok || string(got) != "kept" {
			t.Errorf("appendSimple(%q) = %q, %t, want none", s, got, ok)
		}
	}
}
