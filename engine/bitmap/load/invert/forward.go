package invert

import (
	"golang.org/x/sync/errgroup"

	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/storage"
)

// forwarder writes the forward indexes of parts. It keeps its memory from part
// to part.
type forwarder struct {
	dir      string // of the generation
	rows     uint32
	workers  int
	counted  forward.Counted
	files    []storage.FileSum
	codes    *forward.Codes
	encoders chan *forward.Encoder
	buffers  [storage.PartBlocks]*forward.Encoded
}

func newForwarder(dir string, rows uint32, workers int, counted forward.Counted) *forwarder {
	f := &forwarder{dir: dir, rows: rows, workers: workers, counted: counted, encoders: make(chan *forward.Encoder, workers)}
	for range workers {
		f.encoders <- new(forward.Encoder)
	}
	return f
}

// write writes the forward index of a part, of whose rows people[i] have
// terms[i]. Its blocks are encoded by all workers and written in order; block
// gives one, and what to call when it is no longer used.
func (f *forwarder) write(part int, terms, people []uint32, block func(b int) (*storage.BlockLists, func(), error)) error {
	first := part * storage.PartRows
	rows := min(storage.PartRows, int(f.rows)-first)
	f.codes = forward.NewCodes(f.counted, rows, terms, people, f.codes)
	w, err := forward.NewWriter(f.dir, forward.Name(part), uint32(first), rows, f.codes)
	if err != nil {
		return err
	}
	defer w.Abort()
	for from := 0; from*storage.BlockRows < rows; from += f.workers {
		to := min(from+f.workers, (rows+storage.BlockRows-1)/storage.BlockRows)
		var g errgroup.Group
		for b := from; b < to; b++ {
			g.Go(func() (err error) {
				e := <-f.encoders
				defer func() { f.encoders <- e }()
				n := min(rows-b*storage.BlockRows, storage.BlockRows)
				bt, done, err := block(b)
				if err != nil {
					return err
				}
				defer done()
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
			if next := b + f.workers; next < storage.PartBlocks { // its memory is used again
				f.buffers[next], f.buffers[b] = f.buffers[b], nil
			}
		}
	}
	// What is left is for the first blocks of the next part.
	var spare [storage.PartBlocks]*forward.Encoded
	n := 0
	for _, e := range f.buffers {
		if e != nil && n < f.workers {
			spare[n] = e
			n++
		}
	}
	f.buffers = spare
	file, err := w.Close()
	f.files = append(f.files, file)
	return err
}
