package load

import (
	"bytes"
	"errors"

	"throng/engine/bitmap/storage"
)

// known finds people by key, among the rows and among those left out for
// their age. It reads the files that the load has just written.
type known struct {
	keys, minors            *storage.Column
	keyLookup, minorsLookup *storage.Lookup
}

func (l *loader) openKnown() (_ *known, err error) {
	k := &known{}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.close())
		}
	}()
	if k.keys, err = storage.OpenColumn(l.built(storage.KeysName)); err != nil {
		return nil, err
	}
	if k.keyLookup, err = storage.OpenLookup(l.built(storage.KeyLookupName)); err != nil {
		return nil, err
	}
	if k.minors, err = storage.OpenColumn(l.scratch("minors.col")); err != nil {
		return nil, err
	}
	k.minorsLookup, err = storage.OpenLookup(l.scratch("minors.idx"))
	return k, err
}

func (k *known) close() error {
	var errs []error
	for _, c := range []*storage.Column{k.keys, k.minors} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	for _, c := range []*storage.Lookup{k.keyLookup, k.minorsLookup} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// who is what a key means.
type who uint8

const (
	unknown who = iota
	aRow
	aMinor
)

// finder is one goroutine's way to the people. It remembers the last one:
// exports are grouped by person.
type finder struct {
	k     *known
	last  []byte
	token uint64 // of the cell with last; 0 where not known
	row   uint32
	who   who
	block int
	cb    storage.ColumnBlock
}

func (k *known) finder() *finder { return &finder{k: k, block: -1} }

// find gives the row of a key, which has the token of its cell.
func (f *finder) find(key []byte, token uint64) (uint32, who, error) {
	if f.who != unknown && (token != 0 && token == f.token || bytes.Equal(key, f.last)) {
		return f.row, f.who, nil
	}
	f.token = 0
	row, w, err := f.search(key)
	if w != unknown {
		f.token = token
	}
	return row, w, err
}

func (f *finder) search(key []byte) (uint32, who, error) {
	if row, ok, err := f.next(key); ok || err != nil {
		return row, aRow, err
	}
	hash := storage.Hash(key)
	row, ok, err := f.among(f.k.keys, f.k.keyLookup, key, hash, true)
	w := aRow
	if err == nil && !ok && f.k.minorsLookup.Keys() > 0 {
		_, ok, err = f.among(f.k.minors, f.k.minorsLookup, key, hash, false)
		w = aMinor
	}
	if err != nil || !ok {
		return 0, unknown, err
	}
	f.last = append(f.last[:0], key...)
	f.row, f.who = row, w
	return row, w, nil
}

// ahead is how many rows behind the last one are tried before the lookup.
const ahead = 4

// next tries the rows behind the last one: most tables come in the order of
// people, and these keys are at hand.
func (f *finder) next(key []byte) (uint32, bool, error) {
	if f.who != aRow {
		return 0, false, nil
	}
	for r := uint64(f.row) + 1; r <= uint64(f.row)+ahead && r < uint64(f.k.keys.Rows()); r++ {
		if b := int(r / storage.BlockRows); b != f.block {
			cb, err := f.k.keys.Block(b)
			if err != nil {
				return 0, false, err
			}
			f.cb, f.block = cb, b
		}
		from, _ := f.cb.Range(int(r % storage.BlockRows))
		if bytes.Equal(f.cb.Value(from), key) {
			f.last = append(f.last[:0], key...)
			f.row, f.token = uint32(r), 0
			return f.row, true, nil
		}
	}
	return 0, false, nil
}

func (f *finder) among(c *storage.Column, l *storage.Lookup, key []byte, hash uint64, cached bool) (row uint32, found bool, err error) {
	e := l.Candidates(hash, func(r uint32) bool {
		b := int(r / storage.BlockRows)
		cb := &f.cb
		if !cached || b != f.block {
			var other storage.ColumnBlock
			if other, err = c.Block(b); err != nil {
				return false
			}
			if cached {
				f.cb, f.block = other, b
			} else {
				cb = &other
			}
		}
		from, _ := cb.Range(int(r % storage.BlockRows))
		if bytes.Equal(cb.Value(from), key) {
			row, found = r, true
		}
		return !found
	})
	return row, found, errors.Join(err, e)
}
