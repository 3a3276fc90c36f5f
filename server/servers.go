package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"throng/engine/bitmap"
	"throng/replica"
	"throng/sqldb"
)

// The roles of a server.
const (
	// RoleAll answers requests and runs jobs.
	RoleAll = "all"
	// RoleAPI answers requests and leaves jobs to others.
	RoleAPI = "api"
	// RoleWorker runs jobs, and answers whether it lives and is ready.
	RoleWorker = "worker"
)

const (
	// seeEvery is how often a server shows the others that it lives, at the least.
	seeEvery = 5 * time.Second
	// liveFor is for how long a server counts that was seen.
	liveFor = 4 * seeEvery
	// forgetAfter is how long one that was not seen is remembered.
	forgetAfter = time.Hour
	// sweepEvery is how often each server removes what is in its folder alone.
	sweepEvery = time.Hour
)

func (c Config) checkRole() error {
	switch c.Role {
	case RoleAll, RoleAPI, RoleWorker:
	default:
		return usage("role", "want api, worker or all, not %q", c.Role)
	}
	if c.JobLease < 0 || c.JobLease > 0 && c.JobLease < 15*time.Second {
		return usage("job-lease", "want at least 15s")
	}
	return nil
}

// share has the engine keep copies of generations that all servers share, where
// there is a store that they can share.
func (s *Server) share() error {
	local, ok := s.engine.(*bitmap.Engine)
	if s.cfg.Blobs == "" || !ok {
		return nil
	}
	node, err := s.node()
	if err != nil {
		return err
	}
	s.replica, err = replica.New(replica.Config{
		Local: local, DB: s.db, Blobs: s.blobs, Node: node, Logger: s.cfg.Logger, Now: s.cfg.Now,
	})
	if err != nil {
		return err
	}
	s.engine = s.replica
	return nil
}

// checkShared refuses to load or serve generations of this folder alone where the
// servers of the database share theirs.
func (s *Server) checkShared(ctx context.Context) error {
	if s.replica != nil {
		return nil
	}
	_, err := s.db.CurrentGeneration(ctx)
	if errors.Is(err, sqldb.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return usage("blobs", "the servers of this database share their generations in a bucket; give the same one here")
}

// sync makes the published generation the one in use, for a command that needs one
// and may run without a server. Where it cannot be had, an older one has to do.
func (s *Server) sync(ctx context.Context) error {
	if s.replica == nil {
		return nil
	}
	_, err := s.replica.Sync(ctx)
	if err == nil {
		return nil
	}
	g, none := s.engine.Acquire(ctx, "")
	if none != nil {
		return err
	}
	g.Release()
	s.cfg.Logger.WarnContext(ctx, "an older generation is used: the published one cannot be fetched", "generation", g.Info().ID, "err", err)
	return nil
}

// sweepStore removes from the store what loads that died have left.
func (s *Server) sweepStore(ctx context.Context, before time.Time) error {
	if s.replica == nil {
		return nil
	}
	return s.replica.Sweep(ctx, before)
}

// begin starts to run jobs, where this server does, and nothing has to be fetched
// first.
func (s *Server) begin(ctx context.Context) error {
	if s.cfg.Role == RoleWorker && s.cfg.PublicURL == "" {
		return usage("public-url", "a worker answers no callers, and names in callbacks the servers that do: give their URL")
	}
	if err := s.checkShared(ctx); err != nil {
		return err
	}
	if s.replica != nil {
		return nil
	}
	return s.startJobs(ctx)
}

func (s *Server) startJobs(ctx context.Context) error {
	if s.cfg.Role == RoleAPI {
		return nil
	}
	if err := s.service.StartSweeps(ctx); err != nil {
		return err
	}
	if err := s.jobs.Start(ctx); err != nil {
		return err
	}
	s.runsJobs.Store(true)
	return nil
}

// accompany does what goes on beside answering until ctx is done. Where
// generations are shared, jobs are run once there is one to run them on.
func (s *Server) accompany(ctx context.Context, group *errgroup.Group) {
	group.Go(func() error { s.sweep(ctx); return nil })
	group.Go(func() error { s.watchClock(ctx); return nil })
	if s.cfg.Database != "" {
		group.Go(func() error { s.showLife(ctx); return nil })
	}
	if s.replica == nil {
		return
	}
	ready := make(chan struct{})
	group.Go(func() error {
		s.replica.Run(ctx, func() { close(ready) }, func() {
			if err := s.service.SweepGenerations(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Logger.ErrorContext(ctx, "sweep generations", "err", err)
			}
		})
		return nil
	})
	group.Go(func() error {
		select {
		case <-ready:
			return s.startJobs(ctx)
		case <-ctx.Done():
			return nil
		}
	})
}

// sweep removes what is no longer needed here until ctx is done. What fails is
// tried again the next time.
func (s *Server) sweep(ctx context.Context) {
	for {
		if err := s.service.SweepHere(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.ErrorContext(ctx, "sweep data folder", "err", err)
		}
		if !pause(ctx, sweepEvery) {
			return
		}
	}
}

// pause waits for a random time from half of d to d; false where ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// showLife shows the other servers of the database that this one lives, and counts
// them, until ctx is done.
func (s *Server) showLife(ctx context.Context) {
	node, err := s.node()
	if err != nil {
		s.cfg.Logger.ErrorContext(ctx, "show that the server lives", "err", err)
		return
	}
	me := sqldb.Server{Node: node, Role: s.cfg.Role, StartedAt: s.cfg.Now().UTC()}
	told := false
	for {
		err := s.see(ctx, me)
		if err != nil && !told && ctx.Err() == nil {
			s.cfg.Logger.WarnContext(ctx, "show that the server lives", "err", err)
		}
		told = err != nil // the same again says nothing new
		if !pause(ctx, seeEvery) {
			break
		}
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), seeEvery)
	defer cancel()
	if err := s.db.ForgetServer(bye, node); err != nil { // it is forgotten a little later all the same
		s.cfg.Logger.WarnContext(bye, "show that the server ends", "err", err)
	}
}

// see shows life once, and counts the servers that answer callers.
func (s *Server) see(ctx context.Context, me sqldb.Server) error {
	now := s.cfg.Now()
	me.SeenAt = now
	if err := s.db.SeeServer(ctx, me, now.Add(-forgetAfter)); err != nil {
		return err
	}
	all, err := s.db.Servers(ctx, now.Add(-liveFor))
	if err != nil {
		return err
	}
	n := int64(0)
	for _, other := range all {
		if other.Role != RoleWorker {
			n++
		}
	}
	s.peers.Store(n)
	return nil
}

// Peers is how many servers of the database answer callers now, this one included:
// at least one.
func (s *Server) Peers() int { return max(1, int(s.peers.Load())) }
