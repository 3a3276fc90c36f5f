package sqldb

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one file of migrations/, `0001_name.sql`. They run in the order
// of their numbers, each once, and are never changed after a release.
type migration struct {
	version int
	name    string
	script  string
}

func loadMigrations() ([]migration, error) {
	entries, err := fs.ReadDir(migrationFiles, "migrations") // in the order of their names
	if err != nil {
		return nil, err
	}
	var all []migration
	for _, entry := range entries {
		number, name, ok := strings.Cut(strings.TrimSuffix(entry.Name(), ".sql"), "_")
		version, err := strconv.Atoi(number)
		if !ok || err != nil || version != len(all)+1 {
			return nil, fmt.Errorf("migration %s: want number %d", entry.Name(), len(all)+1)
		}
		script, err := fs.ReadFile(migrationFiles, "migrations/"+entry.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version: version, name: name, script: string(script)})
	}
	return all, nil
}

// migrate runs what is missing, in one transaction, which is also the lock
// that makes other processes wait.
func (db *DB) migrate(ctx context.Context) error {
	all, err := loadMigrations()
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return db.migrateTo(ctx, all)
}

// migrateTo runs those of all that are missing.
func (db *DB) migrateTo(ctx context.Context, all []migration) error {
	err := db.Tx(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS migrations
			(version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`); err != nil {
			return err
		}
		var version int
		if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(version), 0) FROM migrations`).Scan(&version); err != nil {
			return err
		}
		if version > len(all) {
			return fmt.Errorf("%w: schema %d, this one knows %d", ErrNewerSchema, version, len(all))
		}
		for _, m := range all[version:] {
			if err := tx.apply(ctx, m); err != nil {
				return fmt.Errorf("migration %d (%s): %w", m.version, m.name, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func (tx *Tx) apply(ctx context.Context, m migration) error {
	for statement := range strings.SplitSeq(tx.c.d.ddl(m.script), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO migrations (version, name, applied_at) VALUES (?, ?, ?)`,
		m.version, m.name, time.Now().UnixMicro())
	return err
}
