package cluster

import (
	"context"
	"math/rand/v2"
)

const (
	// agree is how much two halves of what members have must agree on their
	// cluster for it to be told from another one: Cohen's kappa, which is 0
	// where they agree as often as by chance, and 1 where they always do.
	agree = 0.2
	// fewToProve is how many members must be told for anything to be proved.
	fewToProve = 20
)

// proved joins clusters that are none: communities are found in noise as well.
// What clusters have is learnt from every other member; of all others what they
// have is cut in halves at random, and either half tells a cluster; then the
// other way round. Of two
// clusters that are real the halves tell the same one. n is 1 where nothing is
// left to tell.
func (s *people) proved(ctx context.Context, labels []uint8, n, terms, workers int) (_ []uint8, _ int, err error) {
	for {
		if labels, err = s.refine(ctx, labels, n, terms, workers); err != nil {
			return nil, 0, err
		}
		a, b, least := closest(s.halves(labels, n, terms), n)
		if least >= agree || n == 1 {
			return labels, n, nil
		}
		// The last one takes the place of b, which is behind a.
		n--
		for i, l := range labels {
			switch {
			case int(l) == b:
				labels[i] = uint8(a)
			case int(l) == n:
				labels[i] = uint8(b)
			case int(l) == n+1:
				labels[i] = uint8(n)
			}
		}
		if n == 1 {
			return labels, n, nil
		}
	}
}

// halves counts members who were not learnt from by the clusters that either
// half of what they have tells.
func (s *people) halves(labels []uint8, n, terms int) []float64 {
	rng := rand.New(rand.NewPCG(5, 6))
	known := make([]uint8, len(labels))
	table := make([]float64, n*n)
	scores := make([]float64, n)
	var held []uint32
	for fold := range 2 {
		for m, l := range labels {
			if known[m] = l; m%2 == fold {
				known[m] = uint8(n)
			}
		}
		p := newProfile(s, known, n, terms)
		for m := fold; m < len(labels); m += 2 {
			held = append(held[:0], s.of(m)...)
			if len(held) < 2 {
				continue
			}
			rng.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
			a, b := p.best(held[:len(held)/2], scores), p.best(held[len(held)/2:], scores)
			if a < n && b < n {
				table[a*n+b]++
			}
		}
	}
	return table
}

// closest finds the two clusters, a before b, that halves agree on least.
func closest(table []float64, n int) (a, b int, least float64) {
	least = 1
	for j := range n {
		for i := range j {
			ii, ij, ji, jj := table[i*n+i], table[i*n+j], table[j*n+i], table[j*n+j]
			total := ii + ij + ji + jj
			p, q := (ii+ij)/total, (ii+ji)/total
			chance := p*q + (1-p)*(1-q)
			if total < fewToProve || chance == 1 {
				continue
			}
			if kappa := ((ii+jj)/total - chance) / (1 - chance); kappa < least {
				a, b, least = i, j, kappa
			}
		}
	}
	return a, b, least
}
