package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// clock says which time of a variant is told: work of one core is told by the
// processor time that it took, which other programs on the machine disturb
// least; work of all cores by the clock on the wall.
type clock string

const (
	byCPU  clock = "cpu"
	byWall clock = "wall"
)

// variant is one way to do the work of a row.
type variant struct {
	name string
	// clock defaults to byCPU.
	clock clock
	// run does the work once.
	run func() error
	// before, where set, prepares a run and is not measured. The work is then
	// not repeated within a sample.
	before func() error
	// floor marks the stream of the touched bytes: where its time moves by more
	// than maxDrift between rounds, the rounds are done again.
	floor bool
}

// timing is the samples of a variant, in seconds a run, by round.
type timing struct {
	variant
	wall, cpu []float64
}

const (
	// minSample is how long a sample takes at least: clocks and the machine are
	// noisy below. Short work is repeated within a sample.
	minSample = 10 * time.Millisecond
	maxRepeat = 1 << 14
	maxDrift  = 1.5
	maxTries  = 3
)

// told is the samples of the clock that counts.
func (t *timing) told() []float64 {
	if t.clock == byWall {
		return t.wall
	}
	return t.cpu
}

func (t *timing) median() float64 { return median(t.told()) }

// measure runs each variant once to warm up, then all of them in turn, for so
// many rounds. steady is false where the floor kept moving.
func measure(ctx context.Context, rounds int, variants ...variant) (timings []*timing, steady bool, err error) {
	repeats := make([]int, len(variants))
	for i, v := range variants {
		if repeats[i], err = warmUp(v); err != nil {
			return nil, false, err
		}
	}
	for try := 1; ; try++ {
		if timings, err = measureOnce(ctx, rounds, variants, repeats); err != nil {
			return nil, false, err
		}
		steady = true
		for _, t := range timings {
			if t.floor && slices.Max(t.told()) > maxDrift*slices.Min(t.told()) {
				steady = false
			}
		}
		if steady || try == maxTries {
			return timings, steady, nil
		}
	}
}

// warmUp runs a variant, and returns how often to run it for one sample.
func warmUp(v variant) (repeat int, err error) {
	if v.before != nil {
		if err := v.before(); err != nil {
			return 0, fmt.Errorf("%s: %w", v.name, err)
		}
	}
	start := time.Now()
	if err := v.run(); err != nil {
		return 0, fmt.Errorf("%s: %w", v.name, err)
	}
	if v.before != nil {
		return 1, nil
	}
	first := time.Since(start)
	if first > minSample {
		return 1, nil
	}
	start = time.Now() // the first run was colder
	if err := v.run(); err != nil {
		return 0, fmt.Errorf("%s: %w", v.name, err)
	}
	took := max(time.Since(start), time.Nanosecond)
	return int(min(maxRepeat, 1+minSample/took)), nil
}

func measureOnce(ctx context.Context, rounds int, variants []variant, repeats []int) ([]*timing, error) {
	timings := make([]*timing, len(variants))
	for i, v := range variants {
		timings[i] = &timing{variant: v}
	}
	for range rounds {
		for i, t := range timings {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if t.before != nil {
				if err := t.before(); err != nil {
					return nil, fmt.Errorf("%s: %w", t.name, err)
				}
			}
			runtime.GC() // what others left is not this one's to clean up
			wall, cpu := time.Now(), processTime()
			for range repeats[i] {
				if err := t.run(); err != nil {
					return nil, fmt.Errorf("%s: %w", t.name, err)
				}
			}
			n := float64(repeats[i])
			t.cpu = append(t.cpu, (processTime()-cpu).Seconds()/n)
			t.wall = append(t.wall, time.Since(wall).Seconds()/n)
		}
	}
	return timings, nil
}

// median of a list that is not empty.
func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	n := len(list)
	return (list[n/2] + list[(n-1)/2]) / 2
}

// ratio is the median over the rounds of how many times as long a took as b:
// the speed of the machine changes between rounds more than within one.
func ratio(a, b *timing) float64 {
	x, y := a.told(), b.told()
	r := make([]float64, min(len(x), len(y)))
	for i := range r {
		r[i] = x[i] / max(y[i], 1e-12)
	}
	return median(r)
}
