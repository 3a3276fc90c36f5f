package load

import (
	"slices"
	"strings"
	"sync"
	"time"

	"throng/dataset"
	"throng/engine"
)

// progress tells how far the load is, not more often than every tenth of a
// second within a step, and how long it will take: the step by its own rate,
// those to come by the rates of the load before. It says nothing of a time that
// it cannot know.
type progress struct {
	tell func(engine.Progress)
	// clock is time.Now.
	clock func() time.Time

	mu    sync.Mutex
	now   engine.Progress
	told  time.Time
	begun time.Time // the step
	done  []engine.StepReport
	bytes map[string]int64         // by table
	all   int64                    // bytes of all tables
	last  map[string]time.Duration // by step to come, as long as it will take; nil where not known
}

const (
	tellEvery = 100 * time.Millisecond
	// A step's rate is believed after so long, and so much of it.
	rateAfter = time.Second
	rateShare = 50 // the 50th part

	readStep = "read " // and the table
)

func newProgress(tell func(engine.Progress)) *progress {
	return &progress{tell: tell, clock: time.Now, bytes: map[string]int64{}}
}

// expect tells what is to be read, and what the last load took, which may be
// nil.
func (p *progress) expect(source *dataset.Source, last *engine.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, t := range source.Tables {
		p.bytes[name] = t.Size()
		p.all += t.Size()
	}
	if last == nil || len(last.Steps) == 0 {
		return
	}
	p.last = map[string]time.Duration{}
	for _, s := range last.Steps {
		if n := p.size(s.Step); n > 0 && s.Bytes > 0 {
			p.last[s.Step] += time.Duration(float64(s.Elapsed) * float64(n) / float64(s.Bytes))
		}
	}
	for name := range p.bytes {
		if _, known := p.last[readStep+name]; !known {
			p.last = nil // a table that was never read
			return
		}
	}
}

// size is what a step's time grows with: the size of the table that it reads,
// or else of all.
func (p *progress) size(step string) int64 {
	if table, ok := strings.CutPrefix(step, readStep); ok {
		return p.bytes[table]
	}
	return p.all
}

// stepLeft is how long the step will still take, 0 where that is not known.
// p.mu is held.
func (p *progress) stepLeft(now time.Time) time.Duration {
	n, taken := p.now, now.Sub(p.begun)
	if n.Total <= 0 || n.Done <= 0 || n.Done > n.Total || taken < rateAfter || n.Done < n.Total/rateShare {
		return 0
	}
	return time.Duration(float64(taken) * float64(n.Total-n.Done) / float64(n.Done))
}

// left is how long everything will still take, 0 where that is not known. p.mu
// is held.
func (p *progress) left(now time.Time) time.Duration {
	if p.last == nil {
		return 0
	}
	sum := p.now.StepLeft
	if sum == 0 {
		expected, known := p.last[p.now.Step]
		if !known {
			return 0
		}
		sum = max(expected-now.Sub(p.begun), 0)
	}
	for step, d := range p.last {
		begun := slices.ContainsFunc(p.done, func(s engine.StepReport) bool { return s.Step == step })
		if !begun && step != p.now.Step {
			sum += d
		}
	}
	return sum
}

func (p *progress) update(always bool, change func(*engine.Progress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.now)
	now := p.clock()
	if p.tell == nil || !always && now.Sub(p.told) < tellEvery {
		return
	}
	p.told = now
	p.now.StepLeft = p.stepLeft(now)
	p.now.Left = p.left(now)
	p.tell(p.now)
}

// begin starts a step.
func (p *progress) begin(step string, total int64) {
	p.update(true, func(n *engine.Progress) {
		p.end()
		p.begun = p.clock()
		n.Step, n.Done, n.Total = step, 0, total
	})
}

// end notes how long the step took. p.mu is held.
func (p *progress) end() {
	if p.now.Step != "" {
		p.done = append(p.done, engine.StepReport{Step: p.now.Step, Bytes: p.size(p.now.Step), Elapsed: p.clock().Sub(p.begun)})
	}
}

// steps ends the last step, and tells what all took.
func (p *progress) steps() []engine.StepReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	p.now.Step = ""
	return p.done
}

// step says how much of the step is done.
func (p *progress) step(done, total int64) {
	p.update(done == total, func(n *engine.Progress) { n.Done, n.Total = max(n.Done, done), total })
}

// read says that so many more bytes of the step are done.
func (p *progress) read(more int64) {
	p.update(false, func(n *engine.Progress) { n.Done += more })
}

// rows says that so many more rows were read.
func (p *progress) rows(more int64) {
	p.update(false, func(n *engine.Progress) { n.Rows += more })
}
