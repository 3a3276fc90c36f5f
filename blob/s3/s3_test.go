package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/blob"
	"throng/blob/blobtest"
	"throng/internal/s3test"
)

func open(t *testing.T) *Store {
	t.Helper()
	cfg, err := ParseURL(s3test.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg.AccessKey, cfg.SecretKey = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t) })
}

// The same with listings of few names at a time.
func TestStoreInSmallPages(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		s := open(t)
		s.page = 3
		return s
	})
}

// names are those of all objects of the store, without its prefix.
func (s *Store) names(t *testing.T) (names []string) {
	t.Helper()
	for o, err := range s.objects(t.Context(), s.prefix, 0) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimPrefix(o.Key, s.prefix))
	}
	return names
}

// uploads counts the multipart uploads that are under way.
func (s *Store) uploads(t *testing.T) (n int) {
	t.Helper()
	for u := range s.core.ListIncompleteUploads(t.Context(), s.cfg.Bucket, s.prefix, true) {
		if u.Err != nil {
			t.Fatal(u.Err)
		}
		n++
	}
	return n
}

// pattern is bytes of which no two places look the same.
func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16*7)
	}
	return b
}

func write(t *testing.T, s *Store, key string, data []byte) {
	t.Helper()
	w, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1_000_003)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s *Store, key string) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParts(t *testing.T) {
	s := open(t)
	for _, size := range []int{minPart - 1, minPart, minPart + 1, 2 * minPart, 2*minPart + 77} {
		want := pattern(size)
		write(t, s, "a", want)
		if got := read(t, s, "a"); !bytes.Equal(got, want) {
			t.Errorf("%d bytes were read back as other %d", size, len(got))
		}
	}
	if n := s.uploads(t); n != 0 {
		t.Errorf("%d uploads are left", n)
	}
}

func TestReadPlaces(t *testing.T) {
	s := open(t)
	want := pattern(3 * windowSize)
	write(t, s, "a", want)
	r, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 10, 10 + skipAtMost, 10, 2*windowSize + 5, len(want) - 1, 0} {
		if _, err := r.Seek(int64(at), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, min(1000, len(want)-at))
		n := len(got)
		if _, err := r.ReadAt(got, int64(at)); err != nil || !bytes.Equal(got, want[at:at+n]) {
			t.Errorf("ReadAt(%d) gives other bytes, %v", at, err)
		}
		clear(got)
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want[at:at+n]) {
			t.Errorf("Read at %d gives other bytes, %v", at, err)
		}
	}
	across := make([]byte, windowSize+10)
	if _, err := r.ReadAt(across, windowSize-5); err != nil || !bytes.Equal(across, want[windowSize-5:2*windowSize+5]) {
		t.Errorf("ReadAt across windows gives other bytes, %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(across); !errors.Is(err, blob.ErrClosed) {
		t.Errorf("Read after Close = %v, want ErrClosed", err)
	}
}

// Of a large blob that is given up nothing stays, also where its context is.
func TestAbortedParts(t *testing.T) {
	s := open(t)
	for _, end := range []func(blob.Writer, context.CancelFunc) error{
		func(w blob.Writer, _ context.CancelFunc) error { return w.Abort() },
		func(w blob.Writer, cancel context.CancelFunc) error {
			cancel()
			if err := w.Commit(); err == nil {
				return errors.New("Commit = nil without its context")
			}
			return nil
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w, err := s.Create(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(pattern(2*minPart + 1)); err != nil {
			t.Fatal(err)
		}
		if err := end(w, cancel); err != nil {
			t.Error(err)
		}
	}
	if names, n := s.names(t), s.uploads(t); len(names) != 0 || n != 0 {
		t.Errorf("the bucket holds %v and %d uploads, want nothing", names, n)
	}
	s.noFiles(t)
}

// noFiles looks at the folder behind the test server, where there is one: no
// object may be left below the prefix.
func (s *Store) noFiles(t *testing.T) {
	t.Helper()
	dir := os.Getenv("THRONG_TEST_S3_DIR")
	if dir == "" {
		return
	}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(name, s.cfg.Prefix) {
			t.Errorf("the server keeps %s", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSweep(t *testing.T) {
	s := open(t)
	sweep := func(before time.Time, want int) {
		t.Helper()
		if err := s.Sweep(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		if got := s.names(t); len(got) != want {
			t.Errorf("the bucket holds %v, want %d objects", got, want)
		}
	}
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for _, text := range []string{"one", "two", "three"} {
		write(t, s, "a", []byte(text))
	}
	write(t, s, "b", []byte("b"))
	write(t, s, "c", []byte("c"))
	r, err := s.Open(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := s.Delete(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	w, err := s.Create(t.Context(), "dead") // its writer dies here
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(pattern(minPart + 1)); err != nil {
		t.Fatal(err)
	}
	if err := w.(*writer).wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.put(t.Context(), s.prefix+"dead"+dataSign+newID(), []byte("without a mark")); err != nil {
		t.Fatal(err)
	}
	sweep(past, 6+2+3+1)
	if n := s.uploads(t); n != 1 {
		t.Errorf("%d uploads, want the one that may be alive", n)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "c" {
		t.Errorf("reader of what was deleted = %q, %v", got, err)
	}
	sweep(future, 2+2)
	if n := s.uploads(t); n != 0 {
		t.Errorf("%d uploads are left", n)
	}
	if got := read(t, s, "a"); string(got) != "three" {
		t.Errorf("a holds %q, want three", got)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("reader of what was swept = %v, want ErrNotFound", err)
	}
	write(t, s, "c", []byte("again"))
	if got := read(t, s, "c"); string(got) != "again" {
		t.Errorf("c holds %q, want again", got)
	}
	for _, key := range []string{"a", "b", "c"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	sweep(future, 0)
	s.noFiles(t)
}

func TestPresignPut(t *testing.T) {
	s := open(t)
	put := func(url, body string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	url, err := s.PresignPut(t.Context(), "in/slot", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(url, s.cfg.SecretKey) {
		t.Error("the URL holds the secret key")
	}
	if code := put(strings.Replace(url, "slot", "slat", 1), "x"); code != http.StatusForbidden {
		t.Errorf("PUT to another key = %d, want 403", code)
	}
	if code := put(url, "hello"); code != http.StatusOK {
		t.Fatalf("PUT = %d, want 200", code)
	}
	if got := read(t, s, "in/slot"); string(got) != "hello" {
		t.Errorf("in/slot holds %q", got)
	}
	var listed []string
	for info, err := range s.List(t.Context(), "in/") {
		if err != nil || info.Size != 5 {
			t.Errorf("List = %+v, %v", info, err)
		}
		listed = append(listed, info.Key)
	}
	if diff := cmp.Diff([]string{"in/slot"}, listed); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}

	r, err := s.Open(t.Context(), "in/slot")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if code := put(url, "other"); code != http.StatusOK {
		t.Fatalf("second PUT = %d, want 200", code)
	}
	if got, err := io.ReadAll(r); !errors.Is(err, errReplaced) {
		t.Errorf("reader of what was replaced = %q, %v, want an error", got, err)
	}
	if err := s.Delete(t.Context(), "in/slot"); err != nil {
		t.Fatal(err)
	}
	if names := s.names(t); len(names) != 0 {
		t.Errorf("the bucket holds %v, want nothing", names)
	}
}

func TestPresignGet(t *testing.T) {
	s := open(t)
	if _, err := s.PresignGet(t.Context(), "a", time.Minute, "a.txt", "text/plain"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("PresignGet = %v, want ErrNotFound", err)
	}
	write(t, s, "a", []byte("first"))
	url, err := s.PresignGet(t.Context(), "a", time.Minute, "a.txt", "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, "a", []byte("second"))
	for address, want := range map[string]int{url: http.StatusOK, url + "0": http.StatusForbidden} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("GET = %s, want %d", resp.Status, want)
		}
		if want != http.StatusOK {
			continue
		}
		got := [3]string{string(body), resp.Header.Get("Content-Type"), resp.Header.Get("Content-Disposition")}
		if diff := cmp.Diff([3]string{"first", "text/plain", `attachment; filename="a.txt"`}, got); diff != "" {
			t.Errorf("GET (-want +got):\n%s", diff)
		}
	}
}

func TestOpenRefused(t *testing.T) {
	s := open(t)
	for name, change := range map[string]func(*Config){
		"another secret": func(c *Config) { c.SecretKey += "x" },
		"another bucket": func(c *Config) { c.Bucket = "is-not-there" },
		"another port":   func(c *Config) { c.Endpoint = "http://127.0.0.1:1" },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // the port is asked again and again
		defer cancel()
		cfg := s.cfg
		change(&cfg)
		if other, err := Open(ctx, cfg); err == nil {
			other.Close()
			t.Errorf("Open with %s = nil, want an error", name)
		} else if strings.Contains(err.Error(), cfg.SecretKey) {
			t.Errorf("the error holds the secret key: %v", err)
		}
	}
}
