package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"throng/client"
	"throng/internal/seal"
)

// leaseOfBuilds is within what time the work of a server that is gone is done by
// another one that lives.
const leaseOfBuilds = time.Minute

// TestTakeover stops a server in the middle of a build, without killing it: the
// other server takes the build over when its lease has ended. When the first
// one goes on, what it still makes of the build is refused: there is one
// result, one set of files and one callback.
func TestTakeover(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a lease to end")
	}
	t.Parallel() // it waits, mostly
	s := newPair(t)
	one, two := s.nodes[0], s.nodes[1]
	c := s.addCaller("steady")
	definition, err := parametersOf(s.pooled[0])
	if err != nil {
		t.Fatal(err)
	}
	s.receiver.kind = true
	s.start(one)
	s.start(two)
	s.ready(two)
	e := s.stopInBuild(one, two, definition)
	began := time.Now()
	a := c.awaitAt(t, two, e.id, 10*leaseOfBuilds)
	took := time.Since(began)
	t.Logf("the build was done %.1f s after its server had stopped", took.Seconds())
	if took > leaseOfBuilds {
		t.Logf("that is more than %v; is the machine busy?", leaseOfBuilds)
	}
	want := s.sceneries[0].known[0]
	if a.Status != "done" || a.Size == nil || *a.Size != want.size {
		t.Fatalf("audience = %+v, want done with %d people", a, want.size)
	}
	body := c.bodyAt(t, two, e.id)
	if err := one.living().cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// It works again, and has ended all that it was at once it has stopped.
	if got := c.bodyAt(t, one, e.id); !bytes.Equal(got, body) {
		t.Errorf("the server that was stopped tells %s, the other one %s", got, body)
	}
	fresh := decodeMade(t, c.sendTo(t, one, http.MethodPost, "/audiences", `{"audience":{"name":"afterwards"},"parameters":`+definition+`}`))
	if a := c.awaitAt(t, one, fresh, 10*leaseOfBuilds); a.Status != "done" {
		t.Errorf("audience made afterwards = %+v", a)
	}
	s.settled(t.Context())
	if got := c.bodyAt(t, two, e.id); !bytes.Equal(got, body) {
		t.Errorf("after all the audience is %s, want %s", got, body)
	}
	s.stopAll()
	messages := s.receiver.byAudience()[e.id]
	if len(messages) != 1 || messages[0].tries != 1 || !bytes.Equal(messages[0].body, body) {
		t.Errorf("%d callbacks, the first one %d times, want one once, with what GET answers", len(messages), messages[0].tries)
	}
	db := openRows(t, s.database, "")
	defer db.Close()
	got := column(t, db, fmt.Sprintf(`SELECT state || ' ' || attempts || ' ' || deaths || ' ' || claim FROM jobs WHERE kind = 'build' AND owner_ref = %d`, e.id))
	if want := "done 1 1 2"; len(got) != 1 || got[0] != want {
		t.Errorf("state, attempts, deaths and claims of the build: %q, want %q", got, want)
	}
	s.holdRows()
	var kept struct{ Files string }
	raw := column(t, db, fmt.Sprintf(`SELECT details FROM audiences WHERE id = %d`, e.id))
	if err := json.Unmarshal([]byte(raw[0]), &kept); err != nil {
		t.Fatal(err)
	}
	files := s.liveFiles(e.id)
	if strays := slices.DeleteFunc(slices.Clone(files), func(key string) bool { return strings.HasPrefix(key, kept.Files+"/") }); len(strays) > 0 || len(files) == 0 {
		t.Errorf("of %d files these are not of the one result: %q", len(files), strays)
	}
}

// stopInBuild stops the first server, with SIGSTOP, while it writes the files of
// a build, and gives the audience. Where the build was quicker, or the server
// stopped within a transaction, which holds up the other one, it goes on, and
// another build is tried.
func (s *storm) stopInBuild(one, two *node, definition string) *entry {
	s.t.Helper()
	c := s.callers["steady"]
	db := openRows(s.t, s.database, "")
	defer db.Close()
	for range 200 {
		made := decodeMade(s.t, c.sendTo(s.t, one, http.MethodPost, "/audiences", fmt.Sprintf(
			`{"audience":{"name":"takeover"},"callback_url":%q,"parameters":%s}`, s.receiver.address(c), definition)))
		e := s.accept(&entry{caller: c, id: made, name: "takeover", callback: true})
		for {
			a := c.audienceAt(s.t, two, e.id)
			if a.Status != "running" || a.Step == "files" {
				break
			}
		}
		p := one.living()
		if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			s.t.Fatal(err)
		}
		held := column(s.t, db, fmt.Sprintf(`SELECT lease_owner FROM jobs WHERE kind = 'build' AND owner_ref = %d AND state = 'running'`, e.id))
		if len(held) == 1 && held[0] == s.owner(one) && writable(s.t, db) {
			return e
		}
		if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			s.t.Fatal(err)
		}
		c.awaitAt(s.t, two, e.id, 10*leaseOfBuilds)
	}
	s.t.Fatal("none of 200 builds was being written when its server was stopped")
	return nil
}

// writersLock finds the lock that write transactions take one after the other.
const writersLock = `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
	AND objid = hashtext(current_schema())::bigint & 4294967295`

// writable tells whether no server holds the lock of the schema's writers for
// long.
func writable(t *testing.T, db *sql.DB) bool {
	t.Helper()
	for began := time.Now(); time.Since(began) < 2*time.Second; {
		if len(column(t, db, writersLock)) == 0 {
			return true
		}
	}
	return false
}

// owner is the name under which a node's server leases jobs.
func (s *storm) owner(n *node) string {
	s.t.Helper()
	key, err := seal.LoadOrCreate(filepath.Join(n.data, "node"))
	if err != nil {
		s.t.Fatal(err)
	}
	return "node-" + key.ID()
}

// sendTo sends a request to one server and returns the answer's body.
func (c *caller) sendTo(t *testing.T, n *node, method, path, body string) []byte {
	t.Helper()
	r := request{method: method, path: stormBase + path, contentType: "application/json"}
	if body != "" {
		r.body = spoken(body)
	}
	got, err := c.send(t.Context(), n, r)
	if err != nil || got.status != http.StatusOK {
		t.Fatalf("%s %s = %d %s, %v", method, path, got.status, got.body, err)
	}
	return got.body
}

func decodeMade(t *testing.T, body []byte) int64 {
	t.Helper()
	var made struct{ Response struct{ ID int64 } }
	if err := json.Unmarshal(body, &made); err != nil {
		t.Fatal(err)
	}
	return made.Response.ID
}

func (c *caller) bodyAt(t *testing.T, n *node, id int64) []byte {
	t.Helper()
	return c.sendTo(t, n, http.MethodGet, fmt.Sprintf("/audiences/%d", id), "")
}

func (c *caller) audienceAt(t *testing.T, n *node, id int64) *client.Audience {
	t.Helper()
	var a struct{ Response client.Audience }
	if err := json.Unmarshal(c.bodyAt(t, n, id), &a); err != nil {
		t.Fatal(err)
	}
	return &a.Response
}

// awaitAt waits until one server tells that an audience has ended.
func (c *caller) awaitAt(t *testing.T, n *node, id int64, limit time.Duration) *client.Audience {
	t.Helper()
	for began := time.Now(); ; {
		a := c.audienceAt(t, n, id)
		if a.Status != "running" {
			return a
		}
		if time.Since(began) > limit {
			t.Fatalf("audience %d is still running after %v", id, limit)
		}
		if err := pause(t.Context(), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// liveFiles gives the keys of an audience's files in the bucket: those whose
// newest mark does not tell that they were deleted.
func (s *storm) liveFiles(id int64) (keys []string) {
	s.t.Helper()
	names := storedFiles(s.t, s.bucket)
	slices.Sort(names) // the marks of a key one after the other, newest first
	seen := map[string]bool{}
	for _, name := range names {
		key, mark, marked := strings.Cut(name, "!!")
		if !marked || seen[key] || !strings.HasPrefix(key, fmt.Sprintf("audiences/%d/", id)) {
			continue
		}
		seen[key] = true
		if !strings.Contains(mark, "-gone-") {
			keys = append(keys, key)
		}
	}
	return keys
}
