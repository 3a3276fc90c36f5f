package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/api/mintegral"
	"throng/api/silhouette"
	"throng/client"
	"throng/internal/pgtest"
)

// long tells whether tests may take their time: THRONG_TEST_LONG is set.
func long() bool { return os.Getenv("THRONG_TEST_LONG") != "" }

// seed is that of THRONG_TEST_SEED, or another one each time.
func seed(t testing.TB) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if s := os.Getenv("THRONG_TEST_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("THRONG_TEST_SEED: %v", err)
		}
	}
	t.Logf("seed %d: THRONG_TEST_SEED repeats it", n)
	return n
}

// fuzzWorkers is how many callers send at once.
const fuzzWorkers = 4

// TestRequests sends requests that were made of the OpenAPI documents, right
// ones and, mostly, wrong ones: other types, keys missing, twice and too many,
// numbers and texts too large, other encodings, headers, methods and framings.
// None is an internal error, every answer is in its API's envelope and as its
// document says, and the server counts afterwards as it did before.
func TestRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	total := 3_000
	if long() {
		total = 200_000
	}
	if s := os.Getenv("THRONG_TEST_REQUESTS"); s != "" {
		total = atoi(t, s)
	}
	t.Run("sqlite", func(t *testing.T) { testRequests(t, total) })
	t.Run("postgres", func(t *testing.T) { testRequests(t, total/2, "--database", pgtest.URL(t)) })
}

func testRequests(t *testing.T, total int, settings ...string) {
	t.Helper()
	data := newData(t)
	server := start(t, data, settings...)
	from := seed(t)
	_, token := addCaller(t, server, data, "witness", slices.Concat(settings, allGrants())...)
	preview := func() string {
		got := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences/preview", "application/json", definition(""))
		return value(t, got, "response.size") + value(t, got, "response.parameters")
	}
	before := preview()

	var found findings
	var group sync.WaitGroup
	begun := time.Now()
	for i := range fuzzWorkers {
		f := newFuzzer(t, server, data, rand.New(rand.NewPCG(from, uint64(i))), slices.Concat([]string{fmt.Sprintf("fuzzer %d", i)}, settings, allGrants())...)
		group.Go(func() {
			defer f.wire.close()
			for range total / fuzzWorkers {
				found.add(f.step(t.Context()))
			}
		})
	}
	group.Wait()
	found.report(t, time.Since(begun))

	if after := preview(); after != before {
		t.Errorf("a preview answers %s afterwards, and %s before", after, before)
	}
	c := client.New(server.URL, token)
	made := exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", definition(""))
	if a := waitDone(t, c, int64(atoi(t, value(t, made, "response.id")))); a.Status != "done" {
		t.Errorf("an audience is %s afterwards", a.Status)
	}
	if log := server.log.String(); strings.Contains(log, "panicked") || strings.Contains(log, "request failed") {
		t.Error("the server's log tells of failures")
	}
}

// finding is what became of a request: in which class of answers it is, and
// what is wrong with that.
type finding struct{ answer, wrong, request string }

// findings are those of all workers.
type findings struct {
	mu      sync.Mutex
	answers map[string]int
	wrong   map[string]finding // one of a sort
	failed  int
}

func (l *findings) add(f finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answers == nil {
		l.answers, l.wrong = map[string]int{}, map[string]finding{}
	}
	l.answers[f.answer]++
	if f.wrong != "" {
		l.failed++
		sort, _, _ := strings.Cut(f.wrong, "\n")
		l.wrong[f.answer+sort] = f
	}
}

func (l *findings) report(t *testing.T, took time.Duration) {
	t.Helper()
	n := 0
	for _, k := range l.answers {
		n += k
	}
	t.Logf("%d requests in %v: %v", n, took.Round(time.Millisecond), l.answers)
	for i, key := range slices.Sorted(func(yield func(string) bool) {
		for key := range l.wrong {
			if !yield(key) {
				return
			}
		}
	}) {
		if i == 30 {
			t.Logf("and %d more sorts", len(l.wrong)-i)
			break
		}
		f := l.wrong[key]
		t.Errorf("%s: %s\n%s", f.answer, f.wrong, f.request)
	}
	if l.failed > 0 {
		t.Errorf("%d answers are wrong, in %d sorts", l.failed, len(l.wrong))
	}
	if cut := l.answers["silhouette cut"] + l.answers["mintegral cut"]; cut > n/50 {
		t.Errorf("%d of %d connections were cut", cut, n)
	}
	for _, want := range []string{"silhouette 200", "silhouette 400", "silhouette 404", "mintegral 200", "mintegral 400"} {
		if l.answers[want] < n/100 {
			t.Errorf("%d of %d answers are %s: the requests are not what they should be", l.answers[want], n, want)
		}
	}
}

// fuzzer is one caller with one connection.
type fuzzer struct {
	rnd                *rand.Rand
	wire               *wire
	secrets            secrets
	operations         []operation
	sampler            *sampler
	mutator            *mutator
	audiences, devices []any // the oldest first
}

// kept is how many audiences a fuzzer keeps of each kind.
const kept = 6

func newFuzzer(t *testing.T, p *process, data string, rnd *rand.Rand, caller ...string) *fuzzer {
	t.Helper()
	made, err := newCaller(data, caller...)
	if err != nil {
		t.Fatal(err)
	}
	f := &fuzzer{rnd: rnd, wire: newWire(p.URL), secrets: made, mutator: &mutator{rnd}}
	for name, text := range map[string][]byte{"silhouette": silhouette.OpenAPI(), "mintegral": mintegral.OpenAPI()} {
		ops, err := operations(name, text)
		if err != nil {
			t.Fatalf("read document %s: %v", name, err)
		}
		f.operations = append(f.operations, ops...)
	}
	slices.SortStableFunc(f.operations, func(a, b operation) int { return strings.Compare(a.doc.name, b.doc.name) })
	f.sampler = &sampler{rnd, f.populate(t, p)}
	return f
}

// populate makes what requests can be about.
func (f *fuzzer) populate(t *testing.T, p *process) world {
	t.Helper()
	ask := func(method, path, contentType, body string) exchanged {
		got := exchange(t, p, f.secrets.Token, method, "/platform/v0"+path, contentType, body)
		if got.status != http.StatusOK {
			t.Fatalf("%s %s = %d %s", method, path, got.status, got.body)
		}
		return got
	}
	key := value(t, ask(http.MethodPost, "/uploads?type=md5", "text/plain", md5Of("a")+"\n"), "response.key")
	parts := strings.Split(key, "/")
	have := world{
		"keys": {key}, "date": {parts[2]}, "file": {parts[3]}, "n": {1, 2}, "offer_id": {1, 2, 3}, "name": {"main"},
		"affinities.id": {"a759", "a38802"}, "parent_id": {"a197"}, "accounts.id": {"12", "1"}, "format": {"text", "csv"},
		"devices.id": {md5Of("a"), md5Of("b"), "00000000-0000-0000-0000-000000000000"},
	}
	for list, path := range map[string]string{
		"cities": "/location/cities", "regions": "/location/regions", "countries": "/location/countries", "dmas": "/location/dmas",
		"job_titles": "/b2b/job-titles", "employer_names": "/b2b/employers",
	} {
		got := ask(http.MethodGet, path, "", "")
		for i := range 3 {
			have[list+".id"] = append(have[list+".id"], value(t, got, fmt.Sprintf("response.data.%d.id", i)))
		}
	}
	small := strings.Replace(definition(`"outputs":["ss_id","md5"],"callback_url":"http://127.0.0.1:9/"`), anybody, anybody+`,{"operation":"AND","age":{"ranges":["over 54"]}}`, 1)
	id := value(t, ask(http.MethodPost, "/audiences", "application/json", small), "response.id")
	waitDone(t, client.New(p.URL, f.secrets.Token), int64(atoi(t, id)))
	f.audiences = []any{json.Number(id)}
	have["id"], have["ids"] = []any{json.Number(id), json.Number(refusedCallback(t, p, f.secrets.Token))}, f.audiences

	m := client.NewMintegral(p.URL, f.secrets.AccessKey, f.secrets.APIKey)
	at, err := m.Presign(t.Context(), "list.txt", md5Of("id\n"+md5Of("a")+"\n"))
	if err != nil {
		t.Fatalf("presign: %v", err)
	}
	if err := m.Put(t.Context(), at, strings.NewReader("id\n"+md5Of("a")+"\n")); err != nil {
		t.Fatalf("put: %v", err)
	}
	have["data_path"], have["file_md5"] = []any{at.S3.DataPath}, []any{md5Of("a")}
	return have
}

// step sends one request.
func (f *fuzzer) step(ctx context.Context) finding {
	r := f.sampler.request(pick(f.rnd, f.operations))
	f.identify(r)
	f.mutator.mutate(r)
	got, err := f.wire.send(ctx, r.method, r.bytes())
	if err != nil && r.mayBeCut() {
		return finding{answer: r.op.doc.name + " cut"}
	}
	if err != nil {
		return finding{r.op.doc.name + " cut", "no answer\n" + err.Error(), r.String()}
	}
	class, wrong := f.judge(ctx, r, got)
	said := finding{answer: fmt.Sprintf("%s %s", r.op.doc.name, class)}
	if wrong != nil {
		said.wrong, said.request = fmt.Sprintf("%v\n%d %.2000q", wrong, got.status, got.body), r.String()
	}
	f.keep(ctx, r, got)
	return said
}

// identify says whose request it is.
func (f *fuzzer) identify(r *asked) {
	if r.op.doc.name == "mintegral" {
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		r.set("access-key", f.secrets.AccessKey)
		r.set("timestamp", stamp)
		r.set("token", md5Of(f.secrets.APIKey+md5Of(stamp)))
		return
	}
	r.set("Authorization", "Bearer "+f.secrets.Token)
}

// judge tells what is wrong with an answer.
func (f *fuzzer) judge(ctx context.Context, r *asked, got exchanged) (class string, wrong error) {
	class = strconv.Itoa(got.status)
	if got.header.Get("X-Request-Id") == "" && len(r.changes) > 0 {
		if unreadable(got) {
			return "refused by HTTP", nil
		}
	}
	req := r.understood()
	if req == nil {
		return class, fmt.Errorf("what is no request was answered")
	}
	path := req.URL.Path
	switch {
	case strings.HasPrefix(path, silhouette.Base+"/"):
		wrong = silhouetteEnvelope(r.method, got)
	case strings.HasPrefix(path, mintegral.Base+"/"):
		class, wrong = mintegralEnvelope(r.method, got)
	default:
		if got.status >= http.StatusInternalServerError {
			return class, fmt.Errorf("an internal error outside of the API")
		}
		return "elsewhere", nil
	}
	if wrong == nil {
		resp := &http.Response{StatusCode: got.status, Header: got.header, Body: io.NopCloser(strings.NewReader(string(got.body)))}
		wrong = holdExchange(req.WithContext(ctx), r.body, resp, got.body, false)
	}
	return class, wrong
}

// unreadable tells whether net/http itself refused what it could not read.
func unreadable(got exchanged) bool {
	switch got.status {
	case http.StatusBadRequest, http.StatusRequestHeaderFieldsTooLarge, http.StatusExpectationFailed, http.StatusNotImplemented:
		return strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") || len(got.body) == 0
	}
	return false
}

// statusOf is the status of every code of an error.
var statusOf = map[string]int{
	"invalid_request": 400, "unauthorized": 401, "forbidden": 403, "credits_exhausted": 403, "not_found": 404, "method_not_allowed": 405,
	"conflict": 409, "too_large": 413, "unsupported_media": 415, "rate_limited": 429,
}

// silhouetteEnvelope tells where an answer is not in the API's envelope.
func silhouetteEnvelope(method string, got exchanged) error {
	if got.header.Get("X-Request-Id") == "" {
		return fmt.Errorf("the answer has no X-Request-Id")
	}
	if method == http.MethodHead || got.status == http.StatusNotModified {
		if len(got.body) > 0 || got.status >= 500 {
			return fmt.Errorf("an answer that has no body has one, or is an internal error")
		}
		return nil
	}
	if !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
		switch got.status {
		case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
			return nil // another file than is wanted, or a part that it does not have
		}
		if got.status/100 == 2 {
			return nil // a file
		}
		return fmt.Errorf("the answer is no JSON")
	}
	var said struct {
		Response    *json.RawMessage
		Information *struct{ Version string }
		Error       *struct {
			Code, Message string
			Details       *[]detail
		}
	}
	if err := json.Unmarshal(got.body, &said); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	switch {
	case said.Information == nil || (said.Error == nil) == (said.Response == nil):
		return fmt.Errorf("the answer is not in the envelope")
	case (said.Error == nil) != (got.status == http.StatusOK):
		return fmt.Errorf("the status does not go with the envelope")
	case said.Error != nil && (said.Error.Message == "" || said.Error.Details == nil || statusOf[said.Error.Code] != got.status):
		return fmt.Errorf("the error %q has no message, no details or another status", said.Error.Code)
	}
	return nil
}

func mintegralEnvelope(method string, got exchanged) (class string, err error) {
	class = strconv.Itoa(got.status)
	if method == http.MethodHead {
		return class, nil
	}
	var said struct {
		Code         int
		Message, Msg string
		Data         json.RawMessage
	}
	if err := json.Unmarshal(got.body, &said); err != nil {
		return class, fmt.Errorf("the answer is no JSON: %w", err)
	}
	class = strconv.Itoa(said.Code)
	if said.Message == "" || said.Msg != said.Message || said.Data == nil || said.Code >= 500 {
		return class, fmt.Errorf("the answer is not in the envelope, or an internal error")
	}
	if got.status != http.StatusOK && (got.status != said.Code || got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed) {
		return class, fmt.Errorf("the status does not go with the code")
	}
	return class, nil
}

// keep remembers what was made, and has the oldest of it deleted.
func (f *fuzzer) keep(ctx context.Context, r *asked, got exchanged) {
	if got.status != http.StatusOK || r.method != http.MethodPost {
		return
	}
	have := f.sampler.have
	if r.op.doc.name == "mintegral" {
		if id, err := lookup(got.body, "data.ta_id"); err == nil {
			f.devices = append(f.devices, json.Number(id))
			have["ta_id"], have["ta_ids"] = f.devices, f.devices
			if len(f.devices) > kept {
				f.forget(ctx, &asked{op: r.op, method: http.MethodDelete, path: mintegral.Base + "/audience", body: fmt.Appendf(nil, `{"ta_id":[%v]}`, f.devices[0])})
				f.devices = f.devices[1:]
			}
		}
		return
	}
	id, err := lookup(got.body, "response.id")
	if u := r.understood(); err != nil || u == nil || !strings.HasSuffix(u.URL.Path, "/audiences") && !strings.HasSuffix(u.URL.Path, "/regenerate") {
		return
	}
	f.audiences = append(f.audiences, json.Number(id))
	have["id"], have["ids"] = append(have["id"], json.Number(id)), f.audiences
	if len(f.audiences) > kept {
		f.forget(ctx, &asked{op: r.op, method: http.MethodDelete, path: fmt.Sprintf("%s/audiences/%v", silhouette.Base, f.audiences[0])})
		f.audiences = f.audiences[1:]
		have["id"], have["ids"] = append(have["id"][:1:1], f.audiences...), f.audiences
	}
}

// forget deletes what has become too much; it may be gone already, or in use.
func (f *fuzzer) forget(ctx context.Context, r *asked) {
	f.identify(r)
	_, _ = f.wire.send(ctx, r.method, r.bytes())
}
