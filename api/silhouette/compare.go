package silhouette

import (
	"net/http"
	"strconv"
	"strings"

	"throng"
	"throng/insight"
	"throng/service"
)

func (h *handlers) compareAudiences(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	v := r.URL.Query()
	q := service.InsightQuery{Order: insight.Order(v.Get("order"))}
	q.Limit, q.Problems = insightLimit(v)
	var ids []int64
	for text := range strings.SplitSeq(v.Get("ids"), ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			q.Problems = append(q.Problems, throng.Detail{Path: "ids", Message: "must be ids of audiences between commas, as in 1,2"})
			break
		}
		ids = append(ids, id)
	}
	found, err := h.svc.CompareAudiences(r.Context(), c, ids, q)
	if err != nil {
		return err
	}
	return answer(w, fromComparison(found))
}

type wireComparison struct {
	Generation    string                    `json:"generation"`
	Audiences     []wireCompared            `json:"audiences"`
	Intersections []wireIntersection        `json:"intersections"`
	Pairs         []wireOverlap             `json:"pairs"`
	Dimensions    *byDimension[[]wireShare] `json:"dimensions,omitempty"`
	Coverage      *byDimension[wireCover]   `json:"coverage,omitempty"`
	Warnings      []string                  `json:"warnings"`
}

type wireCompared struct {
	ID   int64   `json:"id"`
	Name string  `json:"name"`
	Size *uint64 `json:"size"`
}

type wireIntersection struct {
	IDs       []int64 `json:"ids"`
	Exclusive *uint64 `json:"exclusive"`
	Size      *uint64 `json:"size"`
}

type wireOverlap struct {
	IDs          [2]int64    `json:"ids"`
	Intersection *uint64     `json:"intersection"`
	Union        *uint64     `json:"union"`
	Jaccard      *float64    `json:"jaccard"`
	Containment  [2]*float64 `json:"containment"`
}

func fromComparison(c *service.Comparison) wireComparison {
	v := wireComparison{
		Generation: c.Generation, Audiences: []wireCompared{}, Intersections: []wireIntersection{}, Pairs: []wireOverlap{},
		Warnings: notNil(c.Warnings),
	}
	for _, a := range c.Audiences {
		v.Audiences = append(v.Audiences, wireCompared(a))
	}
	for _, i := range c.Intersections {
		v.Intersections = append(v.Intersections, wireIntersection(i))
	}
	for _, p := range c.Pairs {
		v.Pairs = append(v.Pairs, wireOverlap{[2]int64{p.A, p.B}, p.Intersection, p.Union, p.Jaccard, p.Containment})
	}
	if c.Report != nil {
		terms, coverage := fromDimensions(c.Report.Dimensions)
		v.Dimensions, v.Coverage = &terms, &coverage
	}
	return v
}
