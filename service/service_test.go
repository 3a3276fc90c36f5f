package service

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"throng"
	"throng/blob/file"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/identifier"
	"throng/internal/seal"
	"throng/job"
	"throng/sqldb"
	"throng/webhook"
)

// asOf is what the test datasets describe.
const asOf = "2026-11-01T00:00:00Z"

// people is the dataset of most tests: eight people, p1 to p8.
func people() map[string]string {
	return map[string]string{
		"dataset.json": `{"name":"test","as_of":"` + asOf + `"}`,
		"people.csv": `person,age,gender,ethnicity,city,last_tweeted
p1,20,female,asian,c1,2026-10-31
p2,30,male,white,c1,2026-10-01
p3,40,female,,c2,2026-05-01
p4,60,male,black,c2,
p5,,female,hispanic,,2026-10-30
p6,22,,native,c1,2025-01-01
p7,25,male,asian,c2,2026-10-31
p8,50,female,white,c1,
`,
		"locations.csv": `kind,id,name,region,country,dma
country,1,Freedonia,,,
country,230,Sylvania,,,
region,10,North,,1,
region,11,South,,1,
dma,501,Big Market,,,
city,c1,East Springfield,10,1,501
city,c2,Springfield,11,1,
city,10,Odd Number,,1,
`,
		"identifiers.csv": `person,type,value
p1,email_raw,Ann@Example.com
p2,email_raw,bob@example.com
p3,email_raw,cyd@example.com
p3,email_raw,cyd.two@example.com
p4,md5,11111111111111111111111111111111
p1,twitter_id,1001
p2,twitter_id,1002
p5,twitter_user,FiveAlive
p6,ma_id,6d92078a-8246-4ba4-ae5b-76104861e7dc
p7,md5,` + md5Of("gus@example.com") + "\n",
		"accounts.csv": `network,account,screen_name,name
twitter,t1,Alpha,Alpha Co
twitter,t2,Twin,Twin One
twitter,t3,twin,Twin Two
youtube,UC1,Channel,A Channel
twitch,w1,Streamer,A Streamer
`,
		"follows.csv": `person,network,account
p1,twitter,t1
p1,twitter,t2
p2,twitter,t1
p3,twitter,t2
p3,twitter,t3
p4,twitter,t3
p5,youtube,UC1
p6,twitch,w1
p7,instagram,i1
p8,tiktok,k1
`,
		"affinities.csv": `affinity,name,parent
a1,Sports,.influencers.
a2,Soccer,a1
a3,Robert Example,a2
a4,Jazz,.interests.
`,
		"interests.csv": `person,affinity
p1,a3
p2,a2
p3,a4
`,
		"jobs.csv": `person,title,employer
p1,Analyst,Acme
p2,Analyst,Acme
p3,Programmer,Initech
`,
		"personality.csv": `person,term,score
p1,challenge,0.9
p2,challenge,0.2
`,
		"bios.csv": `person,network,text
p1,twitter,I write golang and tea
p2,instagram,#golang forever
`,
		"tweets.csv": `person,posted_at,text
p4,2026-10-31T10:00:00Z,love #golang
p5,2026-10-01T10:00:00Z,old golang
`,
	}
}

func writeDataset(t testing.TB, tables map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range tables {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// testService is a Service on real parts.
type testService struct {
	*Service
	t      testing.TB
	engine *bitmap.Engine
	blobs  *file.Store
	jobs   *job.Runner
	caller *throng.Caller // with every grant
	clock  *clock
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// render words an audience in its own way: the service must not care.
func render(a throng.Audience) ([]byte, error) {
	return json.Marshal(map[string]any{"id": a.ID, "status": a.Status, "size": a.Size, "outputs": a.Outputs})
}

// renderInsight does so with reports.
func renderInsight(i *Insight) ([]byte, error) { return json.Marshal(i) }

type option func(*Config)

// start opens a service with a loaded dataset whose jobs run.
func start(t testing.TB, options ...option) *testService {
	t.Helper()
	s := open(t, options...)
	s.load(people())
	s.run()
	return s
}

// again opens a second service on the same database, index and files, as a
// server does that starts after a crash.
func (s *testService) again(options ...option) *testService {
	s.t.Helper()
	jobs, err := job.New(s.cfg.DB, job.Config{Owner: "node", Poll: 20 * time.Millisecond, Logger: s.cfg.Logger})
	if err != nil {
		s.t.Fatal(err)
	}
	two := *s
	cfg := s.cfg
	cfg.Jobs, cfg.Blobs = jobs, s.blobs
	for _, o := range options {
		o(&cfg)
	}
	two.jobs = jobs
	if two.Service, err = New(cfg); err != nil {
		s.t.Fatal(err)
	}
	return &two
}

// open opens a service with nothing loaded and nothing running.
func open(t testing.TB, options ...option) *testService {
	t.Helper()
	dir := t.TempDir()
	s := &testService{t: t, clock: &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}}
	logger := slog.New(slog.DiscardHandler)
	db, err := sqldb.Open(t.Context(), sqldb.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if s.engine, err = bitmap.Open(filepath.Join(dir, "index"), bitmap.Config{Workers: 2}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.engine.Close() })
	if s.blobs, err = file.Open(filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.blobs.Close() })
	s.jobs, err = job.New(db, job.Config{Owner: "node", Poll: 20 * time.Millisecond, Backoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.ParseKey(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	sender := webhook.NewSender(webhook.Config{AllowPrivate: true})
	t.Cleanup(sender.Close)
	cfg := Config{
		DB: db, Jobs: s.jobs, Engine: s.engine, Blobs: s.blobs, Secrets: key, Sender: sender, Render: render, RenderInsight: renderInsight,
		Now: s.clock.Now, TempDir: filepath.Join(dir, "tmp"), Logger: logger, AllowPrivateCallbacks: true,
	}
	for _, o := range options {
		o(&cfg)
	}
	if s.Service, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	grants := throng.Grants()
	s.caller = s.add("all", CallerSettings{Grants: &grants})
	return s
}

func (s *testService) run() {
	s.t.Helper()
	if err := s.jobs.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.jobs.Stop(context.Background()) })
}

func (s *testService) load(tables map[string]string) {
	s.t.Helper()
	if _, err := s.engine.Load(s.t.Context(), writeDataset(s.t, tables), engine.LoadOptions{Memory: 64 << 20, Now: s.clock.Now()}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *testService) add(name string, set CallerSettings) *throng.Caller {
	s.t.Helper()
	made, err := s.AddCaller(s.t.Context(), name, set)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := s.Authenticate(s.t.Context(), made.Token)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// definition reads parameters, JSON, as an API would.
func definition(params string) Definition {
	var d Definition
	d.Name = "test"
	d.Parameters, d.Problems, d.Warnings = throng.ParseParameters(json.RawMessage(params))
	return d
}

func (s *testService) create(c *throng.Caller, d Definition) *throng.Audience {
	s.t.Helper()
	a, err := s.CreateAudience(s.t.Context(), c, d, nil)
	if err != nil {
		s.t.Fatalf("CreateAudience: %v", err)
	}
	return a
}

// wait waits until an audience is no longer running.
func (s *testService) wait(c *throng.Caller, id int64) *throng.Audience {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := s.Audience(ctx, c, id)
		if err != nil {
			s.t.Fatal(err)
		}
		if a.Status != throng.Running {
			return a
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("audience %d is still running, at %q", id, a.Step)
		}
	}
}

// build creates an audience and waits until it is done.
func (s *testService) build(c *throng.Caller, params string) *throng.Audience {
	s.t.Helper()
	a := s.wait(c, s.create(c, definition(params)).ID)
	if a.Status != throng.Done {
		s.t.Fatalf("build %s: status %s, failure %+v", params, a.Status, a.Failure)
	}
	return a
}

// output reads a whole file.
func (s *testService) output(c *throng.Caller, id int64, t identifier.Type, f Format) []byte {
	s.t.Helper()
	file, err := s.OpenOutput(s.t.Context(), c, id, string(t), f)
	if err != nil {
		s.t.Fatalf("OpenOutput(%d, %s, %s): %v", id, t, f, err)
	}
	defer file.Close()
	b := make([]byte, file.Size)
	if _, err := readFull(file, b); err != nil {
		s.t.Fatal(err)
	}
	return b
}

// members are the keys of an audience's people.
func (s *testService) members(id int64) string {
	s.t.Helper()
	return strings.ReplaceAll(strings.TrimSpace(string(s.output(s.caller, id, identifier.SSID, Text))), "\n", " ")
}

// receiver takes callbacks and answers with the statuses given, then with 200.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*http.Request
	bodies []string
}

func receive(t testing.TB, statuses ...int) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var body strings.Builder
		fmt.Fprint(&body, mustRead(req.Body))
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got, r.bodies = append(r.got, req), append(r.bodies, body.String())
		if n := len(r.got); n <= len(statuses) {
			w.WriteHeader(statuses[n-1])
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}
