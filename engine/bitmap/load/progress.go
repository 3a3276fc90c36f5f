package load

import (
	"sync"
	"time"

	"throng/engine"
)

// progress tells how far the load is, not more often than every tenth of a
// second within a step.
type progress struct {
	tell func(engine.Progress)

	mu   sync.Mutex
	now  engine.Progress
	told time.Time
}

const tellEvery = 100 * time.Millisecond

func (p *progress) update(always bool, change func(*engine.Progress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.now)
	if p.tell == nil || !always && time.Since(p.told) < tellEvery {
		return
	}
	p.told = time.Now()
	p.tell(p.now)
}

// begin starts a step.
func (p *progress) begin(step string, total int64) {
	p.update(true, func(n *engine.Progress) { n.Step, n.Done, n.Total = step, 0, total })
}

// step says how much of the step is done.
func (p *progress) step(done, total int64) {
	p.update(done == total, func(n *engine.Progress) { n.Done, n.Total = done, total })
}

// bytes says that so many more bytes of the step are done.
func (p *progress) bytes(more int64) {
	p.update(false, func(n *engine.Progress) { n.Done += more })
}

// rows says that so many more rows were read.
func (p *progress) rows(more int64) {
	p.update(false, func(n *engine.Progress) { n.Rows += more })
}
