package service

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"throng/job"
	"throng/sqldb"
)

// gathering takes callbacks and remembers how many came at once.
type gathering struct {
	*httptest.Server
	mu          sync.Mutex
	inside, max int
	calls       int
	status      int // of the answers
}

func newCrowd(t *testing.T, status int) *gathering {
	c := &gathering{status: status}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c.mu.Lock()
		c.inside++
		c.calls++
		c.max = max(c.max, c.inside)
		status := c.status
		c.mu.Unlock()
		w.WriteHeader(status)
		c.mu.Lock()
		c.inside--
		c.mu.Unlock()
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *gathering) seen() (calls, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls, c.max
}

// owe gives the service so many callbacks that are all due.
func (s *testService) owe(n int, url string) {
	s.t.Helper()
	now := s.now()
	audience, err := s.db.InsertAudience(s.t.Context(), sqldb.Audience{CallerID: s.caller.ID, Kind: "built", Status: sqldb.StatusDone, CreatedAt: now})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.db.Tx(s.t.Context(), func(tx *sqldb.Tx) error {
		for range n {
			id, err := tx.InsertCallback(s.t.Context(), sqldb.Callback{
				AudienceID: audience, CallerID: s.caller.ID, Event: "audience", URL: url, Body: []byte(`{}`),
				Status: sqldb.CallbackPending, NextAttemptAt: now, CreatedAt: now,
			})
			if err != nil {
				return err
			}
			if err := s.enqueueCallback(s.t.Context(), tx, id, s.caller.ID); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
}

// A thousand callbacks that are due when a server starts are not all tried at one
// instant: so many at once as there are workers. Those that fail are tried again at
// a thousand different moments.
func TestNoHerdAfterRestart(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	receiver := newCrowd(t, http.StatusServiceUnavailable)
	before := open(t)
	jobs, err := job.New(before.cfg.DB, job.Config{Owner: "node", Poll: 20 * time.Millisecond, Now: before.clock.Now, Logger: before.cfg.Logger})
	if err != nil {
		t.Fatal(err)
	}
	s := before.again(func(c *Config) { c.Jobs = jobs })
	s.jobs = jobs
	s.owe(n, receiver.URL)
	s.run()
	for deadline := time.Now().Add(5 * time.Minute); s.attempts() < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d callbacks were tried in 5 minutes", s.attempts(), n)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
	calls, most := receiver.seen()
	if calls != n || most > callbackWorkers {
		t.Errorf("%d calls, at most %d at once; want %d, at most %d at once", calls, most, n, callbackWorkers)
	}
	// The clock stands, so that all failed at one instant.
	next := map[time.Duration]int{}
	if err := s.db.View(t.Context(), func(r sqldb.Reader) error {
		rows, err := r.Query(t.Context(), `SELECT next_attempt_at FROM callbacks WHERE status = ?`, sqldb.CallbackPending)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var at int64
			if err := rows.Scan(&at); err != nil {
				return err
			}
			next[time.UnixMicro(at).Sub(s.now()).Truncate(100*time.Millisecond)]++
		}
		return rows.Err()
	}); err != nil {
		t.Fatal(err)
	}
	largest := 0
	for wait, n := range next {
		if wait < 2400*time.Millisecond || wait > 5*time.Second {
			t.Errorf("%d attempts are due after %v, want between half and all of 5 s", n, wait)
		}
		largest = max(largest, n)
	}
	t.Logf("%d retries are due in %d different tenths of a second, at most %d in one", n, len(next), largest)
	if len(next) < 15 || largest > n/5 {
		t.Errorf("%d retries are due in %d different tenths of a second, %d in one; want them spread over 25", n, len(next), largest)
	}
}

// attempts is how many attempts were recorded.
func (s *testService) attempts() (n int) {
	err := s.db.View(s.t.Context(), func(r sqldb.Reader) error {
		return r.QueryRow(s.t.Context(), `SELECT COUNT(*) FROM callback_attempts`).Scan(&n)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// Two servers on one database sweep by one job, which makes the next one.
func TestSweepJob(t *testing.T) {
	var mu sync.Mutex
	swept := 0
	var failure error
	sweep := func(c *Config) { c.Sweep, c.Now = newSweep(&mu, &swept, &failure), time.Now }
	failure = errSweep
	s := open(t, sweep)
	two := s.again()
	for _, each := range []*testService{s, two, s} {
		if err := each.StartSweeps(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if due := s.sweeps("queued"); due != 1 {
		t.Fatalf("%d sweeps are due, want 1", due)
	}
	s.run()
	waitFor(t, func() bool { mu.Lock(); defer mu.Unlock(); return swept >= 3 }) // failed, and tried again
	mu.Lock()
	failure = nil
	mu.Unlock()
	waitFor(t, func() bool { return s.sweeps("done") == 1 })
	if due := s.sweeps("queued"); due != 1 {
		t.Errorf("%d sweeps are due after one, want the next", due)
	}
	j, err := s.jobs.Find(t.Context(), jobSweep, jobSweep)
	if err != nil {
		t.Fatal(err)
	}
	if wait := j.RunAt.Sub(s.now()); wait < sweepEvery/2 || wait > sweepEvery {
		t.Errorf("the next sweep is due after %v, want about an hour", wait)
	}
	if err := two.StartSweeps(t.Context()); err != nil {
		t.Fatal(err)
	}
	if due := s.sweeps("queued"); due != 1 {
		t.Errorf("%d sweeps are due after another start, want 1", due)
	}
}

var errSweep = errors.New("the store is away")

// newSweep counts the sweeps, each of which fails as is said.
func newSweep(mu *sync.Mutex, swept *int, failure *error) func(context.Context, time.Time) error {
	return func(context.Context, time.Time) error {
		mu.Lock()
		defer mu.Unlock()
		*swept++
		return *failure
	}
}

// sweeps counts the jobs of the sweep in a state.
func (s *testService) sweeps(state string) (n int) {
	err := s.db.View(s.t.Context(), func(r sqldb.Reader) error {
		return r.QueryRow(s.t.Context(), `SELECT COUNT(*) FROM jobs WHERE kind = ? AND state = ?`, jobSweep, state).Scan(&n)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// What died processes left in the folder of temporary files goes when it is old.
func TestSweepTemp(t *testing.T) {
	s := open(t)
	old, young := filepath.Join(s.cfg.TempDir, "throng-delivery-1"), filepath.Join(s.cfg.TempDir, "throng-set-2")
	if err := os.Mkdir(old, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{young, filepath.Join(old, "list")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now := s.now()
	for name, at := range map[string]time.Time{old: now.Add(-25 * time.Hour), young: now.Add(-23 * time.Hour)} {
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SweepHere(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old folder is there: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("the young file is gone: %v", err)
	}
}
