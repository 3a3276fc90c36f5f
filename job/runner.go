package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"throng/sqldb"
)

// Config is how a [Runner] works. Zero means the default.
type Config struct {
	// Owner names this server, the same after a restart: what its dead
	// predecessor was running is then taken up at once, not when its lease
	// ends. The process must hold a lock that makes it the only live one of
	// that name. Empty is a random name, and nothing is taken up at once.
	Owner string
	// Lease is how long a job may go without a heartbeat before it is given to
	// another worker, at that one's next heartbeat. That one measures it by its
	// own Elapsed, so clocks of servers on one database need not agree. Defaults
	// to 50 seconds, so that what a dead server ran is run again within a minute.
	Lease time.Duration
	// Heartbeat is how often leases are renewed, dead workers looked for, and
	// cancellations by other processes noticed. Defaults to 5 seconds.
	Heartbeat time.Duration
	// Poll is how often the table is asked for jobs that are due or that other
	// processes have added, at the least: each time it is a random part less, so
	// that runners which started together do not ask together. Defaults to 500
	// milliseconds.
	Poll time.Duration
	// Backoff is the wait after the first error; it doubles with each, up to
	// MaxBackoff. Default to 1 second and 5 minutes.
	Backoff, MaxBackoff time.Duration
	// MaxDeaths is after how many deaths of the process that runs it a job
	// fails: somebody may pull the plug again and again, but a job that kills
	// its process must not do so for ever. Defaults to 25.
	MaxDeaths int
	// Keep is how long ended jobs stay in the table. Defaults to 7 days.
	Keep time.Duration
	// Observe is told what jobs do. Defaults to nobody.
	Observe Observer
	// Logger gets what no caller is there to be told. Defaults to slog.Default.
	Logger *slog.Logger
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Elapsed is the time that has passed since some instant, whatever is done to
	// the clock. Defaults to that since New, as the system counts it.
	Elapsed func() time.Duration
}

func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Lease, 50*time.Second)
	setDefault(&c.Heartbeat, 5*time.Second)
	setDefault(&c.Poll, 500*time.Millisecond)
	setDefault(&c.Backoff, time.Second)
	setDefault(&c.MaxBackoff, 5*time.Minute)
	setDefault(&c.Keep, 7*24*time.Hour)
	if c.MaxDeaths == 0 {
		c.MaxDeaths = 25
	}
	c.Observe = c.Observe.withDefaults()
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Elapsed == nil {
		began := time.Now()
		c.Elapsed = func() time.Duration { return time.Since(began) } // by its monotonic reading
	}
	if c.Lease < 3*c.Heartbeat {
		return c, fmt.Errorf("job: lease %v: want at least three heartbeats of %v", c.Lease, c.Heartbeat)
	}
	for _, d := range []time.Duration{c.Heartbeat, c.Poll, c.Backoff, c.MaxBackoff, c.Keep} {
		if d < 0 {
			return c, fmt.Errorf("job: negative duration %v", d)
		}
	}
	return c, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Runner adds jobs and, once started, runs them. It is safe for concurrent use.
type Runner struct {
	db    *sqldb.DB
	cfg   Config
	owner string
	wake  chan struct{} // holds one token when there may be something to claim

	kinds map[string]Kind // fixed once started
	names []string        // of kinds, in the order of registration

	mu       sync.Mutex
	started  bool
	stopping bool
	running  map[int64]*execution // by job; what this process holds a lease on

	signs    map[int64]sign // by job; of the beat loop
	lookedAt time.Duration  // when signs were looked for last; of the beat loop

	stopFetch, stopBeat context.CancelFunc // set by Start
	fetching, beating   sync.WaitGroup
	executing           sync.WaitGroup
	looked              atomic.Pointer[time.Time] // when the table last answered
}

// execution is a job that runs here.
type execution struct {
	job    Job
	ctx    context.Context
	cancel context.CancelCauseFunc
	lease  time.Duration // until when, of Config.Elapsed; guarded by Runner.mu
	ended  Outcome       // of its own goroutine
}

// New makes a runner on a database. Register the kinds, then Start it; a
// process that only adds jobs never starts it.
func New(db *sqldb.DB, cfg Config) (*Runner, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	owner := cfg.Owner
	if owner == "" {
		owner = fmt.Sprintf("anonymous-%016x", rand.Uint64())
	}
	return &Runner{
		db: db, cfg: cfg, owner: owner,
		wake:    make(chan struct{}, 1),
		kinds:   make(map[string]Kind),
		running: make(map[int64]*execution),
	}, nil
}

// Register tells the runner how to run jobs of a kind, before Start. Jobs of
// kinds that no runner knows wait.
func (r *Runner) Register(k Kind) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch _, taken := r.kinds[k.Name]; {
	case r.started:
		return fmt.Errorf("register job kind %q: runner is started", k.Name)
	case k.Name == "" || k.Run == nil || k.Workers < 0:
		return fmt.Errorf("register job kind %q: want a name, a handler and no negative number of workers", k.Name)
	case taken:
		return fmt.Errorf("register job kind %q: registered before", k.Name)
	}
	if k.Workers == 0 {
		k.Workers = 1
	}
	r.kinds[k.Name] = k
	r.names = append(r.names, k.Name)
	return nil
}

// Only has the runner leave alone all registered kinds but these, before Start:
// their jobs wait for another.
func (r *Runner) Only(names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = slices.DeleteFunc(r.names, func(name string) bool { return !slices.Contains(names, name) })
	for name := range r.kinds {
		if !slices.Contains(names, name) {
			delete(r.kinds, name)
		}
	}
}

// Start takes up what a dead predecessor of the same owner left and begins to
// run jobs, until Stop. It is called once. ctx is for the taking up only.
func (r *Runner) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started {
		return errors.New("start job runner: started before")
	}
	if r.cfg.Owner != "" {
		r.mu.Unlock() // the lock order is transaction, then mu
		_, err := r.ReleaseOwned(ctx)
		r.mu.Lock()
		if err != nil {
			return fmt.Errorf("start job runner: %w", err)
		}
	}
	r.started = true
	base := context.WithoutCancel(ctx)
	var fetch, beat context.Context
	fetch, r.stopFetch = context.WithCancel(base)
	beat, r.stopBeat = context.WithCancel(base)
	r.fetching.Go(func() { r.fetchLoop(fetch) })
	r.beating.Go(func() { r.beatLoop(beat) })
	return nil
}

// Stop hands back what runs and stops: no job is claimed any more, the contexts
// of those that run end with [ErrStopping], and their jobs are queued again when
// the handlers have returned. It waits for them until ctx is done, and then
// returns an error; their jobs stay leased and are taken up by the next start.
// A second Stop waits as well.
func (r *Runner) Stop(ctx context.Context) error {
	r.mu.Lock()
	if !r.started {
		r.mu.Unlock()
		return nil
	}
	r.stopping = true // nothing joins running from here on
	r.mu.Unlock()
	r.stopFetch()

	finished := make(chan struct{})
	go func() {
		defer close(finished)
		r.fetching.Wait()
		r.endAll(ErrStopping)
		r.executing.Wait()
		r.stopBeat() // heartbeats go on as long as handlers run
		r.beating.Wait()
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		r.stopBeat()
		return fmt.Errorf("stop job runner: %w", context.Cause(ctx))
	}
}

func (r *Runner) endAll(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.running {
		e.cancel(cause)
	}
}

// end ends the contexts of those of the jobs that run here.
func (r *Runner) end(ids []int64, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if e := r.running[id]; e != nil {
			e.cancel(cause)
		}
	}
}

// signal has the fetch loop look for jobs now.
func (r *Runner) signal() {
	select {
	case r.wake <- struct{}{}:
	default: // one look is due already, and will see this too
	}
}

// within is between half of d and d.
func within(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func (r *Runner) fetchLoop(ctx context.Context) {
	timer := time.NewTimer(within(r.cfg.Poll))
	defer timer.Stop()
	for {
		err := r.fetch(ctx)
		if err == nil {
			now := time.Now()
			r.looked.Store(&now)
		}
		if err != nil && ctx.Err() == nil {
			r.cfg.Logger.ErrorContext(ctx, "claim jobs", "err", err)
			timer.Reset(within(r.cfg.Poll)) // it may have fired, and would not again
			select {                        // a database that is away is not asked in a loop
			case <-ctx.Done():
			case <-timer.C:
			}
		}
		timer.Reset(within(r.cfg.Poll))
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
	}
}

// pruneEvery is how often ended jobs that are too old are removed.
const pruneEvery = time.Hour

func (r *Runner) beatLoop(ctx context.Context) {
	timer := time.NewTimer(within(r.cfg.Heartbeat))
	defer timer.Stop()
	pruned := -pruneEvery
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(within(r.cfg.Heartbeat))
		err := errors.Join(r.beat(ctx), r.takeOver(ctx), r.mend(ctx))
		if now := r.cfg.Elapsed(); err == nil && now-pruned >= pruneEvery {
			_, err = r.Prune(ctx, r.cfg.Now().Add(-r.cfg.Keep))
			pruned = now
		}
		if err != nil && ctx.Err() == nil {
			r.cfg.Logger.ErrorContext(ctx, "keep job leases", "err", err)
		}
	}
}
