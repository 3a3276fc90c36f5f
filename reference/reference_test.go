package reference

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// found prints places as "id name".
func found(places []Place) []string {
	out := []string{}
	for _, p := range places {
		out = append(out, p.ID+" "+p.Name)
	}
	return out
}

// TestListed asks what the API's documentation asks, and wants its answers.
func TestListed(t *testing.T) {
	for _, test := range []struct {
		kind  Kind
		query string
		want  []string
	}{
		{City, "New York", []string{
			"82107 East New York", "1001500394 East New York", "82396 New York City", "1001500400 New York City",
			"82397 New York Mills", "81132 New York Mills", "81905 West New York",
		}},
		{Country, "united states", []string{"231 United States", "230 United States Minor Outlying Islands"}},
		{DMA, "new", []string{
			"501 New York", "521 Providence - New Bedford", "533 Hartford & New Haven",
			"544 Norfolk - Portsmouth - Newport News", "545 Greenville - New Bern - Washington", "622 New Orleans",
		}},
		{Region, "New York", []string{"3372 New York"}},
	} {
		if diff := cmp.Diff(test.want, found(BuiltIn().Search(test.kind, test.query, 0))); diff != "" {
			t.Errorf("Search(%s, %q) (-want +got):\n%s", test.kind, test.query, diff)
		}
	}
}

func TestListedPlaces(t *testing.T) {
	for _, test := range []struct {
		id   string
		want Place
	}{
		{"82396", Place{City, "82396", "New York City", "3372", "231", "501", "", 8804190}},
		{"81132", Place{City, "81132", "New York Mills", "3361", "231", "", "", 1225}},
		{"81905", Place{City, "81905", "West New York", "3369", "231", "501", "", 53366}},
	} {
		got, ok := BuiltIn().Lookup(City, test.id)
		if diff := cmp.Diff(test.want, got); !ok || diff != "" {
			t.Errorf("Lookup(city, %s) (-want +got):\n%s", test.id, diff)
		}
	}
	for region, want := range map[string]string{"3372": "US-NY", "3369": "US-NJ", "3361": "US-MN", "3338": "US-AK", "3388": "US-WY"} {
		if got, _ := BuiltIn().Lookup(Region, region); got.ISO != want || got.Country != "231" {
			t.Errorf("Lookup(region, %s) = %+v, want %s of 231", region, got, want)
		}
	}
}

func TestSearch(t *testing.T) {
	for _, test := range []struct {
		kind  Kind
		query string
		limit int
		want  []string
	}{
		{Country, "cote divoire", 0, []string{}},
		{Country, "cote d'ivoire", 0, []string{"44 Côte d’Ivoire"}},
		{Country, "ALAND", 0, []string{"16 Åland Islands"}},
		{Country, "guinea", 2, []string{"88 Equatorial Guinea", "86 Guinea"}},
		{Country, "guinea-b", 0, []string{"93 Guinea-Bissau"}},
		{Country, "", 3, []string{"3 Afghanistan", "16 Åland Islands", "6 Albania"}},
		{DMA, "", 2, []string{"501 New York", "521 Providence - New Bedford"}},
		{DMA, "york new", 0, []string{}},
		{City, "WROCŁAW", 0, []string{"3096444 Kąty Wrocławskie", "3081368 Wrocław"}},
		{City, "reykjavik", 0, []string{"3413829 Reykjavík"}},
		{City, "!!", 0, []string{}},
		{"planet", "", 0, []string{}},
	} {
		if diff := cmp.Diff(test.want, found(BuiltIn().Search(test.kind, test.query, test.limit))); diff != "" {
			t.Errorf("Search(%s, %q, %d) (-want +got):\n%s", test.kind, test.query, test.limit, diff)
		}
	}
	for _, k := range Kinds() {
		if got, want := len(BuiltIn().Search(k, " ", 0)), len(BuiltIn().All(k)); got != want {
			t.Errorf("Search(%s, blank) finds %d, want all %d", k, got, want)
		}
	}
}

func TestBuiltInIsWhole(t *testing.T) {
	table := BuiltIn()
	want := map[Kind][2]int{City: {60_000, 200_000}, Region: {3865, 3865}, DMA: {6, 6}, Country: {250, 250}}
	for _, k := range Kinds() {
		all := table.All(k)
		if n := len(all); n < want[k][0] || n > want[k][1] {
			t.Errorf("%d places of kind %s, want %v", n, k, want[k])
		}
		seen, codes := map[string]bool{}, map[string]bool{}
		for _, p := range all {
			if _, err := strconv.ParseUint(p.ID, 10, 32); err != nil || seen[p.ID] || p.Name == "" || p.Kind != k {
				t.Errorf("bad or second place %+v", p)
			}
			seen[p.ID] = true
			for _, parent := range []struct {
				kind Kind
				id   string
			}{{Region, p.Region}, {Country, p.Country}, {DMA, p.DMA}} {
				if _, ok := table.Lookup(parent.kind, parent.id); !ok && parent.id != "" {
					t.Errorf("%+v has an unknown %s", p, parent.kind)
				}
			}
			if of, _ := table.Lookup(Country, p.Country); k == Region && p.ISO != "" && (!strings.HasPrefix(p.ISO, of.ISO+"-") || codes[p.ISO]) {
				t.Errorf("%+v has the code of another", p)
			}
			codes[p.ISO] = true
			if p.Country == "" && (k == City || k == Region) {
				t.Errorf("%+v has no country", p)
			}
		}
	}
	for _, id := range []string{"5128581", "5128616", "5039192", "5106292", "5115985"} {
		if p, ok := table.Lookup(City, id); ok {
			t.Errorf("%+v is a listed city once more", p)
		}
	}
}

// TestIDsAreStable holds ids that datasets may hold by now.
func TestIDsAreStable(t *testing.T) {
	for _, test := range []struct {
		kind     Kind
		id, name string
	}{
		{Country, "1", "Andorra"},
		{Country, "230", "United States Minor Outlying Islands"},
		{Country, "231", "United States"},
		{Country, "247", "Zimbabwe"},
		{Country, "248", "Caribbean Netherlands"},
		{Country, "249", "Curaçao"},
		{Country, "250", "South Sudan"},
		{Country, "251", "Sint Maarten"},
		{Country, "252", "Kosovo"},
		{Country, "77", "United Kingdom"},
		{Region, "3338", "Alaska"},
		{Region, "3345", "District of Columbia"},
		{Region, "3388", "Wyoming"},
		{Region, "10001", "Canillo"},
		{Region, "10010", "Dubai"},
		{Region, "13814", "Harare"},
		{City, "5368361", "Los Angeles"},
		{City, "2643743", "London"},
		{City, "1850147", "Tokyo"},
	} {
		if got, _ := BuiltIn().Lookup(test.kind, test.id); got.Name != test.name {
			t.Errorf("Lookup(%s, %s) is %q, want %q", test.kind, test.id, got.Name, test.name)
		}
	}
	for _, id := range []string{"8", "51"} { // countries that are no more
		if p, ok := BuiltIn().Lookup(Country, id); ok {
			t.Errorf("Lookup(country, %s) = %+v, want none", id, p)
		}
	}
}

// TestSize keeps the embedded data within what a binary should carry.
func TestSize(t *testing.T) {
	const limit = 2 << 20
	total := int64(0)
	for _, name := range []string{"countries.tsv", "regions.tsv", "cities.tsv.zst"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > limit {
		t.Errorf("embedded data of %d bytes, want at most %d", total, limit)
	}
}

func TestResolve(t *testing.T) {
	for _, test := range []struct {
		kind     Kind
		cell, id string
	}{
		{Country, "231", "231"},
		{Country, "US", "231"},
		{Country, "us", "231"},
		{Country, "USA", "231"},
		{Country, "United States", "231"},
		{Country, "the UNITED STATES of America", "231"},
		{Country, " US ", "231"},
		{Country, "Turkey", "223"},
		{Country, "Türkiye", "223"},
		{Country, "turkiye", "223"},
		{Country, "Bosnia and Herzegovina", "18"},
		{Country, "Bosnia & Herzegovina", "18"},
		{Country, "Ivory Coast", "44"},
		{Country, "Cote d'Ivoire", "44"},
		{Country, "Saint Lucia", "128"},
		{Country, "St. Lucia", "128"},
		{Country, "Congo - Kinshasa", "40"},
		{Country, "Democratic Republic of the Congo", "40"},
		{Country, "CG", "42"},
		{Country, "Congo", ""},
		{Country, "AN", ""},
		{Country, "Atlantis", ""},
		{Country, "", ""},
		{Country, "0231", ""},
		{Region, "US-NY", "3372"},
		{Region, "us-ny", "3372"},
		{Region, "3372", "3372"},
		{Region, "New York", ""},
		{Region, "NY", ""},
		{Region, "US-ZZ", ""},
		{Region, "", ""},
		{City, "82396", "82396"},
		{City, "New York City", ""},
		{DMA, "501", "501"},
		{DMA, "New York", ""},
		{"planet", "1", ""},
	} {
		if id, ok := BuiltIn().Resolve(test.kind, test.cell); id != test.id || ok != (test.id != "") {
			t.Errorf("Resolve(%s, %q) = %q, %t, want %q", test.kind, test.cell, id, ok, test.id)
		}
	}
	for _, code := range []string{"CA-ON", "DE-BY", "GB-ENG", "AU-NSW", "IN-KA", "JP-13", "BR-SP", "MX-JAL", "ES-MD", "IT-25", "FR-IDF", "PL-14"} {
		id, ok := BuiltIn().Resolve(Region, code)
		if p, _ := BuiltIn().Lookup(Region, id); !ok || p.ISO != code {
			t.Errorf("Resolve(region, %q) = %q, %t", code, id, ok)
		}
	}
}

// TestEveryCountryResolves by its codes and by all its names.
func TestEveryCountryResolves(t *testing.T) {
	ambiguous := 0
	for _, c := range countryTable().list {
		for _, cell := range []string{c.id, c.alpha2, strings.ToLower(c.alpha3), c.name} {
			if id, _ := BuiltIn().Resolve(Country, cell); id != c.id {
				t.Errorf("Resolve(country, %q) = %q, want %q", cell, id, c.id)
			}
		}
		for _, name := range c.names() {
			id, ok := BuiltIn().Resolve(Country, name)
			if !ok {
				ambiguous++
			} else if id != c.id {
				t.Errorf("Resolve(country, %q) = %q, want %q or none", name, id, c.id)
			}
		}
		if name, ok := CountryByISO(strings.ToLower(c.alpha2)); !ok || name != c.name {
			t.Errorf("CountryByISO(%s) = %q, %t, want %q", c.alpha2, name, ok, c.name)
		}
	}
	if ambiguous > 4 {
		t.Errorf("%d names mean no country, want few", ambiguous)
	}
	for _, code := range []string{"", "ZZ", "USA", "231"} {
		if name, ok := CountryByISO(code); ok {
			t.Errorf("CountryByISO(%q) = %q, want none", code, name)
		}
	}
}

// TestISONames resolves the short names of ISO 3166-1 that are unlike the usual
// ones, in the ways in which they are written.
func TestISONames(t *testing.T) {
	for cell, code := range map[string]string{
		"Viet Nam": "VN", "Iran (Islamic Republic of)": "IR", "Iran, Islamic Republic of": "IR", "Bolivia, Plurinational State of": "BO",
		"VENEZUELA (BOLIVARIAN REPUBLIC OF)": "VE", "Tanzania, the United Republic of": "TZ", "Congo (the Democratic Republic of the)": "CD",
		"Korea (the Republic of)": "KR", "Korea (the Democratic People's Republic of)": "KP", "Holy See (the)": "VA", "Palestine, State of": "PS",
		"Moldova (the Republic of)": "MD", "Lao People's Democratic Republic (the)": "LA", "Syrian Arab Republic (the)": "SY",
		"United Kingdom of Great Britain and Northern Ireland (the)": "GB", "United States of America (the)": "US", "Taiwan (Province of China)": "TW",
		"Micronesia (Federated States of)": "FM", "Cote d'Ivoire": "CI", "Cabo Verde": "CV", "Falkland Islands (the) [Malvinas]": "FK",
		"Saint Helena, Ascension and Tristan da Cunha": "SH", "Macau": "MO", "Burma": "MM", "North Korea": "KP", "South Korea": "KR",
	} {
		want, _ := BuiltIn().Resolve(Country, code)
		if got, ok := BuiltIn().Resolve(Country, cell); !ok || got != want {
			t.Errorf("Resolve(country, %q) = %q, want that of %s, %q", cell, got, code, want)
		}
	}
	for _, cell := range []string{"Congo", "Korea", "England"} {
		if got, ok := BuiltIn().Resolve(Country, cell); ok {
			t.Errorf("Resolve(country, %q) = %q, want none", cell, got)
		}
	}
	for alpha2 := range furtherNames {
		if _, ok := CountryByISO(alpha2); !ok {
			t.Errorf("furtherNames has %s, which is no country", alpha2)
		}
	}
	// An operator's own table may go by these names.
	table := own(t, Place{Kind: Country, ID: "v", Name: "Viet Nam"}, Place{Kind: Country, ID: "i", Name: "Iran, Islamic Republic of"})
	for cell, want := range map[string]string{"VN": "v", "Vietnam": "v", "irn": "i", "Iran": "i"} {
		if got, _ := table.Resolve(Country, cell); got != want {
			t.Errorf("Resolve(country, %q) in a table of its own = %q, want %q", cell, got, want)
		}
	}
}

func own(t *testing.T, list ...Place) *Table {
	t.Helper()
	table, problems := New(list)
	if len(problems) > 0 {
		t.Fatalf("New: %v", problems)
	}
	return table
}

func TestNew(t *testing.T) {
	list := []Place{
		{Kind: "planet", ID: "1", Name: "Mars"},
		{Kind: City, ID: "c1", Name: "Alpha", Region: "r1", Country: "x", DMA: "d9"}, // its region comes later
		{Kind: City, ID: "", Name: "Nowhere"},
		{Kind: City, ID: "c2", Name: " "},
		{Kind: City, ID: "c1", Name: "Second"},
		{Kind: Region, ID: "r1", Name: "Ar", Country: "x", Region: "r1"},
		{Kind: Region, ID: "c1", Name: "Same id", Country: "y", ISO: "US-NY"},
		{Kind: Country, ID: "x", Name: "Ex", Country: "x"},
	}
	table, problems := New(list)
	if diff := cmp.Diff([]Problem{{0, UnknownKind}, {1, UnknownDMA}, {2, EmptyID}, {3, EmptyName}, {4, DuplicateID}, {6, UnknownCountry}}, problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	want := map[Kind][]Place{
		City:    {{Kind: City, ID: "c1", Name: "Alpha", Region: "r1", Country: "x"}},
		Region:  {{Kind: Region, ID: "r1", Name: "Ar", Country: "x"}, {Kind: Region, ID: "c1", Name: "Same id"}},
		DMA:     nil,
		Country: {{Kind: Country, ID: "x", Name: "Ex"}},
	}
	for _, k := range Kinds() {
		if diff := cmp.Diff(want[k], table.All(k)); diff != "" {
			t.Errorf("All(%s) (-want +got):\n%s", k, diff)
		}
	}
	if diff := cmp.Diff([]Kind{City, Region}, table.Contains("c1")); diff != "" {
		t.Errorf("Contains(c1) (-want +got):\n%s", diff)
	}
	if got := table.Contains("c9"); len(got) != 0 {
		t.Errorf("Contains(c9) = %v, want none", got)
	}
	if list[1].DMA != "d9" {
		t.Error("New changed the caller's places")
	}
}

func TestResolveOwn(t *testing.T) {
	table := own(t,
		Place{Kind: Country, ID: "usa-1", Name: "United States"},
		Place{Kind: Country, ID: "ca-1", Name: "CANADA"},
		Place{Kind: Country, ID: "cz-1", Name: "Czech Republic"},
		Place{Kind: Country, ID: "US", Name: "Utopia Sands"},
		Place{Kind: Country, ID: "cg-1", Name: "Congo"},
		Place{Kind: Region, ID: "ga-geo", Name: "Georgia", Country: "ca-1"},
		Place{Kind: Region, ID: "ga-us", Name: "georgia", Country: "usa-1"},
		Place{Kind: Region, ID: "on", Name: "Ontario"},
	)
	for _, test := range []struct {
		kind     Kind
		cell, id string
	}{
		{Country, "US", "US"}, // an id counts before a code
		{Country, "USA", "usa-1"},
		{Country, "united states of america", "usa-1"},
		{Country, "ca", "ca-1"},
		{Country, "CZ", "cz-1"},
		{Country, "Czechia", "cz-1"},
		{Country, "utopia sands", "US"},
		{Country, "231", ""},
		{Country, "FR", ""},
		{Country, "congo", "cg-1"},
		{Country, "CD", ""},
		{Country, "CG", ""},
		{Region, "US-GA", "ga-us"},
		{Region, "CA-ON", "on"},
		{Region, "US-NY", ""},
		{Region, "Georgia", ""},
	} {
		if id, ok := table.Resolve(test.kind, test.cell); id != test.id || ok != (test.id != "") {
			t.Errorf("Resolve(%s, %q) = %q, %t, want %q", test.kind, test.cell, id, ok, test.id)
		}
	}
}

func TestFill(t *testing.T) {
	for _, test := range []struct{ in, want [4]string }{
		{[4]string{"82396", "", "", ""}, [4]string{"82396", "3372", "501", "231"}},
		{[4]string{"82396", "3369", "622", "1"}, [4]string{"82396", "3369", "622", "1"}},
		{[4]string{"82396", "", "622", ""}, [4]string{"82396", "3372", "622", "231"}},
		{[4]string{"", "3372", "", ""}, [4]string{"", "3372", "", "231"}},
		{[4]string{"", "", "501", ""}, [4]string{"", "", "501", ""}},
		{[4]string{"none", "none", "", ""}, [4]string{"none", "none", "", ""}},
		{[4]string{}, [4]string{}},
	} {
		got := test.in
		BuiltIn().Fill(&got[0], &got[1], &got[2], &got[3])
		if got != test.want {
			t.Errorf("Fill(%q) = %q, want %q", test.in, got, test.want)
		}
	}
	table := own(t,
		Place{Kind: City, ID: "c", Name: "C", Region: "r"},
		Place{Kind: Region, ID: "r", Name: "R", Country: "x"},
		Place{Kind: Country, ID: "x", Name: "X"})
	got := [4]string{"c"}
	table.Fill(&got[0], &got[1], &got[2], &got[3])
	if want := [4]string{"c", "r", "", "x"}; got != want {
		t.Errorf("Fill of a city whose region has a country = %q, want %q", got, want)
	}
}

func TestSearchOwn(t *testing.T) {
	table := own(t,
		Place{Kind: City, ID: "2", Name: "newtown"},
		Place{Kind: City, ID: "1", Name: "Newtown"},
		Place{Kind: City, ID: "3", Name: "New Ark"},
		Place{Kind: DMA, ID: "b", Name: "Newest"},
		Place{Kind: DMA, ID: "10", Name: "New"},
		Place{Kind: DMA, ID: "9", Name: "Newer"},
	)
	for _, test := range []struct {
		kind Kind
		want []string
	}{
		{City, []string{"3 New Ark", "2 newtown", "1 Newtown"}},
		{DMA, []string{"9 Newer", "10 New", "b Newest"}},
	} {
		if diff := cmp.Diff(test.want, found(table.Search(test.kind, "new", 0))); diff != "" {
			t.Errorf("Search(%s, new) (-want +got):\n%s", test.kind, diff)
		}
	}
}

func TestTerms(t *testing.T) {
	terms := Personalities()
	unique := slices.Clone(terms)
	slices.Sort(unique)
	if n := len(slices.Compact(unique)); n != 52 || len(terms) != 52 {
		t.Errorf("%d terms, %d different, want 52", len(terms), n)
	}
	if terms[0] != "challenge" || terms[20] != "achievement striving" || terms[51] != "self-transcendence" {
		t.Errorf("terms are out of order: %q", terms)
	}
	var ids []string
	for _, r := range AffinityRoots() {
		ids = append(ids, r.ID+r.Name)
	}
	want := ".b2b.B2B .brands.Brands .influencers.Influencers .interests.Interests .media.Media .personas.Personas .private.Private"
	if got := strings.Join(ids, " "); got != want {
		t.Errorf("AffinityRoots() = %q, want %q", got, want)
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"231", "us", "US-NY", " Turkey ", "St. Lucia", "Congo", "\xff", "-", "the", "İ-", "    !"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, cell string) {
		table, problems := New([]Place{{Kind: Country, ID: "x", Name: cell}, {Kind: Region, ID: "y", Name: cell, Country: "x"}})
		for _, k := range Kinds() {
			if id, ok := BuiltIn().Resolve(k, cell); ok {
				if _, ok := BuiltIn().Lookup(k, id); !ok {
					t.Fatalf("Resolve(%s, %q) = %q, which does not exist", k, cell, id)
				}
			}
		}
		if len(problems) > 0 {
			return
		}
		if id, ok := table.Resolve(Country, cell); !ok {
			t.Fatalf("Resolve(country, %q) = %q, none by its own name", cell, id)
		}
		for _, p := range table.Search(Region, cell, 0) {
			if p.ID != "y" || p.Country != "x" {
				t.Fatalf("Search(region, %q) finds %+v", cell, p)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		decodeTable()
	}
}

func BenchmarkSearch(b *testing.B) {
	table := BuiltIn()
	b.Run("index", func(b *testing.B) {
		for b.Loop() {
			newSearchIndex(City, table.All(City))
		}
	})
	for _, query := range []string{"", "new york", "zzz"} {
		b.Run(fmt.Sprintf("query=%q", query), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Search(City, query, 1000)
			}
		})
	}
}
