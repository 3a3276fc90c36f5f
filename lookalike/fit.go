package lookalike

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"throng/engine"
)

// none is the number of a term that does not weigh.
const none = math.MaxUint32

const (
	// ridge is the penalty on half the square of each weight, in examples.
	ridge = 2.0
	// steps bounds how often weights are made better; what follows changes
	// the order of people next to nothing.
	steps = 40
	// memory is of how many steps the curvature is remembered.
	memory = 8
	// groups is how many sums are made on their own and then added in order,
	// so that rounding does not depend on the number of goroutines.
	groups = 16
	// enough is a change of the loss, relative to it, that is none.
	enough = 1e-6
)

// batch is what some people have.
type batch struct {
	first  uint64
	member bool
	ends   []uint32
	terms  []uint32
}

func newBatch(h *engine.Held, number []uint32, member bool) *batch {
	b := &batch{first: h.First, member: member, ends: make([]uint32, len(h.Ends)), terms: make([]uint32, 0, len(h.Terms))}
	from := uint32(0)
	for i, end := range h.Ends {
		for _, t := range h.Terms[from:end] {
			if n := number[t]; n != none {
				b.terms = append(b.terms, n)
			}
		}
		from, b.ends[i] = end, uint32(len(b.terms))
	}
	b.terms = slices.Clip(b.terms)
	return b
}

// examples is people to learn from: as much in all are members as others.
type examples struct {
	batches         []*batch
	members, others float64
}

// fit finds weights of so many terms; behind them stands what everybody has.
func (e *examples) fit(ctx context.Context, terms, workers int) ([]float64, error) {
	f := &fitter{examples: e, workers: workers, n: terms + 1}
	for i := range f.parts {
		f.parts[i] = make([]float64, f.n)
	}
	return f.minimize(ctx)
}

// fitter minimizes the loss by the method of Broyden, Fletcher, Goldfarb and
// Shanno with limited memory (Liu and Nocedal 1989).
type fitter struct {
	*examples
	workers, n int
	parts      [groups][]float64 // of the gradient
}

// loss gives the loss of weights, and its gradient in grad.
func (f *fitter) loss(ctx context.Context, w, grad []float64) (float64, error) {
	var sums [groups]float64
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(f.workers, groups) {
		wait.Go(func() {
			for ctx.Err() == nil {
				g := int(next.Add(1)) - 1
				if g >= groups {
					return
				}
				clear(f.parts[g])
				for i := g; i < len(f.batches); i += groups {
					b := f.batches[i]
					sums[g] += b.loss(w, f.parts[g], f.weightOf(b))
				}
			}
		})
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	total := 0.0
	for i, v := range w[:f.n-1] {
		grad[i] = ridge * v
		total += ridge / 2 * v * v
	}
	grad[f.n-1] = 0
	for g, part := range f.parts {
		total += sums[g]
		for i, v := range part {
			grad[i] += v
		}
	}
	return total, nil
}

// weightOf is what each example of a batch counts.
func (f *fitter) weightOf(b *batch) float64 {
	mean := (f.members + f.others) / 2
	if b.member {
		return mean / f.members
	}
	return mean / f.others
}

// loss adds the loss of a batch's examples, each of which counts so much.
func (b *batch) loss(w, grad []float64, each float64) (sum float64) {
	bias := len(w) - 1
	from := uint32(0)
	for _, end := range b.ends {
		terms := b.terms[from:end]
		from = end
		f := w[bias]
		for _, t := range terms {
			f += w[t]
		}
		if b.member {
			f = -f
		}
		// f is now how wrong the sign is: loss log(1+e^f).
		var p float64
		if f > 0 {
			z := math.Exp(-f)
			p = 1 / (1 + z)
			sum += each * (f + math.Log1p(z))
		} else {
			z := math.Exp(f)
			p = z / (1 + z)
			sum += each * math.Log1p(z)
		}
		p *= each
		if b.member {
			p = -p
		}
		grad[bias] += p
		for _, t := range terms {
			grad[t] += p
		}
	}
	return sum
}

// change is a step taken, and by how much it changed the gradient.
type change struct {
	s, y []float64
	rho  float64
}

func (f *fitter) minimize(ctx context.Context) ([]float64, error) {
	w, grad := make([]float64, f.n), make([]float64, f.n)
	next, nextGrad, dir := make([]float64, f.n), make([]float64, f.n), make([]float64, f.n)
	loss, err := f.loss(ctx, w, grad)
	if err != nil {
		return nil, err
	}
	var past []change
	for range steps {
		direction(dir, grad, past)
		slope := dot(dir, grad)
		if slope >= 0 {
			break // nowhere to go
		}
		size := 1.0
		if len(past) == 0 {
			size = 1 / math.Sqrt(dot(grad, grad))
		}
		better := math.Inf(1)
		for range 20 {
			for i := range next {
				next[i] = w[i] + size*dir[i]
			}
			if better, err = f.loss(ctx, next, nextGrad); err != nil {
				return nil, err
			}
			if better <= loss+1e-4*size*slope {
				break
			}
			size /= 2
		}
		if better >= loss {
			break
		}
		past = remember(past, w, next, grad, nextGrad)
		done := loss-better < enough*loss
		w, next, grad, nextGrad, loss = next, w, nextGrad, grad, better
		if done {
			break
		}
	}
	return w, nil
}

// direction is where to go: the gradient, bent by the curvature seen so far.
func direction(dir, grad []float64, past []change) {
	for i, g := range grad {
		dir[i] = -g
	}
	if len(past) == 0 {
		return
	}
	alpha := make([]float64, len(past))
	for i := len(past) - 1; i >= 0; i-- {
		alpha[i] = past[i].rho * dot(past[i].s, dir)
		add(dir, past[i].y, -alpha[i])
	}
	last := past[len(past)-1]
	scale := 1 / (last.rho * dot(last.y, last.y))
	for i := range dir {
		dir[i] *= scale
	}
	for i := range past {
		add(dir, past[i].s, alpha[i]-past[i].rho*dot(past[i].y, dir))
	}
}

func remember(past []change, w, next, grad, nextGrad []float64) []change {
	c := change{s: make([]float64, len(w)), y: make([]float64, len(w))}
	if len(past) == memory {
		c.s, c.y = past[0].s, past[0].y
		past = slices.Delete(past, 0, 1)
	}
	for i := range w {
		c.s[i], c.y[i] = next[i]-w[i], nextGrad[i]-grad[i]
	}
	if sy := dot(c.s, c.y); sy > 0 {
		c.rho = 1 / sy
		past = append(past, c)
	}
	return past
}

func dot(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func add(dst, v []float64, times float64) {
	for i, x := range v {
		dst[i] += times * x
	}
}
