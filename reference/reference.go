// Package reference knows places and terms: the built-in countries, regions
// and cities, an operator's own table of places in their stead, the
// personality terms and the roots of the affinities.
//
// The data is embedded; NOTICE.md names where it comes from and its licences.
package reference

import (
	"slices"
	"strings"

	"throng/internal/words"
)

//go:generate go run ./gen

// Kind is the kind of a place.
type Kind string

// The kinds of places.
const (
	City    Kind = "city"
	Region  Kind = "region"
	DMA     Kind = "dma" // a market area of the United States
	Country Kind = "country"
)

// Kinds returns the four kinds. The caller owns the slice.
func Kinds() []Kind { return []Kind{City, Region, DMA, Country} }

// Place is one place. Ids are unique within a kind, not across kinds.
type Place struct {
	Kind Kind
	ID   string
	Name string // in English or as it is written there, not unique

	Region  string // id of the region of a city, or ""
	Country string // id of the country of a city or region, or ""
	DMA     string // id of the market area of a city, or ""

	// ISO is the ISO 3166-1 alpha-2 code of a country, the ISO 3166-2 code of
	// a region, and "" elsewhere, where it is not known, and in a table that
	// is not built in.
	ISO string
	// Population is a number of people, or 0 where it is not known.
	Population int64
}

// Problem says what is wrong with one place given to [New].
type Problem struct {
	Index  int    // in the places given
	Reason string // a stable text without values
}

// The reasons of problems. A place with one of the first five is left out; of
// a place with one of the others, the parent is dropped.
const (
	UnknownKind    = "unknown kind"
	EmptyID        = "empty id"
	EmptyName      = "empty name"
	DuplicateID    = "duplicate id"
	UnknownRegion  = "unknown region"
	UnknownCountry = "unknown country"
	UnknownDMA     = "unknown dma"
)

// Table is a set of places in a fixed order. It is immutable and safe for
// concurrent use.
type Table struct {
	kinds   map[Kind]*places
	builtIn bool
}

// places are those of one kind.
type places struct {
	list []Place
	byID map[string]int32
	// index is made at the first search.
	index func() *searchIndex
	// byName finds a country by nameKey and a region by regionKey; made at the
	// first use.
	byName func() map[string]int32
	// byISO finds a built-in region by its upper-case code.
	byISO map[string]int32
}

// New returns the table of these places, in their order, and what is wrong
// with them. Of two places of one kind with one id the first counts. A region
// of a city, a country of a city or region and a market area of a city that
// are not in the table are dropped, the place stays.
func New(list []Place) (*Table, []Problem) {
	t := newTable()
	count := map[Kind]int{}
	for i := range list {
		count[list[i].Kind]++
	}
	for k, n := range count {
		if of := t.kinds[k]; of != nil {
			of.list, of.byID = make([]Place, 0, n), make(map[string]int32, n)
		}
	}
	var problems []Problem
	kept := make([]int, 0, len(list)) // index in list, in the order of the places of each kind
	for i, p := range list {
		of := t.kinds[p.Kind]
		reason := ""
		switch {
		case of == nil:
			reason = UnknownKind
		case p.ID == "":
			reason = EmptyID
		case strings.TrimSpace(p.Name) == "":
			reason = EmptyName
		case !of.add(p):
			reason = DuplicateID
		}
		if reason != "" {
			problems = append(problems, Problem{i, reason})
			continue
		}
		kept = append(kept, i)
	}
	next := map[Kind]int{}
	for _, i := range kept {
		k := list[i].Kind
		p := &t.kinds[k].list[next[k]]
		next[k]++
		p.ISO = ""
		for _, reason := range t.dropUnknownParents(p) {
			problems = append(problems, Problem{i, reason})
		}
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Index - b.Index })
	return t, problems
}

func newTable() *Table {
	t := &Table{kinds: map[Kind]*places{}}
	for _, k := range Kinds() {
		t.kinds[k] = newPlaces(k)
	}
	return t
}

// dropUnknownParents empties the parents that are not in the table, or that a
// place of the kind cannot have, and returns a reason for each of the former.
func (t *Table) dropUnknownParents(p *Place) (reasons []string) {
	for _, parent := range []struct {
		id      *string
		kind    Kind
		allowed bool
		reason  string
	}{
		{&p.Region, Region, p.Kind == City, UnknownRegion},
		{&p.Country, Country, p.Kind == City || p.Kind == Region, UnknownCountry},
		{&p.DMA, DMA, p.Kind == City, UnknownDMA},
	} {
		if *parent.id == "" {
			continue
		}
		if !parent.allowed {
			*parent.id = ""
			continue
		}
		if _, ok := t.kinds[parent.kind].byID[*parent.id]; !ok {
			*parent.id = ""
			reasons = append(reasons, parent.reason)
		}
	}
	return reasons
}

// add appends p and reports whether its id is new.
func (ps *places) add(p Place) bool {
	if _, dup := ps.byID[p.ID]; dup {
		return false
	}
	ps.byID[p.ID] = int32(len(ps.list))
	ps.list = append(ps.list, p)
	return true
}

// Lookup returns the place of that kind and id, and whether there is one.
func (t *Table) Lookup(k Kind, id string) (Place, bool) {
	if ps := t.kinds[k]; ps != nil {
		if i, ok := ps.byID[id]; ok {
			return ps.list[i], true
		}
	}
	return Place{}, false
}

// Contains returns the kinds that have a place with this id, in the order of
// [Kinds].
func (t *Table) Contains(id string) (kinds []Kind) {
	for _, k := range Kinds() {
		if _, ok := t.kinds[k].byID[id]; ok {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// All returns the places of a kind in the order of the table. The slice is
// shared and must not be changed.
func (t *Table) All(k Kind) []Place {
	if ps := t.kinds[k]; ps != nil {
		return slices.Clip(ps.list)
	}
	return nil
}

// Fill completes where a person lives, given as ids or "": a city gives its
// region, country and market area where they are absent; then a region gives
// its country. What is there is never changed.
func (t *Table) Fill(city, region, dma, country *string) {
	if p, ok := t.Lookup(City, *city); ok {
		fill(region, p.Region)
		fill(dma, p.DMA)
		fill(country, p.Country)
	}
	if p, ok := t.Lookup(Region, *region); ok {
		fill(country, p.Country)
	}
}

func fill(s *string, with string) {
	if *s == "" {
		*s = with
	}
}

// Search returns the places of a kind whose name the query finds, see
// [words.MatchName]: by name, then in the order of the table; market areas by
// id. An empty query finds all. At most limit places are returned, all if
// limit is 0 or less.
func (t *Table) Search(k Kind, query string, limit int) []Place {
	ps := t.kinds[k]
	if ps == nil {
		return nil
	}
	q := words.ParseNameQuery(query)
	if limit <= 0 {
		limit = len(ps.list)
	}
	var found []Place
	index := ps.index()
	for n, i := range index.order {
		if len(found) == limit {
			break
		}
		if words.MatchName(index.name(n), q) {
			found = append(found, ps.list[i])
		}
	}
	return found
}
