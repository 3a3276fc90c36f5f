package e2e

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/client"
)

// platform is a second throng, which takes audiences as the ad platform does.
type platform struct {
	*process
	data              string
	accessKey, apiKey string
	client            *client.Mintegral
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{data: newData(t)}
	p.accessKey, p.apiKey = p.addCaller(t, "advertiser")
	p.process = start(t, p.data)
	p.client = client.NewMintegral(p.URL, p.accessKey, p.apiKey)
	return p
}

func (p *platform) addCaller(t *testing.T, name string) (accessKey, apiKey string) {
	t.Helper()
	var secrets struct {
		AccessKey string `json:"access_key"`
		APIKey    string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(throng(t, "caller", "add", name, "--data", p.data, "--json")), &secrets); err != nil {
		t.Fatal(err)
	}
	return secrets.AccessKey, secrets.APIKey
}

// env gives the secrets to the command.
func (p *platform) env() []string {
	return []string{"THRONG_DELIVER_ACCESS_KEY=" + p.accessKey, "THRONG_DELIVER_API_KEY=" + p.apiKey}
}

// to are the flags that deliver to it.
func (p *platform) to(flags ...string) []string {
	return append([]string{"--to", "mintegral", "--endpoint", p.URL, "--allow-private-callbacks", "--json"}, flags...)
}

// ready waits until an audience has been read, and returns it.
func (p *platform) ready(t *testing.T, id string) client.DeviceAudience {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		for _, a := range p.list(t, p.client) {
			if fmt.Sprint(a.ID) == id && a.Status != "processing" {
				if a.Status != "ready" || a.Devices == nil || a.Rows == nil || a.Invalid == nil || a.Duplicate == nil {
					t.Fatalf("audience = %+v, want it ready", a)
				}
				return a
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("audience %s is not ready after a minute", id)
		}
		time.Sleep(5 * time.Millisecond) // between two polls, as a client would
	}
}

func (p *platform) list(t *testing.T, c *client.Mintegral) []client.DeviceAudience {
	t.Helper()
	page, err := c.List(t.Context(), url.Values{"limit": {"500"}})
	if err != nil {
		t.Fatalf("list audiences: %v", err)
	}
	return page.List
}

// wantArrived holds what a platform has to what was sent.
func wantArrived(t *testing.T, a client.DeviceAudience, d deliveryState) {
	t.Helper()
	var listed int64
	for _, l := range d.Lists {
		listed += l.Rows
	}
	if rows := d.rows(); rows == 0 || listed != rows || int64(*a.Devices) != rows || int64(*a.Rows) != rows || *a.Invalid != 0 || *a.Duplicate != 0 {
		t.Errorf("%d listed, %d sent; the platform counts %d devices in %d rows, %d invalid, %d duplicate",
			listed, rows, *a.Devices, *a.Rows, *a.Invalid, *a.Duplicate)
	}
}

// TestRoundTrip delivers an audience built over one API to another throng's
// other API.
func TestRoundTrip(t *testing.T) {
	s, p := newSender(t), newPlatform(t)
	out, stderr, err := s.deliver(t, p.env(), p.to("--ma-id-as", "idfa", "--credentials", "main")...)
	if err != nil {
		t.Fatalf("throng deliver: %v\n%s", err, stderr)
	}
	first := decodeDelivery(t, out)
	a := p.ready(t, first.RemoteID)
	wantArrived(t, a, first)
	if a.Name != "from e2e" || a.Platform != 3 || *a.People == 0 {
		t.Errorf("audience = %+v, want people, mixed platforms and the name", a)
	}

	// Of one platform, with the credentials and the endpoint that were kept.
	out, stderr, err = s.deliver(t, nil, "--to", "mintegral", "--allow-private-callbacks", "--json", "--platform", "android", "--credentials", "main")
	if err != nil {
		t.Fatalf("throng deliver again: %v\n%s", err, stderr)
	}
	second := decodeDelivery(t, out)
	b := p.ready(t, second.RemoteID)
	wantArrived(t, b, second)
	if b.ID == a.ID || b.Platform != 1 || second.rows() >= first.rows() {
		t.Errorf("audience = %+v of %d devices, want another, of android", b, second.rows())
	}

	// New files are taken once in 12 hours.
	_, stderr, err = s.deliver(t, p.env(), p.to("--update", first.RemoteID)...)
	if err == nil || !strings.Contains(stderr, "again from "+time.Unix(a.NextUpdateAt, 0).UTC().Format(time.RFC3339)) || !strings.Contains(stderr, "--wait") {
		t.Errorf("an update under the lock: %v, %q", err, stderr)
	}

	// Another client of the platform sees nothing, and cannot update either.
	otherAccess, otherAPI := p.addCaller(t, "other")
	other := &platform{process: p.process, accessKey: otherAccess, apiKey: otherAPI}
	if seen := p.list(t, client.NewMintegral(p.URL, otherAccess, otherAPI)); len(seen) > 0 {
		t.Errorf("another client sees %+v", seen)
	}
	if _, stderr, err = s.deliver(t, other.env(), other.to("--update", first.RemoteID)...); err == nil || !strings.Contains(stderr, "knows no audience") {
		t.Errorf("an update of another's audience: %v, %q", err, stderr)
	}
	if got := p.list(t, p.client); len(got) != 2 {
		t.Errorf("the platform has %d audiences, want 2", len(got))
	}
	wantNoSecret(t, p, p.log.String(), stderr, out)
}

// TestUpdate gives an audience new files where the platform has no lock.
func TestUpdate(t *testing.T) {
	s, p := newSender(t), newPlatform(t)
	p.stop(t)
	p.process = start(t, p.data, "--device-lock", "0")
	p.client = client.NewMintegral(p.URL, p.accessKey, p.apiKey)
	out, stderr, err := s.deliver(t, p.env(), p.to("--platform", "ios")...)
	if err != nil {
		t.Fatalf("throng deliver: %v\n%s", err, stderr)
	}
	first := decodeDelivery(t, out)
	wantArrived(t, p.ready(t, first.RemoteID), first)
	out, stderr, err = s.deliver(t, p.env(), p.to("--ma-id-as", "gaid", "--update", first.RemoteID)...)
	if err != nil {
		t.Fatalf("throng deliver --update: %v\n%s", err, stderr)
	}
	second := decodeDelivery(t, out)
	if second.RemoteID != first.RemoteID || second.rows() <= first.rows() {
		t.Errorf("the update is of audience %s with %d devices, want of %s with more than %d", second.RemoteID, second.rows(), first.RemoteID, first.rows())
	}
	deadline := time.Now().Add(time.Minute)
	for a := p.ready(t, first.RemoteID); int64(*a.Devices) != second.rows(); a = p.ready(t, first.RemoteID) {
		if time.Now().After(deadline) {
			t.Fatalf("the platform counts %d devices, want %d", *a.Devices, second.rows())
		}
		time.Sleep(5 * time.Millisecond) // the old ones stay in use while the new are read
	}
	wantArrived(t, p.ready(t, first.RemoteID), second)
}

// TestWaitForLock waits for the time from which the platform takes new files.
func TestWaitForLock(t *testing.T) {
	t.Parallel() // it waits, mostly
	s, p := newSender(t), newPlatform(t)
	p.stop(t)
	p.process = start(t, p.data, "--device-lock", "8s")
	p.client = client.NewMintegral(p.URL, p.accessKey, p.apiKey)
	out, stderr, err := s.deliver(t, p.env(), p.to("--platform", "ios")...)
	if err != nil {
		t.Fatalf("throng deliver: %v\n%s", err, stderr)
	}
	first := decodeDelivery(t, out)
	until := time.Unix(p.ready(t, first.RemoteID).NextUpdateAt, 0)
	early := time.Until(until) > 2*time.Second // not on a machine that is busy with more than this
	out, stderr, err = s.deliver(t, p.env(), p.to("--update", first.RemoteID, "--wait")...)
	if err != nil {
		t.Fatalf("throng deliver --wait: %v\n%s", err, stderr)
	}
	second := decodeDelivery(t, out)
	if want := "waiting until the receiver takes new files, " + until.UTC().Format(time.RFC3339); early && !strings.Contains(stderr, want) {
		t.Errorf("the command told %q, want %q", stderr, want)
	}
	for _, a := range p.list(t, p.client) {
		if second.RemoteID != first.RemoteID || a.UTime < until.Unix() {
			t.Errorf("audience %s was given files at %d, want %s not before %d", second.RemoteID, a.UTime, first.RemoteID, until.Unix())
		}
	}
}

// TestKillDuringDelivery kills the sender at every request to the platform, when
// that has answered and the sender does not know it yet: what was ordered
// arrives once.
func TestKillDuringDelivery(t *testing.T) {
	s, p := newSender(t), newPlatform(t)
	between := newKiller(t, p.URL)
	path := fmt.Sprintf("/platform/v0/audiences/%d/deliveries", s.audience)
	server := start(t, s.data, "--allow-private-callbacks")
	var logs strings.Builder
	killed := map[string]bool{}
	for n := 1; ; n++ {
		name := fmt.Sprintf("killed at request %d", n)
		dead := between.arm(n, server.kill)
		body := fmt.Sprintf(`{"to":"mintegral","name":%q,"ma_id_as":"gaid","endpoint":%q,"credentials":{"access_key":%q,"api_key":%q}}`,
			name, between.URL, p.accessKey, p.apiKey)
		made := exchange(t, server, s.token, http.MethodPost, path, "application/json", body)
		if made.status != http.StatusOK {
			t.Fatalf("order: %d %s", made.status, made.body)
		}
		id := value(t, made, "response.id")
		if d, ended := s.follow(t, server, path+"/"+id, dead); ended {
			wantArrived(t, p.ready(t, d.RemoteID), d)
			break // it takes fewer requests
		}
		killed[between.request()] = true
		logs.WriteString(server.log.String())
		server = start(t, s.data, "--allow-private-callbacks")
		d, _ := s.follow(t, server, path+"/"+id, nil)
		if d.Status != "done" {
			t.Fatalf("%s is %s: %+v", name, d.Status, d.Error)
		}
		wantArrived(t, p.ready(t, d.RemoteID), d)
		if testing.Short() && n == 1 {
			break
		}
	}
	seen := map[string]int{}
	for _, a := range p.list(t, p.client) {
		if seen[a.Name]++; seen[a.Name] > 1 {
			t.Errorf("%s has arrived more than once", a.Name)
		}
	}
	if !testing.Short() && !killed["POST /api/open/v1/audience"] {
		t.Errorf("killed at %v, and never while the audience was made", killed)
	}
	wantNoSecret(t, p, logs.String(), server.log.String(), p.log.String())
}

// TestDeliverOutlivesServer ends the server that does the work of the command:
// the command goes on with it. And the other way round.
func TestDeliverOutlivesServer(t *testing.T) {
	s, p := newSender(t), newPlatform(t)
	between := newKiller(t, p.URL)
	flags := []string{"--to", "mintegral", "--endpoint", between.URL, "--allow-private-callbacks", "--json", "--ma-id-as", "gaid"}
	server := start(t, s.data, "--allow-private-callbacks")
	between.arm(3, server.kill)
	out, stderr, err := s.deliver(t, p.env(), flags...)
	if err != nil {
		t.Fatalf("throng deliver, whose server was killed: %v\n%s", err, stderr)
	}
	d := decodeDelivery(t, out)
	wantArrived(t, p.ready(t, d.RemoteID), d)

	cmd := exec.CommandContext(t.Context(), binary, append([]string{"deliver", fmt.Sprint(s.audience), "--data", s.data, "--name", "interrupted"}, flags...)...)
	cmd.Env = append(os.Environ(), p.env()...)
	var told strings.Builder
	cmd.Stderr = &told
	between.arm(3, func() { _ = cmd.Process.Signal(os.Interrupt) }) // it cannot have ended
	if err := cmd.Run(); err == nil || !strings.Contains(told.String(), "stays ordered") {
		t.Fatalf("throng deliver, interrupted: %v, %q", err, told.String())
	}
	server = start(t, s.data, "--allow-private-callbacks")
	d, _ = s.follow(t, server, fmt.Sprintf("/platform/v0/audiences/%d/deliveries/%d", s.audience, d.ID+1), nil)
	if d.Status != "done" {
		t.Fatalf("the delivery that was interrupted is %s: %+v", d.Status, d.Error)
	}
	wantArrived(t, p.ready(t, d.RemoteID), d)
	if got := p.list(t, p.client); len(got) != 2 {
		t.Errorf("the platform has %d audiences, want 2", len(got))
	}
}

// follow waits until a delivery ends; false where the server is dead before.
func (s *sender) follow(t *testing.T, server *process, path string, dead <-chan struct{}) (d deliveryState, ended bool) {
	t.Helper()
	c := client.New(server.URL, s.token)
	for deadline := time.Now().Add(2 * time.Minute); ; {
		err := c.Get(t.Context(), path, &d)
		if err == nil && d.Status != "running" {
			return d, true
		}
		select {
		case <-dead:
			return d, false
		case <-time.After(10 * time.Millisecond): // between two polls, as a client would
		}
		if time.Now().After(deadline) {
			t.Fatalf("the delivery is still at %q: %v", d.Step, err)
		}
	}
}

// killer passes requests on to a platform, and ends their sender when the
// platform has answered one of them.
type killer struct {
	*httptest.Server
	mu   sync.Mutex
	left int // requests until the sender is ended
	end  func()
	dead chan struct{}
	last string // the request at which it was
}

func newKiller(t *testing.T, to string) *killer {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	k := &killer{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.left--; k.left == 0 {
				k.last = r.Request.Method + " " + r.Request.URL.Path
				k.end()
				close(k.dead)
			}
			return nil
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	k.Server = httptest.NewServer(proxy)
	t.Cleanup(k.Close)
	return k
}

// arm has the sender ended at the n-th request from now.
func (k *killer) arm(n int, end func()) (dead <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left, k.end, k.dead = n, end, make(chan struct{})
	return k.dead
}

func (k *killer) request() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}

// wantNoSecret looks for a platform's secrets where they must not be.
func wantNoSecret(t *testing.T, p *platform, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(text, p.apiKey) || strings.Contains(text, p.accessKey) {
			t.Error("a secret was written down")
		}
	}
}
