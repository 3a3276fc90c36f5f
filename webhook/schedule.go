package webhook

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Lifetime is for how long after its making a message is tried.
const Lifetime = 24 * time.Hour

const (
	firstRetry = 5 * time.Second
	maxRetry   = time.Hour
	// leastAttempts are made even where the lifetime is over: by the schedule they
	// take less than 45 minutes, so that it is over so soon only where the server
	// was off for a day, or its clock has jumped.
	leastAttempts = 10
)

// Schedule is the wait after the given attempt, counted from 1, has failed: at
// most 5 seconds after the first, doubling up to an hour, each cut by up to a
// half at random so that receivers that come back are not met by all at once.
// In 24 hours that makes 30 to 60 attempts. A nil random is the common source.
func Schedule(attempt int, random *rand.Rand) time.Duration {
	d := maxRetry
	if shift := max(attempt-1, 0); shift < 20 && firstRetry<<shift < maxRetry {
		d = firstRetry << shift
	}
	if random == nil {
		return d/2 + rand.N(d/2+1)
	}
	return d/2 + time.Duration(random.Int64N(int64(d/2)+1))
}

// Next tells when a message that was made at created is tried again, after an
// attempt that failed at now, and false when it is not: it was delivered or
// refused, the receiver wants no more, or its lifetime would be over and it was
// tried ten times. What the receiver asked for by Retry-After is waited for, if
// that is within the lifetime.
func Next(attempt int, result Result, created, now time.Time, random *rand.Rand) (time.Time, bool) {
	if result.OK() || result.Refused || result.Gone {
		return time.Time{}, false
	}
	wait := Schedule(attempt, random)
	at := now.Add(max(wait, result.RetryAfter))
	few := attempt < leastAttempts && result.RetryAfter <= wait
	return at, few || at.Before(created.Add(Lifetime))
}

// RetryAfter reads the header of that name, seconds or an HTTP date; 0 where it
// is absent, malformed or in the past, and at most [Lifetime].
func RetryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseUint(header, 10, 64); err == nil {
		if seconds > uint64(Lifetime/time.Second) {
			return Lifetime
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), Lifetime)
}
