package throng

import (
	"slices"

	"throng/identifier"
)

// Grant is a permission beyond the ordinary.
type Grant string

// The grants of semantics.md.
const (
	ChooseOutputs Grant = "choose_outputs"
	AgeFirst      Grant = "age_first"
	GenderFirst   Grant = "gender_first"
	LocationFirst Grant = "location_first"
)

// Grants lists every grant.
func Grants() []Grant { return []Grant{ChooseOutputs, AgeFirst, GenderFirst, LocationFirst} }

// Caller is who uses the API.
type Caller struct {
	ID   int64
	Name string
	// CanGenerate, CanView and CanDownload always hold ss_id.
	CanGenerate, CanView, CanDownload []identifier.Type
	Grants                            []Grant
	// ConcurrentBuilds is how many builds run at once; 0: no limit.
	ConcurrentBuilds int
	Limits           CallerLimits
}

// Has tells whether the caller has a grant.
func (c *Caller) Has(g Grant) bool { return slices.Contains(c.Grants, g) }

// MayGenerate tells whether files of the type are made for the caller.
func (c *Caller) MayGenerate(t identifier.Type) bool { return may(c.CanGenerate, t) }

// MayView tells whether the caller sees that a file of the type is there.
func (c *Caller) MayView(t identifier.Type) bool { return may(c.CanView, t) }

// MayDownload tells whether the caller gets files of the type.
func (c *Caller) MayDownload(t identifier.Type) bool { return may(c.CanDownload, t) }

func may(list []identifier.Type, t identifier.Type) bool {
	return t == identifier.SSID || slices.Contains(list, t)
}

// CheckParameters holds "Who may send what" in one place. It returns the problems that make the list invalid (400) and
// those that a grant would lift (403), with the paths of the parameters. It
// looks at order and operations alone; nested groups are checked like the top.
func (c *Caller) CheckParameters(params []Parameter) (invalid, forbidden []Detail) {
	for i, p := range params {
		bad, denied := c.checkParameter(p, i == 0)
		invalid = append(invalid, bad...)
		forbidden = append(forbidden, denied...)
		if g, ok := p.Criterion.(Group); ok {
			bad, denied := c.CheckParameters(g.Parameters)
			invalid = append(invalid, bad...)
			forbidden = append(forbidden, denied...)
		}
	}
	return invalid, forbidden
}

func (c *Caller) checkParameter(p Parameter, first bool) (invalid, forbidden []Detail) {
	bad := func(path, msg string) { invalid = append(invalid, Detail{path, msg}) }
	need := func(g Grant) {
		if !c.Has(g) {
			forbidden = append(forbidden, Detail{p.Path + "." + string(p.Criterion.Kind()), "must not come first without the grant " + string(g)})
		}
	}
	if p.Criterion == nil { // already a problem of its own
		return nil, nil
	}
	at := p.Path + "." + string(p.Criterion.Kind())
	if first && p.Operation != Or && p.Operation != "" {
		bad(p.Path+".operation", "must be OR in the first parameter")
	}
	switch x := p.Criterion.(type) {
	case Age, Gender:
		if first {
			if _, age := x.(Age); age {
				need(AgeFirst)
			} else {
				need(GenderFirst)
			}
		} else if p.Operation == Or {
			bad(p.Path+".operation", "must be AND or NOT: "+string(x.Kind())+" can be OR only as the first parameter")
		}
	case Ethnicity:
		if first {
			bad(at, "must not be the first parameter")
		} else if p.Operation == Or {
			bad(p.Path+".operation", "must be AND or NOT: ethnicity can never be OR")
		}
	case Affinities, B2B, Personality, UploadRef, Followers, BioSearch, TweetSearch, Group, AudienceRef:
		// May come with any operation, anywhere.
	case Location:
		switch {
		case first && len(x.Countries) > 0:
			bad(at+".countries", "must not be in the first parameter")
			need(LocationFirst)
		case first:
			need(LocationFirst)
		case len(x.Countries) > 0 && p.Operation == Or && !c.Has(LocationFirst):
			bad(at+".countries", "must not be in a parameter that is OR: use AND or NOT")
		}
	}
	return invalid, forbidden
}
