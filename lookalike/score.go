package lookalike

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"throng/engine"
	"throng/query"
)

// maxScore is where scores end: far beyond any that weights give.
const maxScore = 1<<20 - 1

// histogram is how many rows have each score, from −maxScore on. So the best
// of any number of people, and the exact order of all, take the same memory.
type histogram []uint32

func histogramOf(ctx context.Context, g engine.Generation, rows query.RowSet, weights []engine.Weights) (histogram, error) {
	h := make(histogram, 2*maxScore+1)
	err := g.Score(ctx, rows, weights, func(s *engine.Scored) error {
		for _, v := range s.Scores {
			atomic.AddUint32(&h[bucket(v)], 1)
		}
		return nil
	})
	return h, err
}

func bucket(score int32) int { return int(max(-maxScore, min(maxScore, score))) + maxScore }

// AUC is how often one of the members scores more than one of the others: the
// share of all pairs, where equal scores are half a pair. It is exact. It is
// NaN where either are none.
func AUC(ctx context.Context, g engine.Generation, weights []engine.Weights, members, others query.RowSet) (float64, error) {
	m, err := histogramOf(ctx, g, members, weights)
	if err != nil {
		return 0, err
	}
	o, err := histogramOf(ctx, g, others, weights)
	if err != nil {
		return 0, err
	}
	below, halves := uint64(0), 0.0
	for i, n := range m {
		if n > 0 {
			halves += float64(n) * float64(2*below+uint64(o[i]))
		}
		below += uint64(o[i])
	}
	if members.Len() == 0 || others.Len() == 0 {
		return math.NaN(), nil
	}
	return halves / (2 * float64(members.Len()) * float64(others.Len())), nil
}

// Best gives the n best scored of the candidates: all where there are no more.
// Of those who score the same as the last one, the first of the index come in.
func (m *Model) Best(ctx context.Context, g engine.Generation, candidates query.RowSet, n uint64) (query.RowSet, error) {
	if n >= candidates.Len() {
		return candidates, nil
	}
	h, err := histogramOf(ctx, g, candidates, m.Weights)
	if err != nil {
		return nil, err
	}
	last, above := len(h), uint64(0)
	for last > 0 && above < n {
		last--
		above += uint64(h[last])
	}
	if above > n {
		above -= uint64(h[last])
	} else {
		last-- // all of the last score come in
	}
	var mu sync.Mutex
	rows, ties := make([]uint32, 0, n), []uint32(nil)
	err = g.Score(ctx, candidates, m.Weights, func(s *engine.Scored) error {
		mu.Lock()
		defer mu.Unlock()
		for i, v := range s.Scores {
			if b := bucket(v); b > last {
				rows = append(rows, s.Rows[i])
			} else if b == last && above < n {
				ties = append(ties, s.Rows[i])
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(ties)
	rows = append(rows, ties[:n-above]...)
	slices.Sort(rows)
	return g.RowsNumbered(rows)
}
