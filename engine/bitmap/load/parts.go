package load

import (
	"context"
	"sync"
	"sync/atomic"

	"throng/engine/bitmap/load/spill"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"throng/engine/bitmap/storage"
)

// inversion turns pairs that were kept by block into parts. Workers invert
// blocks; who inverts the last one of a part writes it, while others invert the
// next. So not more parts are in memory than the budget allows. A part that is
// larger is made by itself, a range of terms at a time (largepart.go).
type inversion struct {
	dir     string // in which the parts are
	rows    uint32
	workers int
	budget  int64 // bytes of blocks that are inverted and not written
	pairs   *spill.Store
	more    *spill.Store // of final terms, each partition in order; nil for none
	numbers *numbering
	people  []uint32   // of each final term, counted
	forward *forwarder // nil where no forward index is wanted
	step    func(done, total int64)

	mu    sync.Mutex
	files []storage.FileSum
	spare []*blockLists // not in use
	made  []*blockLists
	most  int64 // bytes that these had

	forwarding sync.Mutex
}

// invertedPart is a part being made.
type invertedPart struct {
	number int
	weight int64
	left   atomic.Int32 // blocks to be inverted
	blocks [storage.PartBlocks]*blockLists
}

// lists are the blocks as they are written.
func (p *invertedPart) lists() (lists [storage.PartBlocks]*storage.BlockLists) {
	for i, b := range p.blocks {
		if b != nil {
			lists[i] = &b.BlockLists
		}
	}
	return lists
}

func blocksOf(rows uint32) int { return int((int64(rows) + storage.BlockRows - 1) / storage.BlockRows) }

// run writes all parts.
func (v *inversion) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	r := &partsRun{inversion: v, tasks: make(chan partTask), room: semaphore.NewWeighted(v.budget)}
	g.Go(func() error { return r.feed(ctx) })
	for range v.workers {
		g.Go(r.work)
	}
	err := g.Wait()
	v.shrink()
	return err
}

// partsRun is one run of an inversion.
type partsRun struct {
	*inversion
	tasks chan partTask
	room  *semaphore.Weighted // of the budget
	done  atomic.Int64        // parts
}

// partTask is a block that is to be inverted.
type partTask struct {
	part  *invertedPart
	block int
}

// feed hands out the blocks of one part after the other, as far as the budget
// has room for it. A part that is too large for the budget it makes itself.
func (r *partsRun) feed(ctx context.Context) error {
	defer close(r.tasks)
	blocks := blocksOf(r.rows)
	for first := 0; first < blocks; first += storage.PartBlocks {
		p := &invertedPart{number: first / storage.PartBlocks}
		end := min(blocks, first+storage.PartBlocks)
		p.left.Store(int32(end - first))
		for b := first; b < end; b++ {
			p.weight += r.weight(b)
		}
		large := p.weight > r.budget
		p.weight = min(p.weight, r.budget)
		if err := r.room.Acquire(ctx, p.weight); err != nil {
			return err
		}
		if large { // nobody works beside it
			if err := r.largePart(ctx, p.number); err != nil {
				return err
			}
			r.end(p)
			continue
		}
		for b := first; b < end; b++ {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case r.tasks <- partTask{p, b}:
			}
		}
	}
	return nil
}

// work inverts blocks, and writes the parts whose last block it has inverted.
func (r *partsRun) work() error {
	inverter, err := newInverter(r.numbers)
	if err != nil {
		return err
	}
	defer inverter.free()
	for t := range r.tasks {
		if err := r.block(inverter, t.part, t.block); err != nil {
			return err
		}
		if t.part.left.Add(-1) > 0 {
			continue
		}
		if err := r.writePart(t.part); err != nil {
			return err
		}
		r.end(t.part)
	}
	return nil
}

// end notes that a part is written.
func (r *partsRun) end(p *invertedPart) {
	r.room.Release(p.weight)
	total := (blocksOf(r.rows) + storage.PartBlocks - 1) / storage.PartBlocks
	r.step(r.done.Add(1), int64(total))
}

// weight is about how many bytes a block takes when it is inverted.
func (v *inversion) weight(block int) int64 {
	n := v.pairs.Bytes(block)
	if v.more != nil {
		n += v.more.Bytes(block)
	}
	return n
}

func (v *inversion) block(inverter *inverter, p *invertedPart, block int) error {
	out, err := v.inverted(inverter, block, allTerms)
	p.blocks[block%storage.PartBlocks] = out
	v.releaseBlock(block)
	return err
}

// inverted inverts a range of terms of a block.
func (v *inversion) inverted(inverter *inverter, block int, of termRange) (*blockLists, error) {
	pieces, more, err := v.read(block)
	if err != nil {
		return nil, err
	}
	out := v.take()
	return out, inverter.invert(pieces, more, of, out)
}

// read gives the pairs of a block.
func (v *inversion) read(block int) (pieces, more [][]byte, err error) {
	if pieces, err = v.pairs.Read(block); err == nil && v.more != nil {
		more, err = v.more.Read(block)
	}
	return pieces, more, err
}

func (v *inversion) releaseBlock(block int) {
	v.pairs.Release(block)
	if v.more != nil {
		v.more.Release(block)
	}
}

// give takes blocks back that are no longer used.
func (v *inversion) give(blocks ...*blockLists) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, b := range blocks {
		if b != nil {
			v.spare = append(v.spare, b)
		}
	}
}

// shrink frees the memory of blocks, none of which is in use.
func (v *inversion) shrink() {
	v.mu.Lock()
	defer v.mu.Unlock()
	held := int64(0)
	for _, b := range v.made {
		held += b.rows.Size() + int64(4*cap(b.Terms)+4*cap(b.Ends))
		b.rows.Free()
		*b = blockLists{}
	}
	v.most = max(v.most, held)
}

func (v *inversion) take() *blockLists {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := len(v.spare)
	if n == 0 {
		b := new(blockLists)
		v.made = append(v.made, b)
		return b
	}
	b := v.spare[n-1]
	v.spare = v.spare[:n-1]
	return b
}

// writePart merges the blocks of a part term by term.
func (v *inversion) writePart(p *invertedPart) error {
	pw, err := v.partWriter(p.number)
	if err != nil {
		return err
	}
	defer pw.Abort()
	blocks := p.lists()
	if err := pw.Merge(&blocks); err != nil {
		return err
	}
	if err := v.closePart(pw, p.number, func(b int) (*storage.BlockLists, func(), error) {
		return blocks[b], func() {}, nil
	}); err != nil {
		return err
	}
	v.give(p.blocks[:]...)
	p.blocks = [storage.PartBlocks]*blockLists{}
	return nil
}

func (v *inversion) partWriter(part int) (*storage.PartWriter, error) {
	first := part * storage.PartRows
	return storage.NewPartWriter(v.dir, storage.PartName(part), uint32(first), min(storage.PartRows, int(v.rows)-first))
}

// closePart counts the people of a part, whose terms are all written, and makes
// its forward index. block gives each of its blocks, and what to call when it
// is no longer used.
func (v *inversion) closePart(pw *storage.PartWriter, part int, block func(b int) (*storage.BlockLists, func(), error)) error {
	terms, people := pw.Terms()
	for i, t := range terms {
		atomic.AddUint32(&v.people[t], people[i])
	}
	file, err := pw.Close()
	if err != nil {
		return err
	}
	if v.forward != nil {
		v.forwarding.Lock()
		err = v.forward.write(part, terms, people, block)
		v.forwarding.Unlock()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.files = append(v.files, file)
	return err
}

// invertAll writes the parts and their forward indexes, and counts the people
// of the final terms.
func (l *loader) invertAll(ctx context.Context, order, final, people []uint32) error {
	forward := newForwarder(l.tmp, l.rows, l.workers, l.counted(order))
	v := &inversion{
		dir: l.tmp, rows: l.rows, workers: l.workers, budget: l.opt.Memory / 4, pairs: l.pairs, more: l.over.pairs,
		numbers: &numbering{final: final, order: order, terms: len(final)}, people: people, step: l.progress.step,
		forward: forward,
	}
	err := v.run(ctx)
	l.files = append(append(l.files, v.files...), forward.files...)
	return err
}
