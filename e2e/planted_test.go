package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"throng/api/mintegral"
	"throng/client"
	"throng/internal/pgtest"
)

// TestPlanted puts e-mail addresses, phone numbers, device ids, tokens, secrets
// and keys wherever a request, a file, a dataset or a receiver's answer can hold
// one, kills the server and starts it again, and then looks for each of them in
// everything that people other than their owner read: the logs, what commands
// print, the metrics, texts of errors, reports of loads, the attempts of callbacks
// and deliveries. Secrets must be in no file at all.
func TestPlanted(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	t.Run("sqlite", func(t *testing.T) { testPlanted(t, "") })
	t.Run("postgres", func(t *testing.T) { testPlanted(t, pgtest.URL(t)) })
}

func testPlanted(t *testing.T, database string) {
	t.Helper()
	p := &plant{data: newData(t), texts: map[string]string{}}
	p.away = p.receiver(t)
	p.settings = []string{"--data", p.data}
	if database != "" {
		p.settings = append(p.settings, "--database", database)
	}
	settings := []string{"--allow-private-callbacks", "--drop", filepath.Join(t.TempDir(), "drop"), "--log-level", "debug", "--admin-listen", freeAddress(t)}
	p.start(t, settings)
	p.owner = p.caller(t, "owner", allGrants()...)
	p.gone = p.caller(t, "gone", allGrants()...)
	p.note("revoke", throng(t, append([]string{"caller", "revoke", "gone"}, p.settings...)...))

	p.requests(t)
	p.garbage(t)
	p.build(t)
	p.session(t)
	p.uploads(t)
	p.devices(t)
	p.deliveries(t)
	p.reports(t)
	p.commands(t)
	p.metrics(t, settings[len(settings)-1])
	p.kill()
	p.start(t, settings)
	p.callbacks(t)
	p.metrics(t, settings[len(settings)-1])
	p.kill()
	for i, run := range p.runs {
		p.note(fmt.Sprintf("log of run %d", i+1), run.log.String())
	}
	p.loads(t)
	if database != "" {
		p.dump = pgtest.Dump(t, database)
	}
	p.search(t)
}

// plant is a server, what was planted in it, and every text that came out.
type plant struct {
	*process
	runs        []*process
	data, away  string
	settings    []string // of every command
	dump        string   // of the database, where it is no file
	owner, gone secrets

	mu      sync.Mutex
	n       int
	secrets []string // that were made, not planted
	texts   map[string]string
}

func (p *plant) start(t *testing.T, settings []string) {
	t.Helper()
	p.process = start(t, p.data, append(slices.Clone(p.settings[2:]), settings...)...)
	p.runs = append(p.runs, p.process)
}

func (p *plant) note(what, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	p.texts[fmt.Sprintf("%d %s", p.n, what)] = text
}

func (p *plant) next() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	return p.n
}

func (p *plant) mail() string  { return fmt.Sprintf("zq%d.planted@leak.example", p.next()) }
func (p *plant) phone() string { return fmt.Sprintf("15550109%06d", p.next()) }
func (p *plant) uuid() string  { return fmt.Sprintf("5eedfeed-0000-4000-8000-%012d", p.next()) }

// badID looks like an identifier of every type, and is one of none.
func (p *plant) badID() string { return fmt.Sprintf("zq-%d 5eedfeed-no-id/x", p.next()) }

func (p *plant) secret(kind string) string {
	return fmt.Sprintf("zq%s%d%s", kind, p.next(), secretCore)
}

func (p *plant) caller(t *testing.T, name string, flags ...string) secrets {
	t.Helper()
	var made struct {
		secrets
		WebhookSecret string `json:"webhook_secret"`
	}
	out := throng(t, slices.Concat([]string{"caller", "add", name, "--json"}, p.settings, flags)...)
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	p.secrets = append(p.secrets, made.Token, made.APIKey, made.WebhookSecret, strings.TrimPrefix(made.WebhookSecret, "whsec_"))
	return made.secrets
}

// receiver fails every callback in a way of its own, and says things that it
// should not.
func (p *plant) receiver(t *testing.T) string {
	t.Helper()
	said := p.mail()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Said", said)
		switch {
		case strings.HasPrefix(r.URL.Path, mintegral.Base):
			fmt.Fprintf(w, `{"code":400,"message":"no such device %s","data":null}`, said)
		case strings.HasPrefix(r.URL.Path, "/500"):
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, said)
		case strings.HasPrefix(r.URL.Path, "/redirect"):
			w.Header().Set("Location", "ftp://"+said+"/"+said)
			w.WriteHeader(http.StatusTemporaryRedirect)
		case strings.HasPrefix(r.URL.Path, "/malformed"):
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				fmt.Fprintf(c, "%s\r\n\r\n", said)
				_ = c.Close()
			}
		default:
			w.WriteHeader(http.StatusGone)
			fmt.Fprint(w, said)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// send makes a request, keeps the text of an error, and returns the answer. It
// is refused or not: that is no matter here.
func (p *plant) send(t *testing.T, method, path, body string, headers ...string) exchanged {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatalf("make request: %v", err)
	}
	req.Header.Set("Authorization", "Bearer "+p.owner.Token)
	if strings.HasPrefix(path, mintegral.Base) {
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		req.Header.Set("access-key", p.owner.AccessKey)
		req.Header.Set("timestamp", stamp)
		req.Header.Set("token", md5Of(p.owner.APIKey+md5Of(stamp)))
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %.60s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %.60s: %v", method, path, err)
	}
	got := exchanged{resp.StatusCode, resp.Header, text}
	if outcome(attempt{path: path}, got) != "200" {
		p.note("error of "+method+" "+path, string(text)+fmt.Sprint(resp.Header))
	}
	if got.status == http.StatusInternalServerError {
		t.Errorf("%s %.200s %.200s = 500", method, path, body)
	}
	return got
}

// requests plants values in paths, queries, headers and bodies of every
// operation of both documents.
func (p *plant) requests(t *testing.T) {
	t.Helper()
	values := []func() string{
		p.mail, p.phone, p.uuid, p.badID,
		func() string { return p.secret("token") },
	}
	documents := []struct {
		base string
		read func() (map[string][]plantedPlace, error)
	}{{"/platform/v0", plantedPlaces(document)}, {mintegral.Base, plantedPlaces(deviceDocument)}}
	for _, d := range documents {
		all, err := d.read()
		if err != nil {
			t.Fatal(err)
		}
		for path, ops := range all {
			for _, op := range ops {
				for _, value := range values {
					p.plantIn(t, d.base+path, op, value)
				}
			}
		}
	}
}

// plantedPlace is an operation of a document, as far as it matters here.
type plantedPlace struct {
	method string
	query  []string
}

func plantedPlaces(read func() (*openapi3.T, error)) func() (map[string][]plantedPlace, error) {
	return func() (map[string][]plantedPlace, error) {
		doc, err := read()
		if err != nil {
			return nil, err
		}
		all := map[string][]plantedPlace{}
		for path, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				o := plantedPlace{method: method}
				for _, ref := range append(op.Parameters, item.Parameters...) {
					if ref.Value.In == "query" {
						o.query = append(o.query, ref.Value.Name)
					}
				}
				all[path] = append(all[path], o)
			}
		}
		return all, nil
	}
}

func (p *plant) plantIn(t *testing.T, path string, op plantedPlace, value func() string) {
	t.Helper()
	filled := path
	for strings.Contains(filled, "{") {
		from, to := strings.IndexByte(filled, '{'), strings.IndexByte(filled, '}')
		filled = filled[:from] + url.PathEscape(value()+"x") + filled[to+1:] // a number alone is an id, which is told back
	}
	if filled != path {
		p.send(t, op.method, filled, "")
	}
	at := strings.NewReplacer("{id}", "1", "{n}", "1", "{type}", "md5", "{date}", "2026-01-01", "{file}", "x", "{name}", "x").Replace(path)
	for _, name := range op.query {
		p.send(t, op.method, at+"?"+url.Values{name: {value() + "x"}}.Encode(), "")
	}
	p.send(t, op.method, at, "",
		"User-Agent", value(), "Referer", "http://"+value(), "Cookie", "throng_session="+value(), "X-Forwarded-For", value(), "X-Request-Id", value(),
		"If-None-Match", value(), "Range", value(), "Accept", value(), "Accept-Encoding", value(), "Origin", "http://x/"+value())
	p.send(t, op.method, at, "", "Authorization", "Bearer "+value(), "access-key", value())
	p.send(t, op.method, at, "", "Authorization", value(), "token", value())
	p.send(t, op.method, at, "", "timestamp", value())
	if op.method == http.MethodGet {
		return
	}
	p.send(t, op.method, at, "{}", "Content-Type", "text/"+value())
	p.send(t, op.method, at, "{}", "Content-Encoding", value())
	p.send(t, op.method, at, "{}", "Idempotency-Key", value())
	p.send(t, op.method, at, "{}", "Idempotency-Key", strings.Repeat(value(), 20))
	for _, body := range malformed {
		for strings.Contains(body, "VALUE") {
			body = strings.Replace(body, "VALUE", value(), 1)
		}
		p.send(t, op.method, at, body)
	}
}

// malformed are bodies, each of them wrong for every operation.
var malformed = []string{
	`VALUE`, `"VALUE"`, `["VALUE"]`, `{"VALUE`, `{"VALUE":`, `{"a":VALUE}`, `{"VALUE":"VALUE"}`, "{\"a\":\"VALUE\xff\"}", `{"a":"VALUE"}{"b":"VALUE"}`,
	`{"a":"VALUE","a":"VALUE"}`, `{"a":"\uD800VALUE"}`,
	`{"audience":"VALUE","callback_url":"VALUE","outputs":["VALUE"],"parameters":["VALUE"]}`,
	`{"audience":{"name":["VALUE"],"description":{"VALUE":1}},"callback_url":"http://VALUE:VALUE@ /VALUE","insight_callback_url":"VALUE","outputs":"VALUE","parameters":"VALUE"}`,
	`{"audience":{"name":"x"},"outputs":["md5"],"parameters":[{"operation":"VALUE","gender":{"genders":["VALUE"]}},
		{"operation":"OR","age":{"ranges":["VALUE"]}},{"operation":"OR","affinities":{"affinities":[{"id":"VALUE"}]}},
		{"operation":"OR","upload":{"keys":["VALUE","/uploads/2026-01-01/VALUE.md5"],"type":"VALUE"}},{"operation":"OR","audience":{"ids":["VALUE"]}},
		{"operation":"OR","twitter_followers":{"accounts":[{"id":"VALUE","screen_name":"VALUE"}],"cutoff":"VALUE","last_tweeted":"VALUE"}},
		{"operation":"OR","bio_search":{"phrases":["VALUE",1],"search_in_twitter":"VALUE"}},{"operation":"OR","VALUE":{"VALUE":"VALUE"}},
		{"operation":"OR","cities":{"cities":[{"id":"VALUE","kind":"VALUE"}]}},{"operation":"OR","job_titles":{"job_titles":[{"id":"VALUE"}]}},
		{"operation":"OR","ethnicity":{"ethnicities":["VALUE"]}},{"operation":"OR","personality":{"personalities":["VALUE"]}}]}`,
	`{"to":"VALUE","name":["VALUE"],"endpoint":"VALUE","platform":"VALUE","ma_id_as":"VALUE","update":{"VALUE":"VALUE"},"credentials":{"name":"VALUE","access_key":["VALUE"]}}`,
	`{"to":"mintegral","name":"x","endpoint":"http://VALUE:VALUE@/VALUE","credentials":{"access_key":"VALUE\n","api_key":"VALUE\n"}}`,
	`{"to":"mintegral","name":"x","update":"VALUE","credentials":{"access_key":"VALUE"}}`,
	`{"ta_name":["VALUE"],"area_type":"VALUE","platform":"VALUE","data_path":[{"device_type":"VALUE","data_path":"VALUE"},"VALUE"]}`,
	`{"ta_name":"x","area_type":1,"platform":1,"data_path":[{"device_type":8,"data_path":"s3://VALUE/VALUE"}]}`,
	`{"ta_id":["VALUE"],"offer_id":"VALUE","audience":["VALUE"],"include_ta_id":"VALUE","data_path":"VALUE"}`,
	`{"offer_id":1,"audience":["VALUE"],"audience_exclude":"VALUE"}`,
	`{"offer_id":1,"devices":[{"device_type":8,"id":"VALUE"},{"device_type":"VALUE","id":"VALUE"}]}`,
	`{"offer_id":"VALUE","devices":"VALUE"}`,
	`{"expansion_factor":"VALUE","expansion_name":["VALUE"],"include_seed":"VALUE","reapply_filters":"VALUE","VALUE":"VALUE","outputs":["VALUE"]}`,
	`{"insight_callback_url":"http://VALUE:VALUE@/VALUE","insights_callback_url":"VALUE","baseline":"VALUE","expire_at":"VALUE"}`,
}

// garbage sends bytes that are no request, and requests for nothing that is
// there.
func (p *plant) garbage(t *testing.T) {
	t.Helper()
	for _, text := range []string{
		"VALUE VALUE VALUE\r\n\r\n", "GET /VALUE HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nHost: VALUE VALUE\r\n\r\n", "GET / HTTP/1.1\r\nVALUE\r\n\r\n",
		"VALUE / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: VALUE\r\n\r\n", "\x16\x03\x01VALUE\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nVALUE", "GET /" + strings.Repeat("VALUE", 9000) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		for strings.Contains(text, "VALUE") {
			text = strings.ReplaceAll(text, "VALUE", strings.ReplaceAll(p.mail(), "@", "_"))
		}
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(c, text); err == nil && strings.Contains(text, " HTTP/1.1") {
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
				_ = resp.Body.Close()
			}
		}
		_ = c.Close()
	}
	for _, path := range []string{
		"/VALUE", "/audiences/VALUE", "/audiences/1/files/VALUE", "/static/VALUE", "/docs?api=VALUE", "/?query=VALUE&next=VALUE", "/incoming/VALUE", "/public/VALUE", "/compare?ids=VALUE",
		"/compare?ids=1&ids=VALUE", "/audiences/VALUE/report", "/audiences/1/report?baseline=VALUE", "/audiences/1/report/VALUE", "/audiences/1/report/csv?baseline=VALUE", "/platform/v0/VALUE", "/api/open/v1/VALUE",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost, "PLANTED"} {
			p.send(t, method, strings.ReplaceAll(path, "VALUE", url.PathEscape(p.mail())), "")
		}
	}
}

// build makes audiences whose definitions hold values that are fine, and
// callbacks that are not.
func (p *plant) build(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/500", "/redirect", "/malformed", "/gone"} {
		address := strings.Replace(p.away, "http://", "http://"+p.mail()[:12]+"planted:planted@", 1) + path + "?to=" + p.mail() // stored as it is: it must be called again
		body := definition(fmt.Sprintf(`"callback_url":%q,"outputs":["md5"]`, address))
		got := p.send(t, http.MethodPost, "/platform/v0/audiences", strings.Replace(body, `"x"`, `"`+p.mail()+`"`, 1))
		id := value(t, got, "response.id")
		waitDone(t, client.New(p.URL, p.owner.Token), int64(atoi(t, id)))
	}
	p.send(t, http.MethodPost, "/platform/v0/audiences/preview", fmt.Sprintf(`{"parameters":[{"operation":"OR","bio_search":{"search_in_twitter":true,"phrases":[%q,%q]}}]}`, p.mail(), p.phone()))
}

// session logs in and out, with right and wrong tokens.
func (p *plant) session(t *testing.T) {
	t.Helper()
	b := newBrowser(t, p.URL)
	b.do("/login", url.Values{"token": {p.secret("token")}})
	b.do("/login", url.Values{"token": {p.gone.Token}})
	b.do("/login", url.Values{"token": {strings.Repeat(p.secret("token"), 300)}})
	b.want("/login", url.Values{"token": {p.owner.Token}}, http.StatusOK)
	base, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(base) {
		p.secrets = append(p.secrets, c.Value)
	}
	b.want("/?query="+url.QueryEscape(p.mail()), nil, http.StatusOK)
}

// uploads sends lists of every type with lines that are none, in every form.
func (p *plant) uploads(t *testing.T) {
	t.Helper()
	for _, typ := range []string{"ss_id", "twitter_id", "twitter_user", "md5", "email_raw", "ramp_id", "cint_id", "ma_id"} {
		var list strings.Builder
		for range 5 {
			fmt.Fprintf(&list, "%s\n%s\n%s\n%s\n%s\x01\n", p.mail(), p.phone(), p.uuid(), p.badID(), p.mail())
		}
		query := "?type=" + typ + "&name=" + url.QueryEscape(p.mail()+".txt")
		got := p.send(t, http.MethodPost, "/platform/v0/uploads"+query, list.String(), "Content-Type", "text/plain")
		p.send(t, http.MethodPost, "/platform/v0/uploads"+query, "\x1f\x8b"+list.String(), "Content-Type", "application/gzip")
		p.send(t, http.MethodPost, "/platform/v0/uploads"+query, "\x28\xb5\x2f\xfd"+list.String(), "Content-Type", "text/plain")
		if got.status != http.StatusOK {
			t.Errorf("upload of %s = %d %s", typ, got.status, got.body)
			continue
		}
		told := p.send(t, http.MethodGet, "/platform/v0"+value(t, got, "response.key"), "")
		// The name is the caller's own, the lines are nobody's to be told.
		name, err := lookup(told.body, "response.name")
		if err != nil {
			t.Fatal(err)
		}
		p.note("upload of "+typ, strings.ReplaceAll(string(told.body), name, ""))
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		part, err := w.CreateFormFile(p.mail(), p.mail())
		if err == nil {
			_, err = io.WriteString(part, list.String())
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		p.send(t, http.MethodPost, "/platform/v0/uploads?type="+typ, form.String(), "Content-Type", w.FormDataContentType())
		p.send(t, http.MethodPost, "/platform/v0/uploads?type="+typ, form.String()[:form.Len()-9], "Content-Type", w.FormDataContentType())
		p.send(t, http.MethodPost, "/platform/v0/uploads?type="+typ, form.String(), "Content-Type", "multipart/form-data; boundary="+p.phone())
	}
}

// devices makes device audiences of files full of what is no device.
func (p *plant) devices(t *testing.T) {
	t.Helper()
	for _, typ := range []int{1, 2, 3, 4, 6, 8, 9, 10} {
		var list strings.Builder
		fmt.Fprintf(&list, "%s\n%s\n", p.mail(), p.uuid())
		for range 20 {
			fmt.Fprintf(&list, "%s\n%s\n%s\n%s\n", p.mail(), p.phone(), p.badID(), `"`+p.uuid()+`;`)
		}
		text := list.String()
		if typ != 9 {
			text += strings.Repeat("a", 32) + "\n35"
		}
		got := p.send(t, http.MethodPost, "/platform/v0/uploads?type=md5&presign=1&name="+url.QueryEscape(p.mail()), "")
		address, path := value(t, got, "response.url"), value(t, got, "response.path")
		p.secrets = append(p.secrets, address[strings.LastIndexByte(address, '/')+1:])
		if status, err := put(t.Context(), address, strings.NewReader(text), int64(len(text))); err != nil || status != http.StatusOK {
			t.Fatalf("PUT = %d, %v", status, err)
		}
		if status, err := put(t.Context(), address, strings.NewReader(text+p.mail()), -1); err != nil || status != http.StatusConflict {
			t.Fatalf("second PUT = %d, %v, want 409", status, err)
		}
		made := p.send(t, http.MethodPost, mintegral.Base+"/audience", fmt.Sprintf(`{"ta_name":%q,"area_type":1,"platform":3,"data_path":[{"device_type":%d,"data_path":%q}]}`, p.mail(), typ, path))
		id := value(t, made, "data.ta_id")
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			list := p.send(t, http.MethodGet, mintegral.Base+"/audience?ta_ids="+id, "")
			if value(t, list, "data.list.0.status") != "processing" {
				name, file := value(t, list, "data.list.0.ta_name"), path[strings.LastIndexByte(path, '/')+1:]
				p.note("device audience of "+strconv.Itoa(typ), strings.NewReplacer(name, "", file, "").Replace(string(list.body)))
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("a device audience is not read after a minute")
			}
		}
	}
}

// deliveries delivers to a receiver that says too much.
func (p *plant) deliveries(t *testing.T) {
	t.Helper()
	got := p.send(t, http.MethodPost, "/platform/v0/audiences", deliveredDefinition)
	id := value(t, got, "response.id")
	waitDone(t, client.New(p.URL, p.owner.Token), int64(atoi(t, id)))
	for i, endpoint := range []string{p.away, p.away + "/500", p.away + "/malformed", p.away + "/redirect"} {
		body := fmt.Sprintf(`{"to":"mintegral","name":%q,"endpoint":%q,"ma_id_as":"gaid","credentials":{"name":"kept%d","access_key":%q,"api_key":%q}}`,
			p.mail(), endpoint, i, p.secret("access"), p.secret("apikey"))
		made := p.send(t, http.MethodPost, "/platform/v0/audiences/"+id+"/deliveries", body, "Idempotency-Key", fmt.Sprint("delivery-", i))
		path := "/platform/v0/audiences/" + id + "/deliveries/" + value(t, made, "response.id")
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			if e, err := lookup(p.send(t, http.MethodGet, path, "").body, "response.error.message"); err == nil && e != "" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("a delivery has not failed after a minute")
			}
		}
		p.send(t, http.MethodPost, path+"/cancel", "")
	}
}

// commands gives values to the command, which prints what is wrong with them.
func (p *plant) commands(t *testing.T) {
	t.Helper()
	f := func(in string, args ...string) {
		t.Helper()
		if !slices.Contains(args, "--database") {
			args = append(args, p.settings[2:]...)
		}
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, append(args, p.settings[:2]...)...)
		cmd.Stdin = strings.NewReader(in)
		cmd.Env = append(os.Environ(), "THRONG_DELIVER_ACCESS_KEY="+p.secret("access"), "THRONG_DELIVER_API_KEY="+p.secret("apikey"))
		out, _ := cmd.CombinedOutput() // most of them fail
		p.note("throng "+args[0], string(out))
	}
	for _, body := range malformed {
		for strings.Contains(body, "VALUE") {
			body = strings.Replace(body, "VALUE", p.mail(), 1)
		}
		f(body, "count", "-")
	}
	f("", "deliver", "1", "--to", "mintegral", "--name", "x", "--endpoint", "http://"+p.secret("user")+":"+p.secret("password")+"@127.0.0.1:9", "--allow-private-callbacks")
	f("", "serve", "--secret-key", p.secret("key"))
	f("", "serve", "--database", "postgres://user:"+p.secret("password")+"@127.0.0.1:9/x?sslmode=disable")
	f("", "serve", "--database", "mysql://"+p.secret("user")+":"+p.secret("password")+"@127.0.0.1:9/x")
	f("", "serve", "--blobs", "s3://"+p.secret("user")+":"+p.secret("password")+"@x")
	f("", "serve", "--public-url", "ftp://"+p.secret("user")+":"+p.secret("password")+"@x")
}

// callbacks looks at what became of the callbacks, across the restart.
func (p *plant) callbacks(t *testing.T) {
	t.Helper()
	eventually(t, p.process, p.owner.Token, "/platform/v0/callbacks?status=refused", "response.data.len", "1")        // the redirect
	eventually(t, p.process, p.owner.Token, "/platform/v0/callbacks?status=failed&limit=1", "response.data.len", "1") // the 410
	got := p.send(t, http.MethodGet, "/platform/v0/callbacks", "")
	var list struct {
		Response struct {
			Data []struct{ Attempts []json.RawMessage }
		}
	}
	if err := json.Unmarshal(got.body, &list); err != nil {
		t.Fatal(err)
	}
	attempts := 0
	for _, c := range list.Response.Data {
		attempts += len(c.Attempts)
		for _, a := range c.Attempts {
			p.note("attempt of a callback", string(a))
		}
	}
	if attempts < 4 {
		t.Errorf("%d attempts of callbacks were made, want at least 4", attempts)
	}
}

func (p *plant) metrics(t *testing.T, admin string) {
	t.Helper()
	for _, path := range []string{"/metrics", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		p.note(path, string(text))
	}
}

// loads loads datasets whose rows are good, rejected, skipped and malformed in
// every table, in two formats.
func (p *plant) loads(t *testing.T) {
	t.Helper()
	tables := map[string][]string{
		"people":            {"person,age,birth_year,age_range,gender,ethnicity,city,region,dma,country,last_tweeted", "VALUE", "VALUE,VALUE,VALUE,VALUE,VALUE,VALUE,VALUE,VALUE,VALUE,VALUE,VALUE", "P1,VALUE,,,,,,,,,", `"VALUE`, "P2,30,,,VALUE,VALUE,VALUE,VALUE,VALUE,VALUE,VALUE", "P3,30,,,,,,,,,VALUE", "VALUE\x01,3,,,,,,,,,", "P1,1,,,,,,,,,"},
		"identifiers":       {"person,type,value", "P1,md5,VALUE", "P1,email_raw,VALUE", "P1,email_raw,VALUE@@", "P1,ma_id,VALUE", "P1,VALUE,VALUE", "VALUE,md5,VALUE", "P1,twitter_id,VALUE", "VALUE", "P1,imei,VALUE"},
		"follows":           {"person,network,account", "P1,VALUE,VALUE", "VALUE,twitter,1", "P1,twitter,VALUE", "VALUE"},
		"accounts":          {"network,account,screen_name,name", "VALUE,1,VALUE,VALUE", "twitter,VALUE,VALUE,VALUE", "VALUE"},
		"affinities":        {"affinity,name,parent", "VALUE,VALUE,VALUE", "a1,VALUE,VALUE", "VALUE"},
		"affinity_accounts": {"affinity,network,account", "VALUE,VALUE,VALUE", "VALUE,twitter,VALUE"},
		"interests":         {"person,affinity", "P1,VALUE", "VALUE,a1", "VALUE"},
		"jobs":              {"person,title,employer", "VALUE,VALUE,VALUE", "P1,VALUE\x01,VALUE"},
		"personality":       {"person,term,score", "P1,VALUE,0.5", "P1,Openness,VALUE", "VALUE,VALUE,VALUE"},
		"bios":              {"person,network,text", "P1,VALUE,VALUE", "VALUE,twitter,VALUE", "P1,twitter,VALUE\xff"},
		"tweets":            {"person,posted_at,text", "P1,VALUE,VALUE", "VALUE,2026-01-01,VALUE", "P1,2001-01-01,VALUE"},
		"locations":         {"kind,id,name,region,country,dma", "VALUE,VALUE,VALUE,VALUE,VALUE,VALUE", "city,VALUE,VALUE,VALUE,VALUE,VALUE", "country,VALUE,VALUE,,,"},
		// What cannot be read at all.
		"broken csv":     {"person\n\"VALUE"},
		"broken parquet": {"PAR1VALUEPAR1"},
		"broken json":    {`{"name":"VALUE","as_of":"VALUE","personality_threshold":"VALUE"}`, `{"VALUE`, `VALUE`, `{"as_of":VALUE}`, `{"personality_threshold":5.55010912345}`},
	}
	fill := func(text string) string {
		for i := 0; strings.Contains(text, "VALUE"); i++ {
			v := []func() string{p.mail, p.phone, p.uuid}[i%3]()
			text = strings.Replace(text, "VALUE", v, 1)
		}
		return text
	}
	load := func(files map[string]string) {
		t.Helper()
		dir, report := t.TempDir(), filepath.Join(t.TempDir(), "report.json")
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, share := range []string{"0", "1"} {
			cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, append([]string{"load", dir, "--allow-rejects", share, "--report", report}, p.settings...)...)
			out, _ := cmd.CombinedOutput() // some of them fail
			p.note("throng load", string(out))
			if text, err := os.ReadFile(report); err == nil {
				p.note("report", string(text))
			}
		}
	}
	const header = "person,age\nP1,30\nP2,31\nP3,32\n"
	csv := map[string]string{"people.csv": header}
	nd := map[string]string{"people.ndjson": `{"person":"P1","age":30}` + "\n"}
	for table, lines := range tables {
		if strings.HasPrefix(table, "broken") {
			continue
		}
		text := fill(strings.Join(lines[1:], "\n")) + "\n"
		var objects strings.Builder
		columns := strings.Split(lines[0], ",")
		for row := range strings.SplitSeq(fill(strings.Join(lines[1:], "\n")), "\n") {
			object := map[string]string{}
			for i, cell := range strings.Split(row, ",") {
				object[columns[i]] = cell
			}
			line, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			objects.Write(append(line, '\n'))
		}
		objects.WriteString(fill("{\"person\":\"VALUE\n[\"VALUE\"]\n{\"person\":{\"VALUE\":\"VALUE\"}}\nVALUE\n"))
		name := table
		if table == "people" {
			csv["people.csv"] = lines[0] + "\nP1,30,,,,,,,,,\nP2,30,,,,,,,,,\n" + text
			nd["people.ndjson"] += objects.String()
			continue
		}
		csv[name+".csv"], nd[name+".ndjson"] = lines[0]+"\n"+text, objects.String()
	}
	load(csv)
	load(nd)
	load(map[string]string{"people.csv": fill(strings.Join(tables["broken csv"], "\n"))})
	load(map[string]string{"people.parquet": fill(tables["broken parquet"][0])})
	load(map[string]string{"people.csv.gz": "\x1f\x8b" + fill("VALUE")})
	load(map[string]string{"people.csv.zst": "\x28\xb5\x2f\xfd" + fill("VALUE")})
	for _, text := range tables["broken json"] {
		load(map[string]string{"people.csv": header, "dataset.json": fill(text)})
	}
	rejected := 0
	err := filepath.WalkDir(p.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "rejects.csv" {
			return err
		}
		text, err := os.ReadFile(path)
		rejected += bytes.Count(text, []byte("\n"))
		p.note("rejects.csv", string(text))
		return err
	})
	if err != nil || rejected < 40 {
		t.Errorf("%d rows were rejected, want at least 40: %v", rejected, err)
	}
}

// cores are in everything planted of their kind, however it is written: what is
// around them may be escaped.
var cores = []string{"planted", "15550109", "5eedfeed"}

const secretCore = "keepthis"

// search looks for everything planted.
func (p *plant) search(t *testing.T) {
	t.Helper()
	found := map[string]bool{}
	for what, text := range p.texts {
		for _, planted := range slices.Concat(cores, []string{secretCore}, p.secrets) {
			if at := strings.Index(text, planted); at >= 0 {
				// One of each kind is enough to be told of.
				_, kind, _ := strings.Cut(what, " ")
				if kind = digits.ReplaceAllString(kind+text[max(0, at-30):at], "0"); !found[kind] {
					t.Errorf("%s tells what was planted: …%.200s", what, text[max(0, at-80):])
				}
				found[kind] = true
			}
		}
	}
	forms := [][]byte{[]byte(secretCore), []byte(hex.EncodeToString([]byte(secretCore)))}
	for _, secret := range append(p.secrets, "x"+secretCore, "xy"+secretCore, "xyz"+secretCore) { // however base64 falls
		text := base64.RawStdEncoding.EncodeToString([]byte(secret))
		forms = append(forms, []byte(secret), []byte(hex.EncodeToString([]byte(secret))), []byte(text[4:len(text)-1]))
	}
	holds := func(what string, text []byte) {
		for _, form := range forms {
			if bytes.Contains(text, form) {
				t.Errorf("%s holds a secret: %q", what, form)
			}
		}
	}
	files := 0
	err := filepath.WalkDir(p.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.Contains(path, "/index/00000001/") { // which others share
			return err
		}
		text, err := os.ReadFile(path)
		files++
		holds(path, text)
		return err
	})
	holds("the database", []byte(p.dump))
	if err != nil || files < 10 {
		t.Errorf("looked into %d files: %v", files, err)
	}
	t.Logf("%d values planted, %d texts and %d files searched", p.n-len(p.texts), len(p.texts), files)
	if len(p.settings) > 2 && !strings.Contains(p.dump, "owner") {
		t.Error("the dump of the database lacks its callers")
	}
	if p.n < 10_000 || len(p.texts) < 1000 {
		t.Error("that is too little")
	}
}

var digits = regexp.MustCompile(`[0-9a-f]*[0-9]+[0-9a-f]*`)

// freeAddress is an address of the loopback that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
