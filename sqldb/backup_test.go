package sqldb

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"throng/internal/pgtest"
)

// TestBackup copies a database that is written to all the time: the copy is of
// the one instant at which it was told to be.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	other, err := Open(t.Context(), Config{Dir: dir}) // as another process has it open
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	set := func(ctx context.Context, db *DB, key string, n int) error {
		return db.Tx(ctx, func(tx *Tx) error {
			for _, k := range []string{key + "1", key + "2"} { // always equal
				if _, err := tx.Exec(ctx, `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, k, n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	var mu, turn sync.Mutex // SQLite's own turns are not fair between processes
	last := map[string]int{}
	for key, db := range map[string]*DB{"a": db, "b": other} {
		writing.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				turn.Lock()
				err := set(ctx, db, key, n)
				turn.Unlock()
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("write beside the backup: %v", err)
					}
					return
				}
				mu.Lock()
				last[key] = n
				mu.Unlock()
			}
		})
	}
	for i := range 5 {
		file := filepath.Join(t.TempDir(), "copy.db")
		value := func(db *DB, key string) (n int) {
			err := db.View(t.Context(), func(r Reader) error {
				return r.QueryRow(t.Context(), `SELECT COALESCE((SELECT CAST(value AS BIGINT) FROM meta WHERE key = ?), 0)`, key).Scan(&n)
			})
			if err != nil {
				t.Errorf("read %s: %v", key, err)
			}
			return n
		}
		want := map[string]int{}
		err := db.Backup(t.Context(), file, func(context.Context) error {
			for _, key := range []string{"a1", "a2", "b1", "b2"} {
				want[key] = value(other, key)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("Backup = %v", err)
		}
		copied, err := Open(t.Context(), Config{URL: file})
		if err != nil {
			t.Fatalf("open the copy: %v", err)
		}
		for key, n := range want {
			if got := value(copied, key); got != n {
				t.Errorf("copy %d: %s = %d, want %d as at the instant", i, key, got, n)
			}
		}
		copied.Close()
	}
	cancel()
	writing.Wait()
	if last["a"] == 0 || last["b"] == 0 {
		t.Errorf("nothing was written beside the backups: %v", last)
	}
}

// TestBackupRefused tells what there is no copy of, and leaves no half of one.
func TestBackupRefused(t *testing.T) {
	nothing := func(context.Context) error { return nil }
	t.Run("postgres", func(t *testing.T) {
		db, err := Open(t.Context(), Config{URL: pgtest.URL(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Backup(t.Context(), filepath.Join(t.TempDir(), "x"), nothing); !errors.Is(err, ErrNotFile) {
			t.Errorf("Backup = %v, want ErrNotFile", err)
		}
	})
	db, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	file := filepath.Join(t.TempDir(), "x")
	stop := errors.New("stop")
	if err := db.Backup(t.Context(), file, func(context.Context) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Backup = %v, want %v", err, stop)
	}
	if err := db.Backup(t.Context(), file, nothing); err != nil {
		t.Errorf("Backup after that = %v", err)
	}
	if err := db.Backup(t.Context(), file, nothing); err == nil {
		t.Error("Backup to a file that is there = nil, want an error")
	}
}
