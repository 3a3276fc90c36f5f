package silhouette

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"throng"
	"throng/insight/table"
	"throng/service"
)

// The formats of a report beside JSON.
const (
	formatCSV  = "csv"
	formatXLSX = "xlsx"
)

// sendReport answers with a report as a file. Conflict where there is none yet.
func sendReport(w http.ResponseWriter, i *service.Insight, format string) error {
	if i.Report == nil {
		return noReport(i)
	}
	var b bytes.Buffer
	write, media := table.CSV, "text/csv; charset=utf-8"
	if format == formatXLSX {
		write, media = table.XLSX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	}
	if err := write(&b, i.Report); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="audience-%d-insight.%s"`, i.AudienceID, format))
	h.Set("Cache-Control", "private, no-cache")
	_, _ = w.Write(b.Bytes()) // a client that is gone reads nothing
	return nil
}

// noReport says why a report has no file.
func noReport(i *service.Insight) error {
	if i.SizeHidden != "" {
		return throng.Errorf(throng.Conflict, "the insight of audience %d is withheld: the audience has %s", i.AudienceID, i.SizeHidden)
	}
	return throng.Errorf(throng.Conflict, "the insight of audience %d is not done: its status is %s", i.AudienceID, i.Status)
}
