package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// keySet is a set of person keys.
type keySet map[string]bool

// Eval evaluates a definition in its wire form, {"parameters":[…]}, for a
// caller with every grant. It tells invalid ones where the product's answer
// depends on it, and is no validator.
func (m *Model) Eval(definition json.RawMessage, ext External) (Result, error) {
	var def Definition
	if err := json.Unmarshal(definition, &def); err != nil {
		return Result{}, err
	}
	var res Result
	var include, exclude []keySet
	var filters []keySet
	var ops []string
	for i, p := range def.Parameters {
		var op string
		if err := json.Unmarshal(p["operation"], &op); err != nil {
			return Result{}, fmt.Errorf("parameters[%d].operation: %w", i, err)
		}
		set, err := m.evalParameter(p, ext)
		if err != nil {
			return Result{}, fmt.Errorf("parameters[%d].%w", i, err)
		}
		res.Parameters = append(res.Parameters, len(set))
		ops = append(ops, op)
		switch op {
		case "OR":
			include = append(include, set)
		case "AND":
			filters = append(filters, set)
		case "NOT":
			exclude = append(exclude, set)
		default:
			return Result{}, fmt.Errorf("parameters[%d].operation: unknown", i)
		}
	}
	for _, p := range m.people {
		if !inAny(include, p.key) {
			continue
		}
		res.Include++
		if !inAll(filters, p.key) {
			continue
		}
		res.Filter++
		if inAny(exclude, p.key) {
			continue
		}
		res.Exclude++
		res.Members = append(res.Members, p.key)
	}
	res.After = m.after(ops, include, filters, exclude)
	return res, nil
}

// after counts how many people are left after each parameter, whose operations
// are given.
func (m *Model) after(ops []string, include, filters, exclude []keySet) (out []int) {
	inc, fil, exc := 0, 0, 0
	for _, op := range ops {
		switch op {
		case "OR":
			inc++
			out = append(out, m.left(include[:inc], nil, nil))
		case "AND":
			fil++
			out = append(out, m.left(include, filters[:fil], nil))
		case "NOT":
			exc++
			out = append(out, m.left(include, filters, exclude[:exc]))
		}
	}
	return out
}

// left counts the people who are in any of include, in all of filters and in
// none of exclude.
func (m *Model) left(include, filters, exclude []keySet) int {
	n := 0
	for _, p := range m.people {
		if inAny(include, p.key) && inAll(filters, p.key) && !inAny(exclude, p.key) {
			n++
		}
	}
	return n
}

func inAny(sets []keySet, key string) bool {
	for _, s := range sets {
		if s[key] {
			return true
		}
	}
	return false
}

func inAll(sets []keySet, key string) bool {
	for _, s := range sets {
		if !s[key] {
			return false
		}
	}
	return true
}

// where is the people for whom is holds.
func (m *Model) where(is func(*person) bool) keySet {
	set := keySet{}
	for _, p := range m.people {
		if is(p) {
			set[p.key] = true
		}
	}
	return set
}

func (m *Model) evalParameter(p map[string]json.RawMessage, ext External) (keySet, error) {
	for _, kind := range sortedKeys(p) {
		if kind == "operation" {
			continue
		}
		set, err := m.evalCriterion(kind, p[kind], ext)
		if err != nil {
			err = fmt.Errorf("%s: %w", kind, err)
		}
		return set, err
	}
	return nil, errors.New("no criterion")
}

func (m *Model) evalCriterion(kind string, raw json.RawMessage, ext External) (keySet, error) {
	switch kind {
	case "group":
		res, err := m.Eval(raw, ext)
		return setOf(res.Members), err
	case "audience":
		return m.evalAudience(raw, ext)
	case "upload":
		return m.evalUpload(raw, ext)
	case "affinities":
		return m.evalAffinities(raw)
	case "b2b":
		return m.evalB2B(raw)
	case "location":
		return m.evalLocation(raw)
	case "personality", "age", "gender", "ethnicity":
		return m.evalValues(kind, raw)
	case "twitter_followers":
		return m.evalFollowers("twitter", raw)
	case "twitch_followers":
		return m.evalFollowers("twitch", raw)
	case "youtube_channels":
		return m.evalFollowers("youtube", raw)
	case "instagram_engagers":
		return m.evalFollowers("instagram", raw)
	case "tiktok_engagers":
		return m.evalFollowers("tiktok", raw)
	case "bio_search", "tweet_search":
		return m.evalSearch(kind, raw)
	default:
		return nil, errors.New("unknown criterion")
	}
}

func setOf(keys []string) keySet {
	set := keySet{}
	for _, k := range keys {
		set[k] = true
	}
	return set
}

func (m *Model) evalAudience(raw json.RawMessage, ext External) (keySet, error) {
	var v struct {
		IDs []int64 `json:"ids"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	var members []string
	for _, id := range v.IDs {
		keys, ok := ext.Audiences[id]
		if !ok {
			return nil, errors.New("unknown audience")
		}
		members = append(members, keys...)
	}
	in := setOf(members)
	return m.where(func(p *person) bool { return in[p.key] }), nil
}

func (m *Model) evalUpload(raw json.RawMessage, ext External) (keySet, error) {
	var v struct {
		Keys []string `json:"keys"`
		Type string   `json:"type"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	var people []string
	for _, key := range v.Keys {
		file, ok := ext.Uploads[key]
		if !ok || file.Type != v.Type {
			return nil, errors.New("unknown upload")
		}
		_, found := m.Upload(file.Type, file.Content)
		people = append(people, found...)
	}
	return setOf(people), nil
}

func (m *Model) evalAffinities(raw json.RawMessage) (keySet, error) {
	var v struct {
		Affinities []Named `json:"affinities"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	for _, a := range v.Affinities {
		if _, ok := m.nodes[string(a.ID)]; !ok {
			return nil, errors.New("unknown affinity")
		}
	}
	return m.where(func(p *person) bool {
		for _, a := range v.Affinities {
			if p.affinities[string(a.ID)] {
				return true
			}
		}
		return false
	}), nil
}

func (m *Model) evalB2B(raw json.RawMessage) (keySet, error) {
	var v struct {
		Titles    []Named `json:"job_titles"`
		Employers []Named `json:"employer_names"`
		Filter    *struct {
			Count     int    `json:"count"`
			Direction string `json:"direction"`
		} `json:"filter"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	if (len(v.Titles) == 0) == (len(v.Employers) == 0) {
		return nil, errors.New("want titles or employers")
	}
	has := func(p *person, id string) bool { return p.titles[id] }
	if len(v.Employers) > 0 {
		has = func(p *person, id string) bool { return p.employers[id] }
	}
	set := keySet{}
	for _, n := range append(v.Titles, v.Employers...) {
		holders := m.where(func(p *person) bool { return has(p, string(n.ID)) })
		keep := true
		if v.Filter != nil {
			switch count := v.Filter.Count; v.Filter.Direction {
			case "<":
				keep = len(holders) < count
			case ">":
				keep = len(holders) > count
			case "<=":
				keep = len(holders) <= count
			case ">=":
				keep = len(holders) >= count
			default:
				return nil, errors.New("unknown direction")
			}
		}
		if keep {
			for k := range holders {
				set[k] = true
			}
		}
	}
	return set, nil
}

func (m *Model) evalLocation(raw json.RawMessage) (keySet, error) {
	var v struct {
		Cities    []Named `json:"cities"`
		Regions   []Named `json:"regions"`
		DMAs      []Named `json:"dmas"`
		Countries []Named `json:"countries"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	wanted := map[[2]string]bool{}
	for kind, list := range map[string][]Named{"city": v.Cities, "region": v.Regions, "dma": v.DMAs, "country": v.Countries} {
		for _, n := range list {
			at := [2]string{kind, string(n.ID)}
			if _, ok := m.places.byID[at]; !ok {
				return nil, errors.New("unknown place")
			}
			wanted[at] = true
		}
	}
	return m.where(func(p *person) bool {
		for kind, id := range p.places {
			if wanted[[2]string{kind, id}] {
				return true
			}
		}
		return false
	}), nil
}

func (m *Model) evalValues(kind string, raw json.RawMessage) (keySet, error) {
	var v struct {
		Personalities []string `json:"personalities"`
		Ranges        []string `json:"ranges"`
		Genders       []string `json:"genders"`
		Ethnicities   []string `json:"ethnicities"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	values := slices.Concat(v.Personalities, v.Ranges, v.Genders, v.Ethnicities)
	if len(values) == 0 {
		return nil, errors.New("no value")
	}
	return m.where(func(p *person) bool {
		for _, value := range values {
			if kind == "personality" {
				if score, ok := p.scores[value]; ok && score >= m.Threshold {
					return true
				}
				continue
			}
			if value == "unknown" {
				value = ""
			}
			if value == map[string]string{"age": p.age, "gender": p.gender, "ethnicity": p.ethnicity}[kind] {
				return true
			}
		}
		return false
	}), nil
}

// FoldName gives the form in which screen names are compared, without an @
// before them.
func FoldName(s string) string { return lower(strings.TrimPrefix(s, "@")) }

func (m *Model) evalFollowers(network string, raw json.RawMessage) (keySet, error) {
	var v struct {
		Accounts    []Named `json:"accounts"`
		Cutoff      *int    `json:"cutoff"`
		CutOff      *int    `json:"cut_off"`
		LastTweeted int     `json:"last_tweeted"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	cutoff := 1
	if v.Cutoff != nil {
		cutoff = *v.Cutoff
	} else if v.CutOff != nil {
		cutoff = *v.CutOff
	}
	listed, written := map[string]bool{}, map[string]bool{}
	for _, a := range v.Accounts {
		if a.ID != "" {
			listed[string(a.ID)], written["id "+string(a.ID)] = true, true
			continue
		}
		written["name "+FoldName(a.ScreenName)] = true
		for _, known := range m.accounts {
			if known.network == network && FoldName(known.screenName) == FoldName(a.ScreenName) {
				listed[known.id] = true
			}
		}
	}
	if cutoff < 1 || cutoff > len(written) {
		return nil, errors.New("cutoff out of range")
	}
	return m.where(func(p *person) bool {
		n := 0
		for id := range listed {
			if p.follows[network][id] {
				n++
			}
		}
		return n >= cutoff && (v.LastTweeted == 0 || m.tweetedWithin(p, v.LastTweeted))
	}), nil
}

func (m *Model) tweetedWithin(p *person, days int) bool {
	return !p.lastTweeted.IsZero() && !p.lastTweeted.Before(m.AsOf.Add(-time.Duration(days)*24*time.Hour))
}

func (m *Model) evalSearch(kind string, raw json.RawMessage) (keySet, error) {
	var v map[string]json.RawMessage
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	var phrases []string
	if err := json.Unmarshal(v["phrases"], &phrases); err != nil {
		return nil, err
	}
	var fields []string
	if kind == "tweet_search" {
		fields = []string{"tweet"}
	}
	for _, n := range networks {
		if kind == "bio_search" && string(v["search_in_"+n]) == "true" {
			fields = append(fields, "bio."+n)
		}
	}
	if len(fields) == 0 || len(phrases) == 0 {
		return nil, errors.New("nothing to search")
	}
	return m.textSet(fields, phrases), nil
}

// textSet is the people of whom one text in one of the fields holds one of
// the phrases.
func (m *Model) textSet(fields, phrases []string) keySet {
	var cut [][]word
	for _, ph := range phrases {
		cut = append(cut, cutWords(ph))
	}
	return m.where(func(p *person) bool {
		for _, f := range fields {
			texts := p.tweets
			if network, ok := strings.CutPrefix(f, "bio."); ok {
				texts = p.bios[network]
			}
			for _, text := range texts {
				for _, phrase := range cut {
					if holds(text, phrase) {
						return true
					}
				}
			}
		}
		return false
	})
}
