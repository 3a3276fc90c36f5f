package load

import (
	"context"
	"encoding/binary"
	"math/bits"
	"slices"

	"throng/dataset"
	"throng/engine/bitmap/load/radix"
	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
	"throng/identifier"
)

// Identifiers are kept twice while tables are read: as records block by block,
// which become the columns,
//
//	row u16, type u8, derived u8, order u64, length u16, stored form
//
// and as pairs of hash and row (12 bytes) in partitions by type and hash, which
// become the lookups and tell which values several rows own.
const (
	idHead       = 14
	hashPair     = 12
	hashPartBits = 6
	hashParts    = 1 << hashPartBits
	sharedEntry  = 9
)

type identifiers struct {
	l       *loader
	types   []identifier.Type // by number; without SSID
	number  map[identifier.Type]uint8
	codecs  []storage.Codec
	records *spill.Store
	hashes  *spill.Store
	shared  *spill.Store // by block: type u8, hash u64, of values that several rows own
}

func (l *loader) newIdentifiers() *identifiers {
	ids := &identifiers{l: l, number: map[identifier.Type]uint8{}}
	for _, t := range identifier.Types() {
		if t == identifier.SSID {
			continue
		}
		ids.number[t] = uint8(len(ids.types))
		ids.types = append(ids.types, t)
		ids.codecs = append(ids.codecs, storage.CodecOf(t))
	}
	ids.records = l.mem.NewStore(l.scratch("identifiers"), l.blocks(), l.workers, l.opt.Memory/16)
	ids.hashes = l.mem.NewStore(l.scratch("identifier-hashes"), len(ids.types)*hashParts, l.workers, l.opt.Memory/16)
	return ids
}

// idWriter is one goroutine's way to the identifiers.
type idWriter struct {
	ids             *identifiers
	records, hashes *spill.Writer
	row             dataset.IdentifierRow
	scratch, stored []byte
}

func (ids *identifiers) writer() *idWriter {
	return &idWriter{ids: ids, records: ids.records.Writer(), hashes: ids.hashes.Writer()}
}

func (w *idWriter) flush() {
	w.records.Flush()
	w.hashes.Flush()
}

// add keeps the decoded identifier of a row, and those that follow from it.
func (w *idWriter) add(row uint32, order uint64) error {
	r := &w.row
	if err := w.put(row, order, 0, r.Type, r.Printed, r.Norm); err != nil {
		return err
	}
	if sum, ok := r.Type.HasMD5(); ok {
		w.scratch = identifier.HexMD5(w.scratch[:0], r.Norm)
		if err := w.put(row, order, 1, sum, w.scratch, w.scratch); err != nil {
			return err
		}
	}
	if r.Type.AlsoMA() {
		var reason identifier.Reason
		if w.scratch, reason = identifier.MAID.Normalize(w.scratch[:0], r.Norm); reason == "" {
			return w.put(row, order, 1, identifier.MAID, w.scratch, w.scratch)
		}
	}
	return nil
}

func (w *idWriter) put(row uint32, order uint64, derived byte, t identifier.Type, printed, norm []byte) error {
	n := w.ids.number[t]
	w.stored = w.ids.codecs[n].Encode(w.stored[:0], printed)
	hash := storage.Hash(norm)
	if t.IsMD5() || len(w.stored) != len(printed) {
		hash = storage.Hash(w.stored)
	}
	block := int(row / storage.BlockRows)
	c, _, err := w.records.Room(block, idHead+len(w.stored))
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	c = le.AppendUint16(c, uint16(row))
	c = append(c, n, derived)
	c = le.AppendUint64(c, order)
	c = le.AppendUint16(c, uint16(len(w.stored)))
	w.records.Put(block, append(c, w.stored...))
	part := int(n)*hashParts + int(hash>>(64-hashPartBits))
	if c, _, err = w.hashes.Room(part, hashPair); err != nil {
		return err
	}
	c = le.AppendUint64(c, hash)
	w.hashes.Put(part, le.AppendUint32(c, row))
	return nil
}

// sorted gives the distinct pairs of a partition by hash, then row.
func (ids *identifiers) sorted(part int) ([]radix.HashRow, error) {
	pieces, err := ids.hashes.Read(part)
	if err != nil {
		return nil, err
	}
	list := make([]radix.HashRow, 0, ids.hashes.Bytes(part)/hashPair)
	le := binary.LittleEndian
	for _, b := range pieces {
		for ; len(b) >= hashPair; b = b[hashPair:] {
			list = append(list, radix.HashRow{Hash: le.Uint64(b), Row: le.Uint32(b[8:])})
		}
	}
	ids.hashes.Release(part)
	list, _ = radix.SortHashes(list, make([]radix.HashRow, len(list)), hashPartBits)
	return slices.Compact(list), nil
}

// writeLookups writes the lookup of each type present and notes the values
// that several rows own.
func (ids *identifiers) writeLookups(ctx context.Context) error {
	l := ids.l
	ids.shared = l.mem.NewStore(l.scratch("identifiers-shared"), l.blocks(), 1, l.opt.Memory/32)
	shared := ids.shared.Writer()
	for n, t := range ids.types {
		total := uint64(0)
		for p := range hashParts {
			total += uint64(ids.hashes.Bytes(n*hashParts+p)) / hashPair
		}
		if total == 0 {
			continue
		}
		if err := ids.writeLookup(ctx, n, t, total, shared); err != nil {
			return err
		}
	}
	shared.Flush()
	return nil
}

func (ids *identifiers) writeLookup(ctx context.Context, n int, t identifier.Type, total uint64, shared *spill.Writer) error {
	l := ids.l
	var lw *storage.LookupWriter
	if name := storage.LookupName(t); name != "" {
		var err error
		if lw, err = storage.NewLookupWriter(l.tmp, name, total); err != nil {
			return err
		}
		defer lw.Abort()
	}
	err := inOrder(ctx, hashParts, l.workers, func(i int) ([]radix.HashRow, error) {
		return ids.sorted(n*hashParts + i)
	}, func(_ int, list []radix.HashRow) error {
		for i, e := range list {
			if lw != nil {
				if err := lw.Add(e.Hash, e.Row); err != nil {
					return err
				}
			}
			if i > 0 && list[i-1].Hash == e.Hash || i+1 < len(list) && list[i+1].Hash == e.Hash {
				block := int(e.Row / storage.BlockRows)
				c, _, err := shared.Room(block, sharedEntry)
				if err != nil {
					return err
				}
				shared.Put(block, binary.LittleEndian.AppendUint64(append(c, byte(n)), e.Hash))
			}
		}
		return nil
	})
	if err != nil || lw == nil {
		return err
	}
	return l.file(lw.Close())
}

// idValue is a value of a block. Its place is type, row, and whether it is
// derived, from the highest bits down.
type idValue struct {
	place  uint32
	shared bool
	order  uint64
	stored []byte // in the records
}

func (v *idValue) typ() uint8  { return uint8(v.place >> 17) }
func (v *idValue) row() uint32 { return v.place >> 1 & (storage.BlockRows - 1) }

// writeColumns writes the column of each type present. writeLookups comes
// before.
func (ids *identifiers) writeColumns(ctx context.Context) error {
	l := ids.l
	columns := make([]*storage.ColumnWriter, len(ids.types))
	for n, t := range ids.types {
		total := int64(0)
		for p := range hashParts {
			total += ids.hashes.Bytes(n*hashParts + p)
		}
		if total == 0 {
			continue
		}
		c, err := storage.NewColumnWriter(l.tmp, storage.ColumnName(t), l.rows)
		if err != nil {
			return err
		}
		defer c.Abort()
		columns[n] = c
	}
	err := inOrder(ctx, l.blocks(), l.workers, ids.block, func(b int, values []idValue) error {
		for i := range values {
			v := &values[i]
			if err := columns[v.typ()].Add(uint32(b)*storage.BlockRows+v.row(), v.stored, v.shared); err != nil {
				return err
			}
		}
		ids.records.Release(b)
		ids.shared.Release(b)
		l.progress.step(int64(b+1), int64(l.blocks()))
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range columns {
		if c != nil {
			if err := l.file(c.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// block gives the values of a block by type, row and order, each of a row
// once.
func (ids *identifiers) block(b int) ([]idValue, error) {
	pieces, err := ids.records.Read(b)
	if err != nil {
		return nil, err
	}
	values := make([]idValue, 0, ids.records.Bytes(b)/(idHead+16))
	le := binary.LittleEndian
	for _, p := range pieces {
		for len(p) >= idHead {
			n := int(le.Uint16(p[12:]))
			values = append(values, idValue{
				place:  uint32(p[2])<<17 | uint32(le.Uint16(p))<<1 | uint32(p[3]),
				order:  le.Uint64(p[4:]),
				stored: p[idHead:][:n:n],
			})
			p = p[idHead+n:]
		}
	}
	values = ids.inOrder(values)
	shared, err := ids.sharedOf(b)
	if err != nil {
		return nil, err
	}
	out := values[:0]
	scratch := make([]byte, 0, identifier.MaxLen)
	first := 0 // in out, of the row and type at hand
	for _, v := range values {
		if first < len(out) && out[first].place>>1 != v.place>>1 {
			first = len(out)
		}
		codec := ids.codecs[v.typ()]
		key := codec.Key(scratch, v.stored)
		if slices.ContainsFunc(out[first:], func(o idValue) bool { return codec.Equal(o.stored, key) }) {
			continue
		}
		if len(shared) > 0 {
			v.shared = shared[sharedKey{v.typ(), storage.Hash(key)}]
		}
		out = append(out, v)
	}
	return out, nil
}

// inOrder gives the values of a block by place, then order.
func (ids *identifiers) inOrder(values []idValue) []idValue {
	keys := make([]uint64, len(values))
	for i := range values {
		keys[i] = uint64(values[i].place)<<32 | uint64(i)
	}
	keys, _ = radix.Sort(keys, make([]uint64, len(keys)), 32, bits.Len(uint(len(ids.types)))+17)
	out := make([]idValue, len(values))
	first, ordered := 0, true // of those of one place
	for i, k := range keys {
		out[i] = values[uint32(k)]
		if out[i].place != out[first].place {
			first, ordered = i, true
		}
		ordered = ordered && (i == first || out[i-1].order <= out[i].order)
		if last := i+1 == len(keys) || uint32(keys[i+1]>>32) != out[i].place; last && !ordered {
			sortByOrder(out[first:i+1], func(v idValue) uint64 { return v.order })
		}
	}
	return out
}

type sharedKey struct {
	typ  uint8
	hash uint64
}

func (ids *identifiers) sharedOf(b int) (map[sharedKey]bool, error) {
	pieces, err := ids.shared.Read(b)
	if err != nil {
		return nil, err
	}
	set := map[sharedKey]bool{}
	for _, p := range pieces {
		for ; len(p) >= sharedEntry; p = p[sharedEntry:] {
			set[sharedKey{p[0], binary.LittleEndian.Uint64(p[1:])}] = true
		}
	}
	return set, nil
}

// close removes what was spilt.
func (ids *identifiers) close() []error {
	errs := []error{ids.records.Close(), ids.hashes.Close()}
	if ids.shared != nil {
		errs = append(errs, ids.shared.Close())
	}
	return errs
}
