package invert

import (
	"context"

	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
)

// Config says what Run inverts, into which files.
type Config struct {
	// Dir is the folder of the generation. Its folder of parts is there.
	Dir  string
	Rows uint32 // rows are below
	// Workers is how many goroutines invert blocks, or make forward indexes, at
	// once.
	Workers int
	// Budget is how many bytes of blocks are inverted and not written yet, at
	// most. A part that is larger is made by itself, a range of terms at a time.
	Budget int64
	// Pairs are kept by block of rows; a Writer has written them. They are
	// released as they are inverted.
	Pairs *spill.Store
	// More are pairs of terms by their final number, which a FinalWriter has
	// written in order of terms; nil for none. No term is in Pairs, too.
	More    *spill.Store
	Numbers Numbering // of Pairs
	// People counts, by final number, the rows that have a term; what the parts
	// have is added.
	People []uint32
	// Counted tells which terms forward indexes have; nil where none are wanted.
	Counted *forward.Counted
	// Step is told how many of all parts are made; nil where nobody asks. It is
	// called by several goroutines.
	Step func(done, total int64)
}

// Run inverts pairs into parts, and makes the forward index of each. It
// returns the files made.
func Run(ctx context.Context, c Config) ([]storage.FileSum, error) {
	v := newInversion(c)
	err := v.run(ctx)
	if v.forward != nil {
		v.files = append(v.files, v.forward.files...)
	}
	return v.files, err
}
