package throng

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"throng/identifier"
	"throng/query"
)

// parse reads one parameter of the given criterion.
func parse(t *testing.T, criterion string) (Criterion, []Detail, []string) {
	t.Helper()
	raw := json.RawMessage(`[{"operation":"OR",` + criterion + `}]`)
	if !json.Valid(raw) {
		t.Fatalf("the test's own JSON is not valid: %s", raw)
	}
	params, problems, warnings := ParseParameters(raw)
	if len(params) != 1 {
		return nil, problems, warnings
	}
	return params[0].Criterion, problems, warnings
}

func TestParseCriterion(t *testing.T) {
	f := func(in string, want Criterion) {
		t.Helper()
		got, problems, warnings := parse(t, in)
		if len(problems) > 0 || len(warnings) > 0 {
			t.Errorf("ParseParameters(%s): problems %v, warnings %q", in, problems, warnings)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("ParseParameters(%s) (-want +got):\n%s", in, diff)
		}
	}
	f(`"affinities":{"affinities":[{"id":"a38802"},{"id":"a1"}]}`, Affinities{IDs: []string{"a38802", "a1"}})
	f(`"b2b":{"job_titles":[{"id":"Analyst, Senior Programmer","name":"x","screen_name":"y","kind":"b2b_jobtitle"}],"filter":{"count":100,"direction":"<"}}`,
		B2B{JobTitles: []string{"Analyst, Senior Programmer"}, Filter: &CountFilter{Direction: "<", Count: 100}})
	f(`"b2b":{"employer_names":[{"id":"StatSocial"}],"job_titles":[],"filter":null}`, B2B{Employers: []string{"StatSocial"}})
	f(`"personality":{"personalities":["challenge","openness to change"]}`, Personality{Terms: []string{"challenge", "openness to change"}})
	f(`"age":{"ranges":["18-24","over 54","unknown"]}`, Age{Ranges: []string{"18-24", "over 54", "unknown"}})
	f(`"gender":{"genders":["female"]}`, Gender{Genders: []string{"female"}})
	f(`"ethnicity":{"ethnicities":["asian","unknown"]}`, Ethnicity{Ethnicities: []string{"asian", "unknown"}})
	f(`"location":{"cities":[{"id":81905,"name":"West New York","kind":"city"}],"regions":[],"dmas":[{"id":"622","kind":"","name":""}]}`,
		Location{Cities: []string{"81905"}, DMAs: []string{"622"}})
	f(`"location":{"countries":[{"id":"231","name":"","kind":""}]}`, Location{Countries: []string{"231"}})
	f(`"upload":{"keys":["/uploads/2022-11-02/078ace94fad569f01d1a3a99a440cf5c.ssid"],"type":"ss_id"}`,
		UploadRef{Keys: []string{"/uploads/2022-11-02/078ace94fad569f01d1a3a99a440cf5c.ssid"}, Type: identifier.SSID})
	f(`"twitter_followers":{"accounts":[{"id":"11111","screen_name":"name1"},{"screen_name":"@Name2"}],"cut_off":2,"last_tweeted":180}`,
		Followers{Network: query.Twitter, Accounts: []AccountRef{{"11111", "name1"}, {"", "Name2"}}, Cutoff: 2, LastTweeted: 180})
	f(`"twitter_followers":{"accounts":[{"id":1}],"cut_off":1,"cutoff":1}`, Followers{Network: query.Twitter, Accounts: []AccountRef{{"1", ""}}, Cutoff: 1})
	f(`"youtube_channels":{"accounts":[{"id":"a"},{"id":"b"}],"cutoff":2}`, Followers{Network: query.YouTube, Accounts: []AccountRef{{"a", ""}, {"b", ""}}, Cutoff: 2})
	f(`"twitch_followers":{"accounts":[{"id":"a"}]}`, Followers{Network: query.Twitch, Accounts: []AccountRef{{"a", ""}}, Cutoff: 1})
	f(`"instagram_engagers":{"accounts":[{"id":"a"}],"cutoff":1}`, Followers{Network: query.Instagram, Accounts: []AccountRef{{"a", ""}}, Cutoff: 1})
	f(`"tiktok_engagers":{"accounts":[{"id":"a"}],"cutoff":1.0}`, Followers{Network: query.TikTok, Accounts: []AccountRef{{"a", ""}}, Cutoff: 1})
	f(`"bio_search":{"search_in_twitter":true,"search_in_youtube":false,"search_in_tiktok":true,"phrases":["golang"]}`,
		BioSearch{Fields: []query.Field{query.BioTwitter, query.BioTikTok}, Phrases: []string{"golang"}})
	f(`"tweet_search":{"phrases":["golang","#golang"]}`, TweetSearch{Phrases: []string{"golang", "#golang"}})
	f(`"audience":{"ids":[67454,1]}`, AudienceRef{IDs: []int64{67454, 1}})
}

func TestParseRefusals(t *testing.T) {
	f := func(in string, want ...Detail) {
		t.Helper()
		_, problems, _ := parse(t, in)
		if diff := cmp.Diff(want, problems); diff != "" {
			t.Errorf("ParseParameters(%s) (-want +got):\n%s", in, diff)
		}
	}
	at := func(path, message string) Detail { return Detail{"parameters[0]." + path, message} }
	const ages = `"18-24", "25-34", "35-44", "45-54", "over 54" or "unknown"`

	f(`"affinities":{"affinities":[]}`, at("affinities.affinities", "must hold at least one id"))
	f(`"affinities":{}`, at("affinities.affinities", "is required: a list of objects with an id"))
	f(`"affinities":{"affinities":[{"name":"x"},{"id":""},{"id":true},7]}`,
		at("affinities.affinities[0].id", "is required"), at("affinities.affinities[1].id", "must not be empty"),
		at("affinities.affinities[2].id", "must be a string"), at("affinities.affinities[3]", "must be an object"))
	f(`"affinities":[]`, at("affinities", "must be an object"))
	f(`"b2b":{"job_titles":[{"id":"a"}],"employer_names":[{"id":"b"}]}`,
		at("b2b", "must not have job_titles and employer_names in one parameter; use one parameter for each"))
	f(`"b2b":{}`, at("b2b", "must have job_titles or employer_names"))
	f(`"b2b":{"job_titles":[],"employer_names":[]}`, at("b2b", "must have job_titles or employer_names"))
	f(`"b2b":{"job_titles":[{"name":"a"}]}`, at("b2b.job_titles[0].id", "is required"))
	f(`"b2b":{"job_titles":[{"id":"a"}],"filter":{}}`,
		at("b2b.filter.direction", "is required: one of < > <= >="), at("b2b.filter.count", "is required: a whole number from 0"))
	f(`"b2b":{"job_titles":[{"id":"a"}],"filter":{"direction":"=","count":-1}}`,
		at("b2b.filter.direction", "must be one of < > <= >="), at("b2b.filter.count", "must be a whole number from 0"))
	f(`"b2b":{"job_titles":[{"id":"a"}],"filter":{"direction":"<","count":1.5}}`, at("b2b.filter.count", "must be a whole number from 0"))
	f(`"b2b":{"job_titles":[{"id":"a"}],"filter":{"direction":"<","count":"100"}}`, at("b2b.filter.count", "must be a whole number from 0"))
	f(`"personality":{"personalities":["Challenge"]}`, at("personality.personalities[0]", "must be one of the 52 terms of /personality-types"))
	f(`"personality":{"personalities":[]}`, at("personality.personalities", "must hold at least one value: one of the 52 terms of /personality-types"))
	f(`"age":{"ranges":["18-25"]}`, at("age.ranges[0]", "must be "+ages))
	f(`"age":{"ranges":[]}`, at("age.ranges", "must hold at least one value: "+ages))
	f(`"gender":{"genders":["x"]}`, at("gender.genders[0]", `must be "male", "female" or "unknown"`))
	f(`"ethnicity":{"ethnicities":[7]}`, at("ethnicity.ethnicities[0]", "must be a string"))
	f(`"location":{"cities":[],"countries":[]}`, at("location", "must list at least one of cities, regions, dmas or countries"))
	f(`"location":{"regions":[{"id":"1","kind":"city"}]}`, at("location.regions[0].kind", `is "city" in a list of the kind "region"`))
	f(`"upload":{}`, at("upload.keys", "is required: the keys of uploads"),
		at("upload.type", "is required: one of ss_id, twitter_id, twitter_user, md5, email_raw, ramp_id, cint_id, ma_id"))
	f(`"upload":{"keys":["",null],"type":"md5"}`, at("upload.keys[0]", "must not be empty"), at("upload.keys[1]", "must be a string"))
	f(`"upload":{"keys":[],"type":"imei"}`, at("upload.keys", "must hold at least one key"),
		at("upload.type", "must be one of ss_id, twitter_id, twitter_user, md5, email_raw, ramp_id, cint_id, ma_id"))
	f(`"twitter_followers":{"accounts":[{"id":"1"}],"cutoff":0}`, at("twitter_followers.cutoff", "must be between 1 and 10"))
	f(`"twitter_followers":{"accounts":[{"id":"1"}],"cut_off":11}`, at("twitter_followers.cut_off", "must be between 1 and 10"))
	f(`"twitter_followers":{"accounts":[{"id":"1"}],"cutoff":"1"}`, at("twitter_followers.cutoff", "must be between 1 and 10"))
	f(`"twitter_followers":{"accounts":[{"id":"1"},{"id":"2"}],"cutoff":1,"cut_off":2}`, at("twitter_followers.cut_off", "is 2 where cutoff is 1"))
	f(`"twitter_followers":{"accounts":[{"id":"1"},{"id":"1","screen_name":"x"}],"cutoff":2}`,
		at("twitter_followers.cutoff", "is 2, more than the 1 distinct accounts listed"))
	f(`"twitter_followers":{"accounts":[{"screen_name":"@Ab"},{"screen_name":"aB"}],"cutoff":2}`,
		at("twitter_followers.cutoff", "is 2, more than the 1 distinct accounts listed"))
	f(`"twitter_followers":{"accounts":[{"id":"1"}],"last_tweeted":2}`, at("twitter_followers.last_tweeted", "must be one of 0 1 7 30 60 90 180 365"))
	f(`"twitter_followers":{"accounts":[]}`, at("twitter_followers.accounts", "must hold at least one account"))
	f(`"twitter_followers":{"accounts":[{},{"screen_name":"@"},{"id":""}]}`,
		at("twitter_followers.accounts[0]", "must have an id or a screen_name"),
		at("twitter_followers.accounts[1]", "must have an id or a screen_name"),
		at("twitter_followers.accounts[2]", "must have an id or a screen_name"))
	f(`"twitch_followers":{"accounts":[{"id":"1"},{"id":"2"}],"cutoff":2}`, at("twitch_followers.cutoff", "must be 1"))
	f(`"instagram_engagers":{"accounts":[{"id":"1"},{"id":"2"}],"cutoff":2}`, at("instagram_engagers.cutoff", "must be 1"))
	f(`"tiktok_engagers":{"accounts":[{"id":"1"},{"id":"2"}],"cut_off":2}`, at("tiktok_engagers.cut_off", "must be 1"))
	f(`"youtube_channels":{"accounts":[{"id":"1"}],"cutoff":2}`, at("youtube_channels.cutoff", "is 2, more than the 1 distinct accounts listed"))
	f(`"bio_search":{"search_in_twitter":false,"phrases":["a"]}`,
		at("bio_search", "must have at least one of search_in_twitter, search_in_youtube, search_in_instagram, search_in_twitch or search_in_tiktok true"))
	f(`"bio_search":{"search_in_twitter":true,"phrases":[]}`, at("bio_search.phrases", "must hold at least one phrase"))
	f(`"tweet_search":{"phrases":["ok","--- ! #"]}`, at("tweet_search.phrases[1]", "holds no word: a word has a letter, a digit or an emoji"))
	f(`"tweet_search":{}`, at("tweet_search.phrases", "is required: a list of phrases"))
	f(`"group":{}`, at("group.parameters", "is required"))
	f(`"group":{"parameters":[{"operation":"OR","age":{"ranges":["x"]}}]}`, at("group.parameters[0].age.ranges[0]", "must be "+ages))
	f(`"audience":{"ids":["1"]}`, at("audience.ids[0]", "must be the number of an audience"))
	f(`"audience":{"ids":[]}`, at("audience.ids", "must hold at least one id"))
	f(`"age":{"ranges":["18-24"]},"gender":{"genders":["male"]}`, Detail{"parameters[0]", "must have exactly one criterion, not age and gender"})
}

func TestParseLists(t *testing.T) {
	f := func(in string, want ...Detail) {
		t.Helper()
		_, problems, _ := ParseParameters(json.RawMessage(in))
		if diff := cmp.Diff(want, problems); diff != "" {
			t.Errorf("ParseParameters(%.80s) (-want +got):\n%s", in, diff)
		}
	}
	age := `{"operation":"AND","age":{"ranges":["18-24"]}}`
	f(``, Detail{"parameters", "is required"})
	f(`null`, Detail{"parameters", "is required"})
	f(`{}`, Detail{"parameters", "must be a list"})
	f(`[]`, Detail{"parameters", "must hold at least one parameter"})
	f("["+strings.TrimSuffix(strings.Repeat(age+",", 101), ",")+"]", Detail{"parameters", "has 101 parameters, more than the 100 allowed"})
	f("[" + strings.TrimSuffix(strings.Repeat(age+",", 100), ",") + "]")
	f(`[{"age":{"ranges":["18-24"]}}]`, Detail{"parameters[0].operation", "is required: OR, AND or NOT"})
	f(`[{"operation":"or","age":{"ranges":["18-24"]}}]`, Detail{"parameters[0].operation", "must be OR, AND or NOT"})
	f(`[{"operation":"OR","operation":"AND","age":{"ranges":["18-24"]}}]`, Detail{"parameters[0].operation", "is given twice"})

	nest := func(depth int) string {
		return strings.Repeat(`[{"operation":"OR","group":{"parameters":`, depth) + "[" + age + "]" + strings.Repeat(`}}]`, depth)
	}
	f(nest(8))
	f(nest(9), Detail{"parameters[0]" + strings.Repeat(".group.parameters[0]", 8) + ".group", "is nested deeper than the 8 levels allowed"})

	ids := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `{"id":"%d"},`, i)
		}
		return `[{"operation":"OR","affinities":{"affinities":[` + strings.TrimSuffix(b.String(), ",") + `]}}]`
	}
	f(ids(10_000))
	f("["+strings.TrimSuffix(strings.Repeat(age+",", 10_001), ",")+"]", Detail{"parameters", "has 10001 parameters, more than the 100 allowed"})
	f(ids(10_001), Detail{"parameters[0].affinities.affinities", "has 10001 values, more than the 10000 that one parameter may have"})
}

func TestParseWarnings(t *testing.T) {
	_, problems, warnings := parse(t, `"twitter_followers":{"accounts":[{"id":"11111"},{"3907896689":"22222","screen_name":"name2"}],"cutoff":1,"x":{}},"y":1`)
	want := []string{
		"parameters[0].twitter_followers.accounts[1].3907896689 is not a known key and was ignored",
		"parameters[0].twitter_followers.x is not a known key and was ignored",
		"parameters[0].y is not a known key and was ignored",
	}
	if len(problems) > 0 {
		t.Errorf("problems %v, want none", problems)
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestCheckParameters(t *testing.T) {
	const (
		age      = `"age":{"ranges":["18-24"]}`
		gender   = `"gender":{"genders":["male"]}`
		race     = `"ethnicity":{"ethnicities":["asian"]}`
		city     = `"location":{"cities":[{"id":"1"}]}`
		country  = `"location":{"countries":[{"id":"1"}]}`
		affinity = `"affinities":{"affinities":[{"id":"a1"}]}`
	)
	list := func(params ...string) string {
		for i, p := range params {
			op, criterion, _ := strings.Cut(p, " ")
			params[i] = `{"operation":"` + op + `",` + criterion + `}`
		}
		return "[" + strings.Join(params, ",") + "]"
	}
	f := func(grants []Grant, in string, invalid, forbidden []Detail) {
		t.Helper()
		params, problems, _ := ParseParameters(json.RawMessage(in))
		if len(problems) > 0 {
			t.Fatalf("ParseParameters(%s): %v", in, problems)
		}
		c := &Caller{Grants: grants}
		gotInvalid, gotForbidden := c.CheckParameters(params)
		if diff := cmp.Diff(invalid, gotInvalid); diff != "" {
			t.Errorf("CheckParameters(%s) invalid (-want +got):\n%s", in, diff)
		}
		if diff := cmp.Diff(forbidden, gotForbidden); diff != "" {
			t.Errorf("CheckParameters(%s) forbidden (-want +got):\n%s", in, diff)
		}
	}
	one := func(path, message string) []Detail { return []Detail{{path, message}} }
	all := Grants()

	f(nil, list("OR "+affinity), nil, nil)
	f(nil, list("AND "+affinity), one("parameters[0].operation", "must be OR in the first parameter"), nil)
	f(nil, list("NOT "+affinity), one("parameters[0].operation", "must be OR in the first parameter"), nil)
	f(nil, list("OR "+age), nil, one("parameters[0].age", "must not come first without the grant age_first"))
	f(all, list("OR "+age), nil, nil)
	f(nil, list("OR "+gender), nil, one("parameters[0].gender", "must not come first without the grant gender_first"))
	f(all, list("OR "+gender), nil, nil)
	f(nil, list("OR "+city), nil, one("parameters[0].location", "must not come first without the grant location_first"))
	f(all, list("OR "+city), nil, nil)
	f(all, list("OR "+affinity, "OR "+age), one("parameters[1].operation", "must be AND or NOT: age can be OR only as the first parameter"), nil)
	f(all, list("OR "+affinity, "OR "+gender), one("parameters[1].operation", "must be AND or NOT: gender can be OR only as the first parameter"), nil)
	f(nil, list("OR "+affinity, "AND "+age, "NOT "+gender), nil, nil)
	f(all, list("OR "+race), one("parameters[0].ethnicity", "must not be the first parameter"), nil)
	f(all, list("OR "+affinity, "OR "+race), one("parameters[1].operation", "must be AND or NOT: ethnicity can never be OR"), nil)
	f(nil, list("OR "+affinity, "AND "+race, "NOT "+race), nil, nil)
	f(all, list("OR "+country), one("parameters[0].location.countries", "must not be in the first parameter"), nil)
	f(nil, list("OR "+country), one("parameters[0].location.countries", "must not be in the first parameter"),
		one("parameters[0].location", "must not come first without the grant location_first"))
	f(nil, list("OR "+affinity, "OR "+country), one("parameters[1].location.countries", "must not be in a parameter that is OR: use AND or NOT"), nil)
	f(all, list("OR "+city, "OR "+country), nil, nil)
	f(nil, list("OR "+affinity, "AND "+country, "NOT "+country, "OR "+city), nil, nil)
	f(nil, list("OR "+affinity, `AND "group":{"parameters":`+list("AND "+affinity)+`}`),
		one("parameters[1].group.parameters[0].operation", "must be OR in the first parameter"), nil)
	f(nil, list("OR "+affinity, `AND "group":{"parameters":`+list("OR "+age)+`}`), nil,
		one("parameters[1].group.parameters[0].age", "must not come first without the grant age_first"))
}

// FuzzParseParameters looks for panics, and for acceptance of what cannot be
// meant: a parameter without problems has an operation and a criterion.
func FuzzParseParameters(f *testing.F) {
	f.Add([]byte(`[{"operation":"OR","affinities":{"affinities":[{"id":"a38802"}]}}]`))
	f.Add([]byte(`[{"operation":"OR","twitter_followers":{"accounts":[{"id":1,"screen_name":"@x"}],"cut_off":1,"last_tweeted":7}},{"operation":"NOT","group":{"parameters":[]}}]`))
	f.Add([]byte(`[{"operation":"AND","location":{"cities":[{"id":"1","kind":"city"}]},"":null}]`))
	f.Add([]byte(`[{"operation":"OR","b2b":{"job_titles":[{"id":"x"}],"filter":{"count":1e3,"direction":">="}}}]`))
	f.Add([]byte(`[{"operation":"OR","bio_search":{"search_in_tiktok":true,"phrases":["` + "\u00e9\u0301" + ` #x"]}},{"operation":"AND","audience":{"ids":[1]}}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		params, problems, _ := ParseParameters(raw)
		if len(problems) > 0 {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("accepted what is not JSON: %q", raw)
		}
		var check func(params []Parameter)
		check = func(params []Parameter) {
			if len(params) == 0 {
				t.Fatalf("accepted an empty list: %s", raw)
			}
			for _, p := range params {
				if p.Operation == "" || p.Criterion == nil || p.Path == "" {
					t.Fatalf("accepted %+v: %s", p, raw)
				}
				if g, ok := p.Criterion.(Group); ok {
					check(g.Parameters)
				}
			}
		}
		check(params)
	})
}
