package main

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNumberCountries(t *testing.T) {
	countries := map[string]country{}
	// Stand-ins for the 229 codes before UM, of which AN and CS are gone.
	for c := 'A'; len(countries) < 227; c++ {
		for d := 'A'; d <= 'Z' && len(countries) < 227; d++ {
			code := string([]rune{c, d})
			if !slices.Contains(gone2010, code) && !slices.Contains(later2010, code) {
				countries[code] = country{}
			}
		}
	}
	for _, code := range append([]string{"UM", "US"}, later2010...) {
		countries[code] = country{}
	}
	if err := numberCountries(countries); err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]int{"AA": 1, "AO": 15, "UM": 230, "US": 231, "BQ": 248, "XK": 252} {
		if got := countries[code].id; got != want {
			t.Errorf("country %s is %d, want %d", code, got, want)
		}
	}
	delete(countries, "AA")
	if err := numberCountries(countries); err == nil {
		t.Error("numberCountries accepts a list that moves all others")
	}
}

func TestNumberRegionsKeepsIDs(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("regions.tsv", []byte("# comment\n10001\t1\tAD.02\t\tA\n10005\t1\tAD.07\t\tB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	regions := []region{{code: "AD.02"}, {code: "AD.03"}, {code: "AD.07"}}
	for i := range 51 {
		regions = append(regions, region{code: "US." + string(rune('A'+i/26)) + string(rune('A'+i%26))})
	}
	if err := numberRegions(regions); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range regions {
		got[r.code] = r.id
	}
	for code, want := range map[string]int{"AD.02": 10001, "AD.07": 10005, "AD.03": 10006, "US.AA": 3338, "US.BY": 3388} {
		if got[code] != want {
			t.Errorf("region %s is %d, want %d", code, got[code], want)
		}
	}
	if err := numberRegions(regions[:20]); err == nil {
		t.Error("numberRegions accepts fewer than 51 states")
	}
}

func TestAssign(t *testing.T) {
	m := &matcher{
		names: map[string]string{
			"BE-VLG": "Vlaams Gewest", "ES-AS": "Asturias, Principado de", "ES-O": "Asturias",
			"MX-CMX": "Ciudad de México", "MX-MEX": "México", "DE-BY": "Bayern", "XX-1": "One", "XX-2": "Two",
		},
		top:     map[string]bool{"BE-VLG": true, "ES-AS": true, "MX-CMX": true, "MX-MEX": true, "DE-BY": true, "XX-1": true, "XX-2": true},
		further: map[string][]string{"DE-BY": {"Bavaria"}, "BE-VLG": {"Flanders"}},
		said:    map[string]string{"BE.VLG": "BE-VLG", "ES.34": "ES-AS", "MX.09": "MX-CMX", "MX.15": "MX-MEX", "XX.01": "XX-2"},
	}
	regions := []region{
		{code: "US.NY", name: "New York"},
		{code: "BE.VLG", name: "Flanders"},
		{code: "ES.34", name: "Asturias"},
		{code: "MX.09", name: "Mexico City"},
		{code: "MX.15", name: "México"},
		{code: "DE.02", name: "Bavaria"},
		{code: "XX.01", name: "One"},
		{code: "XX.02", name: "Three"},
	}
	m.assign(regions)
	got := []string{}
	for _, r := range regions {
		got = append(got, r.iso)
	}
	want := []string{"US-NY", "BE-VLG", "ES-AS", "MX-CMX", "MX-MEX", "DE-BY", "XX-1", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("assign (-want +got):\n%s", diff)
	}
}

func TestKey(t *testing.T) {
	for in, want := range map[string]string{
		"Province of Buenos Aires": "buenos aires", "Wilaya d'Alger": "alger", "Ōsaka": "osaka", "The Capital Region": "",
	} {
		if got := key(in); got != want {
			t.Errorf("key(%q) = %q, want %q", in, got, want)
		}
	}
}
