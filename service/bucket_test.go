package service

import (
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"throng"
	"throng/blob/s3"
	"throng/internal/s3test"
	"throng/service/record"
)

// openBucket opens a service whose files are in a bucket.
func openBucket(t *testing.T) (*testService, *s3.Store) {
	t.Helper()
	cfg, err := s3.ParseURL(s3test.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg.AccessKey, cfg.SecretKey = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	store, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return open(t, func(c *Config) { c.Blobs, c.UploadLimit = store, 100 }), store
}

// keysOf lists what a bucket has for incoming files.
func keysOf(t *testing.T, store *s3.Store) (keys []string) {
	t.Helper()
	for _, prefix := range []string{record.IncomingPrefix, record.ReceivedPrefix} {
		for info, err := range store.List(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, info.Key)
		}
	}
	return keys
}

func putTo(t *testing.T, address, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("PUT = %s", resp.Status)
	}
}

// What is sent straight to a bucket is verified when it is asked for, and does
// not change from then on.
func TestReceivedFromBucket(t *testing.T) {
	s, store := openBucket(t)
	in, _ := s.presign("list.txt", md5Of("hello"))
	if !strings.HasPrefix(in.Path, "s3://"+store.Bucket()+"/audience/tmp_upload/2026/11/21/") {
		t.Errorf("Path = %s", in.Path)
	}
	refused := func(want string) {
		t.Helper()
		_, err := s.received(t.Context(), s.caller, in.Path)
		wantCode(t, err, throng.Invalid)
		if msg := throng.MessageOf(err); !strings.Contains(msg, want) {
			t.Errorf("received = %q, want %q", msg, want)
		}
	}
	refused("no file was sent to it")
	putTo(t, in.URL, "other")
	refused("another MD5")
	putTo(t, in.URL, strings.Repeat("x", 101))
	refused("larger than the 100 bytes")
	refused("no file was sent to it") // it was deleted
	putTo(t, in.URL, "hello")

	var wg sync.WaitGroup
	files := make([]receivedFile, 4)
	for i := range files {
		wg.Go(func() {
			var err error
			if files[i], err = s.received(t.Context(), s.caller, in.Path); err != nil {
				t.Errorf("received = %v", err)
			}
		})
	}
	wg.Wait()
	for _, f := range files {
		if f != files[0] || f.MD5 != md5Of("hello") || f.Size != 5 {
			t.Errorf("received = %+v, want %+v", f, files[0])
		}
	}
	if got := keysOf(t, store); len(got) != 1 || got[0] != files[0].Key {
		t.Errorf("the bucket holds %v, want %s", got, files[0].Key)
	}
	putTo(t, in.URL, "other")
	if f, err := s.received(t.Context(), s.caller, in.Path); err != nil || f != files[0] {
		t.Errorf("received after another PUT = %+v, %v, want %+v", f, err, files[0])
	}
	r, err := store.Open(t.Context(), files[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := mustRead(r); got != "hello" {
		t.Errorf("the file holds %q, want hello", got)
	}
}

func TestSweepBucket(t *testing.T) {
	s, store := openBucket(t)
	s.clock.Add(time.Since(s.clock.Now())) // files have the time of the server
	asked, _ := s.presign("asked for", "")
	putTo(t, asked.URL, "one")
	left, _ := s.presign("left", "")
	putTo(t, left.URL, "two")
	if _, err := s.received(t.Context(), s.caller, asked.Path); err != nil {
		t.Fatal(err)
	}
	putTo(t, asked.URL, "late")
	for _, after := range []time.Duration{0, incomingLife - time.Minute} {
		s.clock.Add(after)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := keysOf(t, store); len(got) != 3 {
			t.Errorf("the bucket holds %v, want 3 files", got)
		}
	}
	s.clock.Add(2 * time.Minute)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := keysOf(t, store); len(got) != 0 {
		t.Errorf("the bucket holds %v, want nothing", got)
	}
}
