package service

import (
	"context"
	"slices"

	"throng"
	"throng/engine"
	"throng/query"
)

// Compile turns parameters into the engine's words on a generation that the
// caller holds, as a preview with every grant does. Uploads and audiences are
// those of the API caller of that name, or of any for "". The definition is
// valid until the generation is released. Invalid lists every problem.
func (s *Service) Compile(ctx context.Context, g engine.Generation, callerName string, params []throng.Parameter) (query.Definition, []string, error) {
	everything := &throng.Caller{Grants: throng.Grants()}
	if callerName != "" {
		row, err := s.callerNamed(ctx, callerName)
		if err != nil {
			return query.Definition{}, nil, err
		}
		everything.ID = row.ID
	}
	invalid, forbidden := everything.CheckParameters(params)
	k := &compiler{s: s, g: g, callerID: everything.ID, dry: len(invalid)+len(forbidden) > 0}
	d, err := k.compile(ctx, params)
	if err != nil {
		return query.Definition{}, nil, err
	}
	return d, k.warnings, refuse(slices.Concat(invalid, k.problems), forbidden)
}
