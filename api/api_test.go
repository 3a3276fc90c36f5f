package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"throng"
)

func TestStatus(t *testing.T) {
	for code, want := range map[throng.Code]int{
		throng.Invalid: 400, throng.Unauthorized: 401, throng.Forbidden: 403, throng.CreditsExhausted: 403, throng.QuotaExceeded: 403, throng.StorageFull: 503, throng.NotFound: 404,
		throng.MethodNotAllowed: 405, throng.Conflict: 409, throng.TooLarge: 413, throng.Unsupported: 415, throng.RateLimited: 429,
		throng.Internal: 500, throng.Unavailable: 503, "unheard of": 500,
	} {
		if got := Status(code); got != want {
			t.Errorf("Status(%s) = %d, want %d", code, got, want)
		}
	}
}

func TestErrorHeader(t *testing.T) {
	unavailable := throng.Errorf(throng.Unavailable, "not yet")
	unavailable.RetryAfter = 1500 * time.Millisecond
	tests := []struct {
		name          string
		err           error
		status        int
		header, value string
		logged        bool
	}{
		{"unauthorized", throng.Errorf(throng.Unauthorized, "who"), 401, "Retry-After", "", false},
		{"retry", unavailable, 503, "Retry-After", "2", false},
		{"nobody knows when", throng.Errorf(throng.Unavailable, "not yet"), 503, "Retry-After", "1", false},
		{"too many", throng.Errorf(throng.RateLimited, "slowly"), 429, "Retry-After", "1", false},
		{"no room", fmt.Errorf("write blob: %w", syscall.ENOSPC), 503, "Retry-After", "60", true},
		{"quota", throng.Errorf(throng.QuotaExceeded, "delete"), 403, "Retry-After", "", false},
		{"internal", errors.New("disk full"), 500, "Retry-After", "", true},
	}
	for _, test := range tests {
		var logged bytes.Buffer
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		got := ErrorHeader(slog.New(slog.NewTextHandler(&logged, nil)), w, r, test.err)
		if got != test.status || w.Header().Get(test.header) != test.value || (logged.Len() > 0) != test.logged {
			t.Errorf("ErrorHeader(%s) = %d, %s %q, logged %q; want %d, %q, logged: %v",
				test.name, got, test.header, w.Header().Get(test.header), &logged, test.status, test.value, test.logged)
		}
	}
}

func TestErrorHeaderOfClientThatLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var logged bytes.Buffer
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	ErrorHeader(slog.New(slog.NewTextHandler(&logged, nil)), httptest.NewRecorder(), r, context.Canceled)
	if logged.Len() > 0 {
		t.Errorf("ErrorHeader() of a client that left logged %q", &logged)
	}
}

func TestBearer(t *testing.T) {
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer  abc ": "abc", "BEARER abc": "abc", "Basic abc": "", "Bearer": "", "": "", "abc": "",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Authorization", header)
		if got := Bearer(r); got != want {
			t.Errorf("Bearer(%q) = %q, want %q", header, got, want)
		}
	}
}

func TestReadJSON(t *testing.T) {
	const json = "application/json"
	tests := []struct {
		name, contentType, encoding, body string
		code                              throng.Code // "" for success
	}{
		{"an object", json, "", `{"a":1}`, ""},
		{"no type", "", "", `{}`, ""},
		{"charset", "application/json; charset=UTF-8", "", `{}`, ""},
		{"suffix", "application/vnd.example+json", "", `{}`, ""},
		{"identity", json, "identity", `{}`, ""},
		{"spaces around", json, "", " {} \n", ""},
		{"a form", "application/x-www-form-urlencoded", "", `{}`, throng.Unsupported},
		{"other charset", "application/json; charset=latin1", "", `{}`, throng.Unsupported},
		{"bad type", "application/json; charset", "", `{}`, throng.Unsupported},
		{"encoded", json, "gzip", `{}`, throng.Unsupported},
		{"no JSON", json, "", `{"a":`, throng.Invalid},
		{"more than one value", json, "", `{}{}`, throng.Invalid},
		{"not UTF-8", json, "", "\"\xff\"", throng.Invalid},
		{"at the limit", json, "", `"` + strings.Repeat("x", throng.MaxBody-2) + `"`, ""},
		{"beyond it", json, "", `"` + strings.Repeat("x", throng.MaxBody-1) + `"`, throng.TooLarge},
	}
	for _, test := range tests {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(test.body))
		r.Header.Set("Content-Type", test.contentType)
		r.Header.Set("Content-Encoding", test.encoding)
		body, err := ReadJSON(httptest.NewRecorder(), r)
		switch {
		case test.code == "" && (err != nil || string(body) != test.body):
			t.Errorf("ReadJSON(%s) = %.20q, %v, want the body", test.name, body, err)
		case test.code != "" && (err == nil || throng.CodeOf(err) != test.code):
			t.Errorf("ReadJSON(%s) = %v, want %s", test.name, err, test.code)
		}
	}
}

func TestReadJSONOfNothing(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	r.Header.Set("Content-Type", "text/plain") // of nothing it does not matter
	if body, err := ReadJSON(httptest.NewRecorder(), r); body != nil || err != nil {
		t.Errorf("ReadJSON() of nothing = %q, %v, want nil, nil", body, err)
	}
}

func TestTrack(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		ctx, trail := Track(t.Context())
		if len(trail.ID) != 16 || TrailOf(ctx) != trail || seen[trail.ID] {
			t.Errorf("Track() = %+v, seen before: %v; want what TrailOf finds, with a new id of 16 digits", trail, seen[trail.ID])
		}
		seen[trail.ID] = true
	}
	if got := TrailOf(t.Context()).ID; got != "" {
		t.Errorf("TrailOf(no request).ID = %q, want none", got)
	}
}

func TestRecover(t *testing.T) {
	var logged bytes.Buffer
	fail := func(w http.ResponseWriter, _ *http.Request, err error) { w.WriteHeader(Status(throng.CodeOf(err))) }
	h := Recover(slog.New(slog.NewTextHandler(&logged, nil)), fail)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic("somebody's secret")
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status after a panic = %d, want 500", w.Code)
	}
	if text := logged.String(); strings.Contains(text, "secret") || !strings.Contains(text, "handler panicked") {
		t.Errorf("log after a panic = %q, want the fact without the text", text)
	}
}

func TestRecoverLetsAbortThrough(t *testing.T) {
	h := Recover(slog.New(slog.DiscardHandler), nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	defer func() {
		if got := recover(); got != http.ErrAbortHandler { //nolint:errorlint // the very value
			t.Errorf("recovered %v, want ErrAbortHandler", got)
		}
	}()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
}

// oneConn is a listener of one connection.
type oneConn struct {
	conn chan net.Conn
	done chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *oneConn) Close() error   { close(l.done); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// A body that does not come ends its request; one that came lets it take its
// time.
func TestBodyDeadline(t *testing.T) {
	f := func(request string, wantRead, wantDone error) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			l := &oneConn{make(chan net.Conn, 1), make(chan struct{})}
			l.conn <- server
			var read, done error
			srv := &http.Server{Handler: BodyDeadline(30 * time.Second)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, read = io.ReadAll(r.Body)
				if read == nil {
					select {
					case <-r.Context().Done():
					case <-time.After(time.Hour):
					}
				}
				done = r.Context().Err()
			}))}
			go srv.Serve(l)
			go io.Copy(io.Discard, client)
			if _, err := io.WriteString(client, request); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Hour)
			client.Close()
			srv.Close()
			synctest.Wait()
			if !errors.Is(read, wantRead) || !errors.Is(done, wantDone) {
				t.Errorf("%q: reading ended with %v, the request with %v; want %v, %v", request, read, done, wantRead, wantDone)
			}
		})
	}
	const head = "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: "
	f(head+"0\r\n\r\n", nil, nil)
	f(head+"5\r\n\r\nhello", nil, nil)
	f(head+"5\r\n\r\nhell", os.ErrDeadlineExceeded, context.Canceled)
}

// What needs no body to be answered is answered before the body came: where it
// is too large to be read on, at once.
func TestBodyDeadlineAnswersFirst(t *testing.T) {
	f := func(name, header string, answer http.HandlerFunc, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			l := &oneConn{make(chan net.Conn, 1), make(chan struct{})}
			l.conn <- server
			srv := &http.Server{Handler: BodyDeadline(30 * time.Second)(answer)}
			go srv.Serve(l)
			start := time.Now()
			go io.WriteString(client, "POST / HTTP/1.1\r\nHost: example.com\r\n"+header+"\r\n\r\n")
			line, err := bufio.NewReader(client).ReadString('\n')
			if took := time.Since(start); err != nil || strings.TrimSpace(line) != want || took > time.Second {
				t.Errorf("%s = %q, %v after %v, want %q at once", name, line, err, took, want)
			}
			client.Close()
			srv.Close()
			time.Sleep(time.Second) // net/http lingers for half of one
		})
	}
	unauthorized := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
	reading := func(w http.ResponseWriter, r *http.Request) {
		_, err := ReadBody(w, r)
		w.WriteHeader(Status(throng.CodeOf(err)))
	}
	f("refused without a look", "Content-Length: 6000000000", unauthorized, "HTTP/1.1 401 Unauthorized")
	f("refused, asking first", "Content-Length: 5\r\nExpect: 100-continue", unauthorized, "HTTP/1.1 401 Unauthorized")
	f("too large by its own word", "Content-Length: 1048577", reading, "HTTP/1.1 413 Request Entity Too Large")
	f("too large, asking first", "Content-Length: 1048577\r\nExpect: 100-continue", reading, "HTTP/1.1 413 Request Entity Too Large")
	f("allowed, asking first", "Content-Length: 5\r\nExpect: 100-continue", reading, "HTTP/1.1 100 Continue")
}
