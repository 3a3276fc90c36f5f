package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"
)

// node is a data folder whose server is killed and started again, always on
// the same address.
type node struct {
	name, data, listen string
	flags              []string // of every command on the folder

	mu     sync.Mutex
	p      *process // nil while no server runs
	starts int
}

// newNode takes a data folder and an address of the loopback.
func newNode(t *testing.T, name, data string, flags ...string) *node {
	t.Helper()
	// One that the kernel does not give to connections, so that it is still
	// free when the server comes back.
	for range 1000 {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(8_000)))
		if err != nil {
			continue
		}
		l.Close()
		return &node{name: name, data: data, listen: l.Addr().String(), flags: append([]string{"--data", data}, flags...)}
	}
	t.Fatal("found no free port of 12000 to 19999")
	return nil
}

func (n *node) url() string { return "http://" + n.listen }

// command runs another command on the node's folder to its end.
func (n *node) command(args ...string) (string, error) { return run(append(args, n.flags...)...) }

// launch starts the server and returns before it serves.
func (n *node) launch(ctx context.Context, flags ...string) (*process, <-chan string, error) {
	args := append([]string{"--listen", n.listen}, n.flags...)
	return launch(ctx, append(args, flags...)...)
}

// await makes a launched server the node's once it serves.
func (n *node) await(p *process, serving <-chan string) error {
	select {
	case p.URL = <-serving:
	case <-p.done:
		return fmt.Errorf("server %s ended: %w\n%s", n.name, p.err, p.log)
	case <-time.After(2 * time.Minute):
		return fmt.Errorf("server %s does not serve after two minutes\n%s", n.name, p.log)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.p = p
	n.starts++
	return nil
}

// living is the node's server, nil where none runs.
func (n *node) living() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.p
}

// shoot kills the node's server without waiting for its end; false where none
// runs.
func (n *node) shoot() (*process, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.p
	if p == nil {
		return nil, false
	}
	n.p = nil
	_ = p.cmd.Process.Kill() // it has not been waited for, so that it is this one
	return p, true
}

// reply is an answer that came whole.
type reply struct {
	status int
	body   []byte
	header http.Header
	node   *node
	lost   int // how many requests before it were not answered, or not to the end
}

// request is what is sent, and sent again where no answer comes.
type request struct {
	method, path, contentType string
	// body gives the bytes anew for each time; nil is none.
	body    func(n *node) io.Reader
	size    int64 // of the body, where it is not in memory
	headers []string
	// what names the request to whoever aims at it: told as "what sent" once it
	// is written, as "what answered" once its answer was read.
	what string
	// read takes the answer's body in place of io.ReadAll.
	read func(n *node, r io.Reader) ([]byte, error)
	// once gives up after the first try.
	once bool
}

// stormHTTP is what all requests go through. Connections are not kept from one
// process to the next, since an address is the same server's for ever.
var stormHTTP = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 10 * time.Second}, Timeout: 3 * time.Minute}

func spoken(s string) func(*node) io.Reader {
	return func(*node) io.Reader { return strings.NewReader(s) }
}

func bytesOf(b []byte) func(*node) io.Reader {
	return func(*node) io.Reader { return bytes.NewReader(b) }
}

// ask sends a request to one of the living servers until one of them answers.
func (c *caller) ask(ctx context.Context, r request) (reply, error) {
	for lost := 0; ; lost++ {
		n, err := c.living(ctx)
		if err != nil {
			return reply{}, err
		}
		got, err := c.send(ctx, n, r)
		if got.lost = lost; err == nil {
			return got, nil
		}
		if r.once || ctx.Err() != nil {
			return got, errors.Join(err, ctx.Err())
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return reply{}, err
		}
	}
}

// living waits for a server that runs, and gives any one.
func (c *caller) living(ctx context.Context) (*node, error) {
	for {
		n := c.s.nodes[c.rng.IntN(len(c.s.nodes))]
		if n.living() != nil {
			return n, nil
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// pause is the time between two looks.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// send sends a request to one server, once.
func (c *caller) send(ctx context.Context, n *node, r request) (reply, error) {
	got := reply{node: n}
	if r.what != "" {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			WroteRequest: func(httptrace.WroteRequestInfo) { c.s.event(r.what+" sent", n) },
		})
	}
	var body io.Reader
	if r.body != nil {
		body = r.body(n)
	}
	path := r.path
	if strings.HasPrefix(path, "/") {
		path = n.url() + path
	}
	req, err := http.NewRequestWithContext(ctx, r.method, path, body)
	if err != nil {
		return got, err
	}
	if r.size > 0 {
		req.ContentLength = r.size
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Accept-Encoding", "identity")
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	for i := 0; i+1 < len(r.headers); i += 2 {
		req.Header.Set(r.headers[i], r.headers[i+1])
	}
	resp, err := stormHTTP.Do(req)
	if err != nil {
		return got, err
	}
	defer resp.Body.Close()
	read := r.read
	if read == nil {
		read = func(_ *node, r io.Reader) ([]byte, error) { return io.ReadAll(r) }
	}
	got.status, got.header = resp.StatusCode, resp.Header
	if got.body, err = read(n, resp.Body); err != nil {
		return got, err
	}
	if r.what != "" {
		c.s.event(r.what+" answered", n)
	}
	return got, nil
}
