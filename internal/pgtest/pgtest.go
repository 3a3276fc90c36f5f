// Package pgtest gives tests a place on a PostgreSQL server.
package pgtest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// URL returns a URL under which a schema, made for this test and dropped at its
// end, is the only one searched. Where THRONG_TEST_POSTGRES, the URL of a
// scratch database, is not set, the test is skipped.
func URL(t *testing.T) string {
	t.Helper()
	base := os.Getenv("THRONG_TEST_POSTGRES")
	if base == "" {
		t.Skip("THRONG_TEST_POSTGRES is not set: not tested on PostgreSQL")
	}
	schema := "throng_test_" + strings.ToLower(rand.Text())
	run(t, base, `CREATE SCHEMA `+schema)
	t.Cleanup(func() { run(t, base, `DROP SCHEMA `+schema+` CASCADE`) })
	u, err := url.Parse(base)
	if err != nil {
		t.Fatalf("THRONG_TEST_POSTGRES: %v", err)
	}
	values := u.Query()
	values.Set("search_path", schema)
	u.RawQuery = values.Encode()
	return u.String()
}

func run(t *testing.T, base, statement string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // also in Cleanup
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		t.Fatalf("connect to THRONG_TEST_POSTGRES: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// Dump gives every row of every table below a URL of [URL], as text.
func Dump(t *testing.T, database string) string {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatalf("connect to the schema of the test: %v", err)
	}
	defer conn.Close(ctx)
	texts := func(query string) []string {
		t.Helper()
		rows, err := conn.Query(ctx, query)
		if err != nil {
			t.Fatalf("dump: %v", err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("dump: %v", err)
		}
		return all
	}
	var out strings.Builder
	for _, table := range texts(`SELECT tablename FROM pg_tables WHERE schemaname = current_schema()`) {
		for _, row := range texts(`SELECT t::text FROM ` + pgx.Identifier{table}.Sanitize() + ` t`) {
			out.WriteString(table + " " + row + "\n")
		}
	}
	return out.String()
}
