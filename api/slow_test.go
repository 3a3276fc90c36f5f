package api

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A file may take hours, but must not stop coming, nor come in drops. What its
// reader takes its time for is not the sender's.
func TestPacedBody(t *testing.T) {
	f := func(name string, piece int, every, readEvery time.Duration, want error) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			l := &oneConn{make(chan net.Conn, 1), make(chan struct{})}
			l.conn <- server
			const size = 256 << 10
			var read error
			n := 0
			done := make(chan struct{})
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				body := PacedBody(w, r.Body)
				for b := make([]byte, 8<<10); ; {
					k, err := body.Read(b)
					if n += k; err != nil {
						read = err
						return
					}
					time.Sleep(readEvery)
				}
			})}
			go srv.Serve(l)
			go io.Copy(io.Discard, client)
			io.WriteString(client, "PUT / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 262144\r\n\r\n")
			for sent := 0; sent < size; sent += piece {
				if _, err := io.WriteString(client, strings.Repeat("x", min(piece, size-sent))); err != nil {
					break
				}
				time.Sleep(every)
			}
			<-done
			client.Close()
			srv.Close()
			synctest.Wait()
			if !errors.Is(read, want) || (want == io.EOF) != (n == size) { //nolint:errorlint // the very value
				t.Errorf("%s: %d bytes, %v; want %v", name, n, read, want)
			}
		})
	}
	f("at once", 256<<10, 0, 0, io.EOF)
	f("steadily", 1<<10, time.Second, 0, io.EOF) // 60 KiB a minute
	f("in bursts", 32<<10, 55*time.Second, 0, io.EOF)
	f("drop by drop", 1, 100*time.Millisecond, 0, os.ErrDeadlineExceeded)
	f("stopping", 64<<10, 2*time.Minute, 0, os.ErrDeadlineExceeded)
	f("to a reader that is slow", 256<<10, 0, 3*time.Minute, io.EOF)
}
