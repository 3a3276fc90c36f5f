package bitmap

import (
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

// fewRows is up to how many rows in all containers of a block are counted one
// by one and reset one by one; beyond, passing over all counters is cheaper.
const fewRows = 8192

// least makes dst the rows with at least n.k of the node's terms. Where it
// returns false there are none and the content of dst is arbitrary.
//
// Arrays are counted row by row in byte counters; bitmaps by carry-save
// adders, whose sums then join the counters. Counters saturate, so that they
// decide every k up to kernel.MaxCount; beyond, arrays are added as bitmaps,
// whose sums have no bound.
func (w *worker) least(dst *kernel.Block, n *node, block int) bool {
	rows := w.gather(n, block)
	switch {
	case len(w.arrays)+len(w.dense) < n.k:
		return false
	case n.k > kernel.MaxCount:
		w.addDense(true)
		w.slices.AtLeast(dst, n.k)
	case len(w.arrays) == 0:
		w.addDense(false)
		w.slices.AtLeast(dst, n.k)
	case len(w.dense) == 0 && rows <= fewRows && len(w.arrays) <= kernel.MaxCount:
		w.countFew(dst, n.k)
	default:
		w.countMany(dst, n.k)
	}
	return true
}

// gather sorts the node's containers in the block into arrays and others. It
// returns how many rows the arrays have in all.
func (w *worker) gather(n *node, block int) (rows int) {
	w.arrays, w.dense = w.arrays[:0], w.dense[:0]
	for _, t := range n.terms {
		switch c := w.posts[t].Container(block); c.Kind {
		case storage.None:
		case storage.Array:
			w.arrays = append(w.arrays, c.Array)
			rows += len(c.Array)
		case storage.Bitmap, storage.Runs:
			w.dense = append(w.dense, c)
		}
	}
	if w.counters == nil {
		w.counters = new(kernel.Counters)
	}
	return rows
}

func (w *worker) countFew(dst *kernel.Block, k int) {
	clear(dst[:])
	for _, rows := range w.arrays {
		w.counters.AddArrayUntil(rows, uint8(k), dst)
	}
	for _, rows := range w.arrays {
		w.counters.Reset(rows)
	}
}

func (w *worker) countMany(dst *kernel.Block, k int) {
	// Up to so many arrays no count can pass the largest.
	safe := min(len(w.arrays), kernel.MaxCount)
	for _, rows := range w.arrays[:safe] {
		w.counters.AddArray(rows)
	}
	for _, rows := range w.arrays[safe:] {
		w.counters.AddArraySaturating(rows)
	}
	if len(w.dense) > 0 {
		w.addDense(false)
		w.counters.AddSlices(&w.slices)
	}
	w.counters.AtLeast(dst, uint8(k))
	clear(w.counters[:])
}

// addDense adds all containers but the arrays, or with them, in w.slices.
func (w *worker) addDense(arrays bool) {
	w.slices.Reset()
	if w.empty == nil {
		w.empty = new(kernel.Block)
	}
	var group [7]*kernel.Block
	used := 0
	add := func(c storage.Container) {
		if c.Kind == storage.Bitmap {
			group[used] = kernel.AsBlock(c.Bitmap)
		} else {
			if w.tail[used] == nil {
				w.tail[used] = new(kernel.Block)
			}
			group[used] = w.tail[used]
			clear(group[used][:])
			orContainer(group[used], c)
		}
		if used++; used == len(group) {
			w.slices.Add(&group, used)
			used = 0
		}
	}
	for _, c := range w.dense {
		add(c)
	}
	if arrays {
		for _, rows := range w.arrays {
			add(storage.Container{Kind: storage.Array, Card: len(rows), Array: rows})
		}
	}
	if used > 0 {
		for i := used; i < len(group); i++ {
			group[i] = w.empty
		}
		w.slices.Add(&group, used)
	}
}
