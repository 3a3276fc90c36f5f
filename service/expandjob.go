package service

import (
	"context"
	"errors"
	"fmt"
	"math"

	"throng"
	"throng/engine"
	"throng/insight"
	"throng/lookalike"
	"throng/query"
	"throng/service/rowstore"
	"throng/sqldb"
)

// expand finds the people who resemble an audience's seed, and explains them.
func (s *Service) expand(ctx context.Context, g engine.Generation, row sqldb.Audience, b *built) (query.RowSet, error) {
	x := b.details.Expansion
	source, err := s.db.Audience(ctx, row.CallerID, x.SeedID)
	if errors.Is(err, sqldb.ErrNotFound) {
		return nil, throng.Errorf(throng.Invalid, "audience %d, the seed, was deleted", x.SeedID)
	}
	if err != nil {
		return nil, err
	}
	seed, gone, err := s.memberRows(ctx, g, source)
	if err != nil {
		return nil, fmt.Errorf("find members of seed: %w", err)
	}
	if gone > 0 {
		b.warnings = append(b.warnings, fmt.Sprintf("%d of the members of audience %d are not in the dataset any more", gone, x.SeedID))
	}
	minimum := s.cfg.InsightMinimum
	m, err := lookalike.Learn(ctx, g, seed, lookalike.Config{
		Fields: lookalike.Fields(s.cfg.ExpandByAgeAndGender), Minimum: uint32(min(minimum, math.MaxUint32)),
	})
	if errors.Is(err, lookalike.ErrNothingToLearn) {
		return nil, throng.Errorf(throng.Invalid, "nothing sets audience %d apart from others: no affinity, account or other term is held by %d of its members, "+
			"or everybody is a member", x.SeedID, minimum)
	}
	if err != nil {
		return nil, err
	}
	if err := explain(g, m, x); err != nil {
		return nil, err
	}
	wanted := uint64(math.Round(x.Factor * float64(*source.Size)))
	rows, err := s.best(ctx, g, m, source, seed, *x, wanted)
	if err != nil {
		return nil, err
	}
	if rows.Len() < wanted {
		b.warnings = append(b.warnings, fmt.Sprintf("only %d of the %d people asked for can come in", rows.Len(), wanted))
	}
	b.counts = engine.Counts{Exclude: rows.Len()}
	return rows, nil
}

// best picks so many people by their scores.
func (s *Service) best(ctx context.Context, g engine.Generation, m *lookalike.Model, source sqldb.Audience,
	seed query.RowSet, x throng.Expansion, wanted uint64,
) (query.RowSet, error) {
	d := query.Definition{Steps: []query.Step{{Op: query.Include, Node: query.And{}}}}
	if x.ReapplyFilters || x.ReapplyExclusions {
		params, err := definitionOf(source.Definition)
		if err != nil {
			return nil, err
		}
		again, err := s.compile(ctx, g, source.CallerID, reapplied(params, x.ReapplyFilters, x.ReapplyExclusions), false)
		if err != nil {
			return nil, err
		}
		if err := refuse(again.Problems, nil); err != nil {
			return nil, err // the dataset has changed since the definition was accepted
		}
		d.Steps = append(d.Steps, again.Definition.Steps...)
	}
	if x.IncludeSeed || x.RemoveSeed {
		d.Steps = append(d.Steps, query.Step{Op: query.Exclude, Node: query.Rows{Set: seed}})
	}
	candidates, _, err := g.Select(ctx, d, 0)
	if err != nil {
		return nil, fmt.Errorf("select candidates: %w", err)
	}
	if x.IncludeSeed {
		wanted -= min(wanted, seed.Len())
	}
	rows, err := m.Best(ctx, g, candidates, wanted)
	if err != nil || !x.IncludeSeed {
		return rows, err
	}
	return rowstore.Union(ctx, g, []query.RowSet{seed, rows})
}

// explain tells what a model goes by, and how well.
func explain(g engine.Generation, m *lookalike.Model, x *throng.Expansion) error {
	x.HeldOut, x.Terms, x.AUC = m.HeldOut, nil, nil
	if m.HeldOut > 0 {
		auc := math.Round(m.AUC*1e4) / 1e4
		x.AUC = &auc
	}
	names := insight.NewNames(g.Catalog())
	for _, t := range m.Terms {
		term, err := g.Catalog().TermAt(t.Field, t.Index)
		if err != nil {
			return fmt.Errorf("find term: %w", err)
		}
		name, err := names.Name(t.Field, term.Value)
		if err != nil {
			return err
		}
		x.Terms = append(x.Terms, throng.WeightedTerm{
			Dimension: string(t.Field), ID: term.Value, Name: name, Weight: math.Round(t.Weight*1e3) / 1e3,
		})
	}
	return nil
}
