package service

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/identifier"
	"throng/service/rowstore"
)

// crowd is 900 people of three tastes, each of whom follows half of the twelve
// accounts of theirs and one of another; some have nothing. 40 of the first
// taste are fans.
func crowd() map[string]string {
	var persons, follows, interests strings.Builder
	persons.WriteString("person,gender,age,city\n")
	follows.WriteString("person,network,account\n")
	interests.WriteString("person,affinity\n")
	fans := 0
	for i := range 960 {
		fmt.Fprintf(&persons, "p%03d,%s,%d,%s\n", i, []string{"male", "female"}[i/3%2], 20+i%50, []string{"c1", "c2"}[i/6%2])
		if i >= 900 {
			continue
		}
		taste := i % 3
		for k := range 6 {
			fmt.Fprintf(&follows, "p%03d,youtube,t%d-%d\n", i, taste, (i*7+k*(1+i%5))%12)
		}
		fmt.Fprintf(&follows, "p%03d,youtube,t%d-%d\n", i, (taste+1)%3, i%12)
		if taste == 0 && i%7 == 0 && fans < 40 {
			fans++
			fmt.Fprintf(&interests, "p%03d,fan\n", i)
		}
	}
	// Some follow an account twice, which is once.
	tables := people()
	return map[string]string{
		"dataset.json": tables["dataset.json"], "locations.csv": tables["locations.csv"],
		"people.csv": persons.String(), "follows.csv": follows.String(), "interests.csv": interests.String(),
		"affinities.csv": "affinity,name,parent\nfan,Fan,.interests.\n",
		"accounts.csv":   "network,account,screen_name,name\nyoutube,t1-0,one,Channel One\n",
	}
}

const fans = `[{"operation":"OR","affinities":{"affinities":[{"id":"fan"}]}}]`

func startCrowd(t *testing.T, options ...option) *testService {
	t.Helper()
	s := open(t, options...)
	s.load(crowd())
	s.run()
	return s
}

// expand expands an audience and waits until that is done.
func (s *testService) expand(c *throng.Caller, id int64, e Expand) *throng.Audience {
	s.t.Helper()
	a, err := s.ExpandAudience(s.t.Context(), c, id, e, nil)
	if err != nil {
		s.t.Fatalf("ExpandAudience(%d, %+v): %v", id, e, err)
	}
	if a = s.wait(c, a.ID); a.Status != throng.Done {
		s.t.Fatalf("expansion %+v: status %s, failure %+v", e, a.Status, a.Failure)
	}
	return a
}

func (s *testService) memberList(id int64) []string { return strings.Fields(s.members(id)) }

// tasteOf is the taste of a person of the crowd; 3 is none.
func tasteOf(key string) int {
	var i int
	fmt.Sscanf(key, "p%d", &i)
	if i >= 900 {
		return 3
	}
	return i % 3
}

func intersect(a, b []string) (n int) {
	for _, x := range a {
		if slices.Contains(b, x) {
			n++
		}
	}
	return n
}

func TestExpand(t *testing.T) {
	s := startCrowd(t)
	seed := s.build(s.caller, fans)
	members := s.memberList(seed.ID)
	if len(members) != 40 {
		t.Fatalf("seed of %d people, want 40", len(members))
	}
	plain := s.expand(s.caller, seed.ID, Expand{Factor: 5, Name: "Like them"})
	got := s.memberList(plain.ID)
	if len(got) != 200 || *plain.Size != 200 || plain.Name != "Like them" || intersect(got, members) < 39 {
		t.Errorf("expansion %q of %d people, %d of the seed, want 200 and 40", plain.Name, len(got), intersect(got, members))
	}
	for _, key := range got {
		if tasteOf(key) != 0 {
			t.Errorf("%s came in, of taste %d", key, tasteOf(key))
		}
	}
	x := plain.Expansion
	if x == nil || x.SeedID != seed.ID || x.Factor != 5 || x.AUC == nil || *x.AUC < 0.8 || x.HeldOut < 2 || len(x.Terms) == 0 || len(plain.Parameters) != 0 {
		t.Fatalf("expansion = %+v of %d parameters, want all of one", x, len(plain.Parameters))
	}
	if fan := x.Terms[0]; fan.Dimension != "affinity" || fan.ID != "fan" || fan.Name != "Fan" || fan.Weight < 1 {
		t.Errorf("the strongest term = %+v, want that of fans", fan)
	}
	for _, term := range x.Terms {
		if slices.Contains([]string{"age", "gender", "ethnicity"}, term.Dimension) {
			t.Errorf("%s weighs", term.Dimension)
		}
	}
	with := s.memberList(s.expand(s.caller, seed.ID, Expand{Factor: 5, IncludeSeed: true}).ID)
	without := s.memberList(s.expand(s.caller, seed.ID, Expand{Factor: 5, RemoveSeed: true}).ID)
	if len(with) != 200 || intersect(with, members) != 40 || len(without) != 200 || intersect(without, members) != 0 {
		t.Errorf("with the seed %d people, %d of it; without %d, %d of it; want 200, 40, 200, 0",
			len(with), intersect(with, members), len(without), intersect(without, members))
	}
	// An expansion is an audience like others.
	again := s.expand(s.caller, plain.ID, Expand{Factor: 1.5, IncludeSeed: true})
	if *again.Size != 300 || intersect(s.memberList(again.ID), got) != 200 {
		t.Errorf("expansion of the expansion = %d people, want 300 with all 200", *again.Size)
	}
	if want := "Like them, expanded by 1.5"; again.Name != want {
		t.Errorf("name = %q, want %q", again.Name, want)
	}
	_, err := s.RegenerateAudience(t.Context(), s.caller, plain.ID, Build{}, nil)
	wantCode(t, err, throng.Conflict)
}

func TestExpandReapplies(t *testing.T) {
	s := startCrowd(t)
	params := `[{"operation":"OR","affinities":{"affinities":[{"id":"fan"}]}},
		{"operation":"AND","gender":{"genders":["female"]}},
		{"operation":"NOT","location":{"cities":[{"id":"c2"}]}}]`
	seed := s.build(s.caller, params)
	females := s.memberList(s.build(s.caller, `[{"operation":"OR","gender":{"genders":["female"]}}]`).ID)
	there := s.memberList(s.build(s.caller, `[{"operation":"OR","location":{"cities":[{"id":"c2"}]}}]`).ID)
	for _, c := range []struct{ filters, exclusions bool }{{true, false}, {false, true}, {true, true}, {false, false}} {
		a := s.expand(s.caller, seed.ID, Expand{Factor: 9, ReapplyFilters: c.filters, ReapplyExclusions: c.exclusions})
		got := s.memberList(a.ID)
		allFemale, nobodyThere := intersect(got, females) == len(got), intersect(got, there) == 0
		if len(got) != int(9**seed.Size) || c.filters && !allFemale || c.exclusions && !nobodyThere || !c.filters && allFemale || !c.exclusions && nobodyThere {
			t.Errorf("expansion %+v: %d people, %d female, %d there", c, len(got), intersect(got, females), intersect(got, there))
		}
	}
	// Fewer can come in than were asked for.
	most := s.expand(s.caller, s.build(s.caller, `[{"operation":"OR","gender":{"genders":["female"]}}]`).ID, Expand{Factor: 10, RemoveSeed: true})
	if *most.Size != 480 || len(most.Warnings) != 1 || !strings.Contains(most.Warnings[0], "only 480 of the 4800") {
		t.Errorf("expansion of half of all by 10: %d people, warnings %q", *most.Size, most.Warnings)
	}
}

func TestExpandRefuses(t *testing.T) {
	s := startCrowd(t, func(c *Config) { c.MinimumSize = 5 })
	seed := s.build(s.caller, fans)
	expansion := s.expand(s.caller, seed.ID, Expand{Factor: 2})
	few := s.build(s.caller, `[{"operation":"OR","affinities":{"affinities":[{"id":"fan"}]}},{"operation":"AND","youtube_channels":{"accounts":[{"id":"t0-0"},{"id":"t1-0"}],"cutoff":2}},{"operation":"AND","age":{"ranges":["18-24"]}}]`)
	other := s.add("other", CallerSettings{})
	for name, c := range map[string]struct {
		caller *throng.Caller
		id     int64
		e      Expand
		code   throng.Code
		paths  []string
	}{
		"both":               {s.caller, seed.ID, Expand{Factor: 2, IncludeSeed: true, RemoveSeed: true}, throng.Invalid, []string{"include_seed", "remove_seed"}},
		"factor 1":           {s.caller, seed.ID, Expand{Factor: 1}, throng.Invalid, []string{"expansion_factor"}},
		"factor 10.1":        {s.caller, seed.ID, Expand{Factor: 10.1}, throng.Invalid, []string{"expansion_factor"}},
		"a problem already":  {s.caller, seed.ID, Expand{Build: Build{Problems: []throng.Detail{{Path: "expansion_factor", Message: "is required"}}}}, throng.Invalid, []string{"expansion_factor"}},
		"a long name":        {s.caller, seed.ID, Expand{Factor: 2, Name: strings.Repeat("é", 256)}, throng.Invalid, []string{"expansion_name"}},
		"a NUL":              {s.caller, seed.ID, Expand{Factor: 2, Name: "a\x00"}, throng.Invalid, []string{"expansion_name"}},
		"a bad address":      {s.caller, seed.ID, Expand{Factor: 2, Build: Build{CallbackURL: "ftp://example.com"}}, throng.Invalid, []string{"callback_url"}},
		"no definition":      {s.caller, expansion.ID, Expand{Factor: 2, ReapplyFilters: true, ReapplyExclusions: true}, throng.Invalid, []string{"reapply_exclusions", "reapply_filters"}},
		"too few":            {s.caller, few.ID, Expand{Factor: 2}, throng.Conflict, nil},
		"another's":          {other, seed.ID, Expand{Factor: 2}, throng.NotFound, nil},
		"none":               {s.caller, 4711, Expand{Factor: 2}, throng.NotFound, nil},
		"an output unheard":  {s.caller, seed.ID, Expand{Factor: 2, Build: Build{Outputs: &[]string{"fax"}}}, throng.Invalid, []string{"outputs[0]"}},
		"everything at once": {s.caller, seed.ID, Expand{IncludeSeed: true, RemoveSeed: true, Build: Build{CallbackURL: "ftp://example.com"}}, throng.Invalid, []string{"callback_url", "expansion_factor", "include_seed", "remove_seed"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.ExpandAudience(t.Context(), c.caller, c.id, c.e, nil)
			wantCode(t, err, c.code, c.paths...)
		})
	}
}

func (s *testService) expansions(c *throng.Caller) [2]int64 {
	s.t.Helper()
	got, err := s.Credits(s.t.Context(), c)
	if err != nil {
		s.t.Fatal(err)
	}
	return [2]int64{got.Builds, got.Expansions}
}

// TestExpandCredits spends credits of expansions alone, and gives them back
// where nothing comes of it.
func TestExpandCredits(t *testing.T) {
	s := open(t)
	s.load(crowd())
	three, two := int64(3), int64(2)
	c := s.add("c", CallerSettings{Builds: &three, Expansions: &two})
	seed, one := s.create(c, definition(fans)), s.create(c, definition(`[{"operation":"OR","youtube_channels":{"accounts":[{"id":"t0-1"},{"id":"t1-1"},{"id":"t2-1"}],"cutoff":3}}]`))
	_, err := s.ExpandAudience(t.Context(), c, seed.ID, Expand{Factor: 2}, nil)
	wantCode(t, err, throng.Conflict) // it is running
	s.run()
	s.wait(c, seed.ID)
	s.wait(c, one.ID)
	s.expand(c, seed.ID, Expand{Factor: 2})
	if got := s.expansions(c); got != [2]int64{1, 1} {
		t.Errorf("credits of builds and expansions = %v after one expansion, want 1 and 1", got)
	}
	failed, err := s.ExpandAudience(t.Context(), c, one.ID, Expand{Factor: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	failed = s.wait(c, failed.ID)
	if failed.Status != throng.Failed || failed.Failure == nil || failed.Failure.Retry || !strings.Contains(failed.Failure.Message, "nothing sets audience") {
		t.Errorf("expansion of nobody = %s, %+v, want it failed, saying why", failed.Status, failed.Failure)
	}
	if got := s.expansions(c); got != [2]int64{1, 1} {
		t.Errorf("credits of builds and expansions = %v after a failed one, want 1 and 1", got)
	}
	s.expand(c, seed.ID, Expand{Factor: 2})
	_, err = s.ExpandAudience(t.Context(), c, seed.ID, Expand{Factor: 2}, nil)
	wantCode(t, err, throng.CreditsExhausted)
	if !strings.Contains(err.Error(), "expansions") {
		t.Errorf("error = %q, want it to name expansions", err)
	}
}

// TestExpandCancel cancels an expansion that waits; its credit comes back, and
// its seed may be deleted then.
func TestExpandCancel(t *testing.T) {
	s := startCrowd(t)
	two := int64(2)
	c := s.add("c", CallerSettings{Expansions: &two})
	seed := s.build(c, fans)
	s.jobs.Stop(t.Context())
	a, err := s.ExpandAudience(t.Context(), c, seed.ID, Expand{Factor: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.expansions(c)[1]; got != 1 {
		t.Errorf("credits = %d while it waits, want 1", got)
	}
	wantCode(t, s.DeleteAudience(t.Context(), c, seed.ID), throng.Conflict)
	if err := s.CancelAudience(t.Context(), c, a.ID); err != nil {
		t.Fatal(err)
	}
	if got := s.expansions(c)[1]; got != 2 {
		t.Errorf("credits = %d after it was canceled, want 2", got)
	}
	if err := s.DeleteAudience(t.Context(), c, seed.ID); err != nil {
		t.Errorf("DeleteAudience of the seed: %v", err)
	}
}

// TestExpandByAge has age weigh where the operator allows it.
func TestExpandByAge(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		s := startCrowd(t, func(c *Config) { c.ExpandByAgeAndGender = allowed })
		seed := s.build(s.caller, `[{"operation":"OR","age":{"ranges":["45-54"]}}]`)
		x := s.expand(s.caller, seed.ID, Expand{Factor: 2}).Expansion
		weighs := slices.ContainsFunc(x.Terms, func(t throng.WeightedTerm) bool { return t.Dimension == "age" && t.ID == "45-54" })
		if weighs != allowed {
			t.Errorf("age allowed %v: terms %+v", allowed, x.Terms)
		}
	}
}

// TestExpandLater finds the seed on a later generation by its keys.
func TestExpandLater(t *testing.T) {
	s := startCrowd(t)
	seed := s.build(s.caller, fans)
	members := s.memberList(seed.ID)
	tables := crowd()
	tables["people.csv"] = strings.Replace(tables["people.csv"], members[0]+",", "other,", 1)
	for _, name := range []string{"follows.csv", "interests.csv"} {
		tables[name] = strings.ReplaceAll(tables[name], members[0]+",", "other,")
	}
	s.load(tables)
	a := s.expand(s.caller, seed.ID, Expand{Factor: 2, IncludeSeed: true})
	if got := s.memberList(a.ID); len(got) != 80 || intersect(got, members) != 39 || a.Generation == seed.Generation {
		t.Errorf("expansion on the later generation: %d people, %d of the seed, want 80 and 39", len(got), intersect(got, members))
	}
	if len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "1 of the members") {
		t.Errorf("warnings = %q, want one of the member that is gone", a.Warnings)
	}
}

func TestClusters(t *testing.T) {
	s := startCrowd(t)
	everybody := s.build(s.caller, `[{"operation":"OR","location":{"cities":[{"id":"c1"},{"id":"c2"}]}}]`)
	_, err := s.ClusterAudience(t.Context(), s.caller, everybody.ID, 1, Build{}, nil)
	wantCode(t, err, throng.NotFound)
	r := s.insight(s.caller, everybody.ID, InsightQuery{})
	if len(r.Clusters) != 3 || r.Unclustered != 60 {
		t.Fatalf("%d clusters, %d in none, want 3 and 60: %+v", len(r.Clusters), r.Unclustered, r.Clusters)
	}
	one := int64(3)
	if err := s.SetCaller(t.Context(), "all", CallerSettings{Builds: &one}); err != nil {
		t.Fatal(err)
	}
	taken := map[string]bool{}
	var last *throng.Audience
	for _, c := range r.Clusters {
		if c.Size != 300 || c.Share != 300.0/960 || len(c.Top) == 0 || !strings.Contains(c.Name, " · ") {
			t.Errorf("cluster = %+v, want 300 people and a name of two terms", c)
		}
		last = s.cluster(s.caller, everybody.ID, c.ID, Build{})
		got := s.memberList(last.ID)
		for _, key := range got {
			if tasteOf(key) != tasteOf(got[0]) || taken[key] {
				t.Fatalf("%s is in cluster %d, taken %v", key, c.ID, taken[key])
			}
			taken[key] = true
		}
		for _, top := range c.Top {
			if top.Dimension != "youtube" && top.Dimension != "affinity" || top.Index == nil || *top.Index <= 100 {
				t.Errorf("term of cluster %d = %+v, want one that it has more often", c.ID, top)
			}
		}
		want := &throng.ClusterSource{AudienceID: everybody.ID, ID: c.ID, Name: c.Name}
		if diff := cmp.Diff(want, last.Cluster); diff != "" || last.Generation != everybody.Generation || !strings.HasSuffix(last.Name, c.Name) {
			t.Errorf("audience %q of a cluster, on %s (-want +got):\n%s", last.Name, last.Generation, diff)
		}
	}
	if len(taken) != 900 {
		t.Errorf("%d people in clusters, want 900", len(taken))
	}
	if got := s.expansions(s.caller)[0]; got != 0 {
		t.Errorf("%d credits of builds are left, want 0", got)
	}
	_, err = s.ClusterAudience(t.Context(), s.caller, everybody.ID, 4, Build{}, nil)
	wantCode(t, err, throng.NotFound)
	_, err = s.ClusterAudience(t.Context(), s.caller, everybody.ID, 1, Build{}, nil)
	wantCode(t, err, throng.CreditsExhausted)
	_, err = s.ClusterAudience(t.Context(), s.caller, everybody.ID, 1, Build{CallbackURL: "nowhere", Outputs: &[]string{"fax"}}, nil)
	wantCode(t, err, throng.Invalid, "callback_url", "outputs[0]")
	_, err = s.ClusterAudience(t.Context(), s.add("other", CallerSettings{}), everybody.ID, 1, Build{}, nil)
	wantCode(t, err, throng.NotFound)
	_, err = s.RegenerateAudience(t.Context(), s.caller, last.ID, Build{}, nil)
	wantCode(t, err, throng.Conflict)
	// The same audience has the same clusters.
	again := s.build(s.add("again", CallerSettings{Grants: new(throng.Grants())}), `[{"operation":"OR","location":{"cities":[{"id":"c1"},{"id":"c2"}]}}]`)
	c, err := s.Audience(t.Context(), &throng.Caller{ID: again.CallerID}, again.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Clusters, s.insight(&throng.Caller{ID: c.CallerID}, again.ID, InsightQuery{}).Clusters); diff != "" {
		t.Errorf("clusters of the same people (-want +got):\n%s", diff)
	}
}

// cluster makes an audience of a cluster and waits until that is done.
func (s *testService) cluster(c *throng.Caller, id int64, n int, b Build) *throng.Audience {
	s.t.Helper()
	a, err := s.ClusterAudience(s.t.Context(), c, id, n, b, nil)
	if err != nil {
		s.t.Fatalf("ClusterAudience(%d, %d): %v", id, n, err)
	}
	if a = s.wait(c, a.ID); a.Status != throng.Done {
		s.t.Fatalf("audience of cluster %d: status %s, failure %+v", n, a.Status, a.Failure)
	}
	return a
}

// TestClustersOutliveGeneration makes an audience of a cluster when the data it
// was found on is gone: those of its members who are still there.
func TestClustersOutliveGeneration(t *testing.T) {
	s := startCrowd(t, func(c *Config) { c.KeepGenerations = 1 })
	everybody := s.build(s.caller, `[{"operation":"OR","location":{"cities":[{"id":"c1"},{"id":"c2"}]}}]`)
	s.insight(s.caller, everybody.ID, InsightQuery{})
	before := s.memberList(s.cluster(s.caller, everybody.ID, 1, Build{}).ID)
	tables := crowd()
	tables["people.csv"] = strings.Replace(tables["people.csv"], before[5]+",", "other,", 1)
	delete(tables, "follows.csv")
	delete(tables, "accounts.csv")
	s.load(tables)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys := s.keys("insights/"); slices.ContainsFunc(keys, func(k string) bool { return strings.Contains(k, rowstore.Prefix) }) || len(keys) != 4 {
		t.Errorf("files of the report after the sweep = %v, want its counts and the keys of three clusters", keys)
	}
	a := s.cluster(s.caller, everybody.ID, 1, Build{Outputs: &[]string{"md5"}})
	after := s.memberList(a.ID)
	if len(after) != len(before)-1 || intersect(after, before) != len(after) || a.Generation == everybody.Generation {
		t.Errorf("%d members, %d of them of before, want %d", len(after), intersect(after, before), len(before)-1)
	}
	if len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "1 of the members of the cluster") {
		t.Errorf("warnings = %q, want one of the member that is gone", a.Warnings)
	}
	if types := a.Outputs; len(types) != 2 || types[1].Type != identifier.MD5 {
		t.Errorf("outputs = %+v, want ss_id and md5", types)
	}
	if err := s.DeleteAudience(t.Context(), s.caller, everybody.ID); err != nil {
		t.Fatal(err)
	}
	if keys := s.keys("insights/"); len(keys) != 0 {
		t.Errorf("files of a deleted report = %v", keys)
	}
}

// TestClustersHidden tells of no cluster that is smaller than sizes may be.
func TestClustersHidden(t *testing.T) {
	s := startCrowd(t, func(c *Config) { c.MinimumSize = 301 })
	a := s.build(s.caller, `[{"operation":"OR","location":{"cities":[{"id":"c1"},{"id":"c2"}]}}]`)
	if r := s.insight(s.caller, a.ID, InsightQuery{}); len(r.Clusters) != 0 || r.Unclustered != 960 {
		t.Errorf("clusters = %+v, %d in none, want none", r.Clusters, r.Unclustered)
	}
}

// TestClusterReplaced says so where a report was made anew before the audience
// of one of its clusters.
func TestClusterReplaced(t *testing.T) {
	s := startCrowd(t)
	a := s.build(s.caller, `[{"operation":"OR","location":{"cities":[{"id":"c1"},{"id":"c2"}]}}]`)
	s.insight(s.caller, a.ID, InsightQuery{})
	s.jobs.Stop(t.Context())
	made, err := s.ClusterAudience(t.Context(), s.caller, a.ID, 1, Build{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range s.keys("insights/") {
		if err := s.blobs.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	two := s.again()
	two.run()
	got := two.wait(s.caller, made.ID)
	if got.Status != throng.Failed || !strings.Contains(got.Failure.Message, "was made anew") {
		t.Errorf("audience of a cluster that is gone = %s, %+v", got.Status, got.Failure)
	}
	_, err = s.ClusterAudience(t.Context(), s.caller, a.ID, 1, Build{}, nil)
	wantCode(t, err, throng.Conflict)
}
