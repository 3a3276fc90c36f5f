package bitmap

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"throng/engine"
	"throng/query"
)

// TestRespondents loads a dataset of real answers and compares sizes with
// those that it comes with. THRONG_TEST_DATA names the folder that holds it.
func TestRespondents(t *testing.T) {
	data := os.Getenv("THRONG_TEST_DATA")
	if data == "" {
		t.Skip("THRONG_TEST_DATA is not set; it names the folder that holds respondents/")
	}
	data = filepath.Join(data, "respondents")
	b, err := os.ReadFile(filepath.Join(data, "expected.json"))
	must(t, err)
	var expected []struct {
		Name       string                       `json:"name"`
		Parameters []map[string]json.RawMessage `json:"parameters"`
		Size       uint64                       `json:"size"`
	}
	must(t, json.Unmarshal(b, &expected))
	e := openTest(t, t.TempDir())
	report, err := e.Load(t.Context(), data, engine.LoadOptions{})
	must(t, err)
	t.Logf("loaded %d people in %v", report.People, report.Elapsed)
	must(t, e.Check(t.Context(), "", nil))
	g := acquire(t, e, "")
	for _, want := range expected {
		var d query.Definition
		for _, p := range want.Parameters {
			d.Steps = append(d.Steps, translate(t, p))
		}
		set, counts, err := g.Select(t.Context(), d, 0)
		must(t, err)
		if counts.Exclude != want.Size || set.Len() != want.Size {
			t.Errorf("%s: Select = %d (%d rows), want %d", want.Name, counts.Exclude, set.Len(), want.Size)
		}
	}
}

// translate makes a parameter of the API a step, for the criteria that the
// expectations use.
func translate(t *testing.T, p map[string]json.RawMessage) query.Step {
	t.Helper()
	type ids []struct {
		ID string `json:"id"`
	}
	values := func(list ids) (out []string) {
		for _, v := range list {
			out = append(out, v.ID)
		}
		return out
	}
	var s query.Step
	for key, raw := range p {
		var c struct {
			Affinities    ids      `json:"affinities"`
			Ranges        []string `json:"ranges"`
			Genders       []string `json:"genders"`
			Personalities []string `json:"personalities"`
			JobTitles     ids      `json:"job_titles"`
			Countries     ids      `json:"countries"`
			Accounts      ids      `json:"accounts"`
			Cutoff        int      `json:"cutoff"`
		}
		if key == "operation" {
			var op string
			must(t, json.Unmarshal(raw, &op))
			s.Op = map[string]query.Op{"OR": query.Include, "AND": query.Filter, "NOT": query.Exclude}[op]
			continue
		}
		must(t, json.Unmarshal(raw, &c))
		switch key {
		case "affinities":
			s.Node = query.In{Field: query.Affinity, Values: values(c.Affinities)}
		case "age":
			s.Node = query.In{Field: query.Age, Values: c.Ranges}
		case "gender":
			s.Node = query.In{Field: query.Gender, Values: c.Genders}
		case "personality":
			s.Node = query.In{Field: query.Personality, Values: c.Personalities}
		case "b2b":
			s.Node = query.In{Field: query.JobTitle, Values: values(c.JobTitles)}
		case "location":
			s.Node = query.In{Field: query.Country, Values: values(c.Countries)}
		case "youtube_channels":
			s.Node = query.AtLeast{Field: query.YouTube, Values: values(c.Accounts), K: c.Cutoff}
		case "twitch_followers":
			s.Node = query.AtLeast{Field: query.Twitch, Values: values(c.Accounts), K: c.Cutoff}
		default:
			t.Fatalf("no translation of %s", key)
		}
	}
	return s
}
