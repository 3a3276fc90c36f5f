package bitmap

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"throng/engine"
	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/internal/words"
	"throng/query"
)

// Check implements engine.Engine. Beside every checksum it verifies that terms
// are in order and have as many rows as the dictionary says, that containers
// and columns hold no row that does not exist, that fields of which a row has
// one term have one, that forward indexes say the same, that every identifier is found by its lookup, that words
// and texts agree, and that names and accounts are in order.
func (e *Engine) Check(ctx context.Context, id string, progress func(engine.Progress)) error {
	h, err := e.Acquire(ctx, id)
	if err != nil {
		return err
	}
	defer h.Release()
	if progress == nil {
		progress = func(engine.Progress) {}
	}
	g := h.(*generation).core
	// The manifest may have been damaged since the generation was opened.
	if _, err := storage.ReadManifest(g.files.Dir); err != nil {
		return err
	}
	if err := g.files.VerifyAll(func(done, total int64) {
		progress(engine.Progress{Step: "verify checksums", Done: done, Total: total})
	}); err != nil {
		return err
	}
	c := &checker{gen: g, progress: progress}
	for _, check := range []func(context.Context) error{c.terms, c.catalog, c.postings, c.forward, c.identifiers, c.texts} {
		if err := g.guard(func() error { return check(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// checker verifies what checksums do not say.
type checker struct {
	gen      *core
	progress func(engine.Progress)
	people   []uint64 // of each term, as the dictionary says
}

// corrupt is a finding in a file of the generation.
func (c *checker) corrupt(file, format string, args ...any) error {
	return fmt.Errorf("%w: %s/%s: %s", engine.ErrCorrupt, c.gen.files.Dir, file, fmt.Sprintf(format, args...))
}

// terms verifies the dictionary.
func (c *checker) terms(ctx context.Context) error {
	dict := c.gen.files.Dict
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
		if n == 0 || n > c.gen.rows {
			return c.corrupt(storage.DictName, "a term has %d people", n)
		}
		c.people[t] = n
	}
	return nil
}

// catalog verifies what has a name.
func (c *checker) catalog(ctx context.Context) error {
	files := c.gen.files
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
	if _, err := c.gen.taxonomy(); err != nil {
		return err
	}
	return ctx.Err()
}

// postings verifies the containers of all parts, and counts people.
func (c *checker) postings(ctx context.Context) error {
	dict := c.gen.files.Dict
	people := make([]uint64, dict.Terms())
	for i, part := range c.gen.files.Parts {
		c.progress(engine.Progress{Step: "verify postings", Done: int64(i), Total: int64(len(c.gen.files.Parts))})
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
		return limit > 0 && c.Card == kernel.Count(b) && !hasRowsFrom(b, limit)
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
	orContainer(b, c)
	return kernel.Count(b) == before+c.Card
}

// identifiers verifies that every value is found, that values are marked as
// shared where they are, and that lookups hold nothing else.
func (c *checker) identifiers(ctx context.Context) error {
	for _, t := range identifier.Types() {
		column := c.gen.columns[t]
		if column == nil {
			continue
		}
		found := newMatcher(c.gen, t)
		if found.lookup == nil {
			return c.corrupt(storage.ColumnName(t), "has no lookup")
		}
		if t != identifier.EmailRaw && found.lookup.Keys() != column.column.Values() {
			return c.corrupt(storage.LookupName(t), "has other keys than the column")
		}
		if err := found.lookup.Verify(); err != nil {
			return err
		}
		for b := range column.column.Blocks() {
			if err := ctx.Err(); err != nil {
				return err
			}
			c.progress(engine.Progress{
				Step: "verify identifiers of type " + string(t), Done: int64(b), Total: int64(column.column.Blocks()),
			})
			if err := c.values(t, b, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// values verifies the values of a block of a type.
func (c *checker) values(t identifier.Type, block int, found *matcher) error {
	view := c.gen.columns[t]
	values, err := view.block(block)
	if err != nil {
		return err
	}
	codec := storage.CodecOf(t)
	var key, sought []byte
	limit := min(storage.BlockRows, int(c.gen.rows)-block*storage.BlockRows)
	for row := range limit {
		number := uint32(block*storage.BlockRows + row)
		from, to := values.Range(row)
		if t == identifier.SSID && to-from != 1 {
			return c.corrupt(storage.ColumnName(t), "a row has %d keys", to-from)
		}
		for v := from; v < to; v++ {
			key = append(key[:0], codec.Key(key, values.Value(v))...)
			sought = found.key(sought[:0], codec.Decode(nil, key))
			mine, others, err := found.owners(sought, number)
			if err != nil {
				return err
			}
			switch {
			case !mine:
				return c.corrupt(storage.LookupName(found.lookedUp()), "does not find an identifier")
			case t == identifier.SSID && others:
				return c.corrupt(storage.ColumnName(t), "two rows have one key")
			case t != identifier.EmailRaw && values.Shared(v) != others:
				return c.corrupt(storage.ColumnName(t), "a value's mark for several owners is wrong")
			}
		}
	}
	return nil
}

// lookedUp is the type whose lookup is used.
func (m *matcher) lookedUp() identifier.Type {
	if m.typ == identifier.EmailRaw {
		return identifier.MD5
	}
	return m.typ
}

// owners tells whether a row owns a key, and whether other rows do.
func (m *matcher) owners(key []byte, row uint32) (mine, others bool, err error) {
	var failed error
	err = m.lookup.Candidates(storage.Hash(key), func(candidate uint32) bool {
		owns, err := m.column.owns(candidate, key, m.codec)
		switch {
		case err != nil:
			failed = err
		case owns && candidate == row:
			mine = true
		case owns:
			others = true
		}
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	return mine, others, err
}

// texts verifies that the words of every text are terms of its row, and that
// terms have no other rows.
func (c *checker) texts(ctx context.Context) error {
	for _, f := range query.TextFields() {
		first, count := c.gen.termRange(f)
		column := c.gen.files.Texts[f]
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
	first, _ := c.gen.termRange(f)
	var pairs []uint64 // term and row, as often as the word occurs
	bad := false
	var failed error
	limit := min(storage.BlockRows, int(c.gen.rows)-block*storage.BlockRows)
	for row := range limit {
		from, to := texts.Range(row)
		for v := from; v < to; v++ {
			words.StreamTerms(texts.Value(v), func(term []byte) {
				if len(term) > storage.MaxTerm {
					return // too long to be a term
				}
				t, ok, err := c.gen.files.Dict.Number(f, term)
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
	part := c.gen.files.Parts[block/storage.PartBlocks]
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
		if orContainer(&have, ps.Container(block%storage.PartBlocks)); have != want {
			return c.corrupt(storage.PartName(block/storage.PartBlocks), "rows of a word are not those of its texts")
		}
		people[term-first] += uint64(n)
	}
	return nil
}
