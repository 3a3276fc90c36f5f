package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"throng/client"
	"throng/demo"
)

// binary is the path of the throng under test, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "throng-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, "make folder:", err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "throng")
		build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "throng/cmd/throng")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build throng: %v\n%s", err, out)
			return 1
		}
		if err := moreAtOnce(); err != nil {
			fmt.Fprintln(os.Stderr, "set how many tests run at once:", err)
			return 1
		}
		return m.Run()
	}())
}

// moreAtOnce has more parallel tests run at once than there are processors,
// unless -parallel says how many: those of this package wait, mostly, for
// leases, time-outs and disks.
func moreAtOnce() error {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if said {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
}

// throng runs a command to its end and returns what it printed.
func throng(t testing.TB, args ...string) string {
	t.Helper()
	out, err := run(args...)
	if err != nil {
		t.Fatalf("throng %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// run is throng without the test's end.
func run(args ...string) (string, error) { return runWith(nil, args...) }

// runWith is run of a command that reads its standard input.
func runWith(in io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), binary, args...)
	cmd.Stdin = in
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, stderr.String())
	}
	return string(out), err
}

// process is a running `throng serve`.
type process struct {
	cmd   *exec.Cmd
	URL   string
	Admin string      // of metrics and profiles, where it was started with --admin-listen
	admin chan string // the same, when it is told
	log   *lockedBuffer
	done  chan struct{} // closed when it has ended
	err   error         // of Wait; read after done
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// launch runs throng serve. Its URL is sent once, when it listens.
func launch(ctx context.Context, args ...string) (*process, <-chan string, error) {
	return launchCommand(exec.CommandContext(ctx, binary, append([]string{"serve", "--log-format", "json"}, args...)...))
}

// launchCommand is launch of a command that runs throng serve.
func launchCommand(cmd *exec.Cmd) (*process, <-chan string, error) {
	p := &process{cmd: cmd, log: &lockedBuffer{}, done: make(chan struct{}), admin: make(chan string, 1)}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start throng: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start throng: %w", err)
	}
	url := make(chan string, 1)
	go func() {
		defer close(p.done)
		lines := bufio.NewReader(stderr)
		for {
			line, err := lines.ReadString('\n')
			_, _ = p.log.Write([]byte(line))
			var entry struct{ Msg, Listen, URL string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
				url <- "http://" + entry.Listen
			} else if entry.Msg == "serving metrics" {
				p.admin <- entry.URL
			}
			if err != nil {
				break
			}
		}
		p.err = p.cmd.Wait()
	}()
	return p, url, nil
}

// start runs throng serve on a free port of the loopback and waits until it
// listens. It ends with the test, which fails where the server then goes on
// doing something, once it has nothing to do.
func start(t testing.TB, data string, args ...string) *process {
	t.Helper()
	return startUnder(t, "", data, args...)
}

// startUnder is start by a shell's script, unless it is empty, which has the
// command and its arguments as its own.
func startUnder(t testing.TB, script, data string, args ...string) *process {
	t.Helper()
	if !slices.Contains(args, "--admin-listen") {
		args = append([]string{"--admin-listen", "127.0.0.1:0"}, args...)
	}
	args = append([]string{"serve", "--log-format", "json", "--data", data, "--listen", "127.0.0.1:0"}, args...)
	ctx := context.WithoutCancel(t.Context()) // which ends before the test's cleanup, which is what ends the process
	cmd := exec.CommandContext(ctx, binary, args...)
	if script != "" {
		cmd = exec.CommandContext(ctx, "sh", append([]string{"-c", script, binary}, args...)...)
	}
	p := startCommand(t, cmd)
	base := p.usage(t)
	t.Cleanup(func() { p.leavesNothing(t, base) })
	return p
}

// startCommand is start of a command that runs throng serve.
func startCommand(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p, url, err := launchCommand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("server's log:\n%s", p.log.String())
		}
	})
	listens := func(address <-chan string) string {
		t.Helper()
		select {
		case a := <-address:
			return a
		case <-p.done:
			t.Fatalf("throng serve ended: %v\n%s", p.err, p.log.String())
		case <-time.After(time.Minute):
			t.Fatalf("throng serve does not listen after a minute:\n%s", p.log.String())
		}
		return ""
	}
	p.URL = listens(url)
	if slices.Contains(cmd.Args, "--admin-listen") {
		p.Admin = listens(p.admin)
	}
	return p
}

// kill ends the process at once, as a power cut would, and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// stop asks the process to end and returns its exit status.
func (p *process) stop(t testing.TB) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("stop throng: %v", err)
	}
	<-p.done
	if exit, ok := errors.AsType[*exec.ExitError](p.err); ok {
		return exit.ExitCode()
	}
	return 0
}

// population is the synthetic dataset that the tests share, made once.
var population = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(binary), "population")
	return dir, demo.Generate(context.Background(), demo.Config{People: 100_000, Seed: 1, Dir: dir})
})

// loaded is a data folder with the shared population, loaded once and copied
// by hard links for each test that changes it.
var loaded = sync.OnceValues(func() (string, error) {
	src, err := population()
	if err != nil {
		return "", err
	}
	data := filepath.Join(filepath.Dir(binary), "loaded")
	_, err = run("load", src, "--data", data)
	return data, err
})

// newData gives a data folder with the shared population in it, and nothing
// else: no caller, no audience.
func newData(t testing.TB) string {
	t.Helper()
	from, err := loaded()
	if err != nil {
		t.Fatalf("load population: %v", err)
	}
	data := filepath.Join(t.TempDir(), "data")
	// An index is never changed in place, so links are as good as copies.
	err = filepath.WalkDir(filepath.Join(from, "index"), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(data, rel), 0o700)
		}
		return os.Link(path, filepath.Join(data, rel))
	})
	if err != nil {
		t.Fatalf("copy data folder: %v", err)
	}
	return data
}

// addCaller makes a caller and returns a client of the server with its token.
func addCaller(t testing.TB, p *process, data, name string, flags ...string) (*client.Client, string) {
	t.Helper()
	token := strings.TrimSpace(throng(t, append([]string{"caller", "add", name, "--data", data}, flags...)...))
	return client.New(p.URL, token), token
}

// allGrants are the flags of a caller who may do everything.
func allGrants() []string {
	return []string{"--can-generate", "all", "--can-view", "all", "--can-download", "all", "--grant", "all"}
}

// waitDone waits until an audience is no longer running.
func waitDone(t testing.TB, c *client.Client, id int64) *client.Audience {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a, err := c.Wait(ctx, id, 10*time.Millisecond)
	if err != nil {
		t.Fatalf("wait for audience %d: %v", id, err)
	}
	return a
}

// download reads a whole file of an audience.
func download(t testing.TB, c *client.Client, id int64, typ, format string) []byte {
	t.Helper()
	f, err := c.Output(t.Context(), id, typ, format)
	if err != nil {
		t.Fatalf("download %s of audience %d: %v", typ, id, err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatalf("download %s of audience %d: %v", typ, id, err)
	}
	return text
}
