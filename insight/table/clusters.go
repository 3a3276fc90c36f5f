package table

import (
	"slices"
	"strconv"

	"github.com/xuri/excelize/v2"

	"throng/insight"
	"throng/internal/cell"
)

const (
	// clusterRows is what rows of clusters have for a dimension in CSV.
	clusterRows = "cluster"
	// clusterSheet is the sheet behind those of the dimensions.
	clusterSheet = "clusters"
)

// clusterText are the cells of a cluster in CSV: those of a term as far as it has
// them.
func clusterText(c insight.Cluster) []string {
	return texts(insight.Term{ID: strconv.Itoa(c.ID), Name: c.Name, Count: c.Size, Share: c.Share})
}

// clusterColumns come before those of a term on the sheet of clusters.
func clusterColumns() []string {
	return []string{"cluster", "cluster_name", "cluster_size", "cluster_share", "dimension"}
}

// clusters writes a row for each term of each cluster, and one for a cluster
// without any. A report without clusters has no sheet for them.
func clusters(f *excelize.File, r *insight.Report) error {
	if len(r.Clusters) == 0 {
		return nil
	}
	if _, err := f.NewSheet(clusterSheet); err != nil {
		return err
	}
	s, err := f.NewStreamWriter(clusterSheet)
	if err != nil {
		return err
	}
	for _, names := range []int{2, 7} {
		if err := s.SetColWidth(names, names, 40); err != nil {
			return err
		}
	}
	rows := [][]any{header(append(clusterColumns(), columns()...))}
	for _, c := range r.Clusters {
		what := []any{c.ID, cell.Escape(c.Name), c.Size, c.Share}
		if len(c.Top) == 0 {
			rows = append(rows, what)
		}
		for _, t := range c.Top {
			rows = append(rows, slices.Concat(what, []any{t.Dimension}, values(t.Term)))
		}
	}
	return fill(s, rows)
}
