package webhook

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// forms are ways to write an address that must not be called. PORT is that of a
// receiver on the loopback, who must never be.
var forms = []string{
	// IPv4, as everybody writes it, and as inet_aton reads it.
	"http://127.0.0.1:PORT/", "http://127.0.0.1", "http://127.1.2.3:PORT", "http://127.255.255.255:PORT",
	"http://2130706433:PORT/", "http://0x7f000001:PORT/", "http://017700000001:PORT/", "http://0x7f.0.0.1:PORT/", "http://0177.0.0.1:PORT/",
	"http://0x7f.1:PORT/", "http://127.1:PORT/", "http://127.0.1:PORT/", "http://0177.0x0.0.1:PORT/", "http://00000177.0.0.1:PORT/", "http://0:PORT/",
	"http://127.0.0.1.:PORT/", "http://2130706433.:PORT/", "http://0X7F.0.0.1:PORT/", "http://3232235777/", "http://0xa9fea9fe/", "http://169.254.43518/",
	// Ranges that are not the internet.
	"http://0.0.0.0:PORT/", "http://0.1.2.3/", "http://10.0.0.1/", "http://10.255.255.255/", "http://172.16.0.1/", "http://172.31.255.255/",
	"http://192.168.0.1/", "http://192.168.255.255/", "http://100.64.0.1/", "http://100.127.255.255/", "http://169.254.169.254/latest/meta-data/",
	"http://169.254.0.1/", "http://192.0.0.1/", "http://192.0.0.170/", "http://192.0.2.1/", "http://198.51.100.7/", "http://203.0.113.9/",
	"http://198.18.0.1/", "http://198.19.255.255/", "http://192.88.99.1/", "http://224.0.0.1/", "http://239.255.255.250:1900/", "http://240.0.0.1/",
	"http://255.255.255.255/",
	// IPv6, and IPv4 inside it.
	"http://[::1]:PORT/", "http://[0:0:0:0:0:0:0:1]:PORT/", "http://[::]:PORT/", "http://[::ffff:127.0.0.1]:PORT/", "http://[::ffff:7f00:1]:PORT/",
	"http://[0:0:0:0:0:ffff:7f00:0001]:PORT/", "http://[::ffff:10.0.0.1]/", "http://[::ffff:a9fe:a9fe]/", "http://[::127.0.0.1]:PORT/", "http://[::7f00:1]:PORT/",
	"http://[64:ff9b::7f00:1]:PORT/", "http://[64:ff9b::169.254.169.254]/", "http://[64:ff9b:1::7f00:1]/", "http://[2002:7f00:1::]:PORT/", "http://[2002:a9fe:a9fe::1]/",
	"http://[2001:0:7f00:1::]/", "http://[2001::1]/", "http://[2001:db8::1]/", "http://[2001:10::1]/", "http://[3fff::1]/", "http://[100::1]/", "http://[5f00::1]/",
	"http://[fc00::1]/", "http://[fd12:3456:789a::1]/", "http://[fe80::1]/", "http://[fe80::1%25lo]:PORT/", "http://[fe80::1%25eth0]/", "http://[2606:4700::1%25lo]/",
	"http://[fec0::1]/", "http://[ff02::1]/", "http://[ff05::1:3]/", "http://[::ffff:0:127.0.0.1]/", "http://[fd00:ec2::254]/",
	// Names that need no resolver, and tricks of writing.
	"http://localhost:PORT/", "http://LOCALHOST:PORT/", "http://localhost.:PORT/", "http://user:password@127.0.0.1:PORT/", "http://example.com@127.0.0.1:PORT/",
	"http://example.com:80@127.0.0.1:PORT/", "http://example.com%40@127.0.0.1:PORT/", "http://127.0.0.1:PORT@localhost:PORT/", "https://127.0.0.1:PORT/",
	"HTTP://127.0.0.1:PORT/", "http://１２７.0.0.1:PORT/", "http://127。0。0。1:PORT/", "http://①②⑦.⓪.⓪.①:PORT/", "http://127．0．0．1:PORT/", "http://ｌocalhost:PORT/",
	"http://２１３０７０６４３３:PORT/", "http://127.0.0.1:PORT/?x=http://example.com", "http://127.0.0.1:PORT#@example.com", "http://%31%32%37.0.0.1:PORT/",
	// Names that a resolver knows.
	"http://private.example:PORT/", "http://loopback.example:PORT/", "http://loopback6.example:PORT/", "http://mapped.example:PORT/", "http://metadata.example/",
	"http://nat64.example:PORT/", "http://mixed.example:PORT/", "http://mixed6.example:PORT/", "http://alias.example:PORT/", "http://zero.example:PORT/",
	"http://PRIVATE.EXAMPLE.:PORT/", "http://private.example.:PORT/", "https://loopback.example:PORT/",
	// What is no http at all.
	"ftp://127.0.0.1:PORT/", "gopher://127.0.0.1:PORT/", "file:///etc/passwd", "unix:///run/x.sock", "dict://127.0.0.1:PORT/", "javascript:alert(1)", "http:127.0.0.1:PORT",
	"//127.0.0.1:PORT/", "http:///127.0.0.1:PORT/", "http://", "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:PORT\\@example.com/", "http://127.0.0.1\t:PORT/",
	"http://127.0.0.1%00:PORT/", "http://[::1", "http://exa mple:PORT/",
}

// zone is what the resolver of a test knows; one address after the other is
// given where a name has several turns.
var zone = map[string][][]string{
	"private.example.": {{"10.1.2.3"}}, "loopback.example.": {{"127.0.0.1"}}, "loopback6.example.": {{"::1"}}, "mapped.example.": {{"::ffff:127.0.0.1"}},
	"metadata.example.": {{"169.254.169.254"}}, "nat64.example.": {{"64:ff9b::7f00:1"}}, "mixed.example.": {{"93.184.215.14", "127.0.0.1"}},
	"mixed6.example.": {{"93.184.215.14", "::1"}}, "alias.example.": {{"=loopback.example."}}, "zero.example.": {{"0.0.0.0"}},
	"rebinding.example.": {{"93.184.215.14"}, {"127.0.0.1"}}, "public.example.": {{"93.184.215.14"}},
}

// names serves a zone over UDP, and has this process ask it.
type names struct {
	mu    sync.Mutex
	asked map[string]int // questions for A; guarded by mu
}

func serveNames(t *testing.T) *names {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{asked: map[string]int{}}
	old := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = old; conn.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			k, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if answer, err := n.answer(b[:k]); err == nil {
				conn.WriteTo(answer, from)
			}
		}
	}()
	return n
}

func (n *names) answer(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil, errors.New("no question")
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	turns, ok := zone[strings.ToLower(q.Name.String())]
	if !ok {
		m.RCode = dnsmessage.RCodeNameError
		return m.Pack()
	}
	n.mu.Lock()
	turn := n.asked[q.Name.String()]
	if q.Type == dnsmessage.TypeA {
		n.asked[q.Name.String()]++
	}
	n.mu.Unlock()
	for _, text := range turns[min(turn, len(turns)-1)] {
		m.Answers = append(m.Answers, records(q, text)...)
	}
	return m.Pack()
}

// records answer a question for one value of a zone, "=" being another name.
func records(q dnsmessage.Question, text string) []dnsmessage.Resource {
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}
	if name, ok := strings.CutPrefix(text, "="); ok {
		other := dnsmessage.MustNewName(name)
		alias := dnsmessage.Resource{Header: header, Body: &dnsmessage.CNAMEResource{CNAME: other}}
		q.Name = other
		return append([]dnsmessage.Resource{alias}, records(q, zone[name][0][0])...)
	}
	switch a := netip.MustParseAddr(text); {
	case a.Is4() && q.Type == dnsmessage.TypeA:
		return []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: a.As4()}}}
	case a.Is6() && q.Type == dnsmessage.TypeAAAA:
		return []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}}
	}
	return nil
}

// loopback is a receiver on the loopback, over IPv4 and, where there is one,
// IPv6, which counts who calls.
func loopback(t *testing.T) (port string, calls *atomic.Int32) {
	t.Helper()
	calls = &atomic.Int32{}
	accept := func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			c.Close()
		}
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go accept(l)
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp6", "[::1]:"+port); err == nil {
		t.Cleanup(func() { l.Close() })
		go accept(l)
	}
	return port, calls
}

// TestForms refuses every form of an address that is not to be called, when it
// is dialed: the one of a callback, and by the transport that deliveries use.
func TestForms(t *testing.T) {
	serveNames(t)
	port, calls := loopback(t)
	s := newSender(t, Config{Timeout: 30 * time.Second})
	bare := &http.Client{Transport: Transport(false, 30*time.Second)}
	seen := map[string]bool{}
	for _, form := range forms {
		address := strings.ReplaceAll(form, "PORT", port)
		got := s.Send(t.Context(), Message{ID: "m", URL: address, Secret: NewSecret(), Body: []byte(`{}`)})
		if !got.Refused || got.OK() || got.Status != 0 {
			t.Errorf("%s: %+v, want it refused", form, got)
		}
		seen[form] = true
		if problem, _ := CheckURL(address); problem != "" {
			continue // nobody gets so far
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		resp, err := bare.Do(req)
		if err == nil {
			resp.Body.Close()
			t.Errorf("GET %s = %d, want it refused", form, resp.StatusCode)
		} else if text, refused := Explain(err, time.Second); !refused {
			t.Errorf("GET %s = %v: %s, want it refused", form, err, text)
		}
	}
	t.Logf("%d forms", len(seen))
	if len(seen) < 60 {
		t.Errorf("tried %d forms, want at least 60", len(seen))
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("a private receiver was called %d times", n)
	}
}

// A name that was public when it was looked at, and is private when it is
// dialed.
func TestRebinding(t *testing.T) {
	n := serveNames(t)
	port, calls := loopback(t)
	address := "http://rebinding.example:" + port + "/"
	if problem, private := CheckURL(address); problem != "" || private {
		t.Fatalf("CheckURL = %q, %t", problem, private)
	}
	first, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip4", "rebinding.example")
	if err != nil || len(first) != 1 || mayCall(first[0]) != nil {
		t.Fatalf("first answer = %v, %v, want a public one", first, err)
	}
	s := newSender(t, Config{Timeout: 30 * time.Second})
	for range 2 {
		if got := s.Send(t.Context(), Message{ID: "m", URL: address, Secret: NewSecret(), Body: []byte(`{}`)}); !got.Refused {
			t.Errorf("Send = %+v, want it refused", got)
		}
	}
	if calls.Load() != 0 {
		t.Error("a private receiver was called")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if asked := n.asked["rebinding.example."]; asked != 3 {
		t.Errorf("the name was asked for %d times, want once by each of us", asked)
	}
}

// What a name resolved to is what is dialed, and the kernel is not given
// anything else even if this changed.
func TestDialsWhatItLookedAt(t *testing.T) {
	serveNames(t)
	g := newGuard()
	g.resolver = net.DefaultResolver
	dialed := ""
	guarded := g.dialer.Control
	stop := errors.New("far enough")
	g.dialer.Control = nil
	g.dialer.ControlContext = func(_ context.Context, network, address string, _ syscall.RawConn) error {
		dialed = address
		if err := guarded(network, address, nil); err != nil {
			return err
		}
		return stop
	}
	if _, err := g.dial(t.Context(), "tcp", "public.example:443"); !errors.Is(err, stop) || dialed != "93.184.215.14:443" {
		t.Errorf("dial = %v of %s, want the address that was resolved", err, dialed)
	}
	if _, err := g.dialAny(t.Context(), "tcp", "443", []netip.Addr{netip.MustParseAddr("127.0.0.1")}); err == nil || errors.Is(err, stop) {
		t.Errorf("dialAny of the loopback = %v, want it refused by the control", err)
	} else if _, refused := Explain(err, time.Second); !refused {
		t.Errorf("dialAny of the loopback = %v, want it told as refused", err)
	}
}

// TestRedirectForms follows redirects of receivers that stand for public ones
// to where nobody may be called.
func TestRedirectForms(t *testing.T) {
	serveNames(t)
	port, calls := loopback(t)
	var to atomic.Value
	redirect := func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Location"] = []string{to.Load().(string)}
		w.WriteHeader(http.StatusPermanentRedirect)
	}
	last := serve(t, redirect)
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, last.URL, http.StatusTemporaryRedirect)
	})
	secure := httptest.NewTLSServer(http.HandlerFunc(redirect))
	t.Cleanup(secure.Close)
	s := newSender(t, Config{Timeout: 30 * time.Second})
	transport := s.client.Transport.(*http.Transport)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	guarded := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		for _, public := range []*httptest.Server{first, last, secure} {
			if address == public.Listener.Addr().String() {
				return new(net.Dialer).DialContext(ctx, network, address)
			}
		}
		return guarded(ctx, network, address)
	}
	send := func(address string) Result {
		return s.Send(t.Context(), Message{ID: "m", URL: address, Secret: NewSecret(), Body: []byte(`{}`)})
	}
	tried := 0
	for _, form := range forms {
		if strings.ContainsAny(form, "\t \x00") || strings.HasPrefix(form, "//") || strings.HasPrefix(form, "http:1") || strings.HasPrefix(form, "http:///") || form == "http://" || strings.HasPrefix(form, "http://[::1") && !strings.Contains(form, "]") {
			continue // no Location that means another host
		}
		to.Store(strings.ReplaceAll(form, "PORT", port))
		tried++
		if got := send(first.URL); !got.Refused {
			// What is no URL at all ends the exchange, too.
			if got.OK() || got.Status != 0 {
				t.Errorf("two redirects to %s: %+v, want it refused", form, got)
			} else if problem, _ := CheckURL(strings.ReplaceAll(form, "PORT", port)); problem == "" {
				t.Errorf("two redirects to %s: %+v, want it refused", form, got)
			}
		}
	}
	to.Store("http://127.0.0.1:" + port)
	if got := send(secure.URL); got.Refused || got.OK() || !strings.Contains(got.Err, "redirect (status 308) that is not followed") {
		t.Errorf("https to http: %+v, want it not followed", got)
	}
	to.Store("https://127.0.0.1:" + port)
	if got := send(secure.URL); !got.Refused {
		t.Errorf("https to private https: %+v, want it refused", got)
	}
	to.Store(first.URL)
	if got := send(first.URL); got.Err != "the receiver redirects too often" {
		t.Errorf("a loop: %+v, want it ended", got)
	}
	if calls.Load() != 0 || tried < 60 {
		t.Errorf("a private receiver was called %d times in %d redirects", calls.Load(), tried)
	}
}

// TestLimitsOfAnswers meets receivers that do not come to an end.
func TestLimitsOfAnswers(t *testing.T) {
	var written atomic.Int64
	endless := func(head, piece string, pause time.Duration) string {
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
				go func() {
					defer c.Close()
					http.ReadRequest(bufio.NewReader(c))
					io.WriteString(c, head)
					for piece != "" {
						n, err := io.WriteString(c, piece)
						written.Add(int64(n))
						if err != nil {
							return
						}
						if pause > 0 {
							time.Sleep(pause) // this is a slow receiver
						}
					}
					io.Copy(io.Discard, c) // hangs until the other side has enough
				}()
			}
		}()
		return "http://" + l.Addr().String()
	}
	patient := newSender(t, Config{AllowPrivate: true, Timeout: time.Minute})
	hasty := newSender(t, Config{AllowPrivate: true, Timeout: 300 * time.Millisecond})
	// Long enough for a busy machine to see the status.
	steady := newSender(t, Config{AllowPrivate: true, Timeout: 2 * time.Second})
	block := strings.Repeat("x", 32<<10)
	const dripping = 20 * time.Millisecond
	f := func(name string, s *Sender, address, want string, status int) {
		t.Helper()
		written.Store(0)
		start := time.Now()
		got := s.Send(t.Context(), Message{ID: "m", URL: address, Secret: NewSecret(), Body: []byte(`{}`)})
		if got.Err != want || got.Status != status || got.Refused || got.Aborted {
			t.Errorf("%s: %+v, want %q and status %d", name, got, want, status)
		}
		if took := time.Since(start); took > 50*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if n := written.Load(); n > 32<<20 { // buffers of both kernels, for the most part
			t.Errorf("%s: %d bytes were taken", name, n)
		}
	}
	f("hangs at once", hasty, endless("", "", 0), "no answer within 300ms", 0)
	f("hangs in the header", hasty, endless("HTTP/1.1 200 OK\r\nA: ", "", 0), "no answer within 300ms", 0)
	f("drips the header", hasty, endless("HTTP/1.1 200 OK\r\n", "A: b\r\n", dripping), "no answer within 300ms", 0)
	f("drips interim answers", hasty, endless("", "HTTP/1.1 100 Continue\r\n\r\n", dripping), "no answer within 300ms", 0)
	f("endless header", patient, endless("HTTP/1.1 200 OK\r\n", "A: "+block+"\r\n", 0), "no valid HTTP answer came", 0)
	f("endless line", patient, endless("HTTP/1.1 200 OK\r\nA: ", block, 0), "no valid HTTP answer came", 0)
	f("endless status", patient, endless("HTTP/1.1 200 ", block, 0), "no valid HTTP answer came", 0)
	f("endless interim answers", patient, endless("", "HTTP/1.1 103 Early Hints\r\nA: "+block+"\r\n\r\n", 0), "no valid HTTP answer came", 0)
	f("endless body", patient, endless("HTTP/1.1 200 OK\r\n\r\n", block, 0), "", 200)
	f("endless chunks", patient, endless("HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n", "8000\r\n"+block+"\r\n", 0), "the receiver answered with status 500", 500)
	// The status has come: that the body does not end changes nothing.
	f("hangs in the body", steady, endless("HTTP/1.1 204 No Content\r\nContent-Length: 10\r\n\r\n", "", 0), "", 204)
	f("drips the body", steady, endless("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "x", dripping), "", 200)
	f("claims an exabyte", patient, endless("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000000\r\n\r\n", block, 0), "", 200)
}
