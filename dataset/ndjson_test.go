package dataset

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadNDJSON(t *testing.T) {
	for _, c := range []struct {
		text string // after person and network
		want string
	}{
		{`{"person":"a","network":"b","account":"c"}`, "a|b|c"},
		{` { "account" : "c" , "person":"a","network":"b" } `, "a|b|c"},
		{"\t{\"person\":\"a\"}\r", "a|-|-"},
		{`{}`, "-|-|-"},
		{`{"person":12.50,"network":-0,"account":1e+3}`, "12.50|-0|1e+3"},
		{`{"person":true,"network":false,"account":null}`, "!|!|-"},
		{`{"person":"","network":[1,"]",{"a":[]}],"account":{"x":{"y":"}"}}}`, "-|!|!"},
		{`{"x":[],"y":{},"z":[[1,2],{"a":1,"b":null}],"person":"a"}`, "a|-|-"},
		{`{"person":"a","person":"b"}`, "b|-|-"},
		{`{"person":"a","person":null}`, "-|-|-"},
		{`{"PERSON":"a"}`, "a|-|-"},
		{`{"per\u0073on":"a"}`, "a|-|-"},
		{`{"person":"\"\\\/\b\f\n\r\t","network":"\u00e9\u20AC\ud83d\ude00x","account":"a\u0000b"}`, "\"\\/\b\f\n\r\t|é€😀x|a\x00b"},
		{`{"person":"é€😀"}`, "é€😀|-|-"},
		{`{"person":"\ud83d"}`, "BAD not UTF-8"},
		{`{"person":"\ude00\ud83d"}`, "BAD not UTF-8"},
		{`{"person":"\ud83dx"}`, "BAD not UTF-8"},
		{"{\"person\":\"\xff\"}", "BAD not UTF-8"},
		{"{\"x\":\"\xff\"}", "BAD not UTF-8"},
		{"{\"person\":\"a\tb\"}", "BAD malformed JSON"},
		{`{"person":"\x"}`, "BAD malformed JSON"},
		{`{"person":"\u12g4"}`, "BAD malformed JSON"},
		{`{"person":"a\`, "BAD malformed JSON"},
		{`{"person":"a`, "BAD malformed JSON"},
		{`{"person":"a"`, "BAD malformed JSON"},
		{`{"person":"a"}}`, "BAD malformed JSON"},
		{`{"person":"a"} {"person":"b"}`, "BAD malformed JSON"},
		{`{"person":"a",}`, "BAD malformed JSON"},
		{`{"person":01}`, "BAD malformed JSON"},
		{`{"person":1.}`, "BAD malformed JSON"},
		{`{"person":1e}`, "BAD malformed JSON"},
		{`{"person":-}`, "BAD malformed JSON"},
		{`{"person":nul}`, "BAD malformed JSON"},
		{`{"person":NaN}`, "BAD malformed JSON"},
		{`{"person"}`, "BAD malformed JSON"},
		{`{"person":}`, "BAD malformed JSON"},
		{`{person:1}`, "BAD malformed JSON"},
		{`["a"]`, "BAD malformed JSON"},
		{`"a"`, "BAD malformed JSON"},
		{`null`, "BAD malformed JSON"},
		{`{"x":[1,]}`, "BAD malformed JSON"},
		{`{"x":{"a"}}`, "BAD malformed JSON"},
		{`{"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, "BAD malformed JSON"},
	} {
		text := "\uFEFF\n" + c.text + "\n\n" + c.text // twice: the second time the keys are known
		tab := table(t, folder(t, map[string]string{"follows.ndjson": text}), Follows)
		got, err := readAll(t, tab, 1)
		if err != nil {
			t.Errorf("Read of %s: %v", c.text, err)
			continue
		}
		if diff := cmp.Diff([]string{"0:2 " + c.want, "0:4 " + c.want}, got); diff != "" {
			t.Errorf("rows of %s (-want +got):\n%s", c.text, diff)
		}
	}
}

// FuzzNDJSON holds the scanner to encoding/json.
func FuzzNDJSON(f *testing.F) {
	for _, s := range []string{
		`{"person":"a","network":"b","account":"c"}`, `{"person":1.5e-3,"x":[{"a":[null,true,"\u00e9"]}]}`,
		`{"person":"\ud83d\ude00\"\\"}`, `{"person":"\ud83d"}`, ` {"a":{}} `, `{"person":null,"person":false}`, "{\"person\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if strings.ContainsRune(string(line), '\n') || len(strings.Trim(string(line), " \t\r")) == 0 {
			return
		}
		b := parseText(t, Follows, string(line)+"\n", func(f *fileReader) textFormat { return &ndjsonFile{f} })
		want := map[string]any{}
		err := json.Unmarshal(line, &want)
		if line := strings.TrimSpace(string(line)); line == "null" {
			return // the library takes it for an object
		}
		if len(b.Bad) == 0 && err != nil {
			t.Fatalf("%q is taken; encoding/json: %v", line, err)
		}
		if len(b.Bad) == 1 {
			if err == nil && b.Bad[0].Reason == MalformedJSON && !strings.Contains(string(line), strings.Repeat("[", maxDepth/2)) && !deep(want, maxDepth/2) {
				t.Fatalf("%q is refused: %s", line, b.Bad[0].Reason)
			}
			return
		}
		for key := range want {
			if key != "person" && strings.EqualFold(key, "person") {
				return // the library does not fold
			}
		}
		if s, ok := want["person"].(string); ok && s != string(b.Cell(0, 0)) {
			t.Fatalf("person of %q = %q, want %q", line, b.Cell(0, 0), s)
		}
	})
}

// deep reports whether a value is nested more than n deep.
func deep(v any, n int) bool {
	if n == 0 {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			if deep(e, n-1) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if deep(e, n-1) {
				return true
			}
		}
	}
	return false
}

// parseText parses one chunk of text.
func parseText(t testing.TB, name, text string, format func(*fileReader) textFormat) *Batch {
	t.Helper()
	f := &fileReader{reader: &reader{table: &Table{Name: name, ignored: map[string]bool{}}}, columns: Columns(name)}
	b := &Batch{}
	b.reset(f, 0)
	data := append([]byte(text), make([]byte, padding)...)
	b.data = data[:len(text)]
	format(f).parse(b, 1)
	return b
}
