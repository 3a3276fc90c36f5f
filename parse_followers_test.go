package throng

import (
	"encoding/json"
	"testing"
)

func TestMarshalParameters(t *testing.T) {
	const in = `[ {"operation": "OR", "b2b": {"job_titles":[{"id":"R&D <lead>"}], "filter":{"count":1,"direction":"<"}}},
		{"operation":"NOT","tweet_search":{"phrases":["\u003c b"]}} ]`
	const want = `[{"operation":"OR","b2b":{"job_titles":[{"id":"R&D <lead>"}],"filter":{"count":1,"direction":"<"}}},` +
		`{"operation":"NOT","tweet_search":{"phrases":["\u003c b"]}}]`
	params, problems, _ := ParseParameters(json.RawMessage(in))
	if len(problems) > 0 {
		t.Fatalf("ParseParameters() finds %v", problems)
	}
	got, err := MarshalParameters(params)
	if err != nil || string(got) != want {
		t.Errorf("MarshalParameters() = %s, %v, want %s", got, err, want)
	}
}
