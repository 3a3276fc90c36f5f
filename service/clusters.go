package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"throng"
	"throng/blob"
	"throng/cluster"
	"throng/engine"
	"throng/identifier"
	"throng/insight"
	"throng/query"
	"throng/service/export"
	"throng/service/record"
	"throng/sqldb"
)

// madeOf tells what an audience without a definition was made of.
func madeOf(row sqldb.Audience, a *throng.Audience) error {
	d, err := record.Read(row)
	if err != nil {
		return err
	}
	a.Expansion = d.Expansion
	if d.Cluster != nil {
		a.Cluster = &d.Cluster.ClusterSource
	}
	return nil
}

// definedAudience is Conflict where an audience has no definition to build
// again.
func definedAudience(row sqldb.Audience) error {
	d, err := record.Read(row)
	if err != nil || d.Defined() {
		return err
	}
	how := "an expansion of another one: expand that again"
	if d.Cluster != nil {
		how = "a cluster of another one: make an audience of the cluster again"
	}
	return throng.Errorf(throng.Conflict, "audience %d cannot be built again: it is %s", row.ID, how)
}

// keepClusters finds the clusters of an audience and puts them into its counts.
// Their members are kept in files below a prefix.
func (s *Service) keepClusters(ctx context.Context, g engine.Generation, row sqldb.Audience, files string, counts *insight.Counts) error {
	return s.addClusters(ctx, g, row, counts, func(id int, rows query.RowSet) error {
		return s.writeCluster(ctx, g, rows, record.ClusterPrefix(files, id))
	})
}

// addClusters finds the clusters of an audience and puts them into its counts.
// keep is given the members of each.
func (s *Service) addClusters(ctx context.Context, g engine.Generation, row sqldb.Audience, counts *insight.Counts,
	keep func(id int, rows query.RowSet) error,
) error {
	rows, _, err := s.memberRows(ctx, g, row)
	if err != nil {
		return fmt.Errorf("find members: %w", err)
	}
	// A cluster that may not be told is none.
	minimum := max(s.cfg.InsightMinimum, s.cfg.MinimumSize)
	found, err := cluster.Find(ctx, g, rows, cluster.Config{Minimum: uint32(min(minimum, math.MaxUint32))})
	if err != nil {
		return err
	}
	counts.Unclustered = found.Unclustered
	names := insight.NewNames(g.Catalog())
	for i, c := range found.Clusters {
		terms := make([]insight.TermCount, len(c.Terms))
		for j, t := range c.Terms {
			terms[j] = insight.TermCount(t)
		}
		described, err := insight.NewCluster(i+1, c.Rows.Len(), rows.Len(), terms, names)
		if err != nil {
			return err
		}
		counts.Clusters = append(counts.Clusters, described)
		if err := keep(i+1, c.Rows); err != nil {
			return fmt.Errorf("keep members of cluster: %w", err)
		}
	}
	return nil
}

// writeCluster keeps members: their rows, for as long as the generation is
// there, and their keys, by which they are found on any other.
func (s *Service) writeCluster(ctx context.Context, g engine.Generation, rows query.RowSet, prefix string) error {
	if err := s.rows.Write(ctx, g, prefix, rows); err != nil {
		return err
	}
	_, err := export.Write(ctx, s.cfg.Blobs, g, rows, prefix, []identifier.Type{identifier.SSID}, func(float64) {})
	return err
}

// ClusterAudience starts to build an audience of a cluster in the report on
// another one: the n-th. It spends a credit of builds. NotFound where there is no
// such cluster, Conflict while the report is being made.
func (s *Service) ClusterAudience(ctx context.Context, c *throng.Caller, id int64, n int, b Build, once *Once) (*throng.Audience, error) {
	row, err := s.audienceRow(ctx, s.db, c, id)
	if err != nil {
		return nil, err
	}
	outputs, badOutputs, denied, warnings := chooseOutputs(c, b.Outputs)
	addresses, addressWarnings := s.checkURLs(b)
	if err := refuse(slices.Concat(b.Problems, addresses, badOutputs), denied); err != nil {
		return nil, err
	}
	report, found, err := s.clusterOf(ctx, row, n)
	if err != nil {
		return nil, err
	}
	k := checked{warnings: slices.Concat(b.Warnings, addressWarnings, warnings), outputs: outputs, audiences: []int64{row.ID}}
	if b.Outputs == nil && row.Kind == string(throng.Built) {
		k.keepOutputs(c, row)
	}
	more, err := json.Marshal(record.Details{Cluster: &record.Cluster{
		ClusterSource: throng.ClusterSource{AudienceID: row.ID, ID: n, Name: found.Name},
		Files:         record.ClusterPrefix(record.ReportPrefix(report.BlobKey), n), Size: found.Size,
	}})
	if err != nil {
		return nil, err
	}
	return s.start(ctx, c, sqldb.Audience{
		Name: shorten(fmt.Sprintf("%s, cluster %d: %s", row.Name, n, found.Name)), Definition: json.RawMessage("[]"),
		Warnings: k.warnings, Details: more, Generation: report.Generation,
		CallbackURL: b.CallbackURL, InsightCallbackURL: b.InsightCallbackURL, AutoInsight: b.AutoInsight,
		Outputs: retype[string](k.outputs), SourceID: &row.ID,
	}, k, once)
}

// clusterOf finds a cluster in the report on an audience.
func (s *Service) clusterOf(ctx context.Context, row sqldb.Audience, n int) (report sqldb.Insight, found insight.Cluster, err error) {
	report, err = s.db.Insight(ctx, row.ID)
	switch {
	case errors.Is(err, sqldb.ErrNotFound):
		return report, found, throng.Errorf(throng.NotFound, "no insight of audience %d was asked for, so there are no clusters", row.ID)
	case err != nil:
		return report, found, err
	case report.Status != sqldb.StatusDone:
		return report, found, throng.Errorf(throng.Conflict, "the insight of audience %d is not done: its status is %s", row.ID, report.Status)
	}
	counts, err := s.reports.Read(ctx, report.BlobKey)
	if errors.Is(err, insight.ErrDamaged) || errors.Is(err, insight.ErrVersion) || errors.Is(err, blob.ErrNotFound) {
		return report, found, throng.Errorf(throng.Conflict, "the insight of audience %d cannot be read; ask for it again", row.ID)
	}
	if err != nil {
		return report, found, err
	}
	at := slices.IndexFunc(counts.Clusters, func(c insight.Cluster) bool { return c.ID == n })
	if at < 0 {
		return report, found, throng.Errorf(throng.NotFound, "the insight of audience %d has no cluster %d: it has %d", row.ID, n, len(counts.Clusters))
	}
	return report, counts.Clusters[at], nil
}

// clusterMembers finds the members of the cluster that an audience is made of.
func (s *Service) clusterMembers(ctx context.Context, g engine.Generation, b *built) (query.RowSet, error) {
	c := b.details.Cluster
	rows, err := s.rows.Find(ctx, g, c.Files, func() (query.RowSet, error) {
		return s.matchLines(ctx, g, identifier.SSID, export.TextKey(c.Files, identifier.SSID), int64(c.Size))
	})
	if errors.Is(err, blob.ErrNotFound) {
		return nil, throng.Errorf(throng.Invalid, "the insight that cluster %d is of was made anew; make an audience of a cluster of the new one", c.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("find members of cluster: %w", err)
	}
	if gone := c.Size - min(c.Size, rows.Len()); gone > 0 {
		b.warnings = append(b.warnings, fmt.Sprintf("%d of the members of the cluster are not in the dataset any more", gone))
	}
	b.counts = engine.Counts{Exclude: rows.Len()}
	return rows, nil
}
