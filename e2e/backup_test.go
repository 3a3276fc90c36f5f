package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"throng/client"
)

// TestBackup makes backups of a folder while its server creates, reads uploads
// and deletes, and restores each elsewhere: what was finished has the same files,
// what was running ends, what was to be called back is.
func TestBackup(t *testing.T) {
	for _, form := range []string{"folder", "file.tar"} {
		t.Run(form, func(t *testing.T) { testBackup(t, form) })
	}
}

func testBackup(t *testing.T, form string) {
	dir, data := smallDataset(t), filepath.Join(t.TempDir(), "data")
	throng(t, "load", dir, "--data", data)
	k := newKept(t, throng(t, append([]string{"caller", "add", "kept", "--json", "--data", data}, allGrants()...)...))
	p := start(t, data, "--allow-private-callbacks")
	called, _ := k.build(t, p)
	load := k.load(t, p)
	where := filepath.Join(t.TempDir(), form)
	began := time.Now()
	said := throng(t, "backup", where, "--data", data)
	if !strings.Contains(said, "generation 00000001") || !strings.Contains(said, "; made") {
		t.Errorf("backup says %q", said)
	}
	t.Logf("backup under load: %v, %s", time.Since(began).Round(time.Millisecond), strings.TrimSpace(said))
	ids := load.stop()
	if out, err := run("backup", where, "--data", data); err == nil {
		t.Errorf("a second backup to the same place = %q, want a refusal", out)
	}
	if said := throng(t, "restore", where, "--check", "--data", filepath.Join(t.TempDir(), "unused")); !strings.Contains(said, "every sum is as it should be") {
		t.Errorf("restore --check says %q", said)
	}
	if _, err := run("restore", where, "--data", data); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restore over a server's folder = %v, want a refusal", err)
	}
	leftovers(t, data)

	restored := filepath.Join(t.TempDir(), "restored")
	throng(t, "restore", where, "--data", restored)
	p.kill() // the receiver is to hear from the restored server alone
	k.listen()
	q := start(t, restored, "--allow-private-callbacks")
	checkRestored(t, q, k.Token, append(ids, called))
	k.wantCalled(t, q)
	throng(t, "check", "--data", restored)
}

// keptCaller is one whose callback waits in a backup: its receiver refuses what
// comes until it listens.
type keptCaller struct {
	Token         string
	WebhookSecret string `json:"webhook_secret"`

	receiver *httptest.Server
	listens  atomic.Bool
	messages chan message
}

// newKept makes a receiver for a caller, by what `caller add --json` printed.
func newKept(t *testing.T, made string) *keptCaller {
	t.Helper()
	k := &keptCaller{messages: make(chan message, 64)}
	if err := json.Unmarshal([]byte(made), k); err != nil {
		t.Fatal(err)
	}
	k.receiver = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read callback: %v", err)
		}
		if !k.listens.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		k.messages <- message{r.Header.Clone(), body}
	}))
	t.Cleanup(k.receiver.Close)
	return k
}

// build makes an audience, and gives its id and size once the receiver has
// refused its callback.
func (k *keptCaller) build(t *testing.T, p *process) (id int64, size uint64) {
	t.Helper()
	c := client.New(p.URL, k.Token)
	id, err := c.CreateAudience(t.Context(), []byte(strings.Replace(crashDefinition, `{"audience"`, `{"callback_url":"`+k.receiver.URL+`","audience"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	a := waitDone(t, c, id)
	if a.Size == nil {
		t.Fatalf("audience %d has no size", id)
	}
	await(t, k.messages)
	return id, *a.Size
}

// load has the server used, so that what a backup copies is in use.
func (k *keptCaller) load(t *testing.T, p *process) *backupLoad {
	t.Helper()
	load := startLoad(t, p, k.Token)
	for load.created() < 5 {
		time.Sleep(10 * time.Millisecond) // between two looks
	}
	return load
}

// listen forgets what came so far, and takes what comes. The server of before
// must be dead.
func (k *keptCaller) listen() {
	for len(k.messages) > 0 {
		<-k.messages
	}
	k.listens.Store(true)
}

// wantCalled waits until a restored server has delivered the callback, signed.
func (k *keptCaller) wantCalled(t *testing.T, q *process) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(k.WebhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	if m := await(t, k.messages); verifier.Verify(m.body, m.header) != nil {
		t.Errorf("the restored callback is not signed: %v", m.header)
	}
	eventually(t, q, k.Token, "/platform/v0/callbacks?limit=1", "response.data.0.status", "delivered")
}

// leftovers looks for what a backup should have taken away.
func leftovers(t *testing.T, data string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(data, "tmp", "backup-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("the backup left %v, %v", left, err)
	}
}

// checkRestored waits for all audiences that a restored server knows, and
// compares their files with their sums.
func checkRestored(t *testing.T, q *process, token string, ids []int64) {
	t.Helper()
	c := client.New(q.URL, token)
	known, running, files := 0, 0, 0
	for _, id := range ids {
		first, err := c.Audience(t.Context(), id)
		if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Status == http.StatusNotFound {
			continue // made after the backup, or deleted before it
		}
		if err != nil {
			t.Fatal(err)
		}
		if first.Status == "running" {
			running++
		}
		a := waitDone(t, c, id)
		known++
		if a.Status != "done" || a.Size == nil {
			t.Errorf("restored audience %d is %s: %+v", id, a.Status, a.Error)
			continue
		}
		for _, o := range a.Outputs {
			files++
			text := download(t, c, id, o.Type, "text")
			if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != o.SHA256 || int64(len(text)) != o.Bytes {
				t.Errorf("restored file %s of audience %d: %d bytes, want %d with the sum %s", o.Type, id, len(text), o.Bytes, o.SHA256)
			}
		}
	}
	if known == 0 || files == 0 {
		t.Errorf("the backup knows %d audiences with %d files", known, files)
	}
	t.Logf("%d of %d audiences are in the backup, %d of them running when the restored server was asked first, with %d files", known, len(ids), running, files)
}

// backupLoad is callers at work.
type backupLoad struct {
	cancel context.CancelFunc
	group  sync.WaitGroup
	mu     sync.Mutex
	ids    []int64
}

func startLoad(t *testing.T, p *process, token string) *backupLoad {
	t.Helper()
	c := client.New(p.URL, token)
	ctx, cancel := context.WithCancel(t.Context())
	l := &backupLoad{cancel: cancel}
	t.Cleanup(func() { l.stop() })
	for range 2 {
		l.group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id, err := c.CreateAudience(ctx, []byte(crashDefinition))
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("create under load: %v", err)
					}
					return
				}
				l.mu.Lock()
				l.ids = append(l.ids, id)
				l.mu.Unlock()
				if n%3 == 2 { // so that files go while they are copied
					remove(ctx, p, token, id)
				}
			}
		})
	}
	l.group.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			lines := bytes.Repeat([]byte("no-ss-id\n"), n%50+1)
			if _, err := c.Upload(ctx, "ss_id", "", bytes.NewReader(lines)); err != nil && ctx.Err() == nil {
				t.Errorf("upload under load: %v", err)
				return
			}
		}
	})
	return l
}

// remove deletes an audience, unless the end comes first.
func remove(ctx context.Context, p *process, token string, id int64) {
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, fmt.Sprintf("%s/platform/v0/audiences/%d", p.URL, id), nil)
	if err != nil {
		return
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
	}
}

func (l *backupLoad) created() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids)
}

func (l *backupLoad) stop() []int64 {
	l.cancel()
	l.group.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids
}

// TestKilledBackup kills backups and restores at many moments: what is left is
// no backup, and no data folder that a server opens.
func TestKilledBackup(t *testing.T) {
	dir, data := smallDataset(t), filepath.Join(t.TempDir(), "data")
	throng(t, "load", dir, "--data", data)
	whole := filepath.Join(t.TempDir(), "whole")
	began := time.Now()
	throng(t, "backup", whole, "--data", data)
	took := time.Since(began)
	kill := func(after time.Duration, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have ended
		_ = cmd.Wait()
		timer.Stop()
	}
	const moments = 12
	finished := 0
	for i := range moments {
		after := 2 * took * time.Duration(i+1) / moments
		part := filepath.Join(t.TempDir(), "part")
		kill(after, "backup", part, "--data", data)
		_, manifest := os.Stat(filepath.Join(part, "manifest.json"))
		_, err := run("restore", part, "--check")
		if (err == nil) != (manifest == nil) {
			t.Errorf("killed after %v: check = %v, manifest: %v", after, err, manifest)
		}
		if err == nil {
			finished++
		}
		to := filepath.Join(t.TempDir(), "to")
		kill(after, "restore", whole, "--data", to)
		_, unfinished := os.Stat(filepath.Join(to, "restore.unfinished"))
		_, err = run("check", "--data", to)
		if unfinished == nil && (err == nil || !strings.Contains(err.Error(), "restore")) {
			t.Errorf("a folder whose restore was killed after %v is opened: %v", after, err)
		}
		if unfinished == nil {
			throng(t, "restore", whole, "--data", to)
			throng(t, "check", "--data", to)
		}
	}
	t.Logf("%d of %d backups had come to their end", finished, moments)
	throng(t, "backup", filepath.Join(t.TempDir(), "after"), "--data", data)
	leftovers(t, data)
	if err := os.MkdirAll(filepath.Join(data, "tmp", "backup-died", "blobs"), 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, data) // which looks for what died, too
	leftovers(t, data)
}

// TestBackupWithoutKey restores a backup that does not hold the key: nothing
// opens the folder until it is given.
func TestBackupWithoutKey(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	throng(t, "caller", "add", "sealed", "--data", data)
	key, err := os.ReadFile(filepath.Join(data, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	where := filepath.Join(t.TempDir(), "b.tar")
	if said := throng(t, "backup", where, "--data", data, "--without-key"); !strings.Contains(said, "no generation") {
		t.Errorf("backup says %q", said)
	}
	text, err := os.ReadFile(where)
	if err != nil || bytes.Contains(text, bytes.TrimSpace(key)) {
		t.Errorf("the backup holds the key, or cannot be read: %v", err)
	}
	restored := filepath.Join(t.TempDir(), "restored")
	throng(t, "restore", where, "--data", restored)
	if _, err := run("caller", "list", "--data", restored); err == nil || !strings.Contains(err.Error(), "sealed with another key") {
		t.Errorf("without the key = %v, want a refusal", err)
	}
	if said := throng(t, "caller", "list", "--data", restored, "--secret-key", strings.TrimSpace(string(key))); !strings.Contains(said, "sealed") {
		t.Errorf("with the key = %q, want the caller", said)
	}
	for _, args := range [][]string{
		{"backup", filepath.Join(data, "inside"), "--data", data},
		{"backup", "x.tar", "--data", t.TempDir(), "--blobs", "s3://bucket"},
		{"restore", where, "--data", t.TempDir(), "--database", "postgres://127.0.0.1/x"},
	} {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
		if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 2 {
			t.Errorf("throng %s: %v, %s, want status 2", strings.Join(args, " "), err, out)
		}
	}
}
