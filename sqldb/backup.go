package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	driver "modernc.org/sqlite"
)

// ErrNotFile says that the database is no file that could be copied.
var ErrNotFile = errors.New("database is no file")

// backupPages is how many pages are copied between two looks at the context.
const backupPages = 4096

// Backup copies the database, as it is at one instant, to a new file, and
// verifies the copy. still is called at that instant, while no process writes to
// the database: what belongs to it can be noted there, in a second or so. The
// copying itself holds up nobody. ErrNotFile where it is not SQLite.
func (db *DB) Backup(ctx context.Context, file string, still func(ctx context.Context) error) error {
	if db.dialect != sqlite {
		return fmt.Errorf("copy database: %w", ErrNotFile)
	}
	if err := db.backup(ctx, file, still); err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	return nil
}

func (db *DB) backup(ctx context.Context, file string, still func(ctx context.Context) error) error {
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("%s is there already", file)
	}
	conn, err := db.reader.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, `BEGIN`); err != nil {
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`) //nolint:errcheck // it has only read
	err = db.Tx(ctx, func(*Tx) error {
		var n int // the first question fixes what conn sees from here on
		if err := conn.QueryRowContext(ctx, `SELECT COUNT(*) FROM migrations`).Scan(&n); err != nil {
			return err
		}
		return still(ctx)
	})
	if err != nil {
		return err
	}
	if err := createPrivate(file); err != nil {
		return err
	}
	if err := conn.Raw(func(c any) error { return copyPages(ctx, c, fileURL(file)) }); err != nil {
		return err
	}
	return verifyFile(ctx, file)
}

// copyPages copies what a connection sees.
func copyPages(ctx context.Context, c any, to string) (err error) {
	source, ok := c.(interface {
		NewBackup(uri string) (*driver.Backup, error)
	})
	if !ok {
		return errors.New("the driver copies no databases")
	}
	b, err := source.NewBackup(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Finish()) }()
	for more := true; more; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if more, err = b.Step(backupPages); err != nil {
			return err
		}
	}
	return nil
}

// verifyFile has SQLite look at every page of a file that nobody uses.
func verifyFile(ctx context.Context, file string) error {
	pool, err := sql.Open("sqlite", fileURL(file))
	if err != nil {
		return err
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	var found string
	if err := pool.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&found); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if found != "ok" {
		return fmt.Errorf("verify: %s", found)
	}
	// One file is easier to copy than one with a log beside it.
	if _, err := pool.ExecContext(ctx, `PRAGMA journal_mode = DELETE`); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

func fileURL(file string) string {
	return "file:" + (&url.URL{Path: filepath.ToSlash(file)}).EscapedPath()
}
