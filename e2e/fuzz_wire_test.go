package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// asked is a request as it is written to the wire, which need not be one that
// a well-behaved client could send.
type asked struct {
	op          operation
	method      string
	path, query string // as written
	header      [][2]string
	tree        any // the body where it is JSON; body is made of it
	body        []byte
	length      string // of the body; "" tells the truth, "chunked" none
	changes     []string
}

func (r *asked) set(name, value string) {
	for i := range r.header {
		if strings.EqualFold(r.header[i][0], name) {
			r.header[i][1] = value
			return
		}
	}
	r.add(name, value)
}

func (r *asked) add(name, value string) { r.header = append(r.header, [2]string{name, value}) }

func (r *asked) drop(name string) {
	for i := range r.header {
		if strings.EqualFold(r.header[i][0], name) {
			r.header = append(r.header[:i], r.header[i+1:]...)
			return
		}
	}
}

func (r *asked) changed(how string) { r.changes = append(r.changes, how) }

// target is what stands in the request's line.
func (r *asked) target() string {
	if r.query == "" {
		return r.path
	}
	return r.path + "?" + r.query
}

// bytes are the request on the wire.
func (r *asked) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", r.method, r.target())
	for _, h := range r.header {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	switch {
	case r.length == "chunked":
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		if len(r.body) > 0 {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(r.body), r.body)
		}
		b.WriteString("0\r\n\r\n")
		return b.Bytes()
	case r.length != "":
		fmt.Fprintf(&b, "Content-Length: %s\r\n", r.length)
	case len(r.body) > 0 || r.method == http.MethodPost || r.method == http.MethodPut:
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n")
	b.Write(r.body)
	return b.Bytes()
}

// mayBeCut tells whether a server may close the connection while the request is
// still being sent, so that its answer is lost on the way: it does not know how
// long that is, or has seen in its first 4 KiB that it will not read the rest.
func (r *asked) mayBeCut() bool {
	return r.length != "" && r.length != "chunked" || len(r.bytes()) > 4<<10
}

// understood gives the request as a server takes it, nil where it cannot.
func (r *asked) understood() *http.Request {
	u, err := url.ParseRequestURI(r.target())
	if err != nil {
		return nil
	}
	req := &http.Request{Method: r.method, URL: u, Header: http.Header{}, Host: "127.0.0.1"}
	for _, h := range r.header {
		req.Header.Add(h[0], h[1])
	}
	return req
}

// String is for whoever looks for what went wrong.
func (r *asked) String() string {
	text := r.bytes()
	if len(text) > 3000 {
		text = append(text[:3000:3000], "..."...)
	}
	return fmt.Sprintf("%s\n%q", strings.Join(r.changes, ", "), text)
}

// wire is a connection to a server, made anew where it ended.
type wire struct {
	address string
	conn    net.Conn
	read    *bufio.Reader
}

func newWire(base string) *wire { return &wire{address: strings.TrimPrefix(base, "http://")} }

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close() // nothing is in flight
		w.conn = nil
	}
}

// patience is how long a server may take to answer.
const wirePatience = 2 * time.Minute

// send writes a request and reads the answer. A server that answers before it
// has read all of the request, and closes, does what it may.
func (w *wire) send(ctx context.Context, method string, text []byte) (exchanged, error) {
	if w.conn == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", w.address)
		if err != nil {
			return exchanged{}, err
		}
		w.conn, w.read = conn, bufio.NewReader(conn)
	}
	_ = w.conn.SetDeadline(time.Now().Add(wirePatience)) // an open connection has one
	written := make(chan struct{})
	conn := w.conn
	go func() {
		defer close(written)
		_, _ = conn.Write(text) // the answer tells
	}()
	defer func() { <-written }()
	resp, err := http.ReadResponse(w.read, &http.Request{Method: method})
	for err == nil && resp.StatusCode == http.StatusContinue {
		resp, err = http.ReadResponse(w.read, &http.Request{Method: method})
	}
	if err != nil {
		w.close()
		return exchanged{}, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.Close {
		w.close()
	}
	return exchanged{resp.StatusCode, resp.Header, body}, err
}

// maxEmitted is about how long a body may become; then it just ends.
const maxEmitted = 3 << 20

// emit writes a tree of JSON, of which some may be none.
func emit(b *bytes.Buffer, v any) {
	if b.Len() > maxEmitted {
		return
	}
	switch x := v.(type) {
	case verbatim:
		b.WriteString(string(x))
	case *ordered:
		b.WriteByte('{')
		for i, key := range x.keys {
			if i > 0 {
				b.WriteByte(',')
			}
			emit(b, key)
			b.WriteByte(':')
			emit(b, x.vals[key])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			emit(b, e)
		}
		b.WriteByte(']')
	default:
		text, err := json.Marshal(x)
		if err != nil {
			panic(err) // scalars alone are left
		}
		b.Write(text)
	}
}

// verbatim is text in the place of a value of JSON.
type verbatim string
