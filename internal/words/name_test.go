package words

import (
	"strings"
	"testing"
)

func TestFoldName(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{" -- ", ""},
		{"East New York", "east new york"},
		{"Providence - New Bedford", "providence new bedford"},
		{"São Tomé & Príncipe", "sao tome principe"},
		{"L'Aquila", "l aquila"},
		{"L’Aquila", "l aquila"},
		{"Node.js v1.2", "node js v1 2"},
		{"snake_case", "snake case"},
		{"Łódź Ørsted Đà", "lodz orsted da"},
		{"Straße ẞ", "strasse ss"},
		{"İzmir ırmak", "izmir irmak"},
		{"Москва Ёлка", "москва елка"},
		{"東京都", "東 京 都"},
		{"カタカナ", "カタカナ"},
		{"한국", "한국"},
		{"Ελλάδα", "ελλαδα"},
		{"I ❤ 🇩🇪", "i ❤ 🇩🇪"},
		{"#Tag @you $5", "tag you 5"},
		{"ﬁne ＷＩＤＥ", "fine wide"},
		{"a\xffb", "a b"},
	} {
		got := strings.ReplaceAll(string(FoldName(nil, test.in)), "\x1f", " ")
		if test.want != "" {
			test.want = " " + test.want
		}
		if got != test.want {
			t.Errorf("FoldName(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestMatchName(t *testing.T) {
	for _, test := range []struct {
		query, name string
		want        bool
	}{
		{"", "Anything", true},
		{"  ", "", true},
		{"!", "Anything!", false},
		{"new", "New York", true},
		{"new", "Norfolk - Portsmouth - Newport News", true},
		{"new", "Kennewick", false},
		{"New York", "East New York", true},
		{"new yo", "East New York", true},
		{"new york", "Newyork", false},
		{"n york", "New York", false},
		{"york new", "New York", false},
		{"east york", "East New York", false},
		{"Analyst, Senior Programmer", "Analyst, Senior Programmer", true},
		{"statsocial", "StatSocial Past Life: Founder", true},
		{"aquila", "L'Aquila", true},
		{"tome", "São Tomé", true},
		{"TOMÉ", "Sao Tome", true},
		{"京", "東京", true},
		{".b2b.", "B2B", true},
	} {
		if got := MatchName(FoldName(nil, test.name), ParseNameQuery(test.query)); got != test.want {
			t.Errorf("query %q finds %q = %t, want %t", test.query, test.name, got, test.want)
		}
		if got, want := ParseNameQuery(test.query).MatchesAll(), strings.TrimSpace(test.query) == ""; got != want {
			t.Errorf("query %q matches all = %t, want %t", test.query, got, want)
		}
	}
}

func FuzzMatchName(f *testing.F) {
	for _, s := range []string{"East New York", "São Tomé", "İ ß ﬁ", "Node.js", "東京", "L’Aquila", "\u0345α", "a\u200d😀", "x_y", "𝔘nicode"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		folded := FoldName(nil, name)
		q := ParseNameQuery(name)
		if !q.none && !MatchName(folded, q) {
			t.Fatalf("%q does not find itself: %q, %q", name, folded, q.folded)
		}
		if again := FoldName(nil, strings.ReplaceAll(string(folded), "\x1f", " ")); string(again) != string(folded) {
			t.Fatalf("FoldName(%q) = %q, and of that %q", name, folded, again)
		}
	})
}

func BenchmarkFoldName(b *testing.B) {
	for _, name := range []string{"East New York", "São Tomé", "Москва"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = FoldName(dst[:0], name)
			}
		})
	}
}
