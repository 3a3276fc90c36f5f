package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"throng/bench/population"
	"throng/demo"
	"throng/engine"
	"throng/query"
	"throng/server"
)

// rowExample measures row 1c: the documentation's own request of sixteen
// parameters, on the population that throng generate makes.
func (r *run) rowExample(ctx context.Context) (err error) {
	people := max(2000, r.cfg.People/50)
	dir := filepath.Join(r.stack.dir, "example")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := r.openExample(ctx, dir, people)
	defer func() { err = errors.Join(err, s.close()) }()
	if err != nil {
		return err
	}
	raw, err := s.example(ctx)
	if err != nil {
		return err
	}
	one, _, err := s.one.compileAny(ctx, raw)
	if err != nil {
		return err
	}
	all, _, err := s.all.compileAny(ctx, raw)
	if err != nil {
		return err
	}
	a, err := s.newAlgebra(ctx, one)
	if err != nil {
		return err
	}
	want := a.after(one)
	for _, d := range []struct {
		side *side
		q    query.Definition
	}{{s.one, one}, {s.all, all}} {
		counts, err := d.side.generation.Count(ctx, d.q, engine.After)
		if err != nil {
			return err
		}
		equalAll(r, "row 1c", counts.After, want)
	}
	floor, err := s.touch(a.touched())
	if err != nil {
		return err
	}
	same := func(c engine.Counts) error { return changed(c.After, want) }
	timings, steady, err := measure(ctx, r.cfg.Rounds,
		s.one.counting(ctx, oneCore, byCPU, one, engine.After, same),
		s.all.counting(ctx, allCores, byWall, all, engine.After, same),
		variant{name: "roaring, phrases answered already", run: func() error { return changed(a.after(one), want) }},
		floor.floor(&r.sink),
	)
	if err != nil {
		return err
	}
	row := Row{ID: "1c", Work: fmt.Sprintf("the documentation's %d parameters, texts and upload included, on %d generated people", len(one.Steps), people), Unsteady: !steady}
	row.times(timings...)
	row.side("", timings[0], timings[1], timings[3], timings[2])
	row.figure("touched, without texts", "MB", float64(floor.bytes)/1e6)
	row.figure("roaring / one core", "x", ratio(timings[2], timings[0]))
	row.figure("one core / floor", "x", ratio(timings[0], timings[3]))
	r.add(row)
	return nil
}

// openExample generates a population, and loads and serves it.
func (r *run) openExample(ctx context.Context, dir string, people int) (*stack, error) {
	p, err := population.New(people, r.cfg.Seed, false) // for its number alone
	s := &stack{dir: dir, people: p}
	if err != nil {
		return s, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return s, err
	}
	r.cfg.Tell(fmt.Sprintf("generating and loading %d people for row 1c", people))
	if err := demo.Generate(ctx, demo.Config{People: people, Seed: r.cfg.Seed, Dir: s.dataDir()}); err != nil {
		return s, err
	}
	if err := s.openServer(ctx); err != nil {
		return s, err
	}
	if _, err := s.server.Load(ctx, s.dataDir(), server.LoadOptions{}); err != nil {
		return s, err
	}
	if err := s.serve(ctx); err != nil {
		return s, err
	}
	return s, s.openSides(ctx)
}

// example is the parameters of the request, with an upload of some people.
func (s *stack) example(ctx context.Context) (json.RawMessage, error) {
	var keys bytes.Buffer
	column := s.files.Keys
	for b := 0; b < column.Blocks(); b++ {
		block, err := column.Block(b)
		if err != nil {
			return nil, err
		}
		for v := 0; v < block.Values(); v += 100 {
			keys.Write(block.Value(v))
			keys.WriteByte('\n')
		}
	}
	u, err := s.client.Upload(ctx, "ss_id", "some people", &keys)
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	body, err := demo.Everything(u.Key)
	if err != nil {
		return nil, err
	}
	var request struct {
		Parameters json.RawMessage `json:"parameters"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	return request.Parameters, nil
}
