package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func wantAway(t *testing.T, doing string, err error, want bool) {
	t.Helper()
	if _, is := errors.AsType[awayError](err); is != want {
		t.Errorf("%s = %v, away: %v, want %v", doing, err, is, want)
	}
}

func TestAway(t *testing.T) {
	ctx := t.Context()
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{ErrNotFound, false},
		{ErrExists, false},
		{context.Canceled, false},
		{errors.New("some bug"), false},
		{&pgconn.PgError{Code: "23505"}, false}, // unique_violation
		{&pgconn.PgError{Code: "42P01"}, false}, // undefined_table
		{&pgconn.PgError{Code: "57P01"}, true},  // admin_shutdown
		{&pgconn.PgError{Code: "08006"}, true},  // connection_failure
		{&pgconn.PgError{Code: "55P03"}, true},  // lock_not_available
		{&pgconn.PgError{Code: "53300"}, true},  // too_many_connections
		{fmt.Errorf("read caller: %w", io.ErrUnexpectedEOF), true},
		{fmt.Errorf("begin transaction: %w", ErrBusy), true},
	} {
		got := away(ctx, ctx, test.err)
		wantAway(t, fmt.Sprint("away of ", test.err), got, test.want)
		if !errors.Is(got, test.err) {
			t.Errorf("away of %v lost its cause", test.err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	wantAway(t, "what the caller gave up", away(ended, ended, io.ErrUnexpectedEOF), false)
}

// endless is a question that no database ends.
const endless = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 0 * i FROM n) SELECT COUNT(*) FROM n WHERE i < 0`

// What takes too long is told to be away, and gives its connection back.
func TestSilence(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		db.readTime, db.txTime = 50*time.Millisecond, 50*time.Millisecond
		ctx := t.Context()
		var n int
		for range 2 * readerConns { // more than there are connections
			wantAway(t, "a read without end", db.View(ctx, func(r Reader) error { return r.QueryRow(ctx, endless).Scan(&n) }), true)
		}
		wantAway(t, "a transaction without end", db.Tx(ctx, func(tx *Tx) error { return tx.QueryRow(ctx, endless).Scan(&n) }), true)
		db.readTime, db.txTime = readTime, txTime
		check(t, db.Ping(ctx))
		addCaller(t, db, "afterwards")
	})
}
