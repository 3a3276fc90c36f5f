package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"throng/blob"
)

const (
	// checkTimeout is how long one thing may take to answer before it counts as
	// away; probes ask every few seconds.
	checkTimeout = 3 * time.Second
	// probeEvery is how often the store of files is asked at most: a bucket
	// counts requests.
	probeEvery = time.Second
	// lookWithin is how old the last look for jobs may be. One is due every half
	// second; a busy machine takes longer.
	lookWithin = 15 * time.Second
	// lowSpace is what is told as little free space. The server goes on reading
	// with less, so it is no reason to take it out of service.
	lowSpace = 1 << 30
)

// check is what is found of one thing that the server needs.
type check struct {
	name string
	note string // what is told where all is well
	err  error  // for the log
	says string // of err, to everybody
}

// readyz tells whether an audience could be made now, and of each thing that
// this takes whether it is there.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	// What is found counts for others, too, so a probe that goes away ends nothing.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), checkTimeout)
	defer cancel()
	checks := s.checks(ctx)
	status, first := http.StatusOK, "ready"
	var lines strings.Builder
	for _, c := range checks {
		if c.err == nil {
			fmt.Fprintf(&lines, "\n%s: ok%s", c.name, c.note)
			continue
		}
		fmt.Fprintf(&lines, "\n%s: %s", c.name, c.says)
		if status == http.StatusOK {
			status, first = http.StatusServiceUnavailable, "not ready: "+c.says
		}
		s.cfg.Logger.WarnContext(r.Context(), "not ready", "check", c.name, "err", c.err)
	}
	w.Header().Set("Cache-Control", "no-store")
	if status != http.StatusOK {
		w.Header().Set("Retry-After", "10")
	}
	text(w, status, first+lines.String())
}

// checks asks everything at once.
func (s *Server) checks(ctx context.Context) []check {
	all := []func(context.Context) check{s.checkDatabase, s.checkGeneration, s.checkFiles, s.checkJobs, s.checkDisk}
	found := make([]check, len(all))
	var group sync.WaitGroup
	for i, one := range all {
		group.Go(func() { found[i] = one(ctx) })
	}
	group.Wait()
	return found
}

func (s *Server) checkDatabase(ctx context.Context) check {
	return check{name: "database", err: s.db.Ping(ctx), says: "it does not answer; the server's log tells more"}
}

func (s *Server) checkGeneration(ctx context.Context) check {
	c := check{name: "generation", err: s.service.Ready(ctx)}
	if c.err != nil {
		c.says = notReady(c.err)
		return c
	}
	if current, ok, err := s.Current(ctx); ok && err == nil {
		c.note = fmt.Sprintf(", %s of %d people", current.ID, current.People)
	}
	return c
}

// prober asks the store of files for a sign of life, now and then.
type prober struct {
	mu   sync.Mutex
	at   time.Time // when it was asked last
	last error
}

func (s *Server) checkFiles(ctx context.Context) check {
	p := &s.probe
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) >= probeEvery {
		_, p.last = s.blobs.Stat(ctx, "probe") // which is never there
		if errors.Is(p.last, blob.ErrNotFound) {
			p.last = nil
		}
		p.at = time.Now()
	}
	return check{name: "files", err: p.last, says: "the store does not answer; the server's log tells more"}
}

func (s *Server) checkJobs(context.Context) check {
	return jobsCheck(s.runsJobs.Load(), s.jobs.LastLook(), time.Now())
}

// jobsCheck judges when the table of jobs was looked at last.
func jobsCheck(run bool, looked, now time.Time) check {
	c := check{name: "jobs", says: "none are taken; the server's log tells more"}
	switch age := now.Sub(looked); {
	case !run:
		c.note = ", not run by this server"
	case looked.IsZero():
		c.err, c.says = errors.New("the table of jobs was not asked yet"), "the table was not asked yet"
	case age > lookWithin:
		c.err = fmt.Errorf("the table of jobs was last asked %v ago", age.Round(time.Second))
	}
	return c
}

// checkDisk tells of the free space; see lowSpace.
func (s *Server) checkDisk(context.Context) check {
	c := check{name: "disk"}
	free, err := freeBytes(s.cfg.Data)
	switch {
	case err != nil:
		c.note = ", free space not known"
	case free < lowSpace:
		c.note = fmt.Sprintf(", but low: %.1f GB free", float64(free)/1e9)
	default:
		c.note = fmt.Sprintf(", %.1f GB free", float64(free)/1e9)
	}
	return c
}
