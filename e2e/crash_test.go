package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/client"
	"throng/demo"
)

// small is a synthetic dataset of 10,000 people, made once.
var small = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(binary), "small")
	return dir, demo.Generate(context.Background(), demo.Config{People: 10_000, Seed: 3, Dir: dir})
})

func smallDataset(t testing.TB) string {
	t.Helper()
	dir, err := small()
	if err != nil {
		t.Fatalf("generate: %v", err)
	}
	return dir
}

// crashDefinition is one with includes, a filter, an exclusion and text.
const crashDefinition = `{"audience":{"name":"crash"},"parameters":[
	{"operation":"OR","affinities":{"affinities":[{"id":"a197"}]}},
	{"operation":"OR","bio_search":{"search_in_twitter":true,"search_in_instagram":true,"phrases":["golang"]}},
	{"operation":"AND","gender":{"genders":["female"]}},
	{"operation":"NOT","age":{"ranges":["18-24"]}}]}`

// count gives the size of the definition, and the generation's people.
func count(t testing.TB, data string) uint64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "count", "-", "--data", data, "--json")
	cmd.Stdin = strings.NewReader(crashDefinition)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("throng count: %v", err)
	}
	var answer struct{ Response struct{ Size uint64 } }
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("read count: %v", err)
	}
	return answer.Response.Size
}

// TestKillDuringLoad kills loads at random moments: what was loaded before
// stays in use, whole, and a later load is not hindered.
func TestKillDuringLoad(t *testing.T) {
	dir, data := smallDataset(t), filepath.Join(t.TempDir(), "data")
	started := time.Now()
	throng(t, "load", dir, "--data", data)
	took := time.Since(started)
	want := count(t, data)
	if want == 0 {
		t.Fatal("nobody satisfies the definition")
	}
	kills := 12
	if testing.Short() {
		kills = 3
	}
	for i := range kills {
		cmd := exec.CommandContext(t.Context(), binary, "load", dir, "--data", data)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		moment := time.NewTimer(rand.N(took + took/4)) // some end before
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-moment.C:
			_ = cmd.Process.Kill() // it may have ended in this moment
			<-ended
		case err := <-ended:
			if err != nil {
				t.Fatalf("load %d: %v", i, err)
			}
		}
		if got := count(t, data); got != want {
			t.Fatalf("after kill %d: count = %d, want %d", i, got, want)
		}
	}
	throng(t, "load", dir, "--data", data)
	if got := count(t, data); got != want {
		t.Errorf("after all: count = %d, want %d", got, want)
	}
	throng(t, "check", "--data", data)
	entries, err := os.ReadDir(filepath.Join(data, "index"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), "tmp") {
			t.Errorf("%s is left over", e.Name())
		}
	}
}

// TestKillDuringBuilds kills a server at random moments while it builds: after
// a start every audience that was accepted ends done, with the right size and
// the right file.
func TestKillDuringBuilds(t *testing.T) {
	dir, data := smallDataset(t), filepath.Join(t.TempDir(), "data")
	throng(t, "load", dir, "--data", data)
	want := count(t, data)
	token := strings.TrimSpace(throng(t, append([]string{"caller", "add", "crash", "--data", data}, allGrants()...)...))

	kills := 6
	if testing.Short() {
		kills = 2
	}
	var accepted []int64
	for range kills {
		p := start(t, data)
		c := client.New(p.URL, token)
		first, err := c.CreateAudience(t.Context(), []byte(crashDefinition))
		if err != nil {
			t.Fatalf("create: %v", err)
		}
		accepted = append(accepted, first)
		moment := time.After(rand.N(400 * time.Millisecond))
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			<-moment
			p.kill()
		}()
		for {
			id, err := c.CreateAudience(t.Context(), []byte(crashDefinition))
			if err != nil {
				break // the server is gone; what it did not answer it did not accept
			}
			accepted = append(accepted, id)
		}
		<-killed
	}
	p := start(t, data)
	c := client.New(p.URL, token)
	seen := map[int64]bool{}
	for _, id := range accepted {
		if seen[id] {
			t.Fatalf("audience %d was made twice", id)
		}
		seen[id] = true
		a := waitDone(t, c, id)
		if a.Status != "done" || a.Size == nil || *a.Size != want {
			t.Fatalf("audience %d is %s with %s people, want done with %d: %+v", id, a.Status, sizeText(a.Size), want, a.Error)
		}
	}
	t.Logf("%d audiences accepted over %d kills", len(accepted), kills)
	first := download(t, c, accepted[0], "ss_id", "text")
	for _, id := range accepted[1:] {
		if got := download(t, c, id, "ss_id", "text"); string(got) != string(first) {
			t.Fatalf("audience %d has other members than audience %d", id, accepted[0])
		}
	}
	if status := p.stop(t); status != 0 {
		t.Errorf("throng serve ended with status %d after SIGTERM, want 0", status)
	}
}

// TestBesideServer loads, adds callers and counts while a server runs on the
// same folder: it takes up what is new, and what runs ends on what it began with.
func TestBesideServer(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := start(t, data)
	c, _ := addCaller(t, p, data, "beside", allGrants()...)
	if _, err := c.Preview(t.Context(), []byte(crashDefinition)); err == nil || !strings.Contains(err.Error(), "unavailable") {
		t.Fatalf("preview without a generation: %v, want unavailable", err)
	}
	throng(t, "load", smallDataset(t), "--data", data)
	preview := func() (size uint64) {
		raw, err := c.Preview(t.Context(), []byte(crashDefinition))
		if err != nil {
			t.Fatalf("preview: %v", err)
		}
		var v struct{ Size uint64 }
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		return v.Size
	}
	within(t, 2*time.Second, "the first generation", func() bool {
		_, err := c.Preview(t.Context(), []byte(crashDefinition))
		return err == nil
	})
	want := count(t, data)
	if got := preview(); got != want {
		t.Errorf("preview = %d, count beside it = %d", got, want)
	}
	id, err := c.CreateAudience(t.Context(), []byte(crashDefinition))
	if err != nil {
		t.Fatal(err)
	}
	if a := waitDone(t, c, id); a.Generation != "00000001" || *a.Size != want {
		t.Errorf("audience on generation %s of %s people, want 00000001 and %d", a.Generation, sizeText(a.Size), want)
	}

	other := filepath.Join(t.TempDir(), "other")
	throng(t, "generate", other, "--people", "5000", "--seed", "9")
	throng(t, "load", other, "--data", data)
	next := count(t, data)
	if next == want {
		t.Fatal("both populations give the same size; the test cannot tell them apart")
	}
	within(t, 2*time.Second, "the second generation", func() bool { return preview() == next })

	fresh, _ := addCaller(t, p, data, "fresh")
	if _, err := fresh.Preview(t.Context(), []byte(crashDefinition)); err != nil {
		t.Errorf("preview by a new caller: %v", err)
	}
	throng(t, "caller", "revoke", "fresh", "--data", data)
	within(t, 2*time.Second, "the revocation", func() bool {
		_, err := fresh.Preview(t.Context(), []byte(crashDefinition))
		return err != nil
	})
	if out, err := run("serve", "--data", data, "--listen", "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "another server is running") {
		t.Errorf("a second server on the folder: %v %s, want a refusal", err, out)
	}
}

// within polls until what is promised within d holds. The machine may be slow,
// so that it fails only after ten times as long; how long it took is logged.
func within(t *testing.T, d time.Duration, what string, holds func() bool) {
	t.Helper()
	started := time.Now()
	for !holds() {
		if time.Since(started) > 10*d {
			t.Fatalf("%s is not in use after %v", what, time.Since(started))
		}
		time.Sleep(10 * time.Millisecond) // between two polls, as a client would
	}
	if took := time.Since(started); took > d {
		t.Logf("%s took %v, more than the %v promised; is the machine busy?", what, took, d)
	}
}

// TestUsage checks exit statuses and what is said.
func TestUsage(t *testing.T) {
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "people.csv"), []byte("person\np1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "dataset.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"version", 0, "throng"},
		{"help", 0, "Build a generation"},
		{"help caller add", 0, "--can-generate"},
		{"--data " + data + " caller list", 0, "NAME"},
		{"caller list --data " + data, 0, "NAME"},
		{"caller --json list --data " + data, 0, "[]"},
		{"nonsense", 2, "nonsense"},
		{"load", 2, "<source>"},
		{"load " + broken + " --data " + data, 2, "dataset.json"},
		{"load " + filepath.Join(broken, "absent") + " --data " + data, 1, "absent"},
		{"count - --data " + data, 1, "JSON"},
		{"serve --engine clickhouse://127.0.0.1 --data " + data, 2, "not built"},
		{"serve --blobs s3://ab --data " + data, 2, "the bucket's name"},
		{"serve --blobs s3://key:secret@bucket --data " + data, 2, "keys do not belong into the URL"},
		{"serve --blobs folder --data " + data, 2, "want s3://BUCKET"},
		{"serve --role nobody --data " + data, 2, "role"},
		{"serve --role worker --listen 127.0.0.1:0 --data " + data, 2, "--public-url"},
		{"serve --secret-key abc --data " + data, 2, "32 bytes"},
		{"caller add x --can-generate nonsense --data " + data, 2, "nonsense"},
		{"bench --only 12", 2, "no row"},
		{"check --data " + data, 1, "no generation"},
	} {
		cmd := exec.CommandContext(t.Context(), binary, strings.Fields(c.args)...)
		out, err := cmd.CombinedOutput()
		status := cmd.ProcessState.ExitCode()
		if status != c.status || !strings.Contains(string(out), c.says) {
			t.Errorf("throng %s: status %d, want %d, saying %q: %v\n%s", c.args, status, c.status, c.says, err, out)
		}
	}
	info, err := os.Stat(data)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data folder: %v %v, want 0700", info.Mode(), err)
	}
	for _, name := range []string{"throng.db", "secret.key", "node"} {
		if info, err := os.Stat(filepath.Join(data, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, want 0600", name, fmt.Sprint(info, err))
		}
	}
}
