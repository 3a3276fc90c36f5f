package engine

import (
	"context"

	"throng/query"
)

// Analyst tells what rows have in common, and what each of them has. Fields
// are those of terms, but query.Active and query.Scored; any other is an error.
type Analyst interface {
	// Breakdown counts, for every term of each field, how many of rows have
	// it; in the order of fields. Everyone costs no more than the terms do.
	Breakdown(ctx context.Context, rows query.RowSet, fields []query.Field) ([]Breakdown, error)
	// Terms passes the terms that each of rows has of the fields, which are
	// distinct. visit is called by several goroutines at once, each time with
	// other rows; its first error ends the pass and is returned. A batch is
	// valid during the call alone.
	Terms(ctx context.Context, rows query.RowSet, fields []query.Field, visit func(*Held) error) error
	// Score adds up, for each of rows, the weights of the terms that it has.
	// visit is called as that of Terms is. Sums are exact, and stay at the ends
	// of int32 where they would be beyond.
	Score(ctx context.Context, rows query.RowSet, weights []Weights, visit func(*Scored) error) error
	// RowNumbers lists the numbers of rows, ascending. Rows are numbered from
	// 0 to Info.People−1 in the order of the index.
	RowNumbers(rows query.RowSet) ([]uint32, error)
	// RowsNumbered is the set of rows with these numbers, which ascend.
	RowsNumbered(numbers []uint32) (query.RowSet, error)
}

// Breakdown is how many of some rows have each term of a field.
type Breakdown struct {
	Field query.Field
	// Counts are of the field's terms, in the order of Catalog.TermAt. An
	// affinity counts for all categories above it, too.
	Counts []uint32
	// Known is the number of rows with any known value of the field: any term
	// of it, of query.Personality a score on any term, be it a low one.
	Known uint64
}

// Held is the terms of some rows, which follow each other in the set.
type Held struct {
	// First is the position of the first of them in the set, from 0.
	First uint64
	// Rows are their numbers, ascending.
	Rows []uint32
	// Ends[i] is where the terms of Rows[i] end in Terms.
	Ends []uint32
	// Terms are numbered through the fields asked for: those of the first in
	// the order of Catalog.TermAt, then those of the second, and so on. A row's
	// are in no special order, and the same on every call.
	Terms []uint32
}

// Weights are what the terms of a field weigh.
type Weights struct {
	Field query.Field
	// Of is by term, in the order of Catalog.TermAt, as long as there are terms.
	Of []int16
}

// Scored is the scores of some rows, which follow each other in the set.
type Scored struct {
	// Rows are their numbers, ascending.
	Rows []uint32
	// Scores[i] is that of Rows[i].
	Scores []int32
}
