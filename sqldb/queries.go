package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Queries are the questions and changes that [DB] and [Tx] have in common: on
// a DB each is a transaction of its own, on a Tx a part of that.
type Queries struct{ h handle }

// handle runs a function on a connection fit for reading or for changing.
type handle interface {
	read(ctx context.Context, fn func(conn) error) error
	write(ctx context.Context, fn func(conn) error) error
}

// conn is a pool or a transaction that speaks `?`.
type conn struct {
	x interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	d dialect
	// limit ends with the context of the whole read or transaction, which a conn
	// never outlives, or when that has taken too long.
	limit context.Context
}

// within gives the context of a statement.
func (c conn) within(ctx context.Context) context.Context {
	at, own := ctx.Deadline()
	if end, has := c.limit.Deadline(); own && (!has || at.Before(end)) {
		return ctx
	}
	return c.limit
}

func (c conn) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return c.x.ExecContext(c.within(ctx), c.d.rebind(query), args...)
}

func (c conn) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return c.x.QueryContext(c.within(ctx), c.d.rebind(query), args...)
}

func (c conn) queryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return c.x.QueryRowContext(c.within(ctx), c.d.rebind(query), args...)
}

// change runs a statement and returns [ErrNotFound] if it changed no row.
func (c conn) change(ctx context.Context, query string, args ...any) error {
	n, err := c.count(ctx, query, args...)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// count runs a statement and returns how many rows it changed.
func (c conn) count(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := c.exec(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// wrap says what was being done; nil stays nil.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// scanner is a row or the current one of several.
type scanner interface{ Scan(dest ...any) error }

// collect reads and closes rows.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

func scanID(row scanner) (id int64, err error) {
	err = row.Scan(&id)
	return id, err
}

func scanText(row scanner) (s string, err error) {
	err = row.Scan(&s)
	return s, err
}

// where gathers the conditions of a query.
type where struct {
	conditions []string
	args       []any
}

func (w *where) add(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// assign gathers the assignments of an update.
type assign struct {
	columns []string
	args    []any
}

func (a *assign) set(column string, value any) {
	a.columns = append(a.columns, column+" = ?")
	a.args = append(a.args, value)
}

func setIf[T any](a *assign, column string, value *T, encode func(T) any) {
	if value != nil {
		a.set(column, encode(*value))
	}
}

// join lists the columns of an update.
func join(columns []string) string { return strings.Join(columns, ", ") }

func same[T any](v T) any { return v }

// micros is how an instant is stored; the zero time is NULL.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// instant reads what micros stored, in UTC.
type instant struct{ t *time.Time }

func (i instant) Scan(src any) error {
	var n sql.NullInt64
	if err := n.Scan(src); err != nil {
		return err
	}
	*i.t = time.Time{}
	if n.Valid {
		*i.t = time.UnixMicro(n.Int64).UTC()
	}
	return nil
}

func flag(b bool) any {
	if b {
		return 1
	}
	return 0
}

// raw is how JSON that is kept as it was sent is stored; none is NULL.
func raw(m json.RawMessage) any {
	if m == nil {
		return nil
	}
	return string(m)
}

// rawColumn reads what raw stored.
type rawColumn struct{ m *json.RawMessage }

func (r rawColumn) Scan(src any) error {
	var s sql.NullString
	if err := s.Scan(src); err != nil {
		return err
	}
	*r.m = nil
	if s.Valid {
		*r.m = json.RawMessage(s.String)
	}
	return nil
}

// list is how texts are stored, as a JSON array; nil is the empty one.
func list(texts []string) any {
	if texts == nil {
		texts = []string{}
	}
	b, err := json.Marshal(texts)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}

// listColumn reads what list stored; the empty list is nil.
type listColumn struct{ texts *[]string }

func (l listColumn) Scan(src any) error {
	var s sql.NullString
	if err := s.Scan(src); err != nil {
		return err
	}
	*l.texts = nil
	if !s.Valid || s.String == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(s.String), l.texts)
}

// optional is how a number that may be unknown is stored.
func optional(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

// optionalColumn reads what optional stored.
type optionalColumn struct{ n **int64 }

func (o optionalColumn) Scan(src any) error {
	var n sql.NullInt64
	if err := n.Scan(src); err != nil {
		return err
	}
	*o.n = nil
	if n.Valid {
		*o.n = &n.Int64
	}
	return nil
}

// fold is the form in which names are compared: compatibility forms and case
// make no difference.
func fold(s string) string {
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
}

// contains is the pattern of a LIKE … ESCAPE '\' that finds text anywhere.
func contains(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}

// storable tells whether a text that somebody sent can be in a row. PostgreSQL
// takes valid UTF-8 without NUL alone, and an error for everything else; what it
// cannot hold is in no row of any database.
func storable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

// addText adds a condition on a text that somebody sent.
func (w *where) addText(cond, text, arg string) {
	if !storable(text) {
		w.add(`1 = 0`)
		return
	}
	w.add(cond, arg)
}

// addIDs adds that column is one of the ids; no ids is never true.
func (w *where) addIDs(column string, ids []int64) {
	if len(ids) == 0 {
		w.add(`1 = 0`)
		return
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	w.add(column+` IN (?`+strings.Repeat(", ?", len(ids)-1)+`)`, args...)
}
