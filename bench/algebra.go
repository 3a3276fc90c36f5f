package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"throng/engine/bitmap/storage"
	"throng/query"
)

// algebra evaluates definitions with roaring, on bitmaps read from the index.
// Phrases, which roaring has nothing for, it takes as answered already.
type algebra struct {
	s     *stack
	terms map[fieldTerm]*roaring.Bitmap
	sets  map[string]*roaring.Bitmap // of texts and rows, by path
	all   *roaring.Bitmap
}

// newAlgebra reads all that a definition needs.
func (s *stack) newAlgebra(ctx context.Context, d query.Definition) (*algebra, error) {
	a := &algebra{s: s, terms: map[fieldTerm]*roaring.Bitmap{}, sets: map[string]*roaring.Bitmap{}, all: roaring.New()}
	a.all.AddRange(0, s.one.generation.Info().People)
	for i, step := range d.Steps {
		if err := a.read(ctx, fmt.Sprint(i), step.Node); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *algebra) read(ctx context.Context, path string, n query.Node) error {
	switch n := n.(type) {
	case query.And:
		return a.readAll(ctx, path, n.Nodes)
	case query.Or:
		return a.readAll(ctx, path, n.Nodes)
	case query.Not:
		return a.read(ctx, path+"/0", n.Node)
	case query.In:
		return a.readTerms(n.Field, n.Values)
	case query.AtLeast:
		return a.readTerms(n.Field, n.Values)
	case query.Text, query.Rows:
		set, _, err := a.s.one.generation.Select(ctx, query.Definition{Steps: []query.Step{{Op: query.Include, Node: n}}}, 0)
		if err != nil {
			return err
		}
		a.sets[path], err = a.s.readRows(set)
		return err
	}
	return fmt.Errorf("evaluate a node of type %T", n)
}

func (a *algebra) readAll(ctx context.Context, path string, nodes []query.Node) error {
	for i, n := range nodes {
		if err := a.read(ctx, fmt.Sprint(path, "/", i), n); err != nil {
			return err
		}
	}
	return nil
}

func (a *algebra) readTerms(f query.Field, values []string) error {
	for _, t := range fieldTerms(f, values...) {
		if t.value == query.Unknown {
			return errors.New("evaluate those of whom something is not known")
		}
		if a.terms[t] != nil {
			continue
		}
		b, err := a.s.readTerm(t)
		if err != nil {
			return err
		}
		a.terms[t] = b
	}
	return nil
}

// touched lists the terms that were read.
func (a *algebra) touched() []fieldTerm {
	list := make([]fieldTerm, 0, len(a.terms))
	for t := range a.terms {
		list = append(list, t)
	}
	return list
}

// readTerm makes a bitmap of a term's rows in the index.
func (s *stack) readTerm(t fieldTerm) (*roaring.Bitmap, error) {
	out := roaring.New()
	n, ok, err := s.files.Dict.Number(t.field, []byte(t.value))
	if err != nil || !ok {
		return out, err
	}
	for _, part := range s.files.Parts {
		ps, err := part.Postings(n)
		if err != nil {
			return nil, err
		}
		for b := range storage.PartBlocks {
			addContainer(out, part.FirstRow()+uint32(b*storage.BlockRows), ps.Container(b))
		}
	}
	out.RunOptimize()
	return out, nil
}

func addContainer(out *roaring.Bitmap, first uint32, c storage.Container) {
	for _, r := range c.Array {
		out.Add(first + uint32(r))
	}
	for _, r := range c.Runs {
		out.AddRange(uint64(first)+uint64(r.Start), uint64(first)+uint64(r.Last)+1)
	}
	for i, w := range c.Bitmap {
		for bit := range 64 {
			if w>>bit&1 != 0 {
				out.Add(first + uint32(i*64+bit))
			}
		}
	}
}

// readRows makes a bitmap of a set of rows, from the form in which the engine
// stores it (docs/format.md).
func (s *stack) readRows(set query.RowSet) (*roaring.Bitmap, error) {
	var file bytes.Buffer
	if err := s.one.generation.WriteRows(&file, set); err != nil {
		return nil, err
	}
	const header, sum = 8 + 4 + 4 + 8 + 32 + 4, 4
	le := binary.LittleEndian
	out := roaring.New()
	for b := file.Bytes()[header : file.Len()-sum]; len(b) > 0; {
		first, kind, units := le.Uint32(b)*storage.BlockRows, storage.Kind(le.Uint16(b[4:])), int(le.Uint16(b[6:]))+1
		b = b[8:]
		var c storage.Container
		size := 0
		switch kind {
		case storage.Array:
			for i := range units {
				c.Array = append(c.Array, le.Uint16(b[2*i:]))
			}
			size = 2 * units
		case storage.Bitmap:
			for i := range units {
				c.Bitmap = append(c.Bitmap, le.Uint64(b[8*i:]))
			}
			size = 8 * units
		case storage.Runs:
			for i := range units {
				c.Runs = append(c.Runs, storage.Run{Start: le.Uint16(b[4*i:]), Last: le.Uint16(b[4*i+2:])})
			}
			size = 4 * units
		case storage.None:
			return nil, errors.New("read rows: a block of no kind")
		}
		addContainer(out, first, c)
		b = b[size:]
	}
	if out.GetCardinality() != set.Len() {
		return nil, fmt.Errorf("read rows: found %d, want %d", out.GetCardinality(), set.Len())
	}
	return out, nil
}

// after evaluates a definition and gives the size after each step, in the
// order of the steps: all includes first, then the filters, then what is
// excluded.
func (a *algebra) after(d query.Definition) []uint64 {
	sizes := make([]uint64, len(d.Steps))
	set := roaring.New()
	for _, op := range []query.Op{query.Include, query.Filter, query.Exclude} {
		for i, step := range d.Steps {
			if step.Op != op {
				continue
			}
			n := a.node(fmt.Sprint(i), step.Node)
			switch op {
			case query.Include:
				set.Or(n)
			case query.Filter:
				set.And(n)
			case query.Exclude:
				set.AndNot(n)
			}
			sizes[i] = set.GetCardinality()
		}
	}
	return sizes
}

// node evaluates a node. What it returns may be shared and is only read.
func (a *algebra) node(path string, n query.Node) *roaring.Bitmap {
	switch n := n.(type) {
	case query.And:
		if len(n.Nodes) == 0 {
			return a.all
		}
		return roaring.FastAnd(a.nodes(path, n.Nodes)...)
	case query.Or:
		return roaring.FastOr(a.nodes(path, n.Nodes)...)
	case query.Not:
		return roaring.AndNot(a.all, a.node(path+"/0", n.Node))
	case query.In:
		return roaring.FastOr(a.lookup(n.Field, n.Values)...)
	case query.AtLeast:
		return atLeast(n.K, a.lookup(n.Field, n.Values))
	case query.Text, query.Rows:
		return a.sets[path]
	}
	return roaring.New()
}

func (a *algebra) nodes(path string, nodes []query.Node) []*roaring.Bitmap {
	out := make([]*roaring.Bitmap, len(nodes))
	for i, n := range nodes {
		out[i] = a.node(fmt.Sprint(path, "/", i), n)
	}
	return out
}

func (a *algebra) lookup(f query.Field, values []string) []*roaring.Bitmap {
	out := make([]*roaring.Bitmap, len(values))
	for i, t := range fieldTerms(f, values...) {
		out[i] = a.terms[t]
	}
	return out
}
