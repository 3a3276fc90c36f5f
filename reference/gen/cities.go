package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

type city struct {
	id, population  int
	region, country int // country is 0 where the region says it
	name            string
}

// minPopulation is how many people make a city. Capitals, of countries and of
// their regions, and all of the United States, where most audiences live, are
// cities whatever their size. More would cost each start more time than they
// are worth.
const minPopulation = 5000

// doubles are the GeoNames ids of the cities that package reference lists
// under other ids.
var doubles = []int{
	5039192, // New York Mills, Minnesota
	5106292, // West New York
	5115985, // East New York
	5128581, // New York City
	5128616, // New York Mills, New York
}

// capitals are the feature codes of capitals of countries and regions.
var capitals = []string{"PPLC", "PPLA"}

// deserted are the feature codes of places where nobody lives any more.
var deserted = []string{"PPLH", "PPLCH", "PPLQ", "PPLW"}

// Columns of a table of GeoNames.
const (
	columnID         = 0
	columnName       = 1
	columnFeature    = 7
	columnCountry    = 8
	columnAdmin1     = 10
	columnPopulation = 14
	columns          = 19
)

func readCities(dir string, countries map[string]country, regions []region) ([]city, error) {
	data, err := geoNamesCities.read(dir, "dist/cities500.txt")
	if err != nil {
		return nil, err
	}
	regionIDs := map[string]int{}
	for _, r := range regions {
		regionIDs[r.code] = r.id
	}
	var cities []city
	missing := 0
	for line := range strings.Lines(string(data)) {
		row := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(row) != columns {
			return nil, fmt.Errorf("a line has %d columns, want %d", len(row), columns)
		}
		c, err := parseCity(row)
		if err != nil {
			return nil, err
		}
		of, ok := countries[row[columnCountry]]
		switch {
		case !ok:
			return nil, fmt.Errorf("city %d is in unknown country %q", c.id, row[columnCountry])
		case slices.Contains(doubles, c.id), slices.Contains(deserted, row[columnFeature]):
			continue
		case c.population < minPopulation && of.alpha2 != "US" && !slices.Contains(capitals, row[columnFeature]):
			continue
		}
		if c.region = regionIDs[of.alpha2+"."+row[columnAdmin1]]; c.region == 0 {
			missing++
			c.country = of.id
		}
		cities = append(cities, c)
	}
	slices.SortFunc(cities, func(a, b city) int {
		return cmp.Or(cmp.Compare(b.population, a.population), cmp.Compare(a.id, b.id))
	})
	fmt.Printf("%d cities, %d without a region\n", len(cities), missing)
	return cities, nil
}

func parseCity(row []string) (city, error) {
	id, err := strconv.Atoi(row[columnID])
	if err != nil {
		return city{}, fmt.Errorf("parse id: %w", err)
	}
	population, err := strconv.Atoi(row[columnPopulation])
	if err != nil && row[columnPopulation] != "" {
		return city{}, fmt.Errorf("parse population of city %d: %w", id, err)
	}
	return city{id: id, population: population, name: strings.TrimSpace(row[columnName])}, nil
}

func writeCities(name string, cities []city) error {
	var b bytes.Buffer
	for _, c := range cities {
		fmt.Fprintf(&b, "%d\t%s\t%s\t%d\t%s\n", c.id, number(c.region), number(c.country), c.population, c.name)
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	small := w.EncodeAll(b.Bytes(), nil)
	fmt.Printf("%s: %d bytes, %d compressed\n", name, b.Len(), len(small))
	return os.WriteFile(name, small, 0o644)
}

// number returns the digits of n, and nothing for 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
