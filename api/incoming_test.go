package api

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
)

func TestIncoming(t *testing.T) {
	f := newOnce(t)
	h := Incoming(f.svc, slog.New(slog.DiscardHandler))
	sum := func(text string) string {
		s := md5.Sum([]byte(text))
		return hex.EncodeToString(s[:])
	}
	presign := func(md5 string) string {
		in, err := f.svc.PresignFile(t.Context(), f.caller, "list.txt", md5)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(in.URL, "/incoming")
	}
	hello := presign(sum("hello"))
	for _, step := range []struct {
		name, method, path string
		body               io.Reader
		length             int64
		status             int
		header, value      string
		text               string
	}{
		{"read", http.MethodGet, hello, http.NoBody, 0, 405, "Allow", "PUT", "PUT"},
		{"post", http.MethodPost, hello, http.NoBody, 0, 405, "Allow", "PUT", "PUT"},
		{"too large", http.MethodPut, hello, strings.NewReader("x"), 5<<30 + 1, 413, "", "", "larger than the 5368709120 bytes"},
		{"other bytes", http.MethodPut, hello, strings.NewReader("other"), 5, 400, "", "", "another MD5"},
		{"cut off", http.MethodPut, hello, io.MultiReader(strings.NewReader("he"), iotest.ErrReader(io.ErrUnexpectedEOF)), 5, 400, "", "", "ended before"},
		{"the bytes", http.MethodPut, hello, strings.NewReader("hello"), 5, 200, "Etag", `"` + sum("hello") + `"`, ""},
		{"the bytes again", http.MethodPut, hello, strings.NewReader("hello"), -1, 200, "Etag", `"` + sum("hello") + `"`, ""},
		{"other bytes after", http.MethodPut, hello, strings.NewReader("jello"), 5, 409, "", "", "other bytes"},
		{"changed address", http.MethodPut, hello + "x", strings.NewReader("hello"), 5, 403, "Content-Type", "text/plain; charset=utf-8", "not one that was given out"},
		{"no address", http.MethodPut, "/x", strings.NewReader("hello"), 5, 403, "", "", "not one that was given out"},
		{"any bytes", http.MethodPut, presign(""), strings.NewReader("any"), -1, 200, "Etag", `"` + sum("any") + `"`, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), step.method, step.path, step.body)
		r.ContentLength = step.length
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != step.status || !strings.Contains(w.Body.String(), step.text) {
			t.Errorf("%s = %d %q, want %d %q", step.name, w.Code, w.Body, step.status, step.text)
		}
		if got := w.Header().Get(step.header); step.header != "" && got != step.value {
			t.Errorf("%s: %s = %q, want %q", step.name, step.header, got, step.value)
		}
	}
}

// TestIncomingChunks: what is wrong with how a file was sent is the sender's
// doing, and what breaks off nobody's.
func TestIncomingChunks(t *testing.T) {
	f := newOnce(t)
	var logged strings.Builder
	srv := httptest.NewServer(http.StripPrefix("/incoming", Incoming(f.svc, slog.New(slog.NewTextHandler(&logged, nil)))))
	defer srv.Close()
	for body, want := range map[string]string{
		"5\r\nhello\r\n0\r\n\r\n": "HTTP/1.1 200 OK",
		"id\nhello\n":             "HTTP/1.1 400 Bad Request",
		"5\r\nhello, world\r\n":   "HTTP/1.1 400 Bad Request",
		"ffffffffffffffffff\r\n":  "HTTP/1.1 400 Bad Request",
	} {
		in, err := f.svc.PresignFile(t.Context(), f.caller, "list.txt", "")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n%s", in.URL, body)
		answer, err := io.ReadAll(conn)
		conn.Close()
		if got, _, _ := strings.Cut(string(answer), "\r\n"); got != want {
			t.Errorf("PUT of %q = %q, %v, want %q", body, got, err, want)
		}
	}
	srv.Close()
	if logged.String() != "" {
		t.Errorf("the log says %s", &logged)
	}
}
