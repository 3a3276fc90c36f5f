package enginetest

import (
	"encoding/json"

	"throng/engine/enginetest/model"
)

func placesByHand() []Case {
	w := world{settings: `{"name":"places","as_of":"2026-11-01T00:00:00Z"}`, tables: map[string]string{
		"locations": `kind,id,name,region,country,dma
country,1,Freedonia,,,
country,2,Sylvania,,,
country,3,Nowhere,,,
region,1,North,,1,
region,2,South,,2,
dma,1,Big Market,,,
city,1,Springs,1,1,1
city,2,Falls,2,,
city,3,Island,,3,
`,
		"people": `person,city,region,dma,country
city,1,,,
falls,2,,,
region,,2,,
market,,,1,
named,,,,Freedonia
id,,,,2
own,1,2,,3
lost,99,,,
half,99,1,,
island,3,,,
homeless,,,,
`,
	}}
	l := func(lists string) string { return `[{"operation":"OR","location":{` + lists + `}}]` }
	all := `{"operation":"OR","gender":{"genders":["male","female","unknown"]}}`
	b := world{settings: w.settings, tables: map[string]string{
		"people": `person,city,region,dma,country
wny,81905,,,
ny,,US-NY,,
us,,,,US
usa,,,,United States
de,,,,DE
orleans,,,622,
`,
	}}
	return []Case{
		w.hand("a city", l(`"cities":[{"id":"1"}]`), "city own"),
		// The same number names another place of each kind.
		w.hand("a region, also through the city", l(`"regions":[{"id":"1","kind":"region"}]`), "city half"),
		w.hand("a region that the row names itself", l(`"regions":[{"id":"2"}]`), "falls region own"),
		w.hand("a market area, also through the city", l(`"dmas":[{"id":"1"}]`), "city market own"),
		w.hand("a country through the city, the region, its name", `[`+all+`,{"operation":"AND","location":{"countries":[{"id":"1"}]}}]`, "city named half"),
		// falls has no country in the table of cities; its region has.
		w.hand("a country through the region", `[`+all+`,{"operation":"AND","location":{"countries":[{"id":"2"}]}}]`, "falls region id"),
		w.hand("a country that the row names itself", `[`+all+`,{"operation":"AND","location":{"countries":[{"id":"3"}]}}]`, "own island"),
		w.hand("all four lists together", `[`+all+`,{"operation":"NOT","location":{
			"cities":[{"id":"3"}],"regions":[{"id":"2"}],"dmas":[{"id":"1"}],"countries":[{"id":1}]}}]`, "id lost homeless"),
		// 81905 is West New York, in New Jersey and the market area of New York.
		b.hand("built-in cities", l(`"cities":[{"id":"81905","name":"West New York","kind":"city"}]`), "wny"),
		b.hand("built-in market areas", l(`"dmas":[{"id":"501"},{"id":"622"}]`), "wny orleans"),
		b.hand("built-in countries by code and name", `[{"operation":"OR","gender":{"genders":["unknown"]}},
			{"operation":"AND","location":{"countries":[{"id":"231"}]}}]`, "wny ny us usa"),
		b.hand("a country excluded", `[{"operation":"OR","gender":{"genders":["unknown"]}},
			{"operation":"NOT","location":{"countries":[{"id":"231"}]}}]`, "de orleans"),
	}
}

func tweetsByHand() []Case {
	w := world{settings: `{"name":"tweets","as_of":"2026-11-01T00:00:00Z"}`, tables: map[string]string{
		"people": "person,age\nnow,\nlate,\nedge,\ninside,\ndate,\nolddate,\nzone,\nsplit,\nchild,12\n",
		"tweets": `person,posted_at,text
now,2026-11-01T00:00:00Z,learning golang today
late,2026-11-01T00:00:01Z,learning golang
edge,2026-10-25T00:00:00Z,learning golang
inside,2026-10-25T00:00:01Z,learning #golang
date,2026-10-26,golang
olddate,2026-10-25,golang
zone,2026-11-01T01:00:00+02:00,"learning,
golang"
split,2026-10-31T00:00:00Z,learning
split,2026-10-31T00:00:00Z,golang
child,2026-10-31T00:00:00Z,golang
now,soon,rust
`,
	}}
	t := func(phrases string) string {
		return `[{"operation":"OR","tweet_search":{"phrases":[` + phrases + `]}}]`
	}
	return []Case{
		// The window is open at its old end and closed at as_of.
		w.hand("tweets of the window", t(`"golang"`), "now inside date zone split"),
		w.hand("the vendor's phrases", t(`"golang","#golang"`), "now inside date zone split"),
		w.hand("a tag in a tweet", t(`"#golang"`), "inside"),
		// No tweet of split's holds both words.
		w.hand("a phrase in one tweet", t(`"learning golang"`), "now inside zone"),
		w.hand("a tweet of no time", t(`"rust"`), ""),
	}
}

// The MD5s of ann@example.com and bob@example.com.
const (
	annLower = "257c57037d384ae37ea27a07e8a01665"
	annUpper = "257C57037D384AE37EA27A07E8A01665"
	bobLower = "4b9bb80620f03eb3719e0a061c14283d"
)

func identifiersByHand() []Case {
	w := world{settings: `{"name":"identifiers","as_of":"2026-11-01T00:00:00Z"}`, tables: map[string]string{
		"people": "person,age\nu1,\nu2,\nu3,\nu4,\nu5,\nu6,\nu7,\nu8,\nchild,9\n",
		"identifiers": `person,type,value
u1,email_raw,  Ann@Example.com
u2,md5,CF1C4E5D2EB4FCBF1F4E5DE7B1B0BB6C
u2,md5,` + annUpper + `
u3,email_raw,ANN@example.COM
u3,email_raw,bob@example.com
u1,twitter_user,@BigBird
u4,twitter_user,bigbird
u4,twitter_user,Elmo
u4,twitter_id,0042
u5,twitter_id,42
u5,idfa,6D92078A-8246-4BA4-AE5B-76104861E7DC
u6,gaid,CDDA802E-FB9C-47AD-9866-0794D394C912
u7,ma_id,6d92078a82464ba4ae5b76104861e7dc
u8,ma_id,00000000-0000-0000-0000-000000000000
u8,md5,d41d8cd98f00b204e9800998ecf8427e
u8,email_raw,nobody.example.com
u7,cint_id,Cint-1
u8,cint_id,cint-1
u8,ramp_id,XY1
u8,shoe_size,43
nobody,twitter_id,7
child,twitter_id,8
`,
	}}
	all := `[{"operation":"OR","gender":{"genders":["unknown"]}}]`
	up := func(name, typ, content, members string) Case {
		c := w.hand(name, `[{"operation":"OR","upload":{"keys":["k1"],"type":"`+typ+`"}}]`, members)
		c.Uploads = map[string]model.UploadedFile{"k1": {Type: typ, Content: []byte(content)}}
		return c
	}
	two := w.hand("two uploads and a filter", `[{"operation":"OR","upload":{"keys":["k1","k2"],"type":"twitter_id"}},
		{"operation":"AND","upload":{"keys":["k3"],"type":"ss_id"}}]`, "u5")
	two.Uploads = map[string]model.UploadedFile{
		"k1": {Type: "twitter_id", Content: []byte("0042\n")}, "k2": {Type: "twitter_id", Content: []byte("42")},
		"k3": {Type: "ss_id", Content: []byte("u5\nu1\nu9\n")},
	}
	out := w.hand("outputs", all, "u1 u2 u3 u4 u5 u6 u7 u8")
	out.Outputs = map[string][]string{
		"ss_id":      {"u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8"},
		"twitter_id": {"0042", "42"},
		// bigbird of u4 is BigBird of u1.
		"twitter_user": {"BigBird", "Elmo"},
		"email_raw":    {"Ann@Example.com", "bob@example.com"},
		// That of u1's address first; u2's other row; u3's second address.
		"md5":     {annLower, "cf1c4e5d2eb4fcbf1f4e5de7b1b0bb6c", bobLower},
		"cint_id": {"Cint-1", "cint-1"},
		// u7's is u5's once more.
		"ma_id": {"6d92078a-8246-4ba4-ae5b-76104861e7dc", "cdda802e-fb9c-47ad-9866-0794d394c912"},
	}
	part := w.hand("outputs of some", `[{"operation":"OR","upload":{"keys":["k1"],"type":"ss_id"}}]`, "u3 u4 u7")
	part.Uploads = map[string]model.UploadedFile{"k1": {Type: "ss_id", Content: []byte("u7\nu4\nu3\n")}}
	part.Outputs = map[string][]string{
		"twitter_user": {"bigbird", "Elmo"},
		"email_raw":    {"ANN@example.COM", "bob@example.com"},
		"md5":          {annLower, bobLower},
		"ma_id":        {"6d92078a-8246-4ba4-ae5b-76104861e7dc"},
	}
	return []Case{
		out, part, two,
		// u2 has the MD5 alone.
		up("addresses match through their MD5", "email_raw", " ann@EXAMPLE.com \n", "u1 u2 u3"),
		up("MD5s match addresses", "md5", annUpper+"\r\n"+annLower+"\n", "u1 u2 u3"),
		up("handles ignore case and @", "twitter_user", "@BIGBIRD\nelmo", "u1 u4"),
		up("digits are text", "twitter_id", "042\n42", "u5"),
		up("advertising ids of all makers", "ma_id", "6D92078A82464BA4AE5B76104861E7DC\ncdda802e-fb9c-47ad-9866-0794d394c912\n", "u5 u6 u7"),
		up("what is rejected matches nobody", "ma_id", "00000000-0000-0000-0000-000000000000\n\n", ""),
		up("the MD5 of nothing", "md5", "d41d8cd98f00b204e9800998ecf8427e", ""),
		up("cint ids are exact", "cint_id", " cint-1 \n", "u8"),
		up("ramp ids can be uploaded", "ramp_id", "XY1\n", "u8"),
		up("person keys are exact", "ss_id", "u1\n u2\nU3\nu4\nu4\n", "u1 u4"),
		up("unknown, underage and empty lines", "twitter_id", "7\n8\n\n\n", ""),
	}
}

func groupsByHand() []Case {
	w := world{settings: `{"name":"groups","as_of":"2026-11-01T00:00:00Z"}`, tables: map[string]string{
		"people": "person,gender,age\nm1,male,20\nm2,male,30\nf1,female,20\nf2,female,30\nf3,female,40\nx,,\n",
		"jobs":   "person,title\nm1,Cook\nf1,Cook\nf2,Baker\nx,Baker\n",
	}}
	cooks := `{"operation":"OR","b2b":{"job_titles":[{"id":"Cook"}]}}`
	women := `{"operation":"OR","gender":{"genders":["female"]}}`
	nested := w.hand("an audience as a filter and as an exclusion", `[`+women+`,
		{"operation":"AND","audience":{"ids":[1,2]}},{"operation":"NOT","audience":{"ids":[2]}}]`, "f1")
	nested.Audiences = map[int64]json.RawMessage{
		1: json.RawMessage(`[` + cooks + `]`),
		2: json.RawMessage(`[{"operation":"OR","b2b":{"job_titles":[{"id":"Baker"}]}}]`),
	}
	first := w.hand("an audience first", `[{"operation":"OR","audience":{"ids":[1]}}]`, "m1 f1")
	first.Audiences = map[int64]json.RawMessage{1: json.RawMessage(`[` + cooks + `]`)}
	return []Case{
		w.hand("a group that includes", `[`+cooks+`,{"operation":"OR","group":{"parameters":[`+women+`,
			{"operation":"AND","age":{"ranges":["35-44"]}}]}}]`, "m1 f1 f3"),
		w.hand("a group that filters", `[`+women+`,{"operation":"AND","group":{"parameters":[`+cooks+`,
			{"operation":"OR","b2b":{"job_titles":[{"id":"Baker"}]}}]}}]`, "f1 f2"),
		// Women but not (cooks but not men): f1 is a cook and no man.
		w.hand("a group that excludes, with an exclusion in it", `[`+women+`,{"operation":"NOT","group":{"parameters":[`+cooks+`,
			{"operation":"NOT","gender":{"genders":["male"]}}]}}]`, "f2 f3"),
		w.hand("a group first, in a group", `[{"operation":"OR","group":{"parameters":[{"operation":"OR","group":{"parameters":[`+women+`]}}]}},
			{"operation":"NOT","group":{"parameters":[{"operation":"OR","age":{"ranges":["18-24"]}}]}}]`, "f2 f3"),
		nested, first,
	}
}
