package enginetest

import (
	"fmt"
	"testing"

	"throng/engine"
	"throng/engine/enginetest/model"
	"throng/identifier"
	"throng/query"
)

// benchPeople is enough that a second block of 65,536 rows is used, and few
// enough that making the dataset takes seconds.
const benchPeople = 100_000

// Bench measures what every engine does, on one random dataset, so that
// engines can be compared. open is as for Run.
func Bench(b *testing.B, open func(b *testing.B) engine.Engine) {
	dir := b.TempDir()
	if err := RandomDataset(newRand(1), dir, Options{People: benchPeople, Clean: true}); err != nil {
		b.Fatal(err)
	}
	e := open(b)
	size := fmt.Sprintf("people=%d", benchPeople)
	b.Run("Load/"+size, func(b *testing.B) {
		for b.Loop() {
			if _, err := open(b).Load(b.Context(), dir, engine.LoadOptions{AllowRejects: 1, Now: suiteNow()}); err != nil {
				b.Fatal(err)
			}
		}
	})
	if _, err := e.Load(b.Context(), dir, engine.LoadOptions{AllowRejects: 1, Now: suiteNow()}); err != nil {
		b.Fatal(err)
	}
	g, err := e.Acquire(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(g.Release)
	for _, q := range benchQueries() {
		b.Run("Count/"+size+"/"+q.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := g.Count(b.Context(), q.def, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	rows, _, err := g.Select(b.Context(), include(query.And{}), 0)
	if err != nil {
		b.Fatal(err)
	}
	var values []string
	for i := range 10_000 {
		values = append(values, model.MD5(fmt.Sprintf("user%d@example.com", i)))
	}
	b.Run("Match/"+size+"/md5=10000", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := g.Match(b.Context(), identifier.MD5, eachOf(values)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Stream/"+size+"/outputs", func(b *testing.B) {
		for b.Loop() {
			err := g.Stream(b.Context(), rows, identifier.Outputs(), func(*engine.Batch) error { return nil })
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

type benchQuery struct {
	name string
	def  query.Definition
}

func benchQueries() []benchQuery {
	var accounts []string
	for i := range 300 {
		accounts = append(accounts, accountID(i))
	}
	women := query.In{Field: query.Gender, Values: []string{"female"}}
	all := query.Definition{Steps: []query.Step{
		{Op: query.Include, Node: query.In{Field: query.Affinity, Values: []string{"n0", "n1"}}},
		{Op: query.Include, Node: query.AtLeast{K: 2, Field: query.YouTube, Values: accounts[:5]}},
		{Op: query.Filter, Node: women},
		{Op: query.Filter, Node: query.In{Field: query.Age, Values: []string{"18-24", query.Unknown}}},
		{Op: query.Exclude, Node: query.Text{Fields: []query.Field{query.BioTwitter, query.Tweet}, Phrases: []string{"go rust"}}},
	}}
	return []benchQuery{
		{"term", include(women)},
		{"not", include(query.Not{Node: women})},
		{"least=2of5", include(query.AtLeast{K: 2, Field: query.Twitter, Values: accounts[:5]})},
		{"least=10of300", include(query.AtLeast{K: 10, Field: query.Twitter, Values: accounts})},
		{"word", include(query.Text{Fields: query.TextFields(), Phrases: []string{"golang"}})},
		{"phrase", include(query.Text{Fields: query.TextFields(), Phrases: []string{"data science", "go rust"}})},
		{"mixed", all},
	}
}
