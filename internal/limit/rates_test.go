package limit

import (
	"testing"
	"time"
)

// A bucket holds what comes in a second, and at least one token, and fills as
// time passes.
func TestRates(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
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
		r := NewRates(func() time.Time { return now })
		for i, step := range tt.steps {
			now = now.Add(step)
			got := r.Take(1, tt.perSecond)
			if off := got - tt.want[i]; off < -time.Microsecond || off > time.Microsecond {
				t.Errorf("%v a second, request %d: wait %v, want %v", tt.perSecond, i, got, tt.want[i])
			}
		}
	}
}

// Nobody takes another's tokens, and a limit that is changed holds at once.
func TestRatesApart(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r := NewRates(func() time.Time { return now })
	for range 3 {
		r.Take(1, 1)
	}
	if wait := r.Take(2, 1); wait != 0 {
		t.Errorf("another caller waits %v", wait)
	}
	if wait := r.Take(1, 100); wait <= 0 || wait > 10*time.Millisecond {
		t.Errorf("wait of a greater limit = %v, want 10ms", wait)
	}
	now = now.Add(10 * time.Millisecond)
	if wait := r.Take(1, 100); wait != 0 {
		t.Errorf("10ms later: wait %v", wait)
	}
}

// BenchmarkRates is what a request costs that has a limit: many goroutines ask
// for one caller.
func BenchmarkRates(b *testing.B) {
	r := NewRates(time.Now)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Take(1, 1e9)
		}
	})
}
