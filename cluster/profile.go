package cluster

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// doubt is how many members' worth of evidence a term needs to be believed to
// be more at home in one cluster than in another.
const doubt = 5

// profile is how much more often the members of each of n clusters have a term
// than all: logarithms, of term t in cluster c at t·n+c.
type profile struct {
	n     int
	lifts []float32
}

// newProfile learns from members with labels; n is that of those without a
// cluster.
func newProfile(s *people, labels []uint8, n, terms int) *profile {
	counts := make([]uint32, terms*n)
	whole, sums := make([]uint32, terms), make([]float64, n)
	from := uint32(0)
	total := 0.0
	for m, end := range s.ends {
		held := s.held[from:end]
		from = end
		c := int(labels[m])
		if c == n {
			continue
		}
		for _, t := range held {
			counts[int(t)*n+c]++
			whole[t]++
		}
		sums[c] += float64(len(held))
		total += float64(len(held))
	}
	p := &profile{n: n, lifts: make([]float32, terms*n)}
	for t := range terms {
		for c := range n {
			expected := float64(whole[t]) * sums[c] / total
			p.lifts[t*n+c] = float32(math.Log((float64(counts[t*n+c]) + doubt) / (expected + doubt)))
		}
	}
	return p
}

// best is the cluster in which terms are most at home; n where they are as much
// so in all. It needs memory for n scores.
func (p *profile) best(terms []uint32, scores []float64) int {
	clear(scores)
	for _, t := range terms {
		for c, v := range p.lifts[int(t)*p.n:][:p.n] {
			scores[c] += float64(v)
		}
	}
	if slices.Min(scores) == slices.Max(scores) {
		return p.n
	}
	return slices.Index(scores, slices.Max(scores))
}

// refine moves members to where what they have is at home, and learns anew
// what that is, until next to nobody moves.
func (s *people) refine(ctx context.Context, labels []uint8, n, terms, workers int) ([]uint8, error) {
	for range rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		next := s.labels(newProfile(s, labels, n, terms), workers)
		moved := 0
		for i, l := range next {
			if l != labels[i] {
				moved++
			}
		}
		labels = next
		if moved*1000 < len(labels) {
			break
		}
	}
	return labels, nil
}

// labels finds the cluster of every member.
func (s *people) labels(p *profile, workers int) []uint8 {
	const stretch = 1024
	out := make([]uint8, len(s.ends))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			scores := make([]float64, p.n)
			for {
				from := int(next.Add(1)-1) * stretch
				if from >= len(out) {
					return
				}
				for m := from; m < min(from+stretch, len(out)); m++ {
					out[m] = uint8(p.best(s.of(m), scores))
				}
			}
		})
	}
	wait.Wait()
	return out
}

// of is what a member has.
func (s *people) of(m int) []uint32 {
	if m == 0 {
		return s.held[:s.ends[0]]
	}
	return s.held[s.ends[m-1]:s.ends[m]]
}

// largest makes clusters of communities: labels of members, of whom n are in
// none. Communities of too few members are none, and where there are more than
// Most, those are joined that lose least by it.
func (g *graph) largest(of []uint32, members, minimum int) (labels []uint8, n int) {
	sizes := make([]int, slices.Max(of)+1)
	for _, c := range of[:members] {
		sizes[c]++
	}
	order := make([]int, len(sizes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return sizes[b] - sizes[a] })
	const most = 200 // joining takes the third power of it
	least := max(minimum, int(leastShare*float64(members)))
	number := make([]uint32, len(sizes))
	for i, c := range order {
		if number[c] = uint32(n); i < most && sizes[c] >= least {
			n++
		} else {
			number[c] = none
		}
	}
	if n < Fewest { // many small ones, or one
		n = 0
		for i, c := range order {
			if number[c] = uint32(n); i < Most && sizes[c] >= minimum {
				n++
			} else {
				number[c] = none
			}
		}
	}
	to := g.merge(of, number, n)
	labels = make([]uint8, members)
	n = min(n, Most)
	for i, c := range of[:members] {
		if labels[i] = uint8(n); number[c] != none {
			labels[i] = to[number[c]]
		}
	}
	return labels, n
}

// merge joins communities until there are at most Most: what each becomes.
func (g *graph) merge(of, number []uint32, n int) []uint8 {
	links, out, in := make([]float64, n*n), make([]float64, n), make([]float64, n)
	for v := range uint32(g.nodes()) {
		c := number[of[v]]
		if c == none {
			continue
		}
		out[c] += g.out[v]
		in[c] += g.in[v]
		to, count := g.edges(v)
		for i, u := range to {
			if d := number[of[u]]; d != none && d != c {
				links[int(c)*n+int(d)] += count[i]
			}
		}
	}
	into := make([]int, n)
	for i := range into {
		into[i] = i
	}
	for left := n; left > Most; left-- {
		a, b, most := 0, 0, math.Inf(-1)
		for i := range n {
			for j := i + 1; j < n && into[i] == i; j++ {
				if into[j] != j {
					continue
				}
				if gain := links[i*n+j] - (out[i]*in[j]+out[j]*in[i])/g.total; gain > most {
					a, b, most = i, j, gain
				}
			}
		}
		into[b] = a
		out[a] += out[b]
		in[a] += in[b]
		for j := range n {
			links[a*n+j] += links[b*n+j]
			links[j*n+a] += links[j*n+b]
		}
	}
	labels, next := make([]uint8, n), uint8(0)
	for i, j := range into {
		if i == j {
			labels[i] = next
			next++
			continue
		}
		for into[j] != j {
			j = into[j]
		}
		labels[i] = labels[j] // j is less than i
	}
	return labels
}

// sharp is how far apart clusters of members are: their modularity, with every
// term where that is most.
func (g *graph) sharp(labels []uint8, n int) float64 {
	of := make([]uint32, g.nodes())
	sums, counts := make([]float64, n), make([]float64, n+1)
	for i, l := range labels {
		of[i] = uint32(l)
		if int(l) < n {
			sums[l] += g.out[i]
		}
	}
	for v := len(labels); v < len(of); v++ {
		clear(counts)
		to, _ := g.edges(uint32(v))
		for _, m := range to {
			counts[labels[m]]++
		}
		best, most := uint32(n), 0.0
		for c, sum := range sums {
			if gain := counts[c] - sum*g.in[v]/g.total; gain > most {
				best, most = uint32(c), gain
			}
		}
		of[v] = best
	}
	return g.modularity(of, n)
}
