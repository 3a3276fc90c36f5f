package service

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/identifier"
)

func TestMembers(t *testing.T) {
	s := start(t)
	for _, tt := range []struct{ name, params, want string }{
		{"affinity", `[{"operation":"OR","affinities":{"affinities":[{"id":"a3"}]}}]`, "p1"},
		{"category", `[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`, "p1 p2"},
		{"titles", `[{"operation":"OR","b2b":{"job_titles":[{"id":"Analyst"}]}}]`, "p1 p2"},
		{"employers filtered", `[{"operation":"OR","b2b":{"employer_names":[{"id":"Acme"},{"id":"Initech"}],"filter":{"count":2,"direction":"<"}}}]`, "p3"},
		{"personality", `[{"operation":"OR","personality":{"personalities":["challenge"]}}]`, "p1"},
		{"age first", `[{"operation":"OR","age":{"ranges":["over 54","unknown"]}}]`, "p4 p5"},
		{"gender first", `[{"operation":"OR","gender":{"genders":["unknown"]}}]`, "p6"},
		{"location first", `[{"operation":"OR","location":{"cities":[{"id":"c2"}],"dmas":[{"id":"501"}]}}]`, "p1 p2 p3 p4 p6 p7 p8"},
		{"include, filter, exclude", `[{"operation":"OR","location":{"cities":[{"id":"c1"}]}},
			{"operation":"NOT","gender":{"genders":["male"]}},{"operation":"AND","ethnicity":{"ethnicities":["asian","white"]}}]`, "p1 p8"},
		{"cutoff", `[{"operation":"OR","twitter_followers":{"accounts":[{"id":"t1"},{"id":"t2"}],"cutoff":2}}]`, "p1"},
		{"a name of two accounts means both", `[{"operation":"OR","twitter_followers":{"accounts":[{"screen_name":"@TWIN"},{"id":"t1"}],"cut_off":2}}]`, "p1 p3"},
		{"active", `[{"operation":"OR","twitter_followers":{"accounts":[{"id":"t1"}],"last_tweeted":7}}]`, "p1"},
		{"youtube", `[{"operation":"OR","youtube_channels":{"accounts":[{"screen_name":"channel"}]}}]`, "p5"},
		{"twitch", `[{"operation":"OR","twitch_followers":{"accounts":[{"id":"w1"}],"cutoff":1}}]`, "p6"},
		{"instagram", `[{"operation":"OR","instagram_engagers":{"accounts":[{"id":"i1"}]}}]`, "p7"},
		{"tiktok", `[{"operation":"OR","tiktok_engagers":{"accounts":[{"id":"k1"}]}}]`, "p8"},
		{"bio", `[{"operation":"OR","bio_search":{"search_in_twitter":true,"search_in_instagram":true,"phrases":["golang"]}}]`, "p1 p2"},
		{"bio, tagged", `[{"operation":"OR","bio_search":{"search_in_twitter":true,"search_in_instagram":true,"phrases":["#golang"]}}]`, "p2"},
		{"tweets", `[{"operation":"OR","tweet_search":{"phrases":["golang"]}}]`, "p4"},
		{"group", `[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}},{"operation":"AND","group":{"parameters":[
			{"operation":"OR","tiktok_engagers":{"accounts":[{"id":"k1"}]}},{"operation":"OR","gender":{"genders":["female"]}}]}}]`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := definition(tt.params)
			if tt.name == "group" { // gender as OR inside, not first, is refused
				_, err := s.CreateAudience(t.Context(), s.caller, d, nil)
				wantCode(t, err, throng.Invalid, "parameters[1].group.parameters[1].operation")
				return
			}
			a := s.wait(s.caller, s.create(s.caller, d).ID)
			if got := s.members(a.ID); got != tt.want {
				t.Errorf("members of %s = %q, want %q", tt.params, got, tt.want)
			}
			if want := uint64(len(strings.Fields(tt.want))); a.Size == nil || *a.Size != want {
				t.Errorf("size = %v, want %d", a.Size, want)
			}
			p, err := s.PreviewAudience(t.Context(), s.caller, d)
			if err != nil || *p.Size != *a.Size {
				t.Errorf("PreviewAudience = %+v, %v, want the size of the audience, %d", p, err, *a.Size)
			}
		})
	}
}

func TestPreviewSizes(t *testing.T) {
	s := start(t)
	p, err := s.PreviewAudience(t.Context(), s.caller, definition(`[
		{"operation":"OR","location":{"cities":[{"id":"c1"}]}},
		{"operation":"OR","affinities":{"affinities":[{"id":"a4"}]}},
		{"operation":"AND","gender":{"genders":["female"]}},
		{"operation":"NOT","age":{"ranges":["18-24"]}}]`))
	if err != nil {
		t.Fatal(err)
	}
	got := []uint64{*p.Parameters[0].Size, *p.Parameters[1].Size, *p.Parameters[2].Size, *p.Parameters[3].Size, *p.Include, *p.Filter, *p.Exclude, *p.Size}
	if diff := cmp.Diff([]uint64{4, 1, 4, 2, 5, 3, 2, 2}, got); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
}

// refusals are definitions that cannot be built: what is wrong is in the
// dataset, in the caller's own things, or in the order.
func TestRefusals(t *testing.T) {
	s := start(t)
	other := s.add("other", CallerSettings{})
	foreign, err := s.CreateUpload(t.Context(), other, "ss_id", "", strings.NewReader("p1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	own, err := s.CreateUpload(t.Context(), s.caller, "email_raw", "", strings.NewReader("bob@example.com\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs := s.wait(other, s.create(other, definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`)).ID)
	ok := `{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}`

	for _, tt := range []struct {
		name, params string
		code         throng.Code
		path, msg    string
	}{
		{"unknown affinity", `[{"operation":"OR","affinities":{"affinities":[{"id":"a1"},{"id":"nope"}]}}]`, throng.Invalid, "parameters[0].affinities.affinities[1].id", "is no affinity"},
		{"root", `[{"operation":"OR","affinities":{"affinities":[{"id":".brands."}]}}]`, throng.Invalid, "parameters[0].affinities.affinities[0].id", "can_add"},
		{"unknown city", `[` + ok + `,{"operation":"AND","location":{"cities":[{"id":"zz"}]}}]`, throng.Invalid, "parameters[1].location.cities[0].id", "is no city"},
		{"id in the wrong list", `[` + ok + `,{"operation":"AND","location":{"regions":[{"id":"501"}]}}]`, throng.Invalid, "parameters[1].location.regions[0].id", "is the id of a dma"},
		{"kind contradicts", `[` + ok + `,{"operation":"AND","location":{"regions":[{"id":"10","kind":"city"}]}}]`, throng.Invalid, "parameters[1].location.regions[0].kind", "city"},
		{"unknown upload", `[{"operation":"OR","upload":{"keys":["/uploads/2026-11-21/00000000000000000000000000000000.md5"],"type":"md5"}}]`, throng.Invalid, "parameters[0].upload.keys[0]", "is not the key"},
		{"upload of another", `[{"operation":"OR","upload":{"keys":["` + foreign.Key + `"],"type":"ss_id"}}]`, throng.Invalid, "parameters[0].upload.keys[0]", "is not the key"},
		{"upload of another type", `[{"operation":"OR","upload":{"keys":["` + own.Key + `"],"type":"md5"}}]`, throng.Invalid, "parameters[0].upload.type", "email_raw"},
		{"audience of another", `[` + ok + `,{"operation":"NOT","audience":{"ids":[` + itoa(theirs.ID) + `]}}]`, throng.Invalid, "parameters[1].audience.ids[0]", "is not the id"},
		{"unknown audience", `[` + ok + `,{"operation":"NOT","audience":{"ids":[999999]}}]`, throng.Invalid, "parameters[1].audience.ids[0]", "is not the id"},
		{"id and name of different accounts", `[{"operation":"OR","twitter_followers":{"accounts":[{"id":"t1","screen_name":"twin"}]}}]`, throng.Invalid, "parameters[0].twitter_followers.accounts[0].screen_name", "another account"},
		{"unknown id, name of a known account", `[{"operation":"OR","twitter_followers":{"accounts":[{"id":"t9","screen_name":"alpha"}]}}]`, throng.Invalid, "parameters[0].twitter_followers.accounts[0].screen_name", "another account"},
		{"first is AND", `[{"operation":"AND","affinities":{"affinities":[{"id":"a1"}]}}]`, throng.Invalid, "parameters[0].operation", "OR"},
		{"age as OR, not first", `[` + ok + `,{"operation":"OR","age":{"ranges":["18-24"]}}]`, throng.Invalid, "parameters[1].operation", "age"},
		{"ethnicity first", `[{"operation":"OR","ethnicity":{"ethnicities":["asian"]}}]`, throng.Invalid, "parameters[0].ethnicity", "first"},
		{"ethnicity as OR", `[` + ok + `,{"operation":"OR","ethnicity":{"ethnicities":["asian"]}}]`, throng.Invalid, "parameters[1].operation", "OR"},
		{"countries first", `[{"operation":"OR","location":{"countries":[{"id":"1"}]}}]`, throng.Invalid, "parameters[0].location.countries", "first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.CreateAudience(t.Context(), s.caller, definition(tt.params), nil)
			wantCode(t, err, tt.code, tt.path)
			if !strings.Contains(err.Error(), tt.msg) {
				t.Errorf("message = %q, want %q in it", err, tt.msg)
			}
			_, err = s.PreviewAudience(t.Context(), s.caller, definition(tt.params))
			wantCode(t, err, tt.code, tt.path)
		})
	}
}

// A path names the element that is wrong, also behind others that could not be
// read.
func TestPathsBesideUnreadable(t *testing.T) {
	s := start(t)
	d := definition(`[{"operation":"OR","affinities":{"affinities":[{},{"id":"nope"}]}},{"operation":"OR","affinities":{"affinities":[{"id":"a1"},{"id":"nope"}]}}]`)
	_, err := s.CreateAudience(t.Context(), s.caller, d, nil)
	wantCode(t, err, throng.Invalid, "parameters[0].affinities.affinities[0].id", "parameters[0].affinities.affinities[1].id", "parameters[1].affinities.affinities[1].id")

	u := must(s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader("p1\n"), nil))
	d = definition(`[{"operation":"OR","upload":{"keys":[7,"` + u.Key + `"],"type":"md5"}}]`)
	_, err = s.CreateAudience(t.Context(), s.caller, d, nil)
	wantCode(t, err, throng.Invalid, "parameters[0].upload.keys[0]", "parameters[0].upload.type")
}

func TestGrants(t *testing.T) {
	s := start(t)
	plain := s.add("plain", CallerSettings{})
	ok := `{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}`
	for _, tt := range []struct {
		name, params string
		without      throng.Code // "": accepted
		with         throng.Code
		grant        string // named in the message
	}{
		{"age first", `[{"operation":"OR","age":{"ranges":["18-24"]}}]`, throng.Forbidden, "", "age_first"},
		{"gender first", `[{"operation":"OR","gender":{"genders":["male"]}}]`, throng.Forbidden, "", "gender_first"},
		{"location first", `[{"operation":"OR","location":{"cities":[{"id":"c1"}]}}]`, throng.Forbidden, "", "location_first"},
		{"countries first", `[{"operation":"OR","location":{"countries":[{"id":"1"}]}}]`, throng.Invalid, throng.Invalid, "countries"},
		{"countries as OR later", `[` + ok + `,{"operation":"OR","location":{"countries":[{"id":"1"}]}}]`, throng.Invalid, "", "countries"},
		{"countries as AND", `[` + ok + `,{"operation":"AND","location":{"countries":[{"id":"1"}]}}]`, "", "", ""},
		{"invalid beside forbidden", `[{"operation":"OR","age":{"ranges":["18-24"]}},{"operation":"OR","affinities":{"affinities":[{"id":"nope"}]}}]`, throng.Invalid, throng.Invalid, "nope"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for c, want := range map[*throng.Caller]throng.Code{plain: tt.without, s.caller: tt.with} {
				_, err := s.CreateAudience(t.Context(), c, definition(tt.params), nil)
				if want == "" {
					if err != nil {
						t.Errorf("caller %s: %v, want no error", c.Name, err)
					}
					continue
				}
				wantCode(t, err, want)
				if c == plain && want == throng.Forbidden && !strings.Contains(throng.MessageOf(err), tt.grant) {
					t.Errorf("message = %q, want the grant %s named", throng.MessageOf(err), tt.grant)
				}
			}
		})
	}
	_, err := s.CreateAudience(t.Context(), plain, definition(`[{"operation":"OR","age":{"ranges":["18-24"]}},{"operation":"OR","affinities":{"affinities":[{"id":"nope"}]}}]`), nil)
	wantCode(t, err, throng.Invalid, "parameters[0].age", "parameters[1].affinities.affinities[0].id")
}

func TestOutputsChosen(t *testing.T) {
	s := start(t)
	some := []identifier.Type{identifier.MD5, identifier.EmailRaw}
	chooser := []throng.Grant{throng.ChooseOutputs}
	limited := s.add("limited", CallerSettings{CanGenerate: &some, Grants: &chooser})
	fixed := s.add("fixed", CallerSettings{CanGenerate: &some})
	for _, tt := range []struct {
		name   string
		caller *throng.Caller
		given  *[]string
		want   []string // types of the files
		warns  bool
		code   throng.Code
	}{
		{"absent", limited, nil, []string{"ss_id", "md5", "email_raw"}, false, ""},
		{"chosen", limited, &[]string{"md5", "md5"}, []string{"ss_id", "md5"}, false, ""},
		{"empty", limited, &[]string{}, []string{"ss_id"}, false, ""},
		{"unknown", limited, &[]string{"md5", "fax"}, nil, false, throng.Invalid},
		{"ramp_id is no output", limited, &[]string{"ramp_id"}, nil, false, throng.Invalid},
		{"not to be generated", limited, &[]string{"twitter_id"}, nil, false, throng.Forbidden},
		{"both", limited, &[]string{"twitter_id", "fax"}, nil, false, throng.Invalid},
		{"without the grant", fixed, &[]string{"twitter_id", "fax"}, []string{"ss_id", "md5", "email_raw"}, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`)
			d.Outputs = tt.given
			made, err := s.CreateAudience(t.Context(), tt.caller, d, nil)
			if tt.code != "" {
				wantCode(t, err, tt.code)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			a := s.wait(tt.caller, made.ID)
			var got []string
			for _, o := range a.Outputs {
				got = append(got, string(o.Type))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if warned := len(a.Warnings) > 0; warned != tt.warns {
				t.Errorf("warnings = %q, want some: %v", a.Warnings, tt.warns)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	s := start(t)
	for _, tt := range []struct{ name, params, want string }{
		{"unknown accounts", `[{"operation":"OR","twitter_followers":{"accounts":[{"id":"t9"},{"screen_name":"nobody"},{"id":"t1"}]}}]`, "does not know t9, nobody"},
		{"one account twice", `[{"operation":"OR","twitter_followers":{"accounts":[{"id":"t1"},{"screen_name":"alpha"}],"cutoff":2}}]`, "t1 and alpha"},
		{"unknown title", `[{"operation":"OR","b2b":{"job_titles":[{"id":"Wizard"}]}}]`, "nobody in the dataset holds Wizard"},
		{"filter leaves none", `[{"operation":"OR","b2b":{"job_titles":[{"id":"Analyst"}],"filter":{"count":2,"direction":">"}}}]`, "leaves none"},
		{"unknown key", `[{"operation":"OR","twitter_followers":{"accounts":[{"id":"t1","3907896689":"22222"}]}}]`, "3907896689"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := s.build(s.caller, tt.params)
			if got := strings.Join(a.Warnings, "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("warnings = %q, want %q in them", got, tt.want)
			}
			if strings.Count(strings.Join(a.Warnings, "\n"), tt.want) != 1 {
				t.Errorf("warnings = %q, want %q once", a.Warnings, tt.want)
			}
		})
	}
	a := s.build(s.caller, `[{"operation":"OR","twitter_followers":{"accounts":[{"id":"t1"},{"screen_name":"alpha"}],"cutoff":2}}]`)
	if *a.Size != 0 {
		t.Errorf("size = %d, want 0: one account cannot reach a cutoff of two", *a.Size)
	}
}

func TestNamesAndAddresses(t *testing.T) {
	s := start(t, func(c *Config) { c.AllowPrivateCallbacks = false })
	good := func() Definition { return definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`) }
	for _, tt := range []struct {
		name   string
		change func(*Definition)
		path   string
	}{
		{"no name", func(d *Definition) { d.Name = "" }, "audience.name"},
		{"blank name", func(d *Definition) { d.Name = " \t" }, "audience.name"},
		{"long name", func(d *Definition) { d.Name = strings.Repeat("é", 256) }, "audience.name"},
		{"no URL", func(d *Definition) { d.CallbackURL = "yoursite.com/callback" }, "callback_url"},
		{"other scheme", func(d *Definition) { d.CallbackURL = "ftp://example.com/" }, "callback_url"},
		{"insight URL", func(d *Definition) { d.InsightCallbackURL = "mailto:a@example.com" }, "insight_callback_url"},
	} {
		d := good()
		tt.change(&d)
		_, err := s.CreateAudience(t.Context(), s.caller, d, nil)
		wantCode(t, err, throng.Invalid, tt.path)
	}
	d := good()
	d.Name, d.CallbackURL = strings.Repeat("é", 255), "http://localhost:8080"
	a := s.create(s.caller, d)
	if got := strings.Join(a.Warnings, "\n"); !strings.Contains(got, "private address") {
		t.Errorf("warnings = %q, want one of a private address", got)
	}
	if a.Status != throng.Running {
		t.Errorf("status = %s, want running at once", a.Status)
	}
}

func itoa(n int64) string { return string(must(json.Marshal(n))) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
