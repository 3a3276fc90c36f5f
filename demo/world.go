package demo

import (
	"math"
	"time"
)

// world is everything that is the same for all people of a population. It is
// read-only once made, and shared by the workers.
type world struct {
	seed  uint64
	asOf  time.Time
	year  int
	total int

	topics     []topic
	topicGo    int
	likes      [2][len(ageBands)]sampler // of topics, by sex (1 is female) and band
	nets       [networks]catalogue
	tree       *taxonomy
	places     *places
	traits     *traits
	ages       sampler
	titleGroup sampler
	titles     []titleSet
	employers  []string
	employer   sampler
}

type titleSet struct {
	titles  []string
	sampler sampler
}

func newWorld(cfg Config) (*world, error) {
	w := &world{seed: cfg.Seed, asOf: cfg.AsOf.UTC().Truncate(time.Second), total: cfg.People}
	w.year = w.asOf.Year()
	var err error
	if w.traits, err = newTraits(); err != nil {
		return nil, err
	}
	shares := make([]float64, len(ageBands))
	for i, b := range ageBands {
		shares[i] = b.share
	}
	w.ages = newSampler(shares)
	w.makeTopics(math.Sqrt(float64(cfg.People) / 100_000))
	w.tree = newTaxonomy(w.topics, &w.nets)
	shares = nil
	for _, g := range titleGroups() {
		shares = append(shares, g.share)
		w.titles = append(w.titles, titleSet{g.titles, newSampler(zipf(len(g.titles), 1))})
	}
	w.titleGroup = newSampler(shares)
	w.employers = employers(cfg.Seed)
	w.employer = newSampler(zipf(len(w.employers), employerExponent))
	return w, nil
}

// makeTopics makes the communities, one for each of homes behind the others,
// and their accounts.
func (w *world) makeTopics(scale float64) {
	w.topics = topics()
	shared := len(w.topics)
	weights := zipf(shared, 0.6)
	for i, t := range w.topics {
		if t.name == topicGo {
			w.topicGo = i
		}
	}
	// Age by band, from -1 (young) to 1 (old); how much the leanings of a
	// topic weigh is our assumption.
	bandAge := [len(ageBands)]float64{-1, -0.5, 0, 0.4, 0.8}
	for sex := range w.likes {
		for band, age := range bandAge {
			leaning := make([]float64, shared)
			for i, t := range w.topics {
				leaning[i] = weights[i] * math.Exp(t.age*age+t.female*(2*float64(sex)-1))
			}
			w.likes[sex][band] = newSampler(leaning)
		}
	}
	locals := map[string]int{}
	for _, h := range homes() {
		locals[h.iso] = len(w.topics)
		weights = append(weights, 4*h.share)
		w.topics = append(w.topics, topic{group: groupTravel})
	}
	w.places = newPlaces(locals)
	for _, c := range w.places.country {
		if c.local >= 0 {
			w.topics[c.local] = topic{
				name: "Life in " + c.name, group: groupTravel, tag: "weekend",
				things: [4]string{"local news", "the weekend", "public transport", "small towns"},
			}
		}
	}
	w.nets = newCatalogues(w.seed, w.topics, weights, scale)
}
