package service

import (
	"fmt"

	"throng"
)

// admitted is the caller, unless they have sent more requests than they may.
func (s *Service) admitted(c *throng.Caller) (*throng.Caller, error) {
	limit := c.Limits.RequestsPerSecond
	if limit <= 0 {
		return c, nil
	}
	servers := max(s.cfg.Peers(), 1)
	wait := s.rates.Take(c.ID, float64(limit)/float64(servers))
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
