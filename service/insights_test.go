package service

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/insight"
)

// all has every term of a report listed.
func all(c *Config) { c.InsightMinimum = 1 }

// insightDone waits until a report is not running any more.
func (s *testService) insightDone(c *throng.Caller, id int64, q InsightQuery) *Insight {
	s.t.Helper()
	var i *Insight
	waitFor(s.t, func() bool {
		var err error
		if i, err = s.Insight(s.t.Context(), c, id, q); err != nil {
			s.t.Fatalf("Insight(%d): %v", id, err)
		}
		return i.Status != throng.Running
	})
	return i
}

// insight orders a report and waits until it is done.
func (s *testService) insight(c *throng.Caller, id int64, q InsightQuery) *insight.Report {
	s.t.Helper()
	if _, err := s.RequestInsight(s.t.Context(), c, id, InsightRequest{}, nil); err != nil {
		s.t.Fatalf("RequestInsight(%d): %v", id, err)
	}
	i := s.insightDone(c, id, q)
	if i.Status != throng.Done || i.Report == nil {
		s.t.Fatalf("insight of audience %d = %+v, want it done", id, i)
	}
	return i.Report
}

// counted is the counts of a report's terms, by dimension.
func counted(r *insight.Report) map[string]string {
	out := map[string]string{}
	for _, d := range r.Dimensions {
		var words []string
		for _, t := range d.Terms {
			words = append(words, fmt.Sprintf("%s=%d", t.Name, t.Count))
		}
		if len(words) > 0 {
			out[d.Name] = strings.Join(words, " ")
		}
	}
	return out
}

func (s *testService) credits(c *throng.Caller) int64 {
	s.t.Helper()
	got, err := s.Credits(s.t.Context(), c)
	if err != nil {
		s.t.Fatal(err)
	}
	return got.Insights
}

func TestInsight(t *testing.T) {
	s := start(t, all)
	two := int64(2)
	c := s.add("c", CallerSettings{Insights: &two, Grants: &[]throng.Grant{throng.LocationFirst}})
	a := s.build(c, `[{"operation":"OR","location":{"cities":[{"id":"c1"}]}}]`) // p1 p2 p6 p8
	if a.Insight != nil {
		t.Errorf("insight of a new audience = %+v, want nil", a.Insight)
	}
	_, err := s.Insight(t.Context(), c, a.ID, InsightQuery{})
	wantCode(t, err, throng.NotFound)

	r := s.insight(c, a.ID, InsightQuery{Order: insight.ByCount})
	want := map[string]string{
		"age": "18-24=2 25-34=1 45-54=1", "gender": "female=2 male=1", "ethnicity": "white=2 asian=1 native=1",
		"country": "Freedonia=4", "region": "North=4", "dma": "Big Market=4", "city": "East Springfield=4",
		"affinity": "Sports=2 Soccer=2 Robert Example=1", "personality": "challenge=1",
		"job_title": "Analyst=2", "employer": "Acme=2", "twitter": "Alpha Co=2 Twin One=1", "twitch": "A Streamer=1", "tiktok": "k1=1",
	}
	if diff := cmp.Diff(want, counted(r)); diff != "" {
		t.Errorf("terms (-want +got):\n%s", diff)
	}
	if r.Size != 4 || r.Baseline != (insight.Baseline{Name: "global", Size: 8}) || r.Generation != a.Generation || len(r.Hash) != 40 {
		t.Errorf("report = %d people, baseline %+v, generation %s, hash %q", r.Size, r.Baseline, r.Generation, r.Hash)
	}
	// Personality is known of two, one of whom scores high; in the whole it is the same.
	if p := r.Dimensions[8]; p.Terms[0].Share != 0.5 || *p.Terms[0].BaselineShare != 0.5 || *p.Coverage.Share != 0.5 || *p.Coverage.BaselineShare != 0.25 {
		t.Errorf("personality = %+v, coverage %+v", p.Terms[0], p.Coverage)
	}
	if got := s.credits(c); got != 1 {
		t.Errorf("credits left = %d, want 1", got)
	}
	if a, err := s.Audience(t.Context(), c, a.ID); err != nil || a.Insight == nil || a.Insight.Status != throng.Done {
		t.Errorf("audience = %+v, %v, want a done insight", a, err)
	}
	if list, _, err := s.ListAudiences(t.Context(), c, AudienceFilter{}); err != nil || list[0].Insight == nil || list[0].Insight.Status != throng.Done {
		t.Errorf("list = %+v, %v, want a done insight", list, err)
	}
	// Again it is as it was, and costs nothing.
	if i, err := s.RequestInsight(t.Context(), c, a.ID, InsightRequest{}, nil); err != nil || i.Status != throng.Done || s.credits(c) != 1 {
		t.Errorf("again = %+v, %v with %d credits left, want it done, and 1", i, err, s.credits(c))
	}
	if again := s.insight(c, a.ID, InsightQuery{Order: insight.ByCount}); cmp.Diff(r, again) != "" {
		t.Errorf("read again (-want +got):\n%s", cmp.Diff(r, again))
	}
}

func TestInsightBaselines(t *testing.T) {
	s := open(t, all)
	tables := people()
	tables["dataset.json"] = `{"name":"test","as_of":"` + asOf + `","baselines":{
		"golang":{"parameters":[{"operation":"OR","bio_search":{"phrases":["golang"],"search_in_twitter":true,"search_in_instagram":true}}]},
		"unknown":{"parameters":[{"operation":"OR","affinities":{"affinities":[{"id":"zz"}]}}]}}}`
	tables["locations.csv"] = strings.Replace(tables["locations.csv"], "Sylvania", "United States of America", 1)
	tables["locations.csv"] = strings.Replace(tables["locations.csv"], "c2,Springfield,11,1", "c2,Springfield,,230", 1)
	s.load(tables)
	s.run()
	a := s.build(s.caller, `[{"operation":"OR","location":{"cities":[{"id":"c1"}]}}]`) // p1 p2 p6 p8
	b := s.build(s.caller, `[{"operation":"OR","gender":{"genders":["female"]}}]`)     // p1 p3 p5 p8
	other := s.add("other", CallerSettings{Grants: &[]throng.Grant{throng.GenderFirst}})
	theirs := s.build(other, `[{"operation":"OR","gender":{"genders":["female"]}}]`)
	s.insight(s.caller, a.ID, InsightQuery{})
	for name, want := range map[string]string{
		"": "global 8 people: female 4 of 7", "global": "global 8 people: female 4 of 7", "usa": "usa 3 people: female 1 of 3", // p3 p4 p7
		"usa_males": "usa_males 2 people: female 0 of 2", "usa_females": "usa_females 1 people: female 1 of 1",
		"golang": "golang 2 people: female 1 of 2", fmt.Sprintf("audience:%d", b.ID): fmt.Sprintf("audience:%d 4 people: female 4 of 4", b.ID),
	} {
		i, err := s.Insight(t.Context(), s.caller, a.ID, InsightQuery{Baseline: name, Order: insight.ByName})
		if err != nil {
			t.Errorf("Insight(%q): %v", name, err)
			continue
		}
		female := i.Report.Dimensions[1].Terms[0]
		known := 0.0
		if *female.BaselineShare > 0 {
			known = float64(*female.BaselineCount) / *female.BaselineShare
		}
		got := fmt.Sprintf("%s %d people: female %d of %.0f", i.Report.Baseline.Name, i.Report.Baseline.Size, *female.BaselineCount, known)
		if name == "usa_males" {
			if got = fmt.Sprintf("%s of 2", strings.TrimSuffix(got, " of 0")); female.Index != nil {
				t.Errorf("index against nobody = %v, want nil", *female.Index)
			}
		}
		if got != want {
			t.Errorf("Insight(%q) = %s, want %s", name, got, want)
		}
	}
	for name, message := range map[string]string{
		"uk": "Kingdom", "nowhere": "is none of global, usa", "unknown": "affinities", "audience:x": "audience:ID", "audience:99": "your audiences",
		fmt.Sprintf("audience:%d", theirs.ID): "your audiences",
	} {
		_, err := s.Insight(t.Context(), s.caller, a.ID, InsightQuery{Baseline: name})
		wantCode(t, err, throng.Invalid, "baseline")
		if !strings.Contains(err.Error(), message) {
			t.Errorf("Insight(%q): %v, want a word on %s", name, err, message)
		}
	}
	_, err := s.Insight(t.Context(), s.caller, a.ID, InsightQuery{Order: "odd", Limit: 1001, Problems: []throng.Detail{{Path: "format"}}})
	wantCode(t, err, throng.Invalid, "format", "limit", "order")
}

// TestInsightOutlivesGeneration reads a report whose generation is gone: all
// that was counted with it is answered, and audiences are counted anew.
func TestInsightOutlivesGeneration(t *testing.T) {
	s := start(t, all, func(c *Config) { c.KeepGenerations = 1 })
	a, b := s.build(s.caller, everyone), s.build(s.caller, everyone)
	before := s.insight(s.caller, a.ID, InsightQuery{Order: insight.ByCount})
	tables := people()
	tables["people.csv"] = strings.Replace(tables["people.csv"], "p1,20,female,asian,c1,2026-10-31\n", "p0,20,female,,,\n", 1)
	for _, name := range []string{"identifiers.csv", "follows.csv", "interests.csv", "jobs.csv", "personality.csv", "bios.csv"} {
		tables[name] = strings.ReplaceAll(tables[name], "p1,", "p0,")
	}
	s.load(tables)
	if err := s.SweepGenerations(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, s.insight(s.caller, a.ID, InsightQuery{Order: insight.ByCount})); diff != "" {
		t.Errorf("report after a load (-want +got):\n%s", diff)
	}
	self := s.insight(s.caller, a.ID, InsightQuery{Baseline: fmt.Sprintf("audience:%d", a.ID)})
	if got := strings.Join(self.Warnings, "\n"); self.Baseline.Size != 7 || !strings.Contains(got, "1 of the members") || !strings.Contains(got, "is gone") {
		t.Errorf("against itself: baseline of %d, warnings %q, want 7 and words on who is gone", self.Baseline.Size, got)
	}
	// One that is made now looks for the members by their keys.
	if r := s.insight(s.caller, b.ID, InsightQuery{}); r.Size != 7 || len(r.Warnings) != 1 || r.Generation == b.Generation {
		t.Errorf("report made later: %d people on %s, warnings %q, want 7 on a later one than %s, and one", r.Size, r.Generation, r.Warnings, b.Generation)
	}
}

func TestInsightMinimum(t *testing.T) {
	s := start(t, func(c *Config) { c.InsightMinimum = 3 })
	a := s.build(s.caller, everyone)
	r := s.insight(s.caller, a.ID, InsightQuery{Order: insight.ByCount})
	want := map[string]string{"gender": "female=4 male=3", "country": "Freedonia=7", "city": "East Springfield=4 Springfield=3", "region": "North=4 South=3", "dma": "Big Market=4"}
	if diff := cmp.Diff(want, counted(r)); diff != "" {
		t.Errorf("terms of at least 3 (-want +got):\n%s", diff)
	}
	if p := r.Dimensions[8].Coverage; p.Share != nil {
		t.Errorf("share of the two of whom personality is known = %v, want it withheld", *p.Share)
	}
	// Of another audience nothing below the minimum is told either.
	b := s.build(s.caller, `[{"operation":"OR","affinities":{"affinities":[{"id":"a1"},{"id":"a4"}]}},{"operation":"OR","youtube_channels":{"accounts":[{"id":"UC1"}]}}]`) // p1 p2 p3 p5
	for _, d := range s.insight(s.caller, a.ID, InsightQuery{Order: insight.ByCount, Baseline: fmt.Sprintf("audience:%d", b.ID)}).Dimensions {
		for _, term := range d.Terms {
			if term.BaselineCount != nil && *term.BaselineCount < 3 || term.BaselineCount == nil && term.Index != nil {
				t.Errorf("%s %s tells of %v people of the baseline, index %v", d.Name, term.Name, term.BaselineCount, term.Index)
			}
		}
	}
}

func TestInsightHiddenAudience(t *testing.T) {
	s := start(t, all, func(c *Config) { c.MinimumSize = 3 })
	two := int64(2)
	c := s.add("c", CallerSettings{Insights: &two})
	few := `[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`
	a := s.build(c, few)
	_, err := s.RequestInsight(t.Context(), c, a.ID, InsightRequest{}, nil)
	wantCode(t, err, throng.Conflict)
	d := definition(few)
	d.AutoInsight = true
	b := s.wait(c, s.create(c, d).ID)
	if b.Insight != nil || len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], "no report is made") {
		t.Errorf("audience = insight %+v, warnings %q, want none and a word", b.Insight, b.Warnings)
	}
	if s.credits(c) != 2 {
		t.Errorf("%d credits left, want 2", s.credits(c))
	}
}

// TestInsightFollowsBuild orders reports in every way before there is anybody
// to count.
func TestInsightFollowsBuild(t *testing.T) {
	s := open(t, all)
	r := receive(t)
	one := int64(1)
	c := s.add("c", CallerSettings{Insights: &one})
	s.load(people())
	d := definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`)
	d.AutoInsight, d.InsightCallbackURL = true, r.URL
	first, second, third := s.create(c, d), s.create(c, d), s.create(c, definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`))
	_, err := s.RequestInsight(t.Context(), c, third.ID, InsightRequest{CallbackURL: "nowhere"}, nil)
	wantCode(t, err, throng.Invalid, "insight_callback_url")
	if i, err := s.RequestInsight(t.Context(), c, third.ID, InsightRequest{}, nil); err != nil || i.Status != throng.Running {
		t.Fatalf("order before the build: %+v, %v, want it running", i, err)
	}
	_, err = s.RequestInsight(t.Context(), c, second.ID, InsightRequest{}, nil)
	wantCode(t, err, throng.CreditsExhausted)
	// What was asked for with the audience is running as long as that is.
	fourth := s.create(c, d)
	if fourth.Insight == nil || fourth.Insight.Status != throng.Running {
		t.Errorf("insight of an audience being built = %+v, want it running", fourth.Insight)
	}
	if i, err := s.Insight(t.Context(), c, fourth.ID, InsightQuery{}); err != nil || i.Status != throng.Running || i.Report != nil || !i.CreatedAt.Equal(fourth.CreatedAt) {
		t.Errorf("report of an audience being built = %+v, %v, want it running", i, err)
	}
	if err := s.CancelAudience(t.Context(), c, fourth.ID); err != nil {
		t.Fatal(err)
	}
	_, err = s.Insight(t.Context(), c, fourth.ID, InsightQuery{})
	wantCode(t, err, throng.NotFound)
	if err := s.CancelAudience(t.Context(), c, third.ID); err != nil {
		t.Fatal(err)
	}
	if i, err := s.Insight(t.Context(), c, third.ID, InsightQuery{}); err != nil || i.Status != throng.Failed || i.Failure == nil || s.credits(c) != 1 {
		t.Errorf("insight of a canceled audience = %+v, %v with %d credits, want it failed, and the credit back", i, err, s.credits(c))
	}
	s.run()
	a, b := s.wait(c, first.ID), s.wait(c, second.ID)
	// One of them got the credit, the other a warning.
	if a.Insight == nil {
		a, b = b, a
	}
	if a.Insight == nil || b.Insight != nil || len(a.Warnings) != 0 || len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], "no credits") {
		t.Fatalf("insights = %+v and %+v, warnings %q and %q, want one and a word", a.Insight, b.Insight, a.Warnings, b.Warnings)
	}
	i := s.insightDone(c, a.ID, InsightQuery{})
	waitFor(t, func() bool { return r.count() == 1 })
	if want := string(must(renderInsight(i))); r.bodies[0] != want || r.got[0].Header.Get("webhook-signature") == "" {
		t.Errorf("callback = %s, want %s, signed", r.bodies[0], want)
	}
	// Who asks again with an address is told at once.
	if _, err := s.RequestInsight(t.Context(), c, a.ID, InsightRequest{CallbackURL: r.URL}, nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return r.count() == 2 })
	if r.bodies[1] != r.bodies[0] {
		t.Errorf("the callback of a repeat is %s, want %s", r.bodies[1], r.bodies[0])
	}
}

func TestInsightFailed(t *testing.T) {
	s := start(t, all)
	r := receive(t)
	one := int64(1)
	c := s.add("c", CallerSettings{Insights: &one})
	a := s.build(c, `[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`)
	if err := s.jobs.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RequestInsight(t.Context(), c, a.ID, InsightRequest{CallbackURL: r.URL}, nil); err != nil {
		t.Fatal(err)
	}
	// A smaller audience than may be told of, by the time that it is counted.
	later := s.again(func(cfg *Config) { cfg.MinimumSize = 100 })
	later.run()
	i := later.insightDone(c, a.ID, InsightQuery{})
	if i.Status != throng.Failed || i.Failure == nil || i.Failure.Code != string(throng.Conflict) || i.Failure.Retry || s.credits(c) != 1 {
		t.Errorf("insight = %+v %+v with %d credits, want it failed for good, and the credit back", i, i.Failure, s.credits(c))
	}
	waitFor(t, func() bool { return r.count() == 1 })
	if want := string(must(renderInsight(i))); r.bodies[0] != want {
		t.Errorf("callback = %s, want %s", r.bodies[0], want)
	}
}

func TestInsightDeleted(t *testing.T) {
	s := start(t, all)
	a := s.build(s.caller, everyone)
	s.insight(s.caller, a.ID, InsightQuery{})
	link := must(s.PublicLink(t.Context(), s.caller, a.ID))
	if len(s.keys("insights/")) != 1 {
		t.Errorf("files = %q, want one", s.keys("insights/"))
	}
	if err := s.DeleteAudience(t.Context(), s.caller, a.ID); err != nil {
		t.Fatal(err)
	}
	_, err := s.Insight(t.Context(), s.caller, a.ID, InsightQuery{})
	wantCode(t, err, throng.NotFound)
	_, err = s.PublicReport(t.Context(), link.Token, InsightQuery{})
	wantCode(t, err, throng.NotFound)
	if got := s.keys("insights/"); len(got) != 0 {
		t.Errorf("files = %q, want none", got)
	}
	// What a process left behind that died between the two goes with a sweep.
	s.put("insights/"+fmt.Sprint(a.ID)+"/left/counts", "x")
	s.put("insights/999/left/counts", "x")
	b := s.build(s.caller, everyone)
	s.insight(s.caller, b.ID, InsightQuery{})
	s.put("insights/"+fmt.Sprint(b.ID)+"/left/counts", "x")
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.keys("insights/"); len(got) != 1 || strings.Contains(got[0], "left") {
		t.Errorf("files = %q, want that of the report alone", got)
	}
}

// keys are those of the files below a prefix.
func (s *testService) keys(prefix string) (keys []string) {
	s.t.Helper()
	for info, err := range s.blobs.List(s.t.Context(), prefix) {
		if err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func (s *testService) put(key, text string) {
	s.t.Helper()
	w, err := s.blobs.Create(s.t.Context(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		s.t.Fatal(err)
	}
}

// forgetReports leaves nothing in memory of the reports that were read.
func (s *testService) forgetReports() { s.reports.Forget(func(string) bool { return true }) }

// TestInsightDamaged makes a report again whose file cannot be read.
func TestInsightDamaged(t *testing.T) {
	s := start(t, all)
	a := s.build(s.caller, everyone)
	want := s.insight(s.caller, a.ID, InsightQuery{})
	s.put(s.keys("insights/")[0], "throng insight 9\n")
	s.forgetReports()
	_, err := s.Insight(t.Context(), s.caller, a.ID, InsightQuery{})
	wantCode(t, err, throng.Conflict)
	if diff := cmp.Diff(want, s.insight(s.caller, a.ID, InsightQuery{})); diff != "" {
		t.Errorf("made again (-want +got):\n%s", diff)
	}
}

func TestPublicLink(t *testing.T) {
	s := start(t, all)
	a := s.build(s.caller, everyone)
	_, err := s.PublicLink(t.Context(), s.caller, a.ID)
	wantCode(t, err, throng.NotFound)
	report := s.insight(s.caller, a.ID, InsightQuery{})
	other := s.add("other", CallerSettings{})
	_, err = s.PublicLink(t.Context(), other, a.ID)
	wantCode(t, err, throng.NotFound)
	_, err = s.ReplacePublicLink(t.Context(), s.caller, a.ID, PublicLinkRequest{Baseline: "moon", ExpireAt: "2026-11-20"}, nil)
	wantCode(t, err, throng.Invalid, "baseline", "expire_at")
	_, err = s.ReplacePublicLink(t.Context(), s.caller, a.ID, PublicLinkRequest{ExpireAt: "tomorrow"}, nil)
	wantCode(t, err, throng.Invalid, "expire_at")

	first := must(s.PublicLink(t.Context(), s.caller, a.ID))
	if again := must(s.PublicLink(t.Context(), s.caller, a.ID)); *again != *first || first.Hash != report.Hash || len(first.Token) < 22 {
		t.Errorf("links = %+v and %+v, want one of %s", first, again, report.Hash)
	}
	opens := func(token string) bool {
		i, err := s.PublicReport(t.Context(), token, InsightQuery{})
		if err == nil {
			if diff := cmp.Diff(report, i.Report); diff != "" {
				t.Errorf("public report (-want +got):\n%s", diff)
			}
			return true
		}
		wantCode(t, err, throng.NotFound)
		return false
	}
	second := must(s.ReplacePublicLink(t.Context(), s.caller, a.ID, PublicLinkRequest{ExpireAt: "2026-11-21"}, nil))
	if opens(first.Token) || !opens(second.Token) {
		t.Error("the replaced link opens the report, or the new one does not")
	}
	for _, token := range []string{"", "x", second.Token + "A", second.Token[1:], strings.Repeat("A", 34), first.Token[:len(first.Token)-1] + "?"} {
		if opens(token) {
			t.Errorf("the token %q opens a report", token)
		}
	}
	s.clock.Add(12*time.Hour - time.Microsecond) // it is noon
	if !opens(second.Token) {
		t.Error("the link does not open the report on its last day")
	}
	s.clock.Add(time.Microsecond)
	if opens(second.Token) {
		t.Error("the link opens the report on the day after its last one")
	}
	if again := must(s.PublicLink(t.Context(), s.caller, a.ID)); again.Token != second.Token {
		t.Errorf("link = %+v, want the expired one told, %+v", again, second)
	}
}

func TestCompareAudiences(t *testing.T) {
	s := start(t, all)
	a := s.build(s.caller, `[{"operation":"OR","location":{"cities":[{"id":"c1"}]}}]`)                   // p1 p2 p6 p8
	b := s.build(s.caller, `[{"operation":"OR","gender":{"genders":["female"]}}]`)                       // p1 p3 p5 p8
	c := s.build(s.caller, `[{"operation":"OR","affinities":{"affinities":[{"id":"a1"},{"id":"a4"}]}}]`) // p1 p2 p3
	got, err := s.CompareAudiences(t.Context(), s.caller, []int64{a.ID, b.ID, c.ID}, InsightQuery{})
	if err != nil {
		t.Fatal(err)
	}
	names := map[int64]string{a.ID: "A", b.ID: "B", c.ID: "C"}
	var sizes []string
	for _, i := range got.Intersections {
		text := ""
		for _, id := range i.IDs {
			text += names[id]
		}
		sizes = append(sizes, fmt.Sprintf("%s %d/%d", text, *i.Exclusive, *i.Size))
	}
	// p6 in A alone; p5 in B alone; nobody in C alone; p8 AB; p2 AC; p3 BC; p1 ABC.
	want := []string{"A 1/4", "B 1/4", "C 0/3", "AB 1/2", "AC 1/2", "BC 1/2", "ABC 1/1"}
	if diff := cmp.Diff(want, sizes); diff != "" {
		t.Errorf("exclusive/size (-want +got):\n%s", diff)
	}
	if p := got.Pairs[0]; len(got.Pairs) != 3 || *p.Intersection != 2 || *p.Union != 6 || *p.Jaccard != 2.0/6 || *p.Containment[0] != 0.5 || *p.Containment[1] != 0.5 {
		t.Errorf("pairs = %+v", got.Pairs)
	}
	if got.Report != nil {
		t.Error("three audiences are set side by side")
	}
	two, err := s.CompareAudiences(t.Context(), s.caller, []int64{a.ID, b.ID}, InsightQuery{Order: insight.ByCount})
	if err != nil {
		t.Fatal(err)
	}
	against := s.insight(s.caller, a.ID, InsightQuery{Order: insight.ByCount, Baseline: fmt.Sprintf("audience:%d", b.ID)})
	if diff := cmp.Diff(against.Dimensions, two.Report.Dimensions); diff != "" {
		t.Errorf("side by side (-report +comparison):\n%s", diff)
	}
	name := fmt.Sprintf("audience:%d", a.ID)
	swapped, err := s.CompareAudiences(t.Context(), s.caller, []int64{a.ID, b.ID}, InsightQuery{Order: insight.ByCount, Baseline: name})
	if err != nil || swapped.Report.Baseline != (insight.Baseline{Name: name, Size: 4}) || swapped.Audiences[0].ID != a.ID || swapped.Pairs[0].A != a.ID {
		t.Errorf("the second against the first = %+v, %v, want the baseline %s and the rest as it was", swapped, err, name)
	}
	_, err = s.CompareAudiences(t.Context(), s.caller, []int64{a.ID, b.ID}, InsightQuery{Baseline: "usa"})
	wantCode(t, err, throng.Invalid, "baseline")
	for _, ids := range [][]int64{nil, {a.ID}, {a.ID, a.ID}, {a.ID, 99}, {1, 2, 3, 4, 5, 6, 7}} {
		_, err := s.CompareAudiences(t.Context(), s.caller, ids, InsightQuery{})
		wantCode(t, err, throng.Invalid)
	}
	// On a later generation all are looked for by their keys.
	s.load(people())
	d := s.build(s.caller, `[{"operation":"OR","gender":{"genders":["female"]}}]`)
	later, err := s.CompareAudiences(t.Context(), s.caller, []int64{a.ID, d.ID}, InsightQuery{})
	if err != nil || later.Generation != d.Generation || *later.Pairs[0].Intersection != 2 {
		t.Errorf("comparison across generations = %+v, %v, want 2 in common on %s", later, err, d.Generation)
	}
}

// TestCompareHides tells nothing of a few people, not even by subtraction.
func TestCompareHides(t *testing.T) {
	s := start(t, all, func(c *Config) { c.MinimumSize = 3 })
	a := s.build(s.caller, `[{"operation":"OR","location":{"cities":[{"id":"c1"}]}}]`)
	b := s.build(s.caller, `[{"operation":"OR","gender":{"genders":["female"]}}]`)
	got, err := s.CompareAudiences(t.Context(), s.caller, []int64{a.ID, b.ID}, InsightQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Pairs[0]; p.Intersection != nil || p.Union != nil || p.Jaccard != nil || p.Containment != [2]*float64{} {
		t.Errorf("pair = %+v, want all withheld", p)
	}
	for _, i := range got.Intersections {
		if i.Exclusive != nil || i.Size != nil && *i.Size < 3 {
			t.Errorf("intersection = %+v, want small ones withheld", i)
		}
	}
}

// TestInsightOfDevices counts the owners of a list of devices, and again when
// the list has changed.
func TestInsightOfDevices(t *testing.T) {
	s := start(t, all, func(c *Config) { c.DeviceLock = -1 })
	const mine = "6d92078a-8246-4ba4-ae5b-76104861e7dc" // p6's
	a := s.devicesOf("gaid", mine+"\n").ID
	if r := s.insight(s.caller, a, InsightQuery{Order: insight.ByCount}); r.Size != 1 || counted(r)["twitch"] != "A Streamer=1" {
		t.Errorf("report = %d people, %v, want p6 alone", r.Size, counted(r))
	}
	if _, err := s.UpdateDevices(t.Context(), s.caller, a, s.sources("gaid", "6d92078a-8246-4ba4-ae5b-76104861e7dd\n"), nil); err != nil {
		t.Fatal(err)
	}
	s.waitDevices(a)
	if r := s.insight(s.caller, a, InsightQuery{Order: insight.ByCount}); r.Size != 0 || len(counted(r)) != 0 {
		t.Errorf("report of the new list = %d people, %v, want nobody", r.Size, counted(r))
	}
}

// TestInsightOnce orders with one key twice.
func TestInsightOnce(t *testing.T) {
	s := start(t, all)
	a := s.build(s.caller, everyone)
	once := &Once{Method: "POST", Path: "/x", Key: "k", Answer: func(made any) (int, []byte, error) {
		b, err := json.Marshal(made.(*Insight).Status)
		return 200, b, err
	}}
	if _, err := s.RequestInsight(t.Context(), s.caller, a.ID, InsightRequest{}, once); err != nil {
		t.Fatal(err)
	}
	s.insightDone(s.caller, a.ID, InsightQuery{})
	if _, err := s.RequestInsight(t.Context(), s.caller, a.ID, InsightRequest{}, once); err != ErrAnswered { //nolint:errorlint // it is returned bare
		t.Errorf("the same key again: %v, want ErrAnswered", err)
	}
	kept, err := s.Answered(t.Context(), s.caller, *once)
	if err != nil || string(kept.Body) != `"running"` {
		t.Errorf("Answered = %+v, %v, want the first answer", kept, err)
	}
}

// TestInsightIsTriedAgain makes reports on a disk that is full now and then.
func TestInsightIsTriedAgain(t *testing.T) {
	g := &gate{match: "insights/"}
	s := start(t, all, gated(g))
	five := int64(5)
	c := s.add("c", CallerSettings{Insights: &five, Grants: &[]throng.Grant{throng.LocationFirst}})
	a := s.build(c, everyone)
	g.fails.Store(2)
	if r := s.insight(c, a.ID, InsightQuery{}); r.Size != 8 || s.credits(c) != 4 || len(s.keys("insights/")) != 1 {
		t.Errorf("after two failures: %d people, %d credits, files %q, want 8, 4 and one", r.Size, s.credits(c), s.keys("insights/"))
	}
	b := s.build(c, everyone)
	g.fails.Store(1000)
	if _, err := s.RequestInsight(t.Context(), c, b.ID, InsightRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	i := s.insightDone(c, b.ID, InsightQuery{})
	if i.Status != throng.Failed || i.Failure == nil || !i.Failure.Retry || strings.Contains(i.Failure.Message, "disk") || s.credits(c) != 4 {
		t.Errorf("insight = %+v, failure %+v, with %d credits, want it failed, to be tried again, and 4", i, i.Failure, s.credits(c))
	}
	// The audience says so, and a new order is a new try.
	if a, err := s.Audience(t.Context(), c, b.ID); err != nil || a.Insight == nil || a.Insight.Failure == nil {
		t.Errorf("audience = %+v, %v, want the failure of its insight", a, err)
	}
	g.fails.Store(0)
	s.insight(c, b.ID, InsightQuery{})
	if s.credits(c) != 3 {
		t.Errorf("%d credits left, want 3", s.credits(c))
	}
}

// TestInsightTakenOver has a server hang in the middle of a report; another
// finishes it, and what the first still does is of no effect.
func TestInsightTakenOver(t *testing.T) {
	g := &gate{match: "insights/", hold: make(chan struct{})}
	s := start(t, all, gated(g))
	a := s.build(s.caller, everyone)
	if _, err := s.RequestInsight(t.Context(), s.caller, a.ID, InsightRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	<-g.seen
	second := s.again()
	second.run()
	i := second.insightDone(s.caller, a.ID, InsightQuery{})
	if i.Status != throng.Done {
		t.Fatalf("insight = %+v, want it done by the second server", i)
	}
	close(g.hold)
	if err := s.jobs.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := second.Insight(t.Context(), s.caller, a.ID, InsightQuery{})
	if diff := cmp.Diff(i, again); err != nil || diff != "" {
		t.Errorf("%v, report after the first went on (-want +got):\n%s", err, diff)
	}
	if keys := s.keys("insights/"); len(keys) != 1 {
		t.Errorf("files = %q, want one", keys)
	}
}

// TestInsightDeletedMeanwhile deletes an audience while its report is made.
func TestInsightDeletedMeanwhile(t *testing.T) {
	g := &gate{match: "insights/", hold: make(chan struct{})}
	s := start(t, all, gated(g))
	one := int64(1)
	c := s.add("c", CallerSettings{Insights: &one, Grants: &[]throng.Grant{throng.LocationFirst}})
	a := s.build(c, everyone)
	if _, err := s.RequestInsight(t.Context(), c, a.ID, InsightRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	<-g.seen
	if err := s.DeleteAudience(t.Context(), c, a.ID); err != nil {
		t.Fatal(err)
	}
	close(g.hold)
	if err := s.jobs.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys := s.keys("insights/"); len(keys) != 0 || s.credits(c) != 1 {
		t.Errorf("files = %q with %d credits, want none, and the credit back", keys, s.credits(c))
	}
}
