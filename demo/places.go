package demo

import "throng/reference"

// The place of the long published example, in all three kinds. The built-in
// reference has none, so the dataset brings a table of places with them.
const (
	seedPlace     = "123"
	unitedStates  = "231"
	outlyingIsles = "230"
)

// places says where people live.
type places struct {
	table     []reference.Place // the whole table, what the dataset brings
	countries sampler
	country   []countryPlaces
	seed      []reference.Place // the cities that the published examples name, city 123 first
	islesHome reference.Place   // somewhere on the outlying islands
}

type countryPlaces struct {
	id, name string
	cities   []reference.Place // or the country alone
	sampler  sampler
	mix      sampler            // of ethnicities
	markets  map[string]sampler // of ethnicities, by market area where it is known
	local    int                // topic of the country, or -1
}

// newPlaces weighs cities by their population within a country, the countries
// by homes, and countries not listed there by the rest of their cities.
func newPlaces(locals map[string]int) *places {
	builtIn := reference.BuiltIn()
	p := &places{}
	added := []reference.Place{
		{Kind: reference.Region, ID: seedPlace, Name: "Region 123 (synthetic)", Country: unitedStates},
		{Kind: reference.DMA, ID: seedPlace, Name: "Market area 123 (synthetic)"},
		{Kind: reference.City, ID: seedPlace, Name: "City 123 (synthetic)", Region: seedPlace, Country: unitedStates, DMA: seedPlace, Population: 40_000},
	}
	for _, m := range markets() {
		if _, ok := builtIn.Lookup(reference.DMA, m.id); !ok {
			added = append(added, reference.Place{Kind: reference.DMA, ID: m.id, Name: m.name})
		}
	}
	for _, kind := range []reference.Kind{reference.Country, reference.Region, reference.DMA, reference.City} {
		p.table = append(p.table, builtIn.All(kind)...)
		for _, a := range added {
			if a.Kind == kind {
				p.table = append(p.table, a)
			}
		}
	}
	p.joinMarkets()
	p.seed = []reference.Place{added[2]}
	for _, id := range []string{"82107", "1001500394", "82396", "1001500400", "82397", "81132", "81905"} {
		if c, ok := builtIn.Lookup(reference.City, id); ok {
			p.seed = append(p.seed, c)
		}
	}
	p.islesHome = reference.Place{Country: outlyingIsles}
	p.settle(locals)
	return p
}

// joinMarkets puts the main cities of market areas into them, where the
// built-in reference does not. It changes the copy in the table only.
func (p *places) joinMarkets() {
	regions := map[string]string{} // ISO codes
	for _, place := range p.table {
		if place.Kind == reference.Region {
			regions[place.ID] = place.ISO
		}
	}
	area := map[string]string{} // by ISO code of the region and name of the city
	for _, m := range markets() {
		for _, city := range m.cities {
			area[city] = m.id
		}
	}
	for i := range p.table {
		place := &p.table[i]
		if place.Kind == reference.City && place.Country == unitedStates && place.DMA == "" {
			place.DMA = area[regions[place.Region]+" "+place.Name]
		}
	}
}

// settle groups the cities by country, in the order of the table.
func (p *places) settle(locals map[string]int) {
	byID := map[string]int{}
	iso := map[string]string{}
	for _, place := range p.table {
		if place.Kind == reference.Country {
			byID[place.ID] = len(p.country)
			iso[place.ID] = place.ISO
			p.country = append(p.country, countryPlaces{id: place.ID, name: place.Name, local: -1})
		}
	}
	for _, place := range p.table {
		if i, ok := byID[place.Country]; ok && place.Kind == reference.City {
			p.country[i].cities = append(p.country[i].cities, place)
		}
	}
	shares := map[string]home{}
	rest := 1.0
	for _, h := range homes() {
		shares[h.iso] = h
		rest -= h.share
	}
	weights := make([]float64, len(p.country))
	var unlisted float64
	for i := range p.country {
		c := &p.country[i]
		population := make([]float64, len(c.cities))
		for k, city := range c.cities {
			population[k] = float64(max(city.Population, 500))
			weights[i] += population[k]
		}
		if len(c.cities) == 0 {
			c.cities, population = []reference.Place{{Country: c.id}}, []float64{1}
		}
		c.sampler = newSampler(population)
		c.mix = newSampler(elsewhereMix())
		if _, listed := shares[iso[c.id]]; !listed {
			unlisted += weights[i]
		}
	}
	for i := range p.country {
		c := &p.country[i]
		h, listed := shares[iso[c.id]]
		if !listed {
			weights[i] *= rest / unlisted
			continue
		}
		weights[i] = h.share
		c.mix = newSampler(h.mix[:])
		if t, ok := locals[h.iso]; ok {
			c.local = t
		}
		if c.id == unitedStates {
			c.mixMarkets()
		}
	}
	p.countries = newSampler(weights)
}

func elsewhereMix() []float64 {
	m := elsewhere()
	return m[:]
}

// mixMarkets gives the market areas their own mix, and the rest of the country
// what keeps the national one.
func (c *countryPlaces) mixMarkets() {
	var total float64
	people := map[string]float64{}
	for _, city := range c.cities {
		n := float64(max(city.Population, 500))
		total += n
		people[city.DMA] += n
	}
	rest := normal(usMix)
	c.markets = map[string]sampler{}
	for _, m := range marketMix {
		mix := normal(m.mix)
		c.markets[m.id] = newSampler(mix[:])
		for e := range rest {
			rest[e] -= mix[e] * people[m.id] / total
		}
	}
	for e := range rest {
		rest[e] = max(rest[e], 0)
	}
	c.mix = newSampler(rest[:])
}

func normal(m ethnicMix) ethnicMix {
	var sum float64
	for _, w := range m {
		sum += w
	}
	for i := range m {
		m[i] /= sum
	}
	return m
}

// ethnicities returns the mix of a city.
func (c *countryPlaces) ethnicities(city *reference.Place) sampler {
	if s, ok := c.markets[city.DMA]; ok {
		return s
	}
	return c.mix
}
