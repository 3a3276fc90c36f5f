package insight

import (
	"fmt"
	"slices"
	"strings"

	"throng/engine"
	"throng/query"
)

// Names tells what terms of a generation are called. It is not safe for
// concurrent use.
type Names struct {
	catalog engine.Catalog
	by      map[query.Field]func(id string) (string, error)
}

// NewNames makes Names of a catalog.
func NewNames(c engine.Catalog) *Names {
	return &Names{catalog: c, by: map[query.Field]func(id string) (string, error){}}
}

// Name is what a term is called: its id where it has no other name.
func (n *Names) Name(f query.Field, id string) (string, error) {
	name := n.by[f]
	if name == nil {
		all := Dimensions()
		at := slices.IndexFunc(all, func(d Dimension) bool { return d.Field == f })
		if at < 0 {
			return id, nil
		}
		var err error
		if name, err = namer(n.catalog, all[at]); err != nil {
			return "", fmt.Errorf("name terms of %s: %w", f, err)
		}
		n.by[f] = name
	}
	called, err := name(id)
	if called == "" {
		called = id
	}
	return called, err
}

// TermCount is how many members of a cluster and of its audience have a term.
type TermCount struct {
	Field query.Field
	// Index is its number in the field, as of Catalog.TermAt.
	Index             int
	Members, Audience uint32
}

// topTerms is how many terms of a cluster are told, at most.
const topTerms = 20

// NewCluster describes a cluster of an audience of so many people; terms are
// those that set it apart, the most telling first.
func NewCluster(id int, members, audience uint64, terms []TermCount, names *Names) (Cluster, error) {
	c := Cluster{ID: id, Size: members, Share: float64(members) / float64(audience)}
	for _, t := range terms[:min(len(terms), topTerms)] {
		term, err := names.catalog.TermAt(t.Field, t.Index)
		if err != nil {
			return c, fmt.Errorf("find term: %w", err)
		}
		name, err := names.Name(t.Field, term.Value)
		if err != nil {
			return c, err
		}
		based := uint64(t.Audience)
		r := ranked{}
		r.ratio, r.error = ratio(uint64(t.Members), members, based, audience)
		index, low, high := r.interval()
		share := float64(based) / float64(audience)
		c.Top = append(c.Top, ClusterTerm{Dimension: dimensionOf(t.Field), Term: Term{
			ID: term.Value, Name: name, Count: uint64(t.Members), Share: float64(t.Members) / float64(members),
			BaselineCount: &based, BaselineShare: &share, Index: &index, Low: &low, High: &high,
		}})
	}
	return c, c.call(names.catalog)
}

func dimensionOf(f query.Field) string {
	for _, d := range Dimensions() {
		if d.Field == f {
			return d.Name
		}
	}
	return string(f)
}

// call names a cluster by the two terms that set it most apart, neither of which
// says the other.
func (c *Cluster) call(catalog engine.Catalog) error {
	tree, err := catalog.Affinities()
	if err != nil {
		return err
	}
	var first *ClusterTerm
	var words []string
	for i := range c.Top {
		t := &c.Top[i]
		if first != nil && (t.Name == first.Name || related(tree, first, t)) {
			continue
		}
		words = append(words, t.Name)
		if len(words) == 2 {
			break
		}
		first = t
	}
	if c.Name = strings.Join(words, separates); c.Name == "" {
		c.Name = fmt.Sprintf("Cluster %d", c.ID)
	}
	return nil
}

// separates the words of a cluster's name.
const separates = " · "

// from is the cluster with its terms from a minimum of members on, also in its
// name: the minimum was perhaps smaller when it was described.
func (c Cluster) from(minimum uint64) Cluster {
	told := true
	top := make([]ClusterTerm, 0, len(c.Top))
	for _, t := range c.Top {
		if t.Count >= minimum {
			top = append(top, t)
		} else if strings.Contains(separates+c.Name+separates, separates+t.Name+separates) {
			told = false
		}
	}
	if c.Top = top; told {
		return c
	}
	if c.Name = fmt.Sprintf("Cluster %d", c.ID); len(top) > 0 {
		c.Name = top[0].Name
	}
	return c
}

// related tells whether one of two terms is a category above the other.
func related(tree *engine.Taxonomy, a, b *ClusterTerm) bool {
	x, ok := tree.Lookup(a.ID)
	y, too := tree.Lookup(b.ID)
	if !ok || !too || a.Dimension != b.Dimension {
		return false
	}
	return above(x, y) || above(y, x)
}

// above tells whether x is y or a category above it.
func above(x, y *engine.Affinity) bool {
	for ; y != nil; y = y.Parent {
		if x == y {
			return true
		}
	}
	return false
}
