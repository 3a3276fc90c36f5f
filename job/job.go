// Package job runs work later, at least once, and knows no product.
//
// A job is a row of one table, written in the transaction of what caused it: it
// exists if and only if that does. Runners, in any number of processes on one
// database, claim jobs, run their kind's handler and keep a lease on them by a
// heartbeat. A job whose worker dies is claimed again; a handler must therefore
// bear being run again from the start. What must happen once goes into the
// transaction of [Runner.Complete], which fails for a worker that has lost its
// lease.
//
// Between groups (callers, say) a kind's workers are shared fairly: of the jobs
// that are due and of the highest priority, one of the group that has fewest
// running is next, then of the group served longest ago, then the oldest.
package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"throng/sqldb"
)

// State is where a job is in its life.
type State string

// The states. A job leaves queued and running for one of the others once.
const (
	Queued   State = "queued" // waiting for RunAt, a worker, or its group's limit
	Running  State = "running"
	Done     State = "done"
	Failed   State = "failed"
	Canceled State = "canceled"
)

var (
	// ErrCanceled is the cause of the context of a job that was canceled.
	ErrCanceled = errors.New("job canceled")
	// ErrLost is the cause of the context of a job whose lease this worker has
	// lost, and what [Runner.Complete] and [Runner.Check] then return.
	ErrLost = errors.New("job lease lost")
	// ErrStopping is the cause of the context of a job that is handed back
	// since its runner stops. Whatever error the handler then returns, the job
	// is queued again and the attempt does not count.
	ErrStopping = errors.New("job runner stopping")
	// Released, returned by a handler, hands the job back: it is queued again
	// at once and the attempt does not count.
	Released = errors.New("job released") //nolint:staticcheck // ST1012: an outcome, not a fault

	// ErrDied is the cause of a failure that no handler lived to report: the
	// process that ran the job died, as often as [Config.MaxDeaths] allows.
	ErrDied = errors.New("the process died while running the job")
	// ErrNotFound says that there is no such job.
	ErrNotFound = sqldb.ErrNotFound
)

// DefaultMaxAttempts is how often a job is tried where it does not say.
const DefaultMaxAttempts = 10

// NoLimit as MaxAttempts has a job tried until it succeeds or is canceled.
const NoLimit = -1

// Job is one piece of work.
type Job struct {
	// To be filled in for Enqueue:

	Kind     string          // which handler
	Key      string          // names it for Cancel and Find; need not be unique
	OwnerRef int64           // whatever the product wants to find it by
	Payload  json.RawMessage // for the handler
	Priority int             // higher first; before fairness between groups
	Group    string          // among whom workers are shared fairly

	// Concurrency is how many jobs of this kind and group may run before this
	// one waits; 0 is no limit.
	Concurrency int
	// RunAt is when it is due; zero is now.
	RunAt time.Time
	// Trace is what of the context it was added in goes with it; Enqueue fills
	// it in, see [Observer].
	Trace string
	// MaxAttempts is after how many attempts it fails; 0 is
	// DefaultMaxAttempts. One that the death of the process cut short is none,
	// see [Config.MaxDeaths].
	MaxAttempts int

	// Known once it is stored:

	ID          int64
	State       State
	Attempts    int // started, the one that runs included; those handed back or cut short do not count
	Deaths      int // attempts that the death of the process cut short
	HeartbeatAt time.Time
	CreatedAt   time.Time
	FinishedAt  time.Time
	LastError   string

	claim      int64 // grows with each claim: who holds the number of the row holds the lease
	leaseUntil time.Time
}

// LastAttempt tells a handler that a plain error will fail the job for good.
func (j Job) LastAttempt() bool { return j.MaxAttempts != NoLimit && j.Attempts >= j.MaxAttempts }

// Handler runs a job. ctx ends, with a cause of this package, when the job is
// canceled, its lease is lost or the runner stops; the handler should then
// return soon. nil makes the job done; [Permanent] errors fail it; [RetryAfter]
// sets when it is tried next; [Released] hands it back, and [Wait] does so for a while; any other error has it
// tried again, later each time, until its attempts are used up. A panic is an
// error.
type Handler func(ctx context.Context, j Job) error

// Kind is a sort of jobs and how a runner treats them.
type Kind struct {
	Name string
	// Workers is how many run at once in this process. Defaults to 1.
	Workers int
	// Run is the handler.
	Run Handler
	// Failed, if not nil, is called in the transaction that makes a job
	// failed, so that the product's own record changes with it. cause is what
	// the handler returned, or tells that its worker died. When it returns an
	// error nothing is changed, and the job fails again later.
	Failed func(ctx context.Context, tx *sqldb.Tx, j Job, cause error) error
}

type permanentError struct{ err error }

func (e permanentError) Error() string { return e.err.Error() }
func (e permanentError) Unwrap() error { return e.err }

// Permanent marks an error after which trying again is of no use. nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

type retryError struct {
	delay time.Duration
	err   error
}

func (e retryError) Error() string { return fmt.Sprintf("%v (again after %v)", e.err, e.delay) }
func (e retryError) Unwrap() error { return e.err }

type waitError struct {
	delay time.Duration
	err   error
}

func (e waitError) Error() string { return fmt.Sprintf("%v (waits %v)", e.err, e.delay) }
func (e waitError) Unwrap() error { return e.err }

// Wait marks an error that is no fault of the job, since what it needs is away:
// the job is handed back and tried again no sooner than after d. The attempt
// does not count.
func Wait(d time.Duration, err error) error {
	if err == nil {
		err = errors.New("not yet")
	}
	return waitError{delay: max(d, 0), err: err}
}

// RetryAfter marks an error after which the job is tried again no sooner than
// after d. The attempt counts.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		err = errors.New("not yet")
	}
	return retryError{delay: max(d, 0), err: err}
}
