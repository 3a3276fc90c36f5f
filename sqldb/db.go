// Package sqldb keeps the product's metadata in SQLite or PostgreSQL: callers,
// audiences, uploads, callbacks, jobs. It stores and decides nothing.
//
// There is one SQL text for both databases, with `?` for the arguments; all
// that differs is in dialect.go. Instants are integers (microseconds since
// 1970, UTC; NULL for the zero [time.Time]), truth values are 0 and 1, JSON is
// TEXT. Text must be valid UTF-8 without NUL bytes, or PostgreSQL refuses it.
//
// Write transactions run one after the other on both databases: SQLite has one
// writer anyway, and on PostgreSQL each takes one advisory lock of the schema.
// So what a transaction has read stays true until it commits, none fails for
// another's sake, and none must be repeated. They must be short: nothing that
// waits for a network or a large file belongs in one.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"throng/internal/durable"
)

var (
	// ErrNotFound says that no row has the id, name or key.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a row of that name or key is there already.
	ErrExists = errors.New("already exists")
	// ErrConflict says that the row is not in the state that the change asks for.
	ErrConflict = errors.New("state conflict")
	// ErrExhausted says that no credit is left.
	ErrExhausted = errors.New("credits exhausted")
	// ErrBusy says that another write transaction has been running for long.
	ErrBusy = errors.New("database is busy with another change")
	// ErrNewerSchema says that a later release has changed the database.
	ErrNewerSchema = errors.New("database is of a later release")
)

// Config says where the database is.
type Config struct {
	// URL is a `postgres://` or `postgresql://` URL, or the path of a SQLite
	// file. Empty means throng.db in Dir.
	URL string
	// Dir is the data folder; used only where URL is empty.
	Dir string
	// Observe, if not nil, is told of every write transaction that has ended. It
	// must be quick.
	Observe func(Transaction)
}

// Transaction is how a write transaction went.
type Transaction struct {
	Waited time.Duration // for its turn in this process
	Took   time.Duration // from then to the end of its commit
	Err    error         // of the database; nil where fn itself gave it up
}

// file returns the path of the SQLite file, or "" for PostgreSQL.
func (c Config) file() string {
	switch {
	case c.URL == "":
		return filepath.Join(c.Dir, "throng.db")
	case strings.HasPrefix(c.URL, "postgres://"), strings.HasPrefix(c.URL, "postgresql://"):
		return ""
	}
	return strings.TrimPrefix(c.URL, "sqlite://")
}

// DB is an open database. It is safe for concurrent use, and several processes
// may use one database. Its methods that change something are durable when they
// return nil, each in a transaction of its own.
type DB struct {
	Queries
	dialect dialect
	writer  *sql.DB
	reader  *sql.DB // the writer itself on PostgreSQL

	turn     chan struct{} // holds a token while a write transaction runs in this process
	patience time.Duration // how long one waits for its turn
	observe  func(Transaction)

	readTime, txTime time.Duration // how long reads and transactions may take; 0 is no limit
}

// patience is how long a write transaction waits for its turn before it fails.
// It is far more than a queue of short ones takes: one that waits so long waits
// for a transaction that hangs, or for the one that it was begun in.
const patience = 30 * time.Second

// Open connects and brings the schema up to date. Where several processes open
// one database, one of them does so and the others wait.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	db, err := connect(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.Queries = Queries{h: db}
	db.turn, db.patience, db.observe = make(chan struct{}, 1), patience, cfg.Observe
	if err := db.migrate(ctx); err != nil {
		return nil, fmt.Errorf("open database: %w", errors.Join(err, db.Close()))
	}
	db.readTime, db.txTime = readTime, txTime // a migration takes as long as it takes
	return db, nil
}

func connect(ctx context.Context, cfg Config) (*DB, error) {
	file := cfg.file()
	if strings.Contains(file, "://") { // and keep a password in it out of the error
		return nil, errors.New("database url: want postgres:// or the path of a file")
	}
	if file == "" {
		pool, err := openPostgres(cfg.URL)
		if err != nil {
			return nil, err
		}
		return &DB{dialect: postgres, writer: pool, reader: pool}, nil
	}
	if err := durable.MkdirAll(filepath.Dir(file)); err != nil {
		return nil, err
	}
	writer, reader, err := openSQLite(ctx, file)
	if err != nil {
		return nil, err
	}
	return &DB{dialect: sqlite, writer: writer, reader: reader}, nil
}

// Close waits for the running statements and closes the connections.
func (db *DB) Close() error {
	if db.reader == db.writer {
		return db.writer.Close()
	}
	return errors.Join(db.reader.Close(), db.writer.Close())
}

// Ping asks the database for a sign of life.
func (db *DB) Ping(ctx context.Context) error {
	return db.read(ctx, func(c conn) error {
		var one int
		return c.queryRow(ctx, `SELECT 1`).Scan(&one)
	})
}

// Tx is a write transaction, for one goroutine. It has every method of
// [Queries]; what they change becomes durable, all or nothing, when the
// function given to [DB.Tx] returns nil.
type Tx struct {
	Queries
	c           conn
	afterCommit []func()
}

// AfterCommit has fn called once the transaction is durable, in the order of
// the calls, and never if it fails. fn must be quick and must not panic.
func (tx *Tx) AfterCommit(fn func()) { tx.afterCommit = append(tx.afterCommit, fn) }

// Exec runs a statement that returns no rows; `?` stands for the arguments.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return tx.c.exec(ctx, query, args...)
}

// Query runs a statement that returns rows, which must be closed before the
// next statement.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return tx.c.query(ctx, query, args...)
}

// QueryRow runs a statement that returns at most one row.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return tx.c.queryRow(ctx, query, args...)
}

// Tx runs fn in a write transaction and commits it if fn returns nil, else
// rolls it back and returns fn's error. Write transactions run one at a time;
// fn must use tx for every change: a changing method of db inside fn would
// wait for fn itself, and fails with [ErrBusy] after half a minute. tx must not
// be used after fn.
func (db *DB) Tx(ctx context.Context, fn func(tx *Tx) error) error {
	tx, err := db.transact(ctx, fn)
	if err != nil {
		return err
	}
	for _, after := range tx.afterCommit { // the next writer need not wait for these
		after()
	}
	return nil
}

// waitTurn waits until no write transaction runs in this process.
func (db *DB) waitTurn(ctx context.Context) error {
	timer := time.NewTimer(db.patience)
	defer timer.Stop()
	select {
	case db.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return ErrBusy
	}
}

// transact is Tx without what comes after the commit.
func (db *DB) transact(ctx context.Context, fn func(tx *Tx) error) (*Tx, error) {
	start := time.Now()
	if err := db.waitTurn(ctx); err != nil {
		err = away(ctx, ctx, err)
		db.tell(Transaction{Waited: time.Since(start), Err: err})
		return nil, fmt.Errorf("begin transaction: %w", err)
	}
	defer func() { <-db.turn }()
	limit, cancel := limited(ctx, db.txTime)
	defer cancel()
	begun, refused := time.Now(), false
	tx, err := db.attempt(limit, func(tx *Tx) error {
		err := fn(tx)
		refused = err != nil
		return err
	})
	seen := Transaction{Waited: begun.Sub(start), Took: time.Since(begun)}
	if !refused {
		seen.Err = err
	}
	db.tell(seen)
	return tx, away(ctx, limit, err)
}

// tell tells who observes, if anybody does.
func (db *DB) tell(t Transaction) {
	if db.observe != nil {
		db.observe(t)
	}
}

// attempt is transact for who has the turn.
func (db *DB) attempt(ctx context.Context, fn func(tx *Tx) error) (*Tx, error) {
	sqlTx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin transaction: %w", full(err))
	}
	tx := &Tx{c: conn{x: sqlTx, d: db.dialect, limit: ctx}}
	tx.Queries = Queries{h: tx}
	defer sqlTx.Rollback() //nolint:errcheck // no effect after Commit; after an error of fn that error is told
	if err := db.dialect.lockWriters(ctx, tx.c); err != nil {
		return nil, fmt.Errorf("begin transaction: %w", err)
	}
	if err := fn(tx); err != nil {
		return nil, full(err)
	}
	if err := sqlTx.Commit(); err != nil {
		return nil, fmt.Errorf("commit transaction: %w", full(err))
	}
	return tx, nil
}

// View runs fn with a connection for reading. What fn reads by several
// statements may be of several instants.
func (db *DB) View(ctx context.Context, fn func(r Reader) error) error {
	return db.read(ctx, func(c conn) error { return fn(Reader{c: c}) })
}

// Reader asks and changes nothing.
type Reader struct{ c conn }

// Query runs a statement that returns rows; `?` stands for the arguments.
func (r Reader) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.c.query(ctx, query, args...)
}

// QueryRow runs a statement that returns at most one row.
func (r Reader) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return r.c.queryRow(ctx, query, args...)
}

func (db *DB) read(ctx context.Context, fn func(conn) error) error {
	limit, cancel := limited(ctx, db.readTime)
	defer cancel()
	return away(ctx, limit, fn(conn{x: db.reader, d: db.dialect, limit: limit}))
}

func (db *DB) write(ctx context.Context, fn func(conn) error) error {
	return db.Tx(ctx, func(tx *Tx) error { return fn(tx.c) })
}

func (tx *Tx) read(_ context.Context, fn func(conn) error) error  { return fn(tx.c) }
func (tx *Tx) write(_ context.Context, fn func(conn) error) error { return fn(tx.c) }
