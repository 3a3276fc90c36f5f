package bitmap

import (
	"math/bits"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

const (
	// fewRows is up to how many rows in all containers of a block are counted
	// one by one and reset one by one; beyond, passing over all counters is
	// cheaper.
	fewRows = 8192
	// Passing over all counters, to read and clear them, costs as much as
	// adding so many arrays as bitmaps by carry-save adders; adding one slice
	// of the bitmaps' sums to them as much as so many more.
	passArrays  = 8
	sliceArrays = 12
	// fewOfArray is up to how many rows an array is added row by row where
	// bitmaps are added, rather than made one.
	fewOfArray = 256
)

// least makes dst the rows with at least n.k of the node's terms. Where it
// returns false there are none and the content of dst is arbitrary.
//
// Arrays are counted row by row in byte counters; bitmaps by carry-save
// adders, whose sums then join the counters. Counters saturate, so that they
// decide every k up to kernel.MaxCount; beyond, arrays are added as bitmaps,
// whose sums have no bound.
func (w *worker) least(dst *kernel.Block, n *node, block int) bool {
	rows := w.gather(n, block)
	sets := len(w.arrays) + len(w.dense)
	switch {
	case sets < n.k:
		return false
	case len(w.dense) == 0 && rows <= fewRows && sets <= kernel.MaxCount:
		w.countFew(dst, n.k)
	case n.k > kernel.MaxCount || len(w.arrays) <= passArrays+sliceArrays*bits.Len(uint(len(w.dense))):
		w.slices.Reset()
		w.addDense()
		w.addArrays()
		w.slices.AtLeast(dst, n.k)
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
		w.counters, w.empty = new(kernel.Counters), new(kernel.Block)
	}
	return rows
}

// countFew decides by counting rows one by one; k is at most the number of
// arrays, which is at most kernel.MaxCount.
func (w *worker) countFew(dst *kernel.Block, k int) {
	clear(dst[:])
	for _, rows := range w.arrays {
		w.counters.AddArrayUntil(rows, uint8(k), dst)
	}
	for _, rows := range w.arrays {
		w.counters.Reset(rows)
	}
}

// countMany decides by the counters, which may saturate.
func (w *worker) countMany(dst *kernel.Block, k int) {
	most := len(w.arrays) + len(w.dense)
	// Up to so many arrays no count can pass the largest.
	safe := min(len(w.arrays), kernel.MaxCount)
	for _, rows := range w.arrays[:safe] {
		w.counters.AddArray(rows)
	}
	for _, rows := range w.arrays[safe:] {
		w.counters.AddArraySaturating(rows)
	}
	w.slices.Reset()
	w.addDense()
	w.counters.AtLeast(dst, &w.slices, uint8(k), most)
}

// addDense adds bitmaps and runs to w.slices.
func (w *worker) addDense() {
	used := 0
	for _, c := range w.dense {
		if c.Kind == storage.Bitmap {
			w.group[used] = kernel.AsBlock(c.Bitmap)
		} else {
			w.group[used] = w.scratch(used)
			orContainer(w.group[used], c)
		}
		used = w.addGroup(used + 1)
	}
	w.endGroup(used)
}

// addArrays adds arrays to w.slices.
func (w *worker) addArrays() {
	used := 0
	for _, rows := range w.arrays {
		if len(rows) <= fewOfArray {
			w.slices.AddArray(rows)
			continue
		}
		w.group[used] = w.scratch(used)
		kernel.OrArray(w.group[used], rows)
		used = w.addGroup(used + 1)
	}
	w.endGroup(used)
}

// scratch is an empty block for position i of the group.
func (w *worker) scratch(i int) *kernel.Block {
	if w.tail[i] == nil {
		w.tail[i] = new(kernel.Block)
		return w.tail[i]
	}
	clear(w.tail[i][:])
	return w.tail[i]
}

// addGroup adds the group once all of it is used, and returns how much of it
// is used then.
func (w *worker) addGroup(used int) int {
	if used < len(w.group) {
		return used
	}
	w.slices.Add(&w.group, used)
	return 0
}

// endGroup adds what is left of the group.
func (w *worker) endGroup(used int) {
	if used == 0 {
		return
	}
	for i := used; i < len(w.group); i++ {
		w.group[i] = w.empty
	}
	w.slices.Add(&w.group, used)
}
