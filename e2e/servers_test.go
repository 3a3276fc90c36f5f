package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"throng/client"
	"throng/internal/pgtest"
	"throng/internal/s3test"
)

// cluster is what several servers share: a database, a bucket and a key.
type cluster struct {
	t        *testing.T
	database string
	flags    []string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	c := &cluster{t: t, database: pgtest.URL(t)}
	c.flags = []string{"--database", c.database, "--blobs", s3test.URL(t), "--secret-key", base64.StdEncoding.EncodeToString(key)}
	return c
}

// folder is a new, empty data folder.
func (c *cluster) folder() string { return filepath.Join(c.t.TempDir(), "data") }

// run runs a command on a data folder of the cluster.
func (c *cluster) run(data string, args ...string) (string, error) {
	return run(append(append(args, "--data", data), c.flags...)...)
}

func (c *cluster) must(data string, args ...string) string {
	c.t.Helper()
	out, err := c.run(data, args...)
	if err != nil {
		c.t.Fatalf("throng %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// start runs a server on a data folder.
func (c *cluster) start(data string, args ...string) *process {
	c.t.Helper()
	return start(c.t, data, append(args, c.flags...)...)
}

// caller makes one who may do everything and returns its token.
func (c *cluster) caller(data, name string) string {
	c.t.Helper()
	return strings.TrimSpace(c.must(data, append([]string{"caller", "add", name}, allGrants()...)...))
}

// count counts the definition on the generation of the moment.
func (c *cluster) count(data string) uint64 {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), binary, append([]string{"count", "-", "--data", data, "--json"}, c.flags...)...)
	cmd.Stdin = strings.NewReader(crashDefinition)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("throng count: %v\n%s", err, stderr.String())
	}
	var answer struct{ Response struct{ Size uint64 } }
	if err := json.Unmarshal(out, &answer); err != nil {
		c.t.Fatalf("read count: %v", err)
	}
	return answer.Response.Size
}

// ask asks the database for a number.
func (c *cluster) ask(query string, args ...any) (n int64) {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.database)
	if err != nil {
		c.t.Fatalf("connect: %v", err)
	}
	defer conn.Close(context.WithoutCancel(c.t.Context()))
	if err := conn.QueryRow(c.t.Context(), query, args...).Scan(&n); err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// listens finds in the log where a server listens whose URL is another's.
func (p *process) listens(t testing.TB) string {
	t.Helper()
	for line := range strings.Lines(p.log.String()) {
		var entry struct{ Msg, Listen string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
			return entry.Listen
		}
	}
	t.Fatal("the server does not tell where it listens")
	return ""
}

// get asks a server and returns status and body.
func (p *process) get(t testing.TB, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return resp.StatusCode, string(body)
}

// size previews the definition, 0 where that fails.
func size(t testing.TB, c *client.Client) uint64 {
	t.Helper()
	raw, err := c.Preview(t.Context(), []byte(crashDefinition))
	if err != nil {
		return 0
	}
	var v struct{ Size uint64 }
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v.Size
}

func (c *cluster) build(cl *client.Client) *client.Audience {
	c.t.Helper()
	id, err := cl.CreateAudience(c.t.Context(), []byte(crashDefinition))
	if err != nil {
		c.t.Fatalf("create: %v", err)
	}
	return waitDone(c.t, cl, id)
}

// TestServers has a server that answers and one that works, which begin with empty
// folders: what is loaded elsewhere is fetched and switched to by both, and what is
// asked of the one is built by the other.
func TestServers(t *testing.T) {
	c := newCluster(t)
	elsewhere, atA, atB := c.folder(), c.folder(), c.folder()
	a := c.start(atA, "--role", "api")
	b := c.start(atB, "--role", "worker", "--public-url", a.URL)
	b.URL = "http://" + b.listens(t)
	for name, p := range map[string]*process{"api": a, "worker": b} {
		if code, _ := p.get(t, "/healthz"); code != http.StatusOK {
			t.Errorf("/healthz of %s = %d, want 200", name, code)
		}
		if code, body := p.get(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "no generation") {
			t.Errorf("/readyz of %s before a load = %d %s, want 503", name, code, body)
		}
	}
	if code, _ := b.get(t, "/openapi.json"); code != http.StatusNotFound {
		t.Errorf("the worker answers %d for the API, want 404", code)
	}
	token := c.caller(elsewhere, "several")
	api := client.New(a.URL, token)

	c.must(elsewhere, "load", smallDataset(t))
	loaded := time.Now()
	want := c.count(elsewhere)
	for name, p := range map[string]*process{"api": a, "worker": b} {
		within(t, 3*time.Second, "the first generation at the "+name, func() bool {
			code, _ := p.get(t, "/readyz")
			return code == http.StatusOK
		})
		t.Logf("ready with the first generation %v after its load", time.Since(loaded).Round(time.Millisecond))
	}
	first := c.build(api)
	if first.Status != "done" || first.Size == nil || *first.Size != want || first.Generation != "00000001" {
		t.Fatalf("audience = %s, %s people, generation %s; want done, %d, the first", first.Status, sizeText(first.Size), first.Generation, want)
	}
	members := download(t, api, first.ID, "ss_id", "text")
	if got := uint64(bytes.Count(members, []byte("\n"))); got != want {
		t.Errorf("the file built at the worker has %d lines, want %d", got, want)
	}

	// The second one is loaded at a server's own folder; the others fetch it.
	other := filepath.Join(t.TempDir(), "other")
	throng(t, "generate", other, "--people", "5000", "--seed", "9")
	c.must(atA, "load", other)
	loaded = time.Now()
	next := c.count(elsewhere)
	if next == want {
		t.Fatal("both populations give the same size; the test cannot tell them apart")
	}
	within(t, 3*time.Second, "the second generation at the api", func() bool { return size(t, api) == next })
	within(t, 3*time.Second, "the second generation at the worker", func() bool {
		current, err := os.ReadFile(filepath.Join(atB, "index", "CURRENT"))
		return err == nil && strings.HasPrefix(string(current), "00000002 ")
	})
	t.Logf("all use the second generation %v after its load", time.Since(loaded).Round(time.Millisecond))
	second := c.build(api)
	if second.Generation != "00000002" || second.Size == nil || *second.Size != next {
		t.Errorf("audience on %s of %s people, want the second generation and %d", second.Generation, sizeText(second.Size), next)
	}
	// Beyond the newest two, generations go: from the store, and from every folder.
	c.must(elsewhere, "load", smallDataset(t))
	within(t, 3*time.Second, "the end of the first generation", func() bool {
		for _, data := range []string{atA, atB, elsewhere} {
			if _, err := os.Stat(filepath.Join(data, "index", "00000001")); err == nil {
				return false
			}
		}
		return c.ask(`SELECT COUNT(*) FROM generations`) == 2
	})
	if again := download(t, api, first.ID, "ss_id", "text"); !bytes.Equal(again, members) {
		t.Error("the file of the first audience has changed")
	}
	if a.stop(t) != 0 || b.stop(t) != 0 {
		t.Error("a server ended with a failure after SIGTERM")
	}
	if n := c.ask(`SELECT COUNT(*) FROM servers`); n != 0 {
		t.Errorf("%d servers are said to live after they ended", n)
	}
	// A folder whose settings do not say where generations are would go astray.
	if _, err := run("load", other, "--data", atA, "--database", c.database, "--secret-key", c.flags[5]); err == nil || !strings.Contains(err.Error(), "--blobs") {
		t.Errorf("a load without the bucket = %v, want a refusal that names the setting", err)
	}
}

// TestLoadsAtOnce loads on two folders: one is refused, and says why.
func TestLoadsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the whole population")
	}
	c := newCluster(t)
	large, err := population()
	if err != nil {
		t.Fatal(err)
	}
	first := exec.CommandContext(t.Context(), binary, append([]string{"load", large, "--data", c.folder()}, c.flags...)...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "the first load", func() bool {
		tables := c.ask(`SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'generations'`)
		return tables == 1 && c.ask(`SELECT COUNT(*) FROM generations WHERE status = 'loading'`) == 1
	})
	if _, err := c.run(c.folder(), "load", smallDataset(t)); err == nil || !strings.Contains(err.Error(), "another load is under way on another server") {
		t.Errorf("a load beside another = %v, want a refusal", err)
	}
	if err := first.Wait(); err != nil {
		t.Errorf("the first load = %v", err)
	}
	if n := c.ask(`SELECT COUNT(*) FROM generations WHERE status = 'published'`); n != 1 {
		t.Errorf("%d generations are published, want 1", n)
	}
}

// lease is how long a job stays with a server that gives no sign: the contract's
// minute with THRONG_TEST_LONG, else as little as may be set.
func lease() time.Duration {
	if os.Getenv("THRONG_TEST_LONG") != "" {
		return time.Minute
	}
	return 15 * time.Second
}

// TestServerKilled kills the server that builds. Another, which never had the
// generation that those builds began with, fetches it and ends them within the
// lease.
func TestServerKilled(t *testing.T) {
	t.Parallel() // it waits, mostly
	if testing.Short() {
		t.Skip("waits for a lease to end")
	}
	c := newCluster(t)
	atA, atB := c.folder(), c.folder()
	c.flags = append(c.flags, "--job-lease", lease().String())
	c.must(atA, "load", smallDataset(t))
	want := c.count(atA)
	token := c.caller(atA, "killed")
	a := c.start(atA)
	api := client.New(a.URL, token)
	var ids []int64
	for range 40 {
		id, err := api.CreateAudience(t.Context(), []byte(crashDefinition))
		if err != nil {
			t.Fatalf("create: %v", err)
		}
		ids = append(ids, id)
	}
	const begun = `SELECT COUNT(*) FROM audiences a JOIN jobs j ON j.kind = 'build' AND j.owner_ref = a.id
		WHERE a.status = 'running' AND a.generation = '00000001' AND j.state = 'running'`
	for try := 0; ; try++ {
		if c.ask(begun) > 0 {
			_ = a.cmd.Process.Signal(syscall.SIGSTOP) // so that nothing ends between the look and the kill
			if c.ask(begun) > 0 {
				break
			}
			_ = a.cmd.Process.Signal(syscall.SIGCONT)
		}
		if try > 2000 {
			t.Fatal("no build was seen under way")
		}
	}
	caught := c.ask(begun)
	a.kill()
	killed := time.Now()
	other := filepath.Join(t.TempDir(), "other")
	throng(t, "generate", other, "--people", "5000", "--seed", "9")
	c.must(c.folder(), "load", other)
	b := c.start(atB)
	api = client.New(b.URL, token)
	ctx, cancel := context.WithTimeout(t.Context(), lease()+5*time.Minute)
	defer cancel()
	old := 0
	for _, id := range ids {
		got, err := api.Wait(ctx, id, 20*time.Millisecond)
		if err != nil {
			t.Fatalf("wait for audience %d: %v", id, err)
		}
		if got.Status != "done" {
			t.Fatalf("audience %d is %s: %+v", id, got.Status, got.Error)
		}
		if got.Generation == "00000001" {
			if old++; *got.Size != want {
				t.Errorf("audience %d has %d people, want %d of the first generation", id, *got.Size, want)
			}
		}
	}
	took := time.Since(killed)
	t.Logf("%d builds were under way at the kill; all %d were done %v after it, with a lease of %v", caught, len(ids), took.Round(time.Millisecond), lease())
	if deaths := c.ask(`SELECT COUNT(*) FROM jobs WHERE kind = 'build' AND deaths = 1`); deaths != caught {
		t.Errorf("%d builds were taken over, want the %d that were under way", deaths, caught)
	}
	if old < int(caught) {
		t.Errorf("%d builds ended on the first generation, want at least the %d that had begun with it", old, caught)
	}
	if !strings.Contains(b.log.String(), `"msg":"generation fetched","generation":"00000001"`) {
		t.Error("the other server did not fetch the first generation")
	}
	if limit := 10 * (lease() + 10*time.Second); took > limit {
		t.Errorf("all was done %v after the kill, want at most %v", took, limit)
	}
}

// TestDamagedCopy changes a file of the index under a server: it fetches the
// generation anew, by itself.
func TestDamagedCopy(t *testing.T) {
	c := newCluster(t)
	data := c.folder()
	c.must(c.folder(), "load", smallDataset(t))
	token := c.caller(data, "damage")
	p := c.start(data)
	api := client.New(p.URL, token)
	within(t, 5*time.Second, "the generation", func() bool { return size(t, api) > 0 })
	want := size(t, api)
	damageIndex(t, filepath.Join(data, "index", "00000001"))
	const other = `{"audience":{"name":"damage"},"parameters":[{"operation":"OR","gender":{"genders":["male"]}}]}`
	within(t, 5*time.Second, "the finding", func() bool {
		_, err := api.Preview(t.Context(), []byte(other))
		return err != nil || strings.Contains(p.log.String(), "fetched anew")
	})
	within(t, 5*time.Second, "the repair", func() bool {
		_, err := api.Preview(t.Context(), []byte(other))
		code, _ := p.get(t, "/readyz")
		return err == nil && code == http.StatusOK && strings.Contains(p.log.String(), "fetched anew")
	})
	if got := size(t, api); got != want {
		t.Errorf("preview after the repair = %d, want %d", got, want)
	}
	c.must(data, "check")
}

// damageIndex flips a bit in each part of an index.
func damageIndex(t testing.TB, dir string) {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(dir, "parts", "*"))
	if err != nil || len(parts) == 0 {
		t.Fatalf("parts of the index: %v, %v", parts, err)
	}
	for _, name := range parts {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/3] ^= 4
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKillDuringPublish kills loads in the middle of copying to the bucket: what was
// published stays in use everywhere, the next load on the folder begins at once, and
// what the dead ones left is no generation.
func TestKillDuringPublish(t *testing.T) {
	c := newCluster(t)
	loader, beside := c.folder(), c.folder()
	c.must(loader, "load", smallDataset(t))
	want := c.count(beside)
	kills := 5
	if testing.Short() {
		kills = 2
	}
	other := filepath.Join(t.TempDir(), "other")
	throng(t, "generate", other, "--people", "5000", "--seed", "9")
	caught := 0
	for i := range kills {
		id := fmt.Sprintf("%08d", i+2)
		cmd := exec.CommandContext(t.Context(), binary, append([]string{"load", other, "--data", loader}, c.flags...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		built := func() bool { _, err := os.Stat(filepath.Join(loader, "index", id)); return err == nil }
		for !built() { // it copies from here on
			select {
			case err := <-ended:
				t.Fatalf("load %d ended before it was killed: %v", i, err)
			case <-time.After(time.Millisecond):
			}
		}
		time.Sleep(time.Duration(i) * 4 * time.Millisecond) // another moment each time
		_ = cmd.Process.Kill()
		<-ended
		published := c.ask(`SELECT COUNT(*) FROM generations WHERE status = 'published' AND id = $1`, id)
		if published == 1 {
			want = c.count(loader) // the kill came after all was done
			continue
		}
		caught++
		if got := c.count(beside); got != want {
			t.Fatalf("after kill %d: count on another folder = %d, want %d", i, got, want)
		}
		if got := c.count(loader); got != want {
			t.Fatalf("after kill %d: count on the loader's folder = %d, want %d", i, got, want)
		}
	}
	t.Logf("%d of %d kills came before the publication", caught, kills)
	c.must(loader, "load", other)
	next := c.count(beside)
	if got := c.count(loader); got != next || next == 0 {
		t.Errorf("after all: counts %d and %d, want the same", got, next)
	}
	c.must(beside, "check")
	if n := c.ask(`SELECT COUNT(*) FROM generations WHERE status = 'loading'`); n != 0 {
		t.Errorf("%d loads are said to go on", n)
	}
}
