package model

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestModelOnRespondents holds the twin to sizes that were computed by plain
// set operations on the files of a large dataset.
func TestModelOnRespondents(t *testing.T) {
	data := os.Getenv("THRONG_TEST_DATA")
	if data == "" {
		t.Skip("THRONG_TEST_DATA is not set; it names the folder that holds respondents/")
	}
	dir := filepath.Join(data, "respondents")
	raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected []struct {
		Name       string
		Parameters json.RawMessage
		Size       int
	}
	if err := json.Unmarshal(raw, &expected); err != nil {
		t.Fatal(err)
	}
	m, err := Load(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range expected {
		def := json.RawMessage(`{"parameters":` + string(e.Parameters) + `}`)
		res, err := m.Eval(def, External{})
		if err != nil {
			t.Errorf("Eval(%s): %v", e.Name, err)
		}
		if len(res.Members) != e.Size || res.Exclude != e.Size {
			t.Errorf("Eval(%s) has %d members, want %d", e.Name, len(res.Members), e.Size)
		}
	}
	for _, c := range m.Report() {
		if c.Rows != c.Loaded+c.Rejected+c.Skipped {
			t.Errorf("Report() = %+v, does not add up", c)
		}
	}
}

func TestCutWords(t *testing.T) {
	words := func(in string, want ...word) {
		t.Helper()
		if diff := cmp.Diff(want, cutWords(in), cmp.AllowUnexported(word{})); diff != "" {
			t.Errorf("cutWords(%q) differs (-want +got):\n%s", in, diff)
		}
	}
	words("")
	words("… — !?")
	words("Go, Golang!", word{text: "go"}, word{text: "golang"})
	words("#Golang @gopher $GO", word{"golang", '#'}, word{"gopher", '@'}, word{"go", '$'})
	words("# golang", word{text: "golang"})
	words("##go", word{"go", '#'})
	words("ＧＯ ﬁne Straße", word{text: "go"}, word{text: "fine"}, word{text: "strasse"})
	words("don't e.g. 3,14", word{text: "don't"}, word{text: "e.g"}, word{text: "3,14"})
	words("C++ c#", word{text: "c"}, word{text: "c"})
	words("I ❤️ 🇩🇪 👩‍💻", word{text: "i"}, word{text: "❤\ufe0f"}, word{text: "🇩🇪"}, word{text: "👩‍💻"})
	words("日本", word{text: "日"}, word{text: "本"})
	words("_ __ a_b", word{text: "a_b"})
}

func TestParseIdentifier(t *testing.T) {
	parse := func(typ, raw, printed, folded string, ok bool) {
		t.Helper()
		gotPrinted, gotFolded, gotOK := parseIdentifier(typ, raw)
		if gotOK != ok || ok && (gotPrinted != printed || gotFolded != folded) {
			t.Errorf("parseIdentifier(%s, %q) = %q, %q, %v, want %q, %q, %v", typ, raw, gotPrinted, gotFolded, gotOK, printed, folded, ok)
		}
	}
	parse("ss_id", " a ", " a ", " a ", true)
	parse("twitter_id", " 007 ", "007", "007", true)
	parse("twitter_id", "12a", "", "", false)
	parse("twitter_user", " @Ann ", "Ann", "ann", true)
	parse("twitter_user", "@", "", "", false)
	parse("md5", "0CC175B9C0F1B6A831C399E269772661", "0cc175b9c0f1b6a831c399e269772661", "0cc175b9c0f1b6a831c399e269772661", true)
	parse("md5", "D41D8CD98F00B204E9800998ECF8427E", "", "", false)
	parse("md5", "0cc1", "", "", false)
	parse("email_raw", " Ann@Example.com\t", "Ann@Example.com", "ann@example.com", true)
	parse("email_raw", "ann.example.com", "", "", false)
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	parse("ma_id", "0123456789ABCDEF0123456789abcdef", id, id, true)
	parse("ma_id", "00000000-0000-0000-0000-000000000000", "", "", false)
	parse("ma_id", "00000000000000000000000000000000", "", "", false)
	parse("idfa", id, "01234567-89AB-CDEF-0123-456789ABCDEF", "01234567-89AB-CDEF-0123-456789ABCDEF", true)
	parse("imei", "490154203237518", "490154203237518", "490154203237518", true)
	parse("imei", "490154203237519", "", "", false)
	parse("ramp_id", " Xi1 ", "Xi1", "Xi1", true)
}
