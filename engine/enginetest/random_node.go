package enginetest

import (
	"math/rand/v2"

	"throng/engine/enginetest/model"
	"throng/query"
)

// RandomNode makes a node without query.Rows from what a dataset holds.
func RandomNode(rng *rand.Rand, m *model.Model) query.Node {
	return newDefiner(rng, m, model.External{}).node(3)
}

func (d *definer) node(depth int) query.Node {
	if depth > 0 && d.rng.IntN(2) == 0 {
		var nodes []query.Node
		for range d.rng.IntN(4) {
			nodes = append(nodes, d.node(depth-1))
		}
		switch d.rng.IntN(3) {
		case 0:
			return query.And{Nodes: nodes}
		case 1:
			return query.Or{Nodes: nodes}
		default:
			return query.Not{Node: d.node(depth - 1)}
		}
	}
	switch d.rng.IntN(4) {
	case 0:
		n := query.Text{Phrases: d.phrases()}
		for range d.rng.IntN(4) {
			n.Fields = append(n.Fields, pick(d.rng, query.TextFields()...))
		}
		if d.rng.IntN(8) == 0 {
			n.Phrases = append(n.Phrases, pick(d.rng, "", "--", "nowhere to be found"))
		}
		return n
	case 1:
		f := pick(d.rng, query.TermFields()...)
		values := d.values(f, pick(d.rng, 2, 6, 40, 400))
		return query.AtLeast{K: 1 + d.rng.IntN(min(12, len(values)+2)), Field: f, Values: values}
	default:
		f := pick(d.rng, query.TermFields()...)
		values := d.values(f, pick(d.rng, 1, 3, 40))
		if (f == query.Age || f == query.Gender || f == query.Ethnicity) && d.rng.IntN(3) == 0 {
			values = append(values, query.Unknown)
		}
		return query.In{Field: f, Values: values}
	}
}

// values gives up to n terms of a field, known and unknown.
func (d *definer) values(f query.Field, n int) []string {
	if len(d.people) == 0 {
		return nil
	}
	var out []string
	for range d.rng.IntN(n + 1) {
		if d.rng.IntN(10) == 0 {
			out = append(out, pick(d.rng, "unheard", "1", "male", "7"))
			continue
		}
		if terms := d.m.Terms(pick(d.rng, d.people...), f); len(terms) > 0 {
			out = append(out, pick(d.rng, terms...))
		}
	}
	return out
}
