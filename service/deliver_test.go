package service

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/blob/file"
	"throng/delivery"
	"throng/delivery/drop"
	"throng/delivery/mintegral"
	"throng/identifier"
	"throng/job"
)

// place is a kind of destination that a test steers.
type place struct {
	t  testing.TB
	mu sync.Mutex
	// step is asked for what the n-th step does, n from 1.
	step   func(ctx context.Context, n int) (delivery.Result, error)
	n      int
	secret delivery.Secret
	orders []delivery.Order
	states []string
}

func (p *place) Name() string { return "place" }

func (p *place) Check(o delivery.Order, s delivery.Secret) []throng.Detail {
	if o.Endpoint == "bad" {
		return []throng.Detail{{Path: "endpoint", Message: "is bad"}}
	}
	return nil
}

func (p *place) Open(o delivery.Order, s delivery.Secret) (delivery.Destination, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secret, p.orders = s, append(p.orders, o)
	return p, nil
}

func (p *place) Step(ctx context.Context, _ []delivery.List, state json.RawMessage) (delivery.Result, error) {
	p.mu.Lock()
	p.n++
	n := p.n
	p.states = append(p.states, string(state))
	p.mu.Unlock()
	return p.step(ctx, n)
}

func (p *place) seen() (n int, states []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n, slices.Clone(p.states)
}

func placed(p *place) option {
	return func(c *Config) { c.Destinations = append(c.Destinations, p) }
}

// stepped is the result of a step that is not the last.
func stepped(n int) delivery.Result {
	return delivery.Result{State: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)), Next: fmt.Sprintf("step %d", n+1)}
}

func last() delivery.Result {
	return delivery.Result{State: json.RawMessage(`{}`), Done: true, RemoteID: "7"}
}

func toPlace() DeliveryOrder {
	o := DeliveryOrder{To: "place", Name: "tea", PlainAs: "gaid"}
	o.Credentials.Secret = delivery.Secret{AccessKey: "the-access-key", APIKey: "the-api-key"}
	return o
}

func TestDeliveryIsTriedAgain(t *testing.T) {
	trouble := &delivery.Problem{Message: "the receiver is ill"}
	p := &place{t: t, step: func(_ context.Context, n int) (delivery.Result, error) {
		switch {
		case n == 1, n == 2+maxFailures-1: // a step that succeeds ends the row of failures
			return stepped(n), nil
		case n < 2*maxFailures:
			return delivery.Result{}, trouble
		}
		return last(), nil
	}}
	s, _ := startDelivering(t, placed(p))
	a := s.build(s.caller, everyone)
	d := s.waitDelivery(s.caller, s.startDelivery(s.caller, a.ID, toPlace()), "ended", ended)
	if d.Status != throng.Done || d.RemoteID != "7" || d.Failure != nil || d.Failures != 0 {
		t.Errorf("delivery = %+v, failure %+v, want done", d, d.Failure)
	}
	if _, states := p.seen(); states[1] != `{"n":1}` || states[5] != `{"n":1}` || states[len(states)-1] != fmt.Sprintf(`{"n":%d}`, 2+maxFailures-1) {
		t.Errorf("steps began with the states %q, want that of the last that succeeded", states)
	}
}

func TestDeliveryFails(t *testing.T) {
	for _, test := range []struct {
		name    string
		err     error
		steps   int
		message string
	}{
		{"for good", &delivery.Problem{Message: "the key is wrong", Final: true}, 1, "the key is wrong"},
		{"again and again", &delivery.Problem{Message: "the receiver is ill"}, maxFailures, "the receiver is ill; it was tried 10 times. Deliver again when the receiver is well"},
		{"inside", fmt.Errorf("the disk at /secret is full"), maxFailures, "the delivery ended with an internal error; it was tried 10 times. Deliver again when the receiver is well"},
		{"locked", &delivery.Problem{Message: "not before noon", Until: time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC)}, 1, "not before noon"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &place{t: t, step: func(context.Context, int) (delivery.Result, error) { return delivery.Result{}, test.err }}
			s, _ := startDelivering(t, placed(p))
			a := s.build(s.caller, everyone)
			o := toPlace()
			o.Update = "7"
			d := s.waitDelivery(s.caller, s.startDelivery(s.caller, a.ID, o), "ended", ended)
			if d.Status != throng.Failed || d.Failure == nil || d.Failure.Message != test.message {
				t.Errorf("delivery = %+v, failure %+v, want %q", d, d.Failure, test.message)
			}
			if n, _ := p.seen(); n != test.steps {
				t.Errorf("%d steps were tried, want %d", n, test.steps)
			}
			row, err := s.db.Delivery(t.Context(), 0, d.ID)
			if err != nil || row.SecretSealed != "" {
				t.Errorf("after its end: secret of %d bytes, %v; want none", len(row.SecretSealed), err)
			}
			waitFor(t, func() bool { return len(s.deliveryFiles()) == 0 })
		})
	}
}

// A delivery that waits for the receiver's time holds no worker, and goes on by
// the clock.
func TestDeliveryWaits(t *testing.T) {
	var s *testService
	until := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	p := &place{t: t}
	p.step = func(_ context.Context, n int) (delivery.Result, error) {
		if n == 1 {
			return stepped(n), nil
		}
		if s.now().Before(until) {
			return delivery.Result{State: json.RawMessage(`{"waited":true}`), Next: "again"}, &delivery.Problem{Message: "not yet", Until: until}
		}
		return last(), nil
	}
	var jobs *job.Runner
	s, store := func() (*testService, *file.Store) {
		store, err := file.Open(filepath.Join(t.TempDir(), "drop"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		var clock func() time.Time
		s := open(t, func(c *Config) {
			clock = c.Now
			if jobs, err = job.New(c.DB, job.Config{Owner: "node", Poll: 20 * time.Millisecond, Now: clock, Logger: c.Logger}); err != nil {
				t.Fatal(err)
			}
			c.Jobs, c.Destinations = jobs, []delivery.Kind{p, drop.New(store)}
		})
		return s, store
	}()
	s.jobs = jobs
	s.load(owners())
	s.run()
	a := s.build(s.caller, everyone)
	o := toPlace()
	o.Update, o.Wait = "7", true
	var waiting []*Delivery
	for range deliveryWorkers + 1 {
		waiting = append(waiting, s.startDelivery(s.caller, a.ID, o))
	}
	for _, d := range waiting[:1] {
		d = s.waitDelivery(s.caller, d, "waiting", func(d *Delivery) bool { return !d.NextAttemptAt.IsZero() })
		if d.Status != throng.Running || !d.NextAttemptAt.Equal(until) || !strings.Contains(d.Step, "waiting") || d.Failures != 0 || d.Failure != nil {
			t.Errorf("delivery that waits = %+v, failure %+v", d, d.Failure)
		}
	}
	if d := s.waitDelivery(s.caller, s.startDelivery(s.caller, a.ID, toDrop()), "ended", ended); d.Status != throng.Done {
		t.Errorf("delivery beside those that wait: %+v, want done", d)
	}
	_ = store
	s.clock.Add(12 * time.Hour)
	for _, d := range waiting {
		if d = s.waitDelivery(s.caller, d, "ended", ended); d.Status != throng.Done {
			t.Errorf("delivery after its wait = %+v, failure %+v, want done", d, d.Failure)
		}
	}
	if _, states := p.seen(); !slices.Contains(states, `{"waited":true}`) {
		t.Errorf("steps began with the states %q, want the one that came with the wait among them", states)
	}
}

// What a caller may not do any more is not done, though it was ordered before.
func TestDeliveryOfRevoked(t *testing.T) {
	types := []identifier.Type{identifier.MD5}
	for name, change := range map[string]func(s *testService) error{
		"the caller is revoked": func(s *testService) error { return s.RevokeCaller(t.Context(), "later") },
		"ma_id is not among": func(s *testService) error {
			return s.SetCaller(t.Context(), "later", CallerSettings{CanDownload: &types})
		},
	} {
		p := &place{t: t}
		s, _ := startDelivering(t, placed(p))
		p.step = func(context.Context, int) (delivery.Result, error) {
			if err := change(s); err != nil {
				return delivery.Result{}, err
			}
			return delivery.Result{}, &delivery.Problem{Message: "not now"}
		}
		grants := throng.Grants()
		c := s.add("later", CallerSettings{Grants: &grants})
		a := s.build(c, everyone)
		d := s.waitDelivery(c, s.startDelivery(c, a.ID, toPlace()), "ended", ended)
		if n, _ := p.seen(); n != 1 || d.Status != throng.Failed || !strings.Contains(d.Failure.Message, name) {
			t.Errorf("after %d steps the delivery is %s: %+v, want failed after one, since %s", n, d.Status, d.Failure, name)
		}
	}
}

// A server that hangs in the middle of a delivery is followed by another, which
// goes on where that was; what the first still does is of no effect.
func TestDeliveryCrash(t *testing.T) {
	hold, reached := make(chan struct{}), make(chan struct{})
	p := &place{t: t, step: func(_ context.Context, n int) (delivery.Result, error) {
		switch n {
		case 3:
			close(reached)
			<-hold // as a process does that hangs
			return delivery.Result{State: json.RawMessage(`{"ghost":true}`), Next: "haunt"}, nil
		case 5:
			return last(), nil
		}
		return stepped(n), nil
	}}
	s, _ := startDelivering(t, placed(p))
	a := s.build(s.caller, everyone)
	d := s.startDelivery(s.caller, a.ID, toPlace())
	<-reached
	tables := owners()
	tables["people.csv"] += "p9,33,male,,c1,\n"
	for range 3 { // the generation of the audience goes; the lists are kept
		s.load(tables)
		if err := errorsJoin(s.SweepGenerations(t.Context()), s.Sweep(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, s.DeleteAudience(t.Context(), s.caller, a.ID), throng.Conflict)
	two := s.again()
	two.run()
	end := two.waitDelivery(two.caller, d, "ended", ended)
	if end.Status != throng.Done || len(end.Warnings) > 0 {
		t.Errorf("delivery after a crash = %+v, failure %+v", end, end.Failure)
	}
	close(hold)
	if err := s.jobs.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, states := p.seen(); n != 5 || states[3] != `{"n":2}` {
		t.Errorf("%d steps from states %q, want 5, the fourth from that of the second", n, states)
	}
	if diff := cmp.Diff(end, must(s.Delivery(t.Context(), s.caller, a.ID, d.ID))); diff != "" {
		t.Errorf("the ghost changed the delivery (-want +got):\n%s", diff)
	}
	if p.secret.APIKey != "the-api-key" {
		t.Error("the destination was not given the secret after a crash")
	}
	if err := s.DeleteAudience(t.Context(), s.caller, a.ID); err != nil {
		t.Errorf("DeleteAudience after the delivery: %v", err)
	}
}

func errorsJoin(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// What a receiver does that is ill, and what its caller is told in the end.
func TestIllReceivers(t *testing.T) {
	hang := make(chan struct{})
	for _, test := range []struct {
		name    string
		answer  http.HandlerFunc
		timeout time.Duration
		asked   int64
		message []string
	}{
		{"wrong key", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"code":401,"message":"token is invalid"}`)
		}, time.Minute, 1, []string{"code 401", "see whether the access key and the API key are right"}},
		{"5xx", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, time.Minute, maxFailures, []string{"status 502", "it was tried 10 times", "Deliver again"}},
		{"hangs", func(http.ResponseWriter, *http.Request) { <-hang }, 20 * time.Millisecond, maxFailures, []string{"no answer within 20ms", "it was tried 10 times", "Deliver again"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var asked atomic.Int64
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				test.answer(w, r)
			}))
			defer receiver.Close()
			defer func() {
				if test.name == "hangs" {
					close(hang)
				}
			}()
			kind := mintegral.New(mintegral.Config{AllowPrivate: true, Timeout: test.timeout})
			defer kind.Close()
			var log lockedLog
			s, _ := startDelivering(t, func(c *Config) {
				c.Destinations = append(c.Destinations, kind)
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			a := s.build(s.caller, everyone)
			o := toPlace()
			o.To, o.Endpoint = "mintegral", receiver.URL
			d := s.waitDelivery(s.caller, s.startDelivery(s.caller, a.ID, o), "ended", ended)
			for _, part := range test.message {
				if d.Status != throng.Failed || !strings.Contains(d.Failure.Message, part) {
					t.Errorf("delivery is %s, failure %+v, want failed with %q", d.Status, d.Failure, part)
				}
			}
			if n := asked.Load(); n < 1 || n > test.asked { // a connection that is not made in time asks nothing
				t.Errorf("the receiver was asked %d times, want at most %d", n, test.asked)
			}
			row, err := s.db.Delivery(t.Context(), 0, d.ID)
			if told := log.String() + fmt.Sprintf("%+v", row) + fmt.Sprintf("%s%s%s", row.State, row.Report, row.Error); err != nil ||
				strings.Contains(told, "the-api-key") || strings.Contains(told, "the-access-key") {
				t.Errorf("a secret is in the log or the row, or %v", err)
			}
		})
	}
}

// lockedLog is a log that is read while it is written.
type lockedLog struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
