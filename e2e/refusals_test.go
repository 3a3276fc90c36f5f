package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// detail is one problem of a refused request.
type detail struct{ Path, Message string }

// refusal is a wrong request and what is answered.
type refusal struct {
	name   string
	caller string // "all": every grant; "none": no grant; "some": choose_outputs, but generates md5 alone
	// params are the parameters of a definition; body, where given, is the whole.
	params, body string
	status       int
	code         string
	details      []detail
}

const (
	anybody = `{"operation":"OR","affinities":{"affinities":[{"id":"a759"}]}}`
	terms   = "one of the 52 terms of /personality-types"
	ages    = `"18-24", "25-34", "35-44", "45-54", "over 54" or "unknown"`
	types   = "ss_id, twitter_id, twitter_user, md5, email_raw, ramp_id, cint_id, ma_id"
)

// bad makes a case of a definition that a caller with every grant may not send.
func bad(name, params string, details ...detail) refusal {
	return refusal{name: name, caller: "all", params: params, status: http.StatusBadRequest, code: "invalid_request", details: details}
}

// at makes a case of one criterion with one problem, below parameters[0].
func at(name, criterion, path, message string) refusal {
	return bad(name, `{"operation":"OR",`+criterion+`}`, detail{"parameters[0]" + path, message})
}

func criterionRefusals() []refusal {
	list := []refusal{
		at("no affinity", `"affinities":{"affinities":[]}`, ".affinities.affinities", "must hold at least one id"),
		at("no list of affinities", `"affinities":{}`, ".affinities.affinities", "is required: a list of objects with an id"),
		at("unknown affinity", `"affinities":{"affinities":[{"id":"a759"},{"id":"nowhere"}]}`, ".affinities.affinities[1].id", "is no affinity of the dataset"),
		at("root of the taxonomy", `"affinities":{"affinities":[{"id":".interests."}]}`, ".affinities.affinities[0].id", "cannot be added: it is a root of the taxonomy (can_add is false)"),
		at("affinity without id", `"affinities":{"affinities":[{"name":"Soccer"}]}`, ".affinities.affinities[0].id", "is required"),
		at("affinity with empty id", `"affinities":{"affinities":[{"id":""}]}`, ".affinities.affinities[0].id", "must not be empty"),
		at("affinity is no object", `"affinities":{"affinities":["a759"]}`, ".affinities.affinities[0]", "must be an object"),

		at("both lists of b2b", `"b2b":{"job_titles":[{"id":"a"}],"employer_names":[{"id":"b"}]}`, ".b2b", "must not have job_titles and employer_names in one parameter; use one parameter for each"),
		at("no list of b2b", `"b2b":{}`, ".b2b", "must have job_titles or employer_names"),
		at("title without id", `"b2b":{"job_titles":[{"screen_name":"a"}]}`, ".b2b.job_titles[0].id", "is required"),
		at("filter without count", `"b2b":{"job_titles":[{"id":"a"}],"filter":{"direction":"<"}}`, ".b2b.filter.count", "is required: a whole number from 0"),
		at("filter without direction", `"b2b":{"job_titles":[{"id":"a"}],"filter":{"count":1}}`, ".b2b.filter.direction", "is required: one of < > <= >="),
		at("unknown direction", `"b2b":{"employer_names":[{"id":"a"}],"filter":{"count":1,"direction":"="}}`, ".b2b.filter.direction", "must be one of < > <= >="),
		at("negative count", `"b2b":{"employer_names":[{"id":"a"}],"filter":{"count":-1,"direction":"<"}}`, ".b2b.filter.count", "must be a whole number from 0"),
		at("broken count", `"b2b":{"employer_names":[{"id":"a"}],"filter":{"count":1.5,"direction":"<"}}`, ".b2b.filter.count", "must be a whole number from 0"),

		at("unknown personality", `"personality":{"personalities":["challenge","grit"]}`, ".personality.personalities[1]", "must be "+terms),
		at("no personality", `"personality":{"personalities":[]}`, ".personality.personalities", "must hold at least one value: "+terms),
		at("unknown age", `"age":{"ranges":["55+"]}`, ".age.ranges[0]", "must be "+ages),
		at("no age", `"age":{"ranges":[]}`, ".age.ranges", "must hold at least one value: "+ages),
		at("unknown gender", `"gender":{"genders":["f"]}`, ".gender.genders[0]", `must be "male", "female" or "unknown"`),
		at("no gender", `"gender":{"genders":[]}`, ".gender.genders", `must hold at least one value: "male", "female" or "unknown"`),
		bad("unknown ethnicity", anybody+`,{"operation":"AND","ethnicity":{"ethnicities":["latin"]}}`, detail{"parameters[1].ethnicity.ethnicities[0]", `must be "asian", "black", "hispanic", "native", "white" or "unknown"`}),
		bad("no ethnicity", anybody+`,{"operation":"AND","ethnicity":{"ethnicities":[]}}`, detail{"parameters[1].ethnicity.ethnicities", `must hold at least one value: "asian", "black", "hispanic", "native", "white" or "unknown"`}),

		at("unknown place", `"location":{"cities":[{"id":"999999999"}]}`, ".location.cities[0].id", "is no city of the dataset"),
		at("place in the wrong list", `"location":{"regions":[{"id":"81905"}]}`, ".location.regions[0].id", `is the id of a city, in a list of the kind "region"`),
		at("contradicting kind", `"location":{"cities":[{"id":"81905","kind":"region"}]}`, ".location.cities[0].kind", `is "region" in a list of the kind "city"`),
		at("no place", `"location":{"cities":[],"dmas":[]}`, ".location", "must list at least one of cities, regions, dmas or countries"),

		at("no key of an upload", `"upload":{"keys":[],"type":"md5"}`, ".upload.keys", "must hold at least one key"),
		at("no keys of an upload", `"upload":{"type":"md5"}`, ".upload.keys", "is required: the keys of uploads"),
		at("no type of an upload", `"upload":{"keys":["$KEY"]}`, ".upload.type", "is required: one of "+types),
		at("unknown upload", `"upload":{"keys":["/uploads/2022-11-02/078ace94fad569f01d1a3a99a440cf5c.md5"],"type":"md5"}`, ".upload.keys[0]", "is not the key of an upload"),
		at("other type than the upload's", `"upload":{"keys":["$KEY"],"type":"md5"}`, ".upload.type", "is md5, but keys[0] is an upload of ss_id"),
		bad("unknown type of an upload", `{"operation":"OR","upload":{"keys":["$KEY"],"type":"idfa"}}`,
			detail{"parameters[0].upload.type", "must be one of " + types}, detail{"parameters[0].upload.type", "is idfa, but keys[0] is an upload of ss_id"}),

		at("no phrase for bios", `"bio_search":{"search_in_twitter":true,"phrases":[]}`, ".bio_search.phrases", "must hold at least one phrase"),
		at("phrase without a word", `"bio_search":{"search_in_twitter":true,"phrases":["golang","#!"]}`, ".bio_search.phrases[1]", "holds no word: a word has a letter, a digit or an emoji"),
		at("no network for bios", `"bio_search":{"search_in_twitter":false,"phrases":["golang"]}`, ".bio_search", "must have at least one of search_in_twitter, search_in_youtube, search_in_instagram, search_in_twitch or search_in_tiktok true"),
		at("no phrase for tweets", `"tweet_search":{"phrases":[]}`, ".tweet_search.phrases", "must hold at least one phrase"),
		at("tweet phrase without a word", `"tweet_search":{"phrases":["..."]}`, ".tweet_search.phrases[0]", "holds no word: a word has a letter, a digit or an emoji"),

		at("unknown audience", `"audience":{"ids":[999999]}`, ".audience.ids[0]", "is not the id of an audience"),
		at("no audience", `"audience":{"ids":[]}`, ".audience.ids", "must hold at least one id"),
		at("audience is no number", `"audience":{"ids":["x"]}`, ".audience.ids[0]", "must be the number of an audience"),
		at("empty group", `"group":{"parameters":[]}`, ".group.parameters", "must hold at least one parameter"),
		at("bad inside a group", `"group":{"parameters":[{"operation":"AND","tweet_search":{"phrases":["a"]}}]}`, ".group.parameters[0].operation", "must be OR in the first parameter"),
		bad("too deep", nested(9, anybody), detail{"parameters[0]" + strings.Repeat(".group.parameters[0]", 8) + ".group", "is nested deeper than the 8 levels allowed"}),
	}
	for _, network := range []string{"twitter_followers", "youtube_channels", "twitch_followers", "instagram_engagers", "tiktok_engagers"} {
		list = append(list, followerRefusals(network)...)
	}
	return append(list,
		at("days out of the list", `"twitter_followers":{"accounts":[{"id":"1"}],"last_tweeted":2}`, ".twitter_followers.last_tweeted", "must be one of 0 1 7 30 60 90 180 365"),
		at("name of another account", `"twitter_followers":{"accounts":[{"id":"11111","screen_name":"name2"}]}`, ".twitter_followers.accounts[0].screen_name", "is the name of another account than 11111"),
	)
}

// nested puts a parameter into groups.
func nested(depth int, param string) string {
	for range depth {
		param = `{"operation":"OR","group":{"parameters":[` + param + `]}}`
	}
	return param
}

func followerRefusals(network string) []refusal {
	cutoff, above := "must be 1", `{"accounts":[{"id":"1"},{"id":"2"}],"cutoff":2}`
	if network == "twitter_followers" || network == "youtube_channels" {
		cutoff, above = "must be between 1 and 10", `{"accounts":[{"id":"1"},{"id":"2"}],"cutoff":11}`
	}
	one := func(name, value, path, message string) refusal {
		return at(network+": "+name, `"`+network+`":`+value, "."+network+path, message)
	}
	list := []refusal{
		one("cutoff too great", above, ".cutoff", cutoff),
		one("cutoff of 0", `{"accounts":[{"id":"1"}],"cutoff":0}`, ".cutoff", cutoff),
		one("broken cutoff", `{"accounts":[{"id":"1"}],"cut_off":1.5}`, ".cut_off", cutoff),
		one("no account", `{"accounts":[]}`, ".accounts", "must hold at least one account"),
		one("account without id and name", `{"accounts":[{"name":"x"}]}`, ".accounts[0]", "must have an id or a screen_name"),
	}
	if cutoff != "must be 1" {
		list = append(list,
			one("cutoff above the accounts", `{"accounts":[{"id":"1"},{"id":"1"},{"screen_name":"@A"},{"screen_name":"a"}],"cutoff":3}`, ".cutoff", "is 3, more than the 2 distinct accounts listed"),
			one("two cutoffs", `{"accounts":[{"id":"1"},{"id":"2"}],"cutoff":1,"cut_off":2}`, ".cut_off", "is 2 where cutoff is 1"))
	}
	return list
}

// orderRefusals are the rules on who may send what.
func orderRefusals() []refusal {
	forbidden := func(name, params, path, message string) refusal {
		return refusal{name: name, caller: "none", params: params, status: http.StatusForbidden, code: "forbidden", details: []detail{{path, message}}}
	}
	const (
		age, gender = `"age":{"ranges":["18-24"]}`, `"gender":{"genders":["female"]}`
		ethnicity   = `"ethnicity":{"ethnicities":["asian"]}`
		city        = `"location":{"cities":[{"id":"81905"}]}`
		country     = `"location":{"countries":[{"id":"231"}]}`
	)
	or := func(criterion string) string { return `{"operation":"OR",` + criterion + `}` }
	asNone := func(r refusal) refusal { r.caller = "none"; return r }
	return []refusal{
		forbidden("age first", or(age), "parameters[0].age", "must not come first without the grant age_first"),
		forbidden("gender first", or(gender), "parameters[0].gender", "must not come first without the grant gender_first"),
		forbidden("location first", or(city), "parameters[0].location", "must not come first without the grant location_first"),
		forbidden("age first in a group", or(`"group":{"parameters":[`+or(age)+`]}`), "parameters[0].group.parameters[0].age", "must not come first without the grant age_first"),
		bad("age with OR later", anybody+","+or(age), detail{"parameters[1].operation", "must be AND or NOT: age can be OR only as the first parameter"}),
		bad("gender with OR later", anybody+","+or(gender), detail{"parameters[1].operation", "must be AND or NOT: gender can be OR only as the first parameter"}),
		bad("ethnicity first", or(ethnicity), detail{"parameters[0].ethnicity", "must not be the first parameter"}),
		bad("ethnicity with OR", anybody+","+or(ethnicity), detail{"parameters[1].operation", "must be AND or NOT: ethnicity can never be OR"}),
		bad("countries first", or(country), detail{"parameters[0].location.countries", "must not be in the first parameter"}),
		asNone(bad("countries with OR", anybody+","+or(country), detail{"parameters[1].location.countries", "must not be in a parameter that is OR: use AND or NOT"})),
		bad("first is not OR", `{"operation":"AND","affinities":{"affinities":[{"id":"a759"}]}}`, detail{"parameters[0].operation", "must be OR in the first parameter"}),
		asNone(bad("invalid and not allowed", or(age)+`,{"operation":"AND","gender":{"genders":["f"]}}`,
			detail{"parameters[1].gender.genders[0]", `must be "male", "female" or "unknown"`},
			detail{"parameters[0].age", "must not come first without the grant age_first"})),
		{
			name: "unknown output", caller: "some", body: definition(`"outputs":["md5","fax"]`), status: http.StatusBadRequest, code: "invalid_request",
			details: []detail{{"outputs[1]", "must be one of ss_id, twitter_id, twitter_user, md5, email_raw, cint_id, ma_id"}},
		},
		{
			name: "output that is not the caller's", caller: "some", body: definition(`"outputs":["email_raw"]`), status: http.StatusForbidden, code: "forbidden",
			details: []detail{{"outputs[0]", "email_raw is not among the types that you can generate (can_generate)"}},
		},
		{
			name: "unknown output and one that is not the caller's", caller: "some", body: definition(`"outputs":["email_raw","fax"]`), status: http.StatusBadRequest, code: "invalid_request",
			details: []detail{
				{"outputs[1]", "must be one of ss_id, twitter_id, twitter_user, md5, email_raw, cint_id, ma_id"},
				{"outputs[0]", "email_raw is not among the types that you can generate (can_generate)"},
			},
		},
	}
}

// definition is a good body with something more.
func definition(more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"audience":{"name":"x"},"parameters":[` + anybody + `]` + more + `}`
}

// shapeRefusals are bodies that are no definition, or break a limit.
func shapeRefusals() []refusal {
	whole := func(name, body string, details ...detail) refusal {
		r := bad(name, "", details...)
		r.body = body
		return r
	}
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	return []refusal{
		whole("empty body", ` `),
		whole("no JSON", `{"audience":`),
		whole("two values", `{} {}`),
		whole("a list", `[]`, detail{"body", "must be an object"}, detail{"audience.name", "is required"}),
		whole("nothing", `{}`, detail{"parameters", "is required"}, detail{"audience.name", "is required"}),
		whole("no name", `{"parameters":[`+anybody+`]}`, detail{"audience.name", "is required"}),
		whole("empty name", `{"audience":{"name":" "},"parameters":[`+anybody+`]}`, detail{"audience.name", "is required"}),
		whole("name is no string", `{"audience":{"name":7},"parameters":[`+anybody+`]}`, detail{"audience.name", "must be a string"}),
		whole("long name", `{"audience":{"name":"`+strings.Repeat("é", 256)+`"},"parameters":[`+anybody+`]}`, detail{"audience.name", "has 256 characters, more than the 255 allowed"}),
		whole("key twice", `{"audience":{"name":"x"},"audience":{"name":"y"},"parameters":[`+anybody+`]}`, detail{"audience", "is given twice"}),
		whole("callback of another scheme", definition(`"callback_url":"ftp://example.com/x"`), detail{"callback_url", "must begin with http:// or https://"}),
		whole("insight callback of another scheme", definition(`"insight_callback_url":"mailto:x"`), detail{"insight_callback_url", "must begin with http:// or https://"}),
		whole("two insight callbacks", definition(`"insight_callback_url":"https://example.com/a","insights_callback_url":"https://example.com/b"`), detail{"insights_callback_url", "differs from insight_callback_url"}),
		whole("flag is no boolean", definition(`"generate_insights_automatically":"yes"`), detail{"generate_insights_automatically", "must be true or false"}),
		whole("outputs is no list", definition(`"outputs":"md5"`), detail{"outputs", "must be a list"}),
		bad("no parameter", ``, detail{"parameters", "must hold at least one parameter"}),
		bad("101 parameters", many(101, anybody), detail{"parameters", "has 101 parameters, more than the 100 allowed"}),
		at("10001 values", `"tweet_search":{"phrases":[`+many(10_001, `"a"`)+`]}`, ".tweet_search.phrases", "has 10001 values, more than the 10000 that one parameter may have"),
		at("10001 places over the lists", `"location":{"cities":[`+many(6_000, `{"id":"81905"}`)+`],"regions":[`+many(4_001, `{"id":"3372"}`)+`]}`, ".location", "has 10001 values, more than the 10000 that one parameter may have"),
		bad("no operation", `{"affinities":{"affinities":[{"id":"a759"}]}}`, detail{"parameters[0].operation", "is required: OR, AND or NOT"}),
		bad("unknown operation", `{"operation":"or","affinities":{"affinities":[{"id":"a759"}]}}`, detail{"parameters[0].operation", "must be OR, AND or NOT"}),
		bad("two criteria", `{"operation":"OR","affinities":{"affinities":[{"id":"a759"}]},"tweet_search":{"phrases":["a"]}}`, detail{"parameters[0]", "must have exactly one criterion, not affinities and tweet_search"}),
		bad("no criterion", `{"operation":"OR","shoe_size":{}}`, detail{"parameters[0]", "must have a criterion: one of affinities, b2b, personality, age, gender, ethnicity, location, upload, twitter_followers, twitch_followers, instagram_engagers, tiktok_engagers, youtube_channels, bio_search, tweet_search, group, audience"}),
		{name: "too large", caller: "all", body: `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, status: http.StatusRequestEntityTooLarge, code: "too_large"},
	}
}

// TestRefusals sends every wrong definition there is a rule against, and
// expects every problem by its path.
func TestRefusals(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data)
	tokens := map[string]string{}
	for name, flags := range map[string][]string{
		"all": allGrants(), "none": {"--can-generate", "all"}, "some": {"--can-generate", "md5", "--grant", "choose_outputs"},
	} {
		_, tokens[name] = addCaller(t, server, data, name, flags...)
	}
	up := exchange(t, server, tokens["all"], http.MethodPost, "/platform/v0/uploads?type=ss_id", "text/plain", "someone\n")
	key, err := lookup(up.body, "response.key")
	if err != nil {
		t.Fatalf("upload: %v\n%s", err, up.body)
	}
	for _, test := range append(append(criterionRefusals(), orderRefusals()...), shapeRefusals()...) {
		t.Run(test.name, func(t *testing.T) {
			body := test.body
			if body == "" {
				body = `{"audience":{"name":"x"},"parameters":[` + test.params + `]}`
			}
			body = strings.ReplaceAll(body, "$KEY", key)
			paths := []string{"/platform/v0/audiences"}
			if test.body == "" { // all that is wrong is in the parameters
				paths = append(paths, "/platform/v0/audiences/preview")
			}
			for _, path := range paths {
				checkRefusal(t, exchange(t, server, tokens[test.caller], http.MethodPost, path, "application/json", body), path, test)
			}
		})
	}
}

func checkRefusal(t *testing.T, got exchanged, path string, want refusal) {
	t.Helper()
	var said struct {
		Error struct {
			Code, Message string
			Details       []detail
		}
	}
	if err := json.Unmarshal(got.body, &said); err != nil {
		t.Fatalf("POST %s = %d %s: %v", path, got.status, got.body, err)
	}
	if got.status != want.status || said.Error.Code != want.code {
		t.Errorf("POST %s = %d %s, want %d %s", path, got.status, said.Error.Code, want.status, want.code)
	}
	if diff := cmp.Diff(append([]detail{}, want.details...), said.Error.Details); diff != "" {
		t.Errorf("POST %s details (-want +got):\n%s", path, diff)
	}
	if said.Error.Message == "" {
		t.Errorf("POST %s says nothing", path)
	}
	for i, d := range want.details {
		if text := fmt.Sprintf("%s %s", d.Path, d.Message); i < 3 && !strings.Contains(said.Error.Message, text) {
			t.Errorf("POST %s message = %q, want %q in it", path, said.Error.Message, text)
		}
	}
}

// exchanged is an answer.
type exchanged struct {
	status int
	header http.Header
	body   []byte
}

// exchange sends a request with a token and holds it to the document.
func exchange(t testing.TB, p *process, token, method, path, contentType, body string, headers ...string) exchanged {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatalf("make request: %v", err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	got, err := roundTrip(req, []byte(body))
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", method, path, err, got.body)
	}
	return got
}
