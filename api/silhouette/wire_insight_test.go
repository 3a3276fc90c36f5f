package silhouette

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/insight"
	"throng/service"
)

// TestRenderInsight words reports byte by byte: the dimensions stand in reading
// order.
func TestRenderInsight(t *testing.T) {
	r := &insight.Report{
		Generation: "00000001", AsOf: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Hash: "abc", Size: 100,
		Baseline: insight.Baseline{Name: "usa", Size: 1000}, Minimum: 10,
		Clusters: []insight.Cluster{{ID: 1, Size: 60, Share: 0.6, Name: "Soccer <& Tea>", Top: []insight.ClusterTerm{
			{Dimension: "affinity", Term: insight.Term{ID: "a1", Name: "Soccer", Count: 50, Share: 0.5}},
		}}},
		Unclustered: 40, Warnings: []string{"w"},
	}
	for _, d := range insight.Dimensions() {
		r.Dimensions = append(r.Dimensions, insight.DimensionReport{Dimension: d})
	}
	r.Dimensions[1].Coverage = &insight.Coverage{Share: new(0.5)}
	r.Dimensions[7].Terms = []insight.Term{{
		ID: "a1", Name: "Soccer", Count: 50, Share: 0.5, BaselineCount: new(uint64(100)), BaselineShare: new(0.1), Index: new(500.0),
		Low: new(400.5), High: new(600.25),
	}}
	const envelope = `"information":{"version":"0.0.1"}}` + "\n"
	for want, i := range map[string]*service.Insight{
		`{"response":{"audience_id":7,"status":"running"},` + envelope: {AudienceID: 7, Status: throng.Running},
		`{"response":{"audience_id":7,"status":"failed","error":{"code":"internal","message":"m","retry":true}},` + envelope: {
			AudienceID: 7, Status: throng.Failed, Failure: &throng.Failure{Code: "internal", Message: "m", Retry: true},
		},
		`{"response":{"audience_id":7,"status":"done","insights_hash":"","size":null,"size_reason":"few","generation":"","as_of":null,"baseline":null,` +
			`"minimum":0,"dimensions":{},"coverage":{},"clusters":[],"unclustered":0,"warnings":[]},` + envelope: {AudienceID: 7, Status: throng.Done, SizeHidden: "few"},
		`{"response":{"audience_id":7,"status":"done","insights_hash":"abc","size":100,"generation":"00000001","as_of":"2026-11-01T00:00:00Z",` +
			`"baseline":{"name":"usa","size":1000},"minimum":10,"dimensions":{"age":[],"gender":[],"ethnicity":[],"country":[],"region":[],"dma":[],"city":[],` +
			`"affinity":[{"id":"a1","name":"Soccer","count":50,"share":0.5,"baseline_count":100,"baseline_share":0.1,"index":500,"low":400.5,"high":600.25}],` +
			`"personality":[],"job_title":[],"employer":[],"twitter":[],"twitch":[],"youtube":[],"instagram":[],"tiktok":[]},` +
			`"coverage":{"gender":{"share":0.5,"baseline_share":null}},"clusters":[{"id":1,"size":60,"share":0.6,"name":"Soccer <& Tea>","top":[{"dimension":"affinity",` +
			`"id":"a1","name":"Soccer","count":50,"share":0.5,"baseline_count":null,"baseline_share":null,"index":null,"low":null,"high":null}]}],` +
			`"unclustered":40,"warnings":["w"]},` + envelope: {AudienceID: 7, Status: throng.Done, Report: r},
	} {
		got, err := Renderer{}.Insight(i)
		if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
			t.Errorf("Insight(%+v): %v (-want +got):\n%s", i, err, diff)
		}
	}
}
