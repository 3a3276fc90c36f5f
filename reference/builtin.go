package reference

import (
	_ "embed"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The built-in places, written by the generator in gen. Each file has one
// place a line, its columns between tabs; lines that begin with # are
// comments.
//
//	countries.tsv   id, alpha-2, alpha-3, name, further names between bars
//	regions.tsv     id, country id, alpha-2 and GeoNames code, ISO 3166-2 or "", name
//	cities.tsv.zst  id, region id or "", country id where there is no region, population, name
var (
	//go:embed countries.tsv
	countriesTSV string
	//go:embed regions.tsv
	regionsTSV string
	//go:embed cities.tsv.zst
	citiesTSV []byte
)

// BuiltIn returns the built-in table: every country; the regions of the first
// order; of cities those with 5,000 people, in the United States with 500; and
// six market areas. It is decoded at the first call, and always the same table.
func BuiltIn() *Table { return builtIn() }

// CountryByISO returns the built-in name of the country with this ISO 3166-1
// alpha-2 code, case ignored, and whether there is one.
func CountryByISO(alpha2 string) (name string, ok bool) {
	known := countryTable()
	i, ok := known.byCode[strings.ToUpper(alpha2)]
	if !ok || len(alpha2) != 2 {
		return "", false
	}
	return known.list[i].name, true
}

var (
	builtIn      = sync.OnceValue(decodeTable)
	countryTable = sync.OnceValue(decodeCountries)
)

// country is a built-in country with all that it is called.
type country struct {
	id, alpha2, alpha3, name string
	further                  string // names, between bars
}

// names returns every name, the one shown first.
func (c country) names() []string {
	names := []string{c.name}
	if c.further != "" {
		names = append(names, strings.Split(c.further, "|")...)
	}
	return append(names, furtherNames[c.alpha2]...)
}

// countries are the built-in ones, by both their codes in upper case, and by
// nameKey of each name. A name that two countries go by means the one that
// shows it, and otherwise neither.
type countries struct {
	list           []country
	byCode, byName map[string]int
}

func decodeCountries() *countries {
	t := &countries{byCode: map[string]int{}, byName: map[string]int{}}
	for row := range rows(countriesTSV, 5) {
		i := len(t.list)
		c := country{row[0], row[1], row[2], row[3], row[4]}
		t.list = append(t.list, c)
		t.byCode[c.alpha2] = i
		t.byCode[c.alpha3] = i
		t.byName[nameKey(c.name)] = i
	}
	// Not an index, and so not that of any country either.
	const several = -1
	further := map[string]int{}
	for i, c := range t.list {
		for _, name := range c.names()[1:] {
			key := nameKey(name)
			if other, ok := further[key]; ok && other != i {
				further[key] = several
				continue
			}
			further[key] = i
		}
	}
	for key, i := range further {
		if _, ok := t.byName[key]; !ok && i != several {
			t.byName[key] = i
		}
	}
	return t
}

func decodeTable() *Table {
	t := newTable()
	t.builtIn = true
	countries, regions := t.kinds[Country], t.kinds[Region]
	regions.byISO = map[string]int32{}
	for _, c := range countryTable().list {
		countries.add(Place{Kind: Country, ID: c.id, Name: c.name, ISO: c.alpha2})
	}
	for row := range rows(regionsTSV, 5) {
		if row[3] != "" {
			regions.byISO[row[3]] = int32(len(regions.list))
		}
		regions.add(Place{Kind: Region, ID: row[0], Country: row[1], ISO: row[3], Name: row[4]})
	}
	for _, p := range listedMarketAreas() {
		t.kinds[DMA].add(p)
	}
	for _, p := range listedCities() {
		t.kinds[City].add(p)
	}
	decodeCities(t)
	return t
}

func decodeCities(t *Table) {
	cities, regions := t.kinds[City], t.kinds[Region]
	tsv, err := decompress(citiesTSV)
	if err != nil {
		panic(fmt.Sprintf("reference: decompress the embedded cities: %v", err))
	}
	n := strings.Count(tsv, "\n") + len(cities.list)
	cities.list = append(make([]Place, 0, n), cities.list...)
	byID := make(map[string]int32, n)
	maps.Copy(byID, cities.byID)
	cities.byID = byID
	for row := range rows(tsv, 5) {
		p := Place{Kind: City, ID: row[0], Region: row[1], Country: row[2], Name: row[4]}
		if i, ok := regions.byID[p.Region]; ok {
			p.Country = regions.list[i].Country
		}
		// Digits, by the generator; what is not would be 0, for unknown.
		p.Population, _ = strconv.ParseInt(row[3], 10, 64)
		cities.add(p)
	}
}

func decompress(b []byte) (string, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return "", err
	}
	defer d.Close()
	plain, err := d.DecodeAll(b, nil)
	return string(plain), err
}

// rows iterates over the lines of an embedded file, each cut into columns. The
// slice is reused from row to row.
func rows(tsv string, columns int) func(yield func(row []string) bool) {
	return func(yield func(row []string) bool) {
		row := make([]string, columns)
		for len(tsv) > 0 {
			var line string
			line, tsv, _ = strings.Cut(tsv, "\n")
			if line == "" || line[0] == '#' {
				continue
			}
			for i := range row {
				row[i], line, _ = strings.Cut(line, "\t")
			}
			if !yield(row) {
				return
			}
		}
	}
}
