package bitmap

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/query"
	"throng/reference"
)

// catalog is what a generation knows by name. Terms, accounts and names are
// looked up in the mapped files; places and affinities, of which there are few,
// are read when they are first asked for.
type catalog struct {
	core   *core
	places func() (*reference.Table, error)
	tree   func() (*engine.Taxonomy, error)
}

var _ engine.Catalog = (*catalog)(nil)

// Catalog implements engine.Generation.
func (g *generation) Catalog() engine.Catalog { return g.catalog }

func newCatalog(g *core) *catalog {
	c := &catalog{core: g}
	c.places = sync.OnceValues(func() (t *reference.Table, err error) {
		if g.files.Places == nil {
			return reference.BuiltIn(), nil
		}
		err = g.read(g.files.Places, func() (err error) {
			t, err = places(g.files.Places)
			return err
		})
		return t, err
	})
	c.tree = sync.OnceValues(g.taxonomy)
	return c
}

// places is the dataset's own table.
func places(stored *storage.Places) (*reference.Table, error) {
	list := make([]reference.Place, 0, stored.Len())
	err := stored.Each(func(p storage.CatalogPlace) {
		list = append(list, reference.Place{
			Kind: reference.Kind(p.Kind), ID: p.ID, Name: p.Name,
			Region: p.Region, Country: p.Country, DMA: p.DMA,
		})
	})
	table, _ := reference.New(list) // problems were reported by the load
	return table, err
}

// taxonomy builds the tree below the seven roots.
func (g *core) taxonomy() (*engine.Taxonomy, error) {
	file, err := g.files.Catalog()
	if err != nil {
		return nil, err
	}
	stored := file.Affinities
	nodes := make(map[string]*engine.Affinity, len(stored)+8)
	var roots []*engine.Affinity
	for _, r := range reference.AffinityRoots() {
		root := &engine.Affinity{ID: r.ID, Name: r.Name}
		roots = append(roots, root)
		nodes[r.ID] = root
	}
	for _, s := range stored {
		a := &engine.Affinity{ID: s.ID, Name: s.Name}
		t, ok, err := g.number(query.Affinity, s.ID)
		if err == nil && ok {
			a.People, err = g.people(t)
		}
		if err != nil {
			return nil, err
		}
		nodes[s.ID] = a
	}
	for _, s := range stored {
		a, parent := nodes[s.ID], nodes[s.Parent]
		if parent == nil || a.Parent != nil || a == parent {
			return nil, fmt.Errorf("%w: %s/%s: affinities are no tree", engine.ErrCorrupt, g.files.Dir, storage.CatalogName)
		}
		a.Parent = parent
		parent.Children = append(parent.Children, a)
	}
	for _, a := range nodes {
		slices.SortFunc(a.Children, func(a, b *engine.Affinity) int {
			return cmp.Or(cmp.Compare(b.People, a.People), strings.Compare(a.ID, b.ID))
		})
	}
	return engine.NewTaxonomy(roots), g.settle(nil, g.files.Dict)
}

// Places implements engine.Catalog.
func (c *catalog) Places() (*reference.Table, error) { return c.places() }

// Affinities implements engine.Catalog.
func (c *catalog) Affinities() (*engine.Taxonomy, error) { return c.tree() }

// Term implements engine.Catalog.
func (c *catalog) Term(f query.Field, value string) (engine.Term, bool, error) {
	t, ok, err := c.core.number(f, value)
	if err = c.core.settle(err, c.core.files.Dict); !ok || err != nil {
		return engine.Term{}, false, err
	}
	n, err := c.core.people(t)
	return engine.Term{Value: value, People: n}, err == nil, err
}

// Search implements engine.Catalog. Fields other than JobTitle and Employer
// have no names and are an error.
func (c *catalog) Search(ctx context.Context, f query.Field, q string, offset, limit int) (terms []engine.Term, more bool, err error) {
	if !slices.Contains(storage.NameFields(), f) {
		return nil, false, fmt.Errorf("search names: field %s has none", f)
	}
	names := c.core.files.Names[f]
	if names == nil { // nobody has one
		return nil, false, nil
	}
	err = c.core.guard(func() error {
		terms, more, err = search(ctx, names, c.core.files.Dict, q, offset, limit)
		return err
	})
	err = c.core.settle(err, names, c.core.files.Dict)
	if err != nil {
		return nil, false, err
	}
	return terms, more, nil
}

func search(ctx context.Context, names *storage.Names, dict *storage.Dict, q string, offset, limit int) (terms []engine.Term, more bool, err error) {
	found := 0
	for t, err := range names.Find(ctx, q) {
		if err != nil {
			return nil, false, err
		}
		found++
		if found <= offset {
			continue
		}
		if len(terms) == limit {
			return terms, true, nil
		}
		value, err := dict.Value(t)
		if err != nil {
			return nil, false, err
		}
		people, err := dict.People(t)
		if err != nil {
			return nil, false, err
		}
		terms = append(terms, engine.Term{Value: string(value), People: people})
	}
	return terms, false, nil
}

// Baselines implements engine.Catalog.
func (c *catalog) Baselines() (json.RawMessage, error) {
	file, err := c.core.files.Catalog()
	if err = c.core.settle(err); err != nil {
		return nil, err
	}
	return file.Baselines, nil
}

// Account implements engine.Catalog.
func (c *catalog) Account(network query.Field, id string) (a engine.Account, ok bool, err error) {
	err = c.core.read(c.core.files.Accounts, func() error {
		r, found, err := c.core.files.Accounts.ByID(network, []byte(id))
		if found {
			a, ok = account(r), true
		}
		return err
	})
	if ok || err != nil {
		return a, ok, err
	}
	_, followed, err := c.core.number(network, id)
	err = c.core.settle(err, c.core.files.Dict)
	return engine.Account{ID: id}, followed && isNetwork(network), err
}

// AccountsNamed implements engine.Catalog.
func (c *catalog) AccountsNamed(network query.Field, screenName string) (accounts []engine.Account, err error) {
	folded := storage.FoldName(nil, []byte(screenName))
	if len(folded) == 0 {
		return nil, nil
	}
	err = c.core.read(c.core.files.Accounts, func() error {
		records, err := c.core.files.Accounts.ByName(network, folded)
		accounts = make([]engine.Account, len(records))
		for i, r := range records {
			accounts[i] = account(r)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(accounts, func(a, b engine.Account) int { return strings.Compare(a.ID, b.ID) })
	return accounts, nil
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
