package throng

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// InsightState tells how the report on an audience stands.
type InsightState struct {
	Status  Status // Running, Done or Failed
	Failure *Failure
}

// Baseline is who audiences can be compared with, by an operator's own
// definition in dataset.json.
type Baseline struct {
	Name       string
	Parameters []Parameter
}

// baselineName is what a baseline may be called.
var baselineName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ParseBaselines reads the value of baselines in a dataset.json, as in
// {"gamers": {"parameters": [...]}}, and finds every problem that can be found
// without the dataset, each with its path. They come in order of their names,
// none of which may be reserved. Who sends them may use every criterion first;
// uploads and audiences, which belong to callers, are no part of a dataset.
func ParseBaselines(raw json.RawMessage, reserved []string) (list []Baseline, problems []Detail) {
	if len(raw) == 0 {
		return nil, nil
	}
	r := &Reader{}
	o := r.Object(raw, "baselines")
	if o == nil {
		problems, _ = r.Findings()
		return nil, problems
	}
	for _, name := range slices.Sorted(maps.Keys(o.vals)) {
		path := o.At(name)
		switch {
		case !baselineName.MatchString(name):
			r.Bad(path, "is no name for a baseline: want 1 to 64 letters, digits, dots, dashes and underscores")
		case slices.Contains(reserved, name):
			r.Bad(path, "is the name of a built-in baseline")
		}
		b := r.Object(o.vals[name], path)
		if b == nil {
			continue
		}
		params, _ := b.Take("parameters")
		baseline := Baseline{Name: name, Parameters: r.parameters(params, b.At("parameters"), 0)}
		for _, key := range b.keys {
			if _, left := b.vals[key]; left {
				r.Bad(b.At(key), "is not a known key")
			}
		}
		r.checkBaseline(baseline.Parameters)
		list = append(list, baseline)
	}
	problems, _ = r.Findings()
	return list, problems
}

// checkBaseline refuses what no baseline can be made of.
func (r *Reader) checkBaseline(params []Parameter) {
	for i, p := range params {
		if i == 0 && p.Operation != Or && p.Operation != "" {
			r.Bad(p.Path+".operation", "must be OR in the first parameter")
		}
		if p.Criterion == nil { // a problem already
			continue
		}
		at := fmt.Sprintf("%s.%s", p.Path, p.Criterion.Kind())
		switch x := p.Criterion.(type) {
		case UploadRef, AudienceRef:
			r.Bad(at, "belongs to a caller and cannot be in a baseline")
		case Group:
			r.checkBaseline(x.Parameters)
		case Affinities, B2B, Personality, Age, Gender, Ethnicity, Location, Followers, BioSearch, TweetSearch:
		}
	}
}
