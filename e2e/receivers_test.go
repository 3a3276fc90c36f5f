package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// badReceiver answers every request on a connection with bytes of its own, then
// waits or closes.
func badReceiver(t *testing.T, scheme string, answer func(c net.Conn)) (url string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.WithoutCancel(t.Context()), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // it may be closed by the test
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				// All of it is read: closing over unread bytes resets the
				// connection, which may overtake the answer.
				in := bufio.NewReader(c)
				if first, err := in.Peek(1); err == nil && first[0] == 'P' { // a POST, not a greeting of TLS
					if r, err := http.ReadRequest(in); err == nil {
						_, _ = io.Copy(io.Discard, r.Body)
					}
				}
				answer(c)
			}()
		}
	}()
	return scheme + "://" + l.Addr().String() + "/"
}

// TestBadReceivers has builds announced to receivers of every bad sort. Each
// attempt ends within its time and says why; the good ones are told meanwhile;
// nothing is held on to.
func TestBadReceivers(t *testing.T) {
	t.Parallel() // it waits, mostly
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	p := newPatient(t)
	end := make(chan struct{})
	say := func(text string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, text) } // it may be gone
	}
	closed := badReceiver(t, "http", say(""))
	receivers := []struct {
		name, url, status, tells string
	}{
		{"hangs", badReceiver(t, "http", func(net.Conn) { <-end }), "pending", "no answer within"},
		{"endless body", badReceiver(t, "http", func(c net.Conn) {
			for _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err == nil; {
				_, err = io.WriteString(c, strings.Repeat("x", 64<<10))
			}
		}), "delivered", ""},
		{"less than it says", badReceiver(t, "http", say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")), "delivered", ""},
		{"endless headers", badReceiver(t, "http", func(c net.Conn) {
			for _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n"); err == nil; {
				_, err = io.WriteString(c, strings.Repeat("X: y\r\n", 1000))
			}
		}), "pending", ""},
		{"gone", badReceiver(t, "http", say("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")), "failed", "410"},
		{"closes at once", closed, "pending", "closed without an answer"},
		{"no TLS", badReceiver(t, "https", say("HTTP/1.1 200 OK\r\n\r\n")), "pending", "TLS"},
		{"no HTTP", badReceiver(t, "http", say("what?\r\n\r\n")), "pending", "no valid HTTP answer"},
		{"redirects in a circle", badReceiver(t, "http", say("HTTP/1.1 308 Permanent Redirect\r\nLocation: /again\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")), "pending", "redirect"},
	}
	ids := make([]string, len(receivers))
	for i, r := range receivers {
		got := p.ask(t, http.MethodPost, "/audiences", definition(fmt.Sprintf(`"outputs":["ss_id"],"callback_url":%q`, r.url)))
		ids[i] = value(t, got, "response.id")
	}
	begun := time.Now()
	p.create(t, "good")
	await(t, p.messages)
	t.Logf("a good receiver beside %d bad ones is told after %v", len(receivers), time.Since(begun).Round(time.Millisecond))

	for i, r := range receivers {
		var state, said string
		took := until(t, r.name, func() bool {
			list := p.ask(t, http.MethodGet, "/callbacks?limit=500", "")
			for n := range atoi(t, value(t, list, "response.data.len")) {
				at := fmt.Sprint("response.data.", n)
				if value(t, list, at+".audience_id") == ids[i] && value(t, list, at+".attempts.len") != "0" {
					state, said = value(t, list, at+".status"), value(t, list, at+".attempts.0.error")
					return true
				}
			}
			return false
		})
		if state != r.status || !strings.Contains(said, r.tells) {
			t.Errorf("%s: the callback is %s and tells %q, want %s and %q in it", r.name, state, said, r.status, r.tells)
		}
		t.Logf("%s: %s after %v more: %s", r.name, state, took, said)
	}
	close(end)
	for _, id := range ids {
		deleteAudience(t, p.process, p.token, id)
	}
	p.settles(t, p.base)
}
