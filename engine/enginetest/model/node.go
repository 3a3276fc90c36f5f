package model

import (
	"slices"
	"strconv"

	"throng/query"
)

// Keys is a set of rows of the twin: person keys. An engine does not know it.
type Keys map[string]bool

// Len is the number of people.
func (k Keys) Len() uint64 { return uint64(len(k)) }

// EvalNode evaluates a node as query defines it. A query.Rows must hold Keys.
func (m *Model) EvalNode(n query.Node) Keys {
	out := Keys{}
	switch n := n.(type) {
	case query.And:
		for _, p := range m.people {
			out[p.key] = true
		}
		for _, part := range n.Nodes {
			set := m.EvalNode(part)
			for k := range out {
				if !set[k] {
					delete(out, k)
				}
			}
		}
	case query.Or:
		for _, part := range n.Nodes {
			for k := range m.EvalNode(part) {
				out[k] = true
			}
		}
	case query.Not:
		not := m.EvalNode(n.Node)
		for _, p := range m.people {
			if !not[p.key] {
				out[p.key] = true
			}
		}
	case query.In:
		for _, p := range m.people {
			terms := m.terms(p, n.Field)
			for _, v := range n.Values {
				if slices.Contains(terms, v) || v == query.Unknown && len(terms) == 0 {
					out[p.key] = true
				}
			}
		}
	case query.AtLeast:
		for _, p := range m.people {
			if distinct(m.terms(p, n.Field), n.Values) >= n.K {
				out[p.key] = true
			}
		}
	case query.Text:
		var fields []string
		for _, f := range n.Fields {
			fields = append(fields, string(f))
		}
		return Keys(m.textSet(fields, n.Phrases))
	case query.Rows:
		for k := range n.Set.(Keys) {
			out[k] = true
		}
	}
	return out
}

// distinct is how many of values are among terms; one that is named twice
// counts once.
func distinct(terms, values []string) int {
	met := map[string]bool{}
	for _, v := range values {
		if slices.Contains(terms, v) {
			met[v] = true
		}
	}
	return len(met)
}

// Breakdown counts the people among keys who have each term of a field, and
// those of whom anything is known.
func (m *Model) Breakdown(keys []string, f query.Field) (counts map[string]uint32, known uint64) {
	counts = map[string]uint32{}
	for _, k := range keys {
		p := m.byKey[k]
		terms := m.terms(p, f)
		for _, t := range terms {
			counts[t]++
		}
		if len(terms) > 0 || f == query.Personality && len(p.scores) > 0 {
			known++
		}
	}
	return counts, known
}

// terms are a person's terms of a field.
func (m *Model) terms(p *person, f query.Field) []string {
	one := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	switch f {
	case query.Age:
		return one(p.age)
	case query.Gender:
		return one(p.gender)
	case query.Ethnicity:
		return one(p.ethnicity)
	case query.City, query.Region, query.DMA, query.Country:
		return one(p.places[string(f)])
	case query.Affinity:
		return sortedKeys(p.affinities)
	case query.JobTitle:
		return sortedKeys(p.titles)
	case query.Employer:
		return sortedKeys(p.employers)
	case query.Personality:
		var high []string
		for _, t := range sortedKeys(p.scores) {
			if p.scores[t] >= m.Threshold {
				high = append(high, t)
			}
		}
		return high
	case query.Active:
		var windows []string
		for _, d := range []int{1, 7, 30, 60, 90, 180, 365} {
			if m.tweetedWithin(p, d) {
				windows = append(windows, strconv.Itoa(d))
			}
		}
		return windows
	case query.Scored:
		if len(p.scores) > 0 {
			return []string{"any"}
		}
		return nil
	default:
		return sortedKeys(p.follows[string(f)])
	}
}
