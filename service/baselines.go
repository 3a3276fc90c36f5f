package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"throng"
	"throng/engine"
	"throng/insight"
	"throng/service/record"
	"throng/sqldb"
)

// audienceBaseline begins the names of baselines that are audiences.
const audienceBaseline = "audience:"

// audienceName is the name of an audience as a baseline.
func audienceName(id int64) string { return audienceBaseline + strconv.FormatInt(id, 10) }

// baselineDefinitions are the named baselines of a generation: those that every
// dataset has, then its own by name.
func (s *Service) baselineDefinitions(ctx context.Context, g engine.Generation) ([]insight.Definition, error) {
	places, err := g.Catalog().Places()
	if err != nil {
		return nil, fmt.Errorf("read places: %w", err)
	}
	list := insight.Definitions(places)
	raw, err := g.Catalog().Baselines()
	if err != nil {
		return nil, fmt.Errorf("read baselines: %w", err)
	}
	own, problems := throng.ParseBaselines(raw, insight.BuiltIn())
	if len(problems) > 0 { // loaded by an earlier version, which did not look
		s.cfg.Logger.WarnContext(ctx, "baselines of dataset.json are left out", "generation", g.Info().ID,
			"err", throng.Refuse(throng.Invalid, problems))
		return list, nil
	}
	for _, b := range own {
		k, err := s.compile(ctx, g, 0, b.Parameters, false)
		if err != nil {
			return nil, fmt.Errorf("compile baseline %s: %w", b.Name, err)
		}
		d := insight.Definition{Name: b.Name, Query: k.Definition}
		if err := refuse(k.Problems, nil); err != nil {
			d.Problem = throng.MessageOf(err)
		}
		list = append(list, d)
	}
	return list, nil
}

// countBaselines counts all named baselines of a generation, or gives what was
// counted before.
func (s *Service) countBaselines(ctx context.Context, g engine.Generation) ([]*insight.Group, error) {
	definitions, err := s.baselineDefinitions(ctx, g)
	if err != nil {
		return nil, err
	}
	groups := make([]*insight.Group, len(definitions))
	for i, d := range definitions {
		groups[i], err = s.reports.Baseline(ctx, g, d)
		if err != nil {
			return nil, err
		}
	}
	return groups, nil
}

// report answers a question that was checked. callerID is whose audiences can
// be baselines; 0: anybody's.
func (s *Service) report(ctx context.Context, callerID int64, counts *insight.Counts, q InsightQuery) (*insight.Report, error) {
	ask := insight.Ask{Order: q.Order, Limit: q.Limit, Minimum: max(s.cfg.InsightMinimum, s.cfg.MinimumSize)}
	name := q.Baseline
	if name == "" {
		name = insight.Global
	}
	if !strings.HasPrefix(name, audienceBaseline) {
		r, err := counts.Report(name, s.cfg.MinimumSize, ask)
		if bad, ok := errors.AsType[*insight.BaselineError](err); ok {
			return nil, badBaseline(bad.Message)
		}
		return r, err
	}
	other, err := s.baselineAudience(ctx, callerID, name)
	if err != nil {
		return nil, err
	}
	// The members of both are looked for where the report was made, as long as
	// that generation is there, and else on the current one.
	g, err := s.generationOf(ctx, sqldb.Audience{Generation: counts.Generation})
	if err != nil {
		return nil, loaded(err)
	}
	defer g.Release()
	rows, gone, err := s.memberRows(ctx, g, other)
	if err != nil {
		return nil, fmt.Errorf("find members of audience %d: %w", other.ID, err)
	}
	group, err := insight.CountRows(ctx, g, name, rows)
	if err != nil {
		return nil, err
	}
	r, err := counts.Against(g.Catalog(), group, ask.Minimum, ask)
	if err != nil {
		return nil, err
	}
	if id := g.Info().ID; id != counts.Generation {
		r.Warnings = append(slices.Clip(r.Warnings), fmt.Sprintf(
			"the generation that the audience was counted on is gone: the baseline is counted on %s", id))
	}
	if gone > 0 {
		r.Warnings = append(slices.Clip(r.Warnings), fmt.Sprintf(
			"%d of the members of audience %d are not in the dataset any more", gone, other.ID))
	}
	return r, nil
}

// baselineAudience finds a finished audience by the name of a baseline.
func (s *Service) baselineAudience(ctx context.Context, callerID int64, name string) (sqldb.Audience, error) {
	id, err := strconv.ParseInt(strings.TrimPrefix(name, audienceBaseline), 10, 64)
	if err != nil || id <= 0 {
		return sqldb.Audience{}, badBaseline("must be audience:ID with the id of an audience")
	}
	row, err := s.db.Audience(ctx, callerID, id)
	switch {
	case isNotFound(err):
		return row, badBaseline("does not name one of your audiences")
	case err != nil:
		return row, err
	case !record.Finished(row):
		return row, badBaseline("names an audience that is not finished: its status is " + row.Status)
	case row.Size != nil && s.shown(uint64(*row.Size)) == nil:
		return row, badBaseline("names an audience of " + s.hiddenReason())
	}
	return row, nil
}

func badBaseline(message string) error {
	return refuse([]throng.Detail{{Path: "baseline", Message: message}}, nil)
}
