package demo

import "math/rand/v2"

// What the published examples name is planted among the first plantedPeople,
// evenly, so that small populations have some of it, one of 100,000 has what
// the examples print, and larger ones no more: a filter such as "fewer than
// 100 people" works at any size.
const plantedPeople = 100_000

// titles and employers that are planted: every so many people, from the first.
// Among 100,000 people that makes the number in the comment.
func plantedJobs() []struct {
	first, every int
	job          job
} {
	return []struct {
		first, every int
		job          job
	}{
		{11, 7143, job{title: "Analyst, Senior Programmer"}}, // 14
		{23, 1190, job{title: "PROGRAMMER"}},                 // 85, less who is the above
		{37, 800, job{employer: "StatSocial"}},               // 125, likewise
		{41, 500, job{employer: "Google"}},                   // 200, and many who drew it
		{43, 1250, job{employer: "Google Play"}},             // 80, likewise
		{47, plantedPeople, job{employer: "StatSocial Past Life: Founder of RateMyTeachers/RateMyProfessors, PeekYou"}}, // 1
	}
}

const (
	// Each of the places of the examples has at least a thirtieth of a
	// percent of the people.
	placeFirst, placeEvery = 61, 250
	islesFirst, islesEvery = 67, 2500
	kuwaitFirst            = 73 // the example's country 123
	// exampleEvery makes 50 people of 100,000 members of the audience of the
	// long published example: they satisfy each of its filters, one of its
	// includes at least, and none of its exclusions. Chance alone would leave
	// it empty.
	exampleFirst, exampleEvery = 71, 2000
)

func planted(index, first, every int) bool {
	return index < plantedPeople && index%every == first%every && index >= first
}

// plant changes a drawn person into one that the examples need, if due.
func (w *world) plant(r *rand.Rand, p *person) {
	for _, j := range plantedJobs() {
		if planted(p.index, j.first, j.every) {
			p.jobs[0], p.jobCount = j.job, max(p.jobCount, 1)
			break // the rarer come first, so that none of them is lost
		}
	}
	switch {
	case planted(p.index, placeFirst, placeEvery):
		w.settleIn(p, p.index/placeEvery%len(w.places.seed))
	case planted(p.index, islesFirst, islesEvery):
		p.home, p.country, p.detail = &w.places.islesHome, w.country(outlyingIsles), detailCountry
	case planted(p.index, kuwaitFirst, islesEvery):
		p.country = w.country(seedPlace)
		p.home, p.detail = &p.country.cities[0], detailCountry
	case planted(p.index, exampleFirst, exampleEvery):
		w.settleIn(p, 0)
		p.planted = true
		p.female, p.sexKnown = true, true
		p.age, p.ageForm = 18+r.IntN(7), ageYears
		p.ethnicity = 3
		p.topics[0] = w.topicGo
		for n := range p.on {
			p.on[n] = true
		}
		w.tweetNow(r, p, 1, 6*day)
	}
}

// settleIn moves a person to one of the cities that the examples name.
func (w *world) settleIn(p *person, i int) {
	p.home, p.country, p.detail = &w.places.seed[i], w.country(unitedStates), detailAll
}

func (w *world) country(id string) *countryPlaces {
	for i := range w.places.country {
		if w.places.country[i].id == id {
			return &w.places.country[i]
		}
	}
	return nil
}

// plantedFollows are the accounts of the long example that its members follow.
func plantedFollows(network int) []string {
	switch network {
	case youtube:
		return []string{"ID1", "ID2", "ID3", "ID4"}
	case instagram:
		return []string{"26669533"}
	case twitch:
		return []string{"163932929"}
	default:
		return nil
	}
}
