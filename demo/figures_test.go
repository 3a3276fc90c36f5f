package demo

import (
	"math"
	"slices"
	"testing"

	"throng/dataset"
	"throng/reference"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s = %.4f, want %.4f within %.4f", what, got, want, tolerance)
	}
}

// TestMarginals compares 20,000 people with the figures. The tolerances are
// four standard errors and more.
func TestMarginals(t *testing.T) {
	src := generated(t, 20_000, 3)
	places := placesOf(t, src)
	ages, genders, races := map[string]float64{}, map[string]float64{}, map[string]float64{}
	var inUS, tweeters float64
	newYork, albany := 0, 0
	eachPerson(t, src, func(p *dataset.PersonRow) {
		city, region, dma, country := p.City, p.Region, p.DMA, p.Country
		places.Fill(&city, &region, &dma, &country)
		ages[p.Age]++
		genders[p.Gender]++
		if country == unitedStates {
			inUS++
			races[p.Ethnicity]++
		}
		if p.Tweeted {
			tweeters++
		}
		switch city {
		case "82396":
			newYork++
		case "81905":
			albany++
		}
	})
	const people = 20_000
	near(t, "share without age", ages[""]/people, 0.20, 0.02)
	for i, band := range []string{"18-24", "25-34", "35-44", "45-54", "over 54"} {
		near(t, "age "+band, ages[band]/(people-ages[""]), ageBands[i].share, 0.015)
	}
	near(t, "share without gender", genders[""]/people, 0.18, 0.02)
	near(t, "female", genders["female"]/(people-genders[""]), femaleShare, 0.015)
	for e, share := range normal(usMix) {
		near(t, ethnicities[e], races[ethnicities[e]]/(inUS-races[""]), share, 0.025)
	}
	near(t, "share known to live in the United States", inUS/people, 0.62*0.88, 0.02)
	near(t, "share who ever tweeted", tweeters/people, 0.88*0.88, 0.02)
	if newYork <= albany {
		t.Errorf("%d people in New York City and %d in West New York, want more in the larger", newYork, albany)
	}
}

// TestDegrees: follows per person and followers per account have the
// quantiles and the inequality of the figures.
func TestDegrees(t *testing.T) {
	src := generated(t, 20_000, 4)
	person, account := map[string]int{}, map[string]int{}
	total := eachFollow(t, src, func(f *dataset.FollowRow) {
		person[string(f.Key)]++
		account[string(f.Account)]++
	})
	degrees := make([]int, 0, 20_000)
	for _, n := range person {
		degrees = append(degrees, n)
	}
	slices.Sort(degrees)
	at := func(q float64) float64 { return float64(degrees[int(q*float64(len(degrees)))]) }
	near(t, "median of follows", at(0.5), 15, 1.5)
	near(t, "90 % of follows", at(0.9), math.Exp(followsMu+1.2816*followsSigma), 8)
	near(t, "99 % of follows", at(0.99), 270, 50)
	near(t, "mean of follows", float64(total)/20_000, 31, 3)

	followers := make([]int, 0, len(account))
	for _, n := range account {
		followers = append(followers, n)
	}
	slices.Sort(followers)
	var weighted, sum float64
	for i, n := range followers {
		weighted += float64(i+1) * float64(n)
		sum += float64(n)
	}
	n := float64(len(followers))
	gini := 2*weighted/(n*sum) - (n+1)/n
	near(t, "Gini of followers", gini, 0.73, 0.12) // listeners per artist: 0.73
}

// TestFacets: the percentiles are uniform and correlate as the matrix says.
func TestFacets(t *testing.T) {
	src := generated(t, 20_000, 5)
	columns := map[string][]float64{}
	names := reference.Personalities()
	if len(names) != terms {
		t.Fatalf("%d terms, want %d", terms, len(names))
	}
	eachScore(t, src, func(s *dataset.ScoreRow) {
		columns[names[s.Term]] = append(columns[names[s.Term]], s.Score)
	})
	for _, name := range names {
		var sum, high float64
		for _, x := range columns[name] {
			sum += x
			if x >= 0.75 {
				high++
			}
		}
		n := float64(len(columns[name]))
		if math.Abs(n/20_000-personalityShare) > 0.02 {
			t.Fatalf("%s: %v scores, want %v of 20,000", name, n, personalityShare)
		}
		near(t, "mean of "+name, sum/n, 0.5, 0.02)
		near(t, "share at 0.75 of "+name, high/n, 0.25, 0.03)
	}
	want, err := facetMatrix()
	if err != nil {
		t.Fatal(err)
	}
	var worst float64
	for i := range facets {
		for j := range i {
			got := correlation(columns[facetFigures[i].term], columns[facetFigures[j].term])
			// Percentiles of normal variables correlate a little less than they.
			off := math.Abs(got - 6/math.Pi*math.Asin(want[i][j]/2))
			worst = max(worst, off)
			if off > 0.08 {
				t.Errorf("correlation of %s and %s = %.3f, want %.3f", facetFigures[i].term, facetFigures[j].term, got, want[i][j])
			}
		}
	}
	t.Logf("largest difference of a correlation: %.3f", worst)
}

func correlation(a, b []float64) float64 {
	var sa, sb, saa, sbb, sab float64
	for i := range a {
		sa, sb = sa+a[i], sb+b[i]
		saa, sbb, sab = saa+a[i]*a[i], sbb+b[i]*b[i], sab+a[i]*b[i]
	}
	n := float64(len(a))
	return (n*sab - sa*sb) / math.Sqrt((n*saa-sa*sa)*(n*sbb-sb*sb))
}
