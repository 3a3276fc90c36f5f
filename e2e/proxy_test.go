package e2e

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// weather is what a proxy does to what passes it.
type weather int

const (
	fair weather = iota
	gone         // connections are cut, new ones refused
	mute         // connections stand and are accepted, and nothing passes
	slow         // everything passes, late
)

// String names it.
func (w weather) String() string { return [...]string{"fair", "gone", "mute", "slow"}[w] }

// lag is how late everything comes in slow weather, each way.
const lag = 100 * time.Millisecond

// proxy passes bytes between a server and what it needs.
type proxy struct {
	address, target string

	mu       sync.Mutex
	weather  weather
	changed  chan struct{} // closed when the weather changes
	listener net.Listener
	open     map[net.Conn]bool
	group    sync.WaitGroup
}

// newProxy makes a proxy before the host of a URL and returns the URL through
// it.
func newProxy(t *testing.T, to string) (p *proxy, through string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal("what is to be proxied is no URL") // which may hold a password
	}
	p = &proxy{target: u.Host, changed: make(chan struct{}), open: map[net.Conn]bool{}}
	p.listen(t, "127.0.0.1:0")
	t.Cleanup(func() {
		p.set(t, gone)
		p.group.Wait()
	})
	u.Host = p.address
	return p, u.String()
}

func (p *proxy) listen(t *testing.T, address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.WithoutCancel(t.Context()), "tcp", address)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	p.listener, p.address = l, l.Addr().String()
	p.group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.group.Go(func() { p.pass(conn) })
		}
	})
}

// set changes the weather.
func (p *proxy) set(t *testing.T, w weather) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.weather
	p.weather = w
	close(p.changed)
	p.changed = make(chan struct{})
	switch {
	case w == gone && was != gone:
		_ = p.listener.Close() // nobody is let in any more
		for conn := range p.open {
			_ = conn.Close() // as a power cut would
		}
	case w != gone && was == gone:
		p.listen(t, p.address)
	}
}

func (p *proxy) now() (weather, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.weather, p.changed
}

// keep remembers a connection, false where it must not be any more.
func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[conn] = true
	return p.weather != gone
}

func (p *proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
	_ = conn.Close() // it may be closed already
}

func (p *proxy) pass(in net.Conn) {
	defer p.drop(in)
	if !p.keep(in) {
		return
	}
	out, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	defer p.drop(out)
	if !p.keep(out) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			p.copy(way[1], way[0])
			_ = way[1].Close() // whoever reads there sees the end
		})
	}
	both.Wait()
}

// copy passes bytes as the weather is when they come.
func (p *proxy) copy(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		for n > 0 {
			w, changed := p.now()
			if w == slow {
				time.Sleep(lag)
			}
			if w != mute {
				break
			}
			<-changed // held back until then
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// storeFault is what is wrong with the answers of a store.
type storeFault int32

const (
	sound   storeFault = iota
	erring             // every answer is 500
	cutting            // every body ends half way
)

// storeProxy passes the requests of HTTP on to a store, as they are signed.
type storeProxy struct {
	fault atomic.Int32
	done  atomic.Int64 // requests that were spoilt
}

func newStoreProxy(t *testing.T, to string) (p *storeProxy, url string) {
	t.Helper()
	p = &storeProxy{}
	pass := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", to
			r.Out.Host = r.In.Host // which is signed
		},
		ModifyResponse: p.spoil,
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if storeFault(p.fault.Load()) == erring {
			p.done.Add(1)
			http.Error(w, "out of order", http.StatusInternalServerError)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return p, s.URL
}

// spoil lets a body end before its time.
func (p *storeProxy) spoil(r *http.Response) error {
	if storeFault(p.fault.Load()) == cutting && r.ContentLength > 1 {
		p.done.Add(1)
		r.Body = &cutBody{ReadCloser: r.Body, left: r.ContentLength / 2}
	}
	return nil
}

// cutBody fails half way.
type cutBody struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (c *cutBody) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("cut")
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
