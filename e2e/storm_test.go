package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"throng/internal/pgtest"
	"throng/internal/s3test"
)

// stormKills is how many processes are killed where THRONG_TEST_KILLS does not
// say.
const stormKills = 20

// aimFor is how long a kill waits for the moment that it is meant for. It comes
// then in any case, and counts as one of any moment.
const aimFor = 10 * time.Second

// storm is one run of TestCrash: callers who go on whatever happens, servers
// that are killed under them, and a ledger of what was accepted.
type storm struct {
	t         *testing.T
	rng       *rand.Rand // of the test's own goroutine
	seed      uint64
	began     time.Time
	database  string // a URL, "" is SQLite in the data folder
	blobs     string // a URL, "" is a folder in the data folder
	bucket    string // the folder in which the bucket's objects lie
	drop      string
	nodes     []*node
	sceneries []*scenery
	pooled    []json.RawMessage
	receiver  *stormReceiver
	callers   map[string]*caller // by name
	aim       aim
	over      chan struct{} // closed when nobody begins anything new
	hits      map[string]int
	missed    map[string]int
	servers   []*process // all that were ever started
	loadTook  time.Duration

	mu     sync.Mutex
	ledger []*entry           // guarded by mu
	drops  map[string]string  // guarded by mu; what the deliveries of like audiences held
	tally  map[string]int     // guarded by mu; what callers did, and how often
	waits  map[string]longest // guarded by mu; by what was waited for
}

// longest is the longest wait for something since a server was last seen dying.
type longest struct {
	d    time.Duration
	what string
}

// entry is an audience that was accepted.
type entry struct {
	caller   *caller
	id       int64
	name     string
	callback bool
	told     bool   // there is a report, whose end was to be told of
	status   string // as it ended; "" where that is not known for sure
	deleted  bool
}

// caller is one who asks, in one goroutine.
type caller struct {
	Name          string `json:"name"`
	Token         string `json:"token"`
	AccessKey     string `json:"access_key"`
	APIKey        string `json:"api_key"`
	WebhookSecret string `json:"webhook_secret"`

	s        *storm
	rng      *rand.Rand
	verifier *standardwebhooks.Webhook
}

// worker is the caller in another goroutine.
func (c *caller) worker(n uint64) *caller {
	w := *c
	w.rng = rand.New(rand.NewPCG(c.s.seed, 1000+n))
	return &w
}

// stormCredits are enough for every build, report and expansion of a storm.
const stormCredits = 1_000_000

// TestCrash kills servers and loaders, as `kill -9` does, at random moments
// under load, and holds what is left to what was accepted. It is described in
// docs/reliability.md. THRONG_TEST_KILLS says how often, THRONG_TEST_SEED
// repeats a run as far as that can be.
func TestCrash(t *testing.T) {
	t.Parallel() // it waits, mostly
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		s := newStorm(t, "", "", 0)
		s.addNode("one", filepath.Join(t.TempDir(), "data"))
		s.run()
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		newPair(t).run()
	})
}

// newPair is a storm of two servers with a data folder each, on one database and
// one bucket.
func newPair(t *testing.T) *storm {
	t.Helper()
	database, bucket := pgtest.URL(t), s3test.URL(t)
	u, err := url.Parse(bucket)
	if err != nil {
		t.Fatal(err)
	}
	s := newStorm(t, database, bucket, 1)
	s.bucket = filepath.Join(os.Getenv("THRONG_TEST_S3_DIR"), strings.TrimPrefix(u.Path, "/"))
	flags := []string{"--database", database, "--blobs", bucket, "--secret-key", base64.StdEncoding.EncodeToString([]byte("a storm of thirty-two bytes here"))}
	s.addNode("one", filepath.Join(t.TempDir(), "one"), flags...)
	s.addNode("two", filepath.Join(t.TempDir(), "two"), flags...)
	return s
}

// newStorm prepares one, with two datasets, one of which is loaded.
func newStorm(t *testing.T, database, blobs string, stream uint64) *storm {
	t.Helper()
	s := &storm{
		t: t, database: database, blobs: blobs, seed: stormSeed(t), began: time.Now(), drop: filepath.Join(t.TempDir(), "drop"),
		over: make(chan struct{}), hits: map[string]int{}, missed: map[string]int{}, drops: map[string]string{}, tally: map[string]int{},
		callers: map[string]*caller{}, waits: map[string]longest{},
	}
	s.rng = rand.New(rand.NewPCG(s.seed, stream))
	t.Logf("seed %d", s.seed)
	s.sceneries = append(s.sceneries, newScenery(t, 20_000, 1), newScenery(t, 15_000, 2))
	s.pool()
	s.receiver = newStormReceiver(s)
	return s
}

// stormCount is how often is killed.
func stormCount(t *testing.T) int {
	t.Helper()
	kills := stormKills
	if testing.Short() {
		kills = 6
	}
	if text := os.Getenv("THRONG_TEST_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil || kills < 1 {
			t.Fatalf("THRONG_TEST_KILLS=%s, want a number of kills", text)
		}
	}
	return kills
}

func stormSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("THRONG_TEST_SEED")
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("THRONG_TEST_SEED: %v", err)
	}
	return seed
}

// addNode adds a data folder. Of those that share a database the first one's load
// is for all.
func (s *storm) addNode(name, data string, flags ...string) {
	s.t.Helper()
	n := newNode(s.t, name, data, flags...)
	if len(s.nodes) > 0 {
		s.nodes = append(s.nodes, n)
		return
	}
	began := time.Now()
	if _, err := n.command("load", s.sceneries[0].dir); err != nil {
		s.t.Fatalf("load: %v", err)
	}
	s.loadTook = time.Since(began)
	s.nodes = append(s.nodes, n)
}

// addCaller makes a caller with every grant, who is to ask.
func (s *storm) addCaller(name string, flags ...string) *caller {
	s.t.Helper()
	c := s.newCaller(name, flags...).worker(uint64(100 + len(s.callers)))
	s.callers[name] = c
	return c
}

// newCaller makes a caller with every grant.
func (s *storm) newCaller(name string, flags ...string) *caller {
	s.t.Helper()
	c := &caller{s: s}
	out, err := s.nodes[0].command(append(append([]string{
		"caller", "add", name, "--json", "--builds", fmt.Sprint(stormCredits),
		"--insights", fmt.Sprint(stormCredits), "--expansions", fmt.Sprint(stormCredits),
	}, allGrants()...), flags...)...)
	if err == nil {
		err = json.Unmarshal([]byte(out), c)
	}
	if err == nil {
		c.verifier, err = standardwebhooks.NewWebhook(c.WebhookSecret)
	}
	if err != nil {
		s.t.Fatalf("caller add: %v", err)
	}
	return c
}

// run is a storm that kills processes, and what is looked at afterwards.
func (s *storm) run() {
	s.t.Helper()
	s.blow(plan(s.rng, windows, stormCount(s.t), s.blobs == ""), s.strike)
}

// blow strikes in each of the windows while callers go on, and looks at what is
// left.
func (s *storm) blow(moments []window, strike func(ctx context.Context, i int, w window)) {
	s.t.Helper()
	s.quietReports()
	s.addCaller("steady")
	s.addCaller("hasty", "--concurrent-builds", "2")
	s.addCaller("lists")
	for _, n := range s.nodes {
		s.start(n)
		s.ready(n)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Hour)
	defer cancel()
	var work sync.WaitGroup
	for i, do := range s.workers() {
		work.Go(func() { do(ctx, uint64(i)) })
	}
	if s.database != "" {
		work.Go(func() { s.watchLeases(ctx) })
	}
	for i, w := range moments {
		strike(ctx, i, w)
		if s.t.Failed() {
			break
		}
	}
	close(s.over)
	s.aim.rest()
	work.Wait()
	if s.t.Failed() {
		s.logServers()
		return
	}
	s.settled(ctx)
	s.report(len(moments))
	s.afterwards(ctx)
	if s.t.Failed() {
		s.logServers()
	}
}

// watchLeases makes sure that no job runs for long after its lease has ended.
func (s *storm) watchLeases(ctx context.Context) {
	db := openRows(s.t, s.database, "")
	defer db.Close()
	for s.goesOn() && ctx.Err() == nil {
		var late int
		err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM jobs WHERE state = 'running' AND lease_until < $1`,
			time.Now().Add(-20*time.Second).UnixMicro()).Scan(&late)
		if err != nil || late > 0 {
			s.t.Errorf("%d jobs run though their leases ended 20 s ago: %v", late, err)
			return
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			return
		}
	}
}

// workers are what the callers do meanwhile, each again and again.
func (s *storm) workers() []func(ctx context.Context, i uint64) {
	steady, hasty, lists := s.callers["steady"], s.callers["hasty"], s.callers["lists"]
	repeat := func(c *caller, do func(c *caller, ctx context.Context, n int) error) func(context.Context, uint64) {
		return func(ctx context.Context, i uint64) {
			w := c.worker(i)
			for n := 0; s.goesOn() && ctx.Err() == nil; n++ {
				if err := do(w, ctx, n); err != nil && ctx.Err() == nil {
					s.t.Errorf("worker %d of %s, round %d: %v", i, w.Name, n, err)
					return
				}
			}
		}
	}
	return []func(context.Context, uint64){
		repeat(steady, (*caller).build), repeat(steady, (*caller).build), repeat(steady, (*caller).build),
		repeat(hasty, (*caller).changeMind), repeat(hasty, (*caller).changeMind),
		repeat(steady, (*caller).report), repeat(steady, (*caller).report), repeat(steady, (*caller).sendUpload), repeat(steady, (*caller).look),
		func(ctx context.Context, i uint64) { s.devices(ctx, lists.worker(i)) },
	}
}

func (s *storm) goesOn() bool {
	select {
	case <-s.over:
		return false
	default:
		return !s.t.Failed()
	}
}

// start starts a node's server and waits until it serves.
func (s *storm) start(n *node) {
	s.t.Helper()
	p, serving := s.launch(n)
	if err := n.await(p, serving); err != nil {
		s.t.Fatal(err)
	}
}

// ready waits until a server says that it can answer: one that never had a
// generation fetches it first.
func (s *storm) ready(n *node) {
	s.t.Helper()
	for began := time.Now(); ; {
		resp, err := stormHTTP.Get(n.url() + "/readyz") //nolint:noctx // it has a timeout
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Since(began) > time.Minute {
			s.t.Fatalf("server %s is not ready after a minute: %v", n.name, err)
		}
		if err := pause(s.t.Context(), 10*time.Millisecond); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *storm) launch(n *node) (*process, <-chan string) {
	s.t.Helper()
	p, serving, err := n.launch(s.t.Context(), "--allow-private-callbacks", "--drop", s.drop, "--device-lock", "0", "--public-url", s.nodes[0].url())
	if err != nil {
		s.t.Fatal(err)
	}
	s.servers = append(s.servers, p)
	s.t.Cleanup(p.kill)
	return p, serving
}

// count counts what a caller did.
func (s *storm) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally[what]++
}

// accept writes down that an audience was accepted.
func (s *storm) accept(e *entry) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger = append(s.ledger, e)
	return e
}

// report tells what the storm was.
func (s *storm) report(kills int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d strikes in %.0f s, by the moment that they hit:\n", kills, time.Since(s.began).Seconds())
	for _, name := range sortedKeys(s.hits) {
		fmt.Fprintf(&b, "  %-28s %4d", name, s.hits[name])
		if m := s.missed[name]; m > 0 {
			fmt.Fprintf(&b, "  (%d more that were aimed at it came at another moment)", m)
		}
		b.WriteString("\n")
	}
	b.WriteString("what callers did:\n")
	for _, what := range sortedKeys(s.tally) {
		fmt.Fprintf(&b, "  %-44s %6d\n", what, s.tally[what])
	}
	b.WriteString("longest waits, from when a server was last seen dying:\n")
	for _, what := range sortedKeys(s.waits) {
		fmt.Fprintf(&b, "  %-44s %6.2f s (%s)\n", what, s.waits[what].d.Seconds(), s.waits[what].what)
	}
	s.t.Log(b.String())
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// logServers tells the last that servers said.
func (s *storm) logServers() {
	for _, p := range s.servers[max(0, len(s.servers)-4):] {
		log := p.log.String()
		s.t.Logf("server's log:\n%s", log[max(0, len(log)-20_000):])
	}
}
