package table

import (
	"io"

	"throng/insight"
)

// Format is a sort of file that reports are written as.
type Format struct {
	// Ending is that of such a file's name, and what the sort is called in
	// requests.
	Ending string
	// ContentType is what HTTP calls it.
	ContentType string
	// Write writes a report. The same report is the same bytes.
	Write func(w io.Writer, r *insight.Report) error
}

// FormatOf finds the sort of an ending, csv or xlsx, and tells whether there is
// one.
func FormatOf(ending string) (f Format, ok bool) {
	switch ending {
	case "csv":
		return Format{ending, "text/csv; charset=utf-8", CSV}, true
	case "xlsx":
		return Format{ending, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", XLSX}, true
	}
	return Format{}, false
}
