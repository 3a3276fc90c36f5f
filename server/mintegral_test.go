package server

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/client"
)

// clock is moved by tests, not waited for.
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

// serving opens a server on a free port of the loopback. It ends with the test.
func serving(t testing.TB, cfg Config) (s *Server, url string) {
	t.Helper()
	cfg.Data, cfg.Listen, cfg.Logger = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", slog.New(slog.DiscardHandler)
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended, at := make(chan error, 1), make(chan string, 1)
	go func() { ended <- s.Serve(ctx, func(url string) { at <- url }) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			t.Errorf("end server: %v", err)
		}
	})
	select {
	case url = <-at:
	case err := <-ended:
		ended <- err
		t.Fatalf("serve: %v", err)
	}
	return s, url
}

// loadTwo loads a dataset of two people, of whom one has an IDFA.
func (s *Server) loadTwo(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"dataset.json": `{"as_of":"2026-11-01T00:00:00Z"}`, "people.csv": "person\np1\np2\n",
		"identifiers.csv": "person,type,value\np1,idfa," + ids[0] + "\np2,email_raw,jo@example.com\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Load(t.Context(), dir, LoadOptions{Memory: 64 << 20}); err != nil {
		t.Fatal(err)
	}
}

// ids are advertising ids of nobody.
var ids = []string{"7A1E3C5F-2B4D-4E6F-8A9B-0C1D2E3F4A5B", "1B2C3D4E-5F60-4172-8394-A5B6C7D8E9F0", "C0FFEE00-1111-4222-8333-444455556666"}

func sum(text string) string {
	b := md5.Sum([]byte(text))
	return hex.EncodeToString(b[:])
}

// account makes a caller and gives its client.
func account(t testing.TB, s *Server, at, name string, now func() time.Time) *client.Mintegral {
	t.Helper()
	made, err := s.AddCaller(t.Context(), name, CallerSpec{})
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewMintegral(at, made.AccessKey, made.APIKey)
	c.Now = now
	return c
}

// sent sends a file and gives its path.
func sent(t testing.TB, c *client.Mintegral, name, text string) string {
	t.Helper()
	p, err := c.Presign(t.Context(), name, sum(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Put(t.Context(), p, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return p.S3.DataPath
}

func wantRefusal(t testing.TB, what string, err error, code int, paths ...string) *client.MintegralError {
	t.Helper()
	e, ok := errors.AsType[*client.MintegralError](err)
	if !ok || e.Code != code {
		t.Fatalf("%s = %v, want code %d", what, err, code)
	}
	var got []string
	for _, d := range e.Details {
		got = append(got, d.Path)
	}
	if len(paths) > 0 && !slices.Equal(got, paths) {
		t.Errorf("%s is refused for %q, want %q", what, got, paths)
	}
	return e
}

// TestMintegralSession is the day of a client that was written from the
// vendor's pages alone: send files, create, list, update, target, ask, delete.
func TestMintegralSession(t *testing.T) {
	// By the real time of its begin: what dates files by themselves agrees.
	now := &clock{now: time.Now().UTC().Truncate(time.Second)}
	s, at := serving(t, Config{Now: now.Now})
	s.loadTwo(t)
	ctx := t.Context()
	c := account(t, s, at, "advertiser", now.Now)

	// An address takes the bytes that were announced.
	text := "idfa\n" + ids[0] + "\n" + strings.ToLower(ids[1]) + "\n"
	p, err := c.Presign(ctx, "idfa.txt", sum(text))
	if err != nil || p.AreaType != 1 || p.FileName != "idfa.txt" || p.FileMD5 != sum(text) || p.TTL != 300 || p.S3.Method != "PUT" {
		t.Fatalf("Presign() = %+v, %v", p, err)
	}
	wantRefusal(t, "PUT of other bytes", c.Put(ctx, p, strings.NewReader(text[1:])), 400)
	for range 2 {
		if err := c.Put(ctx, p, strings.NewReader(text)); err != nil {
			t.Fatalf("PUT of the bytes announced: %v", err)
		}
	}
	wantRefusal(t, "PUT of other bytes later", c.Put(ctx, p, strings.NewReader(text[1:])), 409)

	// Three device types in one audience.
	files := []client.DataPath{
		{DeviceType: 2, DataPath: p.S3.DataPath},
		{DeviceType: 7, DataPath: sent(t, c, "md5.csv", "md5\n"+sum(ids[0])+"\n"+sum(ids[2])+"\n")},
		{DeviceType: 1, DataPath: sent(t, c, "imei.txt", "imei\n490154203237518\n490154203237519\n")},
	}
	id, err := c.Create(ctx, "three types", 3, files)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Wait(ctx, id, 5*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	count := func(n uint64) *uint64 { return &n }
	created := now.Now().Unix()
	want := &client.DeviceAudience{
		ID: id, Platform: 3, Name: "three types", Type: 1, DeviceType: "1,2,7", AreaType: 1, CTime: created, UTime: created, Status: "ready",
		// Of 6 lines one IMEI has a wrong check digit, and one MD5 is that of an IDFA.
		Devices: count(4), People: count(1), Rows: count(6), Invalid: count(1), Duplicate: count(1),
		NextUpdateAt: created + 12*3600, Warnings: []string{},
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("the audience (-want +got):\n%s", diff)
	}

	// Other files are taken from the moment on that the refusal tells of.
	wantRefusal(t, "early update that is invalid", c.Update(ctx, id, []client.DataPath{{DeviceType: 5, DataPath: files[0].DataPath}}), 400, "data_path[0].device_type")
	early := wantRefusal(t, "early update", c.Update(ctx, id, files[:1]), 409)
	if at := now.Now().Add(12 * time.Hour).Format(time.RFC3339); !strings.Contains(early.Message, at) {
		t.Errorf("the refusal of an early update says %q, want it to name %s", early.Message, at)
	}
	now.Add(12*time.Hour - time.Second)
	wantRefusal(t, "update a second too early", c.Update(ctx, id, files[:1]), 409)
	now.Add(time.Second)
	if err := c.Update(ctx, id, files[:1]); err != nil {
		t.Fatalf("update 12 hours later: %v", err)
	}
	if a, err = c.Wait(ctx, id, 5*time.Millisecond); err != nil || *a.Devices != 2 || a.DeviceType != "2" || a.UTime != now.Now().Unix() || a.CTime != created {
		t.Errorf("after the update: %+v, %v", a, err)
	}
	offerAndDelete(t, c, id)
}

// offerAndDelete is the session's end.
func offerAndDelete(t *testing.T, c *client.Mintegral, id int64) {
	t.Helper()
	ctx := t.Context()
	devices := []client.Device{{Type: 2, ID: ids[0]}, {Type: 7, ID: sum(ids[1])}, {Type: 2, ID: ids[2]}}
	match := func(want ...bool) {
		t.Helper()
		got, err := c.Match(ctx, 66785, devices)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Match(), %v (-want +got):\n%s", err, diff)
		}
	}
	_, err := c.Match(ctx, 66785, devices)
	wantRefusal(t, "question about an offer never set", err, 404)
	for _, step := range []struct {
		offer client.Offer
		want  []bool
	}{
		{client.Offer{ID: 66785, Include: []int64{id}}, []bool{true, true, false}},
		{client.Offer{ID: 66785, Exclude: []int64{id}}, []bool{false, false, true}},
		{client.Offer{ID: 66785, Include: []int64{id}, Exclude: []int64{id}}, []bool{false, false, false}},
		{client.Offer{ID: 66785}, []bool{true, true, true}},
		{client.Offer{ID: 66785, Include: []int64{id}}, []bool{true, true, false}},
	} {
		if err := c.PutOffer(ctx, step.offer); err != nil {
			t.Fatal(err)
		}
		match(step.want...)
	}
	if o, err := c.Offer(ctx, 66785); err != nil || !cmp.Equal(o, &client.Offer{ID: 66785, Include: []int64{id}, Exclude: []int64{}}) {
		t.Errorf("Offer() = %+v, %v", o, err)
	}
	wantRefusal(t, "deletion of a targeted audience", c.Delete(ctx, id), 409)
	if err := c.PutOffer(ctx, client.Offer{ID: 66785}); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(ctx, id); err != nil {
		t.Fatal(err)
	}
	if page, err := c.List(ctx, nil); err != nil || page.Total != 0 {
		t.Errorf("List() after all was deleted = %+v, %v", page, err)
	}
}

// TestMintegralIsolation tries everything that belongs to one caller with the
// keys of another.
func TestMintegralIsolation(t *testing.T) {
	s, at := serving(t, Config{})
	s.loadTwo(t)
	ctx := t.Context()
	mine, other := account(t, s, at, "owner", time.Now), account(t, s, at, "other", time.Now)
	file := sent(t, mine, "a.txt", "idfa\n"+ids[0]+"\n")
	id, err := mine.Create(ctx, "mine", 2, []client.DataPath{{DeviceType: 2, DataPath: file}})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := mine.Wait(ctx, id, 5*time.Millisecond); err != nil || a.Status != "ready" {
		t.Fatalf("Wait() = %+v, %v", a, err)
	}
	if err := mine.PutOffer(ctx, client.Offer{ID: 1, Include: []int64{id}}); err != nil {
		t.Fatal(err)
	}
	own := sent(t, other, "a.txt", "idfa\n"+ids[0]+"\n")
	_, err = other.Create(ctx, "x", 2, []client.DataPath{{DeviceType: 2, DataPath: file}})
	wantRefusal(t, "create of another's file", err, 400, "data_path[0].data_path")
	_, err = other.Offer(ctx, 1)
	wantRefusal(t, "another's offer", err, 404)
	_, err = other.Match(ctx, 1, nil)
	wantRefusal(t, "question about another's offer", err, 404)
	// Every id that was ever given out, and those beside them.
	for n := range id + 3 {
		if n == 0 {
			continue
		}
		wantRefusal(t, "update", other.Update(ctx, n, []client.DataPath{{DeviceType: 2, DataPath: own}}), 404)
		wantRefusal(t, "deletion", other.Delete(ctx, n), 404, "ta_id[0]")
		wantRefusal(t, "offer", other.PutOffer(ctx, client.Offer{ID: 1, Include: []int64{n}}), 404, "audience[0]")
		page, err := other.List(ctx, url.Values{"ta_ids": {strconv.FormatInt(n, 10)}})
		if err != nil || page.Total != 0 {
			t.Errorf("List(%d) by another caller = %+v, %v", n, page, err)
		}
	}
	if page, err := mine.List(ctx, nil); err != nil || page.Total != 1 || page.List[0].Status != "ready" {
		t.Errorf("List() by the owner after all that = %+v, %v", page, err)
	}
	if got, err := mine.Match(ctx, 1, []client.Device{{Type: 2, ID: ids[0]}}); err != nil || !slices.Equal(got, []bool{true}) {
		t.Errorf("Match() by the owner after all that = %v, %v", got, err)
	}
}

// TestMintegralSignature moves the clock of the client, not of the server.
func TestMintegralSignature(t *testing.T) {
	now := &clock{now: time.Unix(1471256697, 0)}
	s, at := serving(t, Config{Now: now.Now})
	theirs := &clock{now: now.Now()}
	c := account(t, s, at, "caller", theirs.Now)
	for off, good := range map[time.Duration]bool{
		0: true, 300 * time.Second: true, -300 * time.Second: true, 301 * time.Second: false, -301 * time.Second: false, 24 * time.Hour: false,
	} {
		theirs.now = now.Now().Add(off)
		_, err := c.List(t.Context(), nil)
		if good && err != nil {
			t.Errorf("a clock that is off by %v is refused: %v", off, err)
		}
		if !good {
			wantRefusal(t, "a clock that is off by "+off.String(), err, 401)
		}
	}
}
