package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// browser asks for pages as a browser would, cookies and all.
type browser struct {
	t      *testing.T
	base   string
	client http.Client
}

func newBrowser(t *testing.T, base string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, base: base, client: http.Client{Jar: jar}}
}

// do sends a request; form is nil for GET.
func (b *browser) do(path string, form url.Values, headers ...string) exchanged {
	b.t.Helper()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	return exchanged{resp.StatusCode, resp.Header, text}
}

// want fails unless a page has a status and holds texts.
func (b *browser) want(path string, form url.Values, status int, texts ...string) exchanged {
	b.t.Helper()
	got := b.do(path, form)
	if got.status != status {
		b.t.Errorf("%s = %d, want %d", path, got.status, status)
	}
	for _, text := range texts {
		if !bytes.Contains(got.body, []byte(text)) {
			b.t.Errorf("%s lacks %q:\n%s", path, text, got.body)
		}
	}
	return got
}

func TestWebPage(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data)
	mine, token := addCaller(t, server, data, "reader <of> pages", allGrants()...)
	_, other := addCaller(t, server, data, "somebody else", allGrants()...)
	id, err := mine.CreateAudience(t.Context(), []byte(strings.Replace(definition(""), `"x"`, `"Name with <b>tags</b>"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	waitDone(t, mine, id)
	of := func(path string) string { return strings.ReplaceAll(path, "{id}", strconv.FormatInt(id, 10)) }

	b := newBrowser(t, server.URL)
	b.want("/", nil, http.StatusUnauthorized, "<form", `name="token"`, `action="/login"`)
	b.want(of("/audiences/{id}"), nil, http.StatusUnauthorized, `name="token"`)
	b.want(of("/audiences/{id}/files/md5"), nil, http.StatusUnauthorized, `name="token"`)
	b.want("/login", url.Values{"token": {"nonsense"}}, http.StatusUnauthorized, "no valid token")
	if b.do("/", nil).status != http.StatusUnauthorized {
		t.Error("a wrong token opens the page")
	}

	home := b.want("/login", url.Values{"token": {" " + token + "\n"}}, http.StatusOK, "Name with &lt;b&gt;tags&lt;/b&gt;", "reader &lt;of&gt; pages")
	if bytes.Contains(home.body, []byte(token)) {
		t.Error("the page holds the token")
	}
	checkHeaders(t, home)
	b.want("/?query=tags", nil, http.StatusOK, "Name with")
	if got := b.do("/?query=nothingofthekind", nil); bytes.Contains(got.body, []byte("Name with")) {
		t.Error("a search shows what it should not")
	}
	b.want(of("/audiences/{id}"), nil, http.StatusOK, "md5", "affinities", of("/audiences/{id}/files/md5"))

	file := b.do(of("/audiences/{id}/files/md5"), nil)
	if want := download(t, mine, id, "md5", "text"); !bytes.Equal(file.body, want) || len(want) == 0 {
		t.Errorf("the page gives a file of %d bytes, the API of %d", len(file.body), len(want))
	}
	if got := file.header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment;") {
		t.Errorf("Content-Disposition = %q, want an attachment", got)
	}
	b.want("/audiences/999999", nil, http.StatusNotFound)
	b.want("/nothing", nil, http.StatusNotFound)
	b.want("/docs", nil, http.StatusOK, "swagger", `data-document="/openapi.json"`, "/docs?api=mintegral")
	b.want("/docs?api=mintegral", nil, http.StatusOK, "swagger", `data-document="/openapi/mintegral.json"`)

	stranger := newBrowser(t, server.URL)
	stranger.want("/login", url.Values{"token": {other}}, http.StatusOK)
	if got := stranger.do("/", nil); bytes.Contains(got.body, []byte("Name with")) {
		t.Error("the list shows another caller's audience")
	}
	stranger.want(of("/audiences/{id}"), nil, http.StatusNotFound)
	stranger.want(of("/audiences/{id}/files/md5"), nil, http.StatusNotFound)

	if got := b.do("/logout", url.Values{}, "Origin", "https://example.com", "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden {
		t.Errorf("POST /logout from another site = %d, want 403", got.status)
	}
	b.want("/", nil, http.StatusOK)
	b.want("/logout", url.Values{}, http.StatusUnauthorized, `name="token"`)
	b.want("/", nil, http.StatusUnauthorized)

	// A revoked caller's session is over.
	throng(t, "caller", "revoke", "somebody else", "--data", data)
	stranger.want("/", nil, http.StatusUnauthorized)
}

func checkHeaders(t *testing.T, page exchanged) {
	t.Helper()
	policy := page.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("Content-Security-Policy = %q, want %q in it", policy, want)
		}
	}
	for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"} {
		if got := page.header.Get(header); got != want {
			t.Errorf("%s = %q, want %q", header, got, want)
		}
	}
}

// TestWebCookie looks at the cookie itself, which a jar does not show.
func TestWebCookie(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	data := newData(t)
	server := start(t, data)
	_, token := addCaller(t, server, data, "reader")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/login", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" {
		t.Errorf("POST /login = %d to %q, want 303 to /", resp.StatusCode, resp.Header.Get("Location"))
	}
	cookies := resp.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("login sets %d cookies, want 1", len(cookies))
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 12*60*60 || c.Path != "/" || c.Value == token {
		t.Errorf("cookie = %s, want HttpOnly, SameSite, 12 h, for all pages, and not the token", c)
	}
}
