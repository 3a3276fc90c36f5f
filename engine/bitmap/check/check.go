// Package check verifies an index: every checksum, and what checksums do not say.
//
// That is: terms are in order and have as many rows as the dictionary says;
// containers and columns hold no row that does not exist; fields of which a row
// has one term have one; forward indexes say the same as postings; every
// identifier is found by its lookup, and marked where several rows own it; words
// and texts agree; and names, accounts and places are in order.
//
// It reads the files by package storage and shares nothing with the code that
// answers questions. It works on one goroutine, takes some bytes a term and what
// a block holds, and reads every file several times.
package check

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"throng/engine"
	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/internal/words"
	"throng/query"
)

// Index is an open generation that is to be verified.
type Index struct {
	Files *storage.Files
	// Guard runs f, and makes what goes wrong with mapped files its error.
	Guard func(f func() error) error
	// Tree reads the tree of affinities.
	Tree func() error
}

// Run verifies all that an index says, and returns what it finds first: an error
// that wraps engine.ErrCorrupt and names the file. progress may be nil.
func Run(ctx context.Context, x Index, progress func(engine.Progress)) error {
	if progress == nil {
		progress = func(engine.Progress) {}
	}
	// The manifest may have been damaged since the generation was opened.
	if _, err := storage.ReadManifest(x.Files.Dir); err != nil {
		return err
	}
	if err := x.Files.VerifyAll(func(done, total int64) {
		progress(engine.Progress{Step: "verify checksums", Done: done, Total: total})
	}); err != nil {
		return err
	}
	c := &checker{files: x.Files, tree: x.Tree, progress: progress}
	for _, check := range []func(context.Context) error{c.terms, c.catalog, c.postings, c.forward, c.identifiers, c.texts} {
		if err := x.Guard(func() error { return check(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// checker verifies what checksums do not say.
type checker struct {
	files    *storage.Files
	tree     func() error
	progress func(engine.Progress)
	people   []uint64 // of each term, as the dictionary says
}

// corrupt is a finding in a file of the generation.
func (c *checker) corrupt(file, format string, args ...any) error {
	return fmt.Errorf("%w: %s/%s: %s", engine.ErrCorrupt, c.files.Dir, file, fmt.Sprintf(format, args...))
}

// terms verifies the dictionary.
func (c *checker) terms(ctx context.Context) error {
	dict := c.files.Dict
	c.progress(engine.Progress{Step: "verify terms"})
	if err := dict.Verify(); err != nil {
		return err
	}
	c.people = make([]uint64, dict.Terms())
	for t := range dict.Terms() {
		n, err := dict.People(t)
		if err == nil && t%(1<<20) == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if n == 0 || n > uint64(c.files.Manifest.Rows) {
			return c.corrupt(storage.DictName, "a term has %d people", n)
		}
		c.people[t] = n
	}
	return nil
}

// catalog verifies what has a name.
func (c *checker) catalog(ctx context.Context) error {
	files := c.files
	if err := files.Accounts.Verify(); err != nil {
		return err
	}
	if files.Places != nil {
		if err := files.Places.Verify(); err != nil {
			return err
		}
	}
	for f, names := range files.Names {
		if err := names.Verify(files.Dict, f); err != nil {
			return err
		}
	}
	if err := c.tree(); err != nil {
		return err
	}
	return ctx.Err()
}

// postings verifies the containers of all parts, and counts people.
func (c *checker) postings(ctx context.Context) error {
	dict := c.files.Dict
	people := make([]uint64, dict.Terms())
	for i, part := range c.files.Parts {
		c.progress(engine.Progress{Step: "verify postings", Done: int64(i), Total: int64(len(c.files.Parts))})
		name := storage.PartName(i)
		single := singles{dict: dict, rows: part.Rows()}
		var found error
		err := part.EachTerm(func(term uint32, ps storage.Postings) bool {
			if found = ctx.Err(); found != nil {
				return false
			}
			if term >= dict.Terms() || ps.Empty() {
				found = c.corrupt(name, "holds a term that is not in the dictionary")
				return false
			}
			for b := range storage.PartBlocks {
				container := ps.Container(b)
				if !sound(container, min(part.Rows()-b*storage.BlockRows, storage.BlockRows)) {
					found = c.corrupt(name, "rows of a term are not sound")
					return false
				}
				if !single.add(term, b, container) {
					found = c.corrupt(name, "a row has two terms of a field that has one")
					return false
				}
				people[term] += uint64(container.Card)
			}
			return true
		})
		if err != nil {
			return err
		}
		if found != nil {
			return found
		}
	}
	for t, n := range people {
		if c.people[t] != n {
			return c.corrupt(storage.DictName, "a term has other people than the parts say")
		}
	}
	return nil
}

// sound tells whether a container is in order and has only the first limit
// rows of its block.
func sound(c storage.Container, limit int) bool {
	switch c.Kind {
	case storage.None:
		return c.Card == 0
	case storage.Array:
		next := 0
		for _, r := range c.Array {
			if int(r) < next {
				return false
			}
			next = int(r) + 1
		}
		return c.Card == len(c.Array) && c.Card > 0 && next <= limit
	case storage.Bitmap:
		b := kernel.AsBlock(c.Bitmap)
		return limit > 0 && c.Card == kernel.Count(b) && !kernel.HasFrom(b, limit)
	case storage.Runs:
		next, card := 0, 0
		for _, r := range c.Runs {
			if int(r.Start) < next || r.Last < r.Start {
				return false
			}
			next = int(r.Last) + 2 // runs do not touch
			card += int(r.Last-r.Start) + 1
		}
		return c.Card == card && next-1 <= limit
	}
	return false
}

// singles finds rows that have two terms of a field of which a row has one.
type singles struct {
	dict  *storage.Dict
	rows  int
	first uint32 // term of the field at hand
	end   uint32
	field [storage.PartBlocks]*kernel.Block
}

func (s *singles) add(term uint32, block int, c storage.Container) bool {
	if term >= s.end {
		s.first, s.end = term, term+1
		clear(s.field[:])
		for _, f := range forward.SingleFields() {
			if first, count := s.dict.Range(f); first <= term && term < first+count {
				s.first, s.end = first, first+count
				for b := range s.field {
					s.field[b] = new(kernel.Block)
				}
			}
		}
	}
	b := s.field[block]
	if b == nil || c.Kind == storage.None {
		return true
	}
	before := kernel.Count(b)
	c.AddTo(b)
	return kernel.Count(b) == before+c.Card
}

// texts verifies that the words of every text are terms of its row, and that
// terms have no other rows.
func (c *checker) texts(ctx context.Context) error {
	for _, f := range query.TextFields() {
		first, count := c.files.Dict.Range(f)
		column := c.files.Texts[f]
		if column == nil {
			if count > 0 {
				return c.corrupt(storage.DictName, "has words of %s, which has no texts", f)
			}
			continue
		}
		people := make([]uint64, count)
		for b := range column.Blocks() {
			if err := ctx.Err(); err != nil {
				return err
			}
			c.progress(engine.Progress{Step: "verify texts of " + string(f), Done: int64(b), Total: int64(column.Blocks())})
			if err := c.textBlock(f, column, b, people); err != nil {
				return err
			}
		}
		for i, n := range people {
			if c.people[first+uint32(i)] != n {
				return c.corrupt(storage.TextName(string(f)), "holds other words than the dictionary says")
			}
		}
	}
	return nil
}

// textBlock verifies the words of a block, and counts rows a term.
func (c *checker) textBlock(f query.Field, column *storage.Column, block int, people []uint64) error {
	texts, err := column.Block(block)
	if err != nil {
		return err
	}
	first, _ := c.files.Dict.Range(f)
	var pairs []uint64 // term and row, as often as the word occurs
	bad := false
	var failed error
	limit := min(storage.BlockRows, int(c.files.Manifest.Rows)-block*storage.BlockRows)
	for row := range limit {
		from, to := texts.Range(row)
		for v := from; v < to; v++ {
			words.StreamTerms(texts.Value(v), func(term []byte) {
				if len(term) > storage.MaxTerm {
					return // too long to be a term
				}
				t, ok, err := c.files.Dict.Number(f, term)
				bad = bad || !ok
				failed = errors.Join(failed, err)
				pairs = append(pairs, uint64(t)<<16|uint64(row))
			})
		}
		if failed != nil {
			return failed
		}
		if bad {
			return c.corrupt(storage.TextName(string(f)), "holds a word that is not in the dictionary")
		}
	}
	slices.Sort(pairs)
	pairs = slices.Compact(pairs)
	part := c.files.Parts[block/storage.PartBlocks]
	for len(pairs) > 0 {
		term := uint32(pairs[0] >> 16)
		var want, have kernel.Block
		n := 0
		for ; n < len(pairs) && uint32(pairs[n]>>16) == term; n++ {
			row := uint16(pairs[n])
			want[row/64] |= 1 << (row % 64)
		}
		pairs = pairs[n:]
		ps, err := part.Postings(term)
		if err != nil {
			return err
		}
		if ps.Container(block % storage.PartBlocks).AddTo(&have); have != want {
			return c.corrupt(storage.PartName(block/storage.PartBlocks), "rows of a word are not those of its texts")
		}
		people[term-first] += uint64(n)
	}
	return nil
}
