// Package table writes reports as tables that people open in a spreadsheet.
// Texts that a spreadsheet would run are escaped.
package table

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"github.com/xuri/excelize/v2"

	"throng/insight"
	"throng/internal/cell"
)

// columns are those of a sheet; in CSV the dimension comes before them.
func columns() []string {
	return []string{"id", "name", "count", "share", "baseline_count", "baseline_share", "index", "low", "high"}
}

// CSV writes a report as one table with a column for the dimension. Behind the
// dimensions each cluster has a row of the dimension "cluster", with its number,
// name, size and share; its terms have no place there. The same report is the
// same bytes.
func CSV(w io.Writer, r *insight.Report) error {
	out := csv.NewWriter(w)
	if err := out.Write(append([]string{"dimension"}, columns()...)); err != nil {
		return fmt.Errorf("write report as csv: %w", err)
	}
	for _, d := range r.Dimensions {
		for _, t := range d.Terms {
			if err := out.Write(append([]string{d.Name}, texts(t)...)); err != nil {
				return fmt.Errorf("write report as csv: %w", err)
			}
		}
	}
	for _, c := range r.Clusters {
		if err := out.Write(append([]string{clusterRows}, clusterText(c)...)); err != nil {
			return fmt.Errorf("write report as csv: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write report as csv: %w", err)
	}
	return nil
}

// texts are the cells of a term; one for what is withheld or does not exist is
// empty.
func texts(t insight.Term) []string {
	number := func(f *float64) string {
		if f == nil {
			return ""
		}
		return strconv.FormatFloat(*f, 'g', -1, 64)
	}
	based := ""
	if t.BaselineCount != nil {
		based = strconv.FormatUint(*t.BaselineCount, 10)
	}
	return []string{
		cell.Escape(t.ID), cell.Escape(t.Name), strconv.FormatUint(t.Count, 10), number(&t.Share), based, number(t.BaselineShare),
		number(t.Index), number(t.Low), number(t.High),
	}
}

// XLSX writes a report as a workbook with a sheet for each dimension and, where
// it has clusters, one for these and their terms. The same report is the same bytes.
func XLSX(w io.Writer, r *insight.Report) (err error) {
	f := excelize.NewFile()
	f.SetZipWriter(newSortedZip)
	defer func() {
		if closeErr := f.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("write report as xlsx: %w", closeErr)
		}
	}()
	for i, d := range r.Dimensions {
		if i == 0 {
			err = f.SetSheetName("Sheet1", d.Name)
		} else {
			_, err = f.NewSheet(d.Name)
		}
		if err == nil {
			err = sheet(f, d)
		}
		if err != nil {
			return fmt.Errorf("write report as xlsx: sheet %s: %w", d.Name, err)
		}
	}
	if err := clusters(f, r); err != nil {
		return fmt.Errorf("write report as xlsx: sheet %s: %w", clusterSheet, err)
	}
	if _, err := f.WriteTo(w); err != nil {
		return fmt.Errorf("write report as xlsx: %w", err)
	}
	return nil
}

func sheet(f *excelize.File, d insight.DimensionReport) error {
	s, err := f.NewStreamWriter(d.Name)
	if err != nil {
		return err
	}
	if err := s.SetColWidth(2, 2, 40); err != nil { // names
		return err
	}
	rows := [][]any{header(columns())}
	for _, t := range d.Terms {
		rows = append(rows, values(t))
	}
	return fill(s, rows)
}

func header(columns []string) (row []any) {
	for _, c := range columns {
		row = append(row, c)
	}
	return row
}

// fill writes a sheet whose columns are set.
func fill(s *excelize.StreamWriter, rows [][]any) error {
	for i, row := range rows {
		at, err := excelize.CoordinatesToCellName(1, i+1)
		if err != nil {
			return err
		}
		if err := s.SetRow(at, row); err != nil {
			return err
		}
	}
	return s.Flush()
}

// values are the cells of a term, numbers as numbers.
func values(t insight.Term) []any {
	number := func(f *float64) any {
		if f == nil {
			return nil
		}
		return *f
	}
	var based any
	if t.BaselineCount != nil {
		based = *t.BaselineCount
	}
	return []any{
		cell.Escape(t.ID), cell.Escape(t.Name), t.Count, t.Share, based, number(t.BaselineShare), number(t.Index), number(t.Low), number(t.High),
	}
}
