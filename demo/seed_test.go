package demo

import (
	"bytes"
	"strings"
	"testing"

	"throng/dataset"
	"throng/query"
	"throng/reference"
)

// TestExamples: what the published examples name is in the demo, as often as
// they need it.
func TestExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("generates 100,000 people")
	}
	src := generated(t, 100_000, 1)
	t.Run("jobs", func(t *testing.T) { testExampleJobs(t, src) })
	t.Run("places", func(t *testing.T) { testExamplePlaces(t, src) })
	t.Run("affinities", func(t *testing.T) { testExampleAffinities(t, src) })
	t.Run("words", func(t *testing.T) { testExampleWords(t, src) })
	t.Run("long", func(t *testing.T) { testLongExample(t, src) })
}

func testExampleJobs(t *testing.T, src *dataset.Source) {
	titles, companies := map[string]map[string]bool{}, map[string]map[string]bool{}
	note := func(m map[string]map[string]bool, name, key []byte) {
		if len(name) == 0 {
			return
		}
		if m[string(name)] == nil {
			m[string(name)] = map[string]bool{}
		}
		m[string(name)][string(key)] = true
	}
	eachJob(t, src, func(j *dataset.JobRow) {
		note(titles, j.Title, j.Key)
		note(companies, j.Employer, j.Key)
	})
	for _, c := range []struct {
		of       map[string]map[string]bool
		name     string
		min, max int
	}{
		{titles, "Analyst, Senior Programmer", 14, 14},
		{titles, "PROGRAMMER", 1, 99},
		{companies, "StatSocial", 100, 200},
		{companies, "StatSocial Past Life: Founder of RateMyTeachers/RateMyProfessors, PeekYou", 1, 1},
		{companies, "Google", 100, 100_000},
		{companies, "Google Play", 1, 100_000},
	} {
		if n := len(c.of[c.name]); n < c.min || n > c.max {
			t.Errorf("%d people hold %q, want %d to %d", n, c.name, c.min, c.max)
		}
	}
	matches := func(m map[string]map[string]bool, words string) (n int) {
		for name := range m {
			if strings.Contains(strings.ToLower(name), words) {
				n++
			}
		}
		return n
	}
	if n := matches(companies, "statsocial"); n != 2 {
		t.Errorf("%d employers match statsocial, want 2", n)
	}
	if n := matches(titles, "analyst, senior programmer"); n != 1 {
		t.Errorf("%d titles match, want 1", n)
	}
}

func testExamplePlaces(t *testing.T, src *dataset.Source) {
	places := placesOf(t, src)
	cities, regions, markets, countries := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	eachPerson(t, src, func(p *dataset.PersonRow) {
		city, region, dma, country := p.City, p.Region, p.DMA, p.Country
		places.Fill(&city, &region, &dma, &country)
		cities[city]++
		regions[region]++
		markets[dma]++
		countries[country]++
	})
	check := func(kind reference.Kind, count map[string]int, ids ...string) {
		for _, id := range ids {
			if _, ok := places.Lookup(kind, id); !ok {
				t.Errorf("%s %s is not in locations", kind, id)
			}
			if count[id] < 10 {
				t.Errorf("%d people in %s %s, want 10 at least", count[id], kind, id)
			}
		}
	}
	check(reference.City, cities, "82107", "1001500394", "82396", "1001500400", "82397", "81132", "81905", "123")
	check(reference.Region, regions, "3372", "123")
	check(reference.DMA, markets, "501", "521", "533", "544", "545", "622", "123")
	check(reference.Country, countries, "230", "231", "123")
}

func testExampleAffinities(t *testing.T, src *dataset.Source) {
	parents := map[string]string{}
	matches := 0
	var row dataset.AffinityRow
	each(t, src, dataset.Affinities, row.Decode, func() {
		parents[string(row.ID)] = string(row.Parent)
		if bytes.Contains(row.Name, []byte("Lewandowski")) {
			matches++
		}
	})
	for id, want := range map[string]string{"a38802": "a759", "a759": "a197", "a197": ".influencers.", "a100": ".interests."} {
		if parents[id] != want {
			t.Errorf("parent of %s = %q, want %q", id, parents[id], want)
		}
	}
	if matches != 1 {
		t.Errorf("%d affinities match Lewandowski, want 1", matches)
	}
	if n := len(holders(t, src, "a38802")); n < 100 {
		t.Errorf("%d people have a38802, want 100 at least", n)
	}
}

// holders are the people who have an affinity, or one below it.
func holders(t *testing.T, src *dataset.Source, id string) map[string]bool {
	below := map[string]bool{id: true}
	var node dataset.AffinityRow
	each(t, src, dataset.Affinities, node.Decode, func() { // parents come first
		if below[string(node.Parent)] {
			below[string(node.ID)] = true
		}
	})
	accounts := map[query.Field]map[string]bool{}
	var link dataset.AffinityAccountRow
	each(t, src, dataset.AffinityAccounts, link.Decode, func() {
		if below[string(link.Affinity)] {
			if accounts[link.Network] == nil {
				accounts[link.Network] = map[string]bool{}
			}
			accounts[link.Network][string(link.Account)] = true
		}
	})
	people := map[string]bool{}
	eachFollow(t, src, func(f *dataset.FollowRow) {
		if accounts[f.Network][string(f.Account)] {
			people[string(f.Key)] = true
		}
	})
	var interest dataset.InterestRow
	each(t, src, dataset.Interests, interest.Decode, func() {
		if below[string(interest.Affinity)] {
			people[string(interest.Key)] = true
		}
	})
	return people
}

func testExampleWords(t *testing.T, src *dataset.Source) {
	if n := len(tweeted(t, src, "golang")); n < 100 {
		t.Errorf("%d people tweeted of golang, want 100 at least", n)
	}
	if n := len(tweeted(t, src, "#golang")); n < 50 {
		t.Errorf("%d people tweeted of #golang, want 50 at least", n)
	}
	if n := len(golangBios(t, src)); n < 100 {
		t.Errorf("%d people have golang in a bio, want 100 at least", n)
	}
}

func tweeted(t *testing.T, src *dataset.Source, word string) map[string]bool {
	people := map[string]bool{}
	eachTweet(t, src, func(w *dataset.TweetRow) {
		if bytes.Contains(w.Text, []byte(word)) {
			people[string(w.Key)] = true
		}
	})
	return people
}

func golangBios(t *testing.T, src *dataset.Source) map[string]bool {
	people := map[string]bool{}
	var row dataset.BioRow
	each(t, src, dataset.Bios, row.Decode, func() {
		if (row.Field == query.BioTwitter || row.Field == query.BioInstagram) && bytes.Contains(row.Text, []byte("golang")) {
			people[string(row.Key)] = true
		}
	})
	return people
}

// testLongExample works out the audience of the long example by plain sets,
// without the upload that it names.
func testLongExample(t *testing.T, src *dataset.Source) {
	exampleFollowed := map[query.Field]map[string]bool{}
	single := map[query.Field]map[string]int{}
	for _, f := range []query.Field{query.Twitter, query.Twitch, query.YouTube, query.Instagram, query.TikTok} {
		exampleFollowed[f], single[f] = map[string]bool{}, map[string]int{}
	}
	fields := [networks]query.Field{query.Twitter, query.YouTube, query.Instagram, query.TikTok, query.Twitch}
	for _, s := range seedAccounts() {
		exampleFollowed[fields[s.network]][s.id] = s.rank >= exampleRank
	}
	follows := map[query.Field]map[string]int{}
	for _, f := range fields {
		follows[f] = map[string]int{}
	}
	eachFollow(t, src, func(f *dataset.FollowRow) {
		inLong, ok := exampleFollowed[f.Network][string(f.Account)]
		if !ok {
			return
		}
		single[f.Network][string(f.Account)]++
		if inLong {
			follows[f.Network][string(f.Key)]++
		}
	})
	for f, ids := range exampleFollowed {
		for id := range ids {
			if single[f][id] < 50 {
				t.Errorf("%d people follow %s on %v, want 50 at least", single[f][id], id, f)
			}
		}
	}
	testTogether(t, src, follows)
	programmer, google := map[string]bool{}, map[string]bool{}
	eachJob(t, src, func(j *dataset.JobRow) {
		programmer[string(j.Key)] = programmer[string(j.Key)] || string(j.Title) == "PROGRAMMER"
		google[string(j.Key)] = google[string(j.Key)] || string(j.Employer) == "Google" || string(j.Employer) == "Google Play"
	})
	challenge := map[string]bool{}
	terms := reference.Personalities()
	eachScore(t, src, func(s *dataset.ScoreRow) {
		if terms[s.Term] == "challenge" && s.Score >= 0.75 {
			challenge[string(s.Key)] = true
		}
	})
	computers, bios, tweets := holders(t, src, "a100"), golangBios(t, src), tweeted(t, src, "golang")
	places := placesOf(t, src)
	include, members := 0, 0
	eachPerson(t, src, func(p *dataset.PersonRow) {
		key := string(p.Key) //nolint:staticcheck // one string for all the maps below
		if follows[query.YouTube][key] < 4 && follows[query.Twitch][key] == 0 && !computers[key] &&
			!bios[key] && !programmer[key] && !google[key] {
			return
		}
		include++
		city, region, dma, country := p.City, p.Region, p.DMA, p.Country
		places.Fill(&city, &region, &dma, &country)
		if follows[query.Instagram][key] == 0 || (city != "123" && region != "123" && dma != "123" && country != "123") ||
			p.Gender != "female" || p.Age != "18-24" || p.Ethnicity != "asian" || !tweets[key] {
			return
		}
		recent := p.Tweeted && p.LastTweeted >= asOf.AddDate(0, 0, -180).UnixMicro()
		if challenge[key] || (follows[query.Twitter][key] >= 4 && recent) {
			return
		}
		members++
	})
	t.Logf("%d people are included, %d are members", include, members)
	if members < 24 {
		t.Errorf("the long example has %d members, want a few dozen", members)
	}
}

// testTogether: the accounts of one community share followers, as the examples
// with a cutoff ask, and more than popularity alone would give.
func testTogether(t *testing.T, src *dataset.Source, follows map[query.Field]map[string]int) {
	atLeast := func(f query.Field, cutoff int) (n int) {
		for _, count := range follows[f] {
			if count >= cutoff {
				n++
			}
		}
		return n
	}
	if n := atLeast(query.YouTube, 4); n < 60 { // of whom 50 are planted
		t.Errorf("%d people follow 4 of ID1 to ID5, want 60 at least", n)
	}
	if n := atLeast(query.Twitter, 4); n < 10 {
		t.Errorf("%d people follow 4 of the 5 that the example leaves out, want 10 at least", n)
	}
	first, second := map[string]bool{}, map[string]bool{}
	total := map[string]bool{}
	eachFollow(t, src, func(f *dataset.FollowRow) {
		if f.Network != query.YouTube {
			return
		}
		total[string(f.Key)] = true
		switch string(f.Account) {
		case "UCbrbwT0o3LWVmhyvkvtWuTg":
			first[string(f.Key)] = true
		case "UCHUn2GT4DD2vM9QB0vTUmWg":
			second[string(f.Key)] = true
		}
	})
	both := 0
	for key := range first {
		if second[key] {
			both++
		}
	}
	lift := float64(both) * float64(len(total)) / float64(len(first)*len(second))
	t.Logf("%d and %d people follow the channels of the example, %d both: %.1f times what chance gives", len(first), len(second), both, lift)
	if both < 20 || lift < 2 {
		t.Errorf("%d people follow both channels, %.1f times what chance gives, want 20 and twice", both, lift)
	}
}
