package dataset

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"throng/identifier"
	"throng/query"
	"throng/reference"
)

// bad stands for a cell that can be no value.
const bad = "\x00bad"

// rowOf makes a batch of one row; the columns that are not given are absent.
func rowOf(name string, cells ...string) *Batch {
	b := &Batch{Table: name, File: name + ".csv", Lines: []int{1}, width: len(Columns(name))}
	b.spans, b.codes, b.texts = make([]span, b.width), make([][]int32, b.width), make([][]span, b.width)
	for i, c := range cells {
		if c == bad {
			b.spans[i] = malformedSpan()
			continue
		}
		b.spans[i] = span{uint32(len(b.data)), uint32(len(b.data) + len(c))}
		b.data = append(b.data, c...)
	}
	return b
}

// outcome is an Outcome in one word.
func outcome(o Outcome) string {
	switch {
	case o.Skip != "":
		return "skip: " + o.Skip
	case o.Reject != "":
		return "reject: " + o.Reject
	default:
		return "ok"
	}
}

var asOf = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// places is a small table of places.
func places(t testing.TB) *reference.Table {
	t.Helper()
	places, problems := reference.New([]reference.Place{
		{Kind: reference.Country, ID: "231", Name: "United States"},
		{Kind: reference.Country, ID: "75", Name: "France"},
		{Kind: reference.Region, ID: "3372", Name: "New York", Country: "231"},
		{Kind: reference.DMA, ID: "501", Name: "New York, NY"},
		{Kind: reference.City, ID: "c1", Name: "New York City", Region: "3372", Country: "231", DMA: "501"},
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return places
}

func TestPersonAge(t *testing.T) {
	env := Env{AsOf: asOf, Places: places(t)}
	var p PersonRow
	for _, c := range []struct {
		age, year, band string
		want            string // age, then the columns dropped; or the outcome
	}{
		{"", "", "", ""},
		{"18", "", "", "18-24"},
		{"24", "", "", "18-24"},
		{"25", "", "", "25-34"},
		{"34.0", "", "", "25-34"},
		{" 44 ", "", "", "35-44"},
		{"54", "", "", "45-54"},
		{"55", "", "", "over 54"},
		{"150", "", "", "over 54"},
		{"151", "", "", " age"},
		{"0", "", "", "skip: under 18"},
		{"17", "1950", "over 54", "skip: under 18"},
		{"-1", "", "", " age"},
		{"34.5", "", "", "25-34"},
		{"17.5", "", "", "skip: under 18"},
		{"17.x", "", "", " age"},
		{"3e1", "", "", " age"},
		{"x", "1990", "", "35-44 age"},
		{bad, "", "25-34", "25-34 age"},
		{"30", "1990", "over 54", "25-34"},
		{"", "2007", "", "18-24"},
		{"", "2008", "", "skip: under 18"},
		{"", "2026", "", "skip: under 18"},
		{"", "2027", "", " birth_year"},
		{"", "1874", "", " birth_year"},
		{"", "1875", "", "over 54"},
		{"", "1971", "", "45-54"},
		{"", "1971.0", "", "45-54"},
		{"", "1970", "", "over 54"},
		{"", "90", "", " birth_year"},
		{"", "19x0", "25-34", "25-34 birth_year"},
		{"", "1990", "unknown", "35-44"},
		{"unknown", "", "25-34", "25-34 age"},
		{"", "", "18-24", "18-24"},
		{"", "", "over 54", "over 54"},
		{"", "", "Over 54", "over 54"},
		{"", "", "unknown", ""},
		{"", "", "UNKNOWN", ""},
		{"", "", "25-29", "25-34"},
		{"", "", "25 - 29", "25-34"},
		{"", "", "25\u201329", "25-34"},
		{"", "", "25 to 29", "25-34"},
		{"", "", "55+", "over 54"},
		{"", "", "55-64", "over 54"},
		{"", "", "65 and over", "over 54"},
		{"", "", ">=55", "over 54"},
		{"", "", ">54", "over 54"},
		{"", "", ">= 70", "over 54"},
		{"", "", "30", "25-34"},
		{"", "", "18-25", " age_range"},
		{"", "", "50+", " age_range"},
		{"", "", "29-25", " age_range"},
		{"", "", "13-24", " age_range"},
		{"", "", "under 25", " age_range"},
		{"", "", "25-", " age_range"},
		{"", "", "-25", " age_range"},
		{"", "", "middle", " age_range"},
		{"", "", strings.Repeat("9", 100), " age_range"},
		{"", "", "13-17", "skip: under 18"},
		{"", "", "under 18", "skip: under 18"},
		{"", "", "<18", "skip: under 18"},
		{"", "", "<= 17", "skip: under 18"},
		{"", "", "17 and under", "skip: under 18"},
		{"", "", "0-12", "skip: under 18"},
		{"", "", "16", "skip: under 18"},
	} {
		got := outcome(p.Decode(rowOf(People, "key", c.age, c.year, c.band), 0, env))
		if got == "ok" {
			got = strings.Join(append([]string{p.Age}, p.Dropped...), " ")
		} else if string(p.Key) != "key" || len(p.Dropped) > 0 {
			t.Errorf("Decode of a skipped person: key %q, dropped %v; want the key alone", p.Key, p.Dropped)
		}
		if got != c.want {
			t.Errorf("Decode(age %q, birth_year %q, age_range %q) = %q, want %q", c.age, c.year, c.band, got, c.want)
		}
	}
}

func TestPerson(t *testing.T) {
	env := Env{AsOf: asOf, Places: places(t)}
	type person struct {
		Outcome, Gender, Ethnicity string
		Places                     [4]string // city, region, dma, country
		Tweeted                    string
		Dropped                    []string
	}
	var p PersonRow
	for _, c := range []struct {
		cells map[int]string
		want  person
	}{
		{nil, person{Outcome: "ok"}},
		{map[int]string{colPerson: ""}, person{Outcome: "reject: person is empty"}},
		{map[int]string{colPerson: bad}, person{Outcome: "reject: malformed person"}},
		{map[int]string{colPerson: strings.Repeat("é", 32)}, person{Outcome: "ok"}},
		{map[int]string{colPerson: strings.Repeat("é", 32) + "x"}, person{Outcome: "reject: person is too long"}},
		{map[int]string{colPerson: "a\tb"}, person{Outcome: "reject: control character in person"}},
		{map[int]string{colPerson: "a\u0085b"}, person{Outcome: "reject: control character in person"}},
		{map[int]string{colPerson: "a\x7f"}, person{Outcome: "reject: control character in person"}},
		{map[int]string{colPerson: " a b "}, person{Outcome: "ok"}},
		{map[int]string{colGender: "male", colEthnicity: "asian"}, person{Outcome: "ok", Gender: "male", Ethnicity: "asian"}},
		{map[int]string{colGender: " FEMALE ", colEthnicity: "Hispanic"}, person{Outcome: "ok", Gender: "female", Ethnicity: "hispanic"}},
		{map[int]string{colGender: "unknown", colEthnicity: "Unknown"}, person{Outcome: "ok"}},
		{map[int]string{colGender: "f", colEthnicity: "green"}, person{Outcome: "ok", Dropped: []string{"gender", "ethnicity"}}},
		{map[int]string{colGender: bad, colEthnicity: strings.Repeat("x", 999)}, person{Outcome: "ok", Dropped: []string{"gender", "ethnicity"}}},
		{map[int]string{colCity: "c1"}, person{Outcome: "ok", Places: [4]string{"c1", "3372", "501", "231"}}},
		{map[int]string{colCity: "c1", colCountry: "75"}, person{Outcome: "ok", Places: [4]string{"c1", "3372", "501", "75"}}},
		{map[int]string{colRegion: "US-NY"}, person{Outcome: "ok", Places: [4]string{"", "3372", "", "231"}}},
		{map[int]string{colCountry: "fr"}, person{Outcome: "ok", Places: [4]string{"", "", "", "75"}}},
		{map[int]string{colCountry: "France"}, person{Outcome: "ok", Places: [4]string{"", "", "", "75"}}},
		{map[int]string{colDMA: " 501 "}, person{Outcome: "ok", Places: [4]string{"", "", "501", ""}}},
		{
			map[int]string{colCity: "c9", colRegion: bad, colDMA: "x", colCountry: "Atlantis"},
			person{Outcome: "ok", Dropped: []string{"city", "region", "dma", "country"}},
		},
		{
			map[int]string{colCity: strings.Repeat("x", 5000)},
			person{Outcome: "ok", Dropped: []string{"city"}},
		},
		{map[int]string{colLastTweeted: "2026-10-30"}, person{Outcome: "ok", Tweeted: "2026-10-30T00:00:00Z"}},
		{map[int]string{colLastTweeted: "2027-01-01T12:30:00.5+02:00"}, person{Outcome: "ok", Tweeted: "2027-01-01T10:30:00.5Z"}},
		{map[int]string{colLastTweeted: "yesterday"}, person{Outcome: "ok", Dropped: []string{"last_tweeted"}}},
		{map[int]string{colLastTweeted: bad}, person{Outcome: "ok", Dropped: []string{"last_tweeted"}}},
	} {
		cells := make([]string, len(Columns(People)))
		cells[colPerson] = "key"
		for col, cell := range c.cells {
			cells[col] = cell
		}
		got := person{Outcome: outcome(p.Decode(rowOf(People, cells...), 0, env))}
		if got.Outcome == "ok" {
			got.Gender, got.Ethnicity = p.Gender, p.Ethnicity
			got.Places = [4]string{p.City, p.Region, p.DMA, p.Country}
			got.Dropped = append([]string(nil), p.Dropped...)
			if p.Tweeted {
				got.Tweeted = time.UnixMicro(p.LastTweeted).UTC().Format(time.RFC3339Nano)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("Decode(%v) (-want +got):\n%s", c.cells, diff)
		}
	}
}

// TestRows decodes rows of every other table into "outcome values dropped".
func TestRows(t *testing.T) {
	long := strings.Repeat("x", maxName+1)
	for _, c := range []struct {
		table string
		cells []string
		want  string
	}{
		{Identifiers, []string{"p", "email_raw", " Ann@Example.com "}, "ok email_raw ann@example.com Ann@Example.com"},
		{Identifiers, []string{"p", " TWITTER_USER", "@Ann"}, "ok twitter_user ann Ann"},
		{Identifiers, []string{"p", "gaid", "0123456789ABCDEF0123456789abcdef"}, "ok gaid 01234567-89ab-cdef-0123-456789abcdef 01234567-89ab-cdef-0123-456789abcdef"},
		{Identifiers, []string{"p", "ma_id", "00000000-0000-0000-0000-000000000000"}, "reject: zero id"},
		{Identifiers, []string{"p", "md5", "D41D8CD98F00B204E9800998ECF8427E"}, "reject: md5 of the empty string"},
		{Identifiers, []string{"p", "md5", "x"}, "reject: malformed value"},
		{Identifiers, []string{"p", "md5", "  "}, "reject: value is empty"},
		{Identifiers, []string{"p", "cint_id", "a\nb"}, "reject: control character in value"},
		{Identifiers, []string{"p", "cint_id", long}, "reject: value is too long"},
		{Identifiers, []string{"p", "cint_id", bad}, "reject: malformed value"},
		{Identifiers, []string{"p", "ss_id", "p"}, "reject: unknown type"},
		{Identifiers, []string{"p", "phone", "1"}, "reject: unknown type"},
		{Identifiers, []string{"p", long, "1"}, "reject: unknown type"},
		{Identifiers, []string{"p", bad, "1"}, "reject: unknown type"},
		{Identifiers, []string{"p", "", "1"}, "reject: type is empty"},
		{Identifiers, []string{"", "md5", "1"}, "reject: person is empty"},
		{Follows, []string{"p", "Twitter", "12"}, "ok twitter 12"},
		{Follows, []string{"p", "tiktok", "é "}, "ok tiktok é "},
		{Follows, []string{"p", "myspace", "12"}, "reject: unknown network"},
		{Follows, []string{"p", bad, "12"}, "reject: unknown network"},
		{Follows, []string{"p", long, "12"}, "reject: unknown network"},
		{Follows, []string{"p", "", "12"}, "reject: network is empty"},
		{Follows, []string{"p", "twitch", ""}, "reject: account is empty"},
		{Follows, []string{"p", "twitch", long}, "reject: account is too long"},
		{Follows, []string{"p", "twitch", bad}, "reject: malformed account"},
		{Follows, []string{"p", "twitch", "\x1f"}, "reject: control character in account"},
		{Accounts, []string{"youtube", "1", "@Chan", "A Channel"}, "ok youtube 1 Chan A Channel []"},
		{Accounts, []string{"youtube", "1"}, "ok youtube 1   []"},
		{Accounts, []string{"youtube", "1", bad, "a\x00"}, "ok youtube 1   [screen_name name]"},
		{Accounts, []string{"youtube", "", "x", "y"}, "reject: account is empty"},
		{Affinities, []string{"a1", "Go", ".interests."}, "ok a1 Go .interests."},
		{Affinities, []string{"a1", "Go"}, "ok a1 Go "},
		{Affinities, []string{"a1", ""}, "reject: name is empty"},
		{Affinities, []string{"", "Go"}, "reject: affinity is empty"},
		{Affinities, []string{"a1", "Go", bad}, "reject: malformed parent"},
		{AffinityAccounts, []string{"a1", "instagram", "7"}, "ok a1 instagram 7"},
		{AffinityAccounts, []string{"a1", "x", "7"}, "reject: unknown network"},
		{Interests, []string{"p", "a1"}, "ok a1"},
		{Interests, []string{"p", ""}, "reject: affinity is empty"},
		{Interests, []string{"p\x00", "a1"}, "reject: control character in person"},
		{Jobs, []string{"p", " CEO ", ""}, "ok CEO  []"},
		{Jobs, []string{"p", "", "Acme"}, "ok  Acme []"},
		{Jobs, []string{"p", bad, "Acme"}, "ok  Acme [title]"},
		{Jobs, []string{"p", "\n", " "}, "reject: neither title nor employer"},
		{Jobs, []string{"p"}, "reject: neither title nor employer"},
		{Personality, []string{"p", "Achievement Striving", "0.5"}, "ok 20 0.5"},
		{Personality, []string{"p", "challenge", "1"}, "ok 0 1"},
		{Personality, []string{"p", "challenge", " 1e-2 "}, "ok 0 0.01"},
		{Personality, []string{"p", "challenge", "1.01"}, "reject: malformed score"},
		{Personality, []string{"p", "challenge", "-0.1"}, "reject: malformed score"},
		{Personality, []string{"p", "challenge", "NaN"}, "reject: malformed score"},
		{Personality, []string{"p", "challenge", "0x1p-2"}, "reject: malformed score"},
		{Personality, []string{"p", "challenge", bad}, "reject: malformed score"},
		{Personality, []string{"p", "challenge", ""}, "reject: score is empty"},
		{Personality, []string{"p", "bravery", "1"}, "reject: unknown term"},
		{Personality, []string{"p", "", "1"}, "reject: term is empty"},
		{Bios, []string{"p", "twitter", "hi\nthere"}, "ok bio.twitter hi\nthere"},
		{Bios, []string{"p", "tiktok", "hi"}, "ok bio.tiktok hi"},
		{Bios, []string{"p", "youtube", ""}, "reject: text is empty"},
		{Bios, []string{"p", "youtube", bad}, "reject: malformed text"},
		{Bios, []string{"p", "", "x"}, "reject: network is empty"},
		{Tweets, []string{"p", "2026-11-01T00:00:00Z", "x"}, "ok 2026-11-01T00:00:00Z x"},
		{Tweets, []string{"p", "2026-11-01T00:00:00.000001Z", "x"}, "skip: outside the 7 days"},
		{Tweets, []string{"p", "2026-10-25T00:00:00.000001Z", "x"}, "ok 2026-10-25T00:00:00.000001Z x"},
		{Tweets, []string{"p", "2026-10-25T00:00:00Z", "x"}, "skip: outside the 7 days"},
		{Tweets, []string{"p", "2026-10-26", "x"}, "ok 2026-10-26T00:00:00Z x"},
		{Tweets, []string{"p", "2026-02-30", "x"}, "reject: malformed posted_at"},
		{Tweets, []string{"p", bad, "x"}, "reject: malformed posted_at"},
		{Tweets, []string{"p", "", "x"}, "reject: posted_at is empty"},
		{Tweets, []string{"p", "2026-10-26", ""}, "reject: text is empty"},
		{Locations, []string{"City", "1", "Ghent", "2", "3", ""}, "ok city 1 Ghent 2 3  []"},
		{Locations, []string{"country", "1", "Mali", bad}, "ok country 1 Mali    [region]"},
		{Locations, []string{"planet", "1", "Mars"}, "reject: unknown kind"},
		{Locations, []string{long, "1", "Mars"}, "reject: unknown kind"},
		{Locations, []string{"", "1", "Mars"}, "reject: kind is empty"},
		{Locations, []string{"dma", "", "Mars"}, "reject: id is empty"},
		{Locations, []string{"dma", "1", ""}, "reject: name is empty"},
	} {
		got := decode(rowOf(c.table, c.cells...))
		if got != c.want {
			t.Errorf("Decode of %s %.80q = %q, want %q", c.table, c.cells, got, c.want)
		}
	}
}

// decode decodes the one row of a batch.
func decode(b *Batch) string {
	out := func(o Outcome, values ...any) string {
		if s := outcome(o); s != "ok" {
			return s
		}
		text := "ok"
		for _, v := range values {
			if s, ok := v.([]byte); ok {
				v = string(s)
			}
			text += fmt.Sprintf(" %v", v)
		}
		return text
	}
	switch b.Table {
	case Identifiers:
		var r IdentifierRow
		o := r.Decode(b, 0)
		return out(o, r.Type, r.Norm, r.Printed)
	case Follows:
		var r FollowRow
		o := r.Decode(b, 0)
		return out(o, r.Network, r.Account)
	case Accounts:
		var r AccountRow
		o := r.Decode(b, 0)
		return out(o, r.Network, r.ID, r.ScreenName, r.Name, r.Dropped)
	case Affinities:
		var r AffinityRow
		o := r.Decode(b, 0)
		return out(o, r.ID, r.Name, r.Parent)
	case AffinityAccounts:
		var r AffinityAccountRow
		o := r.Decode(b, 0)
		return out(o, r.Affinity, r.Network, r.Account)
	case Interests:
		var r InterestRow
		o := r.Decode(b, 0)
		return out(o, r.Affinity)
	case Jobs:
		var r JobRow
		o := r.Decode(b, 0)
		return out(o, r.Title, r.Employer, r.Dropped)
	case Personality:
		var r ScoreRow
		o := r.Decode(b, 0)
		return out(o, r.Term, r.Score)
	case Bios:
		var r BioRow
		o := r.Decode(b, 0)
		return out(o, r.Field, r.Text)
	case Tweets:
		var r TweetRow
		o := r.Decode(b, 0, asOf)
		return out(o, time.UnixMicro(r.PostedAt).UTC().Format(time.RFC3339Nano), r.Text)
	default:
		var r LocationRow
		o := r.Decode(b, 0)
		return out(o, r.Kind, r.ID, r.Name, r.Region, r.Country, r.DMA, r.Dropped)
	}
}

// TestClosedSets checks that rows know what the vocabularies hold.
func TestClosedSets(t *testing.T) {
	networks := []query.Field{query.Twitter, query.Twitch, query.YouTube, query.Instagram, query.TikTok}
	for _, n := range networks {
		if got := decode(rowOf(Bios, "p", string(n), "x")); got != fmt.Sprintf("ok bio.%s x", n) || !slices.Contains(query.TextFields(), bioField(n)) {
			t.Errorf("Decode of a bio on %s = %q", n, got)
		}
	}
	for _, typ := range identifier.Types() {
		got := decode(rowOf(Identifiers, "p", string(typ), "?"))
		if want := typ == identifier.SSID; (got == "reject: unknown type") != want {
			t.Errorf("Decode of an identifier of type %s = %q", typ, got)
		}
	}
	for i, term := range reference.Personalities() {
		if got, want := decode(rowOf(Personality, "p", term, "1")), fmt.Sprintf("ok %d 1", i); got != want {
			t.Errorf("Decode of a score on %s = %q, want %q", term, got, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for in, want := range map[string]string{
		"2026-11-01":                           "2026-11-01T00:00:00Z",
		"2024-02-29":                           "2024-02-29T00:00:00Z",
		"2000-02-29":                           "2000-02-29T00:00:00Z",
		"0001-01-01":                           "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59.999999Z":          "9999-12-31T23:59:59.999999Z",
		"2026-11-01t10:11:12z":                 "2026-11-01T10:11:12Z",
		"2026-11-01 10:11:12+01:30":            "2026-11-01T08:41:12Z",
		"2026-11-01T10:11:12.1234567891-00:00": "2026-11-01T10:11:12.123456Z",
		"2026-11-01T10:11:12-23:59":            "2026-11-02T10:10:12Z",
		"2016-12-31T23:59:60Z":                 "2017-01-01T00:00:00Z",
		"":                                     "",
		"2026":                                 "",
		"2026-1-1":                             "",
		"2026-11-1x":                           "",
		"0000-01-01":                           "",
		"2026-00-01":                           "",
		"2026-13-01":                           "",
		"2026-11-00":                           "",
		"2026-11-31":                           "",
		"2023-02-29":                           "",
		"1900-02-29":                           "",
		"2026-11-01T":                          "",
		"2026-11-01T10:11:12":                  "",
		"2026-11-01T10:11Z":                    "",
		"2026-11-01T24:00:00Z":                 "",
		"2026-11-01T10:60:00Z":                 "",
		"2026-11-01T10:11:61Z":                 "",
		"2026-11-01T10:11:12.Z":                "",
		"2026-11-01T10:11:12.5":                "",
		"2026-11-01T10:11:12+0100":             "",
		"2026-11-01T10:11:12+24:00":            "",
		"2026-11-01T10:11:12Zx":                "",
		"+026-11-01":                           "",
		"1700000000":                           "",
	} {
		us, ok := parseTime([]byte(in))
		got := ""
		if ok {
			got = time.UnixMicro(us).UTC().Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("parseTime(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestHasControl puts every byte and some others at every position.
func TestHasControl(t *testing.T) {
	for n := 1; n < 20; n++ {
		for at := range n {
			for c := range rune(0x180) {
				text := []byte(strings.Repeat("a", at) + string(c) + strings.Repeat("~", n-at-1))
				if got, want := hasControl(text), unicode.IsControl(c); got != want {
					t.Fatalf("hasControl(%q) = %t, want %t", text, got, want)
				}
			}
		}
	}
}
