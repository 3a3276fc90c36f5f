package cluster

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

// graph is what members have, as a graph between members and terms. Its
// communities hold both. How good they are is told by the modularity of such
// graphs (Barber 2007): the share of edges inside communities, less that
// expected if everybody had as many terms and every term as many members, but
// none in particular. Communities that are good are found as Blondel et al.
// (2008) do: nodes move to where they add most, then communities become nodes.
type graph struct {
	ends  []uint32 // where the edges of a node end
	to    []uint32
	count []float64 // how many edges an edge stands for
	// out and in are how many edges a node has as members, and as terms.
	out, in []float64
	// inside is the edges within a node.
	inside []float64
	total  float64
}

// newGraph makes the graph of members whose terms are numbered from 0 up to
// terms: node i is member i, terms follow.
func newGraph(ends, held []uint32, terms int) *graph {
	members := len(ends)
	g := &graph{
		ends: make([]uint32, members+terms), to: make([]uint32, 2*len(held)), count: make([]float64, 2*len(held)),
		out: make([]float64, members+terms), in: make([]float64, members+terms),
		inside: make([]float64, members+terms), total: float64(len(held)),
	}
	copy(g.ends, ends)
	copy(g.to, held)
	for _, t := range held {
		g.in[members+int(t)]++
	}
	for i := range held {
		g.to[i] += uint32(members)
	}
	at := uint32(len(held))
	next := make([]uint32, terms)
	for t := range terms {
		next[t] = at
		at += uint32(g.in[members+t])
		g.ends[members+t] = at
	}
	from := uint32(0)
	for m, end := range ends {
		for _, t := range held[from:end] {
			g.to[next[t]] = uint32(m)
			next[t]++
		}
		g.out[m] = float64(end - from)
		from = end
	}
	for i := range g.count {
		g.count[i] = 1
	}
	return g
}

func (g *graph) nodes() int { return len(g.ends) }

func (g *graph) edges(node uint32) (to []uint32, count []float64) {
	from := uint32(0)
	if node > 0 {
		from = g.ends[node-1]
	}
	return g.to[from:g.ends[node]], g.count[from:g.ends[node]]
}

// modularity tells how good the communities below n are.
func (g *graph) modularity(of []uint32, n int) float64 {
	inside, out, in := make([]float64, n), make([]float64, n), make([]float64, n)
	for v := range uint32(g.nodes()) {
		c := of[v]
		if int(c) >= n {
			continue
		}
		inside[c] += 2 * g.inside[v]
		out[c] += g.out[v]
		in[c] += g.in[v]
		to, count := g.edges(v)
		for i, u := range to {
			if of[u] == c {
				inside[c] += count[i]
			}
		}
	}
	q := 0.0
	for c := range inside {
		q += inside[c]/(2*g.total) - out[c]*in[c]/(g.total*g.total)
	}
	return q
}

// best finds the best communities of some tries.
func (g *graph) best(ctx context.Context) (best []uint32, err error) {
	most := math.Inf(-1)
	for seed := range uint64(tries) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		of := g.communities(rand.New(rand.NewPCG(seed, 2)))
		if q := g.modularity(of, g.nodes()); q > most {
			best, most = of, q
		}
	}
	return best, nil
}

// communities finds good ones: the number of that of each node, in order of
// first appearance.
func (g *graph) communities(rng *rand.Rand) []uint32 {
	of, n := g.move(rng, nil)
	for range passes {
		for at, last := g, 0; last != n; {
			last, at = n, g.join(of, n)
			moved, fewer := at.move(rng, nil)
			for i, c := range of {
				of[i] = moved[c]
			}
			n = fewer
		}
		before := slices.Clone(of)
		if of, n = g.move(rng, of); slices.Equal(before, of) {
			break
		}
	}
	return of
}

// begin gives the community of each node, its own where from is nil, and what goes
// out of each community and into it.
func (g *graph) begin(from []uint32) (of []uint32, out, in []float64) {
	of = make([]uint32, g.nodes())
	for i := range of {
		of[i] = uint32(i)
	}
	out, in = slices.Clone(g.out), slices.Clone(g.in)
	if from != nil {
		copy(of, from)
		clear(out)
		clear(in)
		for v, c := range of {
			out[c] += g.out[v]
			in[c] += g.in[v]
		}
	}
	return of, out, in
}

// move moves nodes, each in a community of its own at first where no other is
// given, for as long as something gets better.
func (g *graph) move(rng *rand.Rand, from []uint32) (of []uint32, n int) {
	nodes := g.nodes()
	of, out, in := g.begin(from)
	queue, waits := make([]uint32, nodes), make([]bool, nodes)
	for i := range queue {
		queue[i], waits[i] = uint32(i), true
	}
	rng.Shuffle(nodes, func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
	links := make([]float64, nodes) // from the node at hand to each community
	var near []uint32
	for moves := 0; len(queue) > 0 && moves < maxMoves*nodes; moves++ {
		v := queue[0]
		queue = queue[1:]
		waits[v] = false
		old := of[v]
		to, count := g.edges(v)
		near = append(near[:0], old)
		for i, u := range to {
			if c := of[u]; u != v {
				if links[c] == 0 && c != old {
					near = append(near, c)
				}
				links[c] += count[i]
			}
		}
		out[old] -= g.out[v]
		in[old] -= g.in[v]
		best, most := old, links[old]-(g.out[v]*in[old]+g.in[v]*out[old])/g.total
		for _, c := range near[1:] {
			if gain := links[c] - (g.out[v]*in[c]+g.in[v]*out[c])/g.total; gain > most+leastGain {
				best, most = c, gain
			}
		}
		for _, c := range near {
			links[c] = 0
		}
		out[best] += g.out[v]
		in[best] += g.in[v]
		of[v] = best
		if best == old {
			continue
		}
		for _, u := range to {
			if !waits[u] && of[u] != best {
				waits[u] = true
				queue = append(queue, u)
			}
		}
	}
	return renumber(of)
}

const (
	// passes is how often single nodes are moved again, once communities are
	// found, at most.
	passes = 3
	// maxMoves is how often nodes are looked at, on average, at most.
	maxMoves = 30
	// leastGain, in edges, keeps rounding from moving nodes to and fro.
	leastGain = 1e-9
)

// renumber numbers communities in order of first appearance.
func renumber(of []uint32) (numbered []uint32, n int) {
	number := map[uint32]uint32{}
	for i, c := range of {
		k, ok := number[c]
		if !ok {
			k = uint32(len(number))
			number[c] = k
		}
		of[i] = k
	}
	return of, len(number)
}

// join makes a graph of which each community is a node.
func (g *graph) join(of []uint32, n int) *graph {
	j := &graph{
		ends: make([]uint32, n), out: make([]float64, n), in: make([]float64, n),
		inside: make([]float64, n), total: g.total,
	}
	members := make([][]uint32, n)
	for v, c := range of {
		members[c] = append(members[c], uint32(v))
		j.out[c] += g.out[v]
		j.in[c] += g.in[v]
		j.inside[c] += g.inside[v]
	}
	links := make([]float64, n)
	var near []uint32
	for c := range uint32(n) {
		near = near[:0]
		for _, v := range members[c] {
			to, count := g.edges(v)
			for i, u := range to {
				d := of[u]
				if d == c {
					j.inside[c] += count[i] / 2
					continue
				}
				if links[d] == 0 {
					near = append(near, d)
				}
				links[d] += count[i]
			}
		}
		for _, d := range near {
			j.to, j.count = append(j.to, d), append(j.count, links[d])
			links[d] = 0
		}
		j.ends[c] = uint32(len(j.to))
	}
	return j
}
