package limit

import (
	"math"
	"sync"
	"time"
)

// Rates holds a bucket for each caller with a limit: it fills by so many tokens
// a second, holds those of one second, and at least one, and each request takes
// one. It is safe for concurrent use.
type Rates struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[int64]*bucket // by caller; as many as the operator made
}

type bucket struct {
	tokens float64
	at     time.Time // when it held them
}

// NewRates makes full buckets by a clock.
func NewRates(now func() time.Time) *Rates {
	return &Rates{now: now, buckets: map[int64]*bucket{}}
}

// Take takes a token, or tells how long it takes until there is one. A limit
// that was changed holds at once. A clock that was set back gives nothing and
// takes nothing.
func (r *Rates) Take(caller int64, perSecond float64) (wait time.Duration) {
	holds := math.Max(perSecond, 1)
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buckets[caller]
	if b == nil {
		b = &bucket{tokens: holds, at: now}
		r.buckets[caller] = b
	}
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.tokens += passed * perSecond
	}
	b.tokens, b.at = math.Min(b.tokens, holds), now
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return time.Duration((1 - b.tokens) / perSecond * float64(time.Second))
}
