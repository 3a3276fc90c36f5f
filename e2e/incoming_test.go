package e2e

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"throng/internal/s3test"
)

// sumList is a list of MD5 sums, a line each, of so many bytes: no two lines are
// alike, or they repeat after so many. It is the same list each time.
type sumList struct {
	left, n, repeat uint64
	line            [33]byte
	rest            []byte
}

// Read implements io.Reader.
func (s *sumList) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if s.left == 0 {
			if n == 0 {
				return 0, io.EOF
			}
			break
		}
		if len(s.rest) == 0 {
			var key [16]byte
			x := s.n
			if s.repeat != 0 {
				x %= s.repeat
			}
			for i := range 8 {
				key[i], key[8+i] = byte(mix(2*x+1)>>(8*i)), byte(mix(2*x+2)>>(8*i))
			}
			hex.Encode(s.line[:], key[:])
			s.line[32] = '\n'
			s.rest = s.line[:]
			s.n++
		}
		k := copy(p[n:], s.rest[:min(uint64(len(s.rest)), s.left)])
		s.rest, s.left, n = s.rest[k:], s.left-uint64(k), n+k
	}
	return n, nil
}

// mix is the finisher of splitmix64: distinct numbers stay distinct.
func mix(x uint64) uint64 {
	x *= 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// request sends a request to the server and decodes what its envelope holds.
func (p *process) request(t testing.TB, token, path string, body io.Reader, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/platform/v0"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("POST %s = %d, %v: %s", path, resp.StatusCode, err, text)
	}
	answer := struct{ Response any }{into}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
}

type address struct{ URL, Path string }

func (p *process) presign(t testing.TB, token, query string) (a address) {
	t.Helper()
	p.request(t, token, "/uploads?type=md5&presign=1"+query, nil, &a)
	return a
}

// put sends a body of a size to an address and returns the status.
func put(ctx context.Context, address string, body io.Reader, size int64) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, body)
	if err != nil {
		return 0, err
	}
	req.ContentLength = size
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// filesBelow lists files with their sizes.
func filesBelow(t testing.TB, dir string) map[string]int64 {
	t.Helper()
	files := map[string]int64{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		files[filepath.ToSlash(rel)] = info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestKillDuringPut kills a server in the middle of a file that is sent to it:
// nothing of it shows, nothing is left after a start, and the address still
// takes the file.
func TestKillDuringPut(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	throng(t, "load", smallDataset(t), "--data", data)
	token := strings.TrimSpace(throng(t, append([]string{"caller", "add", "put", "--data", data}, allGrants()...)...))
	p := start(t, data)
	const size = 32 << 20
	at := p.presign(t, token, "&name=list.txt")

	body, pipe := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		_, err := put(t.Context(), at.URL, body, size)
		sent <- err
	}()
	if _, err := io.Copy(pipe, &sumList{left: size / 2}); err != nil {
		t.Fatal(err)
	}
	blobs := filepath.Join(data, "blobs")
	for written := false; !written; { // the server has got some of it
		for name, n := range filesBelow(t, blobs) {
			written = written || strings.HasPrefix(name, ".tmp/") && n > size/4
		}
		if t.Context().Err() != nil {
			t.Fatal("nothing is written")
		}
		time.Sleep(time.Millisecond) // between two looks
	}
	p.kill()
	pipe.Close()
	if err := <-sent; err == nil {
		t.Error("the PUT of a killed server was answered")
	}
	for name := range filesBelow(t, blobs) {
		if !strings.HasPrefix(name, ".tmp/") {
			t.Errorf("%s shows after the kill", name)
		}
	}

	p = start(t, data)
	if left := filesBelow(t, blobs); len(left) != 0 {
		t.Errorf("%v are left after a start", left)
	}
	old, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	if code, err := put(t.Context(), p.URL+old.Path, &sumList{left: size}, size); code != http.StatusOK {
		t.Fatalf("PUT to the same address after a start = %d, %v, want 200", code, err)
	}
	var u struct{ Rows uint64 }
	p.request(t, token, "/uploads?type=md5&path="+url.QueryEscape(at.Path), nil, &u)
	if want := uint64(size/33 + 1); u.Rows != want {
		t.Errorf("the upload has %d rows, want %d", u.Rows, want)
	}
}

// memory is the server's memory in bytes: VmRSS is now, VmHWM the peak.
func (p *process) memory(t testing.TB, field string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("cannot tell the memory of a process: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64); name == field && err == nil {
			return n << 10
		}
	}
	t.Fatalf("/proc tells no %s", field)
	return 0
}

// TestLargeFiles sends large files in every way there is and holds the memory
// that the server takes for them to 64 MiB beyond what it takes idle: 32 MiB
// each, and 5 GiB with THRONG_TEST_LONG=1 (see docs/figures.md).
func TestLargeFiles(t *testing.T) {
	size := int64(32 << 20)
	if os.Getenv("THRONG_TEST_LONG") != "" {
		size = 5 << 30
	}
	list := func() io.Reader { return &sumList{left: uint64(size)} }
	announced := func() string {
		sum := md5.New()
		if _, err := io.Copy(sum, list()); err != nil {
			t.Fatal(err)
		}
		return "&md5=" + hex.EncodeToString(sum.Sum(nil))
	}
	for name, way := range map[string]func(t *testing.T, p *process, token string){
		"put": func(t *testing.T, p *process, token string) {
			if code, err := put(t.Context(), p.presign(t, token, announced()).URL, list(), size); code != http.StatusOK {
				t.Errorf("PUT = %d, %v, want 200", code, err)
			}
		},
		"post": func(t *testing.T, p *process, token string) {
			var u struct{ Rows, Unmatched uint64 }
			p.request(t, token, "/uploads?type=md5", list(), &u)
			if want := uint64(size / 33); u.Rows < want || u.Unmatched < want {
				t.Errorf("the upload has %+v, want %d rows", u, want)
			}
		},
		"bucket/put": func(t *testing.T, p *process, token string) {
			at := p.presign(t, token, announced())
			if code, err := put(t.Context(), at.URL, list(), size); code != http.StatusOK {
				t.Errorf("PUT = %d, %v, want 200", code, err)
			}
			var u struct{ Rows uint64 }
			p.request(t, token, "/uploads?type=md5&path="+url.QueryEscape(at.Path), nil, &u)
			if want := uint64(size / 33); u.Rows < want {
				t.Errorf("the upload has %d rows, want %d", u.Rows, want)
			}
		},
		"bucket/post": func(t *testing.T, p *process, token string) {
			p.request(t, token, "/uploads?type=md5", &sumList{left: uint64(size), repeat: 100_000}, &struct{}{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var blobs []string
			if strings.HasPrefix(name, "bucket/") {
				blobs = []string{"--blobs", s3test.URL(t)}
			}
			data := filepath.Join(t.TempDir(), "data")
			throng(t, "load", smallDataset(t), "--data", data)
			token := strings.TrimSpace(throng(t, append([]string{"caller", "add", "large", "--data", data}, allGrants()...)...))
			p := start(t, data, blobs...)
			idle := p.memory(t, "VmHWM")
			began := time.Now()
			way(t, p, token)
			peak := p.memory(t, "VmHWM")
			t.Logf("%d MiB in %.0f s: %d MiB idle, %d MiB more at the peak", size>>20, time.Since(began).Seconds(), idle>>20, (peak-idle)>>20)
			if peak-idle > 64<<20 {
				t.Errorf("the server took %d MiB for %d MiB, want at most 64", (peak-idle)>>20, size>>20)
			}
		})
	}
}
