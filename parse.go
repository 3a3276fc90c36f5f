package throng

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"throng/identifier"
	"throng/internal/words"
	"throng/query"
	"throng/reference"
)

// ParseParameters reads the list `parameters` of a definition. It is strict
// about meaning and lenient about the spellings that clients use; it finds
// every problem that can be found without a dataset and a caller, each with
// the path of its field. Parameters with problems are in the result, too, as
// far as they could be read, so that further checks can go on; only a result
// without problems may be used. Unknown keys are ignored and named in the
// warnings.
func ParseParameters(raw json.RawMessage) (params []Parameter, problems []Detail, warnings []string) {
	r := &Reader{}
	params = r.Parameters(raw)
	problems, warnings = r.Findings()
	return params, problems, warnings
}

// Parameters is ParseParameters as a part of a larger request.
func (r *Reader) Parameters(raw json.RawMessage) []Parameter {
	return r.parameters(raw, "parameters", 0)
}

func (r *Reader) parameters(raw json.RawMessage, path string, depth int) []Parameter {
	if len(raw) == 0 || string(raw) == "null" {
		r.Bad(path, "is required")
		return nil
	}
	list, ok := r.array(raw, path)
	if !ok {
		return nil
	}
	switch {
	case len(list) == 0:
		r.Bad(path, "must hold at least one parameter")
	case len(list) > MaxParameters:
		r.Bad(path, "has %d parameters, more than the %d allowed", len(list), MaxParameters)
		return nil
	}
	params := make([]Parameter, 0, len(list))
	for i, raw := range list {
		params = append(params, r.parameter(raw, fmt.Sprintf("%s[%d]", path, i), depth))
	}
	return params
}

// kinds are the criteria in the order in which they are looked for.
var kinds = []CriterionKind{
	KindAffinities, KindB2B, KindPersona, KindAge, KindGender, KindEthnicity, KindLocation, KindUpload, KindTwitter,
	KindTwitch, KindInstagram, KindTikTok, KindYouTube, KindBio, KindTweet, KindGroup, KindAudience,
}

func (r *Reader) parameter(raw json.RawMessage, path string, depth int) Parameter {
	p := Parameter{Path: path, Raw: raw}
	o := r.Object(raw, path)
	if o == nil {
		return p
	}
	if op, ok := o.Take("operation"); !ok {
		r.Bad(o.At("operation"), "is required: OR, AND or NOT")
	} else if s, ok := r.Text(op, o.At("operation")); ok {
		if p.Operation = Operation(s); p.Operation != Or && p.Operation != And && p.Operation != Not {
			r.Bad(o.At("operation"), "must be OR, AND or NOT")
			p.Operation = ""
		}
	}
	var found []string
	for _, k := range kinds {
		val, ok := o.Take(string(k))
		if !ok {
			continue
		}
		if found = append(found, string(k)); len(found) == 1 {
			p.Criterion = r.criterion(k, val, o.At(string(k)), depth)
		}
	}
	o.Rest()
	switch {
	case len(found) == 0:
		r.Bad(path, "must have a criterion: one of %s", joinKinds())
	case len(found) > 1:
		r.Bad(path, "must have exactly one criterion, not %s", strings.Join(found, " and "))
	}
	return p
}

func joinKinds() string {
	s := make([]string, len(kinds))
	for i, k := range kinds {
		s[i] = string(k)
	}
	return strings.Join(s, ", ")
}

// criterion reads one criterion. It returns nil where the value is no object.
func (r *Reader) criterion(k CriterionKind, raw json.RawMessage, path string, depth int) Criterion {
	o := r.Object(raw, path)
	if o == nil {
		return nil
	}
	defer o.Rest()
	switch k {
	case KindAffinities:
		return Affinities{IDs: o.ids("affinities", false)}
	case KindB2B:
		return r.b2b(o)
	case KindPersona:
		return Personality{Terms: o.oneOf("personalities", "one of the 52 terms of /personality-types", reference.Personalities())}
	case KindAge:
		return Age{Ranges: o.oneOf("ranges", quoted(AgeRanges()), AgeRanges())}
	case KindGender:
		return Gender{Genders: o.oneOf("genders", quoted(Genders()), Genders())}
	case KindEthnicity:
		return Ethnicity{Ethnicities: o.oneOf("ethnicities", quoted(Ethnicities()), Ethnicities())}
	case KindLocation:
		return r.location(o)
	case KindUpload:
		return r.upload(o)
	case KindTwitter:
		return r.followers(o, query.Twitter)
	case KindTwitch:
		return r.followers(o, query.Twitch)
	case KindInstagram:
		return r.followers(o, query.Instagram)
	case KindTikTok:
		return r.followers(o, query.TikTok)
	case KindYouTube:
		return r.followers(o, query.YouTube)
	case KindBio:
		return r.bio(o)
	case KindTweet:
		return TweetSearch{Phrases: o.phrases()}
	case KindGroup:
		return r.group(o, depth)
	case KindAudience:
		return r.audience(o)
	}
	return nil
}

func (r *Reader) b2b(o *Object) Criterion {
	c := B2B{}
	_, hasTitles := o.vals["job_titles"]
	_, hasEmployers := o.vals["employer_names"]
	if hasTitles {
		c.JobTitles = o.ids("job_titles", hasEmployers)
	}
	if hasEmployers {
		c.Employers = o.ids("employer_names", hasTitles)
	}
	switch {
	case len(c.JobTitles) > 0 && len(c.Employers) > 0:
		r.Bad(o.path, "must not have job_titles and employer_names in one parameter; use one parameter for each")
	case !hasTitles && !hasEmployers, hasTitles && hasEmployers && len(c.JobTitles)+len(c.Employers) == 0:
		r.Bad(o.path, "must have job_titles or employer_names")
	}
	raw, ok := o.Take("filter")
	if !ok {
		return c
	}
	f := r.Object(raw, o.At("filter"))
	if f == nil {
		return c
	}
	defer f.Rest()
	c.Filter = &CountFilter{}
	if v, ok := f.Take("direction"); !ok {
		r.Bad(f.At("direction"), "is required: one of < > <= >=")
	} else if s, ok := r.Text(v, f.At("direction")); ok {
		if c.Filter.Direction = s; !slices.Contains([]string{"<", ">", "<=", ">="}, s) {
			r.Bad(f.At("direction"), "must be one of < > <= >=")
		}
	}
	if v, ok := f.Take("count"); !ok {
		r.Bad(f.At("count"), "is required: a whole number from 0")
	} else if n, err := whole(v); err != nil || n < 0 {
		r.Bad(f.At("count"), "must be a whole number from 0")
	} else {
		c.Filter.Count = uint64(n)
	}
	return c
}

func (r *Reader) location(o *Object) Criterion {
	c := Location{
		Cities:    o.places("cities", reference.City),
		Regions:   o.places("regions", reference.Region),
		DMAs:      o.places("dmas", reference.DMA),
		Countries: o.places("countries", reference.Country),
	}
	n := len(c.Cities) + len(c.Regions) + len(c.DMAs) + len(c.Countries)
	if n > MaxValues {
		r.Bad(o.path, "has %d values, more than the %d that one parameter may have", n, MaxValues)
	}
	if n == 0 {
		r.Bad(o.path, "must list at least one of cities, regions, dmas or countries")
	}
	return c
}

func (r *Reader) upload(o *Object) Criterion {
	c := UploadRef{}
	if raw, ok := o.Take("keys"); !ok {
		r.Bad(o.At("keys"), "is required: the keys of uploads")
	} else if list, ok := r.List(raw, o.At("keys")); ok {
		if len(list) == 0 {
			r.Bad(o.At("keys"), "must hold at least one key")
		}
		for i, raw := range list {
			s, ok := r.Text(raw, index(o.At("keys"), i))
			if ok && s == "" {
				r.Bad(index(o.At("keys"), i), "must not be empty")
			}
			c.Keys = append(c.Keys, s)
		}
	}
	if raw, ok := o.Take("type"); !ok {
		r.Bad(o.At("type"), "is required: one of %s", joinTypes(identifier.Uploads()))
	} else if s, ok := r.Text(raw, o.At("type")); ok {
		if c.Type = identifier.Type(s); !slices.Contains(identifier.Uploads(), c.Type) {
			r.Bad(o.At("type"), "must be one of %s", joinTypes(identifier.Uploads()))
		}
	}
	return c
}

func (r *Reader) bio(o *Object) Criterion {
	c := BioSearch{}
	for _, f := range []struct {
		key   string
		field query.Field
	}{
		{"search_in_twitter", query.BioTwitter},
		{"search_in_youtube", query.BioYouTube},
		{"search_in_instagram", query.BioInstagram},
		{"search_in_twitch", query.BioTwitch},
		{"search_in_tiktok", query.BioTikTok},
	} {
		if raw, ok := o.Take(f.key); ok && r.Flag(raw, o.At(f.key)) {
			c.Fields = append(c.Fields, f.field)
		}
	}
	if len(c.Fields) == 0 {
		r.Bad(o.path, "must have at least one of search_in_twitter, search_in_youtube, search_in_instagram, search_in_twitch or search_in_tiktok true")
	}
	c.Phrases = o.phrases()
	return c
}

func (r *Reader) group(o *Object, depth int) Criterion {
	raw, _ := o.Take("parameters")
	if depth >= MaxDepth {
		r.Bad(o.path, "is nested deeper than the %d levels allowed", MaxDepth)
		return Group{}
	}
	return Group{Parameters: r.parameters(raw, o.At("parameters"), depth+1)}
}

func (r *Reader) audience(o *Object) Criterion {
	c := AudienceRef{}
	raw, ok := o.Take("ids")
	if !ok {
		r.Bad(o.At("ids"), "is required: the ids of finished audiences")
		return c
	}
	list, ok := r.List(raw, o.At("ids"))
	if ok && len(list) == 0 {
		r.Bad(o.At("ids"), "must hold at least one id")
	}
	for i, raw := range list {
		n, err := whole(raw)
		if err != nil || n < 1 {
			r.Bad(index(o.At("ids"), i), "must be the number of an audience")
			n = 0
		}
		c.IDs = append(c.IDs, n)
	}
	return c
}

// ids reads a list of objects with an id; what else they may hold for people
// to read has no effect. mayBeEmpty is for a list whose twin is filled. Of an
// element that cannot be read "" is returned, so that the others keep their
// places.
func (o *Object) ids(key string, mayBeEmpty bool) []string {
	path, raw, ok := o.At(key), json.RawMessage(nil), false
	if raw, ok = o.Take(key); !ok {
		if !mayBeEmpty {
			o.r.Bad(path, "is required: a list of objects with an id")
		}
		return nil
	}
	list, ok := o.r.List(raw, path)
	if ok && len(list) == 0 && !mayBeEmpty {
		o.r.Bad(path, "must hold at least one id")
	}
	ids := make([]string, len(list))
	for i, raw := range list {
		e := o.r.Object(raw, index(path, i))
		if e == nil {
			continue
		}
		if key != "affinities" {
			e.drop("name", "kind", "screen_name")
		}
		ids[i] = e.requiredID()
		e.Rest()
	}
	return ids
}

func (o *Object) drop(keys ...string) {
	for _, k := range keys {
		delete(o.vals, k)
	}
}

// requiredID reads an id; "" where there is none to read.
func (o *Object) requiredID() string {
	raw, ok := o.Take("id")
	if !ok {
		o.r.Bad(o.At("id"), "is required")
		return ""
	}
	id, ok := o.r.ID(raw, o.At("id"))
	if ok && id == "" {
		o.r.Bad(o.At("id"), "must not be empty")
	}
	return id
}

func (o *Object) places(key string, kind reference.Kind) []string {
	path := o.At(key)
	raw, ok := o.Take(key)
	if !ok {
		return nil
	}
	list, _ := o.r.List(raw, path)
	ids := make([]string, len(list))
	for i, raw := range list {
		e := o.r.Object(raw, index(path, i))
		if e == nil {
			continue
		}
		if raw, ok := e.Take("kind"); ok {
			if s, ok := o.r.Text(raw, e.At("kind")); ok && s != "" && s != string(kind) {
				o.r.Bad(e.At("kind"), "is %q in a list of the kind %q", s, kind)
			}
		}
		e.drop("name", "screen_name")
		ids[i] = e.requiredID()
		e.Rest()
	}
	return ids
}

// oneOf reads a list of words out of a closed set.
func (o *Object) oneOf(key, what string, allowed []string) []string {
	path := o.At(key)
	raw, ok := o.Take(key)
	if !ok {
		o.r.Bad(path, "is required: a list of %s", what)
		return nil
	}
	list, ok := o.r.List(raw, path)
	if ok && len(list) == 0 {
		o.r.Bad(path, "must hold at least one value: %s", what)
	}
	var vals []string
	for i, raw := range list {
		s, ok := o.r.Text(raw, index(path, i))
		switch {
		case !ok:
		case slices.Contains(allowed, s):
			vals = append(vals, s)
		default:
			o.r.Bad(index(path, i), "must be %s", what)
		}
	}
	return vals
}

func (o *Object) phrases() []string {
	path := o.At("phrases")
	raw, ok := o.Take("phrases")
	if !ok {
		o.r.Bad(path, "is required: a list of phrases")
		return nil
	}
	list, ok := o.r.List(raw, path)
	if ok && len(list) == 0 {
		o.r.Bad(path, "must hold at least one phrase")
	}
	var phrases []string
	for i, raw := range list {
		s, ok := o.r.Text(raw, index(path, i))
		if !ok {
			continue
		}
		if _, ok := words.ParsePhrase(s); !ok {
			o.r.Bad(index(path, i), "holds no word: a word has a letter, a digit or an emoji")
			continue
		}
		phrases = append(phrases, s)
	}
	return phrases
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func quoted(values []string) string {
	s := make([]string, len(values))
	for i, v := range values {
		s[i] = fmt.Sprintf("%q", v)
	}
	return strings.Join(s[:len(s)-1], ", ") + " or " + s[len(s)-1]
}

func joinTypes(types []identifier.Type) string {
	s := make([]string, len(types))
	for i, t := range types {
		s[i] = string(t)
	}
	return strings.Join(s, ", ")
}
