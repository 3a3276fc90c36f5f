package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"throng/internal/words"
)

// matcher finds the ISO 3166-2 code of a region that GeoNames numbers in its
// own way. It would rather find none than a wrong one.
type matcher struct {
	names map[string][]string // by ISO code: names of the subdivision that has it now
	codes map[string][]string // by GeoNames code: the ISO codes said to be the same
}

func newMatcher(dir string) (*matcher, error) {
	m := &matcher{names: map[string][]string{}, codes: map[string][]string{}}
	list, err := isoRegions.read(dir, "2.js")
	if err != nil {
		return nil, err
	}
	entry := regexp.MustCompile(`code: '([A-Z]{2}-[A-Z0-9]+)',\s+name: (?:'([^'\n]*)'|"([^"\n]*)")`)
	for _, e := range entry.FindAllStringSubmatch(string(list), -1) {
		m.names[e[1]] = append(m.names[e[1]], e[2]+e[3])
	}
	if len(m.names) < 4000 {
		return nil, fmt.Errorf("%d subdivisions, want thousands", len(m.names))
	}
	var table map[string]struct {
		Regions []struct {
			Name, ISO, Admin string
			Names            map[string]string
		}
	}
	if err := regionCodes.readJSON(dir, "data/iso3166-2.json", &table); err != nil {
		return nil, err
	}
	for alpha2, c := range table {
		for _, r := range c.Regions {
			iso, code := alpha2+"-"+r.ISO, alpha2+"."+r.Admin
			if m.names[iso] == nil || r.Admin == "" {
				continue
			}
			m.codes[code] = append(m.codes[code], iso)
			m.names[iso] = append(m.names[iso], r.Name, r.Names["geonames"], r.Names["en"])
		}
	}
	return m, nil
}

// assign sets the ISO codes that are certain: said to be the same and alike in
// name, or of the same country and equal in name. A code that would be two
// regions' is given to neither.
func (m *matcher) assign(regions []region) {
	byName := map[string][]string{}
	for iso, names := range m.names {
		for _, name := range names {
			k := iso[:2] + key(name)
			if key(name) != "" && !slices.Contains(byName[k], iso) {
				byName[k] = append(byName[k], iso)
			}
		}
	}
	uses := map[string]int{}
	for i := range regions {
		r := &regions[i]
		alpha2, code, _ := strings.Cut(r.code, ".")
		if alpha2 == "US" {
			r.iso = "US-" + code
		} else if same := byName[alpha2+key(r.name)]; len(same) == 1 {
			r.iso = same[0]
		} else if said := m.codes[r.code]; len(said) == 1 && m.alike(said[0], r.name) {
			r.iso = said[0]
		}
		uses[r.iso]++
	}
	known := 0
	for i := range regions {
		if uses[regions[i].iso] > 1 {
			regions[i].iso = ""
		}
		if regions[i].iso != "" {
			known++
		}
	}
	fmt.Printf("%d regions, %d with an ISO code\n", len(regions), known)
}

// alike reports whether a name shares a word of its own with one of those of
// an ISO code.
func (m *matcher) alike(iso, name string) bool {
	for word := range strings.FieldsSeq(key(name)) {
		for _, other := range m.names[iso] {
			if slices.Contains(strings.Fields(key(other)), word) {
				return true
			}
		}
	}
	return false
}

// common are words that say what a region is, in the languages of the lists.
var common = strings.Fields(`
	province provincia provincie region regiao regione state estado district distrito department departement
	departamento governorate county canton municipality municipio municipal city prefecture parish oblast
	kraj voivodeship division emirate republic autonomous territory capital federal community comunidad
	al el la le les los las the of de da do du del di and y e et sheng shi zizhiqu qu ken fu to
	wojewodztwo megye muhafazat wilaya oblys oblysy oblast respublika kray krai okrug regiunea judetul
	commune special administrative area metropolitan urban rural local council`)

// key returns the words of a name that tell it from others, in order.
func key(name string) string {
	folded := string(words.FoldName(nil, name))
	kept := []string{}
	for word := range strings.SplitSeq(folded, "\x1f") {
		if word != "" && !slices.Contains(common, word) {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}
