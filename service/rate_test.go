package service

import (
	"strings"
	"testing"
	"time"

	"throng"
)

// A bucket holds what comes in a second, and at least one token, and fills as
// time passes.
func TestRates(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	for _, tt := range []struct {
		perSecond float64
		steps     []time.Duration // before each request
		want      []time.Duration // to wait; 0 is taken
	}{
		{2, []time.Duration{0, 0, 0, 500 * time.Millisecond, 0}, []time.Duration{0, 0, 500 * time.Millisecond, 0, 500 * time.Millisecond}},
		{1, []time.Duration{0, 0, 250 * time.Millisecond, 750 * time.Millisecond}, []time.Duration{0, time.Second, 750 * time.Millisecond, 0}},
		{0.5, []time.Duration{0, 0, time.Second, time.Second}, []time.Duration{0, 2 * time.Second, time.Second, 0}},
		{3, []time.Duration{0, time.Hour, 0, 0, 0}, []time.Duration{0, 0, 0, 0, time.Second / 3}}, // an hour fills no more than a second
		{1, []time.Duration{0, -time.Hour, time.Second}, []time.Duration{0, time.Second, 0}},      // a clock that was set back
	} {
		r := newRates(c.Now)
		for i, step := range tt.steps {
			c.Add(step)
			got := r.take(1, tt.perSecond)
			if off := got - tt.want[i]; off < -time.Microsecond || off > time.Microsecond {
				t.Errorf("%v a second, request %d: wait %v, want %v", tt.perSecond, i, got, tt.want[i])
			}
		}
	}
}

// Nobody takes another's tokens, and a limit that is changed holds at once.
func TestRatesApart(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	r := newRates(c.Now)
	for range 3 {
		r.take(1, 1)
	}
	if wait := r.take(2, 1); wait != 0 {
		t.Errorf("another caller waits %v", wait)
	}
	if wait := r.take(1, 100); wait <= 0 || wait > 10*time.Millisecond {
		t.Errorf("wait of a greater limit = %v, want 10ms", wait)
	}
	c.Add(10 * time.Millisecond)
	if wait := r.take(1, 100); wait != 0 {
		t.Errorf("10ms later: wait %v", wait)
	}
}

// Both ways to be known lead to one bucket.
func TestRateLimit(t *testing.T) {
	peers := 1
	s := open(t, func(c *Config) { c.Peers = func() int { return peers } })
	ctx := t.Context()
	limit := 4
	made, err := s.AddCaller(ctx, "busy", CallerSettings{CallerLimits: CallerLimits{RequestsPerSecond: &limit}})
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := s.Login(ctx, made.Token) // one
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]func() error{
		"token": func() error { _, err := s.Authenticate(ctx, made.Token); return err },
		"key": func() error {
			_, err := s.AuthenticateKey(ctx, made.AccessKey, func(string) bool { return true })
			return err
		},
		"session": func() error { _, err := s.SessionCaller(ctx, session); return err },
	}
	for name, way := range ways { // three
		if err := way(); err != nil {
			t.Errorf("%s within the limit: %v", name, err)
		}
	}
	for name, way := range ways {
		wantCode(t, way(), throng.RateLimited)
		e := way().(*throng.Error) //nolint:errorlint // the service returns it bare
		if e.RetryAfter != 250*time.Millisecond || !strings.Contains(e.Message, "4 requests a second") {
			t.Errorf("%s: %q after %v, want the limit after 250ms", name, e.Message, e.RetryAfter)
		}
	}
	// Two servers answer half as many each, and who signs wrongly takes nothing.
	peers = 2
	s.clock.Add(time.Second)
	for range 10 {
		_, err := s.AuthenticateKey(ctx, made.AccessKey, func(string) bool { return false })
		wantCode(t, err, throng.Unauthorized)
	}
	for range 2 {
		if err := ways["token"](); err != nil {
			t.Errorf("half of the limit: %v", err)
		}
	}
	err = ways["token"]()
	wantCode(t, err, throng.RateLimited)
	if !strings.Contains(err.Error(), "2 servers") {
		t.Errorf("refusal of one of two servers = %q", err)
	}
	none := 0
	if err := s.SetCaller(ctx, "busy", CallerSettings{CallerLimits: CallerLimits{RequestsPerSecond: &none}}); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if err := ways["key"](); err != nil {
			t.Fatalf("without a limit: %v", err)
		}
	}
}

// BenchmarkRates is what a request costs that has a limit: many goroutines ask
// for one caller.
func BenchmarkRates(b *testing.B) {
	r := newRates(time.Now)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.take(1, 1e9)
		}
	})
}
