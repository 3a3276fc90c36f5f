package sqldb

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/internal/pgtest"
)

// eachDB runs a test on a fresh database of each kind: SQLite always,
// PostgreSQL where THRONG_TEST_POSTGRES holds the URL of a scratch database.
func eachDB(t *testing.T, test func(t *testing.T, db *DB)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, openTest(t, Config{Dir: t.TempDir()}))
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, openTest(t, Config{URL: pgtest.URL(t)}))
	})
}

func openTest(t *testing.T, cfg Config) *DB {
	t.Helper()
	db, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return db
}

func TestRebind(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := postgres.rebind(in); got != want {
			t.Errorf("rebind(%q) = %q, want %q", in, got, want)
		}
		if got := sqlite.rebind(in); got != in {
			t.Errorf("sqlite rebind(%q) = %q, want it unchanged", in, got)
		}
	}
	f(`SELECT 1`, `SELECT 1`)
	f(`a = ? AND b IN (?, ?)`, `a = $1 AND b IN ($2, $3)`)
}

func TestOpenIsPrivateAndRepeatable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data with space?#%")
	for range 2 {
		db, err := Open(t.Context(), Config{Dir: dir})
		if err != nil {
			t.Fatalf("Open = %v", err)
		}
		if err := db.SetMeta(t.Context(), "k", "v"); err != nil {
			t.Errorf("SetMeta = %v", err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if err != nil {
				t.Fatal(err)
			}
			if mode := info.Mode().Perm(); mode != 0o600 {
				t.Errorf("mode of %s = %o, want 600", entry.Name(), mode)
			}
		}
		if err := db.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "throng.db")); err != nil {
		t.Errorf("the file is not where it should be: %v", err)
	}
}

func TestOpenBadURL(t *testing.T) {
	t.Chdir(t.TempDir()) // where a path in the wrong place would show
	for _, bad := range []string{"mysql://user:hunter2@127.0.0.1/x", "postgres://user:hunter2@127.0.0.1:port/x", "postgres://user:hunter2@127.0.0.1:1/x?connect_timeout=1"} {
		db, err := Open(t.Context(), Config{URL: bad})
		if err == nil {
			db.Close()
			t.Errorf("Open(%s) = nil, want an error", bad)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil || len(entries) != 0 {
		t.Errorf("Open left %v, %v", entries, err)
	}
}

func TestSQLitePragmas(t *testing.T) {
	db := openTest(t, Config{Dir: t.TempDir()})
	f := func(pool *sql.DB, pragma, want string) {
		t.Helper()
		var got string
		if err := pool.QueryRowContext(t.Context(), `PRAGMA `+pragma).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("PRAGMA %s = %s, want %s", pragma, got, want)
		}
	}
	f(db.writer, "journal_mode", "wal")
	f(db.writer, "synchronous", "2") // FULL
	f(db.writer, "busy_timeout", "10000")
	f(db.writer, "foreign_keys", "1")
	f(db.reader, "query_only", "1")
	f(db.reader, "busy_timeout", "10000")
}

func TestNewerSchema(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, Config{Dir: dir})
	err := db.Tx(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO migrations (version, name, applied_at) VALUES (?, ?, ?)`, 999, "future", 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Dir: dir}); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("Open of a newer schema = %v, want ErrNewerSchema", err)
	}
}

func TestMigrateConcurrently(t *testing.T) {
	f := func(name string, cfg func(*testing.T) Config) {
		t.Run(name, func(t *testing.T) {
			c := cfg(t)
			var wg sync.WaitGroup
			for range 6 {
				wg.Go(func() {
					db, err := Open(t.Context(), c)
					if err != nil {
						t.Errorf("Open = %v", err)
						return
					}
					if err := db.Close(); err != nil {
						t.Errorf("Close = %v", err)
					}
				})
			}
			wg.Wait()
		})
	}
	f("sqlite", func(t *testing.T) Config { return Config{Dir: t.TempDir()} })
	f("postgres", func(t *testing.T) Config { return Config{URL: pgtest.URL(t)} })
}

func TestTx(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		wantErr := errors.New("no")
		called := false
		err := db.Tx(ctx, func(tx *Tx) error {
			tx.AfterCommit(func() { called = true })
			if err := tx.SetMeta(ctx, "a", "1"); err != nil {
				return err
			}
			return wantErr
		})
		if !errors.Is(err, wantErr) {
			t.Errorf("Tx = %v, want %v", err, wantErr)
		}
		if _, err := db.Meta(ctx, "a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Meta after rollback = %v, want ErrNotFound", err)
		}
		if called {
			t.Error("AfterCommit ran after a rollback")
		}
		err = db.Tx(ctx, func(tx *Tx) error {
			tx.AfterCommit(func() {
				if got, err := db.Meta(ctx, "a"); err != nil || got != "2" {
					t.Errorf("Meta in AfterCommit = %q, %v, want 2", got, err)
				}
				called = true
			})
			return tx.SetMeta(ctx, "a", "2")
		})
		if err != nil || !called {
			t.Errorf("Tx = %v, AfterCommit ran %t, want nil, true", err, called)
		}
	})
}

// Writers read, then write what they read plus one: without one writer at a
// time, updates would be lost or transactions fail.
func TestWritersOneByOne(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		if err := db.SetMeta(ctx, "n", ""); err != nil {
			t.Fatal(err)
		}
		const workers, rounds = 5, 10
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range rounds {
					err := db.Tx(ctx, func(tx *Tx) error {
						s, err := tx.Meta(ctx, "n")
						if err != nil {
							return err
						}
						return tx.SetMeta(ctx, "n", s+"x")
					})
					if err != nil {
						t.Errorf("Tx = %v", err)
					}
				}
			})
		}
		wg.Wait()
		want := strings.Repeat("x", workers*rounds)
		if got, err := db.Meta(ctx, "n"); err != nil || got != want {
			t.Errorf("n = %d rounds, %v, want %d", len(got), err, len(want))
		}
	})
}

// A change outside the transaction that it stands in cannot happen before that
// ends; it must fail and not hang.
func TestChangeBesideOwnTx(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		ctx := t.Context()
		db.patience = 10 * time.Millisecond
		err := db.Tx(ctx, func(tx *Tx) error {
			if err := db.SetMeta(ctx, "beside", "1"); !errors.Is(err, ErrBusy) {
				t.Errorf("SetMeta beside the transaction = %v, want ErrBusy", err)
			}
			if _, err := db.Meta(ctx, "beside"); !errors.Is(err, ErrNotFound) {
				t.Errorf("reading beside the transaction = %v, want ErrNotFound", err)
			}
			return tx.SetMeta(ctx, "inside", "1")
		})
		if err != nil {
			t.Errorf("Tx = %v", err)
		}
		if _, err := db.Meta(ctx, "inside"); err != nil {
			t.Errorf("Meta = %v", err)
		}
	})
}

// A transaction that panics must leave the one writing connection usable.
func TestTxPanic(t *testing.T) {
	eachDB(t, func(t *testing.T, db *DB) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not come through")
				}
			}()
			db.Tx(t.Context(), func(*Tx) error { panic("bug") })
		}()
		if err := db.SetMeta(t.Context(), "after", "1"); err != nil {
			t.Errorf("SetMeta after a panic = %v", err)
		}
	})
}
