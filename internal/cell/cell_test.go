package cell

import (
	"strings"
	"testing"
)

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "",
		"Soccer":            "Soccer",
		"a=b":               "a=b",
		" =1":               " =1",
		"'=1":               "'=1",
		"=HYPERLINK(\"x\")": "'=HYPERLINK(\"x\")",
		"+1":                "'+1",
		"-1":                "'-1",
		"@SUM(A1)":          "'@SUM(A1)",
		"\t=1":              "'\t=1",
		"\r=1":              "'\r=1",
		"\n=1":              "'\n=1",
		"＝1":                "'＝1",
		"＋1":                "'＋1",
		"－1":                "'－1",
		"＠x":                "'＠x",
		"\xff=1":            "\xff=1",
		"Ünited = ß, 25–34": "Ünited = ß, 25–34",
	} {
		if got := Escape(text); got != want {
			t.Errorf("Escape(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("=1")
	f.Add("Soccer")
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if got != s && got != "'"+s {
			t.Errorf("Escape(%q) = %q, want the text, with or without an apostrophe", s, got)
		}
		if got != "" && strings.ContainsAny(got[:1], "=+-@\t\r\n") {
			t.Errorf("Escape(%q) = %q, which a spreadsheet runs", s, got)
		}
	})
}
