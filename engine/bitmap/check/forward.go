package check

import (
	"context"
	"slices"

	"throng/engine"
	"throng/engine/bitmap/forward"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// forward verifies that forward indexes say what postings say.
func (c *checker) forward(ctx context.Context) error {
	limit, _ := c.files.Dict.Range(query.Active)
	v := inverse{checker: c, at: make([]uint32, limit+1)}
	for i, f := range c.files.Forwards {
		c.progress(engine.Progress{Step: "verify forward indexes", Done: int64(i), Total: int64(len(c.files.Forwards))})
		if f.Limit() != limit {
			return c.corrupt(forward.Name(i), "counts other terms than the dictionary has")
		}
		_, dense, err := f.Codes()
		if err != nil {
			return err
		}
		for b := range f.Blocks() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := v.block(i, b, dense); err != nil {
				return err
			}
		}
	}
	return nil
}

// inverse is a block of a forward index, turned around again.
type inverse struct {
	*checker
	at    []uint32 // where the rows of each term end, and of those before
	rows  []uint16
	terms []uint32
	known [16]kernel.Block // of KnownFields
}

// block compares a block with the postings of its part.
func (v *inverse) block(part, b, dense int) error {
	f := v.files.Forwards[part]
	section, err := f.Block(b)
	if err != nil {
		return err
	}
	limit := min(f.Rows()-b*storage.BlockRows, storage.BlockRows)
	if err := v.invert(part, &section, limit); err != nil {
		return err
	}
	if len(v.rows) != int(f.Pairs(b)) {
		return v.corrupt(forward.Name(part), "has another number of terms than it says")
	}
	codes, _, _ := f.Codes() // verified by the caller
	many := 0
	for _, t := range codes[:dense] {
		many += len(v.rowsOf(t))
	}
	if many != int(f.DensePairs(b)) {
		return v.corrupt(forward.Name(part), "has another number of dense terms than it says")
	}
	left, same := len(v.rows), true
	clear(v.known[:])
	fields := forward.KnownFields()
	err = v.files.Parts[part].EachTermOf(0, v.files.Dict.Terms(), func(term uint32, ps *storage.Postings) bool {
		container := ps.Container(b)
		for i, field := range fields {
			if field == query.Personality {
				field = query.Scored // any score makes it known
			}
			if first, n := v.files.Dict.Range(field); term >= first && term < first+n {
				container.AddTo(&v.known[i])
			}
		}
		if int(term) >= len(v.at)-1 {
			return true
		}
		rows := v.rowsOf(term)
		left -= len(rows)
		same = sameRows(rows, container)
		return same
	})
	if err != nil {
		return err
	}
	if !same || left != 0 {
		return v.corrupt(forward.Name(part), "rows have other terms than the postings say")
	}
	for i := range fields {
		if !sameKnown(&v.known[i], section.Known(i), f.KnownCount(b, i), limit) {
			return v.corrupt(forward.Name(part), "other rows of a field are known than the postings say")
		}
	}
	return nil
}

// rowsOf is the rows of a term.
func (v *inverse) rowsOf(term uint32) []uint16 {
	from := uint32(0)
	if term > 0 {
		from = v.at[term-1]
	}
	return v.rows[from:v.at[term]]
}

// invert sorts the rows of a block by their terms.
func (v *inverse) invert(part int, section *forward.Block, limit int) (err error) {
	clear(v.at)
	for row := range limit {
		if v.terms, err = section.Terms(v.terms[:0], row); err != nil {
			return err
		}
		for _, t := range v.terms {
			if int(t) >= len(v.at)-1 {
				return v.corrupt(forward.Name(part), "holds a term that is not counted")
			}
			v.at[t+1]++
		}
	}
	for t := 1; t < len(v.at); t++ {
		v.at[t] += v.at[t-1]
	}
	n := int(v.at[len(v.at)-1])
	v.rows = slices.Grow(v.rows[:0], n)[:n]
	for row := range limit {
		if v.terms, err = section.Terms(v.terms[:0], row); err != nil {
			return err
		}
		for _, t := range v.terms {
			v.rows[v.at[t]] = uint16(row)
			v.at[t]++
		}
	}
	return nil
}

// sameRows tells whether a container has exactly these rows.
func sameRows(rows []uint16, c storage.Container) bool {
	if len(rows) != c.Card || c.Kind == storage.Array || c.Kind == storage.None {
		return len(rows) == c.Card && slices.Equal(rows, c.Array)
	}
	var have, want kernel.Block
	kernel.OrArray(&have, rows)
	c.AddTo(&want)
	return have == want
}

// sameKnown tells whether a list of known rows is these rows of the first
// limit.
func sameKnown(want *kernel.Block, k forward.KnownRows, n, limit int) bool {
	var have kernel.Block
	if k.Bitmap != nil {
		have = *kernel.AsBlock(k.Bitmap)
	} else {
		for i, r := range k.Array {
			if i > 0 && k.Array[i-1] >= r {
				return false
			}
		}
		kernel.OrArray(&have, k.Array)
	}
	if k.Not {
		if len(k.Array) > 0 && int(k.Array[len(k.Array)-1]) >= limit {
			return false
		}
		kernel.Complement(&have, limit)
	}
	return have == *want && kernel.Count(&have) == n
}
