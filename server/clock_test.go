package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"throng"
	"throng/client"
	"throng/internal/pgtest"
	"throng/service"
	"throng/sqldb"
)

// wrongClock goes as time does, and is off by what it has jumped.
type wrongClock struct{ off atomic.Int64 }

func (c *wrongClock) Now() time.Time       { return time.Now().Round(0).Add(time.Duration(c.off.Load())) }
func (c *wrongClock) jump(d time.Duration) { c.off.Add(int64(d)) }

// TestClockJumps has the clock of a server jump and jump back while it has things
// to do of all sorts. Nothing is lost, nothing is done twice, nobody is locked out,
// and after some seconds all goes on.
func TestClockJumps(t *testing.T) {
	const day = 24 * time.Hour
	for name, database := range map[string]func(*testing.T) string{
		"sqlite": func(*testing.T) string { return "" }, "postgres": pgtest.URL,
	} {
		for _, d := range []time.Duration{time.Hour, day, 365 * day, -time.Hour, -day, -365 * day} {
			if testing.Short() && d != day && d != -365*day {
				continue
			}
			t.Run(fmt.Sprintf("%s %v", name, d), func(t *testing.T) {
				t.Parallel()
				testJump(t, database(t), d)
			})
		}
	}
}

func testJump(t *testing.T, database string, d time.Duration) {
	w := newWorld(t, database)
	before := w.prepare()
	w.clock.jump(d)
	w.wantWell("jumped")
	w.afterJump(before, d)
	meanwhile := w.prepare() // by the wrong clock
	w.clock.jump(-d)
	w.wantWell("was set right")
	w.afterReturn(before, meanwhile, d)
	w.prepare()
	w.wantOnce()
}

// world is a server, two callers, and a receiver of callbacks.
type world struct {
	t      *testing.T
	s      *Server
	url    string
	clock  *wrongClock
	token  string
	api    *client.Client
	ads    *client.Mintegral
	caller *throng.Caller
	slow   string // token of one who may send two requests a second
	*receiver
}

func newWorld(t *testing.T, database string) *world {
	w := &world{t: t, clock: new(wrongClock)}
	w.s, w.url = serving(t, Config{
		Database: database, Now: w.clock.Now, KeepAudiences: 30, InsightMinimum: 1, AllowPrivateCallbacks: true,
	})
	dir := t.TempDir()
	for name, text := range map[string]string{
		"dataset.json": `{"as_of":"2026-11-01T00:00:00Z"}`, "people.csv": "person,gender\np1,female\np2,female\np3,male\n",
		"identifiers.csv": "person,type,value\np1,idfa," + ids[0] + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.s.Load(t.Context(), dir, LoadOptions{Memory: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	all := []string{"all"}
	made, err := w.s.AddCaller(t.Context(), "caller", CallerSpec{CanGenerate: &all, CanView: &all, CanDownload: &all, Grants: &all})
	if err != nil {
		t.Fatal(err)
	}
	limited, err := w.s.AddCaller(t.Context(), "slow", CallerSpec{CallerLimits: CallerLimits{RequestsPerSecond: new(2)}})
	if err != nil {
		t.Fatal(err)
	}
	w.token, w.slow, w.api = made.Token, limited.Token, client.New(w.url, made.Token)
	w.ads = client.NewMintegral(w.url, made.AccessKey, made.APIKey)
	w.ads.Now = w.clock.Now
	if w.caller, err = w.s.service.Authenticate(t.Context(), made.Token); err != nil {
		t.Fatal(err)
	}
	w.receiver = newReceiver(t, w.clock, made.WebhookSecret)
	return w
}

// receiver takes callbacks: those to /later once it is told to, those to /held
// when they are let go.
type receiver struct {
	t       *testing.T
	server  *httptest.Server
	verify  *standardwebhooks.Webhook
	clock   *wrongClock
	takes   atomic.Bool
	letGo   chan bool
	mu      sync.Mutex
	asked   map[string]int // by path
	took    map[string]int
	lateSig []string // whose timestamps were not those of the server's clock
}

func newReceiver(t *testing.T, c *wrongClock, secret string) *receiver {
	verify, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, verify: verify, clock: c, letGo: make(chan bool), asked: map[string]int{}, took: map[string]int{}}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err == nil {
		err = r.verify.VerifyIgnoringTimestamp(body, req.Header)
	}
	if err != nil {
		r.t.Errorf("callback to %s: %v", req.URL.Path, err)
	}
	at, _ := strconv.ParseInt(req.Header.Get(standardwebhooks.HeaderWebhookTimestamp), 10, 64)
	off := r.clock.Now().Sub(time.Unix(at, 0)).Abs()
	r.mu.Lock()
	r.asked[req.URL.Path]++
	if off > time.Minute {
		r.lateSig = append(r.lateSig, fmt.Sprintf("%s by %v", req.URL.Path, off))
	}
	r.mu.Unlock()
	switch {
	case strings.HasPrefix(req.URL.Path, "/later") && !r.takes.Load():
		rw.WriteHeader(http.StatusInternalServerError)
		return
	case strings.HasPrefix(req.URL.Path, "/held"):
		select {
		case <-r.letGo:
		case <-req.Context().Done():
			return
		}
	}
	r.mu.Lock()
	r.took[req.URL.Path]++
	r.mu.Unlock()
}

func (r *receiver) count(of map[string]int, path string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return of[path]
}

// eventually waits for a state that comes by itself.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not after two minutes", what)
		}
	}
}

// post sends a create of an audience that is announced to a path.
func (w *world) post(path, key string) int64 {
	w.t.Helper()
	body := fmt.Sprintf(`{"audience":{"name":"x"},"callback_url":"%s%s","generate_insights_automatically":true,
		"parameters":[{"operation":"OR","gender":{"genders":["female"]}}]}`, w.server.URL, path)
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/platform/v0/audiences", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Response struct {
			AudienceID int64 `json:"audience_id"`
			ID         int64 `json:"id"`
		} `json:"response"`
	}
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("create: %s, %v: %s", resp.Status, err, text)
	}
	return max(answer.Response.ID, answer.Response.AudienceID)
}

// wantWell orders an audience and waits until it is made and announced.
func (w *world) wantWell(what string) {
	w.t.Helper()
	began := time.Now()
	path := "/well/" + rand16()
	w.post(path, "")
	w.eventually("a build and its callback", func() bool { return w.count(w.took, path) == 1 })
	w.t.Logf("what is ordered when the clock %s is made and announced after %v", what, time.Since(began).Round(10*time.Millisecond))
}

// things are what was made by one clock.
type things struct {
	n         string // tells them apart
	key       string
	id        int64 // of the audience that was made under key
	file      []byte
	later     int64 // whose receiver does not take its callback yet
	session   string
	address   *client.Presigned
	devices   int64
	dataPath  string
	link      string
	madeAt    time.Time
	laterPath string
}

// prepare makes one thing of each sort, and proves by that that each can be made.
func (w *world) prepare() *things {
	w.t.Helper()
	t, ctx := w.t, w.t.Context()
	x := &things{n: rand16(), madeAt: w.clock.Now()}
	x.key = "key-" + x.n
	x.laterPath = "/later/" + x.n
	x.id = w.post("/now/"+x.n, x.key)
	a, err := w.api.Wait(ctx, x.id, 10*time.Millisecond)
	if err != nil || a.Status != "done" || a.Size == nil || *a.Size != 2 {
		t.Fatalf("build = %+v, %v, want 2 people", a, err)
	}
	x.file = w.download(x.id)
	w.eventually("the callback", func() bool { return w.count(w.took, "/now/"+x.n) == 1 })
	x.later = w.post(x.laterPath, "")
	w.eventually("a failed attempt", func() bool { return w.count(w.asked, x.laterPath) >= 1 })
	if x.session, _, err = w.s.service.Login(ctx, w.token); err != nil {
		t.Fatal(err)
	}
	if x.address, err = w.ads.Presign(ctx, "a.txt", sum("idfa\n")); err != nil {
		t.Fatal(err)
	}
	x.dataPath = sent(t, w.ads, "d.txt", "idfa\n"+ids[0]+"\n")
	if x.devices, err = w.ads.Create(ctx, "devices "+x.n, 2, []client.DataPath{{DeviceType: 2, DataPath: x.dataPath}}); err != nil {
		t.Fatal(err)
	}
	if d, err := w.ads.Wait(ctx, x.devices, 10*time.Millisecond); err != nil || d.Status != "ready" {
		t.Fatalf("devices = %+v, %v", d, err)
	}
	w.eventually("the report", func() bool {
		a, err := w.api.Audience(ctx, x.id)
		return err == nil && a.Insight != nil && a.Insight.Status == "done"
	})
	made, err := w.s.service.ReplacePublicLink(ctx, w.caller, x.id,
		service.PublicLinkRequest{ExpireAt: w.clock.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	x.link = made.Token
	return x
}

func rand16() string { return strconv.FormatInt(time.Now().UnixNano(), 36) }

func (w *world) download(id int64) []byte {
	w.t.Helper()
	r, err := w.api.Output(w.t.Context(), id, "ss_id", "text")
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// wantKept makes sure that what was made is there, once.
func (w *world) wantKept(x *things) {
	w.t.Helper()
	if got := w.download(x.id); !bytes.Equal(got, x.file) {
		w.t.Errorf("file = %q, want %q", got, x.file)
	}
	if id := w.post("/now/"+x.n, x.key); id != x.id {
		w.t.Errorf("the same create again made audience %d, want %d", id, x.id)
	}
	if u, err := w.ads.List(w.t.Context(), nil); err != nil || u.Total == 0 {
		w.t.Errorf("list of device audiences = %+v, %v", u, err)
	}
}

// state words an outcome by its code.
func outcome(err error) string {
	if err == nil {
		return "good"
	}
	return string(throng.CodeOf(err))
}

func (w *world) wantOutcome(what string, err error, good bool, code throng.Code) {
	w.t.Helper()
	want := "good"
	if !good {
		want = string(code)
	}
	if got := outcome(err); got != want {
		w.t.Errorf("%s: %s (%v), want %s", what, got, err, want)
	}
}

func (w *world) afterJump(x *things, d time.Duration) {
	w.t.Helper()
	ctx := w.t.Context()
	w.held(d)
	if d < 0 {
		w.eventually("the look at the clock", func() bool { return w.micros("sweep_seen").Before(x.madeAt) })
	}
	w.wantKept(x)
	w.wantSwept(d)
	w.wantKept(x)
	w.wantRate()

	_, err := w.s.service.SessionCaller(ctx, x.session)
	w.wantOutcome("session", err, d.Abs() < 12*time.Hour, throng.Unauthorized)
	_, err = w.s.service.PublicReport(ctx, x.link, service.InsightQuery{})
	w.wantOutcome("public link", err, d <= 24*time.Hour, throng.NotFound)
	// An address is good for five minutes; set back, for a day at most.
	err = w.ads.Put(ctx, x.address, strings.NewReader("idfa\n"))
	if good := d == -time.Hour; good != (err == nil) {
		w.t.Errorf("put to the address of before = %v, want good: %t", err, good)
	}
	// The files of devices stay for 12 hours.
	err = w.ads.Update(ctx, x.devices, []client.DataPath{{DeviceType: 2, DataPath: x.dataPath}})
	if good := d.Abs() > time.Hour; good != (err == nil) {
		w.t.Errorf("update of devices = %v, want good: %t", err, good)
	}
	right := *w.ads
	right.Now = time.Now
	_, err = right.List(ctx, nil)
	wantRefusal(w.t, "a client whose clock is right", err, http.StatusUnauthorized)

	// What waits for its next attempt has one, fails, and is not given up.
	attempts := w.count(w.asked, x.laterPath)
	w.eventually("another attempt at the callback", func() bool { return w.count(w.asked, x.laterPath) > attempts })
	w.eventually("its record", func() bool { return len(w.callback(x.later).Attempts) > attempts })
	if c := w.callback(x.later); c.Status != "pending" {
		w.t.Errorf("the callback is %s after %d attempts, want pending", c.Status, len(c.Attempts))
	}
}

func (w *world) afterReturn(before, meanwhile *things, d time.Duration) {
	w.t.Helper()
	ctx := w.t.Context()
	w.wantKept(before)
	w.wantKept(meanwhile)
	w.wantRate()
	_, err := w.s.service.SessionCaller(ctx, before.session)
	w.wantOutcome("session of before", err, true, "")
	_, err = w.s.service.SessionCaller(ctx, meanwhile.session)
	w.wantOutcome("session that was opened by the wrong clock", err, d.Abs() < 12*time.Hour, throng.Unauthorized)
	_, err = w.s.service.PublicReport(ctx, before.link, service.InsightQuery{})
	w.wantOutcome("public link of before", err, true, "")
	err = w.ads.Update(ctx, meanwhile.devices, []client.DataPath{{DeviceType: 2, DataPath: meanwhile.dataPath}})
	if good := d.Abs() > time.Hour; good != (err == nil) {
		w.t.Errorf("update of devices that were given by the wrong clock = %v, want good: %t", err, good)
	}
	w.takes.Store(true)
	began := time.Now()
	for _, x := range []*things{before, meanwhile} {
		w.eventually("the callback that was waiting", func() bool { return w.count(w.took, x.laterPath) == 1 })
	}
	w.t.Logf("what was waiting is announced %v later", time.Since(began).Round(100*time.Millisecond))
	w.eventually("the next sweep within an hour", func() bool {
		j, err := w.s.jobs.Find(ctx, "sweep", "sweep")
		return err == nil && j.RunAt.Before(w.clock.Now().Add(time.Hour+time.Second))
	})
	if _, ok, err := w.s.Current(ctx); !ok || err != nil {
		w.t.Errorf("Current() = %t, %v", ok, err)
	}
	w.takes.Store(false) // for what is made next
}

// held has the clock jump on under a job that runs: it goes on, and is not run
// again.
func (w *world) held(d time.Duration) {
	w.t.Helper()
	path := "/held/" + rand16()
	w.clock.jump(-d) // it begins by the old clock
	id := w.post(path, "")
	w.eventually("a callback on its way", func() bool { return w.count(w.asked, path) == 1 })
	w.clock.jump(d)
	key := strconv.FormatInt(w.callback(id).ID, 10)
	w.eventually("a heartbeat by the new clock", func() bool {
		j, err := w.s.jobs.Find(w.t.Context(), "callback", key)
		if err != nil || j.Deaths != 0 || j.Attempts != 1 {
			w.t.Fatalf("the job that runs: %+v, %v", j, err)
		}
		return j.HeartbeatAt.Sub(w.clock.Now()).Abs() < time.Minute
	})
	w.letGo <- true
	w.eventually("its end", func() bool { return w.callback(id).Status == "delivered" })
	if c := w.callback(id); len(c.Attempts) != 1 || w.count(w.asked, path) != 1 {
		w.t.Errorf("%d attempts, %d requests, want one", len(c.Attempts), w.count(w.asked, path))
	}
}

// callback finds that of an audience.
func (w *world) callback(audience int64) service.Callback {
	w.t.Helper()
	list, _, err := w.s.service.Callbacks(w.t.Context(), w.caller, service.CallbackFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range list {
		if c.AudienceID == audience {
			return c
		}
	}
	w.t.Fatalf("audience %d has no callback", audience)
	return service.Callback{}
}

// wantSwept waits for the sweep, which a jump ahead makes due. What leapt by a day
// is not believed.
func (w *world) wantSwept(d time.Duration) {
	w.t.Helper()
	if d < 0 {
		return
	}
	ctx := w.t.Context()
	w.eventually("the sweep", func() bool { return w.micros("sweep_seen").After(w.clock.Now().Add(-min(d, time.Minute))) })
	w.eventually("its end", func() bool {
		j, err := w.s.jobs.Find(ctx, "sweep", "sweep")
		return err == nil && j.State == "queued" && j.RunAt.After(w.clock.Now())
	})
	if held := w.micros("sweep_hold").After(w.clock.Now()); held != (d >= 24*time.Hour) {
		w.t.Errorf("after a jump of %v nothing is removed for its age: %t", d, held)
	}
}

// micros reads an instant of the database's own.
func (w *world) micros(key string) time.Time {
	w.t.Helper()
	text, err := w.s.db.Meta(w.t.Context(), key)
	if errors.Is(err, sqldb.ErrNotFound) {
		return time.Time{}
	}
	n, readErr := strconv.ParseInt(text, 10, 64)
	if err := errors.Join(err, readErr); err != nil {
		w.t.Fatal(err)
	}
	return time.UnixMicro(n)
}

// wantRate uses up what a caller may send, and is answered again a moment later.
func (w *world) wantRate() {
	w.t.Helper()
	ask := func() error {
		_, err := w.s.service.Authenticate(w.t.Context(), w.slow)
		return err
	}
	for range 100 {
		err := ask()
		if err == nil {
			continue
		}
		e, ok := err.(*throng.Error) //nolint:errorlint // the service returns it bare
		if !ok || e.Code != throng.RateLimited || e.RetryAfter > time.Second {
			w.t.Fatalf("refused with %v (%+v), want to come back within a second", err, e)
		}
		w.eventually("an answer after the limit", func() bool { return ask() == nil })
		return
	}
	w.t.Error("a hundred requests were answered at once, of two a second")
}

// wantOnce makes sure that nothing was announced twice.
func (w *world) wantOnce() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for path, n := range w.took {
		if n != 1 {
			w.t.Errorf("%s was taken %d times, want once", path, n)
		}
	}
	if len(w.lateSig) > 0 {
		w.t.Errorf("signed by another time than the server's: %v", w.lateSig)
	}
}
