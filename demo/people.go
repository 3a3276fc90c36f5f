package demo

import (
	"math"
	"math/rand/v2"
	"slices"

	"throng/reference"
)

// person is what all tables have to agree on.
type person struct {
	index      int
	key        string
	age        int
	ageForm    ageForm
	female     bool
	sexKnown   bool
	ethnicity  int // in ethnicities, or -1
	home       *reference.Place
	country    *countryPlaces
	detail     detail
	topics     [4]int // what the person likes, the most first
	topicCount int
	on         [networks]bool
	jobs       [2]job
	jobCount   int
	lastTweet  int64   // seconds before as_of, or -1
	tweets     []int64 // when, in seconds before as_of
	planted    bool    // satisfies the long published example
}

type job struct{ title, employer string }

// ageForm is the column in which an age is given.
type ageForm int

const (
	ageAbsent ageForm = iota
	ageYears
	ageBirth
	ageRange
)

// detail is how much of a place is known.
type detail int

const (
	detailNone detail = iota
	detailCountry
	detailRegion
	detailCity // the reference gives the rest
	detailAll
)

// PersonKey returns the key of the person of that index, from 0, in the
// population of that seed.
func PersonKey(seed uint64, index int) string {
	// A Feistel network of four rounds permutes 40-bit numbers: no two
	// people share a key, and neighbours have nothing in common.
	const half, mask = 20, 1<<20 - 1
	left, right := uint64(index)>>half&mask, uint64(index)&mask
	for round := range uint64(4) {
		left, right = right, left^hash(seed, round, right)&mask
	}
	x := left<<half | right
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	key := [9]byte{0: 'p'}
	for i := len(key) - 1; i > 0; i-- {
		key[i] = digits[x%36]
		x /= 36
	}
	return string(key[:])
}

// makePeople draws the people of a chunk, into the memory of an earlier one.
func (w *world) makePeople(people []person, chunk, first, count int) []person {
	r := stream(w.seed, "people", uint64(chunk))
	people = slices.Grow(people[:0], count)[:count]
	for i := range people {
		p := &people[i]
		*p = person{index: first + i, tweets: p.tweets[:0]}
		p.key = PersonKey(w.seed, p.index)
		w.drawPerson(r, p)
		w.drawTopics(r, p)
		w.drawJobs(r, p)
		w.drawTweets(r, p)
		w.plant(r, p)
	}
	return people
}

func (w *world) drawPerson(r *rand.Rand, p *person) {
	p.country = &w.places.country[w.places.countries.draw(r)]
	p.home = &p.country.cities[p.country.sampler.draw(r)]
	p.age = w.drawAge(r)
	p.female = chance(r, femaleShare)
	p.sexKnown = chance(r, 0.82)
	p.ethnicity = p.country.ethnicities(p.home).draw(r)
	known := 0.5
	if p.country.id == unitedStates {
		known = 0.75
	}
	if !chance(r, known) {
		p.ethnicity = -1
	}
	switch x := r.Float64(); {
	case x < 0.55:
		p.ageForm = ageYears
	case x < 0.68:
		p.ageForm = ageBirth
	case x < 0.80:
		p.ageForm = ageRange
	}
	switch x := r.Float64(); {
	case x < 0.35:
		p.detail = detailCity
	case x < 0.70:
		p.detail = detailAll
	case x < 0.78:
		p.detail = detailRegion
	case x < 0.88:
		p.detail = detailCountry
	}
	for n := range p.on {
		p.on[n] = !chance(r, networkAbsent[n])
	}
}

// drawAge is uniform within a band; in the open one each year has 4 % fewer
// people than the one before.
func (w *world) drawAge(r *rand.Rand) int {
	band := ageBands[w.ages.draw(r)]
	if band.low < 55 {
		return band.low + r.IntN(band.high-band.low+1)
	}
	return min(band.low+int(r.ExpFloat64()/0.04), band.high)
}

// drawTopics draws one to three communities, and often the home country's.
func (w *world) drawTopics(r *rand.Rand, p *person) {
	sex := 0
	if p.female {
		sex = 1
	}
	liked := w.likes[sex][w.ageBand(p.age)]
	n := 1 + r.IntN(3)
	for range n {
		t := liked.draw(r)
		if !p.likes(t) {
			p.topics[p.topicCount] = t
			p.topicCount++
		}
	}
	if p.country.local >= 0 && chance(r, 0.6) {
		p.topics[p.topicCount] = p.country.local
		p.topicCount++
	}
}

func (p *person) likes(topic int) bool {
	return slices.Contains(p.topics[:p.topicCount], topic)
}

func (w *world) ageBand(age int) int {
	for i, b := range ageBands {
		if age <= b.high {
			return i
		}
	}
	return len(ageBands) - 1
}

func (w *world) drawJobs(r *rand.Rand, p *person) {
	if !chance(r, 0.48) {
		return
	}
	p.jobCount = 1
	if chance(r, 0.3) {
		p.jobCount = 2
	}
	group := w.titleGroup.draw(r)
	for i := range p.topicCount { // who likes computers rather works with them
		if w.topics[p.topics[i]].group == groupComputers && chance(r, 0.6) {
			group = 0
		}
	}
	for i := range p.jobCount {
		j := &p.jobs[i]
		titles := w.titles[group]
		j.title = titles.titles[titles.sampler.draw(r)]
		j.employer = w.employers[w.employer.draw(r)]
		switch x := r.Float64(); {
		case x < 0.08:
			j.title = ""
		case x < 0.2:
			j.employer = ""
		}
	}
}

const day = 24 * 60 * 60

// drawTweets draws when a person last tweeted: never, within ten days, or
// longer ago. Those of the ten days have the tweets themselves.
func (w *world) drawTweets(r *rand.Rand, p *person) {
	p.lastTweet = -1
	if !p.on[twitter] || chance(r, 0.12) {
		return
	}
	if !chance(r, 0.34) {
		p.lastTweet = min(int64(day*10*math.Exp(math.Abs(r.NormFloat64())*2)), 3000*day)
		return
	}
	w.tweetNow(r, p, 1+min(int(r.ExpFloat64()*4), 40), 10*day)
}

// tweetNow draws n tweets of the last so many seconds.
func (w *world) tweetNow(r *rand.Rand, p *person, n int, seconds int64) {
	for range n {
		ago := r.Int64N(seconds)
		p.tweets = append(p.tweets, ago)
		if p.lastTweet < 0 || ago < p.lastTweet {
			p.lastTweet = ago
		}
	}
}
