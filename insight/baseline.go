package insight

import (
	"fmt"

	"throng/engine"
	"throng/query"
	"throng/reference"
)

// Global is the baseline of everyone.
const Global = "global"

// nation is a baseline of a country.
type nation struct{ name, alpha2, gender string }

// nations are found by code or by any name of the country in a dataset's places.
func nations() []nation {
	return []nation{
		{name: "usa", alpha2: "US"},
		{name: "usa_males", alpha2: "US", gender: "male"},
		{name: "usa_females", alpha2: "US", gender: "female"},
		{name: "uk", alpha2: "GB"},
		{name: "canada", alpha2: "CA"},
		{name: "france", alpha2: "FR"},
		{name: "germany", alpha2: "DE"},
		{name: "italy", alpha2: "IT"},
		{name: "spain", alpha2: "ES"},
	}
}

// BuiltIn returns the names of the baselines that every dataset has, the
// default first. The caller owns the slice.
func BuiltIn() []string {
	names := []string{Global}
	for _, n := range nations() {
		names = append(names, n.name)
	}
	return names
}

// Definition is who a named baseline is on one generation.
type Definition struct {
	Name  string
	Query query.Definition
	// Problem says why nobody can be found, "" where they can; see
	// [BaselineCounts].
	Problem string
}

// Definitions returns the built-in baselines on the places of a generation, in
// the order of [BuiltIn].
func Definitions(places *reference.Table) []Definition {
	list := []Definition{{Name: Global, Query: only(query.And{})}}
	for _, n := range nations() {
		d := Definition{Name: n.name}
		if id, ok := places.Resolve(reference.Country, n.alpha2); ok {
			nodes := []query.Node{query.In{Field: query.Country, Values: []string{id}}}
			if n.gender != "" {
				nodes = append(nodes, query.In{Field: query.Gender, Values: []string{n.gender}})
			}
			d.Query = only(query.And{Nodes: nodes})
		} else {
			country, _ := reference.CountryByISO(n.alpha2)
			d.Problem = fmt.Sprintf("the dataset has no country %s (%s) among its places", country, n.alpha2)
		}
		list = append(list, d)
	}
	return list
}

func only(n query.Node) query.Definition {
	return query.Definition{Steps: []query.Step{{Op: query.Include, Node: n}}}
}

// Group is some people of a generation, counted: how many of them have each
// term of every dimension.
type Group struct {
	Name string
	Size uint64
	// Counts are of the dimensions, in the order of [Dimensions]; nil where
	// Problem says why there are none.
	Counts  []engine.Breakdown
	Problem string
}

// Bytes is about how much memory the counts take.
func (g *Group) Bytes() (n int64) {
	for _, b := range g.Counts {
		n += int64(len(b.Counts))*4 + 64
	}
	return n
}
