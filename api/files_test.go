package api

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"throng"
	"throng/internal/huffgz"
	"throng/service"
)

func TestTakesGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br, gzip": true, "gzip;q=0.5": true, "gzip; q=0.001": true, "gzip;q=1": true,
		"gzip;q=0": false, "gzip; q=0.000": false, "identity": false, "br;q=1, gzip;q=0": false, "x-gzip": false, "*": false,
	} {
		if got := takesGzip(header); got != want {
			t.Errorf("takesGzip(%q) = %v, want %v", header, got, want)
		}
	}
}

const text = "one\ntwo\nthree\n"

// textOutput is a file of the text. What is opened is told to opened.
func textOutput(contentType string, body io.ReadSeeker, opened func(packed bool)) Output {
	file := service.File{Name: "a.txt", ContentType: contentType, Tag: "tag", Size: int64(len(text))}
	open := func(body io.ReadSeeker, packed bool) (*service.File, error) {
		opened(packed)
		f := file
		f.ReadSeekCloser = nopSeekCloser{body}
		return &f, nil
	}
	return Output{
		Stat: func() (*service.File, error) { return &file, nil },
		Open: func() (*service.File, error) { return open(body, false) },
		Packed: func() (*service.File, error) {
			var z bytes.Buffer
			zw := huffgz.NewWriter(&z)
			_, err := io.Copy(zw, body)
			if err := errors.Join(err, zw.Close()); err != nil {
				return nil, err
			}
			return open(bytes.NewReader(z.Bytes()), true)
		},
	}
}

type nopSeekCloser struct{ io.ReadSeeker }

func (nopSeekCloser) Close() error { return nil }

func TestServeFile(t *testing.T) {
	const plain, binary = "text/plain; charset=utf-8", "application/vnd.apache.parquet"
	tests := []struct {
		name, contentType string
		header            [2]string
		extra             [2]string
		status            int
		tag, encoding     string
		body              string
	}{
		{"plain", plain, [2]string{}, [2]string{}, 200, `"tag"`, "", text},
		{"gzip", plain, [2]string{"Accept-Encoding", "gzip"}, [2]string{}, 200, `"tag-gzip"`, "gzip", text},
		{"binary is not packed", binary, [2]string{"Accept-Encoding", "gzip"}, [2]string{}, 200, `"tag"`, "", text},
		{"range", plain, [2]string{"Range", "bytes=4-6"}, [2]string{"Accept-Encoding", "gzip"}, 206, `"tag"`, "", "two"},
		{"range of another unit", plain, [2]string{"Range", "lines=1-2"}, [2]string{}, 200, `"tag"`, "", text},
		{"range behind the end", plain, [2]string{"Range", "bytes=400-"}, [2]string{}, 416, "", "", ""},
		{"has it", plain, [2]string{"If-None-Match", `"other", W/"tag"`}, [2]string{}, 304, `"tag"`, "", ""},
		{"has it packed", plain, [2]string{"If-None-Match", `"tag-gzip"`}, [2]string{"Accept-Encoding", "gzip"}, 304, `"tag-gzip"`, "", ""},
		{"has it plain, wants it packed", plain, [2]string{"If-None-Match", `"tag"`}, [2]string{"Accept-Encoding", "gzip"}, 200, `"tag-gzip"`, "gzip", text},
		{"wants this one", plain, [2]string{"If-Match", `"other", "tag"`}, [2]string{}, 200, `"tag"`, "", text},
		{"wants another one", plain, [2]string{"If-Match", `"other"`}, [2]string{}, 412, `"tag"`, "", ""},
		{"wants another one, packed", plain, [2]string{"If-Match", `"tag"`}, [2]string{"Accept-Encoding", "gzip"}, 412, `"tag-gzip"`, "", ""},
		{"wants one that is weak", plain, [2]string{"If-Match", `W/"tag"`}, [2]string{}, 412, `"tag"`, "", ""},
		{"has any", plain, [2]string{"If-None-Match", `*`}, [2]string{"Accept-Encoding", "gzip"}, 304, `"tag-gzip"`, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			for _, h := range [][2]string{test.header, test.extra} {
				if h[0] != "" {
					r.Header.Set(h[0], h[1])
				}
			}
			w := httptest.NewRecorder()
			serve(t, w, r, textOutput(test.contentType, strings.NewReader(text), func(bool) {}))
			if w.Code != test.status || w.Header().Get("ETag") != test.tag || w.Header().Get("Content-Encoding") != test.encoding {
				t.Errorf("ServeFile() = %d, tag %s, encoding %q; want %d, %s, %q",
					w.Code, w.Header().Get("ETag"), w.Header().Get("Content-Encoding"), test.status, test.tag, test.encoding)
			}
			if got := w.Header().Get("Vary"); got != "Accept-Encoding" {
				t.Errorf("Vary = %q, want Accept-Encoding", got)
			}
			if got := unpacked(t, w); test.status != 416 && got != test.body {
				t.Errorf("body = %q, want %q", got, test.body)
			}
		})
	}
}

func unpacked(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	if w.Header().Get("Content-Encoding") != "gzip" {
		return w.Body.String()
	}
	zr, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatalf("unpack body: %v", err)
	}
	b, err := io.ReadAll(zr)
	if err != nil {
		t.Fatalf("unpack body: %v", err)
	}
	return string(b)
}

// TestServeFileBreaksOff makes sure that a file that cannot be read to its end
// does not look whole.
func TestServeFileBreaksOff(t *testing.T) {
	out := textOutput("text/plain", brokenFile{}, func(bool) {})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	defer func() {
		if got := recover(); got != http.ErrAbortHandler { //nolint:errorlint // the very value
			t.Errorf("recovered %v, want ErrAbortHandler", got)
		}
	}()
	serve(t, httptest.NewRecorder(), r, out)
	t.Error("ServeFile() of a broken file came to an end")
}

type brokenFile struct{}

func (brokenFile) Read([]byte) (int, error)       { return 0, errors.New("no such block") }
func (brokenFile) Seek(int64, int) (int64, error) { return 0, nil }

func serve(t testing.TB, w http.ResponseWriter, r *http.Request, out Output) {
	t.Helper()
	if err := ServeFile(slog.New(slog.DiscardHandler), w, r, out); err != nil {
		t.Errorf("ServeFile() = %v, want nil", err)
	}
}

// TestServePackedParts goes on with a compressed file that broke off.
func TestServePackedParts(t *testing.T) {
	long := strings.Repeat(text, 50_000)
	get := func(header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		serve(t, w, r, textOutput("text/plain", strings.NewReader(long), func(bool) {}))
		return w
	}
	whole := get()
	packed := whole.Body.String()
	if got := unpacked(t, whole); got != long {
		t.Fatalf("%d bytes unpacked, want %d", len(got), len(long))
	}
	rest := get("Range", "bytes=1000-", "If-Range", `"tag-gzip"`)
	if rest.Code != 206 || rest.Body.String() != packed[1000:] || rest.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("rest = %d with %d bytes, want 206 with %d", rest.Code, rest.Body.Len(), len(packed)-1000)
	}
	changed := get("Range", "bytes=1000-", "If-Range", `"old-gzip"`)
	if changed.Code != 200 || changed.Body.String() != long || changed.Header().Get("Content-Encoding") != "" {
		t.Errorf("rest of another file = %d with %d bytes, want 200 with %d", changed.Code, changed.Body.Len(), len(long))
	}
}

// TestServeOpensNothing asks in the ways that need no file to be made.
func TestServeOpensNothing(t *testing.T) {
	for _, test := range []struct {
		method, header, value string
		status                int
		length                string
	}{
		{http.MethodHead, "Accept-Encoding", "identity", 200, "14"},
		{http.MethodHead, "Accept-Encoding", "gzip", 200, ""},
		{http.MethodHead, "Range", "bytes=1-2", 200, "14"},
		{http.MethodHead, "If-None-Match", `"tag"`, 304, ""},
		{http.MethodGet, "If-None-Match", `"tag"`, 304, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), test.method, "/", nil)
		r.Header.Set(test.header, test.value)
		w := httptest.NewRecorder()
		serve(t, w, r, textOutput("text/csv", strings.NewReader(text), func(bool) { t.Errorf("%+v opens the file", test) }))
		if got := w.Header().Get("Content-Length"); w.Code != test.status || got != test.length || w.Body.Len() != 0 {
			t.Errorf("%+v = %d, length %q, body %q", test, w.Code, got, w.Body)
		}
	}
}

func TestServeFileRefuses(t *testing.T) {
	gone := throng.Errorf(throng.NotFound, "gone")
	out := textOutput("text/plain", strings.NewReader(text), func(bool) {})
	out.Open = func() (*service.File, error) { return nil, gone }
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err := ServeFile(slog.New(slog.DiscardHandler), w, r, out); !errors.Is(err, gone) || len(w.Header()) != 0 {
		t.Errorf("ServeFile() = %v with %v, want %v and no header", err, w.Header(), gone)
	}
}
