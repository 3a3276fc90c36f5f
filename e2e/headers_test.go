package e2e

import (
	"bytes"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"throng/api/mintegral"
	"throng/client"
)

// visit asks for a path and returns the answer, redirects not followed.
func (p *process) visit(t *testing.T, method, path, body string, headers ...string) exchanged {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return exchanged{resp.StatusCode, resp.Header, text.Bytes()}
}

// sessionOf gives the cookie that an answer sets, as a request sends it.
func sessionOf(e exchanged) string {
	cookie, _, _ := strings.Cut(e.header.Get("Set-Cookie"), ";")
	return cookie
}

// TestHeaders looks at the headers of every kind of answer, over http and behind
// https.
func TestHeaders(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	t.Run("http", func(t *testing.T) { testHeaders(t, "") })
	t.Run("https", func(t *testing.T) {
		testHeaders(t, "max-age=31536000", "--public-url", "https://audiences.example.com")
	})
}

func testHeaders(t *testing.T, hsts string, settings ...string) {
	t.Helper()
	data := newData(t)
	server := start(t, data, append(settings, "--drop", filepath.Join(t.TempDir(), "drop"))...)
	made, err := newCaller(data, append([]string{"reader"}, allGrants()...)...)
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(server.URL, made.Token)
	id, err := c.CreateAudience(t.Context(), []byte(definition("")))
	if err != nil {
		t.Fatal(err)
	}
	waitDone(t, c, id)
	login := server.visit(t, http.MethodPost, "/login", url.Values{"token": {made.Token}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	cookie := sessionOf(login)
	name := "throng_session="
	if hsts != "" {
		name = "__Host-" + name
	}
	if flags := login.header.Get("Set-Cookie"); !strings.HasPrefix(flags, name) || !strings.Contains(flags, "HttpOnly") || !strings.Contains(flags, "SameSite=Lax") ||
		!strings.Contains(flags, "Path=/;") || strings.Contains(flags, "Domain") || strings.Contains(flags, "Secure") != (hsts != "") {
		t.Errorf("Set-Cookie = %q", flags)
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	audience := strconv.FormatInt(id, 10)
	bearer := []string{"Authorization", "Bearer " + made.Token}
	exchange(t, server, made.Token, http.MethodPost, "/platform/v0/audiences/"+audience+"/insight", "application/json", "{}")
	eventually(t, server, made.Token, "/platform/v0/audiences/"+audience+"/insight", "response.status", "done")
	link := value(t, exchange(t, server, made.Token, http.MethodGet, "/platform/v0/audiences/"+audience+"/insight/public-link", "", ""), "response.public_link")
	public := link[strings.Index(link, "/public/"):]
	second, err := c.CreateAudience(t.Context(), []byte(definition("")))
	if err != nil {
		t.Fatal(err)
	}
	waitDone(t, c, second)
	compared := "/compare?ids=" + audience + "&ids=" + strconv.FormatInt(second, 10)
	signed := []string{"access-key", made.AccessKey, "timestamp", stamp, "token", md5Of(made.APIKey + md5Of(stamp))}
	const noStore, page, api = "no-store", "default-src 'none'; script-src 'self'", "default-src 'none'; frame-ancestors 'none'"
	for _, test := range []struct {
		method, path  string
		headers       []string
		status        int
		cache, policy string // of the policy its beginning
	}{
		{"GET", "/platform/v0/audiences", bearer, 200, noStore, api},
		{"GET", "/platform/v0/audiences/" + audience, bearer, 200, noStore, api},
		{"GET", "/platform/v0/audiences/" + audience, nil, 401, noStore, api},
		{"GET", "/platform/v0/nothing", bearer, 404, noStore, api},
		{"PATCH", "/platform/v0/audiences", bearer, 405, noStore, api},
		{"POST", "/platform/v0/audiences", bearer, 400, noStore, api},
		{"GET", "/platform/v0/audiences/" + audience + "/outputs/md5", bearer, 200, "private, no-cache", api},
		{"GET", "/platform/v0/audiences/" + audience + "/outputs/md5?format=csv", bearer, 200, "private, no-cache", api},
		{"HEAD", "/platform/v0/audiences/" + audience + "/outputs/md5", bearer, 200, "private, no-cache", api},
		{"GET", "/platform/v0", bearer, 404, noStore, api},
		{"GET", "/platform/v0", nil, 401, noStore, api},
		{"GET", mintegral.Base + "/audience", signed, 200, noStore, api},
		{"GET", mintegral.Base + "/audience", nil, 200, noStore, api},
		{"GET", mintegral.Base + "/nothing", nil, 404, noStore, api},
		{"PUT", "/incoming/x", nil, 403, noStore, api},
		{"GET", "/incoming/x", nil, 405, noStore, api},
		{"GET", "/", []string{"Cookie", cookie}, 200, noStore, page},
		{"GET", "/", nil, 401, noStore, page},
		{"GET", "/audiences/" + audience, []string{"Cookie", cookie}, 200, noStore, page},
		{"GET", "/audiences/" + audience + "/files/md5", []string{"Cookie", cookie}, 200, noStore, page},
		{"GET", "/audiences/99999", []string{"Cookie", cookie}, 404, noStore, page},
		{"GET", "/audiences/" + audience, []string{"Cookie", cookie, "HX-Request", "true"}, 200, noStore, page},
		{"GET", "/audiences/" + audience + "/report", []string{"Cookie", cookie}, 200, noStore, page},
		{"GET", "/audiences/" + audience + "/report", []string{"Cookie", cookie, "HX-Request", "true"}, 200, noStore, page},
		{"GET", "/audiences/" + audience + "/report", nil, 401, noStore, page},
		{"POST", "/audiences/" + audience + "/report", []string{"Cookie", cookie}, 303, noStore, page},
		{"GET", "/audiences/" + audience + "/report/csv", []string{"Cookie", cookie}, 200, noStore, page},
		{"GET", "/audiences/" + audience + "/report/xlsx", []string{"Cookie", cookie}, 200, noStore, page},
		{"GET", "/audiences/" + audience + "/report/pdf", []string{"Cookie", cookie}, 404, noStore, page},
		{"GET", compared, []string{"Cookie", cookie}, 200, noStore, page},
		{"GET", compared, nil, 401, noStore, page},
		{"GET", "/compare?ids=x", []string{"Cookie", cookie}, 400, noStore, page},
		{"GET", public, nil, 200, noStore, page},
		{"GET", public + "A", nil, 404, noStore, page},
		{"GET", "/platform/v0/audiences/" + audience + "/insight", bearer, 200, noStore, api},
		{"GET", "/platform/v0/audiences/" + audience + "/insight?format=csv", bearer, 200, "private, no-cache", api},
		{"POST", "/login", nil, 401, noStore, page},
		{"GET", "/nothing", nil, 404, "", page},
		{"GET", "/docs", nil, 200, "", page},
		{"GET", "/docs?api=mintegral", nil, 200, "", page},
		{"GET", "/static/throng.css", nil, 200, "no-cache", page},
		{"GET", "/static/", nil, 404, "", page},
		{"GET", "/openapi.json", nil, 200, "", ""},
		{"GET", "/openapi/mintegral.json", nil, 200, "", ""},
		{"GET", "/healthz", nil, 200, "", ""},
		{"GET", "/readyz", nil, 200, noStore, ""},
	} {
		got := server.visit(t, test.method, test.path, "", test.headers...)
		where := test.method + " " + test.path
		if got.status != test.status {
			t.Errorf("%s = %d, want %d", where, got.status, test.status)
		}
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": test.cache, "Strict-Transport-Security": hsts, "Access-Control-Allow-Origin": "", "Server": ""} {
			if g := got.header.Get(header); g != want {
				t.Errorf("%s: %s = %q, want %q", where, header, g, want)
			}
		}
		referrer := got.header.Get("Referrer-Policy")
		if hidden := strings.HasPrefix(test.path, "/public/"); test.policy == page && (referrer == "no-referrer") != hidden || hidden && got.header.Get("X-Robots-Tag") != "noindex" {
			t.Errorf("%s: Referrer-Policy = %q, X-Robots-Tag = %q", where, referrer, got.header.Get("X-Robots-Tag"))
		}
		policy := got.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, test.policy) || test.policy != "" && !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "script-src 'self' '") || strings.Contains(policy, "unsafe-eval") {
			t.Errorf("%s: Content-Security-Policy = %q", where, policy)
		}
		if test.status == http.StatusOK && got.header.Get("Content-Type") == "" {
			t.Errorf("%s has no Content-Type", where)
		}
		if strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			if found := inline.Find(got.body); found != nil {
				t.Errorf("%s has something inline: %q", where, found)
			}
		}
	}
}

// inline finds what a policy without unsafe-inline would not let run: scripts
// and styles in the page, handlers in attributes, addresses that are scripts.
var inline = regexp.MustCompile(`(?i)<script(?:\s+(?:defer|async))*\s*>|<script[^>]*>[^<]+</script>|<style|\sstyle\s*=|\son[a-z]+\s*=\s*["']|javascript:|<base|<iframe|<object|https?://[^"'\s<]*\.(?:js|css)`)

// TestForeignOrigins has other sites send what a browser would send for them.
func TestForeignOrigins(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data)
	_, token := addCaller(t, server, data, "reader")
	form := url.Values{"token": {token}}.Encode()
	content := []string{"Content-Type", "application/x-www-form-urlencoded"}
	login := server.visit(t, http.MethodPost, "/login", form, content...)
	cookie := []string{"Cookie", sessionOf(login)}
	signedIn := func(what string, want int) {
		t.Helper()
		if got := server.visit(t, http.MethodGet, "/", "", cookie...); got.status != want {
			t.Errorf("%s: GET / = %d, want %d", what, got.status, want)
		}
	}
	for _, foreign := range [][]string{
		{"Origin", "https://example.com"},
		{"Origin", "null"},
		{"Origin", "http://" + strings.TrimPrefix(server.URL, "http://") + ".example.com"},
		{"Origin", "http://127.0.0.1:1"},
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", "cross-site", "Origin", server.URL},
		{"Sec-Fetch-Site", "none-such"},
	} {
		for _, path := range []string{"/login", "/logout", "/", "/audiences/1", "/audiences/1/report", "/compare", "/public/x", "/nothing"} {
			headers := append(append(append([]string{}, foreign...), content...), cookie...)
			got := server.visit(t, http.MethodPost, path, form, headers...)
			if got.status != http.StatusForbidden || got.header.Get("Set-Cookie") != "" {
				t.Errorf("POST %s with %q = %d, cookie %q, want 403 and none", path, foreign, got.status, got.header.Get("Set-Cookie"))
			}
		}
		signedIn("after a foreign logout", http.StatusOK)
	}
	for _, own := range [][]string{{"Origin", server.URL}, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, nil} {
		if got := server.visit(t, http.MethodPost, "/login", form, append(append([]string{}, own...), content...)...); got.status != http.StatusSeeOther {
			t.Errorf("POST /login with %q = %d, want 303", own, got.status)
		}
	}
	// A cookie alone opens no API, so that no other site can use it there.
	for _, path := range []string{"/platform/v0/audiences", "/platform/v0/credits"} {
		if got := server.visit(t, http.MethodGet, path, "", cookie...); got.status != http.StatusUnauthorized {
			t.Errorf("GET %s with a cookie = %d, want 401", path, got.status)
		}
	}
	if got := server.visit(t, http.MethodOptions, "/platform/v0/audiences", "", "Origin", "https://example.com", "Access-Control-Request-Method", "POST"); got.header.Get("Access-Control-Allow-Origin") != "" || got.status/100 == 2 {
		t.Errorf("OPTIONS from another site = %d, %v", got.status, got.header)
	}
}

// TestSessions: a session is made by a login alone, and ends with it.
func TestSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data)
	_, token := addCaller(t, server, data, "reader")
	_, other := addCaller(t, server, data, "other")
	login := func(token string, headers ...string) string {
		t.Helper()
		headers = append(headers, "Content-Type", "application/x-www-form-urlencoded")
		got := server.visit(t, http.MethodPost, "/login", url.Values{"token": {token}}.Encode(), headers...)
		if got.status != http.StatusSeeOther {
			t.Fatalf("POST /login = %d", got.status)
		}
		return sessionOf(got)
	}
	home := func(cookie string) exchanged { return server.visit(t, http.MethodGet, "/", "", "Cookie", cookie) }
	opens := func(what, cookie string, want int) {
		t.Helper()
		if got := home(cookie); got.status != want {
			t.Errorf("%s: GET / = %d, want %d", what, got.status, want)
		}
	}
	// What somebody else has put into the browser is not what a login makes valid.
	const planted = "throng_session=0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	opens("a made-up session", planted, http.StatusUnauthorized)
	first := login(token, "Cookie", planted)
	if first == planted || len(first) < len("throng_session=")+40 {
		t.Errorf("login gives the session %q", first)
	}
	opens("a planted session after a login", planted, http.StatusUnauthorized)
	opens("a session", first, http.StatusOK)
	// Another login in the same browser ends the session before, whoever's it is.
	second := login(other, "Cookie", first)
	opens("a session that another login replaced", first, http.StatusUnauthorized)
	if got := home(second); !bytes.Contains(got.body, []byte("other")) {
		t.Error("the page is not that of who has logged in last")
	}
	third := login(other) // another browser's
	if third == second {
		t.Error("two logins give one session")
	}
	// A logout ends it for good, for who has kept the cookie, too.
	got := server.visit(t, http.MethodPost, "/logout", "", "Cookie", second)
	if got.status != http.StatusSeeOther || !strings.Contains(got.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("POST /logout = %d, cookie %q, want it removed", got.status, got.header.Get("Set-Cookie"))
	}
	opens("after the logout", second, http.StatusUnauthorized)
	opens("in another browser", third, http.StatusOK)
	if got := server.visit(t, http.MethodGet, "/logout", "", "Cookie", third); got.status == http.StatusSeeOther {
		t.Error("GET /logout logs out")
	}
	opens("after GET /logout", third, http.StatusOK)
	// The session is not the token, nor does a token in a cookie open anything.
	opens("a token for a session", "throng_session="+other, http.StatusUnauthorized)
	opens("an empty session", "throng_session=", http.StatusUnauthorized)
}
