package bitmap

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/internal/words"
	"throng/query"
	"throng/reference"
)

// catalog is what a generation knows by name. It is immutable but for places
// and search indexes, which are built when they are first asked for.
type catalog struct {
	core   *core
	places func() *reference.Table
	tree   *engine.Taxonomy
	names  map[query.Field]func() *nameIndex
}

var _ engine.Catalog = (*catalog)(nil)

// Catalog implements engine.Generation.
func (g *generation) Catalog() engine.Catalog {
	c, _ := g.catalog() // it was built when the generation was opened
	return c
}

func (g *core) buildCatalog() (*catalog, error) {
	c := &catalog{core: g, names: map[query.Field]func() *nameIndex{}}
	stored := g.files.Catalog
	c.places = sync.OnceValue(func() *reference.Table { return places(g.files.Places) })
	var err error
	if c.tree, err = g.taxonomy(stored.Affinities); err != nil {
		return nil, err
	}
	for _, f := range []query.Field{query.JobTitle, query.Employer} {
		c.names[f] = sync.OnceValue(func() *nameIndex { return newNameIndex(g.files.Dict, f) })
	}
	return c, nil
}

// places is the dataset's own table, or the built-in one.
func places(stored *storage.Places) *reference.Table {
	if stored == nil {
		return reference.BuiltIn()
	}
	list := make([]reference.Place, 0, stored.Len())
	stored.Each(func(p storage.CatalogPlace) {
		list = append(list, reference.Place{
			Kind: reference.Kind(p.Kind), ID: p.ID, Name: p.Name,
			Region: p.Region, Country: p.Country, DMA: p.DMA,
		})
	})
	table, _ := reference.New(list) // problems were reported by the load
	return table
}

// taxonomy builds the tree below the seven roots.
func (g *core) taxonomy(stored []storage.CatalogAffinity) (*engine.Taxonomy, error) {
	nodes := make(map[string]*engine.Affinity, len(stored)+8)
	var roots []*engine.Affinity
	for _, r := range reference.AffinityRoots() {
		root := &engine.Affinity{ID: r.ID, Name: r.Name}
		roots = append(roots, root)
		nodes[r.ID] = root
	}
	for _, s := range stored {
		a := &engine.Affinity{ID: s.ID, Name: s.Name}
		if t, ok := g.number(query.Affinity, s.ID); ok {
			a.People = g.people(t)
		}
		nodes[s.ID] = a
	}
	for _, s := range stored {
		a, parent := nodes[s.ID], nodes[s.Parent]
		if parent == nil || a.Parent != nil || a == parent {
			return nil, fmt.Errorf("%w: %s: affinities are no tree", engine.ErrCorrupt, g.files.Dir)
		}
		a.Parent = parent
		parent.Children = append(parent.Children, a)
	}
	for _, a := range nodes {
		slices.SortFunc(a.Children, func(a, b *engine.Affinity) int {
			return cmp.Or(cmp.Compare(b.People, a.People), strings.Compare(a.ID, b.ID))
		})
	}
	return engine.NewTaxonomy(roots), nil
}

// Places implements engine.Catalog.
func (c *catalog) Places() *reference.Table { return c.places() }

// Affinities implements engine.Catalog.
func (c *catalog) Affinities() *engine.Taxonomy { return c.tree }

// Term implements engine.Catalog.
func (c *catalog) Term(f query.Field, value string) (engine.Term, bool) {
	t, ok := c.core.number(f, value)
	if !ok {
		return engine.Term{}, false
	}
	return engine.Term{Value: value, People: c.core.people(t)}, true
}

// Search implements engine.Catalog. Fields other than JobTitle and Employer
// have no names and are an error.
func (c *catalog) Search(ctx context.Context, f query.Field, q string, offset, limit int) (terms []engine.Term, more bool, err error) {
	index := c.names[f]
	if index == nil {
		return nil, false, fmt.Errorf("search names: field %s has none", f)
	}
	dict := c.core.files.Dict
	found := 0
	for t := range index().find(q) {
		if found%1024 == 0 && ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		found++
		if found <= offset {
			continue
		}
		if len(terms) == limit {
			return terms, true, nil
		}
		terms = append(terms, engine.Term{Value: string(dict.Value(t)), People: dict.People(t)})
	}
	return terms, false, nil
}

// Account implements engine.Catalog.
func (c *catalog) Account(network query.Field, id string) (engine.Account, bool) {
	if r, ok := c.core.files.Accounts.ByID(network, []byte(id)); ok {
		return account(r), true
	}
	_, followed := c.core.number(network, id)
	return engine.Account{ID: id}, followed && isNetwork(network)
}

// AccountsNamed implements engine.Catalog.
func (c *catalog) AccountsNamed(network query.Field, screenName string) []engine.Account {
	folded := storage.FoldName(nil, []byte(screenName))
	if len(folded) == 0 {
		return nil
	}
	records := c.core.files.Accounts.ByName(network, folded)
	accounts := make([]engine.Account, len(records))
	for i, r := range records {
		accounts[i] = account(r)
	}
	slices.SortFunc(accounts, func(a, b engine.Account) int { return strings.Compare(a.ID, b.ID) })
	return accounts
}

func account(r storage.AccountRecord) engine.Account {
	return engine.Account{ID: string(r.ID), ScreenName: string(r.ScreenName), Name: string(r.Name)}
}

func isNetwork(f query.Field) bool {
	switch f {
	case query.Twitter, query.Twitch, query.YouTube, query.Instagram, query.TikTok:
		return true
	default:
		return false
	}
}

// nameIndex searches the names of a field: all of them folded on end, in the
// order in which they are found, each ended by words.TextEnd, which no name
// holds. It takes the names' bytes and eight bytes a name.
type nameIndex struct {
	folded []byte
	ends   []uint32 // of each name, behind its end mark
	terms  []uint32
}

func newNameIndex(dict *storage.Dict, f query.Field) *nameIndex {
	first, count := dict.Range(f)
	x := &nameIndex{terms: make([]uint32, count), ends: make([]uint32, count)}
	for i := range x.terms {
		x.terms[i] = first + uint32(i)
	}
	// Terms of a field are numbered in the order of their values.
	slices.SortFunc(x.terms, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(dict.People(b), dict.People(a)), cmp.Compare(a, b))
	})
	for i, t := range x.terms {
		x.folded = words.FoldName(x.folded, string(dict.Value(t)))
		x.folded = append(x.folded, words.TextEnd)
		x.ends[i] = uint32(len(x.folded))
	}
	return x
}

// find yields the terms whose name matches the query of a search box.
func (x *nameIndex) find(q string) func(yield func(term uint32) bool) {
	if words.ParseNameQuery(q).MatchesAll() {
		return slices.Values(x.terms)
	}
	needle := words.FoldName(nil, q)
	return func(yield func(term uint32) bool) {
		if len(needle) == 0 {
			return
		}
		for from := 0; ; {
			at := bytes.Index(x.folded[from:], needle)
			if at < 0 {
				return
			}
			i := sort.Search(len(x.ends), func(i int) bool { return int(x.ends[i]) > from+at })
			if !yield(x.terms[i]) {
				return
			}
			from = int(x.ends[i])
		}
	}
}
