// Command throng answers for the product itself: the dataset is loaded by its
// loader and asked through its engine. The engine remembers no sizes here, so
// that every answer is worked out anew; that the question as JSON in the way of
// the API has the same answer is checked when it is loaded.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"throng/bench/peers/internal/peer"
	"throng/bench/peers/internal/population"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/query"
	"throng/server"
)

func main() { peer.Serve(&product{}) }

type product struct {
	server     *server.Server
	generation engine.Generation
	audience   query.RowSet
	order      []int // by the engine's number of an affinity, that of the population
}

// Usage implements peer.Engine: everything is in this process.
func (*product) Usage() time.Duration { return 0 }

// Load implements peer.Engine.
func (p *product) Load(ctx context.Context, c peer.Command) ([]peer.Layout, string, int64, error) {
	var err error
	if p.server, err = server.Open(ctx, server.Config{Data: c.Work}); err != nil {
		return nil, "", 0, err
	}
	if _, err := p.server.Load(ctx, c.Dataset, server.LoadOptions{}); err != nil {
		return nil, "", 0, err
	}
	e, err := bitmap.Open(filepath.Join(c.Work, "index"), bitmap.Config{Forget: true})
	if err != nil {
		return nil, "", 0, err
	}
	if p.generation, err = e.Acquire(ctx, ""); err != nil {
		return nil, "", 0, err
	}
	if p.audience, _, err = p.generation.Select(ctx, definition(), 0); err != nil {
		return nil, "", 0, err
	}
	if err := p.find(ctx); err != nil {
		return nil, "", 0, err
	}
	if err := p.checkJSON(ctx); err != nil {
		return nil, "", 0, err
	}
	layouts := []peer.Layout{{Name: "bitmaps and arrays by block", Ops: []string{peer.Count, peer.Terms}}}
	return layouts, "of this checkout", p.generation.Info().Bytes, nil
}

// Count implements peer.Engine.
func (p *product) Count(ctx context.Context, _ string) (uint64, error) {
	counts, err := p.generation.Count(ctx, definition(), 0)
	return counts.Exclude, err
}

// checkJSON asks the way the API does.
func (p *product) checkJSON(ctx context.Context) error {
	request, err := body()
	if err != nil {
		return err
	}
	text, err := p.server.Count(ctx, request, "")
	if err != nil {
		return err
	}
	var answer struct {
		Response struct {
			Size uint64 `json:"size"`
		} `json:"response"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if want := p.audience.Len(); answer.Response.Size != want {
		return fmt.Errorf("as JSON: %d people, want %d", answer.Response.Size, want)
	}
	return nil
}

// Terms implements peer.Engine.
func (p *product) Terms(ctx context.Context, _ string) ([]uint64, error) {
	of, err := p.generation.Breakdown(ctx, p.audience, []query.Field{query.Affinity})
	if err != nil {
		return nil, err
	}
	counts := make([]uint64, population.Affinity)
	for i, n := range of[0].Counts {
		counts[p.order[i]] = uint64(n)
	}
	return counts, nil
}

// find learns which affinity each of the engine's terms is.
func (p *product) find(ctx context.Context) error {
	of, err := p.generation.Breakdown(ctx, p.audience, []query.Field{query.Affinity})
	if err != nil {
		return err
	}
	p.order = make([]int, len(of[0].Counts))
	for i := range p.order {
		term, err := p.generation.Catalog().TermAt(query.Affinity, i)
		if err != nil {
			return err
		}
		id, err := strconv.Atoi(term.Value)
		if err != nil || id < population.FirstAffinity || id >= population.FirstAffinity+population.Affinity {
			return fmt.Errorf("term %d of affinities is %q", i, term.Value)
		}
		p.order[i] = id - population.FirstAffinity
	}
	return nil
}

// definition is the question.
func definition() query.Definition {
	follows := func(ids ...int) query.Node { return query.In{Field: query.Twitter, Values: names(ids)} }
	var ages []string
	for _, id := range population.InAge {
		ages = append(ages, population.AgeRanges[id-population.FirstAge])
	}
	return query.Definition{Steps: []query.Step{
		{Op: query.Include, Node: query.And{Nodes: []query.Node{
			follows(population.AnyOf...), follows(population.Also), query.Not{Node: follows(population.Never)},
		}}},
		{Op: query.Include, Node: query.AtLeast{K: 2, Field: query.Twitter, Values: names(population.TwoOf)}},
		{Op: query.Filter, Node: query.In{Field: query.Gender, Values: population.Genders[:1]}},
		{Op: query.Filter, Node: query.In{Field: query.Age, Values: ages}},
	}}
}

func names(ids []int) []string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = strconv.Itoa(id)
	}
	return s
}

type object map[string]any

// body is the question as the API takes it.
func body() ([]byte, error) {
	follows := func(op string, cutoff int, ids ...int) object {
		var accounts []object
		for _, id := range names(ids) {
			accounts = append(accounts, object{"id": id})
		}
		return object{"operation": op, "twitter_followers": object{"accounts": accounts, "cutoff": cutoff}}
	}
	var ages []string
	for _, id := range population.InAge {
		ages = append(ages, population.AgeRanges[id-population.FirstAge])
	}
	return json.Marshal(object{"parameters": []object{
		{"operation": "OR", "group": object{"parameters": []object{
			follows("OR", 1, population.AnyOf...), follows("AND", 1, population.Also), follows("NOT", 1, population.Never),
		}}},
		follows("OR", 2, population.TwoOf...),
		{"operation": "AND", "gender": object{"genders": population.Genders[:1]}},
		{"operation": "AND", "age": object{"ranges": ages}},
	}})
}
