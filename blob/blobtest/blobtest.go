// Package blobtest is the suite that every [blob.Store] passes.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/blob"
)

// Run tests the stores that open makes: each empty, and for one test alone.
// What must be closed, open gives to t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, blob.Store)
	}{
		{"RoundTrip", testRoundTrip},
		{"Absent", testAbsent},
		{"Keys", testKeys},
		{"NothingBeforeCommit", testNothingBeforeCommit},
		{"Abort", testAbort},
		{"WriterEnds", testWriterEnds},
		{"Replace", testReplace},
		{"ReaderOutlivesBlob", testReaderOutlivesBlob},
		{"Delete", testDelete},
		{"List", testList},
		{"ListStops", testListStops},
		{"CanceledContext", testCanceledContext},
		{"Concurrent", testConcurrent},
		{"ServeContent", testServeContent},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func put(t *testing.T, s blob.Store, key, data string) {
	t.Helper()
	w, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatalf("Create(%s) = %v", key, err)
	}
	if _, err := io.WriteString(w, data); err != nil {
		t.Fatalf("Write(%s) = %v", key, err)
	}
	if err := w.Commit(); err != nil {
		t.Fatalf("Commit(%s) = %v", key, err)
	}
}

func get(t *testing.T, s blob.Store, key string) string {
	t.Helper()
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatalf("Open(%s) = %v", key, err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return string(data)
}

func keys(t *testing.T, s blob.Store, prefix string) []string {
	t.Helper()
	var all []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List(%q) = %v", prefix, err)
		}
		all = append(all, info.Key)
	}
	return all
}

func wantAbsent(t *testing.T, s blob.Store, key string) {
	t.Helper()
	if _, err := s.Open(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open(%s) = %v, want ErrNotFound", key, err)
	}
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat(%s) = %v, want ErrNotFound", key, err)
	}
}

func testRoundTrip(t *testing.T, s blob.Store) {
	f := func(key, data string) {
		t.Helper()
		before := time.Now().Add(-2 * time.Second) // stores may round down to seconds
		put(t, s, key, data)
		if got := get(t, s, key); got != data {
			t.Errorf("%s holds %d bytes, want %d", key, len(got), len(data))
		}
		info, err := s.Stat(t.Context(), key)
		if err != nil {
			t.Fatalf("Stat(%s) = %v", key, err)
		}
		if info.Key != key || info.Size != int64(len(data)) {
			t.Errorf("Stat(%s) = %+v, want size %d", key, info, len(data))
		}
		if info.ModTime.Before(before) || info.ModTime.After(time.Now().Add(2*time.Second)) || info.ModTime.Location() != time.UTC {
			t.Errorf("Stat(%s).ModTime = %v, want now, in UTC", key, info.ModTime)
		}
		r, err := s.Open(t.Context(), key)
		if err != nil {
			t.Fatalf("Open(%s) = %v", key, err)
		}
		defer r.Close()
		if r.Size() != info.Size || !r.ModTime().Equal(info.ModTime) {
			t.Errorf("reader of %s: size %d, time %v, want %+v", key, r.Size(), r.ModTime(), info)
		}
		if err := iotest.TestReader(r, []byte(data)); err != nil {
			t.Errorf("reader of %s: %v", key, err)
		}
	}
	f("empty", "")
	f("a", "hello")
	f("deep/er/than/one.txt", "x\x00y\xff\n")
	f("large", strings.Repeat("0123456789abcdef", 1<<16)) // 1 MiB
}

func testAbsent(t *testing.T, s blob.Store) {
	wantAbsent(t, s, "a")
	wantAbsent(t, s, "a/b/c")
	put(t, s, "x/y", "1")
	wantAbsent(t, s, "x")     // a folder is no blob
	wantAbsent(t, s, "x/y/z") // nor is there anything below one
}

func testKeys(t *testing.T, s blob.Store) {
	for _, key := range []string{"", "/a", "a/", "../a", "a/../../b", "a//b", ".tmp/a", "a\x00b", `..\a`} {
		if _, err := s.Create(t.Context(), key); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("Create(%q) = %v, want ErrInvalidKey", key, err)
		}
		if _, err := s.Open(t.Context(), key); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("Open(%q) = %v, want ErrInvalidKey", key, err)
		}
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("Stat(%q) = %v, want ErrInvalidKey", key, err)
		}
		if err := s.Delete(t.Context(), key); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("Delete(%q) = %v, want ErrInvalidKey", key, err)
		}
	}
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("List = %v, want nothing", got)
	}
}

func testNothingBeforeCommit(t *testing.T, s blob.Store) {
	w, err := s.Create(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort() //nolint:errcheck // only tidies up
	if _, err := io.WriteString(w, "half"); err != nil {
		t.Fatal(err)
	}
	wantAbsent(t, s, "a/b")
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("List before Commit = %v, want nothing", got)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a/b"}, keys(t, s, "")); diff != "" {
		t.Errorf("List after Commit (-want +got):\n%s", diff)
	}
}

func testAbort(t *testing.T, s blob.Store) {
	put(t, s, "old", "old")
	for _, key := range []string{"old", "new"} {
		w, err := s.Create(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "dropped"); err != nil {
			t.Fatal(err)
		}
		if err := w.Abort(); err != nil {
			t.Errorf("Abort = %v", err)
		}
	}
	if got := get(t, s, "old"); got != "old" {
		t.Errorf("after Abort old holds %q", got)
	}
	wantAbsent(t, s, "new")
}

func testWriterEnds(t *testing.T, s blob.Store) {
	end := func(name string, first func(blob.Writer) error) {
		w, err := s.Create(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if err := first(w); err != nil {
			t.Errorf("%s = %v", name, err)
		}
		if err := w.Commit(); !errors.Is(err, blob.ErrClosed) {
			t.Errorf("Commit after %s = %v, want ErrClosed", name, err)
		}
		if _, err := w.Write([]byte("x")); !errors.Is(err, blob.ErrClosed) {
			t.Errorf("Write after %s = %v, want ErrClosed", name, err)
		}
		if err := w.Abort(); err != nil {
			t.Errorf("Abort after %s = %v", name, err)
		}
	}
	end("Commit", blob.Writer.Commit)
	end("Abort", blob.Writer.Abort)
	if got := get(t, s, "a"); got != "" {
		t.Errorf("a holds %q, want nothing", got)
	}
}

func testReplace(t *testing.T, s blob.Store) {
	put(t, s, "a", "a longer first version")
	put(t, s, "a", "second")
	if got := get(t, s, "a"); got != "second" {
		t.Errorf("a holds %q, want second", got)
	}

	var writers [2]blob.Writer
	for i := range writers {
		w, err := s.Create(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort() //nolint:errcheck // only tidies up
		fmt.Fprintf(w, "writer %d", i)
		writers[i] = w
	}
	for _, i := range []int{1, 0} { // the later Commit wins, not the later Create
		if err := writers[i].Commit(); err != nil {
			t.Fatal(err)
		}
		if got, want := get(t, s, "a"), fmt.Sprintf("writer %d", i); got != want {
			t.Errorf("a holds %q, want %q", got, want)
		}
	}
}

func testReaderOutlivesBlob(t *testing.T, s blob.Store) {
	data := strings.Repeat("first", 100_000)
	put(t, s, "a", data)
	r, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put(t, s, "a", "second")
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != data {
		t.Errorf("read %d bytes, %v, want the %d of the first version", len(got), err, len(data))
	}
}

func testDelete(t *testing.T, s blob.Store) {
	for _, key := range []string{"a", "d/e/f", "d/e/g"} {
		put(t, s, key, key)
	}
	f := func(key string, want ...string) {
		t.Helper()
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete(%s) = %v", key, err)
		}
		if diff := cmp.Diff(want, keys(t, s, "")); diff != "" {
			t.Errorf("List after Delete(%s) (-want +got):\n%s", key, diff)
		}
	}
	f("d/e/f", "a", "d/e/g")
	f("d/e/f", "a", "d/e/g") // a second time
	f("d/e", "a", "d/e/g")   // no blob
	f("d/e/g/h", "a", "d/e/g")
	f("d/e/g", "a")
	f("a")
	put(t, s, "d", "now a blob") // nothing is left of the folder
	if got := get(t, s, "d"); got != "now a blob" {
		t.Errorf("d holds %q", got)
	}
}

func testList(t *testing.T, s blob.Store) {
	all := []string{"a-b", "a.b", "a/b", "a/b-c", "a/c/d", "a0", "b", "outputs/12/md5", "outputs/123/md5", "outputs/2"}
	shuffled := slices.Clone(all)
	slices.Reverse(shuffled)
	for _, key := range shuffled {
		put(t, s, key, key+"!")
	}
	f := func(prefix string) {
		t.Helper()
		var want []string
		for _, key := range all {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		if diff := cmp.Diff(want, keys(t, s, prefix)); diff != "" {
			t.Errorf("List(%q) (-want +got):\n%s", prefix, diff)
		}
	}
	if !slices.IsSorted(all) {
		t.Fatal("the expected keys are not in order")
	}
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/c/", "a/c/d", "a/c/d/", "outputs/12", "outputs/12/", "c", "..", "/", "a//"} {
		f(prefix)
	}
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size != int64(len(info.Key)+1) || info.ModTime.IsZero() {
			t.Errorf("List gave %+v, want size %d and a time", info, len(info.Key)+1)
		}
	}
}

func testListStops(t *testing.T, s blob.Store) {
	for _, key := range []string{"a/1", "a/2", "b/1"} {
		put(t, s, key, "")
	}
	var got []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
		if len(got) == 2 {
			break
		}
	}
	if diff := cmp.Diff([]string{"a/1", "a/2"}, got); diff != "" {
		t.Errorf("List until 2 (-want +got):\n%s", diff)
	}
	for info, err := range s.List(t.Context(), "") { // deleting what is listed
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), info.Key); err != nil {
			t.Errorf("Delete = %v", err)
		}
	}
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("List after all were deleted = %v", got)
	}
}

func testCanceledContext(t *testing.T, s blob.Store) {
	put(t, s, "there", "x")
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	w, err := s.Create(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	cancel(cause)
	if err := w.Commit(); !errors.Is(err, cause) {
		t.Errorf("Commit = %v, want %v", err, cause)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort = %v", err)
	}
	wantAbsent(t, s, "a")
	if _, err := s.Create(ctx, "b"); !errors.Is(err, cause) {
		t.Errorf("Create = %v, want %v", err, cause)
	}
	if _, err := s.Open(ctx, "there"); !errors.Is(err, cause) {
		t.Errorf("Open = %v, want %v", err, cause)
	}
	var got error
	for _, err := range s.List(ctx, "") {
		got = err
	}
	if !errors.Is(got, cause) {
		t.Errorf("List = %v, want %v", got, cause)
	}
}

// Writers and deleters of neighbouring keys must not get into each other's way,
// and a reader must see whole blobs only.
func testConcurrent(t *testing.T, s blob.Store) {
	const rounds = 30
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			data := bytes.Repeat([]byte{byte('a' + worker)}, 10_000)
			own := fmt.Sprintf("x/y/%d", worker)
			for range rounds {
				for _, key := range []string{"shared/z", own} {
					w, err := s.Create(t.Context(), key)
					if err != nil {
						t.Errorf("Create = %v", err)
						return
					}
					_, err = w.Write(data)
					if err := errors.Join(err, w.Commit()); err != nil {
						t.Errorf("write and commit %s: %v", key, err)
					}
				}
				if r, err := s.Open(t.Context(), "shared/z"); err == nil {
					got, err := io.ReadAll(r)
					if err != nil || len(got) != len(data) || len(bytes.Trim(got, string(got[:1]))) != 0 {
						t.Errorf("read %d bytes of several writers, %v", len(got), err)
					}
					r.Close()
				} else if !errors.Is(err, blob.ErrNotFound) {
					t.Errorf("Open = %v", err)
				}
				for _, key := range []string{"shared/z", own} {
					if err := s.Delete(t.Context(), key); err != nil {
						t.Errorf("Delete(%s) = %v", key, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func testServeContent(t *testing.T, s blob.Store) {
	put(t, s, "a.txt", "0123456789")
	r, err := s.Open(t.Context(), "a.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	request.Header.Set("Range", "bytes=3-5")
	answer := httptest.NewRecorder()
	http.ServeContent(answer, request, "a.txt", r.ModTime(), r)
	if answer.Code != http.StatusPartialContent || answer.Body.String() != "345" {
		t.Errorf("range 3-5 = %d %q, want 206 345", answer.Code, answer.Body)
	}
}
