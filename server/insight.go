package server

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"throng"
	"throng/api/silhouette"
	"throng/dataset"
	"throng/insight"
	"throng/insight/table"
	"throng/service"
)

// checkBaselines refuses a dataset whose own baselines are malformed, before it
// is loaded. What else is wrong with it the load tells.
func checkBaselines(dir string) error {
	source, err := dataset.Open(dir)
	if err != nil {
		return nil //nolint:nilerr // the load says it
	}
	if _, problems := throng.ParseBaselines(source.Meta.Baselines, insight.BuiltIn()); len(problems) > 0 {
		return &dataset.MetaError{Path: filepath.Join(dir, "dataset.json"), Err: throng.Refuse(throng.Invalid, problems)}
	}
	return nil
}

// InsightSpec says which report the command makes.
type InsightSpec struct {
	Audience int64
	// Caller is whose audience it must be; "" is anybody's.
	Caller string
	// Baseline is the name of one or audience:ID; "" is everyone.
	Baseline string
	// Limit is how many terms of each dimension the files list, 0 for 50, by
	// Order: index, count or name; "" is index.
	Limit int
	Order string
}

// Insight is a report that the command makes, which needs no order and spends no
// credit.
type Insight struct {
	// Report is what sets the audience apart, for printing.
	Report *insight.Report
	Name   string // of the audience

	answer *service.Insight
}

// Insight makes the report on a finished audience, or reads the one that was
// made.
func (s *Server) Insight(ctx context.Context, spec InsightSpec) (*Insight, error) {
	i, err := s.service.CountInsight(ctx, spec.Caller, spec.Audience, service.InsightQuery{
		Baseline: spec.Baseline, Limit: spec.Limit, Order: insight.Order(spec.Order),
	})
	if err != nil {
		return nil, err
	}
	return &Insight{Report: i.Report, Name: i.AudienceName, answer: i}, nil
}

// WriteJSON writes what GET /audiences/{id}/insight answers.
func (i *Insight) WriteJSON(w io.Writer) error {
	b, err := silhouette.Renderer{}.Insight(i.answer)
	if err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// WriteCSV writes the report as one table.
func (i *Insight) WriteCSV(w io.Writer) error { return table.CSV(w, i.Report) }

// WriteXLSX writes the report as a workbook with a sheet for each dimension.
func (i *Insight) WriteXLSX(w io.Writer) error { return table.XLSX(w, i.Report) }
