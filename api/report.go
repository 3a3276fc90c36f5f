package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"throng/insight/table"
	"throng/service"
)

// SendReport answers with a report, which must be there, as a file. An error
// was not answered yet.
func SendReport(w http.ResponseWriter, i *service.Insight, f table.Format) error {
	var b bytes.Buffer
	if err := f.Write(&b, i.Report); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", f.ContentType)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fmt.Sprintf("audience-%d-insight.%s", i.AudienceID, f.Ending)))
	_, _ = b.WriteTo(w) // a client that is gone reads nothing
	return nil
}
