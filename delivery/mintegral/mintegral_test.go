package mintegral

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/delivery"
	"throng/delivery/deliverytest"
	"throng/identifier"
)

var testSecret = delivery.Secret{AccessKey: testAccess, APIKey: testAPIKey}

// kindOf gives a kind that calls the server by the server's clock.
func kindOf(s *server, change ...func(*Config)) *Kind {
	cfg := Config{AllowPrivate: true, Now: s.clock, MaxRows: 2000, Timeout: 10 * time.Second}
	for _, c := range change {
		c(&cfg)
	}
	k := New(cfg)
	s.t.Cleanup(k.Close)
	return k
}

func order(s *server) delivery.Order {
	o := deliverytest.NewOrder()
	o.Endpoint = s.URL
	return o
}

func TestMintegral(t *testing.T) {
	for _, tells := range []bool{false, true} {
		name := map[bool]string{false: "vendor", true: "throng"}[tells]
		t.Run(name, func(t *testing.T) {
			deliverytest.Run(t, func(t *testing.T) *deliverytest.Place {
				s := newServer(t)
				s.tells = tells
				create := order(s)
				// One of the same name that is nothing of ours, and the one that is updated.
				s.add(create.Name)
				update := create
				update.Update = strconv.FormatInt(s.add("another"), 10)
				return &deliverytest.Place{
					Kind: kindOf(s), Secret: testSecret, Orders: map[string]delivery.Order{"create": create, "update": update},
					Complete: func(_ *testing.T, o delivery.Order) (all []map[identifier.Type][]string) {
						s.mu.Lock()
						defer s.mu.Unlock()
						for _, a := range s.audiences {
							if a.changed.Equal(s.now) && (o.Update == "" || o.Update == strconv.FormatInt(a.id, 10)) {
								all = append(all, s.contents(a))
							}
						}
						return all
					},
				}
			})
		})
	}
}

// TestToken holds the vendor's own example.
func TestToken(t *testing.T) {
	if got := Token(testAPIKey, time.Unix(1471256697, 0)); got != "378d387c2b61462cf4bc62b3949111f3" {
		t.Errorf("Token() = %s, want the vendor's", got)
	}
}

// deliver takes all steps.
func deliver(ctx context.Context, k *Kind, o delivery.Order, secret delivery.Secret) (res delivery.Result, err error) {
	d, err := k.Open(o, secret)
	if err != nil {
		return res, err
	}
	for !res.Done {
		if res, err = d.Step(ctx, deliverytest.Lists(), res.State); err != nil {
			return res, err
		}
	}
	return res, nil
}

func wantProblem(t *testing.T, err error, final bool, parts ...string) *delivery.Problem {
	t.Helper()
	p, ok := errors.AsType[*delivery.Problem](err)
	if !ok {
		t.Fatalf("error = %v, want a problem", err)
	}
	for _, part := range parts {
		if !strings.Contains(p.Message, part) {
			t.Errorf("problem %q, want %q in it", p.Message, part)
		}
	}
	if p.Final != final {
		t.Errorf("problem %q: final is %v, want %v", p.Message, p.Final, final)
	}
	if strings.Contains(err.Error(), testAPIKey) {
		t.Errorf("problem %q holds a secret", err)
	}
	return p
}

func TestUpdateUnderLock(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(s *server)
		sent bool // whether files went up for nothing
	}{
		{"told by the list", func(s *server) { s.tells = true }, false},
		{"refused with 409", func(*server) {}, true},
		{"refused with a code of the vendor's own", func(s *server) { s.lockCode = 10021 }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			test.set(s)
			o := order(s)
			o.Update = strconv.FormatInt(s.add("another"), 10)
			if _, err := deliver(t.Context(), kindOf(s), o, testSecret); err != nil {
				t.Fatalf("first update: %v", err)
			}
			s.advance(time.Hour)
			puts := s.puts
			res, err := deliver(t.Context(), kindOf(s), o, testSecret)
			p := wantProblem(t, err, false, "12 hours", "2026-11-22T00:00:00Z", "--wait")
			if want := s.clock().Add(11 * time.Hour); !p.Until.Equal(want) {
				t.Errorf("locked until %v, want %v", p.Until, want)
			}
			if got := s.puts > puts; got != test.sent {
				t.Errorf("files were sent: %v, want %v", got, test.sent)
			}
			s.advance(11 * time.Hour)
			d, err := kindOf(s).Open(o, testSecret)
			if err != nil {
				t.Fatal(err)
			}
			for !res.Done { // goes on with the state that came with the problem
				if res, err = d.Step(t.Context(), deliverytest.Lists(), res.State); err != nil {
					t.Fatalf("after the lock: %v", err)
				}
			}
			if got := s.audiences[0].changed; !got.Equal(s.clock()) {
				t.Errorf("audience was changed at %v, want %v", got, s.clock())
			}
		})
	}
}

func TestProblems(t *testing.T) {
	fault := func(f http.HandlerFunc) func(*server) {
		return func(s *server) {
			s.fault = func(w http.ResponseWriter, r *http.Request) bool { f(w, r); return true }
		}
	}
	code := func(code int, message string) func(*server) {
		return fault(func(w http.ResponseWriter, _ *http.Request) { answer(w, code, message, nil) })
	}
	for _, test := range []struct {
		name   string
		set    func(*server)
		secret delivery.Secret
		final  bool
		parts  []string
	}{
		{"wrong key", func(*server) {}, delivery.Secret{AccessKey: testAccess, APIKey: "wrong"}, true, []string{"code 401", "token is invalid", "API key", "clock"}},
		{"500", fault(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }), testSecret, false, []string{"status 500"}},
		{"503 with Retry-After", fault(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(503)
		}), testSecret, false, []string{"status 503"}},
		{"code 500", code(500, "try later"), testSecret, false, []string{"code 500", "try later"}},
		{"code 429", code(429, ""), testSecret, false, []string{"code 429"}},
		{"code 400", code(400, "no"), testSecret, true, []string{"code 400", "no"}},
		{"a code of the vendor's own", code(10021, "no"), testSecret, true, []string{"code 10021"}},
		{"404", fault(http.NotFound), testSecret, true, []string{"status 404", "endpoint"}},
		{"redirect", fault(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}), testSecret, true, []string{"status 307", "endpoint"}},
		{"a page", fault(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }), testSecret, true, []string{"endpoint"}},
		{"no data", code(200, "success"), testSecret, true, []string{"lacks what is documented"}},
		{"a secret told back", code(400, "no client "+testAPIKey), testSecret, true, []string{"code 400)"}},
		{"control characters", code(400, "a\nb\x00c"), testSecret, true, []string{"a b c"}},
		{"cut off", fault(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), testSecret, false, []string{"closed without an answer"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			test.set(s)
			_, err := deliver(t.Context(), kindOf(s), order(s), test.secret)
			p := wantProblem(t, err, test.final, test.parts...)
			if test.name == "503 with Retry-After" && p.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter = %v, want 7s", p.RetryAfter)
			}
		})
	}
}

// A clock that is off spoils signatures, and is no fault of the order: it is tried
// again, and is carried out once the clock is right.
func TestClockIsOff(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, 24 * time.Hour, -time.Hour, -24 * time.Hour} {
		s := newServer(t)
		now := func() time.Time { return s.clock().Add(off) }
		_, err := deliver(t.Context(), kindOf(s, func(c *Config) { c.Now = now }), order(s), testSecret)
		wantProblem(t, err, false, "code 401", "clock of this machine is "+off.Abs().String()+" off")
		if _, err := deliver(t.Context(), kindOf(s), order(s), testSecret); err != nil {
			t.Errorf("deliver with a clock that is right = %v", err)
		}
	}
}

func TestProblemOfDetails(t *testing.T) {
	s := newServer(t)
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			for _, f := range s.files {
				f.data = nil // the receiver has lost them
			}
		}
		return false
	}
	_, err := deliver(t.Context(), kindOf(s), order(s), testSecret)
	wantProblem(t, err, true, "make the audience", "code 400", "data_path[0].data_path no file was sent to it")
}

func TestRefusedFile(t *testing.T) {
	for status, final := range map[int]bool{403: false, 500: false, 413: true} {
		s := newServer(t)
		s.fault = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/bucket/") {
				w.WriteHeader(status) // without reading the file
				return true
			}
			return false
		}
		_, err := deliver(t.Context(), kindOf(s), order(s), testSecret)
		wantProblem(t, err, final, "take a file", "status "+strconv.Itoa(status))
	}
}

func TestUnknownAudience(t *testing.T) {
	s := newServer(t)
	o := order(s)
	o.Update = "999"
	_, err := deliver(t.Context(), kindOf(s), o, testSecret)
	wantProblem(t, err, true, "no audience 999")
}

func TestPrivateAddress(t *testing.T) {
	s := newServer(t)
	k := kindOf(s, func(c *Config) { c.AllowPrivate = false })
	if problems := k.Check(order(s), testSecret); len(problems) != 1 || problems[0].Path != "endpoint" {
		t.Errorf("Check() of a private address = %v, want endpoint", problems)
	}
	_, err := deliver(t.Context(), k, order(s), testSecret) // as a name does that resolves to one
	wantProblem(t, err, true, "private", "--allow-private-callbacks")
	if len(s.asked) > 0 {
		t.Errorf("the server was asked %q", s.asked)
	}
}

// Two deliveries of one name at the same time are two audiences, also where the
// receiver does not list their files.
func TestSameName(t *testing.T) {
	s := newServer(t)
	k := kindOf(s)
	var all [2]delivery.Destination
	var state [2]delivery.Result
	for i := range all {
		d, err := k.Open(order(s), testSecret)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = d
	}
	for !state[0].Done || !state[1].Done { // step by step in turn
		for i, d := range all {
			res, err := d.Step(t.Context(), deliverytest.Lists(), state[i].State)
			if err != nil {
				t.Fatal(err)
			}
			state[i] = res
		}
	}
	if len(s.audiences) != 2 || state[0].RemoteID == state[1].RemoteID {
		t.Errorf("%d audiences, named %s and %s to their deliveries, want two", len(s.audiences), state[0].RemoteID, state[1].RemoteID)
	}
}

// A presigned address leads where the receiver wants: the check is at the dial.
func TestPrivatePresigned(t *testing.T) {
	s := newServer(t)
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/presigned-upload-data") {
			return false
		}
		answer(w, 200, "success", map[string]any{"s3": map[string]any{"method": "PUT", "url": "file:///etc/passwd", "data_path": "s3://x"}})
		return true
	}
	_, err := deliver(t.Context(), kindOf(s), order(s), testSecret)
	wantProblem(t, err, true, "lacks what is documented")
}

// Device ids do not leave in the clear where the receiver is asked over https.
func TestPresignedInTheClear(t *testing.T) {
	s := newServer(t) // gives out addresses of its own, which are of http
	secure := httptest.NewTLSServer(s.Config.Handler)
	defer secure.Close()
	k := kindOf(s)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	k.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	o := order(s)
	o.Endpoint = secure.URL
	_, err := deliver(t.Context(), k, o, testSecret)
	wantProblem(t, err, true, "over http")
	for _, asked := range s.asked {
		if strings.HasPrefix(asked, "PUT /bucket/") {
			t.Errorf("a file was sent: %s", asked)
		}
	}
}

// A receiver that takes the file and no more of it is given up.
func TestStall(t *testing.T) {
	done := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) { <-done }))
	defer hang.Close()
	defer close(done)
	s := newServer(t)
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/presigned-upload-data") {
			return false
		}
		answer(w, 200, "success", map[string]any{"s3": map[string]any{"method": "PUT", "url": hang.URL, "data_path": "s3://x"}})
		return true
	}
	_, err := deliver(t.Context(), kindOf(s, func(c *Config) { c.Timeout = 300 * time.Millisecond }), order(s), testSecret)
	wantProblem(t, err, false, "no answer within 300ms")
}

func TestHang(t *testing.T) {
	done := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) { <-done }))
	defer hang.Close()
	defer close(done)
	o := deliverytest.NewOrder()
	o.Endpoint = hang.URL
	k := New(Config{AllowPrivate: true, Timeout: 100 * time.Millisecond})
	defer k.Close()
	d, err := k.Open(o, testSecret)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Step(t.Context(), deliverytest.Lists(), nil)
	wantProblem(t, err, false, "no answer within 100ms")
}

func TestEndpoints(t *testing.T) {
	for endpoint, want := range map[string]string{
		"":                                    "https://ss-api.mintegral.com/api/open/v1",
		"https://a.example.com":               "https://a.example.com/api/open/v1",
		"https://a.example.com/":              "https://a.example.com/api/open/v1",
		"https://a.example.com/api/open/v1":   "https://a.example.com/api/open/v1",
		"http://a.example.com:81/x/":          "http://a.example.com:81/x/api/open/v1",
		"https://a.example.com/api/open/v1/":  "https://a.example.com/api/open/v1",
		"https://a.example.com?x=y#fragments": "https://a.example.com/api/open/v1",
	} {
		k := New(Config{})
		a, err := newAPI(k, endpoint, testSecret)
		if err != nil || a.base != want {
			t.Errorf("newAPI(%q) calls %q, %v, want %q", endpoint, a.base, err, want)
		}
		k.Close()
	}
}

func TestCheck(t *testing.T) {
	with := func(change func(o *delivery.Order)) delivery.Order {
		o := deliverytest.NewOrder()
		change(&o)
		return o
	}
	k := New(Config{})
	defer k.Close()
	for _, test := range []struct {
		name   string
		order  delivery.Order
		secret delivery.Secret
		want   []string
	}{
		{"good", deliverytest.NewOrder(), testSecret, nil},
		{"endpoint", with(func(o *delivery.Order) { o.Endpoint = "ftp://a.example.com" }), testSecret, []string{"endpoint"}},
		{"password", with(func(o *delivery.Order) { o.Endpoint = "https://user:password@a.example.com" }), testSecret, []string{"endpoint"}},
		{"query", with(func(o *delivery.Order) { o.Endpoint = "https://a.example.com?key=x" }), testSecret, []string{"endpoint"}},
		{"private", with(func(o *delivery.Order) { o.Endpoint = "http://localhost:1" }), testSecret, []string{"endpoint"}},
		{"update", with(func(o *delivery.Order) { o.Update = "-1" }), testSecret, []string{"update"}},
		{"long name", with(func(o *delivery.Order) { o.Name = strings.Repeat("x", 256) }), testSecret, []string{"name"}},
		{"no secret", deliverytest.NewOrder(), delivery.Secret{}, []string{"credentials"}},
		{"half a secret", deliverytest.NewOrder(), delivery.Secret{APIKey: "x"}, []string{"credentials"}},
		{"no header", deliverytest.NewOrder(), delivery.Secret{AccessKey: "a\nb", APIKey: "x"}, []string{"credentials"}},
	} {
		var got []string
		for _, p := range k.Check(test.order, test.secret) {
			got = append(got, p.Path)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Check(%s) (-want +got):\n%s", test.name, diff)
		}
	}
}

// Of a name that hundreds have, all are looked through.
func TestNamedPages(t *testing.T) {
	s := newServer(t)
	first := s.add("tea")
	for range 2*pageLimit + 1 {
		s.add("green tea")
	}
	a, err := newAPI(kindOf(s), s.URL, testSecret)
	if err != nil {
		t.Fatal(err)
	}
	found, err := a.named(t.Context(), "tea")
	if err != nil || len(found) != 1 || found[0].ID != first {
		t.Errorf("named() = %+v, %v, want audience %d alone", found, err, first)
	}
}

// The header is an id of no type, so that no reader takes it for one.
func TestHeader(t *testing.T) {
	for typ := range deviceTypes {
		if got, reason := typ.Normalize(nil, []byte(strings.TrimSpace(header))); reason == "" {
			t.Errorf("the header is %s %q", typ, got)
		}
	}
	if got, want := len(deviceTypes), len(identifier.Devices()); got != want {
		t.Errorf("%d device types, want %d", got, want)
	}
}

func FuzzLineCutter(f *testing.F) {
	f.Add("a\nbb\nccc\n", uint8(1), uint8(1), uint8(2))
	f.Fuzz(func(t *testing.T, text string, skip, rows, chunk uint8) {
		text = strings.ReplaceAll(text, "\r", "") + "\n"
		lines := strings.SplitAfter(text, "\n")
		lines = lines[:len(lines)-1]
		skip, rows = skip%8, rows%8+1
		if int(skip)+int(rows) > len(lines) {
			return
		}
		var got strings.Builder
		c := &lineCutter{w: &got, skip: int64(skip), rows: int64(rows)}
		for part := range slices.Chunk([]byte(text), int(chunk)+1) {
			if _, err := c.Write(part); errors.Is(err, errEnough) {
				break
			}
		}
		if want := strings.Join(lines[skip:skip+rows], ""); got.String() != want {
			t.Errorf("lines %d to %d of %q = %q, want %q", skip, skip+rows, text, got.String(), want)
		}
	})
}
