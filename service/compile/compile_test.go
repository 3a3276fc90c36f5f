package compile

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/bitmap/bitmaptest"
	"throng/identifier"
	"throng/query"
)

// generation loads a small dataset.
func generation(t *testing.T) engine.Generation {
	t.Helper()
	dir := bitmaptest.Tables(t, map[string]string{
		"dataset.json":   `{"name":"test","as_of":"2026-11-01T00:00:00Z"}`,
		"people.csv":     "person,age,gender,city\np1,20,female,c1\np2,30,male,c1\np3,40,,c2\n",
		"locations.csv":  "kind,id,name,region,country,dma\ncountry,1,Freedonia,,,\nregion,10,North,,1,\ncity,c1,East Springfield,10,1,\ncity,c2,Springfield,10,1,\n",
		"accounts.csv":   "network,account,screen_name,name\ntwitter,t1,Alpha,Alpha Co\ntwitter,t2,Twin,Twin One\ntwitter,t3,twin,Twin Two\n",
		"follows.csv":    "person,network,account\np1,twitter,t1\np1,twitter,t2\np2,twitter,t1\np3,twitter,t3\n",
		"affinities.csv": "affinity,name,parent\na1,Sports,.influencers.\na2,Soccer,a1\n",
		"interests.csv":  "person,affinity\np1,a2\n",
		"jobs.csv":       "person,title,employer\np1,Analyst,Acme\n",
	})
	g := bitmaptest.Load(t, dir, bitmap.Config{Workers: 1}, engine.LoadOptions{Memory: 64 << 20})
	return g
}

// source has what one caller, 7, has made: uploads by key, audiences by id. It
// counts how often rows were asked for.
type source struct {
	uploads   map[string]Upload
	audiences map[int64]Audience
	asked     int
}

func (s *source) rows(ctx context.Context, g engine.Generation, city string) (query.RowSet, error) {
	s.asked++
	rows, _, err := g.Select(ctx, query.Definition{Steps: []query.Step{{Op: query.Include, Node: query.In{Field: query.City, Values: []string{city}}}}}, 0)
	return rows, err
}

func newSource() *source {
	s := &source{}
	list := func(ctx context.Context, g engine.Generation) (query.RowSet, error) { return s.rows(ctx, g, "c1") }
	s.uploads = map[string]Upload{
		"ready":  {ID: 1, Type: identifier.MD5, Ready: true, Rows: list},
		"other":  {ID: 2, Type: identifier.SSID, Ready: true, Rows: list},
		"unread": {ID: 3, Type: identifier.MD5},
	}
	s.audiences = map[int64]Audience{
		5: {ID: 5, Status: "done", Finished: true, Members: func(ctx context.Context, g engine.Generation) (query.RowSet, uint64, error) {
			rows, err := s.rows(ctx, g, "c2")
			return rows, 2, err
		}},
		6: {ID: 6, Status: "running"},
	}
	return s
}

func (s *source) Upload(_ context.Context, callerID int64, key string) (*Upload, error) {
	u, ok := s.uploads[key]
	if !ok || callerID != 7 {
		return nil, nil
	}
	return &u, nil
}

func (s *source) Audience(_ context.Context, callerID, id int64) (*Audience, error) {
	a, ok := s.audiences[id]
	if !ok || callerID != 7 {
		return nil, nil
	}
	return &a, nil
}

func TestParameters(t *testing.T) {
	g := generation(t)
	for _, tt := range []struct {
		name, params       string
		people             uint64 // of the definition
		problems, warnings []string
		uploads, audiences []int64
		asked              int // sets of rows
	}{
		{name: "places of two kinds", people: 3, params: `[{"operation":"OR","location":{"cities":[{"id":"c2"}],"regions":[{"id":"10"}]}}]`},
		{
			name: "unknown ids", params: `[{"operation":"OR","affinities":{"affinities":[{"id":"a2"},{"id":"zz"},{"id":".interests."}]}},
				{"operation":"OR","location":{"cities":[{"id":"10"},{"id":"c9"}]}}]`,
			problems: []string{
				"parameters[0].affinities.affinities[1].id: is no affinity of the dataset",
				"parameters[0].affinities.affinities[2].id: cannot be added: it is a root of the taxonomy (can_add is false)",
				`parameters[1].location.cities[0].id: is the id of a region, in a list of the kind "city"`,
				"parameters[1].location.cities[1].id: is no city of the dataset",
			},
		},
		{
			name: "accounts by name", people: 2, params: `[{"operation":"OR","twitter_followers":{"accounts":[{"screen_name":"twin"},{"id":"t2"},{"screen_name":"nobody"}],"cutoff":1}}]`,
			warnings: []string{
				"parameters[0].twitter_followers.accounts: the dataset does not know nobody, whom nobody follows",
				"parameters[0].twitter_followers.accounts: twin and t2: one account each, counted once",
			},
		},
		{
			name: "lists", people: 3, params: `[{"operation":"OR","upload":{"keys":["ready","ready"],"type":"md5"}},{"operation":"OR","audience":{"ids":[5]}}]`,
			warnings: []string{"parameters[1].audience.ids[0]: 2 of the members of audience 5 are not in the dataset any more"},
			uploads:  []int64{1}, audiences: []int64{5}, asked: 3,
		},
		{
			name: "lists that are of no use", params: `[{"operation":"OR","upload":{"keys":["none","unread","other"],"type":"md5"}},{"operation":"OR","audience":{"ids":[6,9]}}]`,
			problems: []string{
				"parameters[0].upload.keys[0]: is not the key of an upload",
				"parameters[0].upload.keys[1]: is not finished",
				"parameters[0].upload.type: is md5, but keys[2] is an upload of ss_id",
				"parameters[1].audience.ids[0]: is not finished: its status is running",
				"parameters[1].audience.ids[1]: is not the id of an audience",
			},
		},
		{name: "what is left out", people: 1, params: `[{"operation":"OR","gender":{"genders":["female","male"]}},{"operation":"NOT","gender":{"genders":["male"]}}]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			params, bad, _ := throng.ParseParameters(json.RawMessage(tt.params))
			if len(bad) > 0 {
				t.Fatalf("parameters are wrong in themselves: %v", bad)
			}
			from := newSource()
			got, err := Parameters(t.Context(), Config{Source: from, Generation: g, CallerID: 7}, params)
			if err != nil {
				t.Fatal(err)
			}
			var problems []string
			for _, p := range got.Problems {
				problems = append(problems, strings.TrimPrefix(p.Path, "audience.")+": "+p.Message)
			}
			var warnings []string
			for _, w := range got.Warnings {
				warnings = append(warnings, strings.TrimPrefix(w, "audience."))
			}
			for _, d := range []string{
				cmp.Diff(tt.problems, problems), cmp.Diff(tt.warnings, warnings),
				cmp.Diff(tt.uploads, got.Uploads), cmp.Diff(tt.audiences, got.Audiences), cmp.Diff(tt.asked, from.asked),
			} {
				if d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			}
			if tt.problems != nil {
				return
			}
			counts, err := g.Count(t.Context(), got.Definition, 0)
			if err != nil || counts.Exclude != tt.people {
				t.Errorf("the definition has %d people, %v, want %d", counts.Exclude, err, tt.people)
			}
			dry, err := Parameters(t.Context(), Config{Source: from, Generation: g, CallerID: 7, Dry: true}, params)
			if err != nil || from.asked != tt.asked || !cmp.Equal(dry.Uploads, got.Uploads) || !cmp.Equal(dry.Audiences, got.Audiences) {
				t.Errorf("dry: %d sets of rows, uploads %v, audiences %v, %v; want %d, %v, %v",
					from.asked, dry.Uploads, dry.Audiences, err, tt.asked, got.Uploads, got.Audiences)
			}
		})
	}
}

// Nobody's lists but the caller's count.
func TestParametersOfAnother(t *testing.T) {
	params, _, _ := throng.ParseParameters(json.RawMessage(`[{"operation":"OR","audience":{"ids":[5]}}]`))
	got, err := Parameters(t.Context(), Config{Source: newSource(), Generation: generation(t), CallerID: 8}, params)
	if err != nil || len(got.Problems) != 1 || len(got.Audiences) != 0 {
		t.Errorf("Parameters of another caller = %+v, %v, want one problem", got, err)
	}
}
