package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"throng/api/mintegral"
	"throng/internal/pgtest"
)

// tricks are parts of paths as they stand in a request line: ways out of a
// folder, names of devices and flags, bytes that no name has.
var tricks = []string{
	"..", "../..", "../../secret.key", "..%2f..%2fsecret.key", "%2e%2e%2f%2e%2e%2f%2e%2e%2fsecret.key", "%2e%2e/%2e%2e/secret.key", "%252e%252e%252fsecret.key",
	"....//....//secret.key", "..;/secret.key", "..%00/secret.key", "x/../../../secret.key", "x%2f..%2f..%2f..%2fsecret.key", "./secret.key", "%2e", ".", "",
	"/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "file:///etc/passwd", "\\..\\..\\secret.key", "..%5c..%5csecret.key", "%5c%5chost%5cshare", "c:%5cwindows", "C:/windows", "c:",
	"con", "CON", "nul", "aux.txt", "com1", "lpt1.md5", "x::$DATA", "x.", "x%20", "%20x", "secret.key", "throng.db", ".tmp", ".tmp/x", "%2etmp%2fx", "blobs", "index/CURRENT",
	"%00", "x%00", "x%00.md5", "%0a", "x%0d%0aX-Injected:%20y", "%7f", "%01", "%ff", "%c0%ae%c0%ae%c0%afsecret.key", "%ed%a0%80", "%e2%80%ae", "%ef%bc%8e%ef%bc%8e", "%u002e",
	"~", "~root", "$HOME", "$(id)", "`id`", ";id", "|id", "&", "-rf", "--help", "*", "?", "%3f", "%23", "#", "[", "{}", "%7b%7b7*7%7d%7d", "<script>", "'", "%22", "' OR '1'='1", "%%", "%zz", "%",
	"-1", "0", "00", "+1", "%201", "1%20", "1.0", "1e3", "0x1", "9223372036854775807", "9223372036854775808", "18446744073709551616", "%d9%a3", "NaN", "null", "true",
	strings.Repeat("a", 300), strings.Repeat("a", 5000), strings.Repeat("../", 2000), strings.Repeat("%2e%2e%2f", 500), strings.Repeat("9", 400),
}

// TestPaths puts tricks into every path parameter of both APIs and of the pages,
// and into names, types, keys and paths in queries and bodies: nothing leaves
// its place, and nothing is an error of ours.
func TestPaths(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	t.Run("sqlite", func(t *testing.T) { testPaths(t) })
	t.Run("postgres", func(t *testing.T) { testPaths(t, "--database", pgtest.URL(t)) })
}

func testPaths(t *testing.T, settings ...string) {
	t.Helper()
	base := t.TempDir()
	data := filepath.Join(base, "inner", "data")
	own := newData(t)
	if err := os.MkdirAll(filepath.Dir(data), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(own, data); err != nil {
		t.Fatal(err)
	}
	const canary = "a text that nobody may be shown"
	for _, name := range []string{"secret.key", "inner/secret.key", "inner/passwd"} {
		if err := os.WriteFile(filepath.Join(base, name), []byte(canary), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings = append(settings, "--drop", filepath.Join(base, "drop"))
	p := &tricked{process: start(t, data, settings...), t: t}
	var err error
	if p.by, err = newCaller(data, slices.Concat([]string{"tricky"}, settings, allGrants())...); err != nil {
		t.Fatal(err)
	}
	up := exchange(t, p.process, p.by.Token, http.MethodPost, "/platform/v0/uploads?type=ss_id", "text/plain", "someone\n")
	key := value(t, up, "response.key")
	made := exchange(t, p.process, p.by.Token, http.MethodPost, "/platform/v0/audiences", "application/json", definition(`"outputs":["md5"]`))
	p.id = value(t, made, "response.id")
	eventually(t, p.process, p.by.Token, "/platform/v0/audiences/"+p.id, "response.status", "done")
	key0, err := os.ReadFile(filepath.Join(data, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	p.secrets = []string{canary, strings.TrimSpace(string(key0)), "root:x:"}
	outside := filesOutside(t, base)
	before := filesBelow(t, filepath.Join(data, "blobs"))

	p.paths()
	p.names()
	t.Logf("%d requests", p.sent)
	if p.sent < 3000 {
		t.Errorf("sent %d requests, want at least 3000", p.sent)
	}
	if diff := cmp.Diff(outside, filesOutside(t, base)); diff != "" {
		t.Errorf("files beside the data folder (-before +after):\n%s", diff)
	}
	// What was uploaded under tricky names lies where all uploads lie.
	for name := range filesBelow(t, filepath.Join(data, "blobs")) {
		if _, ok := before[name]; !ok && !plainKey(name) {
			t.Errorf("a file has the name %q", name)
		}
	}
	// What was there is there.
	for _, path := range []string{key, "/audiences/" + p.id, "/audiences/" + p.id + "/outputs/md5", "/credits"} {
		if got := exchange(t, p.process, p.by.Token, http.MethodGet, "/platform/v0"+path, "", ""); got.status != http.StatusOK {
			t.Errorf("GET %s after all that = %d, want 200", path, got.status)
		}
	}
	if text := p.log.String(); strings.Contains(text, `"ERROR"`) {
		t.Error("the log tells of errors")
	}
}

// plainKey tells whether a key is one as the service makes them.
func plainKey(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return slices.Contains([]string{"uploads", "received", "audiences", "deliveries", "incoming", "insights"}, first) && !strings.Contains(name, "..") &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-_.") == ""
}

// filesOutside lists what is beside the data folder.
func filesOutside(t *testing.T, base string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "data" || d.Name() == "drop") {
			return filepath.SkipDir
		}
		names = append(names, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// tricked is a server that is sent tricks.
type tricked struct {
	*process
	t       *testing.T
	by      secrets
	id      string // of an audience
	secrets []string
	sent    int
	conn    net.Conn // kept between requests
	reader  *bufio.Reader
}

// raw sends a request line as it stands; no library cleans the path.
func (p *tricked) raw(method, path, body string, headers ...string) {
	p.t.Helper()
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	headers = append(headers, "Host: x", "Authorization: Bearer "+p.by.Token, "access-key: "+p.by.AccessKey, "timestamp: "+stamp,
		"token: "+md5Of(p.by.APIKey+md5Of(stamp)), "Content-Type: application/json", fmt.Sprint("Content-Length: ", len(body)))
	if p.conn == nil {
		conn, err := new(net.Dialer).DialContext(p.t.Context(), "tcp", strings.TrimPrefix(p.URL, "http://"))
		if err != nil {
			p.t.Fatal(err)
		}
		p.conn, p.reader = conn, bufio.NewReader(conn)
	}
	if err := p.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		p.t.Fatal(err)
	}
	where := fmt.Sprintf("%s %.120s %.200s", method, path, body)
	_, err := fmt.Fprintf(p.conn, "%s %s HTTP/1.1\r\n%s\r\n\r\n%s", method, path, strings.Join(headers, "\r\n"), body)
	if err != nil {
		p.t.Fatalf("%s: %v", where, err)
	}
	resp, err := http.ReadResponse(p.reader, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("%s: %v", where, err)
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		p.t.Fatalf("%s: %v", where, err)
	}
	_ = resp.Body.Close()
	if resp.Close {
		_ = p.conn.Close()
		p.conn = nil
	}
	p.sent++
	got := exchanged{resp.StatusCode, resp.Header, text.Bytes()}
	how := outcome(attempt{path: path}, got)
	if strings.HasPrefix(how, "5") && how != "501" {
		p.t.Errorf("%s = %s %s", where, how, got.body)
	}
	for _, secret := range p.secrets {
		if bytes.Contains(got.body, []byte(secret)) {
			p.t.Errorf("%s shows a file: %.200s", where, got.body)
		}
	}
	if got.header.Get("X-Injected") != "" || strings.ContainsAny(got.header.Get("Content-Disposition"), "/\\\r\n") {
		p.t.Errorf("%s has the headers %v", where, got.header)
	}
}

// paths puts tricks into path parameters, one after the other.
func (p *tricked) paths() {
	p.t.Helper()
	valid := map[string]string{"id": p.id, "n": "1", "type": "md5", "date": "2026-11-21", "file": md5Of("x") + ".md5", "name": "main"}
	try := func(method, base, path string) {
		for name := range valid {
			hole := "{" + name + "}"
			if !strings.Contains(path, hole) {
				continue
			}
			filled := strings.Replace(path, hole, "\x00", 1)
			for other, v := range valid {
				filled = strings.ReplaceAll(filled, "{"+other+"}", v)
			}
			for _, trick := range tricks {
				if strings.ContainsAny(trick, " ") {
					trick = strings.ReplaceAll(trick, " ", "%20") // a request line ends there
				}
				p.raw(method, base+strings.Replace(filled, "\x00", trick, 1), "")
			}
		}
	}
	for base, read := range map[string]func() (*openapi3.T, error){"/platform/v0": document, mintegral.Base: deviceDocument} {
		doc, err := read()
		if err != nil {
			p.t.Fatal(err)
		}
		for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
			for method := range doc.Paths.Value(path).Operations() {
				if path != "/audiences/{id}" || method != http.MethodDelete { // "1%20" and its like must not be ours, but "+1" is no trick
					try(method, base, path)
				}
			}
			if !strings.Contains(path, "{") {
				for _, trick := range []string{"/..", "/../../secret.key", "/%2e%2e%2fsecret.key", "%00", "//", "/."} {
					p.raw(http.MethodGet, base+path+trick, "")
				}
			}
		}
	}
	for _, page := range []string{"/{name}", "/static/{name}", "/static/vendor/{name}", "/audiences/{id}", "/audiences/{id}/files/{type}", "/incoming/{name}", "/docs?api={name}", "/{name}/openapi.json"} {
		try(http.MethodGet, "", page)
	}
	try(http.MethodPut, "", "/incoming/{name}")
}

// names puts tricks into what names things elsewhere than in paths.
func (p *tricked) names() {
	p.t.Helper()
	quoted := func(s string) string {
		text, err := json.Marshal(s)
		if err != nil {
			p.t.Fatal(err)
		}
		return string(text)
	}
	for _, trick := range tricks {
		plain, err := url.PathUnescape(trick)
		if err != nil {
			plain = trick
		}
		q := url.QueryEscape(plain)
		p.raw(http.MethodPost, "/platform/v0/uploads?type=md5&name="+q, md5Of(trick)+"\n", "X-Text: y")
		p.raw(http.MethodPost, "/platform/v0/uploads?type="+q, "x\n")
		p.raw(http.MethodPost, "/platform/v0/uploads?type=md5&presign=1&name="+q, "")
		p.raw(http.MethodPost, "/platform/v0/uploads?type=md5&presign=1&md5="+q, "")
		for _, prefix := range []string{"", "s3://throng/", "s3://throng/audience/tmp_upload/2026/11/21/", "s3://"} {
			p.raw(http.MethodPost, "/platform/v0/uploads?type=md5&path="+url.QueryEscape(prefix+plain), "")
			p.raw(http.MethodPost, mintegral.Base+"/audience", `{"ta_name":`+quoted(plain)+`,"area_type":1,"platform":1,"data_path":[{"device_type":8,"data_path":`+quoted(prefix+plain)+`}]}`)
		}
		p.raw(http.MethodGet, mintegral.Base+"/audience/presigned-upload-data?area_type=1&file_md5="+md5Of("x")+"&file_name="+q, "")
		p.raw(http.MethodGet, mintegral.Base+"/audience/presigned-upload-data?area_type=1&file_name=x&file_md5="+q, "")
		p.raw(http.MethodGet, mintegral.Base+"/audience?ta_name="+q, "")
		p.raw(http.MethodGet, mintegral.Base+"/audience?ta_ids="+q, "")
		for _, prefix := range []string{"", "/uploads/", "/uploads/2026-11-21/", "uploads/"} {
			p.raw(http.MethodPost, "/platform/v0/audiences/preview", `{"parameters":[{"operation":"OR","upload":{"keys":[`+quoted(prefix+plain)+`],"type":"md5"}}]}`)
		}
		p.raw(http.MethodPost, "/platform/v0/audiences/preview", `{"parameters":[{"operation":"OR","bio_search":{"search_in_twitter":true,"phrases":[`+quoted(plain)+`]}}]}`)
		p.raw(http.MethodPost, "/platform/v0/audiences/preview", `{"parameters":[{"operation":"OR","affinities":{"affinities":[{"id":`+quoted(plain)+`}]}}]}`)
		p.raw(http.MethodPost, "/platform/v0/audiences", `{"audience":{"name":`+quoted(plain)+`,"description":`+quoted(plain)+`},"outputs":[`+quoted(plain)+`],"parameters":[]}`)
		p.raw(http.MethodPost, "/platform/v0/audiences/"+p.id+"/deliveries", `{"to":`+quoted(plain)+`,"name":"x"}`)
		p.raw(http.MethodPost, "/platform/v0/audiences/"+p.id+"/deliveries", `{"to":"mintegral","name":`+quoted(plain)+`,"update":`+quoted(plain)+`,"credentials":{"name":`+quoted(plain)+`}}`)
		p.raw(http.MethodPost, "/platform/v0/audiences/"+p.id+"/regenerate", `{"outputs":[`+quoted(plain)+`]}`)
		for _, path := range []string{"/audiences?query=", "/audiences?status=", "/audiences?kind=", "/audiences?next=", "/audiences?limit=", "/uploads?next=", "/callbacks?status=", "/callbacks?next=", "/affinities?query=", "/affinities?parent_id=", "/location/cities?query=", "/b2b/job-titles?query=", "/b2b/employers?next=", "/audiences/" + p.id + "/outputs/md5?format="} {
			p.raw(http.MethodGet, "/platform/v0"+path+q, "")
		}
	}
	// Audiences whose names are tricks are made, and their files have names of
	// our own.
	for _, trick := range []string{"../../x", "a\"b", "a\\b", "con", ".."} {
		got := exchange(p.t, p.process, p.by.Token, http.MethodPost, "/platform/v0/audiences", "application/json", strings.Replace(definition(`"outputs":["md5"]`), `"x"`, quoted(trick), 1))
		id := value(p.t, got, "response.id")
		eventually(p.t, p.process, p.by.Token, "/platform/v0/audiences/"+id, "response.status", "done")
		for _, format := range []string{"text", "csv", "parquet"} {
			p.raw(http.MethodGet, "/platform/v0/audiences/"+id+"/outputs/md5?format="+format, "")
		}
	}
}
