package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"throng"
	"throng/insight"
	"throng/service"
)

// compare shows what audiences have in common. They are named as the API does,
// ?ids=1,2, or as a form does, ?ids=1&ids=2.
func (p *pages) compare(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	v := compareView{Caller: c.Name, Title: "Audiences compared"}
	ids, ok := comparedIDs(r.URL.Query()["ids"])
	if !ok || len(ids) < 2 {
		v.Problem = "Choose two to six audiences in the list."
		p.show(w, r, http.StatusBadRequest, comparePage(v))
		return nil
	}
	found, err := p.cfg.Service.CompareAudiences(r.Context(), c, ids, service.InsightQuery{Order: insight.ByCount, Limit: insight.MaxLimit})
	if code := throng.CodeOf(err); err != nil && (code == throng.Invalid || code == throng.Conflict) {
		v.Problem = problemText(err)
		p.show(w, r, http.StatusBadRequest, comparePage(v))
		return nil
	}
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, comparePage(newCompareView(v, found)))
	return nil
}

func comparedIDs(given []string) (ids []int64, ok bool) {
	for text := range strings.SplitSeq(strings.Join(given, ","), ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, true
}

// problemText says everything that is wrong.
func problemText(err error) string {
	refusal, ok := errors.AsType[*throng.Error](err)
	if !ok || len(refusal.Details) == 0 {
		return throng.MessageOf(err)
	}
	said := make([]string, len(refusal.Details))
	for i, d := range refusal.Details {
		said[i] = d.Path + " " + d.Message
	}
	return strings.Join(said, "; ")
}

func newCompareView(v compareView, found *service.Comparison) compareView {
	names := map[int64]string{}
	place := map[int64]int{}
	var sizes []uint64
	for i, a := range found.Audiences {
		names[a.ID], place[a.ID] = a.Name, i
		v.Audiences = append(v.Audiences, a.Name)
		sizes = append(sizes, deref(a.Size))
	}
	v.Title = strings.Join(v.Audiences, ", ")
	v.Note = strings.Join(found.Warnings, "; ")
	var parts []intersection
	for _, of := range found.Intersections {
		row := intersectionView{Size: size(of.Size), Exclusive: size(of.Exclusive)}
		var in []int
		var said, ids []string
		for _, id := range of.IDs {
			in, said, ids = append(in, place[id]), append(said, names[id]), append(ids, strconv.FormatInt(id, 10))
		}
		row.Names, row.IDs = strings.Join(said, " + "), strings.Join(ids, ",")
		v.Intersections = append(v.Intersections, row)
		parts = append(parts, intersection{in, deref(of.Exclusive)})
	}
	v.Upset = newUpset(v.Audiences, sizes, parts)
	for _, o := range found.Pairs {
		v.Pairs = append(v.Pairs, pairView{
			First: names[o.A], Second: names[o.B], Both: size(o.Intersection), Either: size(o.Union),
			Jaccard: ratio(o.Jaccard), FirstIn: share(o.Containment[0]), SecondIn: share(o.Containment[1]),
		})
	}
	if found.Report != nil {
		v.Short = [2]string{cut(v.Audiences[0], 24), cut(v.Audiences[1], 24)}
		for _, d := range found.Report.Dimensions {
			if len(d.Terms) > 0 {
				v.Dimensions = append(v.Dimensions, newDimensionView(d))
			}
		}
	}
	return v
}

func ratio(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.3f", *v)
}
