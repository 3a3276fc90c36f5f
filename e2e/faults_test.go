package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/client"
	"throng/internal/pgtest"
	"throng/internal/s3test"
)

// outage is how long something is away in a test.
func outage(short time.Duration) time.Duration {
	if long() {
		return 30 * time.Second
	}
	return short
}

// patient is a server in a world that is being broken.
type patient struct {
	*process
	data     string
	settings []string
	token    string
	base     usage
	hook     string         // where callbacks go
	messages <-chan message // and what came
}

// newPatient starts a server with everything that a build needs, and has it
// build once.
func newPatient(t *testing.T, settings ...string) *patient {
	t.Helper()
	p := &patient{data: newData(t), settings: settings}
	p.hook, p.messages = receiver(t, http.StatusNoContent)
	p.process = start(t, p.data, append([]string{"--allow-private-callbacks", "--admin-listen", "127.0.0.1:0"}, settings...)...)
	_, p.token = addCaller(t, p.process, p.data, "patient", slices.Concat(settings, allGrants())...)
	waitDone(t, p.client(), p.create(t, "before"))
	await(t, p.messages)
	p.ask(t, http.MethodPost, "/audiences/preview", definition(""))
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	p.base = p.usage(t)
	return p
}

func (p *patient) client() *client.Client { return client.New(p.URL, p.token) }

func (p *patient) ask(t testing.TB, method, path, body string, headers ...string) exchanged {
	t.Helper()
	media := ""
	if body != "" {
		media = "application/json"
	}
	return exchange(t, p.process, p.token, method, "/platform/v0"+path, media, body, headers...)
}

func (p *patient) body() string { return definition(fmt.Sprintf(`"callback_url":%q`, p.hook)) }

// create makes an audience that is announced.
func (p *patient) create(t testing.TB, key string) int64 {
	t.Helper()
	got := p.ask(t, http.MethodPost, "/audiences", p.body(), "Idempotency-Key", key)
	if got.status != http.StatusOK {
		t.Fatalf("create = %d %s", got.status, got.body)
	}
	return int64(atoi(t, value(t, got, "response.id")))
}

// wantAway makes sure that an answer says that something is away, and when to
// come back.
func wantAway(t *testing.T, what string, got exchanged) {
	t.Helper()
	if got.status != http.StatusServiceUnavailable || value(t, got, "error.code") != "unavailable" || got.header.Get("Retry-After") == "" {
		t.Errorf("%s = %d %s, Retry-After %q; want 503 with it", what, got.status, got.body, got.header.Get("Retry-After"))
	}
}

// until asks again and again, and tells how long it took until it was as wanted.
func until(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > 3*time.Minute {
			t.Fatalf("%s: not after 3 minutes", what)
		}
		time.Sleep(20 * time.Millisecond) // between two questions, as a client would
	}
	return time.Since(begun).Round(10 * time.Millisecond)
}

// recovers waits until everything is as if nothing had been: the server is
// ready, builds that were running are done and announced, and nothing more is
// held than before.
func (p *patient) recovers(t *testing.T, ids []int64) {
	t.Helper()
	ready := until(t, "ready", func() bool {
		return exchange(t, p.process, "", http.MethodGet, "/readyz", "", "").status == http.StatusOK
	})
	preview := until(t, "preview", func() bool {
		return p.ask(t, http.MethodPost, "/audiences/preview", definition("")).status == http.StatusOK
	})
	begun := time.Now()
	for _, id := range ids {
		if a := waitDone(t, p.client(), id); a.Status != "done" {
			t.Errorf("audience %d is %s: %+v", id, a.Status, a.Error)
		}
	}
	built := time.Since(begun).Round(10 * time.Millisecond)
	told := map[string]bool{}
	for len(told) < len(ids) { // a message whose answer was not written down comes again
		told[value(t, exchanged{body: await(t, p.messages).body}, "response.id")] = true
	}
	if size := value(t, p.ask(t, http.MethodGet, "/audiences?limit=500", ""), "response.data.len"); size != fmt.Sprint(len(ids)+1) {
		t.Errorf("there are %s audiences, want %d", size, len(ids)+1)
	}
	t.Logf("well again: ready after %v, previews after %v more, builds done and announced after %v more", ready, preview, built)
	end := p.settles(t, p.base)
	t.Logf("goroutines %d → %d, handles %d → %d", p.base.goroutines, end.goroutines, p.base.handles, end.handles)
	if log := p.log.String(); strings.Contains(log, "request failed") || strings.Contains(log, "panicked") {
		t.Error("the log tells of internal errors")
	}
}

// TestDatabaseAway takes the database away in the middle of builds.
func TestDatabaseAway(t *testing.T) {
	t.Parallel() // it waits, mostly
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	t.Run("gone", func(t *testing.T) { databaseAway(t, gone, outage(3*time.Second)) })
	t.Run("mute", func(t *testing.T) { databaseAway(t, mute, outage(12*time.Second)) })
	t.Run("slow", func(t *testing.T) {
		between, url := newProxy(t, pgtest.URL(t))
		p := newPatient(t, "--database", url)
		between.set(t, slow)
		begun := time.Now()
		if got := p.ask(t, http.MethodPost, "/audiences/preview", definition("")); got.status != http.StatusOK {
			t.Errorf("preview = %d %s, want 200, however late", got.status, got.body)
		}
		preview := time.Since(begun)
		a := waitDone(t, p.client(), p.create(t, "slow"))
		t.Logf("every message %v late: preview takes %v, a build %v", lag, preview.Round(time.Millisecond), (time.Since(begun) - preview).Round(time.Millisecond))
		between.set(t, fair)
		p.recovers(t, []int64{a.ID})
	})
}

func databaseAway(t *testing.T, w weather, lasts time.Duration) {
	t.Helper()
	between, url := newProxy(t, pgtest.URL(t))
	p := newPatient(t, "--database", url)
	var ids []int64
	for i := range 6 {
		ids = append(ids, p.create(t, fmt.Sprint("running-", i)))
	}
	between.set(t, w)
	end := time.Now().Add(lasts)

	var clients sync.WaitGroup
	var mu sync.Mutex
	made := func(got exchanged) {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, int64(atoi(t, value(t, got, "response.id"))))
	}
	running := ids[0]
	var slowest time.Duration
	asked := 0
	for _, request := range [][3]string{
		{http.MethodPost, "/audiences/preview", definition("")},
		{http.MethodPost, "/audiences", p.body()},
		{http.MethodGet, fmt.Sprint("/audiences/", running), ""},
		{http.MethodGet, "/audiences", ""},
		{http.MethodGet, "/affinities", ""},
		{http.MethodGet, "/credits", ""},
		{http.MethodGet, fmt.Sprint("/audiences/", running, "/outputs/ss_id"), ""},
		{http.MethodPost, "/audiences/999999/cancel", ""},
	} {
		for range 4 {
			clients.Go(func() {
				for time.Now().Before(end) {
					begun := time.Now()
					got := p.ask(t, request[0], request[1], request[2])
					mu.Lock()
					slowest, asked = max(slowest, time.Since(begun)), asked+1
					mu.Unlock()
					if time.Now().Before(end) {
						wantAway(t, request[0]+" "+request[1], got)
					} else if request[1] == "/audiences" && request[0] == http.MethodPost && got.status == http.StatusOK {
						made(got) // which had waited until then
					}
					time.Sleep(20 * time.Millisecond) // a client that is told to wait, and does not
				}
			})
		}
	}
	until(t, "not ready", func() bool {
		return exchange(t, p.process, "", http.MethodGet, "/readyz", "", "").status == http.StatusServiceUnavailable
	})
	if got := exchange(t, p.process, "", http.MethodGet, "/healthz", "", ""); got.status != http.StatusOK {
		t.Errorf("healthz = %d, want 200: a restart would not help", got.status)
	}
	time.Sleep(time.Until(end)) // the outage itself
	during := p.usage(t)
	between.set(t, fair)
	clients.Wait()
	t.Logf("the database was %v for %v: %d requests answered 503, the slowest after %v; goroutines %d → %d",
		w, lasts, asked, slowest.Round(10*time.Millisecond), p.base.goroutines, during.goroutines)
	if most := p.base.goroutines + 32*8; during.goroutines > most {
		t.Errorf("there are %d goroutines for 32 requests at once, want at most %d", during.goroutines, most)
	}
	if slowest > 20*time.Second {
		t.Errorf("the slowest answer came after %v, want 503 after 10 s or so", slowest)
	}
	p.recovers(t, ids)
}

// storeAt replaces the endpoint of a bucket's URL.
func storeAt(t *testing.T, bucket string, through func(endpoint string) string) string {
	t.Helper()
	u, err := url.Parse(bucket)
	if err != nil {
		t.Fatal("the bucket's URL is none")
	}
	q := u.Query()
	q.Set("endpoint", through(q.Get("endpoint")))
	u.RawQuery = q.Encode()
	return u.String()
}

// TestStoreAway takes the store of files away in the middle of builds, in all
// the ways in which stores are.
func TestStoreAway(t *testing.T) {
	t.Parallel() // it waits, mostly
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	for _, w := range []weather{gone, mute} {
		t.Run(w.String(), func(t *testing.T) {
			var between *proxy
			bucket := storeAt(t, s3test.URL(t), func(endpoint string) (through string) {
				between, through = newProxy(t, endpoint)
				return through
			})
			storeAway(t, bucket, w.String(), outage(20*time.Second), func() { between.set(t, w) }, func() { between.set(t, fair) })
		})
	}
	for fault, name := range map[storeFault]string{erring: "failing", cutting: "cutting"} {
		t.Run(name, func(t *testing.T) {
			var between *storeProxy
			bucket := storeAt(t, s3test.URL(t), func(endpoint string) (through string) {
				between, through = newStoreProxy(t, strings.TrimPrefix(endpoint, "http://"))
				return through
			})
			storeAway(t, bucket, name, outage(20*time.Second), func() { between.fault.Store(int32(fault)) }, func() { between.fault.Store(int32(sound)) })
			if between.done.Load() == 0 {
				t.Error("no answer was spoilt")
			}
		})
	}
	t.Run("slow", func(t *testing.T) {
		var between *proxy
		bucket := storeAt(t, s3test.URL(t), func(endpoint string) (through string) {
			between, through = newProxy(t, endpoint)
			return through
		})
		p := newPatient(t, "--blobs", bucket)
		between.set(t, slow)
		begun := time.Now()
		a := waitDone(t, p.client(), p.create(t, "slow"))
		t.Logf("every message %v late: a build takes %v", lag, time.Since(begun).Round(time.Millisecond))
		between.set(t, fair)
		p.recovers(t, []int64{a.ID})
	})
}

// storeAway breaks the store for a while. Creates are accepted meanwhile, and
// whatever needs no file goes on; downloads and uploads are 503.
func storeAway(t *testing.T, bucket, name string, lasts time.Duration, spoil, mend func()) {
	t.Helper()
	p := newPatient(t, "--blobs", bucket)
	first := value(t, p.ask(t, http.MethodGet, "/audiences", ""), "response.data.0.id")
	output := "/audiences/" + first + "/outputs/md5"
	whole := p.ask(t, http.MethodGet, output, "")
	var ids []int64
	for i := range 3 {
		ids = append(ids, p.create(t, fmt.Sprint("running-", i)))
	}
	spoil()
	end := time.Now().Add(lasts)
	for i := range 3 {
		ids = append(ids, p.create(t, fmt.Sprint("meanwhile-", i)))
	}
	if got := p.ask(t, http.MethodPost, "/audiences/preview", definition("")); got.status != http.StatusOK {
		t.Errorf("preview without the store = %d %s, want 200", got.status, got.body)
	}
	begun := time.Now()
	if got, err := tryDownload(t, p, output); err == nil && got.status == http.StatusOK {
		if !bytes.Equal(got.body, whole.body) {
			t.Errorf("a download without the store gives %d bytes, want %d or none", len(got.body), len(whole.body))
		}
	} else if err == nil {
		wantAway(t, "download", got)
	}
	took := time.Since(begun)
	t.Logf("the store is %s: a download is answered after %v", name, took.Round(10*time.Millisecond))
	if name != "cutting" { // an upload is written; only what is read is cut
		got := exchange(t, p.process, p.token, http.MethodPost, "/platform/v0/uploads?type=md5", "text/plain", md5Of("a")+"\n")
		if time.Now().Before(end) {
			wantAway(t, "upload", got)
		}
	}
	time.Sleep(time.Until(end)) // the outage itself
	mend()
	p.recovers(t, ids)
	if got := p.ask(t, http.MethodGet, output, ""); !bytes.Equal(got.body, whole.body) {
		t.Errorf("a download afterwards gives %d %d bytes, want the %d of before", got.status, len(got.body), len(whole.body))
	}
}

// tryDownload asks for a file that may not come whole.
func tryDownload(t *testing.T, p *patient, path string) (exchanged, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/platform/v0"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return exchanged{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return exchanged{resp.StatusCode, resp.Header, body}, err
}
