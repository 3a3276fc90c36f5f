package service

import (
	"fmt"
	"math"
	"sync"
	"time"

	"throng"
)

// admitted is the caller, unless they have sent more requests than they may.
func (s *Service) admitted(c *throng.Caller) (*throng.Caller, error) {
	limit := c.Limits.RequestsPerSecond
	if limit <= 0 {
		return c, nil
	}
	servers := max(s.cfg.Peers(), 1)
	wait := s.rates.take(c.ID, float64(limit)/float64(servers))
	if wait <= 0 {
		return c, nil
	}
	share := ""
	if servers > 1 {
		share = fmt.Sprintf(", of which each of %d servers answers its share", servers)
	}
	e := throng.Errorf(throng.RateLimited, "more than the %d requests a second that you may send%s; wait as long as Retry-After says", limit, share)
	e.RetryAfter = wait
	return nil, e
}

// rates holds a bucket for each caller with a limit: it fills by so many tokens
// a second, holds those of one second, and at least one, and each request takes
// one. It is safe for concurrent use.
type rates struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[int64]*bucket // by caller; as many as the operator made
}

type bucket struct {
	tokens float64
	at     time.Time // when it held them
}

func newRates(now func() time.Time) *rates {
	return &rates{now: now, buckets: map[int64]*bucket{}}
}

// take takes a token, or tells how long it takes until there is one. A limit
// that was changed holds at once. A clock that was set back gives nothing and
// takes nothing.
func (r *rates) take(caller int64, perSecond float64) (wait time.Duration) {
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
