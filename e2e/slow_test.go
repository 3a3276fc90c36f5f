package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// slowConn connects to a server as a client does that reads little at a time.
func slowConn(t *testing.T, p *process, within time.Duration) *net.TCPConn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	tcp := c.(*net.TCPConn)
	if err := tcp.SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if err := tcp.SetDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	return tcp
}

// TestSlowClients holds the real server to its real times: a header that does not
// end, and with THRONG_TEST_LONG=1 a download of a byte now and then, and one
// that is under way when the server is told to stop.
func TestSlowClients(t *testing.T) {
	t.Parallel() // it waits, mostly
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	long := os.Getenv("THRONG_TEST_LONG") != ""
	data := filepath.Join(t.TempDir(), "data")
	if long {
		data = newData(t)
	}
	server := start(t, data)
	for name, request := range map[string]string{"half-open": "", "slow header": "GET /healthz HTTP/1.1\r\nHost: x\r\n"} {
		c := slowConn(t, server, 2*time.Minute)
		begin := time.Now()
		fmt.Fprint(c, request)
		_, _ = io.Copy(io.Discard, c) // to the end that the server makes
		if took := time.Since(begin); took < 5*time.Second || took > time.Minute {
			t.Errorf("%s: closed after %v, want some 10s", name, took)
		}
		if !long {
			break
		}
	}
	if !long {
		t.Log("slow downloads, which take minutes, are tested with THRONG_TEST_LONG=1")
		return
	}
	c, token := addCaller(t, server, data, "slow", allGrants()...)
	id := value(t, exchange(t, server, token, http.MethodPost, "/platform/v0/audiences", "application/json", definition("")), "response.id")
	waitDone(t, c, int64(atoi(t, id)))
	// A hundred files one after the other are more than all buffers hold.
	request := strings.Repeat("GET /platform/v0/audiences/"+id+"/outputs/ss_id?format=csv HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n\r\n", 100)
	slow := slowConn(t, server, 10*time.Minute)
	begin := time.Now()
	fmt.Fprint(slow, request)
	for one := make([]byte, 1); ; time.Sleep(100 * time.Millisecond) { // what makes it slow
		if _, err := slow.Write([]byte("\r\n")); err != nil {
			break
		}
		if _, err := slow.Read(one); err != nil {
			break
		}
	}
	if took := time.Since(begin); took < 30*time.Second || took > 5*time.Minute {
		t.Errorf("a download of 10 bytes a second was cut after %v, want one to two minutes", took)
	}
	last := slowConn(t, server, 10*time.Minute)
	fmt.Fprint(last, request)
	if _, err := io.ReadFull(last, make([]byte, 1000)); err != nil { // it is under way
		t.Fatal(err)
	}
	begin = time.Now()
	if status := server.stop(t); status != 0 || time.Since(begin) > 45*time.Second {
		t.Errorf("stopped with status %d after %v, want 0 after 30s at most", status, time.Since(begin))
	}
}
