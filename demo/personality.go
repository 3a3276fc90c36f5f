package demo

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
)

// composites are the terms above and beside the facets, each the sum of the
// facets named (a minus sign turns one round) and of noise of its own. The
// five domains are the sums of their six facets and have no noise. Which
// facets make up a need or a value is our assumption, for want of a source.
var composites = [...]struct {
	term   string
	noise  float64 // share of the variance that is the term's own
	facets []string
}{
	{"challenge", 0.3, []string{"achievement striving", "assertiveness", "self-efficacy"}},
	{"closeness", 0.3, []string{"friendliness", "trust", "sympathy"}},
	{"curiosity", 0.3, []string{"intellect", "imagination", "adventurousness"}},
	{"excitement", 0.3, []string{"excitement-seeking", "gregariousness", "activity level"}},
	{"harmony", 0.3, []string{"cooperation", "modesty", "-anger"}},
	{"ideal", 0.3, []string{"orderliness", "morality", "achievement striving"}},
	{"liberty", 0.3, []string{"liberalism", "adventurousness", "-dutifulness"}},
	{"love", 0.3, []string{"emotionality", "cheerfulness", "friendliness"}},
	{"practicality", 0.3, []string{"self-efficacy", "cautiousness", "-imagination"}},
	{"self-expression", 0.3, []string{"artistic interests", "imagination", "assertiveness"}},
	{"stability", 0.3, []string{"-vulnerability", "-anxiety", "cautiousness"}},
	{"structure", 0.3, []string{"orderliness", "dutifulness", "self-discipline"}},
	{"agreeableness", 0, []string{"altruism", "cooperation", "modesty", "morality", "sympathy", "trust"}},
	{"conscientiousness", 0, []string{"achievement striving", "cautiousness", "dutifulness", "orderliness", "self-discipline", "self-efficacy"}},
	{"extraversion", 0, []string{"activity level", "assertiveness", "cheerfulness", "excitement-seeking", "friendliness", "gregariousness"}},
	{"neuroticism", 0, []string{"anger", "anxiety", "depression", "immoderation", "self-consciousness", "vulnerability"}},
	{"openness", 0, []string{"adventurousness", "artistic interests", "emotionality", "imagination", "intellect", "liberalism"}},
	{"conservation", 0.3, []string{"cautiousness", "dutifulness", "-liberalism"}},
	{"hedonism", 0.3, []string{"excitement-seeking", "immoderation", "cheerfulness"}},
	{"openness to change", 0.3, []string{"adventurousness", "liberalism", "intellect"}},
	{"self-enhancement", 0.3, []string{"achievement striving", "assertiveness", "-modesty"}},
	{"self-transcendence", 0.3, []string{"altruism", "sympathy", "morality"}},
}

const terms = facets + len(composites)

// traits draws the 52 percentiles of a person. It is read-only once made.
type traits struct {
	names     [terms]string
	root      [facets][facets]float64 // lower triangle: what sex and age leave unexplained
	sex, age  [facets]float64         // per female share above the mean; per standard deviation of age
	parts     [len(composites)][]facetWeight
	noise     [len(composites)]float64 // weight of the noise of its own
	challenge int
}

type facetWeight struct {
	facet  int
	weight float64
}

func newTraits() (*traits, error) {
	r, err := facetMatrix()
	if err != nil {
		return nil, err
	}
	t := &traits{}
	for i, f := range facetFigures {
		// A difference of d within-sex deviations is this much of the
		// deviation of both sexes together.
		t.sex[i] = f.sex / math.Sqrt(1+f.sex*f.sex*femaleShare*(1-femaleShare))
		t.age[i] = f.age
		t.names[i] = f.term
	}
	if t.root, err = residualRoot(r, t.sex, t.age); err != nil {
		return nil, err
	}
	for i, c := range composites {
		t.names[facets+i] = c.term
		t.parts[i], t.noise[i] = compose(r, c.facets, c.noise)
		if c.term == "challenge" {
			t.challenge = facets + i
		}
	}
	return t, nil
}

// residualRoot factors what the matrix holds beyond the effects of sex and age,
// so that effects and residual together have the correlations of the matrix.
// Rounding can leave a slightly indefinite rest: then the smallest multiple of
// the identity that helps is added, and the diagonal scaled back.
func residualRoot(r [facets][facets]float64, sex, age [facets]float64) (root [facets][facets]float64, err error) {
	const sexVariance = femaleShare * (1 - femaleShare)
	for _, ridge := range []float64{0, 0.01, 0.02, 0.05, 0.1, 0.2} {
		var rest [facets][facets]float64
		for i := range facets {
			for j := range facets {
				rest[i][j] = r[i][j] - sex[i]*sex[j]*sexVariance - age[i]*age[j]
				if i != j {
					rest[i][j] /= 1 + ridge
				}
			}
		}
		if root, ok := cholesky(rest); ok {
			return root, nil
		}
	}
	return root, errors.New("factor facet correlations: not positive definite")
}

func cholesky(m [facets][facets]float64) (l [facets][facets]float64, ok bool) {
	for i := range facets {
		for j := range i + 1 {
			sum := m[i][j]
			for k := range j {
				sum -= l[i][k] * l[j][k]
			}
			if i != j {
				l[i][j] = sum / l[j][j]
				continue
			}
			if sum <= 1e-9 {
				return l, false
			}
			l[i][i] = math.Sqrt(sum)
		}
	}
	return l, true
}

// compose returns the weights that make the sum of the facets, plus noise, a
// standard normal variable.
func compose(r [facets][facets]float64, names []string, noise float64) (parts []facetWeight, noiseWeight float64) {
	for _, name := range names {
		w := 1.0
		if name[0] == '-' {
			w, name = -1, name[1:]
		}
		i := slices.IndexFunc(facetFigures[:], func(f facetFigure) bool { return f.term == name })
		parts = append(parts, facetWeight{i, w})
	}
	var variance float64
	for _, a := range parts {
		for _, b := range parts {
			variance += a.weight * b.weight * r[a.facet][b.facet]
		}
	}
	for i := range parts {
		parts[i].weight *= math.Sqrt((1 - noise) / variance)
	}
	return parts, math.Sqrt(noise)
}

// draw fills scores with percentiles in thousandths, 0 to 1000.
func (t *traits) draw(r *rand.Rand, p *person, scores *[terms]int16) {
	var e, z [facets]float64
	for i := range e {
		e[i] = r.NormFloat64()
	}
	sex := -femaleShare
	if p.female {
		sex++
	}
	age := (float64(p.age) - ageMean) / ageDeviation
	for i := range facets {
		sum := t.sex[i]*sex + t.age[i]*age
		for j, x := range e[:i+1] {
			sum += t.root[i][j] * x
		}
		z[i] = sum
		scores[i] = percentile(sum)
	}
	for i, parts := range t.parts {
		sum := t.noise[i] * r.NormFloat64()
		for _, part := range parts {
			sum += part.weight * z[part.facet]
		}
		scores[facets+i] = percentile(sum)
	}
	if p.planted { // the example leaves out those who score high on it
		scores[t.challenge] = min(scores[t.challenge], 600)
	}
}

// ageMean and ageDeviation, in years, are those of ageBands as drawn by drawAge.
const ageMean, ageDeviation = 47.4, 17.6

func percentile(z float64) int16 { return int16(math.Round(500 * (1 + math.Erf(z/math.Sqrt2)))) }
