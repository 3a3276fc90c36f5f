package blob

import "time"

// awayError is an error that tells nothing of the request: the store could not
// be asked, or did not answer. The same may succeed in a while.
type awayError struct{ err error }

// Away marks an error of a store that is away; nil stays nil.
func Away(err error) error {
	if err == nil {
		return nil
	}
	return awayError{err}
}

// Error is for logs.
func (e awayError) Error() string { return "store is away: " + e.err.Error() }

// Unwrap gives the cause.
func (e awayError) Unwrap() error { return e.err }

// Unavailable tells callers what to do.
func (awayError) Unavailable() (message string, retryAfter time.Duration) {
	return "the store of files does not answer at the moment; send the request again", 5 * time.Second
}
