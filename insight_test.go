package throng

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseBaselines(t *testing.T) {
	list, problems := ParseBaselines(json.RawMessage(`{
		"tea": {"parameters": [{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}, {"operation":"NOT","gender":{"genders":["male"]}}]},
		"North.1-a": {"parameters": [{"operation":"OR","location":{"countries":[{"id":"1"}]}}]}}`), []string{"global"})
	var names []string
	for _, b := range list {
		names = append(names, b.Name)
	}
	if diff := cmp.Diff([]string{"North.1-a", "tea"}, names); diff != "" || problems != nil {
		t.Errorf("names %v (-want +got):\n%s", problems, diff)
	}
	if len(list[1].Parameters) != 2 || list[1].Parameters[1].Operation != Not {
		t.Errorf("parameters = %+v, want two", list[1].Parameters)
	}
	for raw, want := range map[string][]Detail{
		``:           nil,
		`[]`:         {{"baselines", "must be an object"}},
		`{"tea":[]}`: {{"baselines.tea", "must be an object"}},
		`{"tea":{}}`: {{"baselines.tea.parameters", "is required"}},
		`{"global":{"parameters":[{"operation":"OR","gender":{"genders":["male"]}}]}}`: {
			{"baselines.global", "is the name of a built-in baseline"},
		},
		`{"a b":{"parameters":[{"operation":"OR","gender":{"genders":["male"]}}]}}`: {
			{"baselines.a b", "is no name for a baseline: want 1 to 64 letters, digits, dots, dashes and underscores"},
		},
		`{"tea":{"parameters":[{"operation":"AND","gender":{"genders":["male"]}}]}}`: {
			{"baselines.tea.parameters[0].operation", "must be OR in the first parameter"},
		},
		`{"tea":{"parameters":[{"operation":"OR","upload":{"keys":["/uploads/2026-11-21/0123456789abcdef0123456789abcdef.md5"],"type":"md5"}}],"of":1}}`: {
			{"baselines.tea.of", "is not a known key"},
			{"baselines.tea.parameters[0].upload", "belongs to a caller and cannot be in a baseline"},
		},
		`{"tea":{"parameters":[{"operation":"OR","group":{"parameters":[{"operation":"OR","audience":{"ids":[1]}}]}}]}}`: {
			{"baselines.tea.parameters[0].group.parameters[0].audience", "belongs to a caller and cannot be in a baseline"},
		},
	} {
		_, problems := ParseBaselines(json.RawMessage(raw), []string{"global"})
		if diff := cmp.Diff(want, problems); diff != "" {
			t.Errorf("ParseBaselines(%s) (-want +got):\n%s", raw, diff)
		}
	}
}
