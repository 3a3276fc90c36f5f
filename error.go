package throng

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// Code says what sort of failure an error is. The API answers it as it stands.
type Code string

// The codes, each with the HTTP status that api gives it.
const (
	Invalid          Code = "invalid_request"   // 400
	Unauthorized     Code = "unauthorized"      // 401
	Forbidden        Code = "forbidden"         // 403: the message names the missing grant
	CreditsExhausted Code = "credits_exhausted" // 403
	QuotaExceeded    Code = "quota_exceeded"    // 403: the message tells what is stored, and what to delete
	NotFound         Code = "not_found"         // 404
	MethodNotAllowed Code = "method_not_allowed"
	Conflict         Code = "conflict"          // 409
	TooLarge         Code = "too_large"         // 413
	Unsupported      Code = "unsupported_media" // 415
	RateLimited      Code = "rate_limited"      // 429
	Unavailable      Code = "unavailable"       // 503
	StorageFull      Code = "storage_full"      // 503: no room on a disk of ours
	Internal         Code = "internal"          // 500: its text never leaves the process
)

// Detail is one problem of a request.
type Detail struct {
	Path    string `json:"path"` // of the field, as in parameters[1].age.ranges[0]
	Message string `json:"message"`
}

// Error is a failure that a caller may read. Whatever else an error chain
// holds stays in the process.
type Error struct {
	Code    Code
	Message string
	Details []Detail
	// RetryAfter tells when a repeat can help; 0 says nothing.
	RetryAfter time.Duration

	err error // the cause
}

// Error gives the message.
func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.err }

// Errorf makes an error with a code. The text is for callers: it names no
// person, no identifier and nothing of the inside. A %w keeps its error as
// the cause, and its text, too, goes to the caller.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), err: errors.Unwrap(err)}
}

// Refuse makes one error of all problems of a request. Its message repeats the
// first of them; the details, which it keeps, hold them all.
func Refuse(code Code, details []Detail) *Error {
	parts := make([]string, 0, maxTold)
	for _, d := range details[:min(len(details), maxTold)] {
		parts = append(parts, strings.TrimPrefix(d.Path+" "+d.Message, " "))
	}
	msg := strings.Join(parts, "; ")
	if more := len(details) - maxTold; more > 0 {
		msg += fmt.Sprintf("; and %d more", more)
	}
	return &Error{Code: code, Message: msg, Details: details}
}

// maxTold is how many problems a message repeats.
const maxTold = 3

// unavailable is what errors of what lies below have that say nothing of the
// request: what it needs is away, and may be back in a while. They know nothing
// of codes.
type unavailable interface {
	error
	Unavailable() (message string, retryAfter time.Duration)
}

// ErrorOf finds what callers may know of an error chain. Where a disk is full,
// or something is away, that is said, whatever met it; nil where nothing is
// known.
func ErrorOf(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &Error{Code: StorageFull, Message: storageFull, RetryAfter: retryFull, err: err}
	}
	if e, ok := errors.AsType[unavailable](err); ok {
		message, after := e.Unavailable()
		return &Error{Code: Unavailable, Message: message, RetryAfter: after, err: err}
	}
	return nil
}

const (
	storageFull = "the server has no room left to store anything; its operator must make some: send the request again later"
	// retryFull is when somebody may have made room.
	retryFull = time.Minute
)

// CodeOf finds the code of an error chain; Internal where it has none.
func CodeOf(err error) Code {
	if e := ErrorOf(err); e != nil {
		return e.Code
	}
	return Internal
}

// MessageOf is the text that may leave the process.
func MessageOf(err error) string {
	if e := ErrorOf(err); e != nil {
		return e.Message
	}
	return "internal error"
}

// RetryAfter tells when a repeat can help; 0 says nothing.
func RetryAfter(err error) time.Duration {
	if e := ErrorOf(err); e != nil {
		return e.RetryAfter
	}
	return 0
}

// IsAway tells of an error chain whether its cause is that something is away
// which the product needs, so that the same may succeed in a while.
func IsAway(err error) bool {
	_, ok := errors.AsType[unavailable](err)
	return ok
}
