package service

import (
	"context"
	"fmt"
	"slices"

	"throng"
	"throng/engine"
	"throng/internal/words"
	"throng/query"
	"throng/reference"
	"throng/service/page"
)

// maxPlaces is how many places are listed without a query.
const maxPlaces = 1000

// acquire holds the current generation.
func (s *Service) acquire(ctx context.Context) (engine.Generation, error) {
	g, err := s.cfg.Engine.Acquire(ctx, "")
	return g, loaded(err)
}

// Dataset describes the current generation. Unavailable where there is none.
func (s *Service) Dataset(ctx context.Context) (engine.Info, error) {
	g, err := s.acquire(ctx)
	if err != nil {
		return engine.Info{}, err
	}
	defer g.Release()
	return g.Info(), nil
}

// Affinities shows the part of the taxonomy that the filter asks for. Without
// a ParentID it is the seven roots in their order, expanded along the paths to
// what the query finds. NotFound for an unknown parent.
func (s *Service) Affinities(ctx context.Context, f AffinityFilter) ([]Affinity, error) {
	g, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer g.Release()
	tree, err := g.Catalog().Affinities()
	if err != nil {
		return nil, fmt.Errorf("read affinities: %w", err)
	}
	find := affinityQuery{id: f.Query, name: words.ParseNameQuery(f.Query), all: words.ParseNameQuery(f.Query).MatchesAll(), categories: f.Categories}
	top := tree.Roots
	if f.ParentID != "" {
		parent, ok := tree.Lookup(f.ParentID)
		if !ok {
			return nil, throng.Errorf(throng.NotFound, "the dataset has no affinity of this id (parent_id)")
		}
		top = parent.Children
	}
	list := []Affinity{}
	for _, a := range top {
		n, found := find.expand(a)
		if found || f.ParentID == "" || find.all && find.shows(a) {
			list = append(list, n)
		}
	}
	if f.ParentID != "" {
		for i := range list {
			list[i].Children = nil
		}
	}
	return list, nil
}

type affinityQuery struct {
	id         string
	name       words.NameQuery
	all        bool // no query: nothing matches, nothing is expanded
	categories bool
}

func (q affinityQuery) shows(a *engine.Affinity) bool {
	return !q.categories || len(a.Children) > 0 || a.IsRoot()
}

func (q affinityQuery) matches(a *engine.Affinity) bool {
	return !q.all && q.shows(a) &&
		(a.ID == q.id || words.MatchName(words.FoldName(nil, a.Name), q.name))
}

// expand shows a node with those below it on a path to a match, and tells
// whether there is one. It follows the tree to its ends; loads refuse cycles.
func (q affinityQuery) expand(a *engine.Affinity) (n Affinity, found bool) {
	n = Affinity{
		ID: a.ID, Name: a.Name, Category: a.IsRoot() || len(a.Children) > 0, Root: a.IsRoot(),
		People: a.People, Match: q.matches(a),
	}
	found = n.Match
	if q.all {
		return n, found
	}
	for _, c := range a.Children {
		if child, ok := q.expand(c); ok {
			n.Children = append(n.Children, child)
			found = true
		}
	}
	return n, found
}

// PersonalityTypes lists the 52 terms in their order.
func (s *Service) PersonalityTypes() []string { return reference.Personalities() }

// JobTitles searches job titles, most people first.
func (s *Service) JobTitles(ctx context.Context, q string, p throng.Page) (list []Term, next string, err error) {
	return s.terms(ctx, query.JobTitle, q, p)
}

// Employers searches employers, most people first.
func (s *Service) Employers(ctx context.Context, q string, p throng.Page) (list []Term, next string, err error) {
	return s.terms(ctx, query.Employer, q, p)
}

// termCursor tells where a page begins. It is of one generation: on another
// one the same offset may skip or repeat a term, which a search box bears.
type termCursor struct {
	Offset int `json:"o"`
}

func (s *Service) terms(ctx context.Context, f query.Field, q string, p throng.Page) ([]Term, string, error) {
	var at termCursor
	limit, problems := page.Read(p, &at)
	if at.Offset < 0 {
		problems = append(problems, page.BadCursor())
	}
	if err := refuse(problems, nil); err != nil {
		return nil, "", err
	}
	g, err := s.acquire(ctx)
	if err != nil {
		return nil, "", err
	}
	defer g.Release()
	ctx, cancel, tell := s.timed(ctx)
	defer cancel()
	found, more, err := g.Catalog().Search(ctx, f, q, at.Offset, limit)
	if err != nil {
		return nil, "", tell(err)
	}
	list := make([]Term, len(found))
	for i, t := range found {
		list[i] = Term{ID: t.Value, Name: t.Value, People: t.People}
	}
	next := ""
	if more {
		next = page.Cursor(termCursor{Offset: at.Offset + len(found)})
	}
	return list, next, nil
}

// Places searches the places of a kind: city, region, dma or country. Without
// a query it gives the first 1,000.
func (s *Service) Places(ctx context.Context, kind, q string) ([]Place, error) {
	k := reference.Kind(kind)
	if !slices.Contains(reference.Kinds(), k) {
		return nil, throng.Errorf(throng.NotFound, "there are no places of the kind %q", kind)
	}
	g, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer g.Release()
	table, err := g.Catalog().Places()
	if err != nil {
		return nil, fmt.Errorf("read places: %w", err)
	}
	limit := 0
	if words.ParseNameQuery(q).MatchesAll() {
		limit = maxPlaces
	}
	found := table.Search(k, q, limit)
	list := make([]Place, len(found))
	for i, p := range found {
		list[i] = Place{ID: p.ID, Name: p.Name, Kind: kind}
		if k == reference.City {
			list[i].Region = placeName(table, reference.Region, p.Region)
			list[i].Country = placeName(table, reference.Country, p.Country)
		}
	}
	return list, nil
}

func placeName(t *reference.Table, k reference.Kind, id string) string {
	p, _ := t.Lookup(k, id)
	return p.Name
}
