package silhouette

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/service"
)

const parameters = `"parameters":[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`

func TestDecodeDefinition(t *testing.T) {
	outputs := func(types ...string) *[]string { return &types }
	tests := []struct {
		name, body string
		want       service.Definition // without parameters
	}{
		{
			"all", `{"audience":{"name":"N","description":"D"},"callback_url":"https://a.example/","generate_insights_automatically":true,
			"insight_callback_url":"https://b.example/","outputs":["md5"],` + parameters + `}`,
			service.Definition{Name: "N", Description: "D", Build: service.Build{
				CallbackURL: "https://a.example/", InsightCallbackURL: "https://b.example/", AutoInsight: true, Outputs: outputs("md5"),
			}},
		},
		{"least", `{` + parameters + `}`, service.Definition{}},
		{"nulls are as if absent", `{"audience":null,"callback_url":null,"outputs":null,"generate_insights_automatically":null,` + parameters + `}`, service.Definition{}},
		{"no output", `{"outputs":[],` + parameters + `}`, service.Definition{Build: service.Build{Outputs: outputs([]string{}...)}}},
		{"other spelling", `{"insights_callback_url":"https://b.example/",` + parameters + `}`, service.Definition{Build: service.Build{InsightCallbackURL: "https://b.example/"}}},
		{"both spellings", `{"insights_callback_url":"x","insight_callback_url":"x",` + parameters + `}`, service.Definition{Build: service.Build{InsightCallbackURL: "x"}}},
		{"unknown keys", `{"audience":{"name":"N","tags":[]},"color":1,` + parameters + `}`, service.Definition{Name: "N", Build: service.Build{
			Warnings: []string{"audience.tags is not a known key and was ignored", "color is not a known key and was ignored"},
		}}},
		{
			"all that is wrong", `{"audience":{"name":1,"description":[]},"callback_url":2,"generate_insights_automatically":"no","outputs":[3,"md5"],` + parameters + `}`,
			service.Definition{Build: service.Build{Outputs: outputs("md5"), Problems: []throng.Detail{
				{Path: "audience.name", Message: "must be a string"},
				{Path: "audience.description", Message: "must be a string"},
				{Path: "callback_url", Message: "must be a string"},
				{Path: "generate_insights_automatically", Message: "must be true or false"},
				{Path: "outputs[0]", Message: "must be a string"},
			}}},
		},
		{"audience is no object", `{"audience":[],` + parameters + `}`, service.Definition{Build: service.Build{
			Problems: []throng.Detail{{Path: "audience", Message: "must be an object"}},
		}}},
	}
	for _, test := range tests {
		got := DecodeDefinition([]byte(test.body))
		if len(got.Parameters) != 1 {
			t.Errorf("DecodeDefinition(%s) has %d parameters, want 1", test.name, len(got.Parameters))
		}
		got.Parameters = nil
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("DecodeDefinition(%s) (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestDecodeDefinitionOfNoObject(t *testing.T) {
	for _, body := range []string{``, `null`, `[]`, `"x"`, `7`} {
		want := []throng.Detail{{Path: "body", Message: "must be an object"}}
		if diff := cmp.Diff(want, DecodeDefinition([]byte(body)).Problems); diff != "" {
			t.Errorf("DecodeDefinition(%s) problems (-want +got):\n%s", body, diff)
		}
	}
}

func TestDecodeRegenerate(t *testing.T) {
	if diff := cmp.Diff(service.Build{}, decodeRegenerate(nil)); diff != "" {
		t.Errorf("decodeRegenerate(nothing) (-want +got):\n%s", diff)
	}
	got := decodeRegenerate([]byte(`{"outputs":["md5"],"callback_url":"x","name":"y"}`))
	want := service.Build{CallbackURL: "x", Outputs: &[]string{"md5"}, Warnings: []string{"name is not a known key and was ignored"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decodeRegenerate() (-want +got):\n%s", diff)
	}
	if got := decodeRegenerate([]byte(`[]`)).Problems; len(got) != 1 || got[0].Path != "body" {
		t.Errorf("decodeRegenerate([]) problems = %v, want one of the body", got)
	}
}

// FuzzDecodeDefinition: whatever comes is read without harm, and what has no
// problem is stored and read again as the same definition.
func FuzzDecodeDefinition(f *testing.F) {
	scripts, err := filepath.Glob("../../e2e/testdata/vendor/*.txtar")
	if err != nil || len(scripts) == 0 {
		f.Fatalf("find examples: %v, %d", err, len(scripts))
	}
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if _, body, ok := strings.Cut(string(text), "-- create.json --\n"); ok {
			body, _, _ = strings.Cut(body, "\n-- ")
			f.Add([]byte(body))
		}
	}
	f.Add([]byte(`{"parameters":[{"operation":"AND","group":{"parameters":[{"operation":"OR","audience":{"ids":[1]}}]}}]}`))
	f.Add([]byte(`{"audience":{"name":1},"parameters":[{"operation":"OR","youtube_channels":{"accounts":[{"id":1}],"cut_off":10}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if throng.ReadJSON(body) != nil { // never gets so far
			return
		}
		def := DecodeDefinition(body)
		if len(def.Problems) > 0 {
			return
		}
		if n := len(def.Parameters); n < 1 || n > throng.MaxParameters {
			t.Fatalf("DecodeDefinition() accepts %d parameters", n)
		}
		stored, err := throng.MarshalParameters(def.Parameters)
		if err != nil {
			t.Fatalf("MarshalParameters() = %v", err)
		}
		again, problems, _ := throng.ParseParameters(stored)
		if len(problems) > 0 {
			t.Fatalf("stored parameters have problems: %v\n%s", problems, stored)
		}
		for i := range again {
			if diff := cmp.Diff(def.Parameters[i].Criterion, again[i].Criterion, cmp.FilterPath(isRaw, cmp.Ignore())); diff != "" || def.Parameters[i].Operation != again[i].Operation {
				t.Fatalf("parameter %d is another after storing:\n%s", i, diff)
			}
		}
		if _, err := withSize(def.Parameters[0].Raw, nil); err != nil {
			t.Fatalf("withSize() = %v", err)
		}
	})
}

// isRaw tells the bytes of a nested parameter, whose spaces may differ.
func isRaw(p cmp.Path) bool { return p.Last().String() == ".Raw" }
