package sqldb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/internal/pgtest"
)

// eachConfig runs a test on a place for a database of each kind.
func eachConfig(t *testing.T, test func(t *testing.T, cfg Config)) {
	t.Run("sqlite", func(t *testing.T) { test(t, Config{Dir: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) { test(t, Config{URL: pgtest.URL(t)}) })
}

// makeOf makes a database as the release with the first n migrations left it.
func makeOf(t *testing.T, cfg Config, n int) *DB {
	t.Helper()
	db, err := connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	db.Queries = Queries{h: db}
	db.turn, db.patience = make(chan struct{}, 1), patience
	all, err := loadMigrations()
	if err != nil {
		t.Fatal(err)
	}
	if err := db.migrateTo(t.Context(), all[:n]); err != nil {
		t.Fatalf("make schema %d: %v", n, err)
	}
	return db
}

// column is what a schema says of one.
type column struct {
	Name, Type string
	Null       bool
}

// table is what a schema says of one.
type table struct {
	Columns []column // by name: one that was added later comes last
	Indexes []string
}

// schema reads what a database has: columns, keys and indexes of each table.
func schema(t *testing.T, db *DB) map[string]table {
	t.Helper()
	all := map[string]table{}
	for _, name := range queryTexts(t, db, map[dialect]string{
		sqlite:   `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
		postgres: `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY table_name`,
	}) {
		var tb table
		tb.Columns = columnsOf(t, db, name)
		tb.Indexes = queryTexts(t, db, map[dialect]string{
			sqlite: `SELECT COALESCE(sql, name) FROM sqlite_master WHERE type = 'index' AND tbl_name = ? ORDER BY 1`,
			postgres: `SELECT replace(indexdef, current_schema() || '.', '') FROM pg_indexes
				WHERE schemaname = current_schema() AND tablename = ? ORDER BY 1`,
		}, name)
		tb.Indexes = append(tb.Indexes, queryTexts(t, db, map[dialect]string{
			sqlite: `SELECT 'key ' || "from" || ' of ' || "table" || ' ' || COALESCE("to", '') FROM pragma_foreign_key_list(?) ORDER BY 1`,
			postgres: `SELECT replace(pg_get_constraintdef(c.oid), current_schema() || '.', '') FROM pg_constraint c
				WHERE c.conrelid = to_regclass(current_schema() || '.' || ?) ORDER BY 1`,
		}, name)...)
		all[name] = tb
	}
	return all
}

func columnsOf(t *testing.T, db *DB, name string) []column {
	t.Helper()
	rows, err := db.conn().query(t.Context(), map[dialect]string{
		sqlite: `SELECT name, type, "notnull" = 0 FROM pragma_table_info(?) ORDER BY name`,
		postgres: `SELECT column_name, data_type, is_nullable = 'YES' FROM information_schema.columns
			WHERE table_schema = current_schema() AND table_name = ? ORDER BY column_name`,
	}[db.dialect], name)
	all, err := collect(rows, err, func(row scanner) (c column, err error) {
		err = row.Scan(&c.Name, &c.Type, &c.Null)
		return c, err
	})
	if err != nil {
		t.Fatalf("columns of %s: %v", name, err)
	}
	return all
}

func queryTexts(t *testing.T, db *DB, query map[dialect]string, args ...any) []string {
	t.Helper()
	rows, err := db.conn().query(t.Context(), query[db.dialect], args...)
	all, err := collect(rows, err, scanText)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (db *DB) conn() conn {
	return conn{x: db.writer, d: db.dialect, limit: context.Background()}
}

// references finds the tables that each table's rows point to.
var references = regexp.MustCompile(`REFERENCES (\w+)`)

// fill puts rows into every table of a schema, those that others point to first.
// A row's whole numbers are its own number, so that keys lead to the row of the
// same number.
func fill(t *testing.T, db *DB, n int) {
	t.Helper()
	all, err := loadMigrations()
	if err != nil {
		t.Fatal(err)
	}
	needs := map[string][]string{}
	for _, m := range all[:n] {
		for statement := range strings.SplitSeq(m.script, ";\n") {
			name := regexp.MustCompile(`CREATE TABLE (\w+)`).FindStringSubmatch(statement)
			for _, to := range references.FindAllStringSubmatch(statement, -1) {
				if name != nil {
					needs[name[1]] = append(needs[name[1]], to[1])
				}
			}
		}
	}
	filled := map[string]bool{"migrations": true}
	var put func(name string)
	put = func(name string) {
		if filled[name] {
			return
		}
		filled[name] = true
		for _, to := range needs[name] {
			put(to)
		}
		for row := range 3 {
			insert(t, db, name, row+1)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(schema(t, db))) {
		put(name)
	}
}

func insert(t *testing.T, db *DB, name string, row int) {
	t.Helper()
	var names, marks []string
	var args []any
	for _, c := range columnsOf(t, db, name) {
		names, marks = append(names, c.Name), append(marks, "?")
		switch strings.ToUpper(c.Type) {
		case "TEXT":
			args = append(args, fmt.Sprintf(`["%s %d"]`, c.Name, row))
		case "DOUBLE PRECISION":
			args = append(args, float64(row)/4)
		default:
			args = append(args, row)
		}
	}
	_, err := db.conn().exec(t.Context(), `INSERT INTO `+name+` (`+strings.Join(names, ", ")+`) VALUES (`+strings.Join(marks, ", ")+`)`, args...)
	if err != nil {
		t.Fatalf("fill %s: %v", name, err)
	}
}

// contents reads the rows of a table, of the columns named.
func contents(t *testing.T, db *DB, name string, columns []column) []string {
	t.Helper()
	var parts []string
	for _, c := range columns {
		parts = append(parts, "'"+c.Name+"=' || COALESCE(CAST("+c.Name+" AS TEXT), 'none')")
	}
	return queryTexts(t, db, map[dialect]string{
		sqlite:   `SELECT ` + strings.Join(parts, ` || ' ' || `) + ` FROM ` + name + ` ORDER BY 1`,
		postgres: `SELECT ` + strings.Join(parts, ` || ' ' || `) + ` FROM ` + name + ` ORDER BY 1`,
	})
}

// TestMigrateEveryRelease makes a database of every schema that was released,
// with rows in every table, and opens it: all rows are there, and the schema is
// that of a new database.
func TestMigrateEveryRelease(t *testing.T) {
	all, err := loadMigrations()
	if err != nil {
		t.Fatal(err)
	}
	for n := range all {
		t.Run(fmt.Sprintf("schema %d", n+1), func(t *testing.T) {
			eachConfig(t, func(t *testing.T, cfg Config) {
				old := makeOf(t, cfg, n+1)
				fill(t, old, n+1)
				before := schema(t, old)
				rows := map[string][]string{}
				for name, tb := range before {
					rows[name] = contents(t, old, name, tb.Columns)
					if len(rows[name]) < min(3, n+1) {
						t.Fatalf("%s has %d rows", name, len(rows[name]))
					}
				}
				if err := old.Close(); err != nil {
					t.Fatal(err)
				}
				db := openTest(t, cfg)
				for name, tb := range before {
					got := contents(t, db, name, tb.Columns)
					if name == "migrations" {
						got = got[:min(len(got), n+1)] // those that were run now follow
					}
					diff(t, "rows of "+name, rows[name], got)
				}
				fresh := Config{Dir: t.TempDir()}
				if db.dialect == postgres {
					fresh = Config{URL: pgtest.URL(t)}
				}
				diff(t, "schema", schema(t, openTest(t, fresh)), schema(t, db))
			})
		})
	}
}

// migrateChild, where it is set, makes the test's binary a process that opens
// or migrates the database of that place.
const migrateChild = "SQLDB_TEST_MIGRATE"

// TestMigrateProcess is run in processes of their own by the tests below.
func TestMigrateProcess(t *testing.T) {
	how, place, _ := strings.Cut(os.Getenv(migrateChild), " ")
	cfg := Config{Dir: place}
	if strings.Contains(place, "://") {
		cfg = Config{URL: place}
	}
	switch how {
	case "":
		t.Skip("run by other tests, in processes of their own")
	case "open":
		db, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		db.Close()
	case "stop": // in the middle of it, until killed
		db, err := connect(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		db.turn, db.patience = make(chan struct{}, 1), patience
		all, err := loadMigrations()
		if err != nil {
			t.Fatal(err)
		}
		_ = db.Tx(t.Context(), func(tx *Tx) error {
			for _, m := range all[1:] {
				if err := tx.apply(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			os.Stdout.WriteString("in the middle\n")
			select {}
		})
	}
}

func migrateProcess(ctx context.Context, how string, cfg Config) *exec.Cmd {
	place := cfg.Dir
	if cfg.URL != "" {
		place = cfg.URL
	}
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestMigrateProcess$")
	cmd.Env = append(os.Environ(), migrateChild+"="+how+" "+place)
	return cmd
}

// Several processes open a database of the first release at once: each waits
// for the one that brings it up to date.
func TestMigrateProcesses(t *testing.T) {
	eachConfig(t, func(t *testing.T, cfg Config) {
		old := makeOf(t, cfg, 1)
		fill(t, old, 1)
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if out, err := migrateProcess(t.Context(), "open", cfg).CombinedOutput(); err != nil {
					t.Errorf("open in a process of its own: %v\n%s", err, out)
				}
			})
		}
		wg.Wait()
		db := openTest(t, cfg)
		all, err := loadMigrations()
		if err != nil {
			t.Fatal(err)
		}
		if got := len(contents(t, db, "migrations", []column{{Name: "version"}})); got != len(all) {
			t.Errorf("%d migrations were run, want each once: %d", got, len(all))
		}
	})
}

// A process is killed when it has migrated and not yet committed. What opens the
// database next finds it as it was, and brings it up to date.
func TestMigrateKilled(t *testing.T) {
	eachConfig(t, func(t *testing.T, cfg Config) {
		old := makeOf(t, cfg, 1)
		fill(t, old, 1)
		want := contents(t, old, "audiences", []column{{Name: "id"}, {Name: "name"}})
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		child := migrateProcess(t.Context(), "stop", cfg)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		said := false
		for lines := bufio.NewScanner(out); !said && lines.Scan(); {
			said = lines.Text() == "in the middle"
		}
		if !said {
			t.Fatal("the process did not come to the middle of the migration")
		}
		// A reader meanwhile sees the old schema, whole.
		beside, err := connect(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var version int
		if err := beside.reader.QueryRowContext(t.Context(), `SELECT MAX(version) FROM migrations`).Scan(&version); err != nil || version != 1 {
			t.Errorf("the schema in the middle of it is %d, %v, want 1", version, err)
		}
		if err := errors.Join(beside.Close(), child.Process.Kill()); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
		started := time.Now()
		db := openTest(t, cfg)
		t.Logf("opened %v after the kill", time.Since(started).Round(time.Millisecond))
		diff(t, "audiences", want, contents(t, db, "audiences", []column{{Name: "id"}, {Name: "name"}}))
		if _, err := db.Generations(t.Context()); err != nil {
			t.Errorf("Generations after the kill = %v", err)
		}
	})
}
