package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
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

// TestKillDuringDelivery kills the sender at random moments: what was ordered
// arrives once.
func TestKillDuringDelivery(t *testing.T) {
	s, p := newSender(t), newPlatform(t)
	kills := 8
	if testing.Short() {
		kills = 2
	}
	path := fmt.Sprintf("/platform/v0/audiences/%d/deliveries", s.audience)
	var logs strings.Builder
	ordered := map[string]int64{}
	for i := range kills {
		server := start(t, s.data, "--allow-private-callbacks")
		name := fmt.Sprintf("delivery %d", i)
		body := fmt.Sprintf(`{"to":"mintegral","name":%q,"ma_id_as":"gaid","endpoint":%q,"credentials":{"access_key":%q,"api_key":%q}}`,
			name, p.URL, p.accessKey, p.apiKey)
		made := exchange(t, server, s.token, http.MethodPost, path, "application/json", body)
		if made.status != http.StatusOK {
			t.Fatalf("order: %d %s", made.status, made.body)
		}
		ordered[name] = int64(atoi(t, value(t, made, "response.id")))
		<-time.After(rand.N(400 * time.Millisecond)) // the moment of the kill, in the middle of something
		server.kill()
		logs.WriteString(server.log.String())
	}
	server := start(t, s.data, "--allow-private-callbacks")
	c := client.New(server.URL, s.token)
	for name, id := range ordered {
		var d deliveryState
		for deadline := time.Now().Add(2 * time.Minute); d.Status == "" || d.Status == "running"; {
			if err := c.Get(t.Context(), fmt.Sprintf("%s/%d", path, id), &d); err != nil {
				t.Fatal(err)
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is still at %q", name, d.Step)
			}
			time.Sleep(10 * time.Millisecond) // between two polls, as a client would
		}
		if d.Status != "done" {
			t.Fatalf("%s is %s: %+v", name, d.Status, d.Error)
		}
		wantArrived(t, p.ready(t, d.RemoteID), d)
	}
	seen := map[string]int{}
	for _, a := range p.list(t, p.client) {
		seen[a.Name]++
	}
	for name := range ordered {
		if seen[name] != 1 {
			t.Errorf("%s has arrived %d times, want once", name, seen[name])
		}
	}
	if len(seen) != kills {
		t.Errorf("the platform has audiences %v, want %d", seen, kills)
	}
	wantNoSecret(t, p, logs.String(), server.log.String(), p.log.String())
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
