package silhouette

import (
	"net/http"

	"throng"
	"throng/api"
	"throng/insight/table"
	"throng/service"
)

// sendReport answers with a report as a file. Conflict where there is none yet.
func sendReport(w http.ResponseWriter, i *service.Insight, f table.Format) error {
	if i.Report == nil {
		return noReport(i)
	}
	w.Header().Set("Cache-Control", "private, no-cache")
	return api.SendReport(w, i, f)
}

// noReport says why a report has no file.
func noReport(i *service.Insight) error {
	if i.SizeHidden != "" {
		return throng.Errorf(throng.Conflict, "the insight of audience %d is withheld: the audience has %s", i.AudienceID, i.SizeHidden)
	}
	return throng.Errorf(throng.Conflict, "the insight of audience %d is not done: its status is %s", i.AudienceID, i.Status)
}
