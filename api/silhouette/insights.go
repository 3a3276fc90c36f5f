package silhouette

import (
	"net/http"
	"net/url"
	"strconv"

	"throng"
	"throng/insight"
	"throng/insight/table"
	"throng/service"
)

func (h *handlers) createInsight(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, body, err := audienceAndBody(w, r)
	if err != nil {
		return err
	}
	return h.once(w, r, c, notNil(body), fromOrdered, func(once *service.Once) (any, error) {
		return h.svc.RequestInsight(r.Context(), c, id, decodeInsight(body), once)
	})
}

func (h *handlers) getInsight(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	file, q := insightQuery(r.URL.Query())
	i, err := h.svc.Insight(r.Context(), c, id, q)
	if err != nil {
		return err
	}
	if file == nil {
		return answer(w, fromInsight(i))
	}
	return sendReport(w, i, *file)
}

func (h *handlers) getPublicLink(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	link, err := h.svc.PublicLink(r.Context(), c, id)
	if err != nil {
		return err
	}
	return answer(w, h.fromLink(link))
}

func (h *handlers) createPublicLink(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, body, err := audienceAndBody(w, r)
	if err != nil {
		return err
	}
	return h.once(w, r, c, notNil(body), h.fromLink, func(once *service.Once) (any, error) {
		return h.svc.ReplacePublicLink(r.Context(), c, id, decodePublicLink(body), once)
	})
}

// insightQuery reads how a report is asked for, and the sort of file, nil where
// it is asked for as JSON. What is wrong is in its Problems.
func insightQuery(v url.Values) (file *table.Format, q service.InsightQuery) {
	q = service.InsightQuery{Baseline: v.Get("baseline"), Order: insight.Order(v.Get("order"))}
	q.Limit, q.Problems = insightLimit(v)
	if name := v.Get("format"); name != "" && name != "json" {
		format, ok := table.FormatOf(name)
		if !ok {
			q.Problems = append(q.Problems, throng.Detail{Path: "format", Message: "must be json, csv or xlsx"})
		}
		file = &format
	}
	return file, q
}

// insightLimit reads how many terms of each dimension are asked for.
func insightLimit(v url.Values) (limit int, problems []throng.Detail) {
	text := v.Get("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > insight.MaxLimit {
		message := "must be a number from 1 to " + strconv.Itoa(insight.MaxLimit)
		return 0, []throng.Detail{{Path: "limit", Message: message}}
	}
	return n, nil
}

// decodeInsight reads the body of POST /audiences/{id}/insight, which may be
// empty.
func decodeInsight(body []byte) service.InsightRequest {
	if body == nil {
		return service.InsightRequest{}
	}
	r := &throng.Reader{}
	var req service.InsightRequest
	if o := r.Object(body, ""); o != nil {
		req.CallbackURL = insightURL(r, o)
	}
	req.Problems, _ = r.Findings()
	return req
}

// insightURL reads insight_callback_url, in either spelling.
func insightURL(r *throng.Reader, o *throng.Object) string {
	address := optionalText(r, o, "insight_callback_url")
	other := optionalText(r, o, "insights_callback_url")
	if other == "" {
		return address
	}
	if address != "" && address != other {
		r.Bad("insights_callback_url", "differs from insight_callback_url")
	}
	return other
}

// decodePublicLink reads the body of POST /audiences/{id}/insight/public-link,
// which may be empty.
func decodePublicLink(body []byte) service.PublicLinkRequest {
	if body == nil {
		return service.PublicLinkRequest{}
	}
	r := &throng.Reader{}
	var req service.PublicLinkRequest
	if o := r.Object(body, ""); o != nil {
		req.Baseline, req.ExpireAt = optionalText(r, o, "baseline"), optionalText(r, o, "expire_at")
	}
	req.Problems, _ = r.Findings()
	return req
}
