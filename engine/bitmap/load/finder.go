package load

import (
	"bytes"
	"errors"
	"math/bits"

	"throng/engine/bitmap/load/radix"
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
	// blocks are those of keys that were looked at.
	blocks []*storage.ColumnBlock
	// hits and misses count how often the next rows were tried; unordered says
	// that this is no use in the table, or row group, at hand.
	hits, misses int
	unordered    bool
	join         joiner
}

func (k *known) finder() *finder {
	return &finder{k: k, blocks: make([]*storage.ColumnBlock, k.keys.Blocks())}
}

// key gives the key of a row.
func (f *finder) key(row uint32) ([]byte, error) {
	b := row / storage.BlockRows
	if int(b) >= len(f.blocks) {
		return nil, f.k.keyLookup.NoSuchRow()
	}
	cb := f.blocks[b]
	if cb == nil {
		block, err := f.k.keys.Block(int(b))
		if err != nil {
			return nil, err
		}
		cb = &block
		f.blocks[b] = cb
	}
	from, to := cb.Range(int(row % storage.BlockRows))
	if from == to {
		return nil, f.k.keyLookup.NoSuchRow()
	}
	return cb.Value(from), nil
}

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
	row, ok, err := f.amongRows(key, hash)
	w := aRow
	if err == nil && !ok && f.k.minorsLookup.Keys() > 0 {
		ok, err = f.amongMinors(key, hash)
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
		k, err := f.key(uint32(r))
		if err != nil {
			return 0, false, err
		}
		if bytes.Equal(k, key) {
			f.last = append(f.last[:0], key...)
			f.row, f.token = uint32(r), 0
			f.hits++
			return f.row, true, nil
		}
	}
	f.misses++
	return 0, false, nil
}

func (f *finder) amongRows(key []byte, hash uint64) (row uint32, found bool, err error) {
	e := f.k.keyLookup.Candidates(hash, func(r uint32) bool {
		var k []byte
		if k, err = f.key(r); err != nil {
			return false
		}
		if bytes.Equal(k, key) {
			row, found = r, true
		}
		return !found
	})
	return row, found, errors.Join(err, e)
}

func (f *finder) amongMinors(key []byte, hash uint64) (found bool, err error) {
	e := f.k.minorsLookup.Candidates(hash, func(r uint32) bool {
		var cb storage.ColumnBlock
		if cb, err = f.k.minors.Block(int(r / storage.BlockRows)); err != nil {
			return false
		}
		from, _ := cb.Range(int(r % storage.BlockRows))
		found = bytes.Equal(cb.Value(from), key)
		return !found
	})
	return found, errors.Join(err, e)
}

// joiner is what finding many people at once needs.
type joiner struct {
	hashes, swap []radix.HashRow
	probes       []storage.Probe
	joined       storage.Joined
	found        []uint64
}

// findAll finds the rows of n keys at once: it looks hashes up in their order,
// and keys in the order of rows, so that neither jumps about. rows[i] becomes 1
// more than the row of key i, and stays 0 where the key is of no row.
func (f *finder) findAll(n int, key func(i int) []byte, rows []uint32) error {
	j := &f.join
	j.hashes = j.hashes[:0]
	for i := range n {
		if k := key(i); len(k) > 0 && rows[i] == 0 {
			j.hashes = append(j.hashes, radix.HashRow{Hash: storage.Hash(k), Row: uint32(i)})
		}
	}
	if cap(j.swap) < len(j.hashes) {
		j.swap = make([]radix.HashRow, cap(j.hashes))
	}
	j.hashes, j.swap = radix.SortHashes(j.hashes, j.swap[:len(j.hashes)], 0)
	j.probes = j.probes[:0]
	for _, h := range j.hashes {
		j.probes = append(j.probes, storage.Probe{Hash: h.Hash})
	}
	if need := len(j.probes)*2 + storage.JoinRoom; cap(j.joined.Found) < need {
		j.joined.Found = make([]uint64, 0, need)
	}
	for next := 0; next < len(j.probes); {
		// Crowded probes are left to whoever looks for one key at a time.
		j.joined.Found, j.joined.Crowded = j.joined.Found[:0], j.joined.Crowded[:0]
		var err error
		if next, err = f.k.keyLookup.Join(j.probes, next, &j.joined); err != nil {
			return err
		}
		if err := f.confirm(key, rows); err != nil {
			return err
		}
	}
	return nil
}

// confirm compares the keys of the rows that were found.
func (f *finder) confirm(key func(i int) []byte, rows []uint32) error {
	j := &f.join
	if cap(j.found) < len(j.joined.Found) {
		j.found = make([]uint64, cap(j.joined.Found))
	}
	found, _ := radix.Sort(j.joined.Found, j.found[:len(j.joined.Found)], 32, bits.Len32(f.k.keys.Rows()))
	for _, at := range found {
		i, row := j.hashes[uint32(at)].Row, uint32(at>>32)
		k, err := f.key(row)
		if err != nil {
			return err
		}
		if bytes.Equal(k, key(int(i))) {
			rows[i] = row + 1
		}
	}
	return nil
}
