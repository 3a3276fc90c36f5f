package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"time"
)

// strike kills once, in the window or where that does not come in time, and has
// everything run again.
func (s *storm) strike(ctx context.Context, i int, w window) {
	s.t.Helper()
	var where string
	switch w.name {
	case windowStart:
		where = s.strikeStart()
	case windowLoad:
		where = s.strikeLoader(ctx)
	default:
		where = s.strikeServer(ctx, w)
	}
	s.struck(i, w, where)
}

// struck counts a strike that was meant for one moment, and hit one.
func (s *storm) struck(i int, w window, where string) {
	s.t.Helper()
	s.hits[where]++
	if where != w.name {
		s.missed[w.name]++
		s.hits[w.name] += 0 // so that it is told of
	}
	s.t.Logf("strike %3d after %8.3f s: %s", i+1, time.Since(s.began).Seconds(), where)
}

// strikeStart kills a server while it starts.
func (s *storm) strikeStart() string {
	n := s.nodes[s.rng.IntN(len(s.nodes))]
	if p, ok := n.shoot(); ok {
		<-p.done
	}
	began := time.Now()
	s.start(n)
	took := time.Since(began)
	if p, ok := n.shoot(); ok {
		<-p.done
	}
	p, serving := s.launch(n)
	moment := time.NewTimer(time.Duration(s.rng.Int64N(int64(took + took/2))))
	defer moment.Stop()
	<-moment.C
	p.kill()
	select {
	case <-serving:
	default:
	}
	s.start(n)
	return windowStart
}

// strikeLoader kills a load, whose server goes on.
func (s *storm) strikeLoader(ctx context.Context) string {
	n := s.nodes[s.rng.IntN(len(s.nodes))]
	load, err := s.beginLoad(ctx, n)
	if err != nil {
		s.t.Fatal(err)
	}
	moment := time.NewTimer(time.Duration(s.rng.Int64N(int64(s.loadTakes()))))
	defer moment.Stop()
	where := windowLoad
	select {
	case <-moment.C:
		_ = load.cmd.Process.Kill() // not waited for
		<-load.done
	case <-load.done:
		where = windowAny // it was quicker
		if p, ok := n.shoot(); ok {
			<-p.done
		}
		s.start(n)
	}
	// The old generation or the new one, whole.
	if _, err := n.command("check"); err != nil {
		s.t.Errorf("check after a load that was killed: %v", err)
	}
	return where
}

// loading is a `throng load` that runs.
type loading struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// beginLoad loads one of the datasets into a node's folder.
func (s *storm) beginLoad(ctx context.Context, n *node) (*loading, error) {
	c := s.sceneries[s.rng.IntN(len(s.sceneries))]
	l := &loading{cmd: exec.CommandContext(ctx, binary, append([]string{"load", c.dir}, n.flags...)...), done: make(chan struct{})}
	if err := l.cmd.Start(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	go func() {
		defer close(l.done)
		_ = l.cmd.Wait()
	}()
	return l, nil
}

// loadTakes is within what time a load is killed: what one took when nothing
// else went on, and as much again.
func (s *storm) loadTakes() time.Duration { return 2 * s.loadTook }

// strikeServer kills one server, or all, in a window.
func (s *storm) strikeServer(ctx context.Context, w window) string {
	where, victims, load := s.await(ctx, w)
	s.killAndStart(victims)
	if load != nil {
		<-load.done
	}
	return where
}

// await waits for a window, or for any moment where it does not come in time,
// and tells which it was, whom it is the moment to kill, and what load runs
// meanwhile, if any.
func (s *storm) await(ctx context.Context, w window) (where string, victims []*node, load *loading) {
	hit := s.aim.take(w.name)
	done := make(chan struct{})
	var watchers sync.WaitGroup
	limit := time.NewTimer(aimFor)
	defer limit.Stop()
	at := s.nodes[s.rng.IntN(len(s.nodes))]
	switch w.name {
	case windowAny:
		limit.Reset(time.Duration(s.rng.Int64N(int64(time.Second))))
	case windowFile:
		watchers.Go(func() { s.watchFiles(done) })
	case windowBeside, windowSwitch:
		var err error
		if load, err = s.beginLoad(ctx, at); err != nil {
			s.t.Fatal(err)
		}
		if w.name == windowSwitch {
			watchers.Go(func() { s.watchCurrent(at, done) })
		} else {
			limit.Reset(time.Duration(s.rng.Int64N(int64(s.loadTakes()))))
		}
	}
	where, victims = windowAny, s.nodes
	select {
	case n := <-hit:
		where = w.name
		if n == nil && s.rng.IntN(2) == 0 {
			n = at
		}
		if n != nil {
			victims = []*node{n}
		}
		if w.spread > 0 {
			spread := time.NewTimer(time.Duration(s.rng.Int64N(int64(w.spread))))
			<-spread.C
		}
	case <-limit.C:
		if w.name == windowBeside && stillRuns(load) {
			where = w.name
		}
		if s.rng.IntN(2) == 0 || w.name == windowBeside {
			victims = []*node{at}
		}
	}
	s.aim.rest()
	close(done)
	watchers.Wait()
	return where, victims, load
}

func stillRuns(l *loading) bool {
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

// killAndStart kills servers, and starts them again some time later.
func (s *storm) killAndStart(victims []*node) {
	s.t.Helper()
	var dead []*process
	for _, n := range victims {
		if p, ok := n.shoot(); ok {
			dead = append(dead, p)
		}
	}
	for _, p := range dead {
		<-p.done
	}
	away := time.NewTimer(time.Duration(s.rng.Int64N(int64(200 * time.Millisecond))))
	<-away.C
	for _, n := range victims {
		s.start(n)
	}
	// Some of what is under way should come to its end between two kills.
	calm := time.NewTimer(time.Duration(s.rng.Int64N(int64(300 * time.Millisecond))))
	<-calm.C
}
