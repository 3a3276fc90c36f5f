package bitmap

import (
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

// Where one way of counting begins to cost less than another. These hold for
// vector instructions (BenchmarkPaths and BenchmarkArray of package kernel tell
// what each step takes); without them the ways differ less.
const (
	// fewRows is up to how many rows in all containers of a block are counted
	// one by one and reset one by one, each some 1.2 ns more than an addition
	// to the counters; beyond, passing over all counters, some 2 µs, is cheaper.
	fewRows = 2048
	// passArrays is up to how many arrays are made bitmaps and added by
	// carry-save adders, at some 0.3 µs each, rather than to counters, which
	// takes one pass over all of them.
	passArrays = 7
	// fewOfArray is up to how many rows an array is added row by row where
	// bitmaps are added, rather than made one.
	fewOfArray = 128
	// fewSets is up to how many containers are decided in one pass.
	fewSets = 7
)

// least makes dst the rows with at least n.k of the node's terms. Where it
// returns false there are none and the content of dst is arbitrary.
//
// Arrays are counted row by row in byte counters; bitmaps by carry-save
// adders, whose sums join the counters when these decide. Counters saturate, so
// that they decide every k up to kernel.MaxCount; beyond, arrays are added as
// bitmaps, whose sums have no bound.
func (w *worker) least(dst *kernel.Block, n *node, block int) bool {
	rows := w.gather(n, block)
	sets := len(w.arrays) + len(w.dense)
	switch {
	case sets < n.k:
		return false
	case len(w.dense) == 0 && sets <= kernel.MaxCount && (rows <= fewRows/2 || rows <= fewRows && sets > fewSets):
		w.countFew(dst, n.k)
	case sets <= fewSets:
		used := w.makeGroup(w.addDense(0))
		w.endGroup(used)
		kernel.AtLeast7(dst, &w.group, n.k)
	case n.k > kernel.MaxCount || len(w.arrays) <= passArrays:
		w.slices.Reset()
		w.addGroup(w.addArrays(w.addDense(0)))
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
	for i, rows := range w.arrays[:safe] {
		w.ahead(i)
		w.counters.AddArray(rows)
	}
	for _, rows := range w.arrays[safe:] {
		w.counters.AddArraySaturating(rows)
	}
	w.slices.Reset()
	w.addGroup(w.addDense(0))
	w.counters.AtLeast(dst, &w.slices, uint8(k), most)
}

// ahead asks for the array that comes after the one at i.
func (w *worker) ahead(i int) {
	if i+1 < len(w.arrays) {
		kernel.Prefetch(w.arrays[i+1])
	}
}

// Bitmaps are added seven at a time: used is how many of the group are in use.

// addDense puts bitmaps and runs into the group, and adds it to w.slices
// whenever it is full and another comes.
func (w *worker) addDense(used int) int {
	for _, c := range w.dense {
		used = w.room(used)
		if c.Kind == storage.Bitmap {
			w.group[used] = kernel.AsBlock(c.Bitmap)
		} else {
			w.group[used] = w.scratch(used)
			c.AddTo(w.group[used])
		}
		used++
	}
	return used
}

// makeGroup puts all arrays into the group, where there is room for them.
func (w *worker) makeGroup(used int) int {
	for i, rows := range w.arrays {
		w.ahead(i)
		w.group[used] = w.scratch(used)
		kernel.OrArray(w.group[used], rows)
		used++
	}
	return used
}

// addArrays puts arrays into the group as addDense does bitmaps; those of few
// rows it adds to w.slices at once.
func (w *worker) addArrays(used int) int {
	small := 0
	for _, rows := range w.arrays {
		if len(rows) <= fewOfArray {
			w.arrays[small] = rows
			small++
			continue
		}
		used = w.room(used)
		w.group[used] = w.scratch(used)
		kernel.OrArray(w.group[used], rows)
		used++
	}
	w.addGroup(used)
	for _, rows := range w.arrays[:small] {
		w.slices.AddArray(rows)
	}
	return 0
}

// room makes room in the group for one more.
func (w *worker) room(used int) int {
	if used < len(w.group) {
		return used
	}
	w.addGroup(used)
	return 0
}

// addGroup adds the group to w.slices.
func (w *worker) addGroup(used int) {
	if used > 0 {
		w.endGroup(used)
		w.slices.Add(&w.group, used)
	}
}

// endGroup makes what is not used of the group empty.
func (w *worker) endGroup(used int) {
	for i := used; i < len(w.group); i++ {
		w.group[i] = w.empty
	}
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
