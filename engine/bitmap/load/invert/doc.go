// Package invert turns pairs of row and term into an index: the parts, which
// tell by term which rows have it, and beside each its forward index, which
// tells by row.
//
// Pairs are kept by block of 65,536 rows in a [spill.Store]: any number of
// goroutines write, each through a [Writer] of its own, in whatever order they
// come and however often. [Run] then inverts block by block, by counting, so
// that what is random stays in the caches; merges up to 16 blocks into a part;
// and gives terms their final numbers on the way. The files depend on the pairs
// alone, not on their order, the memory or the number of workers.
//
// Run works on as many goroutines as it is told, and returns when they are gone.
// Beside what the store holds it takes four bytes a term for each of them, the
// rows of a block for each, and the budget that is set for blocks which are
// inverted and not written yet. A part that is larger than the budget is made a
// range of terms at a time. All of it is outside the heap where it is large. The
// files are synced when Run returns without an error; where it returns one, what
// is left of them is the caller's to remove.
//
// [Pairs] is all of this alone, without tables and names, to measure it.
package invert
