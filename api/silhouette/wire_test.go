package silhouette

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/service"
)

func TestWithSize(t *testing.T) {
	seven := uint64(7)
	tests := []struct {
		in   string
		size *uint64
		want string
	}{
		{`{"operation": "OR", "b2b": {"a":"<&>"}}`, &seven, `{"operation":"OR","b2b":{"a":"<&>"},"size":7}`},
		{`{"operation":"OR"}`, nil, `{"operation":"OR","size":null}`},
		{`{}`, &seven, `{"size":7}`},
		{`{"size":"mine","operation":"OR"}`, &seven, `{"operation":"OR","size":7}`},
		{`{"operation":"OR", "size":{"a":[1,2]}, "b2b":{"n":1.50e2,"a":"<&>\u00e9"}}`, &seven, `{"operation":"OR","b2b":{"n":1.50e2,"a":"<&>\u00e9"},"size":7}`},
		{`{"operation":"OR","size":null}`, nil, `{"operation":"OR","size":null}`},
	}
	for _, test := range tests {
		got, err := withSize(json.RawMessage(test.in), test.size)
		if err != nil || string(got) != test.want {
			t.Errorf("withSize(%s) = %s, %v, want %s", test.in, got, err, test.want)
		}
	}
	if got, err := withSize(json.RawMessage(`[]`), nil); err == nil {
		t.Errorf("withSize([]) = %s, want an error", got)
	}
}

func TestRenderer(t *testing.T) {
	r := Renderer{URL: func() string { return "https://example.com" }}
	created := time.Date(2026, 11, 21, 9, 30, 0, 0, time.FixedZone("", 3600))
	size := uint64(0)
	tests := []struct {
		name string
		in   throng.Audience
		want string
	}{
		{"running", throng.Audience{
			ID: 1, Name: "a", Status: throng.Running, Step: "queued", Kind: throng.Built, CreatedAt: created,
			Parameters: []json.RawMessage{json.RawMessage(`{"operation":"OR"}`)},
		}, `{"response":{"id":1,"name":"a","description":"","status":"running","step":"queued","progress":0,"heartbeat_at":null,"size":null,` +
			`"generation":"","as_of":null,"created_at":"2026-11-21T08:30:00Z","finished_at":null,"parameters":[{"operation":"OR","size":null}],` +
			`"warnings":[],"error":null,"kind":"built","outputs":[],"insight":null},"information":{"version":"0.0.1"}}` + "\n"},
		{"done, of nobody", throng.Audience{
			ID: 2, Status: throng.Done, Kind: throng.Built, CreatedAt: created, FinishedAt: created, Size: &size, Progress: 1,
			Parameters: []json.RawMessage{json.RawMessage(`{"operation":"OR"}`)}, ParameterSizes: []*uint64{&size},
			Outputs: []throng.Output{{Type: "md5", SHA256: "ab"}}, Warnings: []string{"<w>"},
		}, `{"response":{"id":2,"name":"","description":"","status":"done","step":"","progress":1,"heartbeat_at":null,"size":0,` +
			`"generation":"","as_of":null,"created_at":"2026-11-21T08:30:00Z","finished_at":"2026-11-21T08:30:00Z","parameters":[{"operation":"OR","size":0}],` +
			`"warnings":["<w>"],"error":null,"kind":"built","outputs":[{"type":"md5","people":0,"rows":0,"bytes":0,"sha256":"ab",` +
			`"url":"https://example.com/platform/v0/audiences/2/outputs/md5"}],"insight":null},"information":{"version":"0.0.1"}}` + "\n"},
		{
			"failed",
			throng.Audience{ID: 3, Status: throng.Failed, Kind: throng.Built, CreatedAt: created, SizeHidden: "few", Failure: &throng.Failure{Code: "internal", Message: "m", Retry: true}},
			`{"response":{"id":3,"name":"","description":"","status":"failed","step":"","progress":0,"heartbeat_at":null,"size":null,"size_reason":"few",` +
				`"generation":"","as_of":null,"created_at":"2026-11-21T08:30:00Z","finished_at":null,"parameters":[],"warnings":[],` +
				`"error":{"code":"internal","message":"m","retry":true},"kind":"built","outputs":[],"insight":null},"information":{"version":"0.0.1"}}` + "\n",
		},
	}
	for _, test := range tests {
		got, err := r.Audience(test.in)
		if err != nil {
			t.Errorf("Audience(%s) = %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("Audience(%s) (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestPageFrom(t *testing.T) {
	tests := []struct {
		query string
		want  throng.Page
	}{
		{"", throng.Page{}},
		{"limit=&next=", throng.Page{}},
		{"limit=1&next=abc", throng.Page{Limit: 1, Next: "abc"}},
		{"limit=501", throng.Page{Limit: 501}},
		{"limit=0", throng.Page{Limit: -1}},
		{"limit=-1", throng.Page{Limit: -1}},
		{"limit=ten", throng.Page{Limit: -1}},
		{"limit=99999999999999999999", throng.Page{Limit: -1}},
	}
	for _, test := range tests {
		q, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		if got := pageFrom(q); got != test.want {
			t.Errorf("pageFrom(%s) = %+v, want %+v", test.query, got, test.want)
		}
	}
}

// form builds a body of parts, each a file's name, "" for a field.
func form(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString("--xx\r\nContent-Disposition: form-data; name=\"f\"")
		if name != "" {
			b.WriteString("; filename=\"" + name + "\"")
		}
		b.WriteString("\r\n\r\nlines of " + name + "\r\n")
	}
	return b.String() + "--xx--\r\n"
}

func TestUploadBody(t *testing.T) {
	const multi = "multipart/form-data; boundary=xx"
	tests := []struct {
		name, contentType, body string
		file, text              string
		problem                 string
	}{
		{"bare", "text/plain", "a\nb", "", "a\nb", ""},
		{"no type", "", "a", "", "a", ""},
		{"bad type is as none", ";", "a", "", "a", ""},
		{"a file", multi, form("x.txt"), "x.txt", "lines of x.txt", ""},
		{"fields around it", multi, form("", "x.txt", "", ""), "x.txt", "lines of x.txt", ""},
		{"no file", multi, form(""), "", "", "the form holds no file"},
		{"two files", multi, form("x.txt", "", "y.txt"), "x.txt", "", "the form holds more than one file"},
		{"cut in the file", multi, form("x.txt")[:70], "x.txt", "", "the form is malformed or ended too early"},
		{"cut after the file", multi, form("x.txt", "")[:86], "x.txt", "", "the form is malformed or ended too early"},
		{"no form", multi, "hello", "", "", "the form is malformed or ended too early"},
		{"no boundary", "multipart/form-data", form("x.txt"), "", "", "the form is malformed or ended too early"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(test.body))
			r.Header.Set("Content-Type", test.contentType)
			body, name, err := uploadBody(r, func(int64) error { return nil })
			var text []byte
			if err == nil {
				text, err = io.ReadAll(body)
			}
			if test.problem != "" {
				if err == nil || throng.CodeOf(err) != throng.Invalid || throng.MessageOf(err) != test.problem {
					t.Errorf("uploadBody() = %q, %v, want %s", text, err, test.problem)
				}
				return
			}
			if err != nil || name != test.file || string(text) != test.text {
				t.Errorf("uploadBody() = %q named %q, %v, want %q named %q", text, name, err, test.text, test.file)
			}
		})
	}
}

func TestFromAffinities(t *testing.T) {
	got, err := json.Marshal(fromAffinities([]service.Affinity{
		{ID: ".b2b.", Name: "B2B", Category: true, Root: true},
		{ID: ".media.", Name: "Media", Category: true, Root: true, Children: []service.Affinity{{ID: "a1", Name: "A", People: 0, Match: true}}},
	}))
	const want = `[{"id":".b2b.","name":"B2B","is_category":true,"can_add":false,"kind":"affinity"},` +
		`{"id":".media.","name":"Media","is_category":true,"can_add":false,"kind":"affinity","children":[` +
		`{"id":"a1","name":"A","is_category":false,"followers_count":0,"can_add":true,"is_match":true,"kind":"affinity"}]}]`
	if err != nil || string(got) != want {
		t.Errorf("fromAffinities() = %s, %v, want %s", got, err, want)
	}
}

func TestFromCallback(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	got, err := json.Marshal(fromCallback(service.Callback{ID: 1, AudienceID: 2, URL: "u", Status: "pending", NextAttemptAt: at, Attempts: []service.Attempt{
		{At: at, Error: "refused connection", MS: 3}, {At: at, HTTPStatus: 200, MS: 4},
	}}))
	const want = `{"id":1,"audience_id":2,"url":"u","status":"pending","next_attempt_at":"2026-11-21T09:30:00Z","attempts":[` +
		`{"at":"2026-11-21T09:30:00Z","http_status":null,"error":"refused connection","ms":3},` +
		`{"at":"2026-11-21T09:30:00Z","http_status":200,"error":null,"ms":4}]}`
	if err != nil || string(got) != want {
		t.Errorf("fromCallback() = %s, %v, want %s", got, err, want)
	}
}
