// Package compile turns the parameters of a definition into the engine's words on
// one generation: ids and names are looked up in its catalog, uploads and
// audiences are sets of its rows. All that is wrong is found at once.
package compile

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"throng"
	"throng/engine"
	"throng/identifier"
	"throng/query"
	"throng/reference"
)

// Source finds what parameters refer to beside the generation.
type Source interface {
	// Upload finds an upload by its key, nil where there is none. callerID is whose
	// it has to be; 0: anybody's.
	Upload(ctx context.Context, callerID int64, key string) (*Upload, error)
	// Audience finds an audience by its id, as Upload does.
	Audience(ctx context.Context, callerID, id int64) (*Audience, error)
}

// Upload is a list of identifiers that a parameter refers to.
type Upload struct {
	ID    int64
	Type  identifier.Type
	Ready bool
	// Rows finds who owns any of its identifiers on a generation.
	Rows func(ctx context.Context, g engine.Generation) (query.RowSet, error)
}

// Audience is an audience that a parameter refers to.
type Audience struct {
	ID       int64
	Status   string
	Finished bool // it has members
	// Members finds them on a generation, and how many of them are gone.
	Members func(ctx context.Context, g engine.Generation) (rows query.RowSet, gone uint64, err error)
}

// Config says on what parameters are compiled.
type Config struct {
	Source     Source
	Generation engine.Generation
	CallerID   int64 // whose uploads and audiences count; 0: anybody's
	// Dry leaves the rows of uploads and audiences out: what is looked for is
	// problems alone.
	Dry bool
}

// Result is what parameters mean on a generation.
type Result struct {
	// Definition has one step for each parameter, in order. It is of use where
	// there are no Problems, and valid until the generation is released.
	Definition query.Definition
	Problems   []throng.Detail // of the parameters, with the paths of their fields
	Warnings   []string
	// Uploads and Audiences are the ids of those used, each once.
	Uploads, Audiences []int64
}

// Parameters compiles parameters. An error is of the machinery; what is wrong
// with the parameters is in Problems.
func Parameters(ctx context.Context, cfg Config, params []throng.Parameter) (Result, error) {
	c := &compiler{Config: cfg}
	d, err := c.compile(ctx, params)
	c.found.Definition = d
	return c.found, err
}

// compiler collects every problem, with the path of the field, and goes on.
type compiler struct {
	Config
	found Result // so far
}

func (c *compiler) bad(path, format string, args ...any) {
	c.found.Problems = append(c.found.Problems, throng.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *compiler) warn(path, format string, args ...any) {
	c.found.Warnings = append(c.found.Warnings, path+": "+fmt.Sprintf(format, args...))
}

func (c *compiler) compile(ctx context.Context, params []throng.Parameter) (query.Definition, error) {
	d := query.Definition{Steps: make([]query.Step, 0, len(params))}
	for _, p := range params {
		var node query.Node = query.Or{}
		if p.Criterion != nil {
			var err error
			if node, err = c.criterion(ctx, p.Path+"."+string(p.Criterion.Kind()), p.Criterion); err != nil {
				return d, err
			}
		}
		d.Steps = append(d.Steps, query.Step{Op: p.Operation.Op(), Node: node})
	}
	return d, nil
}

func (c *compiler) criterion(ctx context.Context, path string, x throng.Criterion) (query.Node, error) {
	switch x := x.(type) {
	case throng.Affinities:
		return c.affinities(path, x)
	case throng.B2B:
		return c.b2b(path, x)
	case throng.Personality:
		return query.In{Field: query.Personality, Values: x.Terms}, nil
	case throng.Age:
		return oneValue(query.Age, x.Ranges), nil
	case throng.Gender:
		return oneValue(query.Gender, x.Genders), nil
	case throng.Ethnicity:
		return oneValue(query.Ethnicity, x.Ethnicities), nil
	case throng.Location:
		return c.location(path, x)
	case throng.UploadRef:
		return c.upload(ctx, path, x)
	case throng.Followers:
		return c.followers(path, x)
	case throng.BioSearch:
		return query.Text{Fields: x.Fields, Phrases: x.Phrases}, nil
	case throng.TweetSearch:
		return query.Text{Fields: []query.Field{query.Tweet}, Phrases: x.Phrases}, nil
	case throng.Group:
		d, err := c.compile(ctx, x.Parameters)
		return d.Node(), err
	case throng.AudienceRef:
		return c.audience(ctx, path, x)
	}
	return query.Or{}, nil
}

// oneValue is a field of which a person has one value or none.
func oneValue(f query.Field, values []string) query.Node {
	out := make([]string, len(values))
	for i, v := range values {
		if out[i] = v; v == "unknown" {
			out[i] = query.Unknown
		}
	}
	return query.In{Field: f, Values: out}
}

func (c *compiler) affinities(path string, x throng.Affinities) (query.Node, error) {
	tree, err := c.Generation.Catalog().Affinities()
	if err != nil {
		return nil, fmt.Errorf("read affinities: %w", err)
	}
	for i, id := range x.IDs {
		if id == "" { // a problem already
			continue
		}
		at := fmt.Sprintf("%s.affinities[%d].id", path, i)
		switch a, ok := tree.Lookup(id); {
		case !ok:
			c.bad(at, "is no affinity of the dataset")
		case a.IsRoot():
			c.bad(at, "cannot be added: it is a root of the taxonomy (can_add is false)")
		}
	}
	return query.In{Field: query.Affinity, Values: x.IDs}, nil
}

func (c *compiler) b2b(path string, x throng.B2B) (query.Node, error) {
	field, ids, list := query.JobTitle, x.JobTitles, "job_titles"
	if len(x.Employers) > 0 {
		field, ids, list = query.Employer, x.Employers, "employer_names"
	}
	var kept, unknown []string
	for _, id := range ids {
		t, ok, err := c.Generation.Catalog().Term(field, id)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", field, err)
		}
		if !ok {
			unknown = append(unknown, id)
		}
		if x.Filter == nil || x.Filter.Keeps(t.People) {
			kept = append(kept, id)
		}
	}
	if len(unknown) > 0 {
		c.warn(path+"."+list, "nobody in the dataset holds %s", names(unknown))
	}
	if x.Filter != nil && len(ids) > 0 && len(kept) == 0 {
		c.warn(path+".filter", "leaves none of the ids listed, so nobody matches")
	}
	return query.In{Field: field, Values: kept}, nil
}

func (c *compiler) location(path string, x throng.Location) (query.Node, error) {
	places, err := c.Generation.Catalog().Places()
	if err != nil {
		return nil, fmt.Errorf("read places: %w", err)
	}
	var or query.Or
	for _, l := range []struct {
		key   string
		kind  reference.Kind
		field query.Field
		ids   []string
	}{
		{"cities", reference.City, query.City, x.Cities},
		{"regions", reference.Region, query.Region, x.Regions},
		{"dmas", reference.DMA, query.DMA, x.DMAs},
		{"countries", reference.Country, query.Country, x.Countries},
	} {
		for i, id := range l.ids {
			if _, ok := places.Lookup(l.kind, id); ok || id == "" {
				continue
			}
			at := fmt.Sprintf("%s.%s[%d].id", path, l.key, i)
			if others := places.Contains(id); len(others) > 0 {
				c.bad(at, "is the id of a %s, in a list of the kind %q", others[0], l.kind)
			} else {
				c.bad(at, "is no %s of the dataset", l.kind)
			}
		}
		if len(l.ids) > 0 {
			or.Nodes = append(or.Nodes, query.In{Field: l.field, Values: l.ids})
		}
	}
	return or, nil
}

func (c *compiler) upload(ctx context.Context, path string, x throng.UploadRef) (query.Node, error) {
	var or query.Or
	typed := false // the problem of the type has been told
	for i, key := range x.Keys {
		if key == "" {
			continue
		}
		at := fmt.Sprintf("%s.keys[%d]", path, i)
		u, err := c.Source.Upload(ctx, c.CallerID, key)
		if err != nil {
			return nil, err
		}
		switch {
		case u == nil:
			c.bad(at, "is not the key of an upload")
			continue
		case !u.Ready:
			c.bad(at, "is not finished")
			continue
		case x.Type != "" && u.Type != x.Type:
			if !typed {
				c.bad(path+".type", "is %s, but keys[%d] is an upload of %s", x.Type, i, u.Type)
			}
			typed = true
			continue
		}
		use(&c.found.Uploads, u.ID)
		if c.Dry {
			continue
		}
		rows, err := u.Rows(ctx, c.Generation)
		if err != nil {
			return nil, fmt.Errorf("match upload: %w", err)
		}
		or.Nodes = append(or.Nodes, query.Rows{Set: rows})
	}
	return or, nil
}

func (c *compiler) audience(ctx context.Context, path string, x throng.AudienceRef) (query.Node, error) {
	var or query.Or
	for i, id := range x.IDs {
		if id == 0 {
			continue
		}
		at := fmt.Sprintf("%s.ids[%d]", path, i)
		a, err := c.Source.Audience(ctx, c.CallerID, id)
		switch {
		case err != nil:
			return nil, err
		case a == nil:
			c.bad(at, "is not the id of an audience")
			continue
		case !a.Finished:
			c.bad(at, "is not finished: its status is %s", a.Status)
			continue
		}
		use(&c.found.Audiences, a.ID)
		if c.Dry {
			continue
		}
		rows, gone, err := a.Members(ctx, c.Generation)
		if err != nil {
			return nil, fmt.Errorf("find members of audience %d: %w", id, err)
		}
		if gone > 0 {
			c.warn(at, "%d of the members of audience %d are not in the dataset any more", gone, id)
		}
		or.Nodes = append(or.Nodes, query.Rows{Set: rows})
	}
	return or, nil
}

func use(list *[]int64, id int64) {
	if !slices.Contains(*list, id) {
		*list = append(*list, id)
	}
}

func (c *compiler) followers(path string, x throng.Followers) (query.Node, error) {
	r := accounts{c: c, network: x.Network, written: map[string]string{}}
	for i, a := range x.Accounts {
		if a != (throng.AccountRef{}) {
			if err := r.add(fmt.Sprintf("%s.accounts[%d]", path, i), a); err != nil {
				return nil, fmt.Errorf("find accounts: %w", err)
			}
		}
	}
	if len(r.unknown) > 0 {
		c.warn(path+".accounts", "the dataset does not know %s, whom nobody follows", names(r.unknown))
	}
	if len(r.same) > 0 {
		c.warn(path+".accounts", "%s: one account each, counted once", names(r.same))
	}
	var node query.Node = query.AtLeast{K: x.Cutoff, Field: x.Network, Values: r.ids}
	if x.Cutoff == 1 {
		node = query.In{Field: x.Network, Values: r.ids}
	}
	if x.LastTweeted > 0 {
		active := query.In{Field: query.Active, Values: []string{strconv.Itoa(x.LastTweeted)}}
		node = query.And{Nodes: []query.Node{node, active}}
	}
	return node, nil
}

// accounts finds the distinct accounts that a list means.
type accounts struct {
	c       *compiler
	network query.Field
	ids     []string
	written map[string]string // how each of ids was written first
	unknown []string
	same    []string
}

func (r *accounts) add(path string, a throng.AccountRef) (err error) {
	if a == (throng.AccountRef{}) { // a problem already
		return nil
	}
	catalog := r.c.Generation.Catalog()
	var named []engine.Account
	if a.ScreenName != "" {
		if named, err = catalog.AccountsNamed(r.network, a.ScreenName); err != nil {
			return err
		}
	}
	if a.ID == "" {
		for _, n := range named {
			r.found(n.ID, a.ScreenName)
		}
		if len(named) == 0 {
			r.missing(a.ScreenName)
		}
		return nil
	}
	if len(named) > 0 && !slices.ContainsFunc(named, func(n engine.Account) bool { return n.ID == a.ID }) {
		r.c.bad(path+".screen_name", "is the name of another account than %s", a.ID)
		return nil
	}
	_, ok, err := catalog.Account(r.network, a.ID)
	if err != nil {
		return err
	}
	if !ok {
		r.missing(a.ID)
		return nil
	}
	r.found(a.ID, a.ID)
	return nil
}

// found adds an account. The same text twice counts once without a word; two
// texts that mean one account are worth a warning.
func (r *accounts) found(id, as string) {
	before, again := r.written[id]
	switch {
	case !again:
		r.ids = append(r.ids, id)
		r.written[id] = as
	case !strings.EqualFold(before, as):
		r.same = append(r.same, before+" and "+as)
	}
}

func (r *accounts) missing(as string) {
	if !slices.Contains(r.unknown, as) {
		r.unknown = append(r.unknown, as)
	}
}

// maxNamed is how many names one warning holds.
const maxNamed = 100

// names joins names for a warning.
func names(list []string) string {
	more := len(list) - maxNamed
	if more > 0 {
		list = list[:maxNamed]
	}
	text := strings.Join(list, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
