// Package spill keeps what a load has read and not yet written: in memory up to
// a limit that is set, beyond it in files of the work folder, which are written
// and read sequentially.
//
// A [Store] has records, partition by partition, of which any number of
// goroutines write and, once all have flushed, any number read. All stores of a
// load share one [Memory]; where that is used up, the store that holds most is
// written to its file. [Blobs] are strings that are found again by number,
// [Counters] and an [Array] many numbers. Memory, mappings and arrays are
// outside the heap: what is kept counts once, and the collector does not scan
// it. Everything but Blobs and Counters that fit their memory must therefore be
// closed or freed.
//
// Nothing here is durable. A file is removed when what it belongs to is closed;
// what a load that died has left of them is removed with the work folder.
package spill
