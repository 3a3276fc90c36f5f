package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"throng/client"
)

// load is how a server is loaded.
type load struct {
	previews, creates float64 // a second
	callers           int
	lasts             time.Duration
	judged            bool // by the times it takes, too
}

// TestLoad sends previews and creates at a steady rate, whether the server
// keeps up or not: a request is timed from when it was to be sent. No answer is
// an error but 429, all audiences are built, each is announced once, and
// afterwards the server holds as many goroutines and handles as before.
//
// It is short, and judges no times, unless THRONG_TEST_LONG is set; then
// THRONG_TEST_LOAD says how long it takes, by default 10 minutes.
func TestLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	l := load{previews: 50, creates: 5, callers: 10, lasts: 20 * time.Second}
	if long() {
		l = load{previews: 200, creates: 20, callers: 50, lasts: 10 * time.Minute, judged: true}
	}
	if s := os.Getenv("THRONG_TEST_LOAD"); s != "" {
		var err error
		if l.lasts, err = time.ParseDuration(s); err != nil {
			t.Fatalf("THRONG_TEST_LOAD: %v", err)
		}
	}
	data := newData(t)
	if root := os.Getenv("THRONG_TEST_DATA"); root != "" {
		data = filepath.Join(t.TempDir(), "respondents")
		throng(t, "load", respondents(t), "--data", data)
	}
	server := start(t, data, "--allow-private-callbacks", "--admin-listen", "127.0.0.1:0")
	run := newLoadRun(t, l, server, data)
	run.warm(t)
	base := server.usage(t)
	begun := time.Now()
	stop := run.watch(t)
	run.send(t)
	run.drain(t)
	run.http.CloseIdleConnections()
	slope := stop()
	end := server.settles(t, base)
	run.report(t, time.Since(begun), base, end, slope)
}

// loadRun is a load that is being sent.
type loadRun struct {
	load
	server   *process
	rnd      *rand.Rand
	http     *http.Client
	tokens   []string
	verify   map[string]*standardwebhooks.Webhook // by token
	small    [][]byte                             // parameters of audiences of 1 to 10,000 people
	any      *definitions
	receiver *httptest.Server

	previews, creates times
	problems          findings
	refused           atomic.Int64 // by 429

	mu      sync.Mutex
	created map[int64]string // id of the audience → token
	told    map[int64]int    // how often it was announced
	badCall []string
}

func newLoadRun(t *testing.T, l load, server *process, data string) *loadRun {
	t.Helper()
	from := seed(t)
	r := &loadRun{
		load: l, server: server, rnd: rand.New(rand.NewPCG(from, 0)), created: map[int64]string{}, told: map[int64]int{},
		http:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512, MaxIdleConns: 512}, Timeout: 5 * time.Minute},
		verify: map[string]*standardwebhooks.Webhook{},
	}
	for i := range l.callers {
		out := throng(t, append([]string{"caller", "add", fmt.Sprintf("caller %d", i), "--json", "--data", data}, allGrants()...)...)
		var made struct {
			Token         string
			WebhookSecret string `json:"webhook_secret"`
		}
		if err := json.Unmarshal([]byte(out), &made); err != nil {
			t.Fatal(err)
		}
		hook, err := standardwebhooks.NewWebhook(made.WebhookSecret)
		if err != nil {
			t.Fatal(err)
		}
		r.tokens = append(r.tokens, made.Token)
		r.verify[made.Token] = hook
	}
	r.receiver = httptest.NewServer(http.HandlerFunc(r.receive))
	t.Cleanup(r.receiver.Close)
	r.any = newDefinitions(t, server, r.tokens[0], r.rnd)
	c := client.New(server.URL, r.tokens[0])
	for tries := 0; len(r.small) < 200 && tries < 5000; tries++ {
		parameters := r.any.random()
		answer, err := c.Preview(t.Context(), fmt.Appendf(nil, `{"parameters":%s}`, parameters))
		if err != nil {
			t.Fatalf("preview %s: %v", parameters, err)
		}
		var said struct{ Size int }
		if err := json.Unmarshal(answer, &said); err != nil {
			t.Fatal(err)
		}
		if said.Size > 0 && said.Size <= 10_000 {
			r.small = append(r.small, parameters)
		}
	}
	if len(r.small) < 20 {
		t.Fatalf("found %d definitions of small audiences, want 20", len(r.small))
	}
	return r
}

// warm has the server open what it opens under load, and rest again.
func (r *loadRun) warm(t *testing.T) {
	t.Helper()
	var group sync.WaitGroup
	for range 64 {
		one := pick(r.rnd, r.small)
		token := pick(r.rnd, r.tokens)
		group.Go(func() { r.preview(t.Context(), time.Now(), token, one) })
		group.Go(func() { r.create(t.Context(), time.Now(), token, one, `["ss_id"]`) })
	}
	group.Wait()
	r.drain(t)
	r.http.CloseIdleConnections()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	r.previews, r.creates = times{}, times{}
	last := r.server.usage(t)
	for range 100 { // until a second has changed nothing
		time.Sleep(time.Second)
		u := r.server.usage(t)
		if u.goroutines == last.goroutines && u.handles == last.handles {
			return
		}
		last = u
	}
}

// send sends requests at random instants of the rate wanted, none later for
// another's sake.
func (r *loadRun) send(t *testing.T) {
	t.Helper()
	outputs := []string{`["ss_id"]`, `["ss_id","md5"]`, `["md5","twitter_id","email_raw"]`, `["ss_id","twitter_id","twitter_user","md5","email_raw","cint_id","ma_id"]`}
	rate := r.load.previews + r.load.creates
	var group sync.WaitGroup
	defer group.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	end := time.Now().Add(r.lasts)
	for at := time.Now(); ; at = at.Add(time.Duration(r.rnd.ExpFloat64() / rate * float64(time.Second))) {
		if at.After(end) {
			return
		}
		if wait := time.Until(at); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-t.Context().Done():
				return
			}
		}
		token := pick(r.rnd, r.tokens)
		if r.rnd.Float64()*rate < r.load.creates {
			one, types := pick(r.rnd, r.small), pick(r.rnd, outputs)
			group.Go(func() { r.create(t.Context(), at, token, one, types) })
			continue
		}
		one := pick(r.rnd, r.small)
		if r.rnd.IntN(2) == 0 { // one that nobody has asked before
			one = r.any.random()
		}
		group.Go(func() { r.preview(t.Context(), at, token, one) })
	}
}

func (r *loadRun) preview(ctx context.Context, at time.Time, token string, parameters []byte) {
	body := fmt.Appendf(nil, `{"parameters":%s}`, parameters)
	if r.post(ctx, token, "/platform/v0/audiences/preview", body, nil) {
		r.previews.add(time.Since(at))
	}
}

func (r *loadRun) create(ctx context.Context, at time.Time, token string, parameters []byte, outputs string) {
	body := fmt.Appendf(nil, `{"audience":{"name":"under load"},"callback_url":%q,"outputs":%s,"parameters":%s}`, r.receiver.URL, outputs, parameters)
	var said struct{ Response struct{ ID int64 } }
	if !r.post(ctx, token, "/platform/v0/audiences", body, &said) {
		return
	}
	r.creates.add(time.Since(at))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.created[said.Response.ID] = token
}

// post sends a request; false where it was refused by 429, or failed.
func (r *loadRun) post(ctx context.Context, token, path string, body []byte, into any) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.server.URL+path, bytes.NewReader(body))
	if err != nil {
		r.problem(path, err)
		return false
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.http.Do(req)
	if err != nil {
		r.problem(path, err)
		return false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
	case resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") != "":
		r.refused.Add(1)
		return false
	case resp.StatusCode != http.StatusOK:
		err = fmt.Errorf("%d %s", resp.StatusCode, text)
	case into != nil:
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		r.problem(path, err)
		return false
	}
	return true
}

func (r *loadRun) problem(path string, err error) {
	r.problems.add(finding{answer: path, wrong: err.Error()})
}

// receive takes a callback.
func (r *loadRun) receive(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var said struct {
		Response struct {
			ID     int64
			Status string
		}
	}
	err = errors.Join(err, json.Unmarshal(body, &said))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told[said.Response.ID]++
	verified := false
	for _, hook := range r.verify { // a callback may come before the answer to the create
		verified = verified || hook.Verify(body, req.Header) == nil
	}
	if err != nil || !verified || said.Response.Status != "done" {
		r.badCall = append(r.badCall, fmt.Sprintf("%v, signed: %v, %s", err, verified, body))
	}
	w.WriteHeader(http.StatusNoContent)
}

// drain waits until every audience has been announced.
func (r *loadRun) drain(t *testing.T) {
	t.Helper()
	missing := func() (n int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for id := range r.created {
			if r.told[id] == 0 {
				n++
			}
		}
		return n
	}
	begun, left := time.Now(), missing()
	t.Logf("%d audiences are not announced yet", left)
	for deadline := time.Now().Add(10 * time.Minute); left > 0; left = missing() {
		if time.Now().After(deadline) {
			t.Fatalf("%d audiences are not announced", left)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
	t.Logf("all audiences were announced %v later", time.Since(begun).Round(time.Millisecond))
}

// watch measures the server's memory every second; what it returns ends that,
// and gives the slope of the line through the measurements of the second half.
func (r *loadRun) watch(t *testing.T) (stop func() trend) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var seen trend
	group.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for begun := time.Now(); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if u, err := r.server.measure(); err == nil {
				seen.at = append(seen.at, time.Since(begun).Seconds())
				seen.used = append(seen.used, u)
			}
		}
	})
	return func() trend {
		cancel()
		group.Wait()
		return seen
	}
}

// trend is how a server's memory developed.
type trend struct {
	at   []float64 // seconds
	used []usage
}

// slope is that of the line of least squares through the second half, in bytes
// a second.
func (d trend) slope(of func(usage) uint64) float64 {
	var n, x, y, xx, xy float64
	for i := len(d.at) / 2; i < len(d.at); i++ {
		a, b := d.at[i], float64(of(d.used[i]))
		n, x, y, xx, xy = n+1, x+a, y+b, xx+a*a, xy+a*b
	}
	if n < 2 {
		return 0
	}
	return (n*xy - x*y) / (n*xx - x*x)
}

func (d trend) most(of func(usage) uint64) (most uint64) {
	for _, u := range d.used {
		most = max(most, of(u))
	}
	return most
}

func (r *loadRun) report(t *testing.T, took time.Duration, base, end usage, d trend) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	resident, private := func(u usage) uint64 { return u.resident }, func(u usage) uint64 { return u.private }
	t.Logf("%v at %v previews and %v creates a second from %d callers: %d and %d sent, %d refused by 429",
		took.Round(time.Second), r.load.previews, r.load.creates, r.callers, r.previews.len(), r.creates.len(), r.refused.Load())
	t.Logf("preview: %v", r.previews.String())
	t.Logf("create:  %v", r.creates.String())
	t.Logf("memory: resident %d → %d MiB, most %d, %+.1f KiB/s over the second half; private %d → %d MiB, most %d, %+.1f KiB/s",
		base.resident>>20, end.resident>>20, d.most(resident)>>20, d.slope(resident)/1024,
		base.private>>20, end.private>>20, d.most(private)>>20, d.slope(private)/1024)
	t.Logf("processor: %v of the server's own, %.1f ms a create where a preview is taken for nothing", (end.cpu - base.cpu).Round(10*time.Millisecond),
		float64((end.cpu-base.cpu).Milliseconds())/float64(max(r.creates.len(), 1)))
	t.Logf("goroutines %d → %d, handles %d → %d", base.goroutines, end.goroutines, base.handles, end.handles)
	for _, f := range r.problems.wrong {
		t.Errorf("%s: %s", f.answer, f.wrong)
	}
	for i, text := range r.badCall {
		if i < 5 {
			t.Errorf("bad callback: %s", text)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.told)) {
		if _, made := r.created[id]; !made || r.told[id] != 1 {
			t.Errorf("audience %d was announced %d times; created: %v", id, r.told[id], made)
		}
	}
	if !r.judged {
		return
	}
	if p := r.previews.share(0.99); p > 50*time.Millisecond {
		t.Errorf("99 of 100 previews took up to %v, want 50ms", p)
	}
	if p := r.creates.share(0.99); p > 200*time.Millisecond {
		t.Errorf("99 of 100 creates took up to %v, want 200ms", p)
	}
}

// times are how long requests took.
type times struct {
	mu  sync.Mutex
	all []time.Duration
}

func (d *times) add(one time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, one)
}

func (d *times) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.all)
}

// share is the time within which that share of the requests was answered.
func (d *times) share(of float64) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.all) == 0 {
		return 0
	}
	slices.Sort(d.all)
	return d.all[min(int(of*float64(len(d.all))), len(d.all)-1)]
}

// String tells the percentiles.
func (d *times) String() string {
	var b strings.Builder
	for _, p := range []float64{0.5, 0.9, 0.99, 0.999, 1} {
		fmt.Fprintf(&b, "p%v %v  ", p*100, d.share(p).Round(100*time.Microsecond))
	}
	return strings.TrimSpace(b.String())
}

// definitions makes definitions of what a dataset knows.
type definitions struct {
	rnd      *rand.Rand
	criteria []string // the rare and the common, one each
}

func newDefinitions(t *testing.T, p *process, token string, rnd *rand.Rand) *definitions {
	t.Helper()
	d := &definitions{rnd: rnd}
	ask := func(path string, into any) {
		if err := client.New(p.URL, token).Get(t.Context(), "/platform/v0"+path, into); err != nil {
			t.Fatalf("GET %s: %v", path, err)
		}
	}
	type node struct {
		ID     string
		CanAdd bool `json:"can_add"`
	}
	var roots []node
	ask("/affinities", &roots)
	below := func(parents []node) (all []node) {
		for _, n := range parents {
			var children []node
			ask("/affinities?parent_id="+n.ID, &children)
			all = append(all, children[:min(len(children), 30)]...)
		}
		return all
	}
	level := roots
	for range 3 {
		if level = below(level); len(level) > 60 {
			level = level[:60]
		}
		for _, n := range level {
			if n.CanAdd {
				d.criteria = append(d.criteria, fmt.Sprintf(`"affinities":{"affinities":[{"id":%q}]}`, n.ID))
			}
		}
	}
	for list, path := range map[string]string{"job_titles": "/b2b/job-titles", "employer_names": "/b2b/employers"} {
		var page struct{ Data []node }
		ask(path+"?limit=40", &page)
		for _, n := range page.Data {
			d.criteria = append(d.criteria, fmt.Sprintf(`"b2b":{%q:[{"id":%q}]}`, list, n.ID))
		}
	}
	slices.Sort(d.criteria) // maps have no order
	d.criteria = slices.Compact(d.criteria)
	for _, age := range []string{"18-24", "25-34", "35-44", "45-54", "over 54"} {
		d.criteria = append(d.criteria, fmt.Sprintf(`"age":{"ranges":[%q]}`, age))
	}
	for _, term := range []string{"challenge", "openness", "extraversion"} {
		d.criteria = append(d.criteria, fmt.Sprintf(`"bio_search":{"search_in_twitter":true,"phrases":[%q]}`, term))
	}
	if len(d.criteria) < 30 {
		t.Fatalf("the dataset knows %d criteria, want 30", len(d.criteria))
	}
	return d
}

// random is the parameters of a definition.
func (d *definitions) random() []byte {
	b := []byte(`[{"operation":"OR",` + pick(d.rnd, d.criteria[:len(d.criteria)-8]) + `}`) // with affinities or jobs first
	for _, op := range []string{"OR", "AND", "NOT"} {
		for range d.rnd.IntN(3) {
			one := pick(d.rnd, d.criteria)
			if op == "OR" && strings.HasPrefix(one, `"age"`) {
				continue // which is after the first for AND and NOT alone
			}
			b = fmt.Appendf(b, `,{"operation":%q,%s}`, op, one)
		}
	}
	return append(b, ']')
}
