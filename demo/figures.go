package demo

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
)

// facetCorrelation holds the correlations of the 30 facets, see figures/README.md.
//
//go:embed figures/facet_correlation.csv
var facetCorrelation string

const (
	// Follows per person over all networks are lognormal with these
	// parameters of ln k: between the German and the Brazilian networks of
	// mutual follows on Twitch (MUSAE, seven languages, 2.665/1.248 and
	// 2.724/1.281). Median 15, mean 32 among those who follow anybody.
	followsMu, followsSigma = 2.7, 1.25
	followsMax              = 5000

	// insideTopics is the share of follows inside one's own communities: 57.1 %
	// of the weight of shared viewers in the Twitch Atlas is.
	insideTopics = 0.57

	// popularity is the exponent s of the weight r^-s of the account of rank
	// r: between the listeners of artists (HetRec 2011 last.fm, alpha 1.83,
	// s = 1.20) and the largest 1,000 accounts of four networks in 2022
	// (alpha 2.13 to 3.16, s = 0.88 and less), where the curve is flatter: the
	// ranks are shifted by popularityShift, our choice, which leaves the first
	// with some tenth of the people.
	popularity      = 1.1
	popularityShift = 12

	// employerExponent follows the headcounts of the Fortune 1000 (Hill 1.98).
	employerExponent = 1.02

	// Interests per person: mean 6.0, quantiles 50/75/90/99 % = 4/9/14/25
	// (GEMSEC Deezer, genres per person), met by a lognormal.
	interestsMu, interestsSigma = 1.4, 0.85
	interestsMax                = 40

	// femaleShare is that of the United States in 2010 (Census).
	femaleShare = 0.5084
)

// ageBands are the adults of the United States by age in 2019 (Census).
var ageBands = [...]struct {
	low, high int // years, both included
	share     float64
}{
	{18, 24, 0.1216},
	{25, 34, 0.1848},
	{35, 44, 0.1676},
	{45, 54, 0.1644},
	{55, 95, 0.3616},
}

// The ethnicities, in the order of the mixes below.
var ethnicities = [...]string{"white", "hispanic", "black", "asian", "native"}

// ethnicMix holds weights of ethnicities; they need not add up to 1.
type ethnicMix [len(ethnicities)]float64

// usMix is that of the United States in 2019 (Census); Pacific islanders and
// people of two or more races are left out, since requests have no word for them.
var usMix = ethnicMix{60.70, 18.01, 12.70, 5.52, 0.85}

// marketMix has the market areas, by id, whose mix is known (Census 2019 by
// Nielsen market area).
var marketMix = [...]struct {
	id  string
	mix ethnicMix
}{
	{"501", ethnicMix{47.8, 23.9, 16.7, 10.6, 0.4}}, // New York
	{"602", ethnicMix{53.4, 21.8, 16.5, 6.5, 0.3}},  // Chicago
	{"622", ethnicMix{56.9, 7.5, 30.9, 2.3, 0.5}},   // New Orleans
	{"803", ethnicMix{31.0, 46.4, 6.6, 13.4, 0.5}},  // Los Angeles
}

type facetFigure struct {
	term     string
	sex, age float64
}

// facetFigures are differences between women and men in standard deviations,
// and correlations with age (IPIP-NEO, n = 300 and n = 337), in the order of
// the rows of facet_correlation.csv.
var facetFigures = [...]facetFigure{
	{"achievement striving", -0.12, 0.21},
	{"activity level", 0.05, 0.14},
	{"adventurousness", -0.29, 0.02},
	{"altruism", 0.52, 0.10},
	{"anger", 0.33, -0.18},
	{"anxiety", 0.66, -0.10},
	{"artistic interests", 0.44, 0.05},
	{"assertiveness", -0.09, -0.01},
	{"cautiousness", -0.16, 0.33},
	{"cheerfulness", 0.31, -0.05},
	{"cooperation", 0.33, 0.27},
	{"depression", 0.32, -0.10},
	{"dutifulness", 0.16, 0.29},
	{"emotionality", 0.62, -0.05},
	{"excitement-seeking", -0.27, -0.29},
	{"friendliness", 0.23, 0.01},
	{"gregariousness", 0.16, -0.08},
	{"imagination", 0, -0.12},
	{"immoderation", 0.41, -0.17},
	{"intellect", -0.34, 0.09},
	{"liberalism", -0.07, -0.11},
	{"modesty", 0.33, 0.09},
	{"morality", 0.43, 0.24},
	{"orderliness", 0.08, 0.26},
	{"self-consciousness", 0.39, -0.07},
	{"self-discipline", -0.14, 0.27},
	{"self-efficacy", -0.32, 0.19},
	{"sympathy", 0.48, 0.14},
	{"trust", 0.19, 0.14},
	{"vulnerability", 0.53, -0.18},
}

const facets = len(facetFigures)

// facetMatrix reads the correlations, in the order of facetFigures.
func facetMatrix() (m [facets][facets]float64, err error) {
	rows, err := csv.NewReader(strings.NewReader(facetCorrelation)).ReadAll()
	if err != nil {
		return m, fmt.Errorf("read facet correlations: %w", err)
	}
	if len(rows) != facets+1 {
		return m, fmt.Errorf("read facet correlations: %d rows, want %d", len(rows), facets+1)
	}
	for i, row := range rows[1:] {
		if row[0] != facetFigures[i].term || rows[0][i+1] != row[0] {
			return m, fmt.Errorf("read facet correlations: row %d is %q, want %q", i+1, row[0], facetFigures[i].term)
		}
		for j := range facets {
			if m[i][j], err = strconv.ParseFloat(row[j+1], 64); err != nil {
				return m, fmt.Errorf("read facet correlations: %w", err)
			}
		}
	}
	return m, nil
}
