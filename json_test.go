package throng

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReaderInt(t *testing.T) {
	for raw, want := range map[string]int64{
		`0`: 0, `7`: 7, `-7`: -7, `"7"`: 7, `"-7"`: -7, `"007"`: 7, `1e3`: 1000, `2.0`: 2,
		`9223372036854775807`: 1<<63 - 1, `"9223372036854775807"`: 1<<63 - 1,
	} {
		r := &Reader{}
		got, ok := r.Int(json.RawMessage(raw), "n")
		if !ok || got != want {
			t.Errorf("Int(%s) = %d, %t, want %d", raw, got, ok, want)
		}
	}
	for _, raw := range []string{`1.5`, `""`, `"-"`, `"+1"`, `" 1"`, `"1e3"`, `"x"`, `null`, `true`, `[]`, `{}`, `1e300`, `"99999999999999999999"`, ``} {
		r := &Reader{}
		n, ok := r.Int(json.RawMessage(raw), "n")
		problems, _ := r.Findings()
		if diff := cmp.Diff([]Detail{{"n", "must be a whole number"}}, problems); ok || diff != "" {
			t.Errorf("Int(%s) = %d, %t, (-want +got):\n%s", raw, n, ok, diff)
		}
	}
}
