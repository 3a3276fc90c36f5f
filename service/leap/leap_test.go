package leap

import (
	"testing"
	"time"
)

// TestTrust says when a clock is believed.
func TestTrust(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, c := range []struct {
		name string
		t    Trust
		want bool
	}{
		{"nobody has looked", Trust{}, true},
		{"an hour later", Trust{seen: ago(time.Hour)}, true},
		{"a night later", Trust{seen: ago(17 * time.Hour)}, true},
		{"a day later", Trust{seen: ago(24 * time.Hour)}, false},
		{"set back", Trust{seen: ago(-365 * 24 * time.Hour)}, true},
		{"held", Trust{seen: now, hold: ago(-time.Minute)}, false},
		{"no longer held", Trust{seen: now, hold: now}, true},
		{"held by a clock that was ahead", Trust{seen: now, hold: ago(-25 * time.Hour)}, true},
		{"a day later, and held before", Trust{seen: ago(24 * time.Hour), hold: ago(time.Hour)}, false},
	} {
		if got := c.t.Holds(now); got != c.want {
			t.Errorf("%s: Holds() = %t, want %t", c.name, got, c.want)
		}
	}
}
