package observe

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"throng/blob"
	"throng/engine"
	"throng/job"
)

// Sources are asked whenever metrics are gathered.
type Sources struct {
	Jobs   *job.Runner
	Engine engine.Engine
	Blobs  blob.Store
	// Free tells how many bytes are free where the data folder is.
	Free func() (uint64, error)
	// Now is the clock that jobs go by. Defaults to time.Now.
	Now func() time.Time
}

// gatherTimeout bounds the questions of one gathering.
const gatherTimeout = 5 * time.Second

// Watch adds the metrics of what is there: queues, the generation, files, free
// space. It is called once; wait for the function that it gives before the
// sources are closed.
func (o *Observer) Watch(s Sources) (stop func()) {
	if s.Now == nil {
		s.Now = time.Now
	}
	for _, kind := range s.Jobs.Kinds() {
		o.deaths.WithLabelValues(kind)
		for _, outcome := range []job.Outcome{job.AttemptDone, job.AttemptFailed, job.AttemptRetried} {
			o.attempts.WithLabelValues(kind, string(outcome))
		}
	}
	c := &collector{s: s, stored: newStored(s.Blobs)}
	o.registry.MustRegister(c)
	return c.stored.stop
}

type collector struct {
	s      Sources
	stored *stored
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("throng_"+name, help, labels, nil)
}

var (
	waitingDesc  = desc("jobs_waiting", "Jobs that are queued, also those that wait for their time.", "kind")
	dueDesc      = desc("jobs_due", "Queued jobs whose time has come.", "kind")
	runningDesc  = desc("jobs_running", "Jobs that run, in all processes on the database.", "kind")
	oldestDesc   = desc("jobs_oldest_due_seconds", "Since when the job that waits longest has been due; 0 where none is.", "kind")
	beatDesc     = desc("jobs_oldest_heartbeat_seconds", "Since when the running job that was silent longest has given no sign of life; 0 where none runs.", "kind")
	databaseDesc = desc("database_up", "1 where the database answers.")
	genInfoDesc  = desc("generation_info", "Always 1; the current generation.", "id")
	peopleDesc   = desc("generation_people", "People of the current generation; 0 where none is loaded.")
	bytesDesc    = desc("generation_bytes", "Size of the current generation's files.")
	asOfDesc     = desc("generation_as_of_timestamp_seconds", "The instant that the current generation's data describes.")
	loadedDesc   = desc("generation_loaded_timestamp_seconds", "When the current generation was loaded.")
	damagedDesc  = desc("generation_damaged", "1 where a damage was found in the current generation, or it cannot be used.")
	storedDesc   = desc("stored_bytes", "Size of the files in the store, by what they are of. At most some minutes old.", "of")
	filesDesc    = desc("stored_files", "Number of the files in the store, by what they are of. At most some minutes old.", "of")
	freeDesc     = desc("disk_free_bytes", "Free space where the data folder is.")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		waitingDesc, dueDesc, runningDesc, oldestDesc, beatDesc, databaseDesc, genInfoDesc, peopleDesc, bytesDesc, asOfDesc, loadedDesc,
		damagedDesc, storedDesc, filesDesc, freeDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), gatherTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	c.queues(ctx, gauge)
	c.generation(ctx, gauge)
	for of, sum := range c.stored.now() {
		gauge(storedDesc, float64(sum.bytes), of)
		gauge(filesDesc, float64(sum.files), of)
	}
	if free, err := c.s.Free(); err == nil {
		gauge(freeDesc, float64(free))
	}
}

type gauge func(d *prometheus.Desc, v float64, labels ...string)

func (c *collector) queues(ctx context.Context, set gauge) {
	queues, err := c.s.Jobs.Queues(ctx)
	if err != nil {
		set(databaseDesc, 0)
		return
	}
	set(databaseDesc, 1)
	now := c.s.Now()
	since := func(t time.Time) float64 {
		if t.IsZero() {
			return 0
		}
		return max(now.Sub(t).Seconds(), 0)
	}
	for _, q := range queues {
		set(waitingDesc, float64(q.Waiting), q.Kind)
		set(dueDesc, float64(q.Due), q.Kind)
		set(runningDesc, float64(q.Running), q.Kind)
		set(oldestDesc, since(q.OldestDue), q.Kind)
		set(beatDesc, since(q.OldestBeat), q.Kind)
	}
}

func (c *collector) generation(ctx context.Context, set gauge) {
	g, err := c.s.Engine.Acquire(ctx, "")
	if err != nil {
		set(peopleDesc, 0)
		set(damagedDesc, truth(!errors.Is(err, engine.ErrNoGeneration)))
		return
	}
	defer g.Release()
	info := g.Info()
	set(genInfoDesc, 1, info.ID)
	set(peopleDesc, float64(info.People))
	set(bytesDesc, float64(info.Bytes))
	set(asOfDesc, float64(info.AsOf.Unix()))
	set(loadedDesc, float64(info.LoadedAt.Unix()))
	set(damagedDesc, truth(info.Err != nil))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// stored knows the sums of the store's files. It lists them in the background,
// when somebody wants to know, and takes at most a hundredth of the time for it.
type stored struct {
	blobs  blob.Store
	ctx    context.Context //nolint:containedctx // of the listings, which nobody waits for
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	listing bool
	next    time.Time // when to list again
	sums    map[string]sum
}

type sum struct{ bytes, files int64 }

const (
	minListing = 2 * time.Second // between two listings
	listShare  = 100             // of the time may be spent on listing
)

// storedOf are the first elements of the keys that are told apart.
var storedOf = []string{"audiences", "uploads", "incoming", "deliveries", "other"}

func newStored(blobs blob.Store) *stored {
	s := &stored{blobs: blobs, sums: map[string]sum{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// now gives what is known, and sees to it that more is known next time.
func (s *stored) now() map[string]sum {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && !s.listing && !time.Now().Before(s.next) {
		s.listing = true
		s.wg.Go(s.list)
	}
	return s.sums
}

func (s *stored) list() {
	start := time.Now()
	sums := map[string]sum{}
	for _, of := range storedOf {
		sums[of] = sum{}
	}
	var failed error
	for info, err := range s.blobs.List(s.ctx, "") {
		if err != nil {
			failed = err
			break
		}
		of, _, _ := strings.Cut(info.Key, "/")
		if _, known := sums[of]; !known {
			of = "other"
		}
		sums[of] = sum{sums[of].bytes + info.Size, sums[of].files + 1}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listing = false
	s.next = time.Now().Add(max(minListing, listShare*time.Since(start)))
	if failed == nil {
		s.sums = sums
	}
}

// stop ends the listing that runs, and begins no other.
func (s *stored) stop() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}
