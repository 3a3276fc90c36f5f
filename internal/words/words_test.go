package words

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	uax29 "github.com/clipperhouse/uax29/v2/words"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// wordsOf prints the words of a text, each with its sign, between spaces.
func wordsOf(text string) string {
	var out []string
	Tokens([]byte(text), func(sign byte, word []byte) bool {
		w := string(word)
		if sign != 0 {
			w = string(sign) + w
		}
		out = append(out, w)
		return true
	})
	return strings.Join(out, " ")
}

func TestTokens(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"only separators", " \t\n-- ... !?", ""},
		{"sentence", "The quick, brown fox.", "the quick brown fox"},
		{"apostrophe", "I don't know", "i don't know"},
		{"curly apostrophe", "don’t", "don’t"},
		{"quotes", `'quoted' "words"`, "quoted words"},
		{"tag", "#GoLang rocks", "#golang rocks"},
		{"two signs", "##go @#go", "#go #go"},
		{"sign and space", "# go @ you $ 5", "go you 5"},
		{"cashtag", "buy $GOOG at $100.50", "buy $goog at $100.50"},
		{"handle", "@Some_Body, hi", "@some_body hi"},
		{"inner sign", "a#b", "a #b"},
		{"trailing sign", "C# F$", "c f"},
		{"plus", "C++ and C--", "c and c"},
		{"e-mail", "Mail me: jo.doe@Example.com", "mail me jo.doe @example.com"},
		{"url", "https://example.com/a-b?c=d_e#f", "https example.com a b c d_e #f"},
		{"numbers", "1,234.5 3:4 1.a 10km v2", "1,234.5 3 4 1 a 10km v2"},
		{"colon", "a:b 12:30", "a:b 12 30"},
		{"low line", "_ __ _a_ a__b #_x", "_a_ a__b #_x"},
		{"hyphen", "well-known", "well known"},
		{"double mid", "a..b a.'b", "a b a b"},
		{"mid at the end", "a. b' c:", "a b c"},
		{"controls", "a\x00b\x1Fc\x1Ed\x7Fe", "a b c d e"},

		{"case", "STRASSE Straße", "strasse strasse"},
		{"dotted I", "İstanbul", "i̇stanbul"},
		{"sigma", "ΣΊΣΥΦΟΣ σίσυφος", "σίσυφοσ σίσυφοσ"},
		{"ligature", "ﬁne ﬂow", "fine flow"},
		{"fullwidth", "ＦＵＬＬ　ｗｉｄｔｈ ＃Ｔａｇ ＠ｙｏｕ", "full width #tag @you"},
		{"small sign", "﹟tag", "#tag"},
		{"superscript", "x² ½", "x2 1⁄2"},
		{"composed", "Cafe\u0301 CAFÉ", "café café"},
		{"marks out of order", "a\u0301\u0323 a\u0323\u0301", "ạ́ ạ́"},
		{"Cherokee", "ᏣᎳᎩ ꮳꮃꭹ Ᏸ ᏸ", "ᏣᎳᎩ ᏣᎳᎩ Ᏸ Ᏸ"},
		{"lone mark", "\u0301 \u0301a", "a"},
		{"no-break space", "new\u00a0york", "new york"},
		{"soft hyphen", "co\u00adop", "co\u00adop"},

		{"Han", "東京タワー", "東 京 タワー"},
		{"Hiragana", "すし", "す し"},
		{"halfwidth Katakana", "ｶﾞｲﾄﾞ", "ガイド"},
		{"Hangul", "안녕 하세요", "안녕 하세요"},
		{"Hangul Jamo", "\u1112\u1161\u11ab", "한"},
		{"Thai", "กิน", "กิ น"},
		{"Hebrew", `צה"ל ג'`, `צה"ל ג'`},
		{"Arabic", "مرحبا، بك", "مرحبا بك"},
		{"Devanagari", "हिन्दी भाषा", "हिन्दी भाषा"},

		{"emoji", "I ❤ go😀😀", "i ❤ go 😀 😀"},
		{"variation selector", "❤️", "❤️"},
		{"joined emoji", "👩‍💻 and 👨‍👩‍👧", "👩‍💻 and 👨‍👩‍👧"},
		{"skin", "👍🏽", "👍🏽"},
		{"flags", "🇩🇪🇫🇷 🇩", "🇩🇪 🇫🇷 🇩"},
		{"keycaps", "1️⃣ #️⃣", "1️⃣"},
		{"sign before emoji", "#❤ @🇩🇪", "#❤ @🇩🇪"},
		{"sign with a selector", "#\ufe0fgo", "go"},
		{"copyright", "© 2020 Acme™", "© 2020 acmetm"},
		{"joiner after nothing", ".\u200d😀 \u200d😀 #\u200d😀", "😀 😀 😀"},
		{"joiner after a letter", "a\u200d😀", "a\u200d😀"},
		{"joiner after a control", "\x1f\u200d😀", "😀"},
		{"arrows", "a → b ↔ c", "a b ↔ c"},

		{"not UTF-8", "a\xffb \xe4", "a b"},
		{"cut off", "ab\xe4\xb8", "ab"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := wordsOf(test.in); got != test.want {
				t.Errorf("Tokens(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}
}

func TestTokensStops(t *testing.T) {
	calls := 0
	Tokens([]byte("a b c"), func(byte, []byte) bool { calls++; return calls < 2 })
	if calls != 2 {
		t.Errorf("Tokens called %d times, want 2", calls)
	}
}

func TestStream(t *testing.T) {
	var z Tokenizer
	for _, test := range []struct{ in, want string }{
		{"", "\x1e"},
		{"...", "\x1e"},
		{"Go #Go", "\x1fgo\x1f#go\x1e"},
	} {
		if got := string(z.Stream([]byte("kept"), []byte(test.in))); got != "kept"+test.want {
			t.Errorf("Stream(%q) = %q, want %q", test.in, got, "kept"+test.want)
		}
	}
}

func TestTerms(t *testing.T) {
	var z Tokenizer
	stream := z.Stream(nil, []byte("Go #go"))
	stream = z.Stream(stream, []byte("$5"))
	want := []string{"go", "go", "#go", "5", "$5"}
	var got []string
	StreamTerms(stream, func(term []byte) { got = append(got, string(term)) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("StreamTerms (-want +got):\n%s", diff)
	}
}

func TestPhraseIn(t *testing.T) {
	for _, test := range []struct {
		phrase string
		text   string // texts between bars
		want   bool
	}{
		{"golang", "I write Golang.", true},
		{"golang", "#golang", true},
		{"#golang", "golang", false},
		{"#golang", "a #GoLang b", true},
		{"#golang", "@golang", false},
		{"#golang", "#golangs", false},
		{"golang", "golangs egolang", false},
		{"go", "ego google go", true},
		{"aa", "aaaa aa", true},
		{"new york", "in New York", true},
		{"new york", "#new @york", true},
		{"#new york", "new #new york", true},
		{"new york", "new|york", false},
		{"new york", "york new", false},
		{"new york", "new in york", false},
		{"new york", "newyork new yorkers", false},
		{"york", "new|york", true},
		{"a b a c", "a b a b a c", true},
		{"a b a c", "a b a b a d", false},
		{"I'm", "im", false},
		{"c++", "C is old", true},
		{"STRASSE", "Straße", true},
		{"東京", "東京都", true},
		{"京東", "東京都", false},
		{"example.com", "me@example.com", true},
		{"#1", "we are #1!", true},
		{"1", "we are #1!", true},
		{"u200d", "", false},
	} {
		p, ok := ParsePhrase(test.phrase)
		if !ok {
			t.Errorf("ParsePhrase(%q) holds no word", test.phrase)
			continue
		}
		var z Tokenizer
		var stream []byte
		for text := range strings.SplitSeq(test.text, "|") {
			stream = z.Stream(stream, []byte(text))
		}
		if got := p.In(stream); got != test.want {
			t.Errorf("%q in %q = %t, want %t", test.phrase, test.text, got, test.want)
		}
	}
}

func TestParsePhrase(t *testing.T) {
	for _, s := range []string{"", "  ", "#", "++", "\u0301", "_", "→"} {
		if p, ok := ParsePhrase(s); ok || p.In([]byte("\x1fa\x1e")) {
			t.Errorf("ParsePhrase(%q) holds a word", s)
		}
	}
	p, _ := ParsePhrase("Go #Go go, new")
	if diff := cmp.Diff([]string{"go", "#go", "new"}, p.Terms()); diff != "" {
		t.Errorf("Terms (-want +got):\n%s", diff)
	}
}

// TestMalformedStream asks for no more than that nothing breaks.
func TestMalformedStream(t *testing.T) {
	for _, s := range []string{"", "a", "\x1f", "\x1f\x1f", "\x1f#", "#", "\x1e\x1e", "\x1fa"} {
		for _, phrase := range []string{"a", "#a", "a b", "b a"} {
			p, _ := ParsePhrase(phrase)
			if got, want := p.In([]byte(s)), s == "\x1fa" && phrase == "a"; got != want {
				t.Errorf("%q in stream %q = %t, want %t", phrase, s, got, want)
			}
		}
		StreamTerms([]byte(s), func(term []byte) {
			if len(term) == 0 && s != "\x1f#" {
				t.Errorf("StreamTerms(%q) yields an empty term", s)
			}
		})
	}
}

// TestNormalize settles every character, alone and after a letter.
func TestNormalize(t *testing.T) {
	var z Tokenizer
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		for _, s := range []string{string(r), "a" + string(r)} {
			once := string(z.normalize([]byte(s)))
			if !norm.NFKC.IsNormalString(once) {
				t.Fatalf("normalize(%q) = %q: not in NFKC", s, once)
			}
			// The caser's own Cherokee is the wrong way round.
			if folded := cases.Fold().String(once); norm.NFKC.String(folded) != once && !isCherokee(r) {
				t.Fatalf("normalize(%q) = %q: not folded", s, once)
			}
			if twice := string(z.normalize([]byte(once))); twice != once {
				t.Fatalf("normalize(%q) = %q, and of that %q", s, once, twice)
			}
		}
		if testing.Short() && r > 0x3FFF {
			break
		}
	}
}

// TestPictographic compares the table with what the segmenter does.
func TestPictographic(t *testing.T) {
	for _, r := range "©®❤😀👩🅰🫠" {
		if !isPictographic(r) {
			t.Errorf("isPictographic(%U) = false", r)
		}
		s := []byte(zeroWidthJoiner + string(r))
		if n, _, _ := uax29.SplitFunc(s, true); n != len(s) {
			t.Errorf("the segmenter parts a joiner from %U", r)
		}
	}
	for _, r := range "a1#*→中\u200D\uFE0F🇩🏽" {
		// A skin tone is Extended_Pictographic only in versions before 16,
		// and Extend in all.
		if r != '🏽' && isPictographic(r) {
			t.Errorf("isPictographic(%U) = true", r)
		}
	}
}

func FuzzStream(f *testing.F) {
	for _, s := range []string{
		"The #quick brown_fox's 1,000.5 @jumps", "a.b:c;d'e f..g 1:2 1.a", "a@b.com $GOOG", "東京 ＃タグ", "👩‍💻🇩🇪❤️",
		"\u200d😀 .\u200d😀", "İSTANBUL ß ﬁ ŉ ΐ", "\u0345α\u0301 \u1fb3", "a\x1f\x1eb", "a\xff\xe4", strings.Repeat("\u0301", 40), "x" + strings.Repeat("\u0323\u0301", 20),
	} {
		f.Add(s, uint8(0), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, from, count uint8) {
		var z Tokenizer
		stream := z.Stream(nil, []byte(text))
		if bytes.Count(stream, []byte{TextEnd}) != 1 || stream[len(stream)-1] != TextEnd {
			t.Fatalf("Stream(%q) = %q: want one end of text, at its end", text, stream)
		}
		slow := z.appendUnicode(nil, []byte(strings.Map(spaceControls, text)))
		if got := string(stream[:len(stream)-1]); got != string(slow) {
			t.Fatalf("Stream(%q) = %q, piece by piece; whole it is %q", text, got, slow)
		}
		all := slices.Collect(tokens(stream))
		for _, token := range all {
			alone := z.Stream(nil, token)
			if want := "\x1f" + string(token) + "\x1e"; string(alone) != want {
				t.Fatalf("token %q of %q is %q when cut again", token, text, alone)
			}
		}
		if len(all) == 0 {
			return
		}
		start := int(from) % len(all)
		end := min(len(all), start+1+int(count)%5)
		phrase := string(bytes.Join(all[start:end], []byte(" ")))
		p, ok := ParsePhrase(phrase)
		if !ok || !p.In(stream) {
			t.Fatalf("phrase %q of %q is not found", phrase, text)
		}
		terms := map[string]bool{}
		StreamTerms(stream, func(term []byte) { terms[string(term)] = true })
		for _, term := range p.Terms() {
			if !terms[term] {
				t.Fatalf("term %q of phrase %q is not among those of %q", term, phrase, text)
			}
		}
	})
}

// spaceControls makes of the controls that part pieces what they mean.
func spaceControls(r rune) rune {
	if r < ' ' || r == 0x7F {
		return '\n'
	}
	return r
}

const sample = "Building audiences in #golang since 2012. Coffee, cats & long runs; I don't tweet much. Mail: me@example.com https://example.com/about $GOOG "

func BenchmarkStream(b *testing.B) {
	for _, bench := range []struct{ name, text string }{
		{"ascii", strings.Repeat(sample, 64)},
		{"emoji", strings.Repeat(sample+"❤️ 👩‍💻 café ", 64)},
		{"cyrillic", strings.Repeat("Съешь ещё этих мягких французских булок, да выпей чаю. ", 64)},
		{"han", strings.Repeat("東京は日本の首都です。", 64)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var z Tokenizer
			text := []byte(bench.text)
			dst := z.Stream(nil, text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				dst = z.Stream(dst[:0], text)
			}
		})
	}
}

func BenchmarkPhraseIn(b *testing.B) {
	var z Tokenizer
	stream := z.Stream(nil, []byte(strings.Repeat(sample, 512)))
	for _, phrase := range []string{"rust", "in rust", "#golang since 2013"} {
		b.Run(phrase, func(b *testing.B) {
			p, _ := ParsePhrase(phrase)
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				if p.In(stream) {
					b.Fatal("found")
				}
			}
		})
	}
}
