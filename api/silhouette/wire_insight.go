package silhouette

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"throng"
	"throng/insight"
	"throng/service"
)

// insightState is how the report on an audience stands.
type insightState struct {
	Status throng.Status   `json:"status"`
	Error  *throng.Failure `json:"error,omitempty"`
}

func fromInsightState(s *throng.InsightState) *insightState {
	if s == nil {
		return nil
	}
	return &insightState{s.Status, s.Failure}
}

// ordered answers the order of a report.
type ordered struct {
	AudienceID int64         `json:"audience_id"`
	Status     throng.Status `json:"status"`
}

func fromOrdered(made any) any {
	i, ok := made.(*service.Insight)
	if !ok {
		return nil
	}
	return ordered{i.AudienceID, i.Status}
}

// wireInsight is a report; of one that is not done only the first keys are
// there.
type wireInsight struct {
	AudienceID int64           `json:"audience_id"`
	Status     throng.Status   `json:"status"`
	Error      *throng.Failure `json:"error,omitempty"`
	*wireReport
}

type wireReport struct {
	Hash        string                   `json:"insights_hash"`
	Size        *uint64                  `json:"size"`
	SizeReason  string                   `json:"size_reason,omitempty"`
	Generation  string                   `json:"generation"`
	AsOf        *time.Time               `json:"as_of"`
	Baseline    *wireBaseline            `json:"baseline"`
	Minimum     uint64                   `json:"minimum"`
	Dimensions  byDimension[[]wireShare] `json:"dimensions"`
	Coverage    byDimension[wireCover]   `json:"coverage"`
	Clusters    []wireCluster            `json:"clusters"`
	Unclustered uint64                   `json:"unclustered"`
	Warnings    []string                 `json:"warnings"`
}

type wireBaseline struct {
	Name string `json:"name"`
	Size uint64 `json:"size"`
}

type wireShare struct {
	ID            string   `json:"id"`
	Name          string   `json:"name"`
	Count         uint64   `json:"count"`
	Share         float64  `json:"share"`
	BaselineCount *uint64  `json:"baseline_count"`
	BaselineShare *float64 `json:"baseline_share"`
	Index         *float64 `json:"index"`
	Low           *float64 `json:"low"`
	High          *float64 `json:"high"`
}

type wireCover struct {
	Share         *float64 `json:"share"`
	BaselineShare *float64 `json:"baseline_share"`
}

type wireCluster struct {
	ID    int              `json:"id"`
	Size  uint64           `json:"size"`
	Share float64          `json:"share"`
	Name  string           `json:"name"`
	Top   []wireClusterTop `json:"top"`
}

type wireClusterTop struct {
	Dimension string `json:"dimension"`
	wireShare
}

// byDimension is an object with a key for each of some dimensions, in reading
// order.
type byDimension[T any] struct {
	names  []string
	values []T
}

func (b *byDimension[T]) add(name string, value T) {
	b.names, b.values = append(b.names, name), append(b.values, value)
}

// MarshalJSON implements json.Marshaler.
func (b byDimension[T]) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	out.WriteByte('{')
	for i, name := range b.names {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "%q:", name)
		if err := enc.Encode(b.values[i]); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func fromInsight(i *service.Insight) wireInsight {
	v := wireInsight{AudienceID: i.AudienceID, Status: i.Status, Error: i.Failure}
	switch {
	case i.Report != nil:
		v.wireReport = fromReport(i.Report)
	case i.SizeHidden != "":
		v.wireReport = &wireReport{SizeReason: i.SizeHidden, Clusters: []wireCluster{}, Warnings: []string{}}
	}
	return v
}

func fromReport(r *insight.Report) *wireReport {
	v := &wireReport{
		Hash: r.Hash, Size: &r.Size, Generation: r.Generation, AsOf: moment(r.AsOf),
		Baseline: &wireBaseline{r.Baseline.Name, r.Baseline.Size}, Minimum: r.Minimum,
		Clusters: []wireCluster{}, Unclustered: r.Unclustered, Warnings: notNil(r.Warnings),
	}
	v.Dimensions, v.Coverage = fromDimensions(r.Dimensions)
	for _, c := range r.Clusters {
		w := wireCluster{ID: c.ID, Size: c.Size, Share: c.Share, Name: c.Name, Top: []wireClusterTop{}}
		for _, t := range c.Top {
			w.Top = append(w.Top, wireClusterTop{t.Dimension, fromTerm(t.Term)})
		}
		v.Clusters = append(v.Clusters, w)
	}
	return v
}

func fromDimensions(list []insight.DimensionReport) (terms byDimension[[]wireShare], coverage byDimension[wireCover]) {
	for _, d := range list {
		shares := make([]wireShare, len(d.Terms))
		for i, t := range d.Terms {
			shares[i] = fromTerm(t)
		}
		terms.add(d.Name, shares)
		if d.Coverage != nil {
			coverage.add(d.Name, wireCover{d.Coverage.Share, d.Coverage.BaselineShare})
		}
	}
	return terms, coverage
}

func fromTerm(t insight.Term) wireShare {
	return wireShare{t.ID, t.Name, t.Count, t.Share, t.BaselineCount, t.BaselineShare, t.Index, t.Low, t.High}
}

// Insight gives what GET /audiences/{id}/insight answers, envelope and all.
func (r Renderer) Insight(i *service.Insight) ([]byte, error) { return wrap(fromInsight(i)) }

// PublicPath is where the pages of public links are, below the server's URL; a
// link's token follows.
const PublicPath = "/public/"

type wireLink struct {
	AudienceID int64  `json:"audience_id"`
	Hash       string `json:"insights_hash"`
	Link       string `json:"public_link"`
}

func (h *handlers) fromLink(made any) any {
	l, ok := made.(*service.PublicLink)
	if !ok {
		return nil
	}
	return wireLink{l.AudienceID, l.Hash, h.cfg.URL() + PublicPath + l.Token}
}
