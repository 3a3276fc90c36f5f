package e2e

import (
	"crypto/md5"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a file system of so many bytes, in memory. Where that cannot
// be, the test is skipped, saying what is then not tested.
func smallDisk(t *testing.T, size, otherwise string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("only root can mount a small file system: %s", otherwise)
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Skipf("cannot mount a small file system: %s: %v", otherwise, err)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

// unmount unmounts a file system. Whoever still has one of its files open may
// take a moment to let go.
func unmount(t *testing.T, dir string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) { // between two tries
		err := syscall.Unmount(dir, 0)
		if err == nil || errors.Is(err, syscall.EINVAL) { // it is not mounted
			return
		}
		if time.Since(began) > 10*time.Second {
			t.Errorf("unmount %s: %v; it goes when it is free (lazily): %v", dir, err, syscall.Unmount(dir, syscall.MNT_DETACH))
			return
		}
	}
}

// fill takes all room that is left, and gives the file that took it.
func fill(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; { // then by ever smaller pieces
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 16
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return f.Name()
}

// filesLeft lists the files below folders, but for what the database writes.
func filesLeft(t *testing.T, dirs ...string) []string {
	t.Helper()
	var names []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names = append(names, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return names
}

// TestFullDisk takes the last byte from a server: what it has it goes on to
// show, what it cannot store it says so, and nothing of that is left. When there
// is room again it goes on as if nothing had been.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	disk := smallDisk(t, "192m", "not tested on a full disk")
	data := filepath.Join(disk, "data")
	if err := os.CopyFS(filepath.Join(data, "index"), os.DirFS(filepath.Join(newData(t), "index"))); err != nil {
		t.Fatal(err)
	}
	server := start(t, data)
	c, token := addCaller(t, server, data, "unlucky", allGrants()...)
	ask := func(method, path, contentType, body string) exchanged {
		t.Helper()
		return exchange(t, server, token, method, "/platform/v0"+path, contentType, body)
	}
	made := value(t, ask(http.MethodPost, "/audiences", "application/json", definition("")), "response.id")
	if a := waitDone(t, c, int64(atoi(t, made))); a.Status != "done" {
		t.Fatalf("audience before = %+v", a)
	}
	list := "/audiences/" + made + "/outputs/ss_id"
	before := ask(http.MethodGet, list, "", "")
	address := value(t, ask(http.MethodPost, "/uploads?type=md5&presign=1", "", ""), "response.url")

	path := strings.TrimPrefix(address, server.URL)
	filler := fill(t, disk)
	kept := filesLeft(t, filepath.Join(data, "blobs"), filepath.Join(data, "tmp"), filepath.Join(data, "index"))
	wantFull := func(what string, got exchanged) {
		t.Helper()
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "60" || !strings.Contains(string(got.body), "no room left") {
			t.Errorf("%s on a full disk = %d %s, Retry-After %q; want 503", what, got.status, got.body, got.header.Get("Retry-After"))
		}
	}
	var sums strings.Builder // more than is sorted in memory
	for i := range 900_000 {
		fmt.Fprintf(&sums, "%x\n", md5.Sum([]byte(strconv.Itoa(i))))
	}
	large := sums.String()
	for range 2 { // what failed took nothing
		got := ask(http.MethodPost, "/uploads?type=md5", "text/plain", large)
		wantFull("upload", got)
		if code := value(t, got, "error.code"); code != "storage_full" {
			t.Errorf("code of an upload = %s", code)
		}
		wantFull("form of a file", ask(http.MethodGet, list+"?format=csv", "", ""))
		wantFull("file sent to an address", exchange(t, server, "", http.MethodPut, path, "", large))
	}
	// SQLite may have some pages left in its log, and then an audience is accepted.
	accepted := ask(http.MethodPost, "/audiences", "application/json", definition(""))
	if accepted.status != http.StatusOK {
		wantFull("create", accepted)
	}
	if got := ask(http.MethodPost, "/audiences/preview", "application/json", definition("")); got.status != http.StatusOK {
		t.Errorf("preview on a full disk = %d %s", got.status, got.body)
	}
	if got := ask(http.MethodGet, list, "", ""); got.status != http.StatusOK || string(got.body) != string(before.body) {
		t.Errorf("download on a full disk = %d, %d bytes", got.status, len(got.body))
	}
	for _, path := range []string{"/audiences", "/uploads", "/affinities", "/credits", "/location/countries", "/callbacks"} {
		if got := ask(http.MethodGet, path, "", ""); got.status != http.StatusOK {
			t.Errorf("GET %s on a full disk = %d %s", path, got.status, got.body)
		}
	}
	if got := exchange(t, server, "", http.MethodGet, "/readyz", "", ""); got.status != http.StatusOK {
		t.Errorf("/readyz on a full disk = %d %s", got.status, got.body)
	}
	people, err := population()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run("load", people, "--data", data); err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("load on a full disk: %v, want status 1 and the reason", err)
	}
	if !strings.Contains(server.log.String(), "no space left on device") {
		t.Error("the log does not tell of the full disk")
	}

	// A server that starts on a full disk answers what it can.
	server.kill()
	server = start(t, data)
	if got := ask(http.MethodPost, "/audiences/preview", "application/json", definition("")); got.status != http.StatusOK {
		t.Errorf("preview of a server that started on a full disk = %d %s", got.status, got.body)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	addCaller(t, server, data, "another", allGrants()...)
	if accepted.status == http.StatusOK {
		id := value(t, accepted, "response.id")
		within(t, time.Minute, "the accepted audience ends", func() bool {
			got := ask(http.MethodGet, "/audiences/"+id, "", "")
			status := value(t, got, "response.status")
			if status == "failed" && (value(t, got, "response.error.code") != "storage_full" || value(t, got, "response.error.retry") != "true") {
				t.Errorf("failure of a build on a full disk = %s", got.body)
			}
			return status != "running"
		})
		if got := ask(http.MethodDelete, "/audiences/"+id, "", ""); got.status != http.StatusOK {
			t.Errorf("delete = %d %s", got.status, got.body)
		}
	}
	// Whatever was begun on the full disk has left nothing.
	within(t, 30*time.Second, "nothing is left behind", func() bool {
		return len(filesLeft(t, filepath.Join(data, "blobs"), filepath.Join(data, "tmp"), filepath.Join(data, "index"))) == len(kept)
	})
	if got := ask(http.MethodPost, "/uploads?type=md5", "text/plain", large); got.status != http.StatusOK {
		t.Errorf("upload when there is room again = %d %s", got.status, got.body)
	}
	if got := ask(http.MethodGet, list+"?format=csv", "", ""); got.status != http.StatusOK {
		t.Errorf("csv when there is room again = %d", got.status)
	}
	if got := exchange(t, server, "", http.MethodPut, path, "", large); got.status != http.StatusOK {
		t.Errorf("file sent when there is room again = %d %s", got.status, got.body)
	}
	again := value(t, ask(http.MethodPost, "/audiences", "application/json", definition("")), "response.id")
	within(t, time.Minute, "an audience is built", func() bool {
		return value(t, ask(http.MethodGet, "/audiences/"+again, "", ""), "response.status") == "done"
	})
}
