package load

import (
	"sort"

	"golang.org/x/sync/errgroup"

	"throng/engine/bitmap/storage"
	"throng/query"
)

// forwarder writes the forward indexes of parts. It keeps its memory from part
// to part.
type forwarder struct {
	counted  storage.Counted
	codes    *storage.ForwardCodes
	encoders chan *storage.ForwardEncoder
	buffers  [storage.PartBlocks]*storage.Encoded
	terms    []uint32 // of the part at hand, ascending
	people   []uint32 // who have each of them
}

// newForwarder is for the final numbers of terms: order lists those of the
// dictionary.
func (l *loader) newForwarder(order []uint32) *forwarder {
	f := &forwarder{counted: l.counted(order), encoders: make(chan *storage.ForwardEncoder, l.workers)}
	for range l.workers {
		f.encoders <- new(storage.ForwardEncoder)
	}
	return f
}

// counted tells which final numbers the counted fields have.
func (l *loader) counted(order []uint32) storage.Counted {
	// before is how many terms the fields before this one have.
	before := func(field uint8) uint32 {
		n := sort.Search(len(order), func(i int) bool {
			f, _ := l.dict.term(order[i])
			return f >= field
		})
		for _, more := range l.over.fields[:field] {
			n += int(more)
		}
		return uint32(n)
	}
	c := storage.Counted{Scored: storage.NoTerm}
	for _, f := range storage.CountedFields() {
		c.Starts = append(c.Starts, before(l.fields[f]))
	}
	c.Starts = append(c.Starts, before(l.fields[query.Active]))
	if scored := l.fields[query.Scored]; before(scored+1) > before(scored) {
		c.Scored = before(scored)
	}
	return c
}

// begin forgets the terms of the part before.
func (f *forwarder) begin() { f.terms, f.people = f.terms[:0], f.people[:0] }

// add notes that rows of the part at hand have a term. Terms ascend.
func (f *forwarder) add(term uint32, people int) {
	if term < f.counted.Limit() {
		f.terms = append(f.terms, term)
		f.people = append(f.people, uint32(people))
	}
}

// write writes the forward index of the part at hand. Its blocks are encoded
// by all workers and written in order.
func (f *forwarder) write(l *loader, part int, blocks *[storage.PartBlocks]*storage.BlockLists) error {
	first := part * storage.PartRows
	rows := min(storage.PartRows, int(l.rows)-first)
	f.codes = storage.NewForwardCodes(f.counted, rows, f.terms, f.people, f.codes)
	w, err := storage.NewForwardWriter(l.tmp, storage.ForwardName(part), uint32(first), rows, f.codes)
	if err != nil {
		return err
	}
	defer w.Abort()
	for from := 0; from*storage.BlockRows < rows; from += l.workers {
		to := min(from+l.workers, (rows+storage.BlockRows-1)/storage.BlockRows)
		var g errgroup.Group
		for b := from; b < to; b++ {
			g.Go(func() (err error) {
				e := <-f.encoders
				defer func() { f.encoders <- e }()
				n := min(rows-b*storage.BlockRows, storage.BlockRows)
				bt := blocks[b]
				f.buffers[b], err = e.Encode(f.codes, n, bt.Terms, bt.Ends, bt.Rows, f.buffers[b])
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		for b := from; b < to; b++ {
			if err := w.Add(f.buffers[b]); err != nil {
				return err
			}
			if next := b + l.workers; next < storage.PartBlocks { // its memory is used again
				f.buffers[next], f.buffers[b] = f.buffers[b], nil
			}
		}
	}
	// What is left is for the first blocks of the next part.
	var spare [storage.PartBlocks]*storage.Encoded
	n := 0
	for _, e := range f.buffers {
		if e != nil && n < l.workers {
			spare[n] = e
			n++
		}
	}
	f.buffers = spare
	return l.file(w.Close())
}
