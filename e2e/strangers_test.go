package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/api/mintegral"
	"throng/client"
	"throng/identifier"
	"throng/internal/pgtest"
)

// TestStrangers tries everything that one caller has with the tokens of others,
// on every operation of both APIs and on every page, in paths, queries and
// bodies. A second server has the same callers, and nothing of that one: what it
// answers is what is said of a thing that does not exist, and must be the same
// to the byte, so that nobody can find out what others have.
func TestStrangers(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	t.Run("sqlite", func(t *testing.T) { testStrangers(t, "", "") })
	t.Run("postgres", func(t *testing.T) { testStrangers(t, pgtest.URL(t), pgtest.URL(t)) })
}

// household is a server with three callers.
type household struct {
	*process
	data, database           string  // a URL, "" is SQLite in the data folder
	owner, other, bare, gone secrets // other has every grant, bare none, gone is revoked
	pages                    map[string]*browser
}

func newHousehold(t *testing.T, database string) *household {
	t.Helper()
	data := newData(t)
	var settings []string
	if database != "" {
		settings = []string{"--database", database}
	}
	settings = append(settings, "--drop", filepath.Join(t.TempDir(), "drop"), "--allow-private-callbacks")
	h := &household{process: start(t, data, settings...), data: data, database: database, pages: map[string]*browser{}}
	for _, c := range []struct {
		into  *secrets
		name  string
		flags []string
	}{{&h.owner, "owner", allGrants()}, {&h.other, "other", allGrants()}, {&h.bare, "bare", nil}, {&h.gone, "gone", allGrants()}} {
		made, err := newCaller(data, slices.Concat([]string{c.name}, c.flags, settings)...)
		if err != nil {
			t.Fatalf("add caller: %v", err)
		}
		*c.into = made
		h.pages[c.name] = newBrowser(t, h.URL)
		h.pages[c.name].want("/login", url.Values{"token": {made.Token}}, http.StatusOK)
	}
	throng(t, append([]string{"caller", "revoke", "gone", "--data", data}, settings...)...)
	// Audiences of the other's own, which have the same ids on every server, 1 and
	// 2, and reports.
	for range 2 {
		made := exchange(t, h.process, h.other.Token, http.MethodPost, "/platform/v0/audiences", "application/json",
			definition(`"outputs":["ss_id"],"generate_insights_automatically":true`))
		eventually(t, h.process, h.other.Token, "/platform/v0/audiences/"+value(t, made, "response.id")+"/insight", "response.status", "done")
	}
	return h
}

// refuser wants no callbacks, and knows nobody who delivers to it.
func refuser(t *testing.T) (address string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, mintegral.Base) {
			w.WriteHeader(http.StatusGone)
			return
		}
		_, _ = io.WriteString(w, `{"code":401,"message":"not known","data":null}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// belongings are the names of what the owner has.
type belongings struct {
	audiences            []string // built, canceled, of devices
	upload, slot, unsent string
	callback, delivery   string
	cursor               string
	links                map[string]string // tokens of links that open nothing, by why
}

const (
	ownName        = "the owner's very own"
	ownCredentials = "owners-credentials"
	ownOffer       = "66785"
)

// settle gives the owner one of everything.
func (h *household) settle(t *testing.T) *belongings {
	t.Helper()
	post := func(path, contentType, body, at string) string {
		t.Helper()
		got := exchange(t, h.process, h.owner.Token, http.MethodPost, "/platform/v0"+path, contentType, body)
		if got.status != http.StatusOK {
			t.Fatalf("POST %s = %d %s", path, got.status, got.body)
		}
		return value(t, got, at)
	}
	away := refuser(t)
	b := &belongings{upload: post("/uploads?type=ss_id&name=owners-list.txt", "text/plain", "someone\n", "response.key")}
	mine := client.New(h.URL, h.owner.Token)
	for range 2 {
		id := post("/audiences", "application/json", strings.Replace(definition(`"callback_url":"`+away+`/owners-hook"`), `"x"`, `"`+ownName+`"`, 1), "response.id")
		b.audiences = append(b.audiences, id)
	}
	// Canceled where the build was not faster; the answer is the same for both.
	exchange(t, h.process, h.owner.Token, http.MethodPost, "/platform/v0/audiences/"+b.audiences[1]+"/cancel", "", "")
	for _, id := range b.audiences {
		waitDone(t, mine, int64(atoi(t, id)))
	}
	list := eventually(t, h.process, h.owner.Token, "/platform/v0/callbacks?limit=1&status=failed", "response.data.len", "1")
	eventually(t, h.process, h.owner.Token, "/platform/v0/callbacks?status=pending", "response.data.len", "0")
	b.callback = value(t, list, "response.data.0.id")
	b.cursor = value(t, exchange(t, h.process, h.owner.Token, http.MethodGet, "/platform/v0/audiences?limit=1", "", ""), "response.next")

	deliveries := "/audiences/" + b.audiences[0] + "/deliveries"
	b.delivery = post(deliveries, "application/json", `{"to":"mintegral","name":"`+ownName+`","endpoint":"`+away+`","credentials":
		{"name":"`+ownCredentials+`","access_key":"owners-access","api_key":"owners-secret"}}`, "response.id")
	eventually(t, h.process, h.owner.Token, "/platform/v0"+deliveries+"/"+b.delivery, "response.status", "failed")

	b.slot, b.unsent = h.sendList(t, strings.Repeat("0123456789abcdef", 2)+"\n"), h.presignPath(t, "")
	got := h.mint(t, h.owner, http.MethodPost, "/audience", `{"ta_name":"`+ownName+`","area_type":1,"platform":1,"data_path":[{"device_type":8,"data_path":"`+b.slot+`"}]}`)
	id := value(t, got, "data.ta_id")
	b.audiences = append(b.audiences, id)
	for deadline := time.Now().Add(time.Minute); value(t, h.mint(t, h.owner, http.MethodGet, "/audience?ta_ids="+id, ""), "data.list.0.status") != "ready"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the device audience is not ready after a minute")
		}
	}
	if got := h.mint(t, h.owner, http.MethodPut, "/offer/audience", `{"offer_id":`+ownOffer+`,"audience":[`+id+`]}`); value(t, got, "code") != "200" {
		t.Fatalf("set offer: %s", got.body)
	}
	return b
}

func (h *household) presignPath(t *testing.T, query string) string {
	t.Helper()
	return value(t, exchange(t, h.process, h.owner.Token, http.MethodPost, "/platform/v0/uploads?type=md5&presign=1"+query, "", ""), "response.path")
}

// sendList sends a file to an address of the owner's and returns its path.
func (h *household) sendList(t *testing.T, text string) string {
	t.Helper()
	a := h.presign(t, h.owner.Token, "")
	status, err := put(t.Context(), a.URL, strings.NewReader(text), int64(len(text)))
	if err != nil || status != http.StatusOK {
		t.Fatalf("PUT to an address = %d, %v", status, err)
	}
	return a.Path
}

// mint sends a request to the Mintegral API, signed.
func (h *household) mint(t *testing.T, who secrets, method, path, body string) exchanged {
	t.Helper()
	got, err := h.send(t.Context(), attempt{by: who, method: method, path: mintegral.Base + path, body: body})
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

// attempt is one request with something of the owner's in it.
type attempt struct {
	who                string // a caller's name; "" is one whose token is by.Token
	by                 secrets
	method, path, body string
	contentType        string // of a body; JSON by default
	header             string // "Name: value"
	want               []string
	page               bool // of the browser
}

func (a attempt) String() string {
	return fmt.Sprintf("%s %s %.100s by %s", a.method, a.path, a.body, a.who)
}

// send carries out an attempt on a server.
func (h *household) send(ctx context.Context, a attempt) (exchanged, error) {
	req, err := http.NewRequestWithContext(ctx, a.method, h.URL+a.path, strings.NewReader(a.body))
	if err != nil {
		return exchanged{}, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	if name, v, ok := strings.Cut(a.header, ": "); ok {
		req.Header.Set(name, v)
	}
	by := a.by
	switch a.who {
	case "owner":
		by = h.owner
	case "other":
		by = h.other
	case "bare":
		by = h.bare
	case "gone":
		by = h.gone
	}
	if a.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.contentType != "" {
		req.Header.Set("Content-Type", a.contentType)
	}
	switch {
	case a.page:
		base, err := url.Parse(h.URL)
		if err != nil {
			return exchanged{}, err
		}
		for _, c := range h.pages[a.who].client.Jar.(*cookiejar.Jar).Cookies(base) {
			req.AddCookie(c)
		}
	case strings.HasPrefix(a.path, mintegral.Base):
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		req.Header.Set("access-key", by.AccessKey)
		req.Header.Set("timestamp", stamp)
		req.Header.Set("token", md5Of(by.APIKey+md5Of(stamp)))
	case by.Token != "":
		req.Header.Set("Authorization", "Bearer "+by.Token)
	}
	return roundTrip(req, []byte(a.body))
}

// outcome words how a request ended, in either API's way.
func outcome(a attempt, got exchanged) string {
	if strings.HasPrefix(a.path, mintegral.Base) && got.status == http.StatusOK {
		if code, err := lookup(got.body, "code"); err == nil {
			return code
		}
	}
	return strconv.Itoa(got.status)
}

func testStrangers(t *testing.T, here, there string) {
	t.Helper()
	h, absent := newHousehold(t, here), newHousehold(t, there)
	b := h.settle(t)
	h.settleReports(t, b)
	all := slices.Concat(pathAttempts(t, b), bodyAttempts(b), reportAttempts(b), listAttempts(b), deviceAttempts(b), pageAttempts(b), tokenAttempts(h, b))
	before := h.inventory(t, b)
	for _, a := range all {
		got, err := h.send(t.Context(), a)
		if err != nil {
			t.Errorf("%s: %v\n%s", a, err, got.body)
			continue
		}
		if how := outcome(a, got); !slices.Contains(a.want, how) {
			t.Errorf("%s = %s, want %v\n%s", a, how, a.want, got.body)
		}
		for _, secret := range []string{ownName, ownCredentials, "owners-"} {
			if !strings.Contains(a.path+a.body, secret) && bytes.Contains(got.body, []byte(secret)) {
				t.Errorf("%s tells of %q\n%s", a, secret, got.body)
			}
		}
		want, err := absent.send(t.Context(), a)
		if err != nil {
			t.Errorf("%s, where there is no such thing: %v\n%s", a, err, want.body)
			continue
		}
		if diff := cmp.Diff(absent.plain(want), h.plain(got)); diff != "" {
			t.Errorf("%s is not answered as where there is no such thing (-there +here):\n%s", a, diff)
		}
	}
	t.Logf("%d attempts", len(all))
	if len(all) < 200 {
		t.Errorf("made %d attempts, want at least 200", len(all))
	}
	if diff := cmp.Diff(before, h.inventory(t, b)); diff != "" {
		t.Errorf("what the owner has is not as before (-before +after):\n%s", diff)
	}
	h.checkRepeats(t)
}

// told is all that an answer tells, but for what differs each time.
type told struct {
	Status int
	Header map[string][]string
	Body   string
}

func (h *household) plain(e exchanged) told {
	header := maps.Clone(e.header)
	delete(header, "Date")
	delete(header, "X-Request-Id")
	return told{e.status, header, strings.ReplaceAll(string(e.body), h.URL, "URL")}
}

var strangers = []string{"other", "bare"}

// pathAttempts tries every operation of the document that takes an id.
func pathAttempts(t *testing.T, b *belongings) (all []attempt) {
	t.Helper()
	doc, err := document()
	if err != nil {
		t.Fatalf("read document: %v", err)
	}
	bodies := map[string]string{"deliveries": `{"to":"drop","name":"x"}`, "regenerate": `{"outputs":[]}`, "expand": `{"expansion_factor":2}`}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		if !strings.Contains(path, "{") {
			continue
		}
		for method, op := range doc.Paths.Value(path).Operations() {
			want := []string{"404"}
			if op.Tags[0] == "Not built yet" {
				want = []string{"501"}
			}
			body := ""
			if method == http.MethodPost {
				body = bodies[path[strings.LastIndexByte(path, '/')+1:]]
			}
			for _, filled := range b.fill(path) {
				for _, who := range strangers {
					all = append(all, attempt{who: who, method: method, path: "/platform/v0" + filled, body: body, want: want})
				}
			}
		}
	}
	return all
}

// fill puts the owner's names of everything into a path of the document.
func (b *belongings) fill(path string) (filled []string) {
	switch {
	case strings.HasPrefix(path, "/uploads/"):
		return []string{b.upload}
	case strings.HasPrefix(path, "/callbacks/"):
		return []string{strings.Replace(path, "{id}", b.callback, 1)}
	case strings.HasPrefix(path, "/credentials/"):
		return []string{"/credentials/" + ownCredentials}
	}
	for _, id := range b.audiences {
		n := b.delivery
		if strings.Contains(path, "/clusters/") {
			n = "1"
		}
		one := strings.NewReplacer("{id}", id, "{n}", n).Replace(path)
		if strings.HasSuffix(path, "/insight") {
			filled = append(filled, one+"?format=csv", one+"?format=xlsx", one+"?baseline=usa", one+"?order=x")
		}
		if !strings.Contains(one, "{type}") {
			filled = append(filled, one)
			continue
		}
		for _, typ := range identifier.Outputs() {
			of := strings.Replace(one, "{type}", string(typ), 1)
			filled = append(filled, of, of+"?format=csv")
		}
	}
	return filled
}

// bodyAttempts uses what the owner has in definitions, and in a delivery of an
// audience of one's own.
func bodyAttempts(b *belongings) (all []attempt) {
	own := `{"operation":"OR","affinities":{"affinities":[{"id":"a38802"}]}},`
	for _, operation := range []string{`"OR"`, `"AND"`, `"NOT"`} {
		var criteria []string
		for _, id := range b.audiences {
			criteria = append(criteria, `"audience":{"ids":[`+id+`]}`)
		}
		for _, typ := range []string{"ss_id", "md5"} {
			criteria = append(criteria, `"upload":{"keys":["`+b.upload+`"],"type":"`+typ+`"}`)
		}
		for _, criterion := range criteria {
			for _, path := range []string{"/audiences", "/audiences/preview"} {
				for _, who := range strangers {
					all = append(all, attempt{
						who: who, method: http.MethodPost, path: "/platform/v0" + path,
						body: `{"audience":{"name":"x"},"parameters":[` + own + `{"operation":` + operation + `,` + criterion + `}]}`, want: []string{"400"},
					})
				}
			}
		}
	}
	// The other's own audience is the first of its server.
	for _, body := range []string{
		`{"to":"mintegral","name":"x","credentials":{"name":"` + ownCredentials + `"}}`,
		`{"to":"drop","name":"x","credentials":{"name":"` + ownCredentials + `"}}`,
	} {
		all = append(all, attempt{who: "other", method: http.MethodPost, path: "/platform/v0/audiences/1/deliveries", body: body, want: []string{"400", "404"}})
	}
	return append(all, attempt{who: "other", method: http.MethodGet, path: "/platform/v0/audiences/1/deliveries/" + b.delivery, want: []string{"404"}},
		attempt{who: "other", method: http.MethodPost, path: "/platform/v0/audiences/1/deliveries/" + b.delivery + "/cancel", want: []string{"404"}},
		attempt{who: "other", method: http.MethodPost, path: "/platform/v0/uploads?type=md5&path=" + url.QueryEscape(b.slot), want: []string{"400"}},
		attempt{who: "bare", method: http.MethodPost, path: "/platform/v0/uploads?type=md5&path=" + url.QueryEscape(b.slot), want: []string{"400"}},
		attempt{who: "other", method: http.MethodPost, path: "/platform/v0/uploads?type=md5&path=" + url.QueryEscape(b.unsent), want: []string{"400"}})
}

// listAttempts lists by somebody who has nothing, so that lists must be empty.
func listAttempts(b *belongings) (all []attempt) {
	for _, path := range []string{
		"/audiences", "/audiences?kind=device", "/audiences?query=" + url.QueryEscape(ownName), "/audiences?status=done", "/audiences?status=canceled",
		"/audiences?next=" + b.cursor, "/uploads", "/uploads?next=" + b.cursor, "/callbacks", "/callbacks?status=failed", "/callbacks?next=" + b.cursor,
		"/credentials", "/credits",
	} {
		all = append(all, attempt{who: "bare", method: http.MethodGet, path: "/platform/v0" + path, want: []string{"200"}})
	}
	return all
}

// deviceAttempts tries every operation of the other API.
func deviceAttempts(b *belongings) (all []attempt) {
	add := func(method, path, body string, want ...string) {
		for _, who := range strangers {
			all = append(all, attempt{who: who, method: method, path: mintegral.Base + path, body: body, want: want})
		}
	}
	for _, id := range b.audiences {
		add(http.MethodGet, "/audience?ta_ids="+id, "", "200")
		add(http.MethodDelete, "/audience", `{"ta_id":[`+id+`]}`, "404")
		add(http.MethodPut, "/audience", `{"ta_id":`+id+`,"data_path":[{"device_type":8,"data_path":"`+b.slot+`"}]}`, "404", "400")
		add(http.MethodPut, "/audience", `{"ta_id":`+id+`,"data_path":[]}`, "404", "400")
		add(http.MethodPut, "/offer/audience", `{"offer_id":`+ownOffer+`,"audience":[`+id+`]}`, "404")
		add(http.MethodPut, "/offer/audience", `{"offer_id":1,"audience":[],"audience_exclude":[`+id+`]}`, "404")
		add(http.MethodPut, "/offer/target-audience", `{"offer_id":`+ownOffer+`,"include_ta_id":[`+id+`]}`, "404")
		add(http.MethodPut, "/offer/target-audience", `{"offer_id":1,"exclude_ta_id":[`+id+`]}`, "404")
	}
	for _, path := range []string{b.slot, b.unsent} {
		add(http.MethodPost, "/audience", `{"ta_name":"x","area_type":1,"platform":1,"data_path":[{"device_type":8,"data_path":"`+path+`"}]}`, "400")
	}
	add(http.MethodGet, "/audience?ta_name="+url.QueryEscape(ownName), "", "200")
	add(http.MethodGet, "/audience?platform=1", "", "200")
	add(http.MethodGet, "/audience?page=1&limit=500", "", "200")
	add(http.MethodGet, "/offer/audience?offer_id="+ownOffer, "", "404")
	add(http.MethodPost, "/offer/match", `{"offer_id":`+ownOffer+`,"devices":[{"device_type":8,"id":"0123456789abcdef0123456789abcdef"}]}`, "404")
	return all
}

// pageAttempts looks at the owner's pages as somebody else.
func pageAttempts(b *belongings) (all []attempt) {
	for _, id := range b.audiences {
		paths := []string{"/audiences/" + id}
		for _, typ := range identifier.Outputs() {
			paths = append(paths, "/audiences/"+id+"/files/"+string(typ))
		}
		for _, path := range paths {
			for _, who := range strangers {
				all = append(all, attempt{who: who, method: http.MethodGet, path: path, page: true, want: []string{"404"}})
			}
			all = append(all, attempt{who: "gone", method: http.MethodGet, path: path, page: true, want: []string{"401"}})
		}
		all = append(all, attempt{who: "other", method: http.MethodGet, path: paths[0], header: "HX-Request: true", page: true, want: []string{"404"}})
	}
	for _, path := range []string{"/", "/?query=owner", "/?next=" + b.cursor} {
		all = append(all, attempt{who: "bare", method: http.MethodGet, path: path, page: true, want: []string{"200"}},
			attempt{who: "gone", method: http.MethodGet, path: path, page: true, want: []string{"401"}})
	}
	return all
}

// tokenAttempts are made with what is no token, or the secret of something
// else.
func tokenAttempts(h *household, b *belongings) (all []attempt) {
	paths := []string{"/platform/v0/audiences/" + b.audiences[0], "/platform/v0/audiences", "/platform/v0" + b.upload, "/platform/v0/credits", "/platform/v0/callbacks/" + b.callback}
	for _, token := range []string{
		"", "x", h.gone.Token, h.owner.AccessKey, h.owner.APIKey, h.owner.Token[:len(h.owner.Token)-1], h.owner.Token + "0",
		strings.ToUpper(h.owner.Token), h.owner.Token[:12], "' OR '1'='1",
	} {
		for _, path := range paths {
			all = append(all, attempt{by: secrets{Token: token}, method: http.MethodGet, path: path, want: []string{"401"}})
		}
	}
	for _, who := range []secrets{
		h.gone,
		{AccessKey: h.owner.AccessKey, APIKey: h.other.APIKey},
		{AccessKey: h.owner.AccessKey, APIKey: h.owner.Token},
		{AccessKey: h.owner.AccessKey},
		{AccessKey: "nobody", APIKey: h.owner.APIKey},
		{AccessKey: h.owner.Token, APIKey: h.owner.APIKey},
	} {
		for _, path := range []string{"/audience", "/audience?ta_ids=" + b.audiences[2], "/offer/audience?offer_id=" + ownOffer} {
			all = append(all, attempt{by: who, method: http.MethodGet, path: mintegral.Base + path, want: []string{"401"}})
		}
	}
	for _, token := range []string{"x", "a.b.c", strings.Repeat("a", 16) + ".zzzzzz." + strings.Repeat("A", 43), "..", "%2e%2e"} {
		all = append(all, attempt{by: h.other, method: http.MethodPut, path: "/incoming/" + token, body: "x", contentType: "text/plain", want: []string{"403", "404"}})
	}
	return all
}

// inventory is what the owner is told of everything.
func (h *household) inventory(t *testing.T, b *belongings) map[string]string {
	t.Helper()
	out := map[string]string{}
	paths := []string{"/audiences", "/audiences?kind=device", b.upload, "/uploads", "/callbacks", "/credits", "/credentials"}
	for _, id := range b.audiences {
		paths = append(paths, "/audiences/"+id, "/audiences/"+id+"/deliveries", "/audiences/"+id+"/outputs/ss_id",
			"/audiences/"+id+"/insight", "/audiences/"+id+"/insight?format=csv")
	}
	for _, path := range paths {
		got := exchange(t, h.process, h.owner.Token, http.MethodGet, "/platform/v0"+path, "", "")
		out[path] = fmt.Sprint(got.status, string(got.body))
	}
	link := "/audiences/" + b.audiences[0] + "/insight/public-link" // asking for one that is not there makes it
	out[link] = string(exchange(t, h.process, h.owner.Token, http.MethodGet, "/platform/v0"+link, "", "").body)
	for _, path := range []string{"/audience", "/offer/audience?offer_id=" + ownOffer} {
		out[path] = string(h.mint(t, h.owner, http.MethodGet, path, "").body)
	}
	return out
}

// checkRepeats sends the owner's idempotency key as somebody else: it is
// another key.
func (h *household) checkRepeats(t *testing.T) {
	t.Helper()
	create := func(who secrets) string {
		t.Helper()
		got := exchange(t, h.process, who.Token, http.MethodPost, "/platform/v0/audiences", "application/json", definition(`"outputs":[]`), "Idempotency-Key", "one-of-the-owners")
		return value(t, got, "response.id")
	}
	first, again, others := create(h.owner), create(h.owner), create(h.other)
	if again != first || others == first {
		t.Errorf("one key gives audience %s, then %s, and %s to somebody else; want the same twice, and another", first, again, others)
	}
	resp, err := http.Get(h.URL + "/platform/v0/audiences/" + first) //nolint:noctx // no token, no context
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("GET without a token = %d, %v, want 401", resp.StatusCode, err)
	}
}
