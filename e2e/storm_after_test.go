package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"
	_ "modernc.org/sqlite"             // registers "sqlite"
)

// settled waits until nothing is under way any more: no build, no delivery, no
// callback.
func (s *storm) settled(ctx context.Context) {
	s.t.Helper()
	for _, c := range s.callers {
		began := time.Now()
		for _, path := range []string{"/audiences?status=running&limit=1", "/audiences?kind=device&status=running&limit=1", "/callbacks?status=pending&limit=1"} {
			for {
				var page struct{ Data []json.RawMessage }
				if err := c.get(ctx, path, &page); err != nil {
					s.t.Fatal(err)
				}
				if len(page.Data) == 0 {
					break
				}
				if time.Since(began) > 10*time.Minute {
					s.t.Fatalf("ten minutes after the last kill there is still %s", page.Data)
				}
				if err := pause(ctx, 20*time.Millisecond); err != nil {
					s.t.Fatal(err)
				}
			}
		}
		s.waited("last callbacks after the last kill", began, c.Name)
	}
}

// afterwards holds all that is left to what was accepted.
func (s *storm) afterwards(ctx context.Context) {
	s.t.Helper()
	s.holdLists(ctx)
	s.holdCallbacks(ctx)
	s.holdTold(ctx)
	s.stopAll()
	s.holdRows()
	if s.t.Failed() {
		return
	}
	s.holdFiles()
	for _, n := range s.nodes {
		if _, err := n.command("check"); err != nil {
			s.t.Errorf("check of %s: %v", n.name, err)
		}
	}
}

// holdLists holds what the callers' lists tell to the ledger: every audience
// that was accepted is there once, and no other.
func (s *storm) holdLists(ctx context.Context) {
	s.t.Helper()
	listed := map[int64]string{} // status
	for _, c := range s.callers {
		for _, kind := range []string{"built", "device"} {
			for next := ""; ; {
				var page struct {
					Data []struct {
						ID     int64
						Status string
					}
					HasNext bool `json:"has_next"`
					Next    string
				}
				if err := c.get(ctx, "/audiences?limit=500&kind="+kind+"&next="+next, &page); err != nil {
					s.t.Fatal(err)
				}
				for _, a := range page.Data {
					if _, twice := listed[a.ID]; twice {
						s.t.Errorf("audience %d is listed twice", a.ID)
					}
					listed[a.ID] = a.Status
				}
				if next = page.Next; !page.HasNext {
					break
				}
			}
		}
	}
	for _, e := range s.ledger {
		status, there := listed[e.id]
		switch {
		case e.deleted && there:
			s.t.Errorf("audience %d was deleted and is listed", e.id)
		case !e.deleted && !there:
			s.t.Errorf("audience %d (%s) was accepted and is not listed", e.id, e.name)
		case !e.deleted && (status == "running" || status == "failed" || e.status != "" && status != e.status):
			s.t.Errorf("audience %d (%s) is %s, and was %s", e.id, e.name, status, e.status)
		}
		delete(listed, e.id)
	}
	for id := range listed {
		s.t.Errorf("audience %d is there and was never asked for, or twice", id)
	}
}

// holdCallbacks makes sure that every audience that ended and has a callback was
// announced by one message, with what GET answers.
func (s *storm) holdCallbacks(ctx context.Context) {
	s.t.Helper()
	messages, tries := s.receiver.byAudience(), 0
	for _, e := range s.ledger {
		got := messages[e.id]
		delete(messages, e.id)
		for _, m := range got {
			tries += m.tries
		}
		switch {
		case len(got) > 1:
			s.t.Errorf("audience %d was announced by %d messages", e.id, len(got))
		case len(got) == 1 && (!e.callback || !got[0].answered || got[0].caller != e.caller.Name):
			s.t.Errorf("audience %d: message %+v, want none that was not asked for, and one to %s that was answered", e.id, got[0], e.caller.Name)
		case len(got) == 0 && e.callback && e.status == "done":
			s.t.Errorf("audience %d is done and was not announced", e.id)
		case len(got) == 1 && e.status == "canceled":
			s.t.Errorf("audience %d was canceled and announced", e.id)
		case len(got) == 1 && !e.deleted:
			now, err := e.caller.ask(ctx, request{method: http.MethodGet, path: fmt.Sprintf("%s/audiences/%d", stormBase, e.id)})
			if err != nil {
				s.t.Fatal(err)
			}
			if !bytes.Equal(withoutInsight.ReplaceAll(now.body, nil), withoutInsight.ReplaceAll(got[0].body, nil)) {
				s.t.Errorf("audience %d was announced as %s, GET answers %s", e.id, got[0].body, now.body)
			}
		}
	}
	for id := range messages {
		s.t.Errorf("audience %d was announced and never asked for", id)
	}
	s.t.Logf("callbacks arrived %d times", tries)
}

// withoutInsight is what an audience tells of its report, which goes on when the
// build has ended.
var withoutInsight = regexp.MustCompile(`,"insight":\{"status":"[a-z]+"\}`)

// stopAll stops the servers as an operator does.
func (s *storm) stopAll() {
	s.t.Helper()
	for _, n := range s.nodes {
		n.mu.Lock()
		p := n.p
		n.p = nil
		n.mu.Unlock()
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			s.t.Fatal(err)
		}
		if <-p.done; p.err != nil {
			s.t.Errorf("server %s ended with %v after SIGTERM", n.name, p.err)
		}
	}
}

// openRows opens the database beside the servers, for asking.
func openRows(t *testing.T, database, data string) *sql.DB {
	t.Helper()
	driver, name := "pgx", database
	if database == "" {
		driver, name = "sqlite", filepath.Join(data, "throng.db")
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// column asks for one column of text.
func column(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return all
}

// holdRows looks for rows that contradict each other.
func (s *storm) holdRows() {
	s.t.Helper()
	db := openRows(s.t, s.database, s.nodes[0].data)
	defer db.Close()
	if s.database == "" {
		if got := column(s.t, db, `PRAGMA integrity_check`); !slices.Equal(got, []string{"ok"}) {
			s.t.Errorf("integrity of the database: %q", got)
		}
		if got := column(s.t, db, `SELECT "table" FROM pragma_foreign_key_check`); len(got) > 0 {
			s.t.Errorf("rows that refer to none: in %q", got)
		}
	}
	for what, query := range map[string]string{
		"jobs that are not ended":                     `SELECT kind || ' ' || id FROM jobs WHERE state IN ('queued', 'running') AND kind <> 'sweep'`,
		"jobs that failed":                            `SELECT id FROM jobs WHERE state = 'failed'`,
		"audiences without exactly one build":         `SELECT id FROM audiences a WHERE kind = 'built' AND (SELECT COUNT(*) FROM jobs j WHERE j.kind = 'build' AND j.owner_ref = a.id) <> 1`,
		"audiences that ended otherwise than the job": `SELECT a.id FROM audiences a JOIN jobs j ON j.kind = 'build' AND j.owner_ref = a.id WHERE a.status <> j.state`,
		"files of audiences that are not done":        `SELECT DISTINCT o.audience_id FROM outputs o JOIN audiences a ON a.id = o.audience_id WHERE a.status <> 'done'`,
		"audiences that are done without files":       `SELECT id FROM audiences a WHERE kind = 'built' AND status = 'done' AND NOT EXISTS (SELECT 1 FROM outputs o WHERE o.audience_id = a.id)`,
		"audiences with more than one callback":       `SELECT audience_id FROM callbacks GROUP BY audience_id, event HAVING COUNT(*) > 1`,
		"callbacks of audiences that did not end":     `SELECT c.id FROM callbacks c JOIN audiences a ON a.id = c.audience_id WHERE a.status NOT IN ('done', 'failed')`,
		"callbacks not delivered":                     `SELECT id FROM callbacks WHERE status <> 'delivered'`,
		"done audiences without the callback wanted":  `SELECT id FROM audiences a WHERE status = 'done' AND callback_url <> '' AND NOT EXISTS (SELECT 1 FROM callbacks c WHERE c.audience_id = a.id AND event = 'audience')`,
		"reports not done":                            `SELECT audience_id FROM insights WHERE status <> 'done'`,
		"audiences without exactly one report":        `SELECT audience_id FROM insights i WHERE (SELECT COUNT(*) FROM jobs j WHERE j.kind = 'insight' AND j.owner_ref = i.audience_id) <> 1`,
		"reports without the callback wanted":         `SELECT audience_id FROM insights i WHERE callback_url <> '' AND NOT EXISTS (SELECT 1 FROM callbacks c WHERE c.audience_id = i.audience_id AND event = 'insight')`,
		"deliveries not done":                         `SELECT id FROM deliveries WHERE status <> 'done'`,
		"secrets of deliveries that ended":            `SELECT id FROM deliveries WHERE secret_sealed <> ''`,
		"credits that do not fit the builds done": fmt.Sprintf(`SELECT name FROM callers c
			WHERE builds <> %d - (SELECT COUNT(*) FROM audiences a WHERE a.caller_id = c.id AND kind = 'built' AND status = 'done'
			AND details NOT LIKE '%%"expansion":%%')`, stormCredits),
		"credits that do not fit the expansions done": fmt.Sprintf(`SELECT name FROM callers c
			WHERE expansions <> %d - (SELECT COUNT(*) FROM audiences a WHERE a.caller_id = c.id AND status = 'done' AND details LIKE '%%"expansion":%%')`, stormCredits),
		"credits that do not fit the reports done": fmt.Sprintf(`SELECT name FROM callers c
			WHERE insights <> %d - (SELECT COUNT(*) FROM insights i JOIN audiences a ON a.id = i.audience_id WHERE a.caller_id = c.id)`, stormCredits),
	} {
		if got := column(s.t, db, query); len(got) > 0 {
			s.t.Errorf("%s: %s", what, strings.Join(got, ", "))
		}
	}
	if got := column(s.t, db, `SELECT state FROM jobs WHERE kind = 'sweep' AND state IN ('queued', 'running')`); !slices.Equal(got, []string{"queued"}) {
		s.t.Errorf("the sweeps to come are %q, want one that waits", got)
	}
	deaths := column(s.t, db, `SELECT kind || ' ' || deaths FROM jobs ORDER BY deaths DESC, id LIMIT 1`)
	total := column(s.t, db, `SELECT COALESCE(SUM(deaths), 0) FROM jobs`)
	s.t.Logf("%s jobs were cut short by the death of their process; most often a %s times", total[0], deaths[0])
}

// holdFiles has all that is old enough swept, as if two days had passed, and
// holds what then lies in the store to what rows tell of.
func (s *storm) holdFiles() {
	s.t.Helper()
	root := s.bucket
	if root == "" {
		root = filepath.Join(s.nodes[0].data, "blobs")
	}
	before := len(storedFiles(s.t, root))
	var strays, missing []string
	// What a first sweep deletes from a bucket stays there until a later one.
	for _, patience := range []time.Duration{3 * time.Second, 10 * time.Second, time.Minute, time.Minute} {
		s.age(root)
		for _, n := range s.nodes {
			s.start(n)
		}
		strays, missing = s.compareFiles(s.nodes[0].data, root)
		for last, moved := len(strays), time.Now(); len(strays) > 0 && time.Since(moved) < patience; {
			time.Sleep(50 * time.Millisecond) // between two looks; the sweep is under way
			if strays, missing = s.compareFiles(s.nodes[0].data, root); len(strays) != last {
				last, moved = len(strays), time.Now()
			}
		}
		s.stopAll()
		if len(strays) == 0 {
			break
		}
	}
	if len(strays) > 0 {
		s.t.Errorf("%d files belong to nothing and are still there after the sweep: %q", len(strays), strays[:min(5, len(strays))])
	}
	if len(missing) > 0 {
		s.t.Errorf("files that rows tell of are not there: %q", missing[:min(5, len(missing))])
	}
	s.t.Logf("%d files in the store, %d after the sweep", before, len(storedFiles(s.t, root)))
	for _, n := range s.nodes {
		if left := filesBelow(s.t, filepath.Join(n.data, "tmp")); len(left) > 0 {
			s.t.Errorf("temporary files of %s are left: %v", n.name, sortedKeys(left))
		}
		s.holdIndex(n)
	}
}

// holdIndex makes sure that nothing but generations lies in the index.
func (s *storm) holdIndex(n *node) {
	s.t.Helper()
	// A load tidies up. Where the last one was killed on another server, it is
	// thought to be alive for a minute.
	for began := time.Now(); ; {
		_, err := n.command("load", s.sceneries[0].dir)
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "another load is under way on another server") || time.Since(began) > 5*time.Minute {
			s.t.Errorf("load after all: %v", err)
			break
		}
		if err := pause(s.t.Context(), time.Second); err != nil {
			s.t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(n.data, "index"))
	if err != nil {
		s.t.Fatal(err)
	}
	generations := 0
	for _, e := range entries {
		switch name := e.Name(); {
		case len(name) == 8 && strings.Trim(name, "0123456789") == "":
			generations++
		case name != "CURRENT" && !strings.HasSuffix(name, ".lock"):
			s.t.Errorf("%s is left over in the index of %s", name, n.name)
		}
	}
	if generations > 2 {
		s.t.Errorf("%d generations are left in the index of %s, want 2", generations, n.name)
	}
}

// sweepNow has the next sweep come at the start of the next server.
func sweepNow(t *testing.T, database, data string) {
	t.Helper()
	db := openRows(t, database, data)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `UPDATE jobs SET run_at = 0 WHERE kind = 'sweep' AND state = 'queued'`); err != nil {
		t.Fatalf("have the sweep come now: %v", err)
	}
}

// age makes all files two days older, and has the next sweep come now. No server
// runs.
func (s *storm) age(root string) {
	s.t.Helper()
	sweepNow(s.t, s.database, s.nodes[0].data)
	then := time.Now().Add(-48 * time.Hour)
	err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(name, then, then)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// storedFiles lists files, some of which may be removed meanwhile.
func storedFiles(t *testing.T, root string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, name)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// compareFiles gives the files below a folder that no row tells of, and those
// told of that are not there. The rows are those of a data folder.
func (s *storm) compareFiles(data, root string) (strays, missing []string) {
	s.t.Helper()
	db := openRows(s.t, s.database, data)
	defer db.Close()
	wanted := map[string]bool{} // prefixes and keys, that were not seen yet
	for _, raw := range column(s.t, db, `SELECT details FROM audiences WHERE deleted_at IS NULL AND details IS NOT NULL`) {
		var d struct{ Files string }
		if err := json.Unmarshal([]byte(raw), &d); err != nil {
			s.t.Fatal(err)
		}
		if d.Files != "" {
			wanted[d.Files] = true
		}
	}
	for _, key := range column(s.t, db, `SELECT blob_key FROM uploads UNION SELECT blob_key FROM incoming WHERE blob_key <> ''
		UNION SELECT 'generations/' || id FROM generations WHERE status = 'published'`) {
		wanted[key] = true
	}
	for _, key := range column(s.t, db, `SELECT blob_key FROM insights WHERE blob_key <> ''`) {
		wanted[strings.TrimSuffix(key, "/counts")] = true
	}
	found := map[string]bool{}
	// What a client sent straight to the bucket lies there until it is used, or its address ends.
	sent := column(s.t, db, `SELECT 'incoming/' || slot FROM incoming`)
	for _, name := range storedFiles(s.t, root) {
		if slices.Contains(sent, name) {
			continue
		}
		key, _, _ := strings.Cut(name, "!") // a bucket's objects have more behind the key
		prefix := key
		for i := strings.LastIndexByte(prefix, '/'); !wanted[prefix] && i > 0; i = strings.LastIndexByte(prefix, '/') {
			prefix = prefix[:i]
		}
		if !wanted[prefix] {
			strays = append(strays, name)
		}
		found[prefix] = true
	}
	for key := range wanted {
		if !found[key] {
			missing = append(missing, key)
		}
	}
	slices.Sort(strays)
	return strays, missing
}
