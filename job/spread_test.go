package job

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"throng/sqldb"
)

func TestWithin(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 1000 {
		d := within(time.Second)
		if d < time.Second/2 || d > time.Second {
			t.Fatalf("within(1s) = %v, want half of it to all of it", d)
		}
		seen[d.Round(10*time.Millisecond)] = true
	}
	if len(seen) < 40 {
		t.Errorf("1,000 waits fall into %d places of 10 ms, want them spread over all 50", len(seen))
	}
	if d := within(0); d != 0 {
		t.Errorf("within(0) = %v", d)
	}
}

// polls remembers when a runner asked for jobs.
type polls struct {
	mu sync.Mutex
	at []time.Time
}

// now is the runner's clock, which it looks at with each poll.
func (p *polls) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.at = append(p.at, now)
	return now
}

func (p *polls) list() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.at...)
}

// Runners that start at the same moment, as after an outage, do not go on to poll
// at the same moments.
func TestPollsDoNotCoincide(t *testing.T) {
	const poll, rounds, near = 40 * time.Millisecond, 60, 2 * time.Millisecond
	eachDB(t, func(t *testing.T, db *sqldb.DB) {
		var seen [2]polls
		var runners [2]*Runner
		for i := range runners {
			r, err := New(db, Config{Poll: poll, Heartbeat: time.Hour, Lease: 3 * time.Hour, Now: seen[i].now, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Register(Kind{Name: "k", Run: returns(nil)}); err != nil {
				t.Fatal(err)
			}
			runners[i] = r
		}
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for _, r := range runners {
			wg.Go(func() {
				<-begin
				if err := r.Start(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		wg.Wait()
		for started := time.Now(); len(seen[0].list()) < rounds || len(seen[1].list()) < rounds; {
			if time.Since(started) > time.Minute {
				t.Fatal("the runners do not poll")
			}
			time.Sleep(poll) // between two looks
		}
		for _, r := range runners {
			if err := r.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		coincide := 0
		a, b := seen[0].list()[1:rounds], seen[1].list()
		for _, at := range a {
			for _, other := range b {
				if d := at.Sub(other); d > -near && d < near {
					coincide++
					break
				}
			}
		}
		t.Logf("%d of %d polls of one were within %v of a poll of the other", coincide, len(a), near)
		if coincide > len(a)/2 {
			t.Errorf("%d of %d polls coincide, want few", coincide, len(a))
		}
	})
}
