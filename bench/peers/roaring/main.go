// Command roaring answers with bitmaps of RoaringBitmap/roaring in memory, one
// for each term, by its fastest functions for each step.
package main

import (
	"context"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"throng/bench/peers/internal/peer"
	"throng/bench/peers/internal/population"
)

func main() { peer.Serve(&library{}) }

type library struct {
	terms    map[int]*roaring.Bitmap
	audience *roaring.Bitmap
}

// Usage implements peer.Engine: everything is in this process.
func (*library) Usage() time.Duration { return 0 }

// Load implements peer.Engine.
func (l *library) Load(_ context.Context, c peer.Command) ([]peer.Layout, string, int64, error) {
	p := population.New(c.People)
	l.terms = map[int]*roaring.Bitmap{}
	var bytes uint64
	for i, t := range p.Terms {
		b := roaring.New()
		b.AddMany(t.Members)
		b.RunOptimize()
		l.terms[t.ID] = b
		bytes += b.GetSerializedSizeInBytes()
		p.Terms[i].Members = nil
	}
	l.audience = l.ask()
	return []peer.Layout{{Name: "bitmap per term", Ops: []string{peer.Count, peer.Terms}}}, "v2.30.0", int64(bytes), nil
}

func (l *library) ask() *roaring.Bitmap {
	of := func(ids []int) (list []*roaring.Bitmap) {
		for _, id := range ids {
			list = append(list, l.terms[id])
		}
		return list
	}
	result := roaring.And(roaring.FastOr(of(population.AnyOf)...), l.terms[population.Also])
	result.AndNot(l.terms[population.Never])
	terms := of(population.TwoOf)
	// The greatest first: what two have is then found in few steps.
	slices.SortFunc(terms, func(a, b *roaring.Bitmap) int { return int(b.GetCardinality()) - int(a.GetCardinality()) })
	one, two := terms[0].Clone(), roaring.New()
	for _, t := range terms[1:] {
		two.Or(roaring.And(one, t))
		one.Or(t)
	}
	result.Or(two)
	result.And(l.terms[population.Male])
	result.And(roaring.FastOr(of(population.InAge)...))
	return result
}

// Count implements peer.Engine.
func (l *library) Count(context.Context, string) (uint64, error) {
	return l.ask().GetCardinality(), nil
}

// Terms implements peer.Engine.
func (l *library) Terms(context.Context, string) ([]uint64, error) {
	counts := make([]uint64, population.Affinity)
	for i := range counts {
		counts[i] = l.audience.AndCardinality(l.terms[population.FirstAffinity+i])
	}
	return counts, nil
}
