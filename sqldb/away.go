package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	litedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// How long the database may take before it counts as away. A connection whose
// other end is gone without a word, or hangs, would keep its user for many
// minutes.
const (
	// readTime is for what a read asks, and for waiting for a connection.
	readTime = 10 * time.Second
	// txTime is for a whole write transaction, from its turn on: on PostgreSQL
	// up to patience of it may be waiting for the writers of other processes.
	txTime = patience + 15*time.Second
)

// errSilent is the end of what took that long.
var errSilent = errors.New("the database did not answer in time")

// awayError is an error that tells nothing of the request: the database could
// not be asked, or did not answer. The same may succeed in a while.
type awayError struct{ err error }

// Error is for logs.
func (e awayError) Error() string { return "database is away: " + e.err.Error() }

// Unwrap gives the cause.
func (e awayError) Unwrap() error { return e.err }

// Unavailable tells callers what to do.
func (awayError) Unavailable() (message string, retryAfter time.Duration) {
	return "the database does not answer at the moment; send the request again", 5 * time.Second
}

// limited gives a context that ends after a time, where there is a limit.
func limited(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, d, errSilent)
}

// away marks an error that says that the database is away. limit is what ctx
// became by limited: what the end of ctx itself broke is the caller's doing.
func away(ctx, limit context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if limit.Err() != nil {
		return awayError{errors.Join(context.Cause(limit), err)}
	}
	if isAway(err) {
		return awayError{err}
	}
	return err
}

func isAway(err error) bool {
	for _, is := range []error{ErrBusy, driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, is) {
			return true
		}
	}
	if busy, ok := errors.AsType[*litedriver.Error](err); ok {
		code := busy.Code() & 0xff
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return isAwayCode(refused.Code)
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	_, network := errors.AsType[net.Error](err)
	return network || pgconn.SafeToRetry(err) // which no statement reached
}

// isAwayCode tells the codes of PostgreSQL's errors that speak of its own state.
func isAwayCode(code string) bool {
	switch {
	case strings.HasPrefix(code, "08"), // connection exception
		strings.HasPrefix(code, "57P"), // shut down, crashed, starting up
		strings.HasPrefix(code, "53"),  // out of connections, memory, disk
		code == "55P03",                // lock_timeout: the writers' lock
		code == "25P03",                // idle_in_transaction_session_timeout
		code == "25006":                // read only: a standby, not yet promoted
		return true
	}
	return false
}
