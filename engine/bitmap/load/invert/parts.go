package invert

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"throng/engine/bitmap/storage"
)

// inversion is one run. Workers invert blocks; who inverts the last one of a
// part writes it, while others invert the next. So not more parts are in memory
// than the budget allows. A part that is larger is made by itself
// (largepart.go).
type inversion struct {
	Config
	forward *forwarder // nil where no forward index is wanted

	mu    sync.Mutex
	files []storage.FileSum
	spare []*blockLists // not in use
	made  []*blockLists
	most  int64 // bytes that these had

	forwarding sync.Mutex
}

func newInversion(c Config) *inversion {
	v := &inversion{Config: c}
	if c.Step == nil {
		v.Step = func(int64, int64) {}
	}
	if c.Counted != nil {
		v.forward = newForwarder(c.Dir, c.Rows, c.Workers, *c.Counted)
	}
	return v
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
	r := &partsRun{inversion: v, tasks: make(chan partTask), room: semaphore.NewWeighted(v.Budget)}
	g.Go(func() error { return r.feed(ctx) })
	for range v.Workers {
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
	blocks := blocksOf(r.Rows)
	for first := 0; first < blocks; first += storage.PartBlocks {
		p := &invertedPart{number: first / storage.PartBlocks}
		end := min(blocks, first+storage.PartBlocks)
		p.left.Store(int32(end - first))
		for b := first; b < end; b++ {
			p.weight += r.weight(b)
		}
		large := p.weight > r.Budget
		p.weight = min(p.weight, r.Budget)
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
	inverter, err := newInverter(&r.Numbers)
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
	total := (blocksOf(r.Rows) + storage.PartBlocks - 1) / storage.PartBlocks
	r.Step(r.done.Add(1), int64(total))
}

// weight is about how many bytes a block takes when it is inverted.
func (v *inversion) weight(block int) int64 {
	n := v.Pairs.Bytes(block)
	if v.More != nil {
		n += v.More.Bytes(block)
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
	if pieces, err = v.Pairs.Read(block); err == nil && v.More != nil {
		more, err = v.More.Read(block)
	}
	return pieces, more, err
}

func (v *inversion) releaseBlock(block int) {
	v.Pairs.Release(block)
	if v.More != nil {
		v.More.Release(block)
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
	return storage.NewPartWriter(v.Dir, storage.PartName(part), uint32(first), min(storage.PartRows, int(v.Rows)-first))
}

// closePart counts the people of a part, whose terms are all written, and makes
// its forward index. block gives each of its blocks, and what to call when it
// is no longer used.
func (v *inversion) closePart(pw *storage.PartWriter, part int, block func(b int) (*storage.BlockLists, func(), error)) error {
	terms, people := pw.Terms()
	for i, t := range terms {
		atomic.AddUint32(&v.People[t], people[i])
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
