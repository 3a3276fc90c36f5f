package webhook

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func newSender(t *testing.T, cfg Config) *Sender {
	t.Helper()
	s := NewSender(cfg)
	t.Cleanup(s.Close)
	return s
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// received is what a receiver of a message saw.
type received struct {
	method, path, body string
	header             http.Header
}

func TestSendSigns(t *testing.T) {
	var got received
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = received{r.Method, r.URL.Path, string(body), r.Header}
		w.WriteHeader(http.StatusAccepted)
	})
	s := newSender(t, Config{AllowPrivate: true})
	secret := NewSecret()
	body := `{"id":1,"name":"é"}`
	result := s.Send(t.Context(), Message{ID: "msg_1", URL: server.URL + "/hook?x=1", Secret: secret, Body: []byte(body)})
	if diff := cmp.Diff(Result{Status: 202}, result, cmpopts.IgnoreFields(Result{}, "Duration")); diff != "" || !result.OK() {
		t.Errorf("Send (-want +got):\n%s", diff)
	}
	if result.Duration <= 0 {
		t.Errorf("Duration = %v, want more than 0", result.Duration)
	}
	if got.method != "POST" || got.path != "/hook" || got.body != body || got.header.Get("Content-Type") != "application/json" || got.header.Get("User-Agent") != "throng" {
		t.Errorf("received %+v", got)
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify([]byte(got.body), got.header); err != nil {
		t.Errorf("Verify = %v", err)
	}
	if err := verifier.Verify([]byte(got.body+" "), got.header); err == nil {
		t.Error("Verify of a changed body = nil, want an error")
	}
	other, err := standardwebhooks.NewWebhook(NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Verify([]byte(got.body), got.header); err == nil {
		t.Error("Verify with another secret = nil, want an error")
	}
}

func TestNewSecret(t *testing.T) {
	form := regexp.MustCompile(`^whsec_[0-9A-Za-z+/]{43}=$`)
	if a, b := NewSecret(), NewSecret(); !form.MatchString(a) || a == b {
		t.Errorf("NewSecret = %s, %s, want two of the form %v", a, b, form)
	}
}

func TestAnswers(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := newSender(t, Config{AllowPrivate: true, Now: func() time.Time { return now }})
	f := func(status int, retry string, want Result) {
		t.Helper()
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if retry != "" {
				w.Header().Set("Retry-After", retry)
			}
			w.WriteHeader(status)
			io.WriteString(w, strings.Repeat("secret answer ", 100_000)) // more than is read
		})
		want.Status = status
		if want.Err == "" && status/100 != 2 {
			want.Err = fmt.Sprintf("the receiver answered with status %d", status)
		}
		got := s.Send(t.Context(), Message{ID: "m", URL: server.URL, Secret: NewSecret(), Body: []byte(`{}`)})
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Result{}, "Duration")); diff != "" {
			t.Errorf("status %d (-want +got):\n%s", status, diff)
		}
	}
	f(200, "", Result{})
	f(299, "5", Result{})
	f(400, "", Result{})
	f(404, "", Result{})
	f(410, "", Result{Gone: true})
	f(429, "120", Result{RetryAfter: 2 * time.Minute})
	f(503, "Sat, 21 Nov 2026 12:00:30 GMT", Result{RetryAfter: 30 * time.Second})
	f(503, "Sat, 21 Nov 2026 11:00:00 GMT", Result{})
	f(503, "soon", Result{})
	f(503, "-5", Result{})
	f(503, "99999999999", Result{RetryAfter: Lifetime})
	f(302, "", Result{Err: "the receiver answered with a redirect (status 302) that is not followed"})
	f(304, "", Result{Err: "the receiver answered with a redirect (status 304) that is not followed"})
}

func TestRedirects(t *testing.T) {
	var posts atomic.Int32
	var code, hops atomic.Int32
	var server *httptest.Server
	server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != "POST" || string(body) != `{"a":1}` || r.Header.Get("webhook-signature") == "" {
			t.Errorf("a redirect led to %s %q", r.Method, body)
		}
		posts.Add(1)
		if hops.Add(-1) >= 0 {
			http.Redirect(w, r, server.URL+"/next", int(code.Load()))
		}
	})
	s := newSender(t, Config{AllowPrivate: true})
	f := func(status, redirects int, wantPosts int32, wantErr string) {
		t.Helper()
		code.Store(int32(status))
		hops.Store(int32(redirects))
		posts.Store(0)
		result := s.Send(t.Context(), Message{ID: "m", URL: server.URL, Secret: NewSecret(), Body: []byte(`{"a":1}`)})
		if result.Err != wantErr || posts.Load() != wantPosts {
			t.Errorf("%d redirects of %d: %q after %d posts, want %q after %d", redirects, status, result.Err, posts.Load(), wantErr, wantPosts)
		}
	}
	f(307, 1, 2, "")
	f(308, 3, 4, "")
	f(308, 4, 4, "the receiver redirects too often")
	for _, status := range []int{301, 302, 303} {
		f(status, 1, 1, fmt.Sprintf("the receiver answered with a redirect (status %d) that is not followed", status))
	}
}

func TestRedirectElsewhere(t *testing.T) {
	f := func(location, wantErr string, wantRefused bool) {
		t.Helper()
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusTemporaryRedirect)
		})
		s := newSender(t, Config{AllowPrivate: true})
		got := s.Send(t.Context(), Message{ID: "m", URL: server.URL, Secret: NewSecret(), Body: []byte(`{}`)})
		if got.Err != wantErr || got.Refused != wantRefused {
			t.Errorf("redirect to %s = %q, refused %t, want %q, %t", location, got.Err, got.Refused, wantErr, wantRefused)
		}
	}
	f("ftp://127.0.0.1/x", "a redirect to an address that must not be called", true)
	f("file:///etc/passwd", "a redirect to an address that must not be called", true)
}

// Every form in which a private address can be written is refused when it is
// dialed, the receiver never called.
func TestRefusesPrivate(t *testing.T) {
	called := false
	server := serve(t, func(http.ResponseWriter, *http.Request) { called = true })
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := newSender(t, Config{Timeout: 5 * time.Second})
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "10.0.0.1", "192.168.1.1",
		"172.16.0.1", "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fc00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1",
	} {
		got := s.Send(t.Context(), Message{ID: "m", URL: "http://" + host + ":" + port + "/", Secret: NewSecret(), Body: []byte(`{}`)})
		if !got.Refused || got.OK() || got.Status != 0 {
			t.Errorf("%s: %+v, want it refused", host, got)
		}
	}
	if called {
		t.Error("a private receiver was called")
	}
}

// What was allowed at first may redirect into the operator's network: only the
// dialer sees that. A dialer that lets one port of the loopback pass stands for
// a public receiver.
func TestRefusesPrivateRedirect(t *testing.T) {
	called := false
	inner := serve(t, func(http.ResponseWriter, *http.Request) { called = true })
	outer := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, inner.URL, http.StatusTemporaryRedirect)
	})
	s := newSender(t, Config{})
	transport := s.client.Transport.(*http.Transport)
	guarded := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == outer.Listener.Addr().String() {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
		return guarded(ctx, network, address)
	}
	got := s.Send(t.Context(), Message{ID: "m", URL: outer.URL, Secret: NewSecret(), Body: []byte(`{}`)})
	if !got.Refused || called {
		t.Errorf("Send = %+v, inner called %t, want it refused", got, called)
	}
}

func TestTransportErrors(t *testing.T) {
	// Long enough for a busy machine; the one that is to wait in vain has its own.
	patient := newSender(t, Config{AllowPrivate: true, Timeout: time.Minute})
	hasty := newSender(t, Config{AllowPrivate: true, Timeout: 200 * time.Millisecond})
	const password = "hunter2"
	send := func(s *Sender, url, want string) {
		t.Helper()
		url = strings.Replace(url, "://", "://user:"+password+"@", 1) + "/?token=" + password
		got := s.Send(t.Context(), Message{ID: "m", URL: url, Secret: NewSecret(), Body: []byte(`{}`)})
		if got.Err != want || got.Refused || got.Aborted || got.Status != 0 {
			t.Errorf("%s: %+v, want %q", url, got, want)
		}
	}
	f := func(url, want string) {
		t.Helper()
		send(patient, url, want)
	}
	// raw serves one answer of bytes on each connection.
	raw := func(answer string) string {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				// All of it is read: closing over unread bytes resets the
				// connection, which may overtake the answer.
				in := bufio.NewReader(c)
				if first, err := in.Peek(1); err == nil && first[0] == 'P' { // a POST, not a greeting of TLS
					if r, err := http.ReadRequest(in); err == nil {
						io.Copy(io.Discard, r.Body)
					}
				}
				io.WriteString(c, answer)
				c.Close()
			}
		}()
		return l.Addr().String()
	}
	closed := serve(t, nil)
	closed.Close()
	f(closed.URL, "the connection was refused")
	f("http://"+raw(""), "the connection was closed without an answer")
	f("http://"+raw("secret answer\r\n\r\n"), "no valid HTTP answer came")
	f("https://"+raw("HTTP/1.1 200 OK\r\n\r\n"), "no TLS connection could be made")

	end := make(chan bool)
	slow := serve(t, func(http.ResponseWriter, *http.Request) { <-end })
	send(hasty, slow.URL, "no answer within 200ms")
	close(end)

	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	f(untrusted.URL, "the receiver's certificate is not valid")
}

func TestBadMessages(t *testing.T) {
	s := newSender(t, Config{AllowPrivate: true})
	got := s.Send(t.Context(), Message{ID: "m", URL: "ftp://example.com", Secret: NewSecret()})
	if !got.Refused || got.Err != "the address must begin with http:// or https://" {
		t.Errorf("Send to ftp = %+v, want it refused", got)
	}
	got = s.Send(t.Context(), Message{ID: "m", URL: "http://127.0.0.1:1", Secret: "whsec_!hunter2"})
	if got.Err != "the secret for signing is malformed" {
		t.Errorf("Send with a bad secret = %+v", got)
	}
}

// An attempt that our own end cuts short is marked so.
func TestAborted(t *testing.T) {
	arrived, end := make(chan bool), make(chan bool)
	server := serve(t, func(http.ResponseWriter, *http.Request) { arrived <- true; <-end })
	defer close(end)
	s := newSender(t, Config{AllowPrivate: true})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-arrived
		cancel(errors.New("stopping"))
	}()
	got := s.Send(ctx, Message{ID: "m", URL: server.URL, Secret: NewSecret(), Body: []byte(`{}`)})
	if !got.Aborted || got.OK() || got.Refused {
		t.Errorf("Send = %+v, want it aborted", got)
	}
}

func TestCheckURL(t *testing.T) {
	f := func(raw, wantProblem string, wantPrivate bool) {
		t.Helper()
		problem, private := CheckURL(raw)
		if problem != wantProblem || private != wantPrivate {
			t.Errorf("CheckURL(%.60q) = %q, %t, want %q, %t", raw, problem, private, wantProblem, wantPrivate)
		}
	}
	const wellFormed, scheme, host = "must be a well-formed URL", "must begin with http:// or https://", "must name a host"
	f("https://example.com/hook?x=1", "", false)
	f("HTTP://EXAMPLE.COM", "", false)
	f("http://example.com:65535", "", false)
	f("http://8.8.8.8", "", false)
	f("http://[2606:4700::1111]/", "", false)
	f("http://user:password@example.com", "", false)
	f("http://localhost:8080", "", true)
	f("http://LocalHost.", "", true)
	f("http://api.localhost", "", true)
	f("http://127.1.2.3", "", true)
	f("http://[::1]:80", "", true)
	f("http://[::ffff:10.0.0.1]", "", true)
	f("http://[fe80::1%25eth0]/", "", true)
	f("http://192.168.0.1", "", true)
	f("http://169.254.169.254/latest", "", true)
	f("", scheme, false)
	f("example.com", scheme, false)
	f("//example.com", scheme, false)
	f("ftp://example.com", scheme, false)
	f("javascript:alert(1)", scheme, false)
	f("http:example.com", host, false)
	f("http://", host, false)
	f("http:///path", host, false)
	f("http://:80", host, false)
	f("http://example.com:0", "must have a port between 1 and 65535", false)
	f("http://example.com:65536", "must have a port between 1 and 65535", false)
	f("http://example.com:x", wellFormed, false)
	f("http://exa mple.com", wellFormed, false)
	f("http://example.com/a b", wellFormed, false)
	f("http://example.com/\n", wellFormed, false)
	f("http://[::1", wellFormed, false)
	f("http://example.com/%zz", wellFormed, false)
	f("http://example.com/"+strings.Repeat("a", 2048), "must be at most 2048 bytes long", false)
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"http://example.com", "https://[::1]:8080/a?b#c", "http://127.0.0.1", "ftp://x", "http://%31", "http://a@b:1", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		problem, private := CheckURL(raw)
		if problem != "" && private {
			t.Errorf("CheckURL(%q) = %q, and private", raw, problem)
		}
		if problem != "" {
			return
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, raw, nil)
		if err != nil || request.URL.Host == "" {
			t.Errorf("CheckURL(%q) = nil, but no request can be made: %v", raw, err)
		}
	})
}

func TestSchedule(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	most := []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600}
	for i, seconds := range most {
		for range 100 {
			d := Schedule(i+1, random)
			if limit := seconds * time.Second; d < limit/2 || d > limit {
				t.Errorf("Schedule(%d) = %v, want %v to %v", i+1, d, limit/2, limit)
			}
		}
	}
	for _, attempt := range []int{-1, 0, 1, 100, 1 << 40} {
		if d := Schedule(attempt, nil); d <= 0 || d > time.Hour {
			t.Errorf("Schedule(%d) = %v, want more than 0 and at most an hour", attempt, d)
		}
	}
}

func TestNext(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	created := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	broken := Result{Err: "broken"}

	now, attempts := created, 0
	for {
		attempts++
		at, again := Next(attempts, broken, created, now, random)
		if !again {
			break
		}
		if !at.After(now) || at.After(created.Add(Lifetime)) {
			t.Fatalf("attempt %d is at %v, want after %v and within 24 h", attempts, at, now)
		}
		now = at
	}
	if attempts < 30 || attempts > 60 || now.Before(created.Add(Lifetime-time.Hour)) {
		t.Errorf("%d attempts, the last after %v, want 30 to 60 until shortly before 24 h", attempts, now.Sub(created))
	}

	f := func(attempt int, result Result, now time.Time, wantAgain bool, wantWait time.Duration) {
		t.Helper()
		at, again := Next(attempt, result, created, now, random)
		if again != wantAgain || again && at.Sub(now) < wantWait {
			t.Errorf("Next(%+v) = %v, %t, want %t, at least %v later", result, at, again, wantAgain, wantWait)
		}
	}
	f(1, Result{Status: 200}, created, false, 0)
	f(1, Result{Err: "x", Refused: true}, created, false, 0)
	f(1, Result{Err: "x", Gone: true}, created, false, 0)
	f(1, Result{Err: "x", RetryAfter: time.Hour}, created, true, time.Hour)
	f(1, Result{Err: "x", RetryAfter: Lifetime}, created, false, 0)
	f(leastAttempts, broken, created.Add(Lifetime-time.Second), false, 0)

	// A day after it was made a message has been tried often, unless the server was
	// off, or its clock jumped: then it still has some attempts.
	late := created.Add(25 * time.Hour)
	f(2, broken, late, true, 2*time.Second)
	f(2, Result{Err: "x", RetryAfter: time.Hour}, late, false, 0)
	f(2, Result{Err: "x", Gone: true}, late, false, 0)
	f(leastAttempts-1, broken, late, true, time.Minute)
	f(leastAttempts, broken, late, false, 0)
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "120", "-1", "Sat, 21 Nov 2026 12:00:30 GMT", "99999999999999999999", " 5 "} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header string) {
		if d := RetryAfter(header, now); d < 0 || d > Lifetime {
			t.Errorf("RetryAfter(%q) = %v, want 0 to %v", header, d, Lifetime)
		}
	})
}
