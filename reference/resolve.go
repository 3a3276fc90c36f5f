package reference

import (
	"bytes"
	"strings"

	"throng/internal/words"
)

// Resolve returns the id of the place of kind k that a cell of a dataset
// means. Every cell may hold an id; of a country also its ISO 3166-1 code, of
// two letters or three, or its English name, the common or the official one;
// of a region its ISO 3166-2 code. Case is ignored in all but ids. In a table
// that is not built in, a code means the place with the name of the built-in
// place of that code.
func (t *Table) Resolve(k Kind, cell string) (id string, ok bool) {
	ps := t.kinds[k]
	if ps == nil {
		return "", false
	}
	if _, ok := ps.byID[cell]; ok {
		return cell, true
	}
	cell = strings.TrimSpace(cell)
	if _, ok := ps.byID[cell]; ok {
		return cell, true
	}
	if cell == "" {
		return "", false
	}
	switch k {
	case Country:
		return t.resolveCountry(cell)
	case Region:
		return t.resolveRegion(cell)
	default:
		return "", false
	}
}

func (t *Table) resolveCountry(cell string) (id string, ok bool) {
	countries := t.kinds[Country]
	known := countryTable()
	i, ok := known.byCode[strings.ToUpper(cell)]
	if !ok {
		i, ok = known.byName[nameKey(cell)]
	}
	if ok && t.builtIn {
		return known.list[i].id, true
	}
	if ok {
		for _, name := range known.list[i].names() {
			key := nameKey(name)
			if known.byName[key] != i {
				continue // goes by a name that is another's, or several's
			}
			if n, ok := countries.byName()[key]; ok {
				return countries.list[n].ID, true
			}
		}
	}
	// A name of the operator's own.
	if n, ok := countries.byName()[nameKey(cell)]; ok {
		return countries.list[n].ID, true
	}
	return "", false
}

func (t *Table) resolveRegion(cell string) (id string, ok bool) {
	builtIn := BuiltIn().kinds[Region]
	i, ok := builtIn.byISO[strings.ToUpper(cell)]
	if !ok {
		return "", false
	}
	p := builtIn.list[i]
	if t.builtIn {
		return p.ID, true
	}
	regions := t.kinds[Region]
	country, _, _ := strings.Cut(cell, "-")
	if id, ok := t.resolveCountry(country); ok {
		if n, ok := regions.byName()[regionKey(id, p.Name)]; ok {
			return regions.list[n].ID, true
		}
	}
	// Only where the table does not say which country the region is in.
	if n, ok := regions.byName()[regionKey("", p.Name)]; ok {
		return regions.list[n].ID, true
	}
	return "", false
}

// indexNames finds countries by nameKey and regions by regionKey. Of places
// with one name the first counts.
func indexNames(list []Place) map[string]int32 {
	byName := make(map[string]int32, len(list))
	for i, p := range list {
		key := nameKey(p.Name)
		if p.Kind == Region {
			key = regionKey(p.Country, p.Name)
		}
		if _, dup := byName[key]; !dup {
			byName[key] = int32(i)
		}
	}
	return byName
}

func regionKey(country, name string) string { return country + "\x1e" + nameKey(name) }

// nameKey returns what two ways of writing one name have in common: its words
// without case, accents and the words that are often left out. The key of a
// name without a word is its own.
func nameKey(name string) string {
	var key []byte
	for word := range bytes.SplitSeq(words.FoldName(nil, name), []byte{words.TokenStart}) {
		switch string(word) {
		case "", "and", "the", "of":
			continue
		case "st":
			word = []byte("saint")
		}
		key = append(append(key, word...), ' ')
	}
	if len(key) == 0 {
		return strings.TrimSpace(name)
	}
	return string(key)
}
