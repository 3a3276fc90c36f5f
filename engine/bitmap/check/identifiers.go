package check

import (
	"context"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/identifier"
)

// identifiers verifies that every value is found, that values are marked as
// shared where they are, and that lookups hold nothing else.
func (c *checker) identifiers(ctx context.Context) error {
	for _, t := range identifier.Types() {
		column := c.files.IDs[t]
		if column == nil {
			continue
		}
		found := newFinder(c.files, t)
		if found.lookup == nil {
			return c.corrupt(storage.ColumnName(t), "has no lookup")
		}
		if t != identifier.EmailRaw && found.lookup.Keys() != column.Values() {
			return c.corrupt(storage.LookupName(t), "has other keys than the column")
		}
		if err := found.lookup.Verify(); err != nil {
			return err
		}
		for b := range column.Blocks() {
			if err := ctx.Err(); err != nil {
				return err
			}
			c.progress(engine.Progress{
				Step: "verify identifiers of type " + string(t), Done: int64(b), Total: int64(column.Blocks()),
			})
			if err := c.values(t, b, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// values verifies the values of a block of a type.
func (c *checker) values(t identifier.Type, block int, found *finder) error {
	values, err := c.files.IDs[t].Block(block)
	if err != nil {
		return err
	}
	codec := storage.CodecOf(t)
	var key, sought []byte
	limit := min(storage.BlockRows, int(c.files.Manifest.Rows)-block*storage.BlockRows)
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
				return c.corrupt(storage.LookupName(found.typ), "does not find an identifier")
			case t == identifier.SSID && others:
				return c.corrupt(storage.ColumnName(t), "two rows have one key")
			case t != identifier.EmailRaw && values.Shared(v) != others:
				return c.corrupt(storage.ColumnName(t), "a value's mark for several owners is wrong")
			}
		}
	}
	return nil
}

// finder finds the owners of values of one type by its lookup. It is for one
// goroutine.
type finder struct {
	typ    identifier.Type // that is looked up
	email  bool            // values are addresses, and it is MD5
	codec  storage.Codec   // of typ
	lookup *storage.Lookup // nil where there is none
	column *storage.Column
	blocks []*storage.ColumnBlock // that were looked at
}

func newFinder(files *storage.Files, t identifier.Type) *finder {
	f := &finder{typ: t, email: t == identifier.EmailRaw}
	if f.email {
		f.typ = identifier.MD5 // whoever has an address has its MD5
	}
	f.codec = storage.CodecOf(f.typ)
	if column, lookup := files.IDs[f.typ], files.Lookups[f.typ]; column != nil && lookup != nil {
		f.column, f.lookup = column, lookup
		f.blocks = make([]*storage.ColumnBlock, column.Blocks())
	}
	return f
}

// key appends the key of a value to dst: what is hashed and compared.
func (f *finder) key(dst, value []byte) []byte {
	if f.email {
		return f.codec.Encode(dst, identifier.EmailMD5(nil, value))
	}
	return f.codec.Encode(dst, value)
}

// owners tells whether a row owns a key, and whether other rows do.
func (f *finder) owners(key []byte, row uint32) (mine, others bool, err error) {
	var failed error
	err = f.lookup.Candidates(storage.Hash(key), func(candidate uint32) bool {
		owns, err := f.owns(candidate, key)
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

// owns tells whether a row has a value with this key.
func (f *finder) owns(row uint32, key []byte) (bool, error) {
	b, err := f.block(int(row / storage.BlockRows))
	if err != nil {
		return false, err
	}
	if row >= f.column.Rows() {
		return false, nil
	}
	from, to := b.Range(int(row % storage.BlockRows))
	for i := from; i < to; i++ {
		if f.codec.Equal(b.Value(i), key) {
			return true, nil
		}
	}
	return false, nil
}

// block gives a block of the column.
func (f *finder) block(i int) (*storage.ColumnBlock, error) {
	if i < len(f.blocks) && f.blocks[i] != nil {
		return f.blocks[i], nil
	}
	b, err := f.column.Block(i)
	if err != nil {
		return nil, err
	}
	f.blocks[i] = &b
	return &b, nil
}
