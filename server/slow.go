package server

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"throng/api"
)

// stopTimeout is how long requests and builds may take to come to an end.
const stopTimeout = 30 * time.Second

// pace bounds what clients may keep a connection for. The zero value of a field
// means its default.
type pace struct {
	// headers is how long the header of a request may take. Defaults to 10 s.
	headers time.Duration
	// body is how long the body of a request may take, where no API says
	// otherwise. Defaults to 30 s.
	body time.Duration
	// write is how long the client may take to read pacedBytes of an answer.
	// Defaults to 60 s: slower networks are none.
	write time.Duration
	// idle is how long a connection may lie between two requests. Defaults to
	// 2 minutes.
	idle time.Duration
	// stop is how long requests and builds may take to come to an end when the
	// server stops. Defaults to stopTimeout.
	stop time.Duration
}

func (p pace) withDefaults() pace {
	for _, d := range []struct {
		to   *time.Duration
		want time.Duration
	}{{&p.headers, 10 * time.Second}, {&p.body, 30 * time.Second}, {&p.write, time.Minute}, {&p.idle, 2 * time.Minute}, {&p.stop, stopTimeout}} {
		if *d.to == 0 {
			*d.to = d.want
		}
	}
	return p
}

// apply makes a server keep the pace, of which the connections keep that of
// writing.
func (p pace) apply(srv *http.Server) {
	p.applyAdmin(srv)
	srv.Handler = api.BodyDeadline(p.body)(srv.Handler)
}

// applyAdmin makes the server of metrics and profiles keep it: those may take as
// long as they are asked to.
func (p pace) applyAdmin(srv *http.Server) {
	srv.ReadHeaderTimeout, srv.IdleTimeout = p.headers, p.idle
}

// pacedBytes is how much of an answer a client must read while it is waited for
// a pause. 32 KiB a minute is a tenth of what the slowest mobile networks do.
const pacedBytes = 32 << 10

// limited is a listener that serves so many connections at once. Those beyond
// are told to come back and closed, so that they take no file handles from those
// that are served.
type limited struct {
	net.Listener
	most  int64
	pause time.Duration // see pacedConn
	open  atomic.Int64
}

func newLimited(l net.Listener, most int, pause time.Duration) net.Listener {
	return &limited{Listener: l, most: int64(most), pause: pause}
}

// busy is what a connection is told that is not served.
const busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n" +
	"Connection: close\r\nContent-Length: 25\r\n\r\ntoo many connections now\n"

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			return &pacedConn{Conn: c, pause: l.pause, left: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
		}
		l.open.Add(-1)
		// The buffer of a new connection takes this at once.
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Write([]byte(busy)) // who does not read it sees it closed
		_ = c.Close()
	}
}

// pacedConn is a connection that is cut where the client reads less than
// pacedBytes while it is waited for a pause, however long an answer takes. It is
// counted until it is closed.
type pacedConn struct {
	net.Conn
	pause time.Duration
	left  func()
}

// Close implements net.Conn.
func (c *pacedConn) Close() error {
	c.left()
	return c.Conn.Close()
}

// Write implements net.Conn.
func (c *pacedConn) Write(p []byte) (n int, err error) {
	for before := -1; ; {
		if err := c.SetWriteDeadline(time.Now().Add(c.pause)); err != nil {
			return n, err
		}
		k, err := c.Conn.Write(p[n:])
		n += k
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		// The system lets nothing be written until a good part of its buffer, which
		// may be megabytes, is free. What leaves the buffer in the pause after the
		// first one tells more.
		after, known := queued(c.Conn)
		if !known || before >= 0 && before+k-after < pacedBytes {
			return n, err
		}
		before = after
	}
}
