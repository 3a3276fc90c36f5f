package client_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/client"
	"throng/internal/leak"
	"throng/server"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// crowd writes 900 people of three tastes, each of whom follows half of the
// twelve channels of theirs and one of another. 40 of the first taste are fans.
func crowd(dir string) error {
	var people, follows, interests, identifiers strings.Builder
	people.WriteString("person,gender\n")
	follows.WriteString("person,network,account\n")
	interests.WriteString("person,affinity\n")
	identifiers.WriteString("person,type,value\n")
	fans := 0
	for i := range 900 {
		taste := i % 3
		fmt.Fprintf(&people, "p%03d,%s\n", i, []string{"male", "female"}[i/3%2])
		fmt.Fprintf(&identifiers, "p%03d,md5,%032x\n", i, i)
		for k := range 6 {
			fmt.Fprintf(&follows, "p%03d,youtube,t%d-%d\n", i, taste, (i*7+k*(1+i%5))%12)
		}
		fmt.Fprintf(&follows, "p%03d,youtube,t%d-%d\n", i, (taste+1)%3, i%12)
		if taste == 0 && i%7 == 0 && fans < 40 {
			fans++
			fmt.Fprintf(&interests, "p%03d,fan\n", i)
		}
	}
	for name, text := range map[string]string{
		"dataset.json": `{"as_of":"2026-11-01T00:00:00Z"}`, "people.csv": people.String(), "follows.csv": follows.String(),
		"interests.csv": interests.String(), "identifiers.csv": identifiers.String(), "affinities.csv": "affinity,name,parent\nfan,Fan,.interests.\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// serve has a server with the crowd on a free port of the loopback, and gives
// the client of a caller who may everything. close ends the server.
func serve(ctx context.Context, dir string) (c *client.Client, url string, close func() error, err error) {
	s, err := server.Open(ctx, server.Config{Data: filepath.Join(dir, "data"), Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, "", nil, err
	}
	if err := errors.Join(crowd(dir), load(ctx, s, dir)); err != nil {
		return nil, "", nil, errors.Join(err, s.Close())
	}
	token, err := s.DemoCaller(ctx, "everything")
	if err != nil {
		return nil, "", nil, errors.Join(err, s.Close())
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended, at := make(chan error, 1), make(chan string, 1)
	go func() { ended <- s.Serve(serving, func(url string) { at <- url }) }()
	close = func() error {
		stop()
		return errors.Join(<-ended, s.Close())
	}
	select {
	case url = <-at:
		return client.New(url, token), url, close, nil
	case err := <-ended:
		stop()
		return nil, "", nil, errors.Join(err, s.Close())
	}
}

func load(ctx context.Context, s *server.Server, dir string) error {
	_, err := s.Load(ctx, dir, server.LoadOptions{Memory: 64 << 20})
	return err
}

// start is serve for a test.
func start(t *testing.T) (c *client.Client, url string) {
	t.Helper()
	c, url, close, err := serve(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := close(); err != nil {
			t.Errorf("end server: %v", err)
		}
	})
	return c, url
}

const interval = 5 * time.Millisecond

// done waits for an audience that somebody just made.
func done(t *testing.T, c *client.Client, id int64, err error) *client.Audience {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Wait(t.Context(), id, interval)
	if err != nil || a.Status != "done" {
		t.Fatalf("audience %d: %+v, %v, want done", id, a, err)
	}
	return a
}

// build makes an audience.
func build(t *testing.T, c *client.Client, name, more, parameters string) *client.Audience {
	t.Helper()
	id, err := c.CreateAudience(t.Context(), fmt.Appendf(nil, `{"audience":{"name":%q},%s"parameters":[%s]}`, name, more, parameters))
	return done(t, c, id, err)
}

const (
	everyone = `{"operation":"OR","gender":{"genders":["male","female"]}}`
	women    = `{"operation":"OR","gender":{"genders":["female"]}}`
	fans     = `{"operation":"OR","affinities":{"affinities":[{"id":"fan"}]}}`
)

// wantRefusal holds an error to a status, and to what it is about.
func wantRefusal(t *testing.T, what string, err error, status int, paths ...string) {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Status != status {
		t.Errorf("%s: %v, want status %d", what, err, status)
		return
	}
	var got []string
	for _, d := range e.Details {
		got = append(got, d.Path)
	}
	if diff := cmp.Diff(paths, got); diff != "" {
		t.Errorf("%s is refused for other fields (-want +got):\n%s", what, diff)
	}
}

func TestInsight(t *testing.T) {
	c, _ := start(t)
	a := build(t, c, "Women", "", women)
	_, err := c.Insight(t.Context(), a.ID, client.InsightQuery{})
	wantRefusal(t, "a report that nobody asked for", err, http.StatusNotFound)
	if _, err := c.RequestInsight(t.Context(), a.ID, ""); err != nil {
		t.Fatal(err)
	}
	i, err := c.WaitInsight(t.Context(), a.ID, client.InsightQuery{Order: "count", Limit: 1}, interval)
	if err != nil {
		t.Fatal(err)
	}
	if i.AudienceID != a.ID || i.Status != "done" || i.Size == nil || *i.Size != 450 || len(i.Hash) != 40 || i.Minimum != 10 || i.AsOf == nil {
		t.Errorf("report = %+v, want done, of 450 people", i)
	}
	if diff := cmp.Diff(&client.Baseline{Name: "global", Size: 900}, i.Baseline); diff != "" {
		t.Errorf("baseline (-want +got):\n%s", diff)
	}
	count, half, index := uint64(450), 0.5, 200.0
	want := []client.Term{{ID: "female", Name: "female", Count: 450, Share: 1, BaselineCount: &count, BaselineShare: &half, Index: &index}}
	got := i.Dimensions["gender"]
	for k := range got {
		if got[k].Low == nil || got[k].High == nil || *got[k].Low >= 200 || *got[k].High <= 200 {
			t.Errorf("interval of %s does not hold its index", got[k].ID)
		}
		got[k].Low, got[k].High = nil, nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gender (-want +got):\n%s", diff)
	}
	if cover := i.Coverage["gender"]; cover.Share == nil || *cover.Share != 1 {
		t.Errorf("coverage of gender = %+v, want 1", cover)
	}
	if n := len(i.Dimensions["youtube"]); n != 1 {
		t.Errorf("%d channels, want as many as asked for", n)
	}
	if status, err := c.RequestInsight(t.Context(), a.ID, ""); status != "done" || err != nil {
		t.Errorf("asked for again: %q, %v, want done", status, err)
	}
	if a, err = c.Audience(t.Context(), a.ID); err != nil || a.Insight == nil || a.Insight.Status != "done" {
		t.Errorf("audience = %+v, %v, want its report to be done", a, err)
	}
	_, err = c.Insight(t.Context(), a.ID, client.InsightQuery{Baseline: "nobody", Order: "taste", Limit: -1})
	wantRefusal(t, "a question with three mistakes", err, http.StatusBadRequest, "limit", "order")
}

func TestInsightFile(t *testing.T) {
	c, _ := start(t)
	a := build(t, c, "Women", `"generate_insights_automatically":true,`, women)
	if _, err := c.WaitInsight(t.Context(), a.ID, client.InsightQuery{}, interval); err != nil {
		t.Fatal(err)
	}
	read := func(format string) string {
		t.Helper()
		file, err := c.InsightFile(t.Context(), a.ID, format, client.InsightQuery{Order: "count"})
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		text, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	rows, err := csv.NewReader(strings.NewReader(read("csv"))).ReadAll()
	if err != nil || len(rows) < 20 || rows[1][0] != "gender" || rows[1][3] != "450" {
		t.Errorf("csv has %d rows, %v: %.3q", len(rows), err, rows)
	}
	if text := read("xlsx"); !strings.HasPrefix(text, "PK") {
		t.Errorf("xlsx begins with %.4q, want a zip archive", text)
	}
	_, err = c.InsightFile(t.Context(), a.ID, "pdf", client.InsightQuery{})
	wantRefusal(t, "another format", err, http.StatusBadRequest, "format")
}

func TestPublicLink(t *testing.T) {
	c, url := start(t)
	a := build(t, c, "Women", `"generate_insights_automatically":true,`, women)
	i, err := c.WaitInsight(t.Context(), a.ID, client.InsightQuery{}, interval)
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.PublicLink(t.Context(), a.ID)
	if err != nil || first.AudienceID != a.ID || first.Hash != i.Hash || !strings.HasPrefix(first.URL, url+"/public/") {
		t.Fatalf("link = %+v, %v, want one of %s", first, err, url)
	}
	again, err := c.PublicLink(t.Context(), a.ID)
	if diff := cmp.Diff(first, again); diff != "" || err != nil {
		t.Errorf("the same link, read again: %v (-first +again):\n%s", err, diff)
	}
	second, err := c.ReplacePublicLink(t.Context(), a.ID, client.LinkSpec{Baseline: "global", ExpireAt: "2999-12-31"})
	if err != nil || second.URL == first.URL {
		t.Fatalf("another link = %+v, %v, want another address", second, err)
	}
	if got := page(t, first.URL); got != http.StatusNotFound {
		t.Errorf("the first page answers %d, want 404", got)
	}
	if got := page(t, second.URL); got != http.StatusOK {
		t.Errorf("the second page answers %d, want 200", got)
	}
	_, err = c.ReplacePublicLink(t.Context(), a.ID, client.LinkSpec{ExpireAt: "yesterday"})
	wantRefusal(t, "a link until yesterday", err, http.StatusBadRequest, "expire_at")
}

// page is how an address answers whoever has it.
func page(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestMakeFromCluster(t *testing.T) {
	c, _ := start(t)
	a := build(t, c, "Everyone", `"generate_insights_automatically":true,`, everyone)
	i, err := c.WaitInsight(t.Context(), a.ID, client.InsightQuery{}, interval)
	if err != nil || len(i.Clusters) != 3 || len(i.Clusters[1].Top) == 0 || i.Clusters[1].Top[0].Dimension != "youtube" {
		t.Fatalf("clusters = %+v, %v, want three of channels", i, err)
	}
	second := i.Clusters[1]
	id, err := c.MakeFromCluster(t.Context(), a.ID, second.ID, client.Making{Outputs: []string{"md5"}, WithInsight: true})
	made := done(t, c, id, err)
	if made.Size == nil || *made.Size != second.Size {
		t.Errorf("audience of cluster %d has %v people, want %d", second.ID, made.Size, second.Size)
	}
	if diff := cmp.Diff(&client.ClusterSource{AudienceID: a.ID, ID: second.ID, Name: second.Name}, made.Cluster); diff != "" {
		t.Errorf("made of (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ss_id", "md5"}, types(made)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if made.Insight == nil {
		t.Error("no report was asked for with the audience")
	}
	_, err = c.MakeFromCluster(t.Context(), a.ID, 4, client.Making{})
	wantRefusal(t, "a fourth of three clusters", err, http.StatusNotFound)
}

func types(a *client.Audience) (list []string) {
	for _, o := range a.Outputs {
		list = append(list, o.Type)
	}
	return list
}

func TestExpand(t *testing.T) {
	c, _ := start(t)
	seed := build(t, c, "Fans", "", fans)
	if seed.Expansion != nil || seed.Cluster != nil {
		t.Errorf("an audience with a definition is made of %+v, %+v", seed.Expansion, seed.Cluster)
	}
	id, err := c.Expand(t.Context(), seed.ID, client.Expanding{Factor: 3, Name: "Like fans", IncludeSeed: true})
	made := done(t, c, id, err)
	if made.Name != "Like fans" || made.Size == nil || *made.Size != 120 {
		t.Errorf("expansion = %+v, want 120 people like fans", made)
	}
	x := made.Expansion
	if x == nil || x.SeedID != seed.ID || x.Factor != 3 || !x.IncludeSeed || x.RemoveSeed || x.AUC == nil || *x.AUC < 0.7 || x.HeldOut == 0 || len(x.Terms) == 0 {
		t.Errorf("expansion was made by %+v", x)
	}
	_, err = c.Expand(t.Context(), seed.ID, client.Expanding{Factor: 1, IncludeSeed: true, RemoveSeed: true})
	wantRefusal(t, "contradictions", err, http.StatusBadRequest, "expansion_factor", "include_seed", "remove_seed")
}

func TestCompare(t *testing.T) {
	c, _ := start(t)
	all, some, few := build(t, c, "Everyone", "", everyone), build(t, c, "Women", "", women), build(t, c, "Fans", "", fans)
	two, err := c.Compare(t.Context(), []int64{some.ID, all.ID}, client.InsightQuery{Order: "count"})
	if err != nil {
		t.Fatal(err)
	}
	n := func(n uint64) *uint64 { return &n }
	f := func(f float64) *float64 { return &f }
	if diff := cmp.Diff([]client.Compared{{ID: some.ID, Name: "Women", Size: n(450)}, {ID: all.ID, Name: "Everyone", Size: n(900)}}, two.Audiences); diff != "" {
		t.Errorf("audiences (-want +got):\n%s", diff)
	}
	pairs := []client.Overlap{{
		IDs: [2]int64{some.ID, all.ID}, Intersection: n(450), Union: n(900), Jaccard: f(0.5), Containment: [2]*float64{f(1), f(0.5)},
	}}
	if diff := cmp.Diff(pairs, two.Pairs); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
	if terms := two.Dimensions["gender"]; two.Baseline == nil || two.Baseline.Size != 900 || len(terms) != 1 || *terms[0].Index != 200 {
		t.Errorf("set apart by %+v from %+v, want women twice as common", terms, two.Baseline)
	}
	three, err := c.Compare(t.Context(), []int64{few.ID, some.ID, all.ID}, client.InsightQuery{})
	if err != nil || len(three.Sets) != 7 || len(three.Pairs) != 3 || three.Baseline != nil {
		t.Errorf("three audiences = %+v, %v, want seven intersections and three pairs", three, err)
	}
	_, err = c.Compare(t.Context(), []int64{few.ID}, client.InsightQuery{})
	wantRefusal(t, "one audience", err, http.StatusBadRequest, "ids")
}

// TestWaitEnds has somebody lose patience.
func TestWaitEnds(t *testing.T) {
	c, _ := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.WaitInsight(ctx, 1, client.InsightQuery{}, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting without patience: %v, want %v", err, context.Canceled)
	}
}
