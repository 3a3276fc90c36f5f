package web

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"throng"
	"throng/api"
	"throng/insight"
	"throng/insight/table"
	"throng/service"
)

const (
	// pageTerms is how many terms of a dimension a page shows: half of them from
	// above, half from below.
	pageTerms = 16
	// pageFindings is how many terms of all dimensions begin a page.
	pageFindings = 9
	// clusterTerms is how many terms tell what a group is about.
	clusterTerms = 5
)

// dimensionWords are what dimensions are called on pages, and their terms.
var dimensionWords = map[string][2]string{
	"age": {"Age", "Years"}, "gender": {"Gender", "Gender"}, "ethnicity": {"Ethnicity", "Ethnicity"},
	"country": {"Countries", "Country"}, "region": {"Regions", "Region"}, "dma": {"Market areas", "Market area"}, "city": {"Cities", "City"},
	"affinity": {"Affinities", "Affinity"}, "personality": {"Personality", "Trait"},
	"job_title": {"Job titles", "Job title"}, "employer": {"Employers", "Employer"},
	"twitter": {"Twitter accounts", "Account"}, "twitch": {"Twitch channels", "Channel"}, "youtube": {"YouTube channels", "Channel"},
	"instagram": {"Instagram accounts", "Account"}, "tiktok": {"TikTok accounts", "Account"},
}

// sharesOf are the dimensions of few terms, of which all are shown.
var sharesOf = map[string]bool{"age": true, "gender": true, "ethnicity": true}

// baselineWords are what the baselines that every dataset has are called.
var baselineWords = map[string]string{
	"global": "everyone", "usa": "the USA", "usa_males": "men of the USA", "usa_females": "women of the USA", "uk": "the United Kingdom",
	"canada": "Canada", "france": "France", "germany": "Germany", "italy": "Italy", "spain": "Spain",
}

// baselineName is what a baseline is called on pages.
func baselineName(name string) string {
	if words, ok := baselineWords[name]; ok {
		return words
	}
	if id, ok := strings.CutPrefix(name, "audience:"); ok {
		return "audience " + id
	}
	return name
}

// publicReport answers whoever has a link.
func (p *pages) publicReport(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address is the key
	w.Header().Set("X-Robots-Tag", "noindex")
	i, err := p.cfg.Service.PublicReport(r.Context(), chi.URLParam(r, "token"), service.InsightQuery{Order: insight.ByCount, Limit: insight.MaxLimit})
	switch {
	case throng.CodeOf(err) == throng.NotFound && err != nil:
		p.show(w, r, http.StatusNotFound, errorPage("", "This link does not work", "It may have expired, or have been replaced by a new one. Ask whoever gave it to you."))
	case err != nil:
		p.fail(w, r, nil, err)
	case i.Report == nil:
		p.show(w, r, http.StatusNotFound, errorPage("", "Nothing to show", i.SizeHidden))
	default:
		p.show(w, r, http.StatusOK, publicReportPage(newReportView(i)))
	}
}

// report shows a caller the report on an audience of theirs.
func (p *pages) report(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	baseline := r.URL.Query().Get("baseline")
	i, err := p.cfg.Service.Insight(r.Context(), c, id, service.InsightQuery{Baseline: baseline, Order: insight.ByCount, Limit: insight.MaxLimit})
	if err != nil {
		return err
	}
	self := fmt.Sprintf("/audiences/%d/report", id)
	if i.Report == nil {
		v := reportView{Caller: c.Name, Title: i.AudienceName, Self: self, AudienceURL: fmt.Sprintf("/audiences/%d", id)}
		switch v.Running = i.Status == throng.Running; {
		case v.Running:
			v.Problem = "The report is being made."
		case i.Failure != nil:
			v.Problem = "The report failed: " + i.Failure.Message
		default:
			v.Problem = i.SizeHidden
		}
		p.show(w, r, http.StatusOK, reportPending(v))
		return nil
	}
	v := newReportView(i)
	v.Caller, v.Self, v.AudienceURL = c.Name, self, fmt.Sprintf("/audiences/%d", id)
	if v.Baselines, err = p.baselines(r, c, i); err != nil {
		return err
	}
	query := url.Values{"baseline": {i.Report.Baseline.Name}}
	v.CSV, v.XLSX = self+"/csv?"+query.Encode(), self+"/xlsx?"+query.Encode()
	p.show(w, r, http.StatusOK, reportPage(v))
	return nil
}

// orderReport has the report made, and shows how it stands.
func (p *pages) orderReport(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	if _, err := p.cfg.Service.RequestInsight(r.Context(), c, id, service.InsightRequest{}, nil); err != nil {
		return err
	}
	http.Redirect(w, r, fmt.Sprintf("/audiences/%d/report", id), http.StatusSeeOther)
	return nil
}

// reportFile sends the report as a file, with as many terms as there can be.
func (p *pages) reportFile(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	format, ok := table.FormatOf(chi.URLParam(r, "format"))
	if !ok {
		return throng.Errorf(throng.NotFound, "there is no such file")
	}
	i, err := p.cfg.Service.Insight(r.Context(), c, id, service.InsightQuery{
		Baseline: r.URL.Query().Get("baseline"), Order: insight.ByCount, Limit: insight.MaxLimit,
	})
	if err != nil {
		return err
	}
	if i.Report == nil {
		return throng.Errorf(throng.NotFound, "there is no report to be sent")
	}
	return api.SendReport(w, i, format)
}

// baselines are those that the caller may choose for a report: the ones it was
// counted with, and the caller's latest finished audiences.
func (p *pages) baselines(r *http.Request, c *throng.Caller, i *service.Insight) ([]baselineChoice, error) {
	var list []baselineChoice
	for _, b := range i.Report.Baselines {
		list = append(list, baselineChoice{Key: b.Name, Name: baselineName(b.Name)})
	}
	audiences, _, err := p.cfg.Service.ListAudiences(r.Context(), c, service.AudienceFilter{Status: throng.Done, Page: throng.Page{Limit: 20}})
	if err != nil {
		return nil, err
	}
	for _, a := range audiences {
		if a.ID != i.AudienceID {
			list = append(list, baselineChoice{Key: fmt.Sprintf("audience:%d", a.ID), Name: a.Name})
		}
	}
	for n := range list {
		list[n].Chosen = list[n].Key == i.Report.Baseline.Name
	}
	return list, nil
}

// newReportView words a report that lists all terms.
func newReportView(i *service.Insight) reportView {
	r := i.Report
	v := reportView{
		Title: i.AudienceName, Size: group(r.Size), Generation: r.Generation, AsOf: r.AsOf.UTC().Format("2 January 2006"),
		Baseline: fmt.Sprintf("%s · %s people", baselineName(r.Baseline.Name), group(r.Baseline.Size)),
		Findings: findings(r),
	}
	if r.Minimum > 1 {
		v.Minimum = fmt.Sprintf("What fewer than %d of them have is left out.", r.Minimum)
	}
	v.Licence = strings.Join(slices.DeleteFunc([]string{r.Source, r.License}, func(s string) bool { return s == "" }), " · ")
	for _, d := range r.Dimensions {
		if d.Coverage != nil {
			v.Coverage = append(v.Coverage, coverageView{dimensionWords[d.Name][0], share(d.Coverage.Share), share(d.Coverage.BaselineShare)})
		}
		if len(d.Terms) > 0 {
			v.Dimensions = append(v.Dimensions, newDimensionView(d))
		}
	}
	for _, c := range r.Clusters {
		v.Clusters = append(v.Clusters, newClusterView(c))
	}
	v.ClusterNote = "Members who share tastes, found by what they have in common."
	if r.Unclustered > 0 {
		v.ClusterNote += fmt.Sprintf(" %s of them have too little to go by.", group(r.Unclustered))
	}
	return v
}

func newClusterView(c insight.Cluster) clusterView {
	v := clusterView{Name: c.Name, Size: fmt.Sprintf("%s people · %s", group(c.Size), percent(c.Share)), Width: int(math.Round(chartWidth * c.Share))}
	for _, t := range c.Top[:min(clusterTerms, len(c.Top))] {
		words := t.Name
		if t.Index != nil {
			words += ", " + times(*t.Index)
		}
		v.Terms = append(v.Terms, words)
	}
	return v
}

// newDimensionView shows the terms of a dimension: all of one of few terms, in
// their own order; of the others those furthest above and below 100.
func newDimensionView(d insight.DimensionReport) dimensionView {
	words := dimensionWords[d.Name]
	v := dimensionView{ID: "dimension-" + d.Name, Name: words[0], Term: words[1], Shares: sharesOf[d.Name]}
	known := ""
	if d.Coverage != nil && d.Coverage.Share != nil {
		known = fmt.Sprintf("Of the %s of whom it is known. ", percent(*d.Coverage.Share))
	}
	terms := slices.Clone(d.Terms)
	if v.Shares {
		v.Note = known
		slices.SortFunc(terms, func(a, b insight.Term) int { return cmp.Compare(a.ID, b.ID) })
	} else {
		terms = furthest(terms)
		v.Note = known + fmt.Sprintf("%d of %s terms: those furthest from the baseline.", len(terms), group(uint64(d.Total)))
		if len(terms) == d.Total {
			v.Note = known
		}
	}
	most := 0.0
	for _, t := range terms {
		most = max(most, t.Share, deref(t.BaselineShare))
	}
	for _, t := range terms {
		v.Rows = append(v.Rows, newTermView(t, most))
	}
	return v
}

// furthest picks the terms whose interval is furthest above 100 and furthest
// below, most over-indexed first; where these are few, others that are common.
func furthest(terms []insight.Term) []insight.Term {
	if len(terms) > pageTerms {
		slices.SortStableFunc(terms, func(a, b insight.Term) int { return cmp.Compare(strength(b), strength(a)) })
		terms = terms[:pageTerms]
	}
	slices.SortStableFunc(terms, func(a, b insight.Term) int { return cmp.Compare(deref(b.Index), deref(a.Index)) })
	return terms
}

// strength is how far an index is from 100 at least, by its interval, as a
// logarithm; 0 where 100 is within, so that what is sure comes first.
func strength(t insight.Term) float64 {
	switch {
	case t.Index == nil || t.Low == nil || t.High == nil:
		return 0
	case *t.Low > 100:
		return math.Log(*t.Low / 100)
	case *t.High < 100 && *t.High > 0:
		return -math.Log(*t.High / 100)
	}
	return 0
}

func newTermView(t insight.Term, most float64) termView {
	v := termView{
		ID: t.ID, Name: t.Name, Count: group(t.Count), Share: percent(t.Share), BaselineShare: share(t.BaselineShare),
		IndexText: "–", Interval: "–", ShareBar: newShareBar(t.Share, deref(t.BaselineShare), most),
		Index: indexBar{X: chartWidth / 2, Low: chartWidth / 2, High: chartWidth / 2, Class: "base"},
	}
	if t.Index != nil {
		v.IndexText = fmt.Sprintf("%.0f", *t.Index)
	}
	if t.Index != nil && t.Low != nil && t.High != nil {
		v.Index = newIndexBar(*t.Index, *t.Low, *t.High)
		v.Interval = fmt.Sprintf("%.0f–%.0f", *t.Low, *t.High)
	}
	return v
}

// findings are the terms that set the audience most apart, of all dimensions:
// two thirds from above. No dimension may have more than a third of them.
func findings(r *insight.Report) (list []findingView) {
	type found struct {
		insight.Term
		dimension string
	}
	var all []found
	for _, d := range r.Dimensions {
		for _, t := range d.Terms {
			if strength(t) > 0 {
				all = append(all, found{t, d.Name})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(strength(b.Term), strength(a.Term)) })
	of, less := map[string]int{}, 0
	for _, f := range all {
		under := *f.Index < 100
		if len(list) == pageFindings || of[f.dimension] == pageFindings/3 || under && less == pageFindings/3 {
			continue
		}
		of[f.dimension]++
		v := findingView{Times: times(*f.Index), Term: f.Name, Text: fmt.Sprintf("%s · %s here, %s of %s",
			dimensionWords[f.dimension][0], percent(f.Share), share(f.BaselineShare), baselineName(r.Baseline.Name))}
		if under {
			less++
			v.Class = "less"
		}
		list = append(list, v)
	}
	return list
}

// deref gives what a pointer points to, zero for nil: what is withheld draws
// nothing.
func deref[T any](v *T) (value T) {
	if v != nil {
		value = *v
	}
	return value
}

// share words a share that may be withheld.
func share(v *float64) string {
	if v == nil {
		return "–"
	}
	return percent(*v)
}
