package sqldb

import (
	"context"
	"fmt"
)

// readRow reads the one row that a query finds, or returns [ErrNotFound]. Errors
// begin with what was being done.
func readRow[T any](ctx context.Context, q Queries, doing string, scan func(scanner) (T, error), query string, args ...any) (v T, err error) {
	err = q.h.read(ctx, func(x conn) error {
		v, err = scan(x.queryRow(ctx, query, args...))
		return err
	})
	return v, wrap(doing, err)
}

// readRows reads all rows that a query finds, which may be none.
func readRows[T any](ctx context.Context, q Queries, doing string, scan func(scanner) (T, error), query string, args ...any) (all []T, err error) {
	err = q.h.read(ctx, func(x conn) error {
		rows, err := x.query(ctx, query, args...)
		all, err = collect(rows, err, scan)
		return err
	})
	return all, wrap(doing, err)
}

// defaultLimit is the length of a page where none is asked for.
const defaultLimit = 50

// readPage reads a page of a table with ids, newest first, and tells whether
// there are more. A limit of 0 is 50.
func readPage[T any](ctx context.Context, q Queries, doing string, scan func(scanner) (T, error), columns, table string, w where, limit int, offset int64) (page []T, more bool, err error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	query := fmt.Sprintf(`SELECT %s FROM %s%s ORDER BY id DESC LIMIT %d OFFSET %d`, columns, table, w.String(), limit+1, max(offset, 0))
	page, err = readRows(ctx, q, doing, scan, query, w.args...)
	if len(page) > limit { // one row more was asked for
		return page[:limit], true, err
	}
	return page, false, err
}

// addSet adds that a column has a value, unless that is zero, which does not
// limit.
func addSet[T comparable](w *where, column string, value T) {
	var zero T
	if value != zero {
		w.add(column+` = ?`, value)
	}
}

// addBefore adds that ids are below one, for the next page; 0 does not limit.
func (w *where) addBefore(id int64) {
	if id != 0 {
		w.add(`id < ?`, id)
	}
}
