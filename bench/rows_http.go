package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"throng/bench/population"
)

// changes counts the definitions that differ from the query in one parameter.
func changes(p *population.Population) int {
	first, _ := p.Group(population.Union)
	_, end := p.Group(population.Fifty)
	return (end - first) * 2 * len(windows())
}

// windows are the last_tweeted that may be asked for.
func windows() []int { return []int{180, 365, 90, 60, 30, 7, 1} }

// change is the i-th of the definitions that differ from the query in the
// parameter of the accounts: in its last account, in the cutoff and in how
// recently people were active.
func (s *stack) change(i int) parameters {
	p := s.people
	first, _ := p.Group(population.Union)
	_, end := p.Group(population.Fifty)
	n := end - first
	five := p.Values(population.Five)
	five[4] = p.Value(first + i%n)
	i /= n
	cutoff := 2 + i%2
	return s.queryParameters(accounts(cutoff, windows()[i/2%len(windows())], five...))
}

// preview is what the server answers, as far as it matters here.
type preview struct {
	Size       *uint64 `json:"size"`
	Parameters []struct {
		Size *uint64 `json:"size"`
	} `json:"parameters"`
}

// ask previews a definition over HTTP.
func (s *stack) ask(ctx context.Context, p parameters) (*preview, error) {
	body, err := json.Marshal(map[string]any{"parameters": p})
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Preview(ctx, body)
	if err != nil {
		return nil, err
	}
	out := &preview{}
	if err := json.Unmarshal(answer, out); err != nil {
		return nil, fmt.Errorf("read preview: %w", err)
	}
	if out.Size == nil || len(out.Parameters) != len(p) {
		return nil, errors.New("preview lacks sizes")
	}
	return out, nil
}

// rowPreview measures row 4: each request differs from all before it in one
// parameter, as somebody's do who tries things out.
func (r *run) rowPreview(ctx context.Context) error {
	s := r.stack
	q := newQueryBitmaps(s.people)
	before, err := s.ask(ctx, s.queryParameters(accounts(2, activeDays, s.people.Values(population.Five)...)))
	if err != nil {
		return err
	}
	sizes := q.sizes()
	equal(r, "row 4, the query", *before.Size, sizes[len(sizes)-1])
	first, _ := s.people.Group(population.Union)
	q.five[4] = bitmaps(s.people, first)[0]
	got, err := s.ask(ctx, s.change(0))
	if err != nil {
		return err
	}
	sizes = q.sizes()
	equal(r, "row 4, the query after a change", *got.Size, sizes[len(sizes)-1])

	next := 1
	timings, steady, err := measure(ctx, r.cfg.Rounds,
		variant{
			name: "one parameter changed, all cores", clock: byWall,
			run: func() error {
				if next == changes(s.people) {
					return usage("rounds", "row 4 has no more than %d requests to make", next)
				}
				_, err := s.ask(ctx, s.change(next))
				next++
				return err
			},
		},
		variant{
			name: "nothing changed", clock: byWall,
			run: func() error {
				again, err := s.ask(ctx, s.change(0))
				if err == nil && *again.Size != *got.Size {
					err = fmt.Errorf("counted %d, want %d", *again.Size, *got.Size)
				}
				return err
			},
		},
		variant{name: "roaring FastOr, no HTTP", run: func() error { return changed(q.sizes(), sizes) }},
	)
	if err != nil {
		return err
	}
	row := Row{ID: "4", Work: "preview over HTTP after one parameter changed", Unsteady: !steady}
	row.times(timings...)
	row.side("", nil, timings[0], nil, timings[2])
	// What HTTP costs does not fall with the people.
	row.atMost(timings[0].name, "ms", 1e3*timings[0].median(), max(2, 20*float64(r.cfg.People)/targetPeople))
	r.add(row)
	return nil
}
