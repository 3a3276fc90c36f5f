// Command throng answers for the product itself: the dataset is loaded by its
// loader, and asked through its engine, and as JSON in the way of the API.
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
	body       []byte
}

const (
	byEngine = "engine" // query.Definition to engine.Generation
	byJSON   = "JSON"   // what the API answers to a preview, with the size of each parameter
)

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
	e, err := bitmap.Open(filepath.Join(c.Work, "index"), bitmap.Config{})
	if err != nil {
		return nil, "", 0, err
	}
	if p.generation, err = e.Acquire(ctx, ""); err != nil {
		return nil, "", 0, err
	}
	if p.audience, _, err = p.generation.Select(ctx, definition(), 0); err != nil {
		return nil, "", 0, err
	}
	if p.body, err = body(); err != nil {
		return nil, "", 0, err
	}
	return peer.Layouts(
		peer.Layout{Name: byEngine, Ops: []string{peer.Count, peer.Terms}},
		peer.Layout{Name: byJSON, Ops: []string{peer.Count}},
	), "of this checkout", p.generation.Info().Bytes, nil
}

// Count implements peer.Engine.
func (p *product) Count(ctx context.Context, layout string) (uint64, error) {
	if layout == byEngine {
		counts, err := p.generation.Count(ctx, definition(), 0)
		return counts.Exclude, err
	}
	text, err := p.server.Count(ctx, p.body, "")
	if err != nil {
		return 0, err
	}
	var answer struct {
		Response struct {
			Size uint64 `json:"size"`
		} `json:"response"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, fmt.Errorf("read answer: %w", err)
	}
	return answer.Response.Size, nil
}

// Terms implements peer.Engine.
func (p *product) Terms(ctx context.Context, _ string) ([]uint64, error) {
	counts := make([]uint64, population.Affinity)
	for i := range counts {
		n, err := p.generation.Count(ctx, query.Definition{Steps: []query.Step{
			{Op: query.Include, Node: query.Rows{Set: p.audience}},
			{Op: query.Filter, Node: query.In{Field: query.Affinity, Values: []string{strconv.Itoa(population.FirstAffinity + i)}}},
		}}, 0)
		if err != nil {
			return nil, err
		}
		counts[i] = n.Exclude
	}
	return counts, nil
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
