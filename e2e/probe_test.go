package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// usage is what a server holds, but for connections to others that are kept for
// the next request: the way to a bucket is kept open for a minute or more.
type usage struct {
	goroutines int
	handles    int    // open file descriptors; negative where the system does not tell
	resident   uint64 // bytes of memory, mapped files included
	private    uint64 // bytes of memory that no file backs
	cpu        time.Duration
}

// usage asks a server that has an admin listener what it holds. The question
// itself is not counted.
func (p *process) usage(t testing.TB) usage {
	t.Helper()
	u, err := p.measure()
	if err != nil {
		t.Fatalf("measure server: %v", err)
	}
	return u
}

func (p *process) measure() (u usage, err error) {
	text, err := p.profile()
	if err != nil {
		return u, err
	}
	if _, err := fmt.Sscanf(text, "goroutine profile: total %d", &u.goroutines); err != nil {
		return u, fmt.Errorf("read profile: %w", err)
	}
	idle := idleConnections(text)
	u.goroutines -= 2 * idle // one that reads and one that writes
	u.handles = -1
	proc := "/proc/" + strconv.Itoa(p.cmd.Process.Pid)
	if fds, err := os.ReadDir(proc + "/fd"); err == nil {
		u.handles = len(fds) - idle
	}
	if stat, err := os.ReadFile(proc + "/stat"); err == nil {
		_, rest, _ := strings.Cut(string(stat), ") ") // what comes before is a name
		if f := strings.Fields(rest); len(f) > 12 {
			user, _ := strconv.Atoi(f[11]) // in hundredths of a second, on all systems of this sort
			system, _ := strconv.Atoi(f[12])
			u.cpu = time.Duration(user+system) * 10 * time.Millisecond
		}
	}
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		return u, nil // not on this system
	}
	for line := range strings.Lines(string(status)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			u.resident = kib << 10
		}
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kib); n == 1 {
			u.private = kib << 10
		}
	}
	return u, nil
}

// idleConnections counts, in a profile of goroutines, connections of HTTP
// clients that wait for a first byte. A connection whose answer was not read to
// its end does not: that is one that was forgotten. Who waits for an answer is a
// goroutine of its own.
func idleConnections(profile string) (n int) {
	for stack := range strings.SplitSeq(profile, "\n\n") {
		if strings.Contains(stack, "net/http.(*persistConn).readLoop+") && strings.Contains(stack, "bufio.(*Reader).Peek+") {
			var same int
			if _, err := fmt.Sscanf(stack[strings.LastIndexByte(stack[:strings.Index(stack, " @ ")], '\n')+1:], "%d @", &same); err == nil {
				n += same
			}
		}
	}
	return n
}

// probes asks servers for their profiles, each time over a connection of its
// own, so that none is left behind.
var probes = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}

// profile lists the goroutines of a server by what they do.
func (p *process) profile() (string, error) {
	resp, err := probes.Get(p.Admin + "/debug/pprof/goroutine?debug=1") //nolint:noctx // it has a timeout
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// slack is by how many goroutines an idle server may differ from
// one moment to the next: a connection that is just being closed, a statement
// that the runner of jobs is just asking.
const slack = 4

// poolHandles is how many handles the pools of a server's database may still
// open, and keep, after it has been warmed up: eight connections of three files
// each where it is a file, sixteen sockets where it is none.
const poolHandles = 24

// settles waits until a server that has nothing to do holds no more than it
// did, and tells what it holds then.
func (p *process) settles(t testing.TB, base usage) usage {
	t.Helper()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		u := p.usage(t)
		if u.goroutines <= base.goroutines+slack && u.handles <= base.handles+poolHandles {
			return u
		}
		if time.Now().After(deadline) {
			text, err := p.profile()
			t.Errorf("after all was done there are %d goroutines and %d handles, and %d and %d before\n%s %v",
				u.goroutines, u.handles, base.goroutines, base.handles, text, err)
			return u
		}
	}
}

// young is how many goroutines of its own a server may still have to start when
// it has said that it serves: on a busy machine it is counted before it has.
const young = 8

// leavesNothing makes sure, at the end of a test, that a server that has not
// ended comes to rest.
func (p *process) leavesNothing(t testing.TB, base usage) {
	t.Helper()
	select {
	case <-p.done:
		return
	default:
	}
	if t.Failed() {
		return
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		u, err := p.measure()
		if err == nil && u.goroutines <= base.goroutines+young+slack {
			return
		}
		if time.Now().After(deadline) {
			text, textErr := p.profile()
			t.Errorf("a minute after the test the server has %d goroutines, %d when it began: %v\n%s %v", u.goroutines, base.goroutines, err, text, textErr)
			return
		}
	}
}
