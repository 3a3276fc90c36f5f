package service

import (
	"context"
	"slices"

	"throng"
	"throng/engine"
	"throng/identifier"
	"throng/query"
	"throng/service/compile"
	"throng/service/record"
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
	k, err := s.compile(ctx, g, everything.ID, params, len(invalid)+len(forbidden) > 0)
	if err != nil {
		return query.Definition{}, nil, err
	}
	return k.Definition, k.Warnings, refuse(slices.Concat(invalid, k.Problems), forbidden)
}

// compile compiles parameters with the uploads and audiences of a caller, or of
// anybody for 0. dry leaves their rows out.
func (s *Service) compile(ctx context.Context, g engine.Generation, callerID int64, params []throng.Parameter, dry bool) (compile.Result, error) {
	return compile.Parameters(ctx, compile.Config{Source: source{s}, Generation: g, CallerID: callerID, Dry: dry}, params)
}

// source finds what parameters refer to.
type source struct{ s *Service }

// Upload implements compile.Source.
func (c source) Upload(ctx context.Context, callerID int64, key string) (*compile.Upload, error) {
	row, err := c.s.db.UploadByKey(ctx, callerID, key)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &compile.Upload{
		ID: row.ID, Type: identifier.Type(row.Type), Ready: row.Status == string(throng.UploadReady),
		Rows: func(ctx context.Context, g engine.Generation) (query.RowSet, error) {
			return c.s.uploadRows(ctx, g, row)
		},
	}, nil
}

// Audience implements compile.Source.
func (c source) Audience(ctx context.Context, callerID, id int64) (*compile.Audience, error) {
	row, err := c.s.db.Audience(ctx, callerID, id)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &compile.Audience{
		ID: row.ID, Status: row.Status, Finished: record.Finished(row),
		Members: func(ctx context.Context, g engine.Generation) (query.RowSet, uint64, error) {
			return c.s.memberRows(ctx, g, row)
		},
	}, nil
}
