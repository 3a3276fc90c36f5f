package silhouette_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/api/silhouette"
	"throng/blob/file"
	"throng/delivery"
	"throng/delivery/drop"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/identifier"
	"throng/internal/seal"
	"throng/job"
	"throng/service"
	"throng/sqldb"
	"throng/webhook"
)

// site is the API on real parts.
type site struct {
	t     testing.TB
	url   string
	svc   *service.Service
	token string // of a caller with every grant
}

var tables = map[string]string{
	"dataset.json":    `{"as_of":"2026-11-01T00:00:00Z"}`,
	"people.csv":      "person,age,gender,city\np1,20,female,c1\np2,30,male,c1\np3,40,,c2\n",
	"locations.csv":   "kind,id,name,region,country,dma\ncountry,1,Freedonia,,,\nregion,10,North,,1,\ncity,c1,East Springfield,10,1,\ncity,c2,Springfield,,1,\ndma,501,Market,,,\n",
	"identifiers.csv": "person,type,value\np1,email_raw,ann@example.com\np2,email_raw,bob@example.com\np1,gaid,1a2b3c4d-5e6f-4081-92a3-0000000000bb\np2,ma_id,1a2b3c4d-5e6f-4081-92a3-0000000000cc\n",
	"affinities.csv":  "affinity,name,parent\na1,Sports,.influencers.\na2,Robert Example,a1\n",
	"interests.csv":   "person,affinity\np1,a2\np2,a2\n",
	"accounts.csv":    "network,account,screen_name\ntwitter,t1,alpha\ntwitter,t2,beta\n",
	"follows.csv":     "person,network,account\np1,twitter,t1\n",
	"jobs.csv":        "person,title,employer\np1,Analyst,Acme\n",
}

func newSite(t testing.TB, loaded bool) *site {
	t.Helper()
	dir := t.TempDir()
	logger := slog.New(slog.DiscardHandler)
	db := must(sqldb.Open(t.Context(), sqldb.Config{Dir: dir}))(t)
	t.Cleanup(func() { db.Close() })
	index := must(bitmap.Open(filepath.Join(dir, "index"), bitmap.Config{}))(t)
	t.Cleanup(func() { index.Close() })
	blobs := must(file.Open(filepath.Join(dir, "blobs")))(t)
	t.Cleanup(func() { blobs.Close() })
	jobs := must(job.New(db, job.Config{Poll: 20 * time.Millisecond, Logger: logger}))(t)
	dropped := must(file.Open(filepath.Join(dir, "drop")))(t)
	t.Cleanup(func() { dropped.Close() })
	sender := webhook.NewSender(webhook.Config{AllowPrivate: true})
	t.Cleanup(sender.Close)
	s := &site{t: t}
	url := func() string { return s.url }
	s.svc = must(service.New(service.Config{
		DB: db, Jobs: jobs, Engine: index, Blobs: blobs, Secrets: must(seal.ParseKey(seal.NewKey()))(t), Sender: sender,
		Render: silhouette.Renderer{URL: url}.Audience, RenderInsight: silhouette.Renderer{URL: url}.Insight, UploadLimit: 1000, Destinations: []delivery.Kind{drop.New(dropped)}, AllowPrivateCallbacks: true, Logger: logger,
	}))(t)
	if loaded {
		src := t.TempDir()
		for name, text := range tables {
			if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		must(index.Load(t.Context(), src, engine.LoadOptions{Memory: 64 << 20}))(t)
	}
	if err := jobs.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { jobs.Stop(t.Context()) })
	r := chi.NewRouter()
	r.Mount(silhouette.Base, silhouette.New(silhouette.Config{Service: s.svc, URL: url, Logger: logger}))
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	s.url = server.URL
	grants := throng.Grants()
	s.token = s.add("all", service.CallerSettings{Grants: &grants})
	return s
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (s *site) add(name string, set service.CallerSettings) string {
	s.t.Helper()
	return must(s.svc.AddCaller(s.t.Context(), name, set))(s.t).Token
}

// reply is an answer, read.
type reply struct {
	*http.Response
	text []byte
}

// send sends a request below the base path. Headers are pairs.
func (s *site) send(token, method, path, body string, headers ...string) reply {
	s.t.Helper()
	req := must(http.NewRequestWithContext(s.t.Context(), method, s.url+silhouette.Base+path, strings.NewReader(body)))(s.t)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp := must(http.DefaultTransport.RoundTrip(req))(s.t)
	defer resp.Body.Close()
	return reply{resp, must(io.ReadAll(resp.Body))(s.t)}
}

// get decodes what is in the envelope of a success.
func (s *site) get(path string, into any) reply {
	s.t.Helper()
	r := s.send(s.token, "GET", path, "")
	s.decode(r, into)
	return r
}

func (s *site) decode(r reply, into any) {
	s.t.Helper()
	var envelope struct {
		Response json.RawMessage
	}
	if r.StatusCode != 200 {
		s.t.Fatalf("%s %s: %s %s", r.Request.Method, r.Request.URL.Path, r.Status, r.text)
	}
	if err := json.Unmarshal(r.text, &envelope); err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(envelope.Response, into); err != nil {
		s.t.Fatal(err)
	}
}

type audience struct {
	ID      int64
	Status  string
	Size    *uint64
	Outputs []struct{ Type, SHA256, URL string }
}

// built creates an audience and waits for it.
func (s *site) built(body string) audience {
	s.t.Helper()
	var a audience
	s.decode(s.send(s.token, "POST", "/audiences", body), &a)
	deadline, tick := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for a.Status == "running" {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("audience %d is still running", a.ID)
		}
		s.get(fmt.Sprintf("/audiences/%d", a.ID), &a)
	}
	return a
}

// define wraps parameters into a request.
func define(params string) string { return `{"audience":{"name":"n"},"parameters":[` + params + `]}` }

const soccer = `{"operation":"OR","affinities":{"affinities":[{"id":"a2"}]}}`

// problem is the body of a failure.
type problem struct {
	Error struct {
		Code    string
		Message string
		Details []throng.Detail
	}
	Information struct{ Version string }
}

// TestWrongRequests has a row for every cell of bad input in the contract.
func TestWrongRequests(t *testing.T) {
	s := newSite(t, true)
	var upload struct{ Key string }
	s.decode(s.send(s.token, "POST", "/uploads?type=email_raw", "ann@example.com\n"), &upload)
	and := func(criterion string) string { return define(soccer + `,{"operation":"AND",` + criterion + `}`) }
	or := func(criterion string) string { return define(`{"operation":"OR",` + criterion + `}`) }
	const p0, p1 = "parameters[0].", "parameters[1]."
	for _, tt := range []struct{ name, body, path, message string }{
		{"no name", `{"parameters":[` + soccer + `]}`, "audience.name", "required"},
		{"name of another type", `{"audience":{"name":7},"parameters":[` + soccer + `]}`, "audience.name", "string"},
		{"audience of another type", `{"audience":[],"parameters":[` + soccer + `]}`, "audience", "object"},
		{"long name", `{"audience":{"name":"` + strings.Repeat("n", 256) + `"},"parameters":[` + soccer + `]}`, "audience.name", "255"},
		{"callback", `{"audience":{"name":"n"},"callback_url":"nope","parameters":[` + soccer + `]}`, "callback_url", "http"},
		{"flag", `{"audience":{"name":"n"},"generate_insights_automatically":"yes","parameters":[` + soccer + `]}`, "generate_insights_automatically", "true or false"},
		{"two insight callbacks", `{"audience":{"name":"n"},"insight_callback_url":"http://a.example","insights_callback_url":"http://b.example","parameters":[` + soccer + `]}`, "insights_callback_url", "differs"},
		{"outputs of another type", `{"audience":{"name":"n"},"outputs":"md5","parameters":[` + soccer + `]}`, "outputs", "list"},
		{"unknown output", `{"audience":{"name":"n"},"outputs":["md5","fax"],"parameters":[` + soccer + `]}`, "outputs[1]", "one of"},
		{"no parameters", `{"audience":{"name":"n"}}`, "parameters", "required"},
		{"empty parameters", define(""), "parameters", "at least one"},
		{"too many parameters", define(strings.TrimSuffix(strings.Repeat(soccer+",", 101), ",")), "parameters", "100"},
		{"no operation", define(`{"affinities":{"affinities":[{"id":"a2"}]}}`), p0 + "operation", "required"},
		{"unknown operation", define(`{"operation":"XOR","affinities":{"affinities":[{"id":"a2"}]}}`), p0 + "operation", "OR, AND or NOT"},
		{"first is not OR", define(`{"operation":"AND","affinities":{"affinities":[{"id":"a2"}]}}`), p0 + "operation", "OR"},
		{"no criterion", define(`{"operation":"OR"}`), "parameters[0]", "criterion"},
		{"two criteria", or(`"age":{"ranges":["18-24"]},"gender":{"genders":["male"]}`), "parameters[0]", "exactly one"},
		{"key twice", `{"audience":{"name":"n"},"audience":{"name":"m"},"parameters":[` + soccer + `]}`, "audience", "twice"},

		{"affinities: empty", or(`"affinities":{"affinities":[]}`), p0 + "affinities.affinities", "at least one"},
		{"affinities: unknown", or(`"affinities":{"affinities":[{"id":"zz"}]}`), p0 + "affinities.affinities[0].id", "no affinity"},
		{"affinities: root", or(`"affinities":{"affinities":[{"id":".media."}]}`), p0 + "affinities.affinities[0].id", "can_add"},
		{"b2b: both", or(`"b2b":{"job_titles":[{"id":"a"}],"employer_names":[{"id":"b"}]}`), p0 + "b2b", "one parameter"},
		{"b2b: neither", or(`"b2b":{}`), p0 + "b2b", "job_titles or employer_names"},
		{"b2b: no id", or(`"b2b":{"job_titles":[{"screen_name":"a"}]}`), p0 + "b2b.job_titles[0].id", "required"},
		{"b2b: filter without count", or(`"b2b":{"job_titles":[{"id":"a"}],"filter":{"direction":"<"}}`), p0 + "b2b.filter.count", "required"},
		{"b2b: filter without direction", or(`"b2b":{"job_titles":[{"id":"a"}],"filter":{"count":1}}`), p0 + "b2b.filter.direction", "required"},
		{"b2b: direction", or(`"b2b":{"job_titles":[{"id":"a"}],"filter":{"count":1,"direction":"="}}`), p0 + "b2b.filter.direction", "one of"},
		{"b2b: count", or(`"b2b":{"job_titles":[{"id":"a"}],"filter":{"count":-1,"direction":"<"}}`), p0 + "b2b.filter.count", "whole number"},
		{"personality: unknown", or(`"personality":{"personalities":["bravery"]}`), p0 + "personality.personalities[0]", "52"},
		{"personality: empty", or(`"personality":{"personalities":[]}`), p0 + "personality.personalities", "at least one"},
		{"age: unknown", or(`"age":{"ranges":["18-25"]}`), p0 + "age.ranges[0]", "18-24"},
		{"age: empty", or(`"age":{"ranges":[]}`), p0 + "age.ranges", "at least one"},
		{"age: OR, not first", define(soccer + `,{"operation":"OR","age":{"ranges":["18-24"]}}`), p1 + "operation", "first"},
		{"gender: unknown value", or(`"gender":{"genders":["Male"]}`), p0 + "gender.genders[0]", "male"},
		{"gender: OR, not first", define(soccer + `,{"operation":"OR","gender":{"genders":["male"]}}`), p1 + "operation", "first"},
		{"ethnicity: empty", and(`"ethnicity":{"ethnicities":[]}`), p1 + "ethnicity.ethnicities", "at least one"},
		{"ethnicity: unknown value", and(`"ethnicity":{"ethnicities":["green"]}`), p1 + "ethnicity.ethnicities[0]", "asian"},
		{"ethnicity: first", or(`"ethnicity":{"ethnicities":["asian"]}`), p0 + "ethnicity", "first"},
		{"ethnicity: OR", define(soccer + `,{"operation":"OR","ethnicity":{"ethnicities":["asian"]}}`), p1 + "operation", "OR"},
		{"location: empty", and(`"location":{"cities":[],"dmas":[]}`), p1 + "location", "at least one"},
		{"location: unknown", and(`"location":{"cities":[{"id":"zz"}]}`), p1 + "location.cities[0].id", "no city"},
		{"location: wrong list", and(`"location":{"cities":[{"id":"501"}]}`), p1 + "location.cities[0].id", "id of a dma"},
		{"location: kind", and(`"location":{"cities":[{"id":"c1","kind":"dma"}]}`), p1 + "location.cities[0].kind", "dma"},
		{"location: countries first", or(`"location":{"countries":[{"id":"1"}]}`), p0 + "location.countries", "first"},
		{"upload: no key", or(`"upload":{"keys":[],"type":"md5"}`), p0 + "upload.keys", "at least one"},
		{"upload: no type", or(`"upload":{"keys":["` + upload.Key + `"]}`), p0 + "upload.type", "required"},
		{"upload: unknown key", or(`"upload":{"keys":["/uploads/x.md5"],"type":"md5"}`), p0 + "upload.keys[0]", "not the key"},
		{"upload: other type", or(`"upload":{"keys":["` + upload.Key + `"],"type":"md5"}`), p0 + "upload.type", "email_raw"},
		{"twitter: cutoff 0", or(`"twitter_followers":{"accounts":[{"id":"t1"}],"cutoff":0}`), p0 + "twitter_followers.cutoff", "between 1 and 10"},
		{"twitter: cutoff 11", or(`"twitter_followers":{"accounts":[{"id":"t1"}],"cutoff":11}`), p0 + "twitter_followers.cutoff", "between 1 and 10"},
		{"twitter: cutoff above the accounts", or(`"twitter_followers":{"accounts":[{"id":"t1"},{"id":"t1"},{"screen_name":"@X"},{"screen_name":"x"}],"cutoff":3}`), p0 + "twitter_followers.cutoff", "distinct"},
		{"twitter: two cutoffs", or(`"twitter_followers":{"accounts":[{"id":"t1"},{"id":"t2"}],"cutoff":1,"cut_off":2}`), p0 + "twitter_followers.cut_off", "cutoff is 1"},
		{"twitter: last_tweeted", or(`"twitter_followers":{"accounts":[{"id":"t1"}],"last_tweeted":2}`), p0 + "twitter_followers.last_tweeted", "one of"},
		{"twitter: account without anything", or(`"twitter_followers":{"accounts":[{}]}`), p0 + "twitter_followers.accounts[0]", "id or a screen_name"},
		{"twitter: different accounts", or(`"twitter_followers":{"accounts":[{"id":"t1","screen_name":"beta"}]}`), p0 + "twitter_followers.accounts[0].screen_name", "another account"},
		{"youtube: cutoff", or(`"youtube_channels":{"accounts":[{"id":"a"}],"cutoff":11}`), p0 + "youtube_channels.cutoff", "between 1 and 10"},
		{"twitch: cutoff", or(`"twitch_followers":{"accounts":[{"id":"a"},{"id":"b"}],"cutoff":2}`), p0 + "twitch_followers.cutoff", "must be 1"},
		{"instagram: cutoff", or(`"instagram_engagers":{"accounts":[{"id":"a"},{"id":"b"}],"cutoff":2}`), p0 + "instagram_engagers.cutoff", "must be 1"},
		{"tiktok: cutoff", or(`"tiktok_engagers":{"accounts":[{"id":"a"},{"id":"b"}],"cutoff":2}`), p0 + "tiktok_engagers.cutoff", "must be 1"},
		{"bio: no flag", or(`"bio_search":{"search_in_twitter":false,"phrases":["x"]}`), p0 + "bio_search", "search_in_twitter"},
		{"bio: no phrase", or(`"bio_search":{"search_in_twitter":true,"phrases":[]}`), p0 + "bio_search.phrases", "at least one"},
		{"bio: no word", or(`"bio_search":{"search_in_twitter":true,"phrases":["..."]}`), p0 + "bio_search.phrases[0]", "no word"},
		{"tweets: no phrase", or(`"tweet_search":{}`), p0 + "tweet_search.phrases", "required"},
		{"tweets: no word", or(`"tweet_search":{"phrases":["ok","#"]}`), p0 + "tweet_search.phrases[1]", "no word"},
		{"audience: unknown", or(`"audience":{"ids":[99999]}`), p0 + "audience.ids[0]", "not the id"},
		{"group: its own first", and(`"group":{"parameters":[{"operation":"NOT","affinities":{"affinities":[{"id":"a2"}]}}]}`), p1 + "group.parameters[0].operation", "OR"},
		{"group: nine deep", or(strings.Repeat(`"group":{"parameters":[{"operation":"OR",`, 9) + `"age":{"ranges":["18-24"]}` + strings.Repeat(`}]}`, 9)), "", "deeper"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			r := s.send(s.token, "POST", "/audiences", tt.body)
			var p problem
			if err := json.Unmarshal(r.text, &p); err != nil || r.StatusCode != 400 || p.Error.Code != "invalid_request" || p.Information.Version != "0.0.1" {
				t.Fatalf("answer = %d %s, want 400 invalid_request", r.StatusCode, r.text)
			}
			found := slices.ContainsFunc(p.Error.Details, func(d throng.Detail) bool {
				return (tt.path == "" || d.Path == tt.path) && strings.Contains(d.Message, tt.message)
			})
			if !found || len(p.Error.Details) != 1 {
				t.Errorf("details = %+v, want %s: …%s… alone", p.Error.Details, tt.path, tt.message)
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	s := newSite(t, true)
	r := s.send(s.add("plain", service.CallerSettings{}), "POST", "/audiences", `{"callback_url":"x","parameters":[
		{"operation":"OR","gender":{"genders":["male","x"]}},
		{"operation":"OR","affinities":{"affinities":[{"id":"a2"},{"id":"zz"}]}},
		{"operation":"AND","location":{"cities":[{"id":"501"}],"kind":"x"}}]}`)
	var p problem
	if err := json.Unmarshal(r.text, &p); err != nil || r.StatusCode != 400 {
		t.Fatalf("answer = %d %s", r.StatusCode, r.text)
	}
	var paths []string
	for _, d := range p.Error.Details {
		paths = append(paths, d.Path)
	}
	slices.Sort(paths)
	want := []string{
		"audience.name", "callback_url", "parameters[0].gender", "parameters[0].gender.genders[1]",
		"parameters[1].affinities.affinities[1].id", "parameters[2].location.cities[0].id",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

// TestStatuses covers what is wrong with a request but its definition.
func TestStatuses(t *testing.T) {
	s := newSite(t, true)
	md5 := []identifier.Type{identifier.MD5}
	chooser := []throng.Grant{throng.ChooseOutputs}
	zero := int64(0)
	limited := s.add("limited", service.CallerSettings{CanGenerate: &md5, CanDownload: &md5, Grants: &chooser})
	poor := s.add("poor", service.CallerSettings{Builds: &zero})
	a := s.built(define(soccer))
	id := fmt.Sprint(a.ID)
	good := define(soccer)
	for _, tt := range []struct {
		name, token, method, path, body string
		headers                         []string
		status                          int
		code, message                   string
	}{
		{"no token", "", "GET", "/credits", "", nil, 401, "unauthorized", "Bearer"},
		{"unknown token", "thr_x", "GET", "/credits", "", nil, 401, "unauthorized", "token"},
		{"other scheme", "", "GET", "/credits", "", []string{"Authorization", "Basic eDp5"}, 401, "unauthorized", ""},
		{"unknown path", s.token, "GET", "/nope", "", nil, 404, "not_found", ""},
		{"wrong method", s.token, "PUT", "/audiences", "", nil, 405, "method_not_allowed", ""},
		{"no body", s.token, "POST", "/audiences", "", nil, 400, "invalid_request", "empty"},
		{"no JSON", s.token, "POST", "/audiences", `{"a":}`, nil, 400, "invalid_request", "byte"},
		{"a list", s.token, "POST", "/audiences", `[]`, nil, 400, "invalid_request", "object"},
		{"more than JSON", s.token, "POST", "/audiences", good + "x", nil, 400, "invalid_request", ""},
		{"other media type", s.token, "POST", "/audiences", good, []string{"Content-Type", "text/csv"}, 415, "unsupported_media", "application/json"},
		{"encoded", s.token, "POST", "/audiences", good, []string{"Content-Encoding", "gzip"}, 415, "unsupported_media", "Content-Encoding"},
		{"large body", s.token, "POST", "/audiences", good + strings.Repeat(" ", 1<<20), nil, 413, "too_large", "1048576"},
		{"no credits", poor, "POST", "/audiences", good, nil, 403, "credits_exhausted", "credits"},
		{"missing grant", limited, "POST", "/audiences", define(`{"operation":"OR","age":{"ranges":["18-24"]}}`), nil, 403, "forbidden", "age_first"},
		{"output not to be generated", limited, "POST", "/audiences", strings.Replace(good, `{"audience"`, `{"outputs":["email_raw"],"audience"`, 1), nil, 403, "forbidden", "can_generate"},
		{"unknown audience", s.token, "GET", "/audiences/99999", "", nil, 404, "not_found", "99999"},
		{"no number", s.token, "GET", "/audiences/abc", "", nil, 404, "not_found", ""},
		{"audience of another", limited, "GET", "/audiences/" + id, "", nil, 404, "not_found", ""},
		{"file of another", limited, "GET", "/audiences/" + id + "/outputs/md5", "", nil, 404, "not_found", ""},
		{"unknown type of file", s.token, "GET", "/audiences/" + id + "/outputs/fax", "", nil, 404, "not_found", "type of output"},
		{"unknown format", s.token, "GET", "/audiences/" + id + "/outputs/md5?format=xml", "", nil, 400, "invalid_request", "format"},
		{"cancel of what is done", s.token, "POST", "/audiences/" + id + "/cancel", "", nil, 409, "conflict", "done"},
		{"upload without type", s.token, "POST", "/uploads", "x\n", nil, 400, "invalid_request", "type"},
		{"large upload", s.token, "POST", "/uploads?type=md5", strings.Repeat("x", 1001), nil, 413, "too_large", ""},
		{"unknown upload", s.token, "GET", "/uploads/2026-01-01/x.md5", "", nil, 404, "not_found", ""},
		{"unknown callback", s.token, "GET", "/callbacks/7", "", nil, 404, "not_found", ""},
		{"status of callbacks", s.token, "GET", "/callbacks?status=odd", "", nil, 400, "invalid_request", "status"},
		{"status of audiences", s.token, "GET", "/audiences?status=odd", "", nil, 400, "invalid_request", "status"},
		{"limit", s.token, "GET", "/audiences?limit=501", "", nil, 400, "invalid_request", "limit"},
		{"cursor", s.token, "GET", "/audiences?next=!", "", nil, 400, "invalid_request", "next"},
		{"rollups_only", s.token, "GET", "/affinities?rollups_only=maybe", "", nil, 400, "invalid_request", "rollups_only"},
		{"unknown parent", s.token, "GET", "/affinities?parent_id=zz", "", nil, 404, "not_found", "parent_id"},
		{"idempotency key", s.token, "POST", "/audiences", good, []string{"Idempotency-Key", "a b"}, 400, "invalid_request", "Idempotency-Key"},
		{"expansion without a body", s.token, "POST", "/audiences/" + id + "/expand", "", nil, 400, "invalid_request", ""},
		{"expansion by nothing", s.token, "POST", "/audiences/" + id + "/expand", "{}", nil, 400, "invalid_request", "expansion_factor"},
		{"expansion by a word", s.token, "POST", "/audiences/" + id + "/expand", `{"expansion_factor":"0x2"}`, nil, 400, "invalid_request", "a string of one"},
		{"expansion by too much", s.token, "POST", "/audiences/" + id + "/expand", `{"expansion_factor":"10.5"}`, nil, 400, "invalid_request", "at most 10"},
		{"expansion of both", s.token, "POST", "/audiences/" + id + "/expand", `{"expansion_factor":2,"include_seed":true,"remove_seed":true}`, nil, 400, "invalid_request", "contradicts"},
		{"expansion of another's", limited, "POST", "/audiences/" + id + "/expand", `{"expansion_factor":2}`, nil, 404, "not_found", id},
		{"cluster of no insight", s.token, "POST", "/audiences/" + id + "/insight/clusters/1", "", nil, 404, "not_found", "no insight"},
		{"cluster, other spelling", s.token, "POST", "/audiences/" + id + "/insights/clusters/1", "", nil, 404, "not_found", "no insight"},
		{"cluster of a word", s.token, "POST", "/audiences/" + id + "/insight/clusters/first", "", nil, 404, "not_found", "no cluster"},
		{"insight nobody asked for", s.token, "GET", "/audiences/" + id + "/insight", "", nil, 404, "not_found", "no insight"},
		{"insight of another", limited, "POST", "/audiences/" + id + "/insight", "", nil, 404, "not_found", id},
		{"link of no insight", s.token, "GET", "/audiences/" + id + "/insight/public-link", "", nil, 404, "not_found", "no insight"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			r := s.send(tt.token, tt.method, tt.path, tt.body, tt.headers...)
			var p problem
			if err := json.Unmarshal(r.text, &p); err != nil || r.StatusCode != tt.status || p.Error.Code != tt.code || !strings.Contains(p.Error.Message, tt.message) {
				t.Errorf("answer = %d %s, want %d %s with %q", r.StatusCode, r.text, tt.status, tt.code, tt.message)
			}
			if tt.status == 401 && r.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("WWW-Authenticate = %q, want Bearer", r.Header.Get("WWW-Authenticate"))
			}
			if r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("Content-Type = %q, want application/json", r.Header.Get("Content-Type"))
			}
		})
	}
}

func TestNothingLoaded(t *testing.T) {
	s := newSite(t, false)
	for _, path := range []string{"/affinities", "/b2b/employers", "/location/cities"} {
		if r := s.send(s.token, "GET", path, ""); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("GET %s = %d, Retry-After %q, want 503 and some seconds", path, r.StatusCode, r.Header.Get("Retry-After"))
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	s := newSite(t, true)
	other := s.add("other", service.CallerSettings{})
	post := func(token, key, body string) reply {
		return s.send(token, "POST", "/audiences", body, "Idempotency-Key", key)
	}
	first := post(s.token, "k", define(soccer))
	if again := post(s.token, "k", define(soccer)); again.StatusCode != 200 || !bytes.Equal(again.text, first.text) {
		t.Errorf("the same again = %d %s, want %s", again.StatusCode, again.text, first.text)
	}
	if r := post(s.token, "k", define(soccer+","+soccer)); r.StatusCode != 409 {
		t.Errorf("the same key with another body = %d %s, want 409", r.StatusCode, r.text)
	}
	for name, r := range map[string]reply{
		"another key": post(s.token, "k2", define(soccer)), "another caller": post(other, "k", define(soccer)),
	} {
		if r.StatusCode != 200 || bytes.Equal(r.text, first.text) {
			t.Errorf("%s = %d %s, want an audience of its own", name, r.StatusCode, r.text)
		}
	}
	if r := post(s.token, "bad", define("")); r.StatusCode != 400 {
		t.Fatalf("a wrong request = %d", r.StatusCode)
	}
	if r := post(s.token, "bad", define(soccer)); r.StatusCode != 200 {
		t.Errorf("the key of a refused request, used again = %d %s, want 200", r.StatusCode, r.text)
	}
	var wg sync.WaitGroup
	got := make([]string, 6)
	for i := range got {
		wg.Go(func() { got[i] = string(post(s.token, "at once", define(soccer)).text) })
	}
	wg.Wait()
	if len(slices.Compact(got)) != 1 {
		t.Errorf("answers to requests at once = %q, want one", got)
	}

	up := func(body string) reply {
		return s.send(s.token, "POST", "/uploads?type=ss_id", body, "Idempotency-Key", "u")
	}
	one := up("p1\n")
	if again := up("p1\n"); one.StatusCode != 200 || !bytes.Equal(again.text, one.text) {
		t.Errorf("the same upload again = %d %s, want %s", again.StatusCode, again.text, one.text)
	}
	if r := up("p2\n"); r.StatusCode != 409 {
		t.Errorf("another upload with the key = %d %s, want 409", r.StatusCode, r.text)
	}
}

func TestDownload(t *testing.T) {
	s := newSite(t, true)
	a := s.built(define(soccer))
	path := fmt.Sprintf("/audiences/%d/outputs/email_raw", a.ID)
	const want = "ann@example.com\nbob@example.com\n"
	r := s.send(s.token, "GET", path, "", "Accept-Encoding", "identity")
	etag := r.Header.Get("ETag")
	if r.StatusCode != 200 || string(r.text) != want || etag == "" || !strings.Contains(r.Header.Get("Content-Disposition"), "email_raw.txt") {
		t.Fatalf("file = %d %q %v", r.StatusCode, r.text, r.Header)
	}
	if r := s.send(s.token, "HEAD", path, ""); r.StatusCode != 200 || len(r.text) != 0 {
		t.Errorf("HEAD = %d with %d bytes, want 200 and none", r.StatusCode, len(r.text))
	}
	if r := s.send(s.token, "GET", path, "", "Range", "bytes=4-14", "Accept-Encoding", "gzip"); r.StatusCode != 206 || string(r.text) != want[4:15] || r.Header.Get("Content-Encoding") != "" {
		t.Errorf("range = %d %q %v, want %q, not compressed", r.StatusCode, r.text, r.Header, want[4:15])
	}
	if r := s.send(s.token, "GET", path, "", "Range", "bytes=99-"); r.StatusCode != 416 {
		t.Errorf("range beyond the end = %d, want 416", r.StatusCode)
	}
	if r := s.send(s.token, "GET", path, "", "Accept-Encoding", "identity", "If-None-Match", etag); r.StatusCode != 304 || len(r.text) != 0 {
		t.Errorf("If-None-Match = %d, want 304", r.StatusCode)
	}
	r = s.send(s.token, "GET", path, "", "Accept-Encoding", "gzip")
	if r.Header.Get("Content-Encoding") != "gzip" || r.Header.Get("ETag") == etag || r.Header.Get("Vary") == "" {
		t.Fatalf("compressed = %v, want gzip and a tag of its own", r.Header)
	}
	plain := must(io.ReadAll(must(gzip.NewReader(bytes.NewReader(r.text)))(t)))(t)
	if string(plain) != want {
		t.Errorf("unpacked = %q, want %q", plain, want)
	}
	if again := s.send(s.token, "GET", path, "", "Accept-Encoding", "gzip", "If-None-Match", r.Header.Get("ETag")); again.StatusCode != 304 {
		t.Errorf("If-None-Match of the compressed = %d, want 304", again.StatusCode)
	}
	if r := s.send(s.token, "GET", path+"?format=csv", "", "Accept-Encoding", "identity"); string(r.text) != "person,email_raw\np1,ann@example.com\np2,bob@example.com\n" {
		t.Errorf("csv = %q", r.text)
	}
	if r := s.send(s.token, "GET", path+"?format=parquet", ""); r.StatusCode != 200 || !bytes.HasPrefix(r.text, []byte("PAR1")) || !bytes.HasSuffix(r.text, []byte("PAR1")) {
		t.Errorf("parquet = %d with %d bytes, want a Parquet file", r.StatusCode, len(r.text))
	}
	for _, o := range a.Outputs {
		if want := fmt.Sprintf("%s%s/audiences/%d/outputs/%s", s.url, silhouette.Base, a.ID, o.Type); o.URL != want {
			t.Errorf("url = %s, want %s", o.URL, want)
		}
	}
}

func TestUploadForms(t *testing.T) {
	s := newSite(t, true)
	form := func(files ...string) (string, string) {
		var b strings.Builder
		w := multipart.NewWriter(&b)
		for i, text := range files {
			part := must(w.CreateFormFile("file", fmt.Sprintf("f%d.txt", i)))(t)
			if _, err := io.WriteString(part, text); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String(), w.FormDataContentType()
	}
	body, media := form("p1\np9\n")
	var u struct {
		Key             string
		Rows, Matched   uint64
		Unmatched       uint64
		Name, Status    string
		InvalidLines    []any `json:"invalid_lines"`
		CreatedAt, Type string
	}
	s.decode(s.send(s.token, "POST", "/uploads?type=ss_id", body, "Content-Type", media), &u)
	if u.Rows != 2 || u.Matched != 1 || u.Unmatched != 1 {
		t.Errorf("upload of a form = %+v", u)
	}
	s.get(u.Key, &u)
	if u.Name != "f0.txt" || u.Status != "ready" {
		t.Errorf("upload read back = %+v, want its name and status", u)
	}
	for name, b := range map[string]string{"truncated": body[:len(body)-30]} {
		if r := s.send(s.token, "POST", "/uploads?type=ss_id", b, "Content-Type", media); r.StatusCode != 400 {
			t.Errorf("%s form = %d %s, want 400", name, r.StatusCode, r.text)
		}
	}
	for name, files := range map[string][]string{"no file": nil, "two files": {"p1\n", "p2\n"}} {
		body, media := form(files...)
		if r := s.send(s.token, "POST", "/uploads?type=ss_id", body, "Content-Type", media); r.StatusCode != 400 {
			t.Errorf("%s = %d %s, want 400", name, r.StatusCode, r.text)
		}
	}
	if r := s.send(s.token, "DELETE", u.Key, ""); r.StatusCode != 200 {
		t.Errorf("DELETE = %d %s", r.StatusCode, r.text)
	}
	if r := s.send(s.token, "GET", u.Key, ""); r.StatusCode != 404 {
		t.Errorf("GET after DELETE = %d, want 404", r.StatusCode)
	}
}
