package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"throng/engine"
	"throng/engine/enginetest/model"
	"throng/identifier"
	"throng/query"
)

// compiler turns a definition's wire form into an engine's nodes, by what the
// generation knows. It takes valid definitions alone.
type compiler struct {
	ctx context.Context
	gen engine.Generation
	ext model.External
}

func (c *compiler) definition(raw json.RawMessage) (query.Definition, error) {
	var def model.Definition
	if err := json.Unmarshal(raw, &def); err != nil {
		return query.Definition{}, err
	}
	var out query.Definition
	for _, p := range def.Parameters {
		var op string
		if err := json.Unmarshal(p["operation"], &op); err != nil {
			return out, err
		}
		for _, kind := range slices.Sorted(maps.Keys(p)) {
			if kind == "operation" {
				continue
			}
			n, err := c.criterion(kind, p[kind])
			if err != nil {
				return out, err
			}
			out.Steps = append(out.Steps, query.Step{
				Op:   map[string]query.Op{"OR": query.Include, "AND": query.Filter, "NOT": query.Exclude}[op],
				Node: n,
			})
		}
	}
	return out, nil
}

// wireCriterion is all criteria's fields.
type wireCriterion struct {
	Affinities    []model.Named
	JobTitles     []model.Named `json:"job_titles"`
	EmployerNames []model.Named `json:"employer_names"`
	Filter        *struct {
		Count     uint64
		Direction string
	}
	Personalities, Ranges, Genders, Ethnicities []string

	Cities, Regions, DMAs, Countries []model.Named

	Keys        []string
	Type        string
	IDs         []int64
	Accounts    []model.Named
	Cutoff      int
	CutOff      int `json:"cut_off"`
	LastTweeted int `json:"last_tweeted"`
	Phrases     []string
}

var networkOf = map[string]query.Field{
	"twitter_followers": query.Twitter, "twitch_followers": query.Twitch, "youtube_channels": query.YouTube,
	"instagram_engagers": query.Instagram, "tiktok_engagers": query.TikTok,
}

func (c *compiler) criterion(kind string, raw json.RawMessage) (query.Node, error) {
	var v wireCriterion
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, err)
	}
	switch kind {
	case "group":
		d, err := c.definition(raw)
		return d.Node(), err
	case "audience":
		return c.people(identifier.SSID, c.members(v.IDs))
	case "upload":
		var nodes []query.Node
		for _, key := range v.Keys {
			n, err := c.people(identifier.Type(v.Type), model.UploadLines(c.ext.Uploads[key].Content))
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, n)
		}
		return query.Or{Nodes: nodes}, nil
	case "affinities":
		return query.In{Field: query.Affinity, Values: ids(v.Affinities)}, nil
	case "b2b":
		return c.b2b(v)
	case "location":
		return query.Or{Nodes: []query.Node{
			query.In{Field: query.City, Values: ids(v.Cities)},
			query.In{Field: query.Region, Values: ids(v.Regions)},
			query.In{Field: query.DMA, Values: ids(v.DMAs)},
			query.In{Field: query.Country, Values: ids(v.Countries)},
		}}, nil
	case "personality":
		return query.In{Field: query.Personality, Values: v.Personalities}, nil
	case "age", "gender", "ethnicity":
		values := slices.Concat(v.Ranges, v.Genders, v.Ethnicities)
		for i := range values {
			if values[i] == "unknown" {
				values[i] = query.Unknown
			}
		}
		return query.In{Field: query.Field(kind), Values: values}, nil
	case "tweet_search":
		return query.Text{Fields: []query.Field{query.Tweet}, Phrases: v.Phrases}, nil
	case "bio_search":
		return bioNode(raw, v.Phrases)
	default:
		return c.followers(networkOf[kind], v)
	}
}

func bioNode(raw json.RawMessage, phrases []string) (query.Node, error) {
	var flags map[string]any
	if err := json.Unmarshal(raw, &flags); err != nil {
		return nil, err
	}
	n := query.Text{Phrases: phrases}
	for _, network := range model.Networks() {
		if flags["search_in_"+network] == true {
			n.Fields = append(n.Fields, query.Field("bio."+network))
		}
	}
	return n, nil
}

func ids(list []model.Named) []string {
	var out []string
	for _, n := range list {
		out = append(out, string(n.ID))
	}
	return out
}

func (c *compiler) members(audiences []int64) []string {
	var keys []string
	for _, id := range audiences {
		keys = append(keys, c.ext.Audiences[id]...)
	}
	return keys
}

// people finds the rows that own any of the identifiers that lines hold.
func (c *compiler) people(typ identifier.Type, lines []string) (query.Node, error) {
	rows, _, err := c.gen.Match(c.ctx, typ, eachOf(model.NormalForms(string(typ), lines)))
	return query.Rows{Set: rows}, err
}

// eachOf yields values in one buffer, as Match has to bear.
func eachOf(values []string) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		var buf []byte
		for _, v := range values {
			buf = append(buf[:0], v...)
			if !yield(buf) {
				return
			}
		}
	}
}

func (c *compiler) b2b(v wireCriterion) (query.Node, error) {
	field, listed := query.JobTitle, ids(v.JobTitles)
	if len(v.EmployerNames) > 0 {
		field, listed = query.Employer, ids(v.EmployerNames)
	}
	var keep []string
	for _, id := range listed {
		t, _, err := c.gen.Catalog().Term(field, id)
		if err != nil {
			return nil, err
		}
		if v.Filter == nil || compare(t.People, v.Filter.Direction, v.Filter.Count) {
			keep = append(keep, id)
		}
	}
	return query.In{Field: field, Values: keep}, nil
}

func compare(people uint64, direction string, count uint64) bool {
	switch direction {
	case "<":
		return people < count
	case ">":
		return people > count
	case "<=":
		return people <= count
	default:
		return people >= count
	}
}

func (c *compiler) followers(network query.Field, v wireCriterion) (query.Node, error) {
	listed := map[string]bool{}
	for _, a := range v.Accounts {
		if a.ID != "" {
			listed[string(a.ID)] = true
			continue
		}
		named, err := c.gen.Catalog().AccountsNamed(network, a.ScreenName)
		if err != nil {
			return nil, err
		}
		for _, known := range named {
			listed[known.ID] = true
		}
	}
	var n query.Node = query.AtLeast{K: max(1, v.Cutoff, v.CutOff), Field: network, Values: slices.Sorted(maps.Keys(listed))}
	if v.LastTweeted > 0 {
		active := query.In{Field: query.Active, Values: []string{strconv.Itoa(v.LastTweeted)}}
		n = query.And{Nodes: []query.Node{n, active}}
	}
	return n, nil
}
