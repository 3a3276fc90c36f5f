package invert

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// MaxRows is how many rows there may be: fewer than 2^32 in whole parts.
const MaxRows = math.MaxUint32 - storage.PartRows

const defaultMemory = 1 << 30

// Options are the settings of Pairs.
type Options struct {
	Rows  uint32 // rows are below
	Terms uint32 // terms are below, at most 2^30
	// Memory bounds what is kept in memory, in bytes; what is beyond goes to a
	// file in the folder. Defaults to 1 GiB.
	Memory int64
	// Workers is how many goroutines work at once. Defaults to GOMAXPROCS.
	Workers int
	// Forward asks for the index by person, too, as a load writes it.
	Forward bool
}

// Sink takes pairs of row and term. It is for one goroutine.
type Sink struct {
	w           *Writer
	rows, terms uint32
}

var errForeignPair = errors.New("invert pairs: row or term beyond what was announced")

// Add takes a row and any number of terms that it has. A pair may come more
// than once.
func (s *Sink) Add(row uint32, terms ...uint32) error {
	if row >= s.rows {
		return errForeignPair
	}
	for _, t := range terms {
		if t >= s.terms {
			return errForeignPair
		}
	}
	if len(terms) == 1 {
		return s.w.Add(row, terms[0])
	}
	return s.w.AddAll(row, terms)
}

// Pairs is the stage of a load that turns facts about people into an
// index, alone: it keeps the pairs of row and term that feed passes to its
// sink by block of people, inverts block by block, and writes the parts to
// dir/parts, which it makes; dir must exist. feed is called once for each
// worker, by all of them at once. people is how many rows have each term.
// Pairs in the order of rows are inverted fastest.
func Pairs(ctx context.Context, dir string, o Options, feed func(worker int, sink *Sink) error) (people []uint32, err error) {
	if o.Memory <= 0 {
		o.Memory = defaultMemory
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Rows > MaxRows || o.Terms > MaxTerms {
		return nil, errForeignPair
	}
	if err := os.Mkdir(filepath.Join(dir, "parts"), 0o700); err != nil {
		return nil, fmt.Errorf("invert pairs: %w", err)
	}
	mem := spill.NewMemory(o.Memory * 5 / 8)
	defer mem.Close()
	s := mem.NewStore(filepath.Join(dir, "pairs"), blocksOf(o.Rows), o.Workers, o.Memory/8)
	defer func() { err = errors.Join(err, s.Close()) }()
	var g errgroup.Group
	for i := range o.Workers {
		g.Go(func() error {
			w := NewWriter(s)
			if err := feed(i, &Sink{w: w, rows: o.Rows, terms: o.Terms}); err != nil {
				return err
			}
			w.Flush()
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	people = make([]uint32, o.Terms)
	c := Config{
		Dir: dir, Rows: o.Rows, Workers: o.Workers, Budget: o.Memory / 4, Pairs: s,
		Numbers: Numbering{Terms: int(o.Terms)}, People: people,
	}
	if o.Forward {
		counted := forward.CountedOf(query.Affinity, o.Terms)
		c.Counted = &counted
	}
	_, err = Run(ctx, c)
	return people, err
}
