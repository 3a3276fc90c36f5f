package load

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"throng/dataset"
	"throng/engine/bitmap/load/intern"
	"throng/engine/bitmap/storage"
	"throng/query"
	"throng/reference"
)

// Reasons for which rows about affinities are left out.
const (
	rejectDuplicateAffinity = "duplicate affinity"
	rejectNoParent          = "no parent"
	rejectUnknownParent     = "unknown parent"
	rejectCycle             = "parent is on a cycle"
	rejectBelowRejected     = "parent was rejected"
	rejectRootWithParent    = "a root has no parent"
	rejectUnknownAffinity   = "unknown affinity"
	rejectRootAffinity      = "affinity is a root"
)

// affinity is a node below the roots that rows may have.
type affinity struct {
	id, name, parent string
	at               place
	state            uint8 // of resolve
	// terms are the temporary numbers of the node and those above it, up to
	// the root, which has none.
	terms []uint32
}

// place is where a row of a small table is.
type place struct {
	file      string
	fileIndex int
	line      int
	order     uint64
}

func placeOf(b *dataset.Batch, row int) (place, error) {
	o, err := orderOf(b, row)
	return place{b.File, b.FileIndex, b.Lines[row], o}, err
}

const (
	stateNew = iota
	stateOpen
	stateGood
	stateBad
)

// taxonomy is the tree of affinities, which is kept in memory: people choose
// from it.
type taxonomy struct {
	roots map[string]bool
	nodes map[string]*affinity
}

// readTaxonomy reads the table of affinities and rejects what hangs nowhere.
func (l *loader) readTaxonomy(ctx context.Context) (*taxonomy, error) {
	t := &taxonomy{roots: map[string]bool{}, nodes: map[string]*affinity{}}
	for _, r := range reference.AffinityRoots() {
		t.roots[r.ID] = true
	}
	var mu sync.Mutex
	var list []*affinity
	err := l.read(ctx, dataset.Affinities, func(b *dataset.Batch) error {
		var r dataset.AffinityRow
		for row := range b.Rows() {
			if out := r.Decode(b, row); !out.OK() {
				l.rejects.Reject(b, row, out.Reject)
				continue
			}
			at, err := placeOf(b, row)
			if err != nil {
				return err
			}
			a := &affinity{id: string(r.ID), name: string(r.Name), parent: string(r.Parent), at: at}
			mu.Lock()
			list = append(list, a)
			mu.Unlock()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b *affinity) int { return cmp.Compare(a.at.order, b.at.order) })
	for _, a := range list {
		t.add(l, a)
	}
	for _, a := range list {
		if t.nodes[a.id] == a {
			t.resolve(l, a)
		}
	}
	return t, t.number(l)
}

func (l *loader) rejectAt(table string, at place, reason string) {
	l.rejects.RejectAt(table, at.file, at.fileIndex, at.line, reason)
}

// add takes in a row. A row of a root says nothing new.
func (t *taxonomy) add(l *loader, a *affinity) {
	switch {
	case t.roots[a.id] && a.parent != "":
		l.rejectAt(dataset.Affinities, a.at, rejectRootWithParent)
	case t.roots[a.id]:
		l.rejects.Load(dataset.Affinities, 1)
	case t.nodes[a.id] != nil:
		l.rejectAt(dataset.Affinities, a.at, rejectDuplicateAffinity)
	default:
		t.nodes[a.id] = a
	}
}

// resolve follows the parents of a node up to a root, or to where they fail,
// and settles all nodes on the way.
func (t *taxonomy) resolve(l *loader, a *affinity) {
	var path []*affinity
	reason := ""
	at := a
	for reason == "" && at.state == stateNew {
		at.state = stateOpen
		path = append(path, at)
		parent := t.nodes[at.parent]
		switch {
		case t.roots[at.parent]:
			t.settle(l, path, stateGood, "", nil)
			return
		case at.parent == "":
			reason = rejectNoParent
		case parent == nil:
			reason = rejectUnknownParent
		default:
			at = parent
		}
	}
	switch {
	case reason != "":
		t.settle(l, path, stateBad, reason, path[len(path)-1:])
	case at.state == stateGood:
		t.settle(l, path, stateGood, "", nil)
	case at.state == stateBad:
		t.settle(l, path, stateBad, "", nil)
	default: // open: the path runs into itself
		t.settle(l, path, stateBad, rejectCycle, path[slices.Index(path, at):])
	}
}

// settle gives the nodes of a path their state; own are those that are
// rejected for the reason itself, the others for what is above them.
func (t *taxonomy) settle(l *loader, path []*affinity, state uint8, reason string, own []*affinity) {
	for _, a := range path {
		if a.state = state; state == stateGood {
			l.rejects.Load(dataset.Affinities, 1)
			continue
		}
		if slices.Contains(own, a) {
			l.rejectAt(dataset.Affinities, a.at, reason)
		} else {
			l.rejectAt(dataset.Affinities, a.at, rejectBelowRejected)
		}
	}
}

// number gives each accepted node its terms, and forgets the others.
func (t *taxonomy) number(l *loader) error {
	terms := l.dict.NewCache()
	for id, a := range t.nodes {
		if a.state != stateGood {
			delete(t.nodes, id)
		}
	}
	for _, a := range t.nodes {
		for n := a; n != nil; n = t.nodes[n.parent] {
			term, err := terms.Intern(l.fields[query.Affinity], []byte(n.id))
			if err != nil {
				return err
			}
			a.terms = append(a.terms, term)
		}
	}
	return nil
}

// catalog lists the nodes by id.
func (t *taxonomy) catalog() []storage.CatalogAffinity {
	list := make([]storage.CatalogAffinity, 0, len(t.nodes))
	for _, a := range t.nodes {
		list = append(list, storage.CatalogAffinity{ID: a.id, Name: a.name, Parent: a.parent})
	}
	slices.SortFunc(list, func(a, b storage.CatalogAffinity) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// find gives the node of an id, or why nobody can have the affinity.
func (t *taxonomy) find(id []byte) (*affinity, string) {
	if a := t.nodes[string(id)]; a != nil {
		return a, ""
	}
	if t.roots[string(id)] {
		return nil, rejectRootAffinity
	}
	return nil, rejectUnknownAffinity
}

// readAffinityAccounts finds the terms that following an account brings, by
// the account's own.
func (l *loader) readAffinityAccounts(ctx context.Context) (map[uint32][]uint32, error) {
	var mu sync.Mutex
	brings := map[uint32][]uint32{}
	free := make(chan *intern.Cache, l.workers)
	for range l.workers {
		free <- l.dict.NewCache()
	}
	err := l.read(ctx, dataset.AffinityAccounts, func(b *dataset.Batch) error {
		t := <-free
		defer func() { free <- t }()
		var r dataset.AffinityAccountRow
		loaded := uint64(0)
		for row := range b.Rows() {
			reason := r.Decode(b, row).Reject
			var a *affinity
			if reason == "" {
				a, reason = l.taxonomy.find(r.Affinity)
			}
			if reason != "" {
				l.rejects.Reject(b, row, reason)
				continue
			}
			account, err := t.Intern(l.fields[r.Network], r.Account)
			if err != nil {
				return err
			}
			mu.Lock()
			for _, term := range a.terms {
				if list := brings[account]; !slices.Contains(list, term) {
					brings[account] = append(list, term)
				}
			}
			mu.Unlock()
			loaded++
		}
		l.rejects.Load(b.Table, loaded)
		return nil
	})
	return brings, err
}
