package dataset

import (
	"bytes"
	"time"

	"throng/reference"
)

// Env is what the cells of people are read against.
type Env struct {
	// AsOf is the instant that the data describes; never zero.
	AsOf   time.Time
	Places *reference.Table
}

// PersonRow is a row of people.
type PersonRow struct {
	Key []byte
	// Age, Gender and Ethnicity are values of the fields of those names, ""
	// where not known.
	Age, Gender, Ethnicity string
	// City, Region, DMA and Country are ids of places, "" where not known.
	City, Region, DMA, Country string
	// LastTweeted is in microseconds since 1970; it counts if Tweeted is set.
	LastTweeted int64
	Tweeted     bool
	Drops

	places map[reference.Kind]map[string]resolved
	of     *reference.Table // the table that places were resolved in
	// By tokens; the cells of the columns differ.
	known   memo[resolved]
	words   memo[word]
	scratch [32]byte
}

// resolved is what a cell means as a place, and what follows from it.
type resolved struct {
	id string
	ok bool
	// Of a city, where it is; above is the country of region. Of a region, its
	// country.
	region, dma, country, above string
}

// word is what a cell means in a closed set.
type word struct {
	value string
	ok    bool
}

// maxResolved bounds the cells whose meaning is remembered, for each kind.
const maxResolved = 1 << 17

// The columns of people.
const (
	colPerson = iota
	colAge
	colBirthYear
	colAgeRange
	colGender
	colEthnicity
	colCity
	colRegion
	colDMA
	colCountry
	colLastTweeted
)

// Decode reads a row. Whoever is under 18 is skipped; Key is set then, too. The
// ids set belong to env.Places and stay.
func (p *PersonRow) Decode(b *Batch, row int, env Env) Outcome {
	p.Dropped = p.Dropped[:0]
	var reason string
	if p.Key, reason = key(b, row, colPerson); reason != "" {
		return reject(reason)
	}
	age, ok := p.age(b, row, env.AsOf.UTC().Year())
	if ok && age.high < adult {
		p.Dropped = p.Dropped[:0]
		return Outcome{Skip: SkipUnder18}
	}
	p.Age = ""
	if ok {
		p.Age = band(age)
	}
	p.Gender = p.word(b, row, colGender, "gender", gender)
	p.Ethnicity = p.word(b, row, colEthnicity, "ethnicity", ethnicity)
	p.live(b, row, env.Places)
	p.LastTweeted, p.Tweeted = 0, false
	if cell := bytes.TrimSpace(b.Cell(row, colLastTweeted)); len(cell) > 0 || b.Malformed(row, colLastTweeted) {
		if p.LastTweeted, p.Tweeted = parseTime(cell); !p.Tweeted {
			p.LastTweeted = 0
			p.drop("last_tweeted")
		}
	}
	return Outcome{}
}

// word reads a value of a closed set. Malformed is what of refuses.
func (p *PersonRow) word(b *Batch, row, col int, column string, of func(string) (string, bool)) string {
	token := b.Token(row, col)
	w, known := p.words.get(token)
	if !known {
		cell := bytes.TrimSpace(b.Cell(row, col))
		if len(cell) == 0 && !b.Malformed(row, col) {
			return ""
		}
		if len(cell) <= len(p.scratch) {
			w.value, w.ok = of(string(lower(p.scratch[:], cell)))
		}
		p.words.put(token, w)
	}
	if !w.ok {
		p.drop(column)
	}
	return w.value
}

func gender(s string) (string, bool) {
	switch s {
	case "male":
		return "male", true
	case "female":
		return "female", true
	case "unknown":
		return "", true
	}
	return "", false
}

func ethnicity(s string) (string, bool) {
	switch s {
	case "asian":
		return "asian", true
	case "black":
		return "black", true
	case "hispanic":
		return "hispanic", true
	case "native":
		return "native", true
	case "white":
		return "white", true
	case "unknown":
		return "", true
	}
	return "", false
}

// live reads where the person lives and completes it.
func (p *PersonRow) live(b *Batch, row int, places *reference.Table) {
	if p.of != places || p.places == nil {
		p.of, p.places, p.known = places, map[reference.Kind]map[string]resolved{}, memo[resolved]{}
		for _, k := range reference.Kinds() {
			p.places[k] = map[string]resolved{}
		}
	}
	city := p.place(b, row, colCity, reference.City)
	region := p.place(b, row, colRegion, reference.Region)
	p.City, p.Region = city.id, region.id
	p.DMA = p.place(b, row, colDMA, reference.DMA).id
	p.Country = p.place(b, row, colCountry, reference.Country).id
	above := region.country
	if p.Region == "" {
		p.Region, above = city.region, city.above
	}
	for _, country := range [2]string{city.country, above} {
		if p.Country == "" {
			p.Country = country
		}
	}
	if p.DMA == "" {
		p.DMA = city.dma
	}
}

// place reads a cell of a place. An unknown place is a malformed cell.
func (p *PersonRow) place(b *Batch, row, col int, kind reference.Kind) resolved {
	token := b.Token(row, col)
	r, ok := p.known.get(token)
	if !ok {
		cell := bytes.TrimSpace(b.Cell(row, col))
		if len(cell) == 0 {
			if b.Malformed(row, col) {
				p.drop(string(kind))
			}
			return resolved{}
		}
		r = p.resolve(kind, cell)
		p.known.put(token, r)
	}
	if !r.ok {
		p.drop(string(kind))
	}
	return r
}

// resolve finds the place that a cell names.
func (p *PersonRow) resolve(kind reference.Kind, cell []byte) resolved {
	known := p.places[kind]
	r, ok := known[string(cell)]
	if ok || len(cell) > maxName {
		return r
	}
	s := string(cell)
	if r.id, r.ok = p.of.Resolve(kind, s); r.ok {
		place, _ := p.of.Lookup(kind, r.id)
		switch kind {
		case reference.City:
			r.region, r.dma, r.country = place.Region, place.DMA, place.Country
			region, _ := p.of.Lookup(reference.Region, r.region)
			r.above = region.Country
		case reference.Region:
			r.country = place.Country
		default: // nothing follows
		}
	}
	if len(known) < maxResolved {
		known[s] = r
	}
	return r
}
