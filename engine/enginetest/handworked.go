package enginetest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"throng/engine/enginetest/model"
)

// Case is a small dataset, a definition, and the members that it has by the
// specification. Every expectation was worked out by hand.
type Case struct {
	Name string
	// Tables is the dataset: CSV text by name of table.
	Tables map[string]string
	// Settings is dataset.json.
	Settings string
	// Parameters is the list as in POST /audiences, valid for a caller with
	// every grant.
	Parameters json.RawMessage
	// Uploads is what the definition's uploads hold, by the key in it. An API
	// gives keys of its own, which take their place.
	Uploads map[string]model.UploadedFile
	// Audiences is what the definition's audiences are: their own parameters,
	// by the id in the definition, which an API's own takes the place of.
	Audiences map[int64]json.RawMessage
	// Members is the keys of the members, in the order of the index.
	Members []string
	// Steps is the sizes after the includes, the filters and the exclusions;
	// nil where the case does not say.
	Steps []int
	// Outputs is the lines of output files by type, where the case says them.
	Outputs map[string][]string
}

// Definition is the case's {"parameters":[…]}.
func (c Case) Definition() json.RawMessage {
	return json.RawMessage(`{"parameters":` + string(c.Parameters) + `}`)
}

// Write writes the dataset to a folder that is there.
func (c Case) Write(dir string) error {
	for table, text := range c.Tables {
		if err := os.WriteFile(filepath.Join(dir, table+".csv"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "dataset.json"), []byte(c.Settings), 0o600)
}

// HandWorked returns the cases whose answers were worked out by hand. Several
// share a dataset; those have equal Tables and Settings.
func HandWorked() []Case {
	return slices.Concat(agesByHand(), activityByHand(), accountsByHand(), affinitiesByHand(), jobsByHand(),
		personalityByHand(), placesByHand(), biosByHand(), tweetsByHand(), identifiersByHand(), groupsByHand())
}

// world is a dataset that cases share.
type world struct {
	tables   map[string]string
	settings string
}

func (w world) hand(name, parameters, members string) Case {
	return Case{
		Name: name, Tables: w.tables, Settings: w.settings,
		Parameters: json.RawMessage(parameters), Members: strings.Fields(members),
	}
}

func agesByHand() []Case {
	w := world{settings: `{"name":"ages","as_of":"2026-11-01T00:00:00Z"}`, tables: map[string]string{
		"people": `person,age,birth_year,age_range,gender,ethnicity
a18,18,,,male,asian
a24,24,,,female,black
a25,25,,,male,white
a17,17,,,female,asian
b2008,,2008,,male,
b2007,,2007,,female,hispanic
b2001,,2001,,,native
b2000,,2000,,male,
r54,,,45-54,female,white
r55,,,over 54,,
a55,55,,,male,asian
a54,54,,,female,asian
kid,,,13-17,male,black
none,,,,female,
bad,forty,,,robot,martian
first,30,1950,over 54,male,black
year,,1975,18-24,female,
a18,40,,,female,white
`,
	}}
	age := func(v string) string { return `[{"operation":"OR","age":{"ranges":[` + v + `]}}]` }
	all := `{"operation":"OR","age":{"ranges":["18-24","25-34","35-44","45-54","over 54","unknown"]}}`
	steps := w.hand("a filter, then an exclusion", `[`+all+`,
		{"operation":"NOT","gender":{"genders":["male"]}},
		{"operation":"AND","ethnicity":{"ethnicities":["asian","white"]}}]`, "r54 a54")
	// Fourteen are loaded; asian or white: a18 a25 r54 a55 a54; of those a18, a25 and a55 are male.
	steps.Steps = []int{14, 5, 2}
	return []Case{
		// a17, kid and b2008 (2026-2008-1 = 17) are below 18; b2007 is surely 18, b2001 surely 24.
		// The second row of a18 does not count.
		w.hand("age 18-24", age(`"18-24"`), "a18 a24 b2007 b2001"),
		// 2026-2000-1 = 25. Of first's three cells, age counts.
		w.hand("age 25-34", age(`"25-34"`), "a25 b2000 first"),
		w.hand("age 35-44", age(`"35-44"`), ""),
		// year: 2026-1975-1 = 50; birth_year comes before age_range.
		w.hand("age 45-54", age(`"45-54"`), "r54 a54 year"),
		w.hand("age over 54 is from 55", age(`"over 54"`), "r55 a55"),
		// A malformed cell is an absent one.
		w.hand("age unknown", age(`"unknown"`), "none bad"),
		w.hand("age in two ranges, one twice", age(`"over 54","18-24","over 54"`), "a18 a24 b2007 b2001 r55 a55"),
		w.hand("gender first", `[{"operation":"OR","gender":{"genders":["female"]}}]`, "a24 b2007 r54 a54 none year"),
		w.hand("gender unknown", `[{"operation":"OR","gender":{"genders":["unknown"]}}]`, "b2001 r55 bad"),
		w.hand("ethnicity unknown as filter", `[`+all+`,{"operation":"AND","ethnicity":{"ethnicities":["unknown"]}}]`,
			"b2000 r55 none bad year"),
		w.hand("ethnicity value or unknown, excluded", `[`+all+`,{"operation":"NOT","ethnicity":{"ethnicities":["unknown","asian"]}}]`,
			"a24 a25 b2007 b2001 r54 first"),
		steps,
	}
}

func activityByHand() []Case {
	w := world{settings: `{"name":"activity","as_of":"2026-11-01T12:00:00Z"}`, tables: map[string]string{
		"people": `person,last_tweeted
exact30,2026-10-02T12:00:00Z
just30,2026-10-02T11:59:59Z
date30,2026-10-02
zone30,2026-10-02T14:00:00+02:00
zoneno,2026-10-02T12:30:00+01:00
never,
future,2026-12-01
day1,2026-10-31T12:00:00Z
bad,yesterday
writer,
year,2025-11-01T12:00:00Z
older,2025-11-01T11:59:59.999Z
alone,2026-11-01
`,
		"follows": `person,network,account
exact30,twitter,1
just30,twitter,1
date30,twitter,1
zone30,twitter,1
zoneno,twitter,1
never,twitter,1
future,twitter,1
day1,twitter,1
bad,twitter,1
writer,twitter,1
year,twitter,1
older,twitter,1
`,
		"tweets": "person,posted_at,text\nwriter,2026-11-01T11:00:00Z,hello\n",
	}}
	p := func(more string) string {
		return `[{"operation":"OR","twitter_followers":{"accounts":[{"id":"1"}]` + more + `}}]`
	}
	all := "exact30 just30 date30 zone30 zoneno never future day1 bad writer year older"
	return []Case{
		w.hand("no limit", p(``), all),
		w.hand("last tweeted 0 is no limit", p(`,"last_tweeted":0`), all),
		// as_of − 30 days is 2026-10-02T12:00:00Z, which counts. A date is its
		// midnight. The future is after it, too. A tweet of writer's is not asked.
		w.hand("last tweeted 30", p(`,"cutoff":1,"last_tweeted":30`), "exact30 zone30 future day1"),
		w.hand("last tweeted 1", p(`,"last_tweeted":1`), "future day1"),
		w.hand("last tweeted 60", p(`,"last_tweeted":60`), "exact30 just30 date30 zone30 zoneno future day1"),
		w.hand("last tweeted 365", p(`,"last_tweeted":365`), "exact30 just30 date30 zone30 zoneno future day1 year"),
		w.hand("last tweeted excluded", `[{"operation":"OR","twitter_followers":{"accounts":[{"id":"1"}]}},
			{"operation":"NOT","twitter_followers":{"accounts":[{"id":"1"}],"last_tweeted":365}}]`, "never bad writer older"),
	}
}

func accountsByHand() []Case {
	w := world{settings: `{"name":"accounts","as_of":"2026-11-01T00:00:00Z"}`, tables: map[string]string{
		"people": "person\nf0\nf1\nf2\nf3\nf4\nf5\ng\nh\n",
		"follows": `person,network,account
f1,youtube,y1
f1,youtube,y1
f2,youtube,y1
f2,youtube,y2
f3,youtube,y1
f3,youtube,y2
f3,youtube,y3
f4,youtube,y1
f4,youtube,y2
f4,youtube,y3
f4,youtube,7
f5,youtube,y1
f5,youtube,y2
f5,youtube,y3
f5,youtube,7
f5,youtube,nameless
g,twitch,y1
g,youtube,007
h,instagram,i1
h,tiktok,k1
g,instagram,i2
f0,tiktok,k2
nobody,youtube,y1
f0,myspace,y1
`,
		"accounts": `network,account,screen_name,name
youtube,y1,Alpha,The first
youtube,y2,aLPHA,The second
youtube,y3,@Gamma,The third
youtube,7,seven,
twitch,y1,other,
instagram,i1,Ines,
instagram,i2,,No name
tiktok,k1,Ines,
`,
	}}
	yt := func(accounts, cutoff string) string {
		return `[{"operation":"OR","youtube_channels":{"accounts":[` + accounts + `]` + cutoff + `}}]`
	}
	four := `{"id":"y1"},{"id":"y2"},{"id":"y3"},{"id":"7"}`
	return []Case{
		w.hand("cutoff absent is 1", yt(four, ``), "f1 f2 f3 f4 f5"),
		w.hand("cutoff 2", yt(four, `,"cutoff":2`), "f2 f3 f4 f5"),
		w.hand("cutoff of all", yt(four, `,"cutoff":4`), "f4 f5"),
		w.hand("cut_off", yt(four, `,"cut_off":3`), "f3 f4 f5"),
		// The row of f1 that comes twice is one account.
		w.hand("one account listed twice", yt(`{"id":"y1"},{"id":"y1"},{"id":"y3"}`, `,"cutoff":2`), "f3 f4 f5"),
		w.hand("an unknown account has no followers", yt(`{"id":"y1"},{"id":"zzz"}`, `,"cutoff":2`), ""),
		w.hand("an account without a row in accounts", yt(`{"id":"nameless"}`, ``), "f5"),
		w.hand("a number for an id", yt(`{"id":7}`, ``), "f4 f5"),
		w.hand("ids are text", yt(`{"id":"007"}`, ``), "g"),
		// y1 and y2 share the name, so one element stands for both.
		w.hand("a shared name means both", yt(`{"screen_name":"ALPHA"},{"id":"y3"}`, `,"cutoff":2`), "f2 f3 f4 f5"),
		w.hand("names with and without @", yt(`{"screen_name":"gamma"},{"screen_name":"@SEVEN"}`, `,"cutoff":2`), "f4 f5"),
		// Two as written, but one account in truth: nobody follows two of one.
		w.hand("a name and an id of one account", yt(`{"screen_name":"@gamma"},{"id":"y3"}`, `,"cutoff":2`), ""),
		w.hand("the id decides", yt(`{"id":"y3","screen_name":"unheard"}`, ``), "f3 f4 f5"),
		w.hand("an unknown name", yt(`{"screen_name":"unheard"}`, ``), ""),
		w.hand("the same id on another network", `[{"operation":"OR","twitch_followers":{"accounts":[{"id":"y1"}],"cutoff":1}}]`, "g"),
		w.hand("names are a network's own", `[{"operation":"OR","tiktok_engagers":{"accounts":[{"screen_name":"ines"}]}}]`, "h"),
		w.hand("any of the engaged", `[{"operation":"OR","instagram_engagers":{"accounts":[{"id":"i1"},{"id":"i2"},{"id":"k2"}],"cutoff":1}}]`, "g h"),
		w.hand("excluded by cutoff", `[{"operation":"OR","youtube_channels":{"accounts":[`+four+`]}},
			{"operation":"NOT","youtube_channels":{"accounts":[`+four+`],"cutoff":3}}]`, "f1 f2"),
	}
}

func affinitiesByHand() []Case {
	w := world{settings: `{"name":"affinities","as_of":"2026-11-01T00:00:00Z"}`, tables: map[string]string{
		"people": "person\ntop\nmid\nleaf\nbrand\nfan\nmapped\nlost\nboth\n",
		"affinities": `affinity,name,parent
a3,Leaf,a2
a2,Middle,a1
a1,Top,.interests.
a4,Brand,.brands.
a5,Lonely,.media.
o1,Orphan,nowhere
o2,Under the orphan,o1
c1,Cycle,c2
c2,Cycle,c1
n1,No parent,
`,
		"interests": `person,affinity
top,a1
mid,a2
leaf,a3
brand,a4
lost,o1
lost,o2
lost,c1
lost,n1
both,a3
both,a4
`,
		"affinity_accounts": `affinity,network,account
a3,twitch,t1
a2,twitter,t2
a4,twitter,t1
`,
		"follows": `person,network,account
fan,twitch,t1
mapped,twitter,t2
lost,youtube,t1
`,
	}}
	a := func(op string, ids ...string) string {
		return `{"operation":"` + op + `","affinities":{"affinities":[{"id":"` + strings.Join(ids, `"},{"id":"`) + `"}]}}`
	}
	steps := w.hand("an exclusion is not undone by a later include", `[`+a("OR", "a4")+`,`+a("NOT", "a3")+`,`+a("OR", "a2")+`]`, "mid brand mapped")
	// brand both; mid leaf fan mapped both: six. Of those leaf, fan and both have a3.
	steps.Steps = []int{6, 6, 3}
	return []Case{
		w.hand("a category is all below it", `[`+a("OR", "a1")+`]`, "top mid leaf fan mapped both"),
		// A follower of an account that is mapped to a category has the category alone.
		w.hand("a category in the middle", `[`+a("OR", "a2")+`]`, "mid leaf fan mapped both"),
		w.hand("a leaf", `[`+a("OR", "a3")+`]`, "leaf fan both"),
		// t1 on twitch is not t1 on twitter.
		w.hand("mapped by network and account", `[`+a("OR", "a4")+`]`, "brand both"),
		w.hand("an affinity that nobody has", `[`+a("OR", "a5")+`]`, ""),
		w.hand("any of the affinities", `[`+a("OR", "a3", "a4", "a4")+`]`, "leaf brand fan both"),
		w.hand("all by two filters", `[`+a("OR", "a1")+`,`+a("AND", "a3")+`,`+a("AND", "a4")+`]`, "both"),
		steps,
	}
}

func jobsByHand() []Case {
	w := world{settings: `{"name":"jobs","as_of":"2026-11-01T00:00:00Z"}`, tables: map[string]string{
		"people": "person\nj1\nj2\nj3\nj4\nj5\n",
		"jobs": `person,title,employer
j1,Engineer,Acme
j1,Engineer,Acme Labs
j2,Engineer,
j3,engineer,Acme
j4,"Analyst, Senior ""Programmer""",Acme
j5,,Solo
`,
	}}
	b := func(s string) string { return `[{"operation":"OR","b2b":{` + s + `}}]` }
	titles := `"job_titles":[{"id":"Engineer"},{"id":"engineer"},{"id":"Analyst, Senior \"Programmer\""}]`
	employers := `"employer_names":[{"id":"Acme"},{"id":"Solo"},{"id":"Acme Labs"}]`
	return []Case{
		w.hand("a title, exactly", b(`"job_titles":[{"id":"Engineer","screen_name":"no matter"}]`), "j1 j2"),
		w.hand("a title with commas and quotes", b(`"job_titles":[{"id":"Analyst, Senior \"Programmer\""}]`), "j4"),
		w.hand("employers", b(`"employer_names":[{"id":"Acme"},{"id":"Solo"}]`), "j1 j3 j4 j5"),
		w.hand("a title that nobody holds", b(`"job_titles":[{"id":"Engin"}]`), ""),
		w.hand("an employer is no title", b(`"job_titles":[{"id":"Acme"}]`), ""),
		// Engineer has two people (in three rows), the others one each.
		w.hand("fewer than 2", b(titles+`,"filter":{"direction":"<","count":2}`), "j3 j4"),
		w.hand("at most 2", b(titles+`,"filter":{"direction":"<=","count":2}`), "j1 j2 j3 j4"),
		w.hand("more than 1", b(titles+`,"filter":{"direction":">","count":1}`), "j1 j2"),
		w.hand("at least 3", b(titles+`,"filter":{"direction":">=","count":3}`), ""),
		// Acme has j1, j3 and j4. j1 stays out though an employer of j1's is Acme: it is listed as Acme Labs.
		w.hand("employers with at least 3", b(employers+`,"filter":{"direction":">=","count":3}`), "j1 j3 j4"),
		w.hand("employers with fewer than 3", b(employers+`,"filter":{"direction":"<","count":3}`), "j1 j5"),
	}
}

func personalityByHand() []Case {
	tables := map[string]string{
		"people": "person\ns1\ns2\ns3\ns4\ns5\ns6\ns7\n",
		"personality": `person,term,score
s1,curiosity,0.75
s2,curiosity,0.7499999999
s3,curiosity,1
s4,curiosity,0
s5,love,0.9
s5,curiosity,0.1
s6,curiosity,0.2
s6,curiosity,0.95
s7,self-expression,7.6e-1
s7,curiosity,1.1
s7,bravery,0.9
s7,love,high
`,
	}
	at := world{tables, `{"name":"scores","as_of":"2026-11-01T00:00:00Z","personality_threshold":0.75}`}
	strict := world{tables, `{"name":"scores","as_of":"2026-11-01T00:00:00Z","personality_threshold":0.95}`}
	p := func(terms string) string {
		return `[{"operation":"OR","personality":{"personalities":[` + terms + `]}}]`
	}
	return []Case{
		// A score in 32 bits would take 0.7499999999 for 0.75.
		at.hand("at the threshold", p(`"curiosity"`), "s1 s3 s6"),
		at.hand("any term", p(`"love","self-expression"`), "s5 s7"),
		strict.hand("another threshold", p(`"curiosity","love"`), "s3 s6"),
	}
}
