package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// quick is a pace at which a test need not wait long.
var quick = pace{headers: 300 * time.Millisecond, body: 300 * time.Millisecond, write: 300 * time.Millisecond, idle: 700 * time.Millisecond, stop: 500 * time.Millisecond}

// late is by when something must have happened on a slow machine.
const late = 20 * time.Second

// dial opens a connection to a server that gives up on its own at last.
func dial(t *testing.T, url string) *net.TCPConn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	tcp := c.(*net.TCPConn)
	if err := tcp.SetDeadline(time.Now().Add(late)); err != nil {
		t.Fatal(err)
	}
	return tcp
}

// wantClosed reads to the end, which the server must make.
func wantClosed(t *testing.T, c net.Conn) string {
	t.Helper()
	text, err := io.ReadAll(c)
	var wait net.Error
	if errors.As(err, &wait) && wait.Timeout() {
		t.Errorf("the server has not closed the connection after %v", late)
	}
	return string(text)
}

// TestSlowClients keeps connections as clients do that are slow, or gone.
func TestSlowClients(t *testing.T) {
	_, url := serving(t, Config{pace: quick})
	t.Run("half-open", func(t *testing.T) { wantClosed(t, dial(t, url)) })
	t.Run("idle", func(t *testing.T) {
		c := dial(t, url)
		fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := wantClosed(t, c); !strings.HasPrefix(got, "HTTP/1.1 200") {
			t.Errorf("answer = %q", got)
		}
	})
	t.Run("slow header", func(t *testing.T) {
		c := dial(t, url)
		go trickle(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("a", 10_000))
		wantClosed(t, c)
	})
	t.Run("header too large", func(t *testing.T) {
		c := dial(t, url)
		go fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("a", 100<<10))
		if got := wantClosed(t, c); !strings.HasPrefix(got, "HTTP/1.1 431") {
			t.Errorf("answer = %q, want 431", got)
		}
	})
	t.Run("slow body", func(t *testing.T) {
		c := dial(t, url)
		fmt.Fprintf(c, "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n")
		go trickle(c, strings.Repeat("a", 1000))
		wantClosed(t, c)
	})
	t.Run("body that does not come", func(t *testing.T) {
		c := dial(t, url)
		fmt.Fprintf(c, "POST /platform/v0/audiences HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
		if got := wantClosed(t, c); !strings.HasPrefix(got, "HTTP/1.1 401") {
			t.Errorf("answer = %q", got)
		}
	})
}

// trickle writes a byte at a time until the other end has enough.
func trickle(c net.Conn, text string) {
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond) // what makes it slow
	}
}

// TestPipelining sends several requests before it reads any answer.
func TestPipelining(t *testing.T) {
	_, url := serving(t, Config{pace: quick})
	c := dial(t, url)
	const n = 50
	go func() {
		for i := range n {
			path := "/healthz"
			if i%2 == 1 {
				path = "/platform/v0/credits"
			}
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		}
	}()
	r := bufio.NewReader(c)
	for i := range n {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if want := []int{200, 401}[i%2]; resp.StatusCode != want {
			t.Errorf("answer %d has status %d, want %d", i, resp.StatusCode, want)
		}
	}
}

// TestReuse asks again on a connection whose write deadline has passed.
func TestReuse(t *testing.T) {
	_, url := serving(t, Config{pace: pace{write: 50 * time.Millisecond, idle: time.Minute}})
	c := dial(t, url)
	r := bufio.NewReader(c)
	for i, request := range []string{
		"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /login HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 7\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n",
	} {
		time.Sleep(100 * time.Millisecond) // longer than the deadline
		fmt.Fprint(c, request)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if resp.StatusCode == http.StatusContinue {
			fmt.Fprint(c, "token=x")
			if resp, err = http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("answer after 100: %+v, %v", resp, err)
			}
			continue
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 || n == 0 {
			t.Errorf("answer %d = %d, %d bytes, %v", i, resp.StatusCode, n, err)
		}
	}
}

// answering serves what a handler does, at the quick pace. It gives the address
// and what ends the server.
func answering(t *testing.T, h http.Handler) (url string, stop func() error) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	group, gctx := errgroup.WithContext(ctx)
	s := &Server{cfg: Config{Logger: slog.New(slog.DiscardHandler), pace: quick}}
	s.serve(gctx, group, newLimited(l, 100, quick.write), h, s.cfg.pace.apply)
	stop = func() error { cancel(); return group.Wait() }
	t.Cleanup(func() { _ = stop() })
	return "http://" + l.Addr().String(), stop
}

// TestSlowReader reads a large answer slowly: at a byte now and then it is cut,
// at what a slow network does it comes whole, however long that takes.
func TestSlowReader(t *testing.T) {
	ended := make(chan error, 1)
	url, _ := answering(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := 64 << 20
		if r.URL.Path == "/small" {
			size = 8 << 20
		}
		_, err := io.Copy(w, io.LimitReader(zeros{}, int64(size)))
		ended <- err
	}))
	t.Run("a byte now and then", func(t *testing.T) {
		c := dial(t, url)
		if err := c.SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
		for one := make([]byte, 1); ; {
			select {
			case err := <-ended:
				if err == nil {
					t.Error("64 MiB were sent to a client that reads a byte now and then")
				}
				return
			default:
			}
			if _, err := c.Read(one); err != nil {
				<-ended // it was cut, and the handler is told
				return
			}
			time.Sleep(10 * time.Millisecond) // what makes it slow
		}
	})
	t.Run("steadily", func(t *testing.T) {
		c := dial(t, url)
		if err := c.SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		fmt.Fprint(c, "GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		n := 0
		for b := make([]byte, 32<<10); ; {
			k, err := c.Read(b)
			n += k
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("after %d bytes and %v: %v", n, time.Since(start), err)
			}
			time.Sleep(time.Duration(k) * time.Second / (4 << 20)) // 4 MiB a second at most
		}
		if err := <-ended; err != nil || n < 8<<20 || time.Since(start) < 3*quick.write {
			t.Errorf("%d bytes in %v, %v; want all, in more than the pause", n, time.Since(start), err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestStopWithSlowReader ends a server of which a client reads nothing.
func TestStopWithSlowReader(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	url, stop := answering(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		select { // as a handler that works for somebody who still waits
		case <-r.Context().Done():
		case <-release:
		}
		_, _ = io.Copy(w, zeros{}) // until it is cut
	}))
	defer close(release)
	fmt.Fprint(dial(t, url), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-began
	start := time.Now()
	if err := stop(); err != nil {
		t.Errorf("stop = %v, want nil", err)
	}
	if took := time.Since(start); took < quick.stop/2 || took > late {
		t.Errorf("stopped after %v, want some %v", took, quick.stop)
	}
}

// TestMaxConnections opens more than are served.
func TestMaxConnections(t *testing.T) {
	_, url := serving(t, Config{MaxConnections: 3})
	ask := func(c net.Conn) string {
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		var answer []byte
		for b := make([]byte, 512); !strings.HasSuffix(string(answer), "\n"+"alive\n"); {
			n, err := c.Read(b)
			if answer = append(answer, b[:n]...); err != nil {
				break
			}
		}
		first, _, _ := strings.Cut(string(answer), "\r")
		return first
	}
	var open []net.Conn
	for range 3 {
		c := dial(t, url)
		if got := ask(c); got != "HTTP/1.1 200 OK" {
			t.Fatalf("answer within the limit = %q", got)
		}
		open = append(open, c)
	}
	if got := wantClosed(t, dial(t, url)); !strings.HasPrefix(got, "HTTP/1.1 503") || !strings.Contains(got, "Retry-After: 1") {
		t.Errorf("answer beyond the limit = %q, want 503", got)
	}
	open[0].Close()
	for deadline := time.Now().Add(late); ; {
		if got := ask(dial(t, url)); got == "HTTP/1.1 200 OK" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("answer after one was closed = %q", got)
		}
	}
	if got := ask(open[1]); got != "HTTP/1.1 200 OK" {
		t.Errorf("answer to one that was open all the time = %q", got)
	}
}
