package enginetest

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"throng/engine"
	"throng/engine/enginetest/model"
	"throng/identifier"
	"throng/query"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func testReport(t *testing.T, e engine.Engine) {
	dir := writeTables(t, map[string]string{
		"people":  "person,age,gender,shoe\na,20,male,1\nb,17,,\na,30,,\nc,old,robot,2\n,20,,\nd,20\n",
		"follows": "person,network,account\na,twitter,1\nb,twitter,1\nz,twitter,1\na,myspace,1\na,twitter,\n",
		"tweets":  "person,posted_at,text\na,2026-10-31,x\na,2026-10-01,x\na,2026-11-02,x\na,soon,x\nb,2026-10-31,x\n",
	})
	_, report := loadDir(t, e, dir)
	type counts struct{ Rows, Loaded, Rejected, Skipped, Dropped uint64 }
	got := map[string]counts{}
	for _, tab := range report.Tables {
		c := counts{Rows: tab.Rows, Loaded: tab.Loaded}
		for _, n := range tab.Rejected {
			c.Rejected += n
		}
		for _, n := range tab.Skipped {
			c.Skipped += n
		}
		for _, n := range tab.Dropped {
			c.Dropped += n
		}
		got[tab.Table] = c
	}
	want := map[string]counts{
		// Rejected: the second a, the row without a person, the short row.
		"people": {6, 2, 3, 1, 2},
		// b is below 18; z is unknown; myspace is unknown; no account.
		"follows": {5, 1, 3, 1, 0},
		// Two outside the window and one of b's; one without a time.
		"tweets": {5, 1, 1, 3, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Report differs (-want +got):\n%s", diff)
	}
	if report.People != 2 || report.Dataset != "suite" || !report.AsOf.Equal(suiteNow()) || report.Bytes <= 0 || report.Rejects == "" {
		t.Errorf("Report = %+v, want 2 people of suite, its time, size and rejects", report)
	}
	if i := slices.IndexFunc(report.Tables, func(r engine.TableReport) bool { return r.Table == "people" }); i >= 0 {
		if diff := cmp.Diff([]string{"shoe"}, report.Tables[i].Ignored); diff != "" {
			t.Errorf("ignored columns differ (-want +got):\n%s", diff)
		}
	}
}

func in(f query.Field, values ...string) query.Node { return query.In{Field: f, Values: values} }

// least is who follows at least k of some accounts of Twitter.
func least(k int, values ...string) query.Node {
	return query.AtLeast{K: k, Field: query.Twitter, Values: values}
}

func testNodes(t *testing.T, e engine.Engine) {
	g := loadTables(t, e, map[string]string{
		"people":  "person,age,gender\na,20,male\nb,30,female\nc,,female\nd,,\n",
		"follows": "person,network,account\na,twitter,1\na,twitter,2\nb,twitter,2\nb,twitter,3\nc,twitter,3\n",
		"bios":    "person,network,text\na,twitter,go home\nb,twitch,go away\nc,twitter,stay\n",
	})
	check := func(n query.Node, want string) {
		t.Helper()
		if diff := cmp.Diff(strings.Fields(want), keysFor(t, g, n), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", show(n), diff)
		}
	}
	check(query.And{}, "a b c d")
	check(query.Or{}, "")
	check(query.Not{Node: query.Or{}}, "a b c d")
	check(in(query.Gender), "")
	check(in(query.Gender, "nobody"), "")
	check(in(query.Gender, query.Unknown), "d")
	check(in(query.Age, query.Unknown), "c d")
	check(in(query.Age, query.Unknown, "18-24"), "a c d")
	check(query.Not{Node: in(query.Age, query.Unknown)}, "a b")
	check(in(query.Ethnicity, query.Unknown), "a b c d")
	check(query.And{Nodes: []query.Node{in(query.Gender, "female"), query.Not{Node: in(query.Age, query.Unknown)}}}, "b")
	check(least(1, "1", "2", "3"), "a b c")
	check(least(2, "1", "2", "3"), "a b")
	check(least(3, "1", "2", "3"), "")
	check(least(2, "1", "1"), "")
	check(least(2, "1", "2", "2", "9"), "a")
	check(least(2, "1"), "")
	check(least(1), "")
	check(least(math.MaxInt, "1", "2"), "")
	text := func(phrase string, fields ...query.Field) query.Node {
		return query.Text{Fields: fields, Phrases: []string{phrase}}
	}
	check(text("go", query.BioTwitter), "a")
	check(text("GO", query.TextFields()...), "a b")
	check(text("go"), "")
	check(text("", query.BioTwitter), "")
	check(text("--", query.BioTwitter), "")
	check(query.Text{Fields: []query.Field{query.BioTwitter, query.BioTwitch}, Phrases: []string{"stay", "away"}}, "b c")
	checkSteps(t, g)
}

// checkSteps counts after every step of definitions of the people of testNodes.
func checkSteps(t *testing.T, g engine.Generation) {
	t.Helper()
	d := query.Definition{Steps: []query.Step{
		{Op: query.Exclude, Node: in(query.Gender, "male")},
		{Op: query.Include, Node: least(1, "1")},
		{Op: query.Filter, Node: in(query.Age, "18-24", "25-34")},
		{Op: query.Include, Node: least(1, "3")},
	}}
	got, err := g.Count(t.Context(), d, engine.Alone|engine.After)
	// a, b and c are included; c has no age; a is male.
	want := engine.Counts{Steps: []uint64{1, 1, 2, 2}, After: []uint64{1, 1, 2, 3}, Include: 3, Filter: 2, Exclude: 1}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Count: %v, differs (-want +got):\n%s", err, diff)
	}
	none, err := g.Count(t.Context(), query.Definition{Steps: []query.Step{{Op: query.Filter, Node: query.And{}}}}, engine.After)
	if err != nil || none.Exclude != 0 || none.Include != 0 || none.After[0] != 0 {
		t.Errorf("Count(no include) = %+v, %v, want nobody", none, err)
	}
}

func testMatch(t *testing.T, e engine.Engine) {
	g := loadTables(t, e, map[string]string{
		"people": "person\na\nb\nc\n",
		"identifiers": "person,type,value\na,email_raw,Ann@Example.com\nb,md5," + annUpper + "\nc,idfa,6D92078A-8246-4BA4-AE5B-76104861E7DC\n" +
			"b,twitter_user,@Bee\nc,twitter_user,bEE\nc,ramp_id,R1\nc,imei,490154203237518\n",
	})
	match := func(typ identifier.Type, values []string, want string, matched uint64) {
		t.Helper()
		rows, n, err := g.Match(t.Context(), typ, eachOf(values))
		if err != nil {
			t.Fatalf("Match(%s): %v", typ, err)
		}
		if diff := cmp.Diff(strings.Fields(want), keysOf(t, g, rows), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Match(%s) differs (-want +got):\n%s", typ, diff)
		}
		if n != matched {
			t.Errorf("Match(%s) matched %d values, want %d", typ, n, matched)
		}
	}
	match(identifier.SSID, []string{"c", "a", "x"}, "a c", 2)
	match(identifier.EmailRaw, []string{"ann@example.com", "bob@example.com"}, "a b", 1)
	match(identifier.MD5, []string{annLower, bobLower}, "a b", 1)
	match(identifier.TwitterUser, []string{"bee"}, "b c", 1)
	match(identifier.MAID, []string{"6d92078a-8246-4ba4-ae5b-76104861e7dc"}, "c", 1)
	match(identifier.IDFA, []string{"6D92078A-8246-4BA4-AE5B-76104861E7DC"}, "c", 1)
	match(identifier.GAID, []string{"6d92078a-8246-4ba4-ae5b-76104861e7dc"}, "", 0)
	match(identifier.RampID, []string{"R1", "r1"}, "c", 1)
	match(identifier.IMEI, []string{"490154203237518"}, "c", 1)
	match(identifier.CintID, []string{"R1"}, "", 0)
	match(identifier.SSID, nil, "", 0)
}

func testStream(t *testing.T, e engine.Engine) {
	g := loadTables(t, e, map[string]string{
		"people":      "person\nz\ny\nx\n",
		"identifiers": "person,type,value\nx,twitter_user,One\ny,twitter_user,ONE\nz,cint_id,c\nx,cint_id,c\nx,cint_id,d\nx,ramp_id,r\n",
	})
	rows, _, err := g.Select(t.Context(), include(query.Not{Node: query.Rows{Set: matchKeys(t, g, "z")}}), 0)
	if err != nil {
		t.Fatal(err)
	}
	got := streamAll(t, g, rows, identifier.CintID, identifier.SSID, identifier.TwitterUser, identifier.MD5)
	want := map[identifier.Type]*streamed{
		// The order of the index is that of the rows of people, not of keys.
		identifier.SSID:        {[]string{"y", "x"}, []uint32{0, 1}},
		identifier.TwitterUser: {[]string{"ONE"}, []uint32{0}},
		// z has the c, too, but is not among the rows.
		identifier.CintID: {[]string{"c", "d"}, []uint32{1, 1}},
		identifier.MD5:    {},
	}
	slices.Sort(got[identifier.CintID].values)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(streamed{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Stream differs (-want +got):\n%s", diff)
	}
}

func matchKeys(t *testing.T, g engine.Generation, keys ...string) query.RowSet {
	t.Helper()
	rows, _, err := g.Match(t.Context(), identifier.SSID, eachOf(keys))
	if err != nil {
		t.Fatalf("Match: %v", err)
	}
	return rows
}

func testCatalog(t *testing.T, e engine.Engine) {
	w := affinitiesByHand()[0].Tables
	tables := map[string]string{
		"people": w["people"], "affinities": w["affinities"], "interests": w["interests"],
		"jobs":     "person,title,employer\ntop,New York Chef,Acme\nmid,New York Chef,\nleaf,Chef de Café,\nbrand,Kennewick Cook,Acme\n",
		"accounts": "network,account,screen_name,name\ntwitter,9,@Zed,Zed's\ntwitter,10,zED,\ntwitch,9,other,\n",
		"follows":  "person,network,account\ntop,twitter,77\n",
	}
	c := loadTables(t, e, tables).Catalog()
	checkTerms(t, c)
	checkSearch(t, c)
	checkAccounts(t, c)
	checkAffinities(t, c)
	places, err := c.Places()
	if err != nil {
		t.Fatalf("Places: %v", err)
	}
	if _, ok := places.Lookup("city", "81905"); !ok {
		t.Error("Places() does not know the built-in city 81905")
	}
}

func checkTerms(t *testing.T, c engine.Catalog) {
	t.Helper()
	term := func(f query.Field, value string, want uint64, ok bool) {
		t.Helper()
		if got, found, err := c.Term(f, value); err != nil || found != ok || got.People != want {
			t.Errorf("Term(%s, %q) = %+v, %v, %v, want %d, %v", f, value, got, found, err, want, ok)
		}
	}
	term(query.JobTitle, "New York Chef", 2, true)
	term(query.JobTitle, "new york chef", 0, false)
	term(query.Employer, "Acme", 2, true)
	term(query.Affinity, "a1", 4, true)
	term(query.Affinity, "a5", 0, false)
}

func checkSearch(t *testing.T, c engine.Catalog) {
	t.Helper()
	search := func(q string, offset, limit int, more bool, want ...string) {
		t.Helper()
		terms, gotMore, err := c.Search(t.Context(), query.JobTitle, q, offset, limit)
		if err != nil {
			t.Fatalf("Search(%q): %v", q, err)
		}
		var got []string
		for _, term := range terms {
			got = append(got, term.Value)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || gotMore != more {
			t.Errorf("Search(%q) has more %v, want %v, and differs (-want +got):\n%s", q, gotMore, more, diff)
		}
	}
	search("", 0, 10, false, "New York Chef", "Chef de Café", "Kennewick Cook")
	search("", 1, 1, true, "Chef de Café")
	search("chef", 0, 10, false, "New York Chef", "Chef de Café")
	search("new", 0, 10, false, "New York Chef") // not Kennewick
	search("york ch", 0, 10, false, "New York Chef")
	search("yo chef", 0, 10, false)
	search("CAFE", 0, 10, false, "Chef de Café")
	search("cook", 1, 10, false)
}

func checkAccounts(t *testing.T, c engine.Catalog) {
	t.Helper()
	named := func(f query.Field, name string, want ...engine.Account) {
		t.Helper()
		got, err := c.AccountsNamed(f, name)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("AccountsNamed(%s, %q): %v, differs (-want +got):\n%s", f, name, err, diff)
		}
	}
	if a, ok, err := c.Account(query.Twitter, "77"); err != nil || !ok || a.ID != "77" {
		t.Errorf("Account(77) = %+v, %v, %v, want an account without a name", a, ok, err)
	}
	if _, ok, err := c.Account(query.Twitter, "78"); ok || err != nil {
		t.Errorf("Account(78) is known: %v, %v, want it unknown", ok, err)
	}
	if a, ok, err := c.Account(query.Twitter, "9"); err != nil || !ok || a.Name != "Zed's" {
		t.Errorf("Account(9) = %+v, %v, %v, want Zed's", a, ok, err)
	}
	if got, err := c.AccountsNamed(query.Twitter, "@ZED"); err != nil || len(got) != 2 {
		t.Errorf("AccountsNamed(@ZED) = %+v, %v, want both", got, err)
	}
	named(query.Twitch, "zed")
	named(query.Twitter, "")
}

func checkAffinities(t *testing.T, c engine.Catalog) {
	t.Helper()
	tree, err := c.Affinities()
	if err != nil {
		t.Fatalf("Affinities: %v", err)
	}
	if len(tree.Roots) != len(model.Roots()) || tree.Roots[3].ID != ".interests." || len(tree.Roots[3].Children) != 1 {
		t.Fatalf("Affinities() has roots %+v, want the seven, in order", tree.Roots)
	}
	a2, ok := tree.Lookup("a2")
	if !ok || a2.Name != "Middle" || a2.Parent.ID != "a1" || a2.People != 3 || len(a2.Children) != 1 {
		t.Errorf("Lookup(a2) = %+v, %v, want Middle below a1 with 3 people", a2, ok)
	}
	if a5, ok := tree.Lookup("a5"); !ok || a5.People != 0 {
		t.Errorf("Lookup(a5) = %+v, %v, want nobody's", a5, ok)
	}
	for _, id := range []string{"o1", "o2", "c1", "n1"} {
		if _, ok := tree.Lookup(id); ok {
			t.Errorf("Lookup(%s) is known, want it rejected", id)
		}
	}
}
