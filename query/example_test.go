package query_test

import (
	"fmt"
	"strings"

	"throng/query"
)

// The rows that follow both accounts or like cars, that are male, and that are
// not over 54. The order of the steps is of no importance.
func ExampleDefinition() {
	d := query.Definition{Steps: []query.Step{
		{Op: query.Include, Node: query.AtLeast{K: 2, Field: query.Twitter, Values: []string{"11", "12"}}},
		{Op: query.Exclude, Node: query.In{Field: query.Age, Values: []string{"over 54"}}},
		{Op: query.Include, Node: query.In{Field: query.Affinity, Values: []string{"cars"}}},
		{Op: query.Filter, Node: query.In{Field: query.Gender, Values: []string{"male"}}},
	}}
	fmt.Println(format(d.Node()))
	// Output:
	// (at least 2 of twitter[11 12] ∪ affinity[cars]) ∩ gender[male] ∩ not (age[over 54])
}

// A switch over nodes names every one of them: the set is closed, and the
// linter holds each engine to it.
func ExampleNode() {
	for _, n := range []query.Node{
		query.In{Field: query.Age, Values: []string{"25-34", query.Unknown}},
		query.Not{Node: query.Text{Fields: []query.Field{query.BioTwitter, query.Tweet}, Phrases: []string{"new york"}}},
		query.And{}, // every row
		query.Or{},  // no row
	} {
		fmt.Println(format(n))
	}
	// Output:
	// age[25-34 unknown]
	// not a text in [bio.twitter tweet] with any of ["new york"]
	// everybody
	// nobody
}

// format writes a node as people would.
func format(n query.Node) string {
	switch n := n.(type) {
	case query.And:
		if len(n.Nodes) == 0 {
			return "everybody"
		}
		return join(n.Nodes, " ∩ ")
	case query.Or:
		if len(n.Nodes) == 0 {
			return "nobody"
		}
		return "(" + join(n.Nodes, " ∪ ") + ")"
	case query.Not:
		return "not " + format(n.Node)
	case query.In:
		return fmt.Sprintf("%s%v", n.Field, named(n.Values))
	case query.AtLeast:
		return fmt.Sprintf("at least %d of %s%v", n.K, n.Field, n.Values)
	case query.Text:
		return fmt.Sprintf("a text in %v with any of %q", n.Fields, n.Phrases)
	case query.Rows:
		return fmt.Sprintf("%d rows", n.Set.Len())
	}
	return ""
}

func join(nodes []query.Node, with string) string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		parts[i] = format(n)
	}
	return strings.Join(parts, with)
}

func named(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		if out[i] = v; v == query.Unknown {
			out[i] = "unknown"
		}
	}
	return out
}
