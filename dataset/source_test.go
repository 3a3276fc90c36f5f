package dataset

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOpen(t *testing.T) {
	dir := folder(t, map[string]string{
		"people/b.csv": "person\n", "people/a.ndjson.gz": "", "people/_SUCCESS": "", "people/.x.crc": "",
		"jobs.CSV.zst": "12345", "follows.parquet": "", "tweets/_temporary/x": "",
		"README.md": "", "notes.csv": "", "licences/MIT": "", ".hidden": "", "peoples.csv": "", "people.old/x": "",
	})
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]File{}
	for name, tab := range s.Tables {
		if tab.Name != name {
			t.Errorf("Tables[%s].Name = %s", name, tab.Name)
		}
		got[name] = tab.Files
	}
	want := map[string][]File{
		People:  {{"people/a.ndjson.gz", NDJSON, Gzip, 0}, {"people/b.csv", CSV, Plain, 7}},
		Jobs:    {{"jobs.CSV.zst", CSV, Zstd, 5}},
		Follows: {{"follows.parquet", Parquet, Plain, 0}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Tables (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"README.md", "licences", "notes.csv", "people.old", "peoples.csv"}, s.Unknown); diff != "" {
		t.Errorf("Unknown (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Meta{PersonalityThreshold: 0.75}, s.Meta); diff != "" {
		t.Errorf("Meta (-want +got):\n%s", diff)
	}
}

func TestOpenError(t *testing.T) {
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{map[string]string{"jobs.csv": ""}, "no table people"},
		{map[string]string{"people/_SUCCESS": ""}, "no table people"},
		{map[string]string{"people.csv": "", "people/a.csv": ""}, "table people is there more than once: people/a.csv and people.csv"},
		{map[string]string{"people.csv": "", "people.csv.gz": ""}, "more than once"},
		{map[string]string{"people.csv": "", "people.parquet": ""}, "more than once"},
		{map[string]string{"people.txt": ""}, "people.txt: unknown extension"},
		{map[string]string{"people": ""}, "people: unknown extension"},
		{map[string]string{"people.csv": "", "jobs.parquet.gz": ""}, "jobs.parquet.gz: unknown extension"},
		{map[string]string{"people.csv": "", "jobs/a.csv.bz2": ""}, "jobs/a.csv.bz2: unknown extension"},
		{map[string]string{"people.csv": "", "jobs/day=1/a.csv": ""}, "jobs/day=1 is a folder"},
	} {
		_, err := Open(folder(t, c.files))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Open of %v = %v, want an error with %q", slices.Sorted(maps.Keys(c.files)), err, c.want)
		}
		if errors.As(err, new(*MetaError)) {
			t.Errorf("Open of %v = %v, want no MetaError", slices.Sorted(maps.Keys(c.files)), err)
		}
	}
	if _, err := Open(t.TempDir() + "/missing"); err == nil {
		t.Error("Open of a missing folder: no error")
	}
}

func TestMeta(t *testing.T) {
	for _, c := range []struct {
		text string
		want Meta
		err  string
	}{
		{text: `{}`, want: Meta{PersonalityThreshold: 0.75}},
		{text: "\uFEFF{\"name\":null}\n", want: Meta{PersonalityThreshold: 0.75}},
		{
			text: `{"name":"n","as_of":"2026-11-01T00:00:00Z","personality_threshold":0,"source":"s","license":"l","baselines":{"x":{"parameters":[]}}}`,
			want: Meta{Name: "n", AsOf: asOf, Source: "s", License: "l", Baselines: []byte(`{"x":{"parameters":[]}}`)},
		},
		{text: `{"as_of":"2026-11-01"}`, want: Meta{AsOf: asOf, PersonalityThreshold: 0.75}},
		{text: `{"personality_threshold":1}`, want: Meta{PersonalityThreshold: 1}},
		{text: ``, err: "want one JSON object"},
		{text: `null`, err: "want one JSON object"},
		{text: `[]`, err: "want one JSON object"},
		{text: `{"name":1}`, err: "name: want a string"},
		{text: `{"name":"x"`, err: "ends before the object does"},
		{text: `{`, err: "ends before the object does"},
		{text: "{\"name\": \"x\",\n\"source\" \"y\"}", err: "line 2: no JSON"},
		{text: "{\n\n\"name\": nil}", err: "line 3: no JSON"},
		{text: "{\n'name': 1}", err: "line 2: no JSON"},
		{text: `{"as_of":"2026-11-01","as_of":"2026-11-02"}`, err: "as_of is there twice"},
		{text: `{"As_Of":"2026-11-01"}`, err: `"As_Of" is no key: want name, as_of, `},
		{text: "{\"name\":\"\xff\"}", err: "is not UTF-8"},
		{text: `{} {}`, err: "something follows the object"},
		{text: `{}x`, err: "something follows the object"},
		{text: `{"asof":"2026-11-01"}`, err: "asof"},
		{text: `{"as_of":"November"}`, err: "as_of: want an RFC 3339"},
		{text: `{"as_of":1}`, err: "as_of: want an RFC 3339"},
		{text: `{"personality_threshold":1.5}`, err: "personality_threshold: want a number in 0..1"},
		{text: `{"personality_threshold":-0.1}`, err: "personality_threshold: want a number in 0..1"},
		{text: `{"personality_threshold":"high"}`, err: "personality_threshold: want a number in 0..1"},
		{text: `{"personality_threshold":1e999}`, err: "personality_threshold: want a number in 0..1"},
	} {
		s, err := Open(folder(t, map[string]string{"people.csv": "", "dataset.json": c.text}))
		if c.err == "" {
			if err != nil {
				t.Errorf("Open with %s: %v", c.text, err)
			} else if diff := cmp.Diff(c.want, s.Meta); diff != "" {
				t.Errorf("Meta of %s (-want +got):\n%s", c.text, diff)
			}
			continue
		}
		if !errors.As(err, new(*MetaError)) || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "dataset.json") {
			t.Errorf("Open with %s = %v, want a MetaError with %q", c.text, err, c.err)
		}
	}
}

func TestNames(t *testing.T) {
	if n := len(Names()); n != 12 {
		t.Errorf("%d names, want 12", n)
	}
	for _, name := range Names() {
		cols := Columns(name)
		if len(cols) == 0 || !cols[0].Required {
			t.Errorf("Columns(%s) = %v, want a required one first", name, cols)
		}
	}
	if cols := Columns("pets"); cols != nil {
		t.Errorf("Columns(pets) = %v, want nil", cols)
	}
	if cols := Columns(People); cols[colLastTweeted].Name != "last_tweeted" || len(cols) != colLastTweeted+1 {
		t.Errorf("Columns(people) = %v", cols)
	}
}

func TestMetaAsOfIsUTC(t *testing.T) {
	s, err := Open(folder(t, map[string]string{"people.csv": "", "dataset.json": `{"as_of":"2026-11-01T01:00:00+01:00"}`}))
	if err != nil {
		t.Fatal(err)
	}
	if !s.Meta.AsOf.Equal(asOf) || s.Meta.AsOf.Location() != time.UTC {
		t.Errorf("AsOf = %v, want %v", s.Meta.AsOf, asOf)
	}
}
