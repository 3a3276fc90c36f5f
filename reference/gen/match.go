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
	names   map[string]string   // by ISO code: the name in the standard
	top     map[string]bool     // the ISO codes of the first order
	further map[string][]string // by ISO code: names in English
	said    map[string]string   // by GeoNames code: the ISO code said to be the same
}

// byHand holds regions that are called too differently to be found.
var byHand = map[string]string{
	"BR.07": "BR-DF", "DK.17": "DK-84", "FR.94": "FR-20R", "KR.22": "KR-50", "PL.80": "PL-18", "VN.01": "VN-HN",
	"CN.13": "CN-XJ", "CN.14": "CN-XZ", "CN.16": "CN-GX", "CN.20": "CN-NM", "CN.21": "CN-NX",
	"CZ.52": "CZ-10", "CZ.78": "CZ-64", "CZ.79": "CZ-31", "CZ.81": "CZ-41", "CZ.85": "CZ-80", "CZ.87": "CZ-32", "CZ.88": "CZ-20",
	"RU.16": "RU-CU", "RU.29": "RU-KEM", "RU.59": "RU-PRI",
	"UA.12": "UA-30", "UA.13": "UA-32", "UA.17": "UA-51", "UA.26": "UA-23",
	"YE.16": "YE-SN", "YE.26": "YE-SA",
}

func newMatcher(dir string) (*matcher, error) {
	m := &matcher{
		names: map[string]string{}, top: map[string]bool{},
		further: map[string][]string{}, said: map[string]string{},
	}
	list, err := isoRegions.read(dir, "2.js")
	if err != nil {
		return nil, err
	}
	entry := regexp.MustCompile(`code: '([A-Z]{2}-[A-Z0-9]+)',\s+name: (?:'([^'\n]*)'|"([^"\n]*)"),\s+parent: '([A-Z0-9-]+)'`)
	for _, e := range entry.FindAllStringSubmatch(string(list), -1) {
		m.names[e[1]] = e[2] + e[3]
		m.top[e[1]] = len(e[4]) == 2
	}
	if len(m.names) < 4000 {
		return nil, fmt.Errorf("%d subdivisions, want thousands", len(m.names))
	}
	for code, iso := range byHand {
		if m.names[iso] == "" {
			return nil, fmt.Errorf("code %s of region %s is not in the list", iso, code)
		}
	}
	return m, m.readFurther(dir)
}

type furtherRegion struct {
	Name, ISO, Admin string
	Names            map[string]string
}

// readFurther adds what the second list of codes says. It is older than the
// first, so a country that has numbered anew since is left out.
func (m *matcher) readFurther(dir string) error {
	var table map[string]struct{ Regions []furtherRegion }
	if err := regionCodes.readJSON(dir, "data/iso3166-2.json", &table); err != nil {
		return err
	}
	top := map[string][]string{}
	for iso, name := range m.names {
		if m.top[iso] {
			addTo(top, iso, name)
		}
	}
	for alpha2, c := range table {
		if renumbered(alpha2, c.Regions, top) {
			fmt.Println("renumbered:", alpha2)
			continue
		}
		for _, r := range c.Regions {
			iso, code := alpha2+"-"+r.ISO, alpha2+"."+r.Admin
			if m.names[iso] == "" {
				continue
			}
			if _, twice := m.said[code]; r.Admin != "" {
				m.said[code] = iso
				if twice {
					m.said[code] = ""
				}
			}
			m.further[iso] = append(m.further[iso], r.Name, r.Names["geonames"], r.Names["en"])
		}
	}
	return nil
}

// renumbered reports whether the regions of a country have, as a rule, the
// names of other codes. A few are but mixed up.
func renumbered(alpha2 string, regions []furtherRegion, top map[string][]string) bool {
	wrong := 0
	for _, r := range regions {
		if iso := only(top[alpha2+key(r.Name)]); iso != "" && iso != alpha2+"-"+r.ISO {
			wrong++
		}
	}
	return wrong*4 > len(regions)
}

// assign sets the ISO codes that are certain. Each way of finding one is more
// daring than those before it, so it gives only codes that those left over. A
// code that would be two regions' is given to neither.
func (m *matcher) assign(regions []region) {
	top, own, further := map[string][]string{}, map[string][]string{}, map[string][]string{}
	for iso, name := range m.names {
		addTo(own, iso, name)
		if m.top[iso] {
			addTo(top, iso, name)
		}
	}
	for iso, names := range m.further {
		for _, name := range names {
			addTo(further, iso, name)
		}
	}
	ways := []func(r region) string{
		func(r region) string {
			if strings.HasPrefix(r.code, "US.") {
				return strings.Replace(r.code, ".", "-", 1)
			}
			return byHand[r.code]
		},
		func(r region) string { return only(top[r.code[:2]+key(r.name)]) },
		m.trusted,
		func(r region) string { return only(own[r.code[:2]+key(r.name)]) },
		func(r region) string { return only(further[r.code[:2]+key(r.name)]) },
	}
	taken := map[string]bool{}
	for _, way := range ways {
		found := map[string][]int{}
		for i, r := range regions {
			if iso := way(r); r.iso == "" && iso != "" && !taken[iso] {
				found[iso] = append(found[iso], i)
			}
		}
		for iso, at := range found {
			if len(at) == 1 {
				regions[at[0]].iso, taken[iso] = iso, true
			}
		}
	}
	fmt.Printf("%d regions, %d with an ISO code\n", len(regions), len(taken))
}

// trusted returns the code that the second list says a region has, where a
// name bears that out.
func (m *matcher) trusted(r region) string {
	iso := m.said[r.code]
	if iso == "" {
		return ""
	}
	for _, name := range append([]string{m.names[iso]}, m.further[iso]...) {
		if alike(name, r.name) {
			return iso
		}
	}
	return ""
}

// addTo files an ISO code under its country and the key of a name.
func addTo(byName map[string][]string, iso, name string) {
	k := iso[:2] + key(name)
	if key(name) != "" && !slices.Contains(byName[k], iso) {
		byName[k] = append(byName[k], iso)
	}
}

// only returns the one code there is, or "".
func only(codes []string) string {
	if len(codes) != 1 {
		return ""
	}
	return codes[0]
}

// alike reports whether two names share a word of their own.
func alike(a, b string) bool {
	other := strings.Fields(key(b))
	return slices.ContainsFunc(strings.Fields(key(a)), func(word string) bool { return slices.Contains(other, word) })
}

// common are words that say what a region is, in the languages of the lists.
var common = strings.Fields(`
	province provincia provincie region regiao regione state estado district distrito department departement
	departamento governorate county canton municipality municipio municipal city prefecture parish oblast
	kraj voivodeship division emirate republic autonomous territory capital federal community comunidad
	al el d l la le les los las the of de da do du del di and y e et sheng shi zizhiqu qu ken fu to
	wojewodztwo megye muhafazat wilaya oblys oblysy respublika kray krai okrug regiunea judetul
	commune special administrative area metropolitan urban rural local council`)

// key returns the words of a name that tell it from others, in order.
func key(name string) string {
	kept := []string{}
	for word := range strings.SplitSeq(string(words.FoldName(nil, name)), string(rune(words.TokenStart))) {
		if word != "" && !slices.Contains(common, word) {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}
