package service

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"throng"
	"throng/blob"
	"throng/identifier"
	"throng/service/record"
	"throng/sqldb"
)

// limited adds a caller with limits.
func (s *testService) limited(name string, l CallerLimits) *throng.Caller {
	s.t.Helper()
	grants := throng.Grants()
	return s.add(name, CallerSettings{Grants: &grants, CallerLimits: l})
}

// stored is what is kept for a caller.
func (s *testService) stored(c *throng.Caller) sqldb.Stored {
	s.t.Helper()
	stored, err := s.db.StoredBytes(s.t.Context(), c.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return stored
}

// numbers are lines of n bytes in all, of ids from so many on.
func numbers(from, n int) string {
	var b strings.Builder
	for i := from; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d\n", i)
	}
	return b.String()[:n/8*8]
}

func TestQuotaOfUploads(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c := s.limited("small", CallerLimits{StoredMiB: new(int64(1))})
	put := func(from, n int) (*throng.Upload, error) {
		return s.CreateUpload(ctx, c, "twitter_id", "", strings.NewReader(numbers(from, n)), nil)
	}
	first, err := put(1_000_000, 800_000)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.stored(c); got.Uploads != 800_000 || got.Total() != 800_000 {
		t.Errorf("stored = %+v, want the upload's 800,000 bytes", got)
	}
	_, err = put(2_000_000, 800_000)
	wantCode(t, err, throng.QuotaExceeded)
	for _, part := range []string{"of the 1 MiB", "uploads 1.5", "delete uploads or audiences"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("refusal = %q, want it to tell %q", err, part)
		}
	}
	s.noOrphans(1)
	if _, err := put(1_000_000, 800_000); err != nil { // the same bytes again are the same upload
		t.Errorf("the same upload again: %v", err)
	}
	if _, err := put(3_000_000, 100_000); err != nil {
		t.Errorf("what still fits: %v", err)
	}
	if err := s.DeleteUpload(ctx, c, first.Key); err != nil {
		t.Fatal(err)
	}
	if _, err := put(2_000_000, 800_000); err != nil {
		t.Errorf("after a deletion: %v", err)
	}
	if _, err := s.CreateUpload(ctx, s.caller, "twitter_id", "", strings.NewReader(numbers(2_000_000, 3<<20)), nil); err != nil {
		t.Errorf("a caller without a limit: %v", err)
	}
}

// Of uploads at once, each of which would fit alone, no more are kept than fit.
func TestQuotaAtOnce(t *testing.T) {
	s := start(t)
	c := s.limited("eager", CallerLimits{StoredMiB: new(int64(1))})
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for i := range 6 {
		wg.Go(func() {
			_, err := s.CreateUpload(t.Context(), c, "twitter_id", "", strings.NewReader(numbers(1_000_000*(i+1), 400_000)), nil)
			if err != nil && throng.CodeOf(err) != throng.QuotaExceeded {
				t.Errorf("upload %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				taken++
			}
		})
	}
	wg.Wait()
	if got := s.stored(c).Total(); taken != 2 || got != 800_000 {
		t.Errorf("%d uploads of 400,000 bytes were taken, %d bytes are stored; want 2", taken, got)
	}
	s.noOrphans(2)
}

func TestQuotaOfIncoming(t *testing.T) {
	s := open(t, withURL)
	ctx := t.Context()
	c := s.limited("sender", CallerLimits{StoredMiB: new(int64(1))})
	send := func(size int64, body io.Reader) error {
		in, err := s.PresignFile(ctx, c, "", "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Receive(ctx, in.URL[strings.LastIndexByte(in.URL, '/')+1:], size, body)
		return err
	}
	wantCode(t, send(2<<20, strings.NewReader("nothing of it is read")), throng.QuotaExceeded)
	wantCode(t, send(-1, strings.NewReader(strings.Repeat("x", 2<<20))), throng.QuotaExceeded)
	if err := send(1<<20, strings.NewReader(strings.Repeat("x", 1<<20))); err != nil {
		t.Errorf("a file of all that is allowed: %v", err)
	}
	wantCode(t, send(1, strings.NewReader("x")), throng.QuotaExceeded)
	if err := s.SetCaller(ctx, "sender", CallerSettings{CallerLimits: CallerLimits{RequestsPerSecond: new(1)}}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, send(1, strings.NewReader("x")), throng.QuotaExceeded) // the one request of this second
	wantCode(t, send(1, strings.NewReader("x")), throng.RateLimited)
	if got := len(s.blobsOf(record.ReceivedPrefix)); got != 1 {
		t.Errorf("%d files are kept, want 1", got)
	}
	s.clock.Add(incomingLife + time.Second)
	if err := s.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if got := s.stored(c); got.Total() != 0 {
		t.Errorf("stored after the sweep = %+v", got)
	}
}

// A build that makes more than may be stored fails and leaves nothing; one that
// is asked for when nothing more may be stored is refused.
func TestQuotaOfBuilds(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c := s.limited("builder", CallerLimits{StoredMiB: new(int64(1))})
	everybody := `[{"operation":"OR","gender":{"genders":["male","female","unknown"]}}]`
	a := s.wait(c, s.create(c, definition(everybody)).ID)
	if a.Status != throng.Done {
		t.Fatalf("a small build is %s: %+v", a.Status, a.Failure)
	}
	var bytes int64
	for _, o := range a.Outputs {
		bytes += o.Bytes
	}
	if got := s.stored(c); got.Outputs != bytes || bytes == 0 {
		t.Errorf("stored = %+v, want the outputs' %d bytes", got, bytes)
	}
	room := 1<<20 - int(bytes) - 4 // so that all but a few bytes are taken
	if _, err := s.CreateUpload(ctx, c, "twitter_id", "", strings.NewReader(numbers(1_000_000, room)), nil); err != nil {
		t.Fatal(err)
	}
	before := len(s.blobsOf("audiences/"))
	failed := s.wait(c, s.create(c, definition(everybody)).ID)
	if failed.Status != throng.Failed || failed.Failure.Code != string(throng.QuotaExceeded) || !failed.Failure.Retry ||
		!strings.Contains(failed.Failure.Message, "1 MiB") || len(failed.Outputs) != 0 {
		t.Errorf("a build beyond the limit = %s, %+v, outputs %v", failed.Status, failed.Failure, failed.Outputs)
	}
	if got := len(s.blobsOf("audiences/")); got != before {
		t.Errorf("%d files of audiences, want the %d of before", got, before)
	}
	fill := sqldb.Upload{CallerID: c.ID, Key: "/fill", Type: "md5", Status: "ready", Bytes: 1<<20 - s.stored(c).Total(), CreatedAt: s.now()}
	if _, _, err := s.db.InsertUpload(ctx, fill); err != nil {
		t.Fatal(err)
	}
	_, err := s.CreateAudience(ctx, c, definition(everybody), nil)
	wantCode(t, err, throng.QuotaExceeded)
	if err := s.DeleteUpload(ctx, c, "/fill"); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAudience(ctx, c, a.ID); err != nil {
		t.Fatal(err)
	}
	if got := s.stored(c); got.Outputs != 0 {
		t.Errorf("stored after a deletion = %+v", got)
	}
	if a := s.wait(c, s.create(c, definition(everybody)).ID); a.Status != throng.Done {
		t.Errorf("a build after a deletion is %s: %+v", a.Status, a.Failure)
	}
}

// Files of devices beyond the limit fail, and the old ones stay in use.
func TestQuotaOfDevices(t *testing.T) {
	s := withDevices(t, func(c *Config) { c.DeviceLock = -1 })
	ctx := t.Context()
	small := s.devicesOf("idfa", "idfa\n"+idfa1+"\n")
	kept := s.stored(s.caller)
	if kept.Devices == 0 {
		t.Fatalf("stored = %+v, want bytes of devices", kept)
	}
	var many strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&many, "38400000-8cf0-11bd-b23e-%012x\n", i)
	}
	source := s.sources("gaid", many.String())
	limit := (s.stored(s.caller).Total() + 1<<20 - 1) >> 20 // all that is there, the file that was sent included
	if err := s.SetCaller(ctx, "all", CallerSettings{CallerLimits: CallerLimits{StoredMiB: &limit}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateDevices(ctx, s.caller, small.ID, source, nil); err != nil {
		t.Fatal(err)
	}
	a := s.waitDevices(small.ID)
	if a.Status != throng.Failed || a.Failure.Code != string(throng.QuotaExceeded) || a.Counts == nil || a.Counts.Devices != 1 {
		t.Errorf("after files beyond the limit: %s, %+v, counts %+v; want the old ones in use", a.Status, a.Failure, a.Counts)
	}
	if got := s.stored(s.caller).Devices; got != kept.Devices {
		t.Errorf("devices have %d bytes, want %d as before", got, kept.Devices)
	}
	none := int64(0)
	if err := s.SetCaller(ctx, "all", CallerSettings{CallerLimits: CallerLimits{StoredMiB: &none}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateDevices(ctx, s.caller, small.ID, source, nil); err != nil {
		t.Fatal(err)
	}
	if a := s.waitDevices(small.ID); a.Status != throng.Done || a.Counts.Devices != 60_000 {
		t.Errorf("without a limit: %s, %+v", a.Status, a.Failure)
	}
}

// Builds beyond those that may wait are refused, and cost no credit.
func TestWaitingBuilds(t *testing.T) {
	s := open(t, withURL)
	s.load(people()) // jobs do not run
	ctx := t.Context()
	c := s.limited("patient", CallerLimits{WaitingBuilds: new(3)})
	if err := s.SetCaller(ctx, "patient", CallerSettings{Builds: new(int64(10))}); err != nil {
		t.Fatal(err)
	}
	d := definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a2"}]}}]`)
	for range 3 {
		s.create(c, d)
	}
	_, err := s.CreateAudience(ctx, c, d, nil)
	wantCode(t, err, throng.RateLimited)
	if e := err.(*throng.Error); e.RetryAfter != retryWaiting || !strings.Contains(e.Message, "3 of your builds wait") { //nolint:errorlint // the service returns it bare
		t.Errorf("refusal = %q after %v", e.Message, e.RetryAfter)
	}
	list, _, err := s.ListAudiences(ctx, c, AudienceFilter{})
	if err != nil || len(list) != 3 {
		t.Fatalf("%d audiences, %v, want 3", len(list), err)
	}
	if credits, err := s.Credits(ctx, c); err != nil || credits.Builds != 7 {
		t.Errorf("credits = %+v, %v, want 7 builds", credits, err)
	}
	_, err = s.RegenerateAudience(ctx, c, list[0].ID, Build{}, nil)
	wantCode(t, err, throng.RateLimited)
	s.create(s.caller, d) // another caller's
	file := s.sendAs(c, "idfa\n"+idfa1+"\n")
	source := []DeviceSource{{Type: identifier.IDFA, Path: file}}
	for i := range 4 { // of their own: they wait for workers of their own
		_, err := s.CreateDevices(ctx, c, DeviceList{Name: "x", Platform: throng.IOS, Files: source})
		if i < 3 && err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			wantCode(t, err, throng.RateLimited)
		}
	}
	s.run()
	for _, a := range list {
		s.wait(c, a.ID)
	}
	if _, err := s.CreateAudience(ctx, c, d, nil); err != nil {
		t.Errorf("after all have ended: %v", err)
	}
}

func TestCallerLimits(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	for _, set := range []CallerSettings{
		{CallerLimits: CallerLimits{RequestsPerSecond: new(-1)}},
		{CallerLimits: CallerLimits{WaitingBuilds: new(-1)}},
		{CallerLimits: CallerLimits{StoredMiB: new(int64(-1))}},
		{CallerLimits: CallerLimits{StoredMiB: new(int64(1) << 50)}},
	} {
		_, err := s.AddCaller(ctx, "bad", set)
		wantCode(t, err, throng.Invalid)
		wantCode(t, s.SetCaller(ctx, "all", set), throng.Invalid)
	}
	c := s.limited("new", CallerLimits{})
	if want := (throng.CallerLimits{WaitingBuilds: throng.DefaultWaitingBuilds}); c.Limits != want {
		t.Errorf("limits of a new caller = %+v, want %+v", c.Limits, want)
	}
}

// fullStore is a store without room for some keys.
type fullStore struct {
	blob.Store
	full func(key string) bool
}

func (s fullStore) Create(ctx context.Context, key string) (blob.Writer, error) {
	w, err := s.Store.Create(ctx, key)
	if err == nil && s.full(key) {
		return fullWriter{w}, nil
	}
	return w, err
}

type fullWriter struct{ blob.Writer }

func (fullWriter) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "file", Err: syscall.ENOSPC}
}

// A build without room for its files fails so that the caller can repeat it; a
// preview that only cannot keep what it found does not fail.
func TestFullStore(t *testing.T) {
	var full atomic.Value
	full.Store("text-")
	s := open(t, func(c *Config) {
		c.Blobs = fullStore{c.Blobs, func(key string) bool {
			part := full.Load().(string)
			return part != "" && strings.Contains(key, part)
		}}
	})
	s.load(people())
	s.run()
	ctx := t.Context()
	d := definition(`[{"operation":"OR","gender":{"genders":["male","female","unknown"]}}]`)
	a := s.wait(s.caller, s.create(s.caller, d).ID)
	if a.Status != throng.Failed || a.Failure.Code != string(throng.StorageFull) || !a.Failure.Retry || !strings.Contains(a.Failure.Message, "no room") {
		t.Errorf("build on a full disk is %s, %+v", a.Status, a.Failure)
	}
	if left := s.blobsOf("audiences/"); len(left) != 0 {
		t.Errorf("files are left: %v", left)
	}
	if c, err := s.Credits(ctx, s.caller); err != nil || c.Builds != -1 {
		t.Errorf("credits = %+v, %v", c, err)
	}
	full.Store("")
	u, err := s.CreateUpload(ctx, s.caller, "email_raw", "", strings.NewReader("ann@example.com\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.load(people()) // its rows are to be found anew
	full.Store("rows-")
	p, err := s.PreviewAudience(ctx, s.caller, definition(`[{"operation":"OR","upload":{"keys":["`+u.Key+`"],"type":"email_raw"}}]`))
	if err != nil || *p.Size != 1 {
		t.Errorf("preview on a full disk: %+v, %v", p, err)
	}
	_, err = s.CreateUpload(ctx, s.caller, "email_raw", "", strings.NewReader("bob@example.com\n"), nil)
	wantCode(t, err, throng.StorageFull)
	s.noOrphans(1)
}

// Deliveries that wait to be tried again are waiting, too.
func TestWaitingDeliveries(t *testing.T) {
	s, store := startDelivering(t, func(c *Config) { c.DeliveryRetry = func(int) time.Duration { return time.Hour } })
	all := s.build(s.caller, `[{"operation":"OR","gender":{"genders":["male","female","unknown"]}}]`)
	limited := *s.caller
	limited.Limits.WaitingBuilds = 1
	store.Close() // so that it fails
	s.waitDelivery(&limited, s.startDelivery(&limited, all.ID, toDrop()), "to be tried again", func(d *Delivery) bool { return !d.NextAttemptAt.IsZero() })
	_, err := s.StartDelivery(t.Context(), &limited, all.ID, toDrop(), nil)
	wantCode(t, err, throng.RateLimited)
	if !strings.Contains(err.Error(), "1 of your deliveries") {
		t.Errorf("refusal = %q", err)
	}
}
