package forward

import (
	"slices"

	"throng/query"
)

// Counted says which terms a forward index holds: those of CountedFields,
// which have the first numbers of the dictionary.
type Counted struct {
	// Starts are the first terms of the fields, in their order, and the end of
	// the last.
	Starts []uint32
	// Scored is the one term of query.Scored; NoTerm where nobody has it.
	Scored uint32
}

// NoTerm is the number of no term.
const NoTerm = ^uint32(0)

// CountedFields are the fields whose terms a forward index holds, in the order
// in which they are numbered: all that are a fact about a person and no text.
// The caller owns the slice.
func CountedFields() []query.Field {
	return slices.DeleteFunc(query.TermFields(), func(f query.Field) bool {
		return f == query.Active || f == query.Scored
	})
}

// SingleFields are those of which a row has at most one term. The caller owns
// the slice.
func SingleFields() []query.Field {
	return []query.Field{query.Age, query.Gender, query.Ethnicity, query.City, query.Region, query.DMA, query.Country}
}

func hasOne(f query.Field) bool { return slices.Contains(SingleFields(), f) }

// KnownFields are the counted fields of which a row may have several terms, so
// that a forward index notes which rows have any. The caller owns the slice.
func KnownFields() []query.Field { return slices.DeleteFunc(CountedFields(), hasOne) }

// CountedOf is for terms that are all of one field.
func CountedOf(field query.Field, terms uint32) Counted {
	c := Counted{Starts: []uint32{0}, Scored: NoTerm}
	end := uint32(0)
	for _, f := range CountedFields() {
		if f == field {
			end = terms
		}
		c.Starts = append(c.Starts, end)
	}
	return c
}

// Limit is the number of terms that are counted.
func (c Counted) Limit() uint32 { return c.Starts[len(c.Starts)-1] }

// End is from which term on a forward index needs none: what is neither counted
// nor says who has a score.
func (c Counted) End() uint32 {
	if c.Scored != NoTerm {
		return c.Scored + 1
	}
	return c.Limit()
}
