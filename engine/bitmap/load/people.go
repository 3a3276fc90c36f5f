package load

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sync/errgroup"

	"throng/dataset"
	"throng/engine/bitmap/load/intern"
	"throng/engine/bitmap/load/invert"
	"throng/engine/bitmap/load/radix"
	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// The people decide the numbers of rows: their order is that of files and
// lines. The table is read once, by all workers; each batch becomes a blob
//
//	records u32; offset of each record in the blob u32; records
//	record: line uvarint; minor or not u8; key length u8, key; terms u8, each u32
//
// and for each record an entry of its hash, its batch and its place there, in
// a store parted by hash. When all batches are known they are put in order,
// which gives each record its ordinal. Each part of the hashes is then sorted
// alone, which finds who is there twice; then the batches are walked in order,
// which gives rows; at last the sorted hashes become the lookup. No step keeps
// more than a few bits a person in memory.
const (
	keyPartBits = 8
	keyParts    = 1 << keyPartBits
	keyEntry    = 16
	entryHash   = 8
)

type peopleBatch struct {
	fileIndex, seq int
	file           string
	blob           int
	records        uint32
	base           uint32 // ordinal of the first record
}

type people struct {
	l      *loader
	log    *spill.Blobs
	hashes *spill.Store
	sorted *spill.Blobs

	mu      sync.Mutex
	batches []*peopleBatch
	minors  uint32 // without duplicates, once these are marked
	dups    uint32
	total   uint64

	ordered []int // positions in batches by the order of the dataset
	dup     []uint64
	kept    []uint64 // bits by ordinal
	minor   []uint64
}

// peopleWorker is one goroutine's state.
type peopleWorker struct {
	row     dataset.PersonRow
	terms   *intern.Cache
	hashes  *spill.Writer
	blob    []byte
	offsets []uint32
	whole   []byte
	values  [1 << valueBits]valueTerm
}

// valueTerm is the term of a value that lies in memory once, such as an id of
// the table of places.
type valueTerm struct {
	at    *byte
	size  int
	field query.Field
	term  uint32
}

const valueBits = 12

func (l *loader) readPeople(ctx context.Context) (*people, error) {
	p := &people{
		l:      l,
		log:    spill.NewBlobs(l.scratch("people"), l.opt.Memory/8),
		hashes: l.mem.NewStore(l.scratch("people-hashes"), keyParts, l.workers, l.opt.Memory/16),
		sorted: spill.NewBlobs(l.scratch("people-sorted"), l.opt.Memory/16),
	}
	var all []*peopleWorker
	for range l.workers {
		all = append(all, &peopleWorker{terms: l.dict.NewCache(), hashes: p.hashes.Writer()})
	}
	c := newCrew(all)
	err := l.read(ctx, dataset.People, func(b *dataset.Batch) error { return p.batch(c.of(b), b) })
	if err != nil {
		return p, err
	}
	for _, w := range all {
		w.hashes.Flush()
	}
	return p, p.assign(ctx)
}

// batch turns a batch into a blob and the entries of its hashes.
func (p *people) batch(w *peopleWorker, b *dataset.Batch) error {
	rejects := p.l.rejects
	w.blob, w.offsets = w.blob[:0], w.offsets[:0]
	minors := uint32(0)
	for row := range b.Rows() {
		out := w.row.Decode(b, row, p.l.env)
		if out.Reject != "" {
			rejects.Reject(b, row, out.Reject)
			continue
		}
		rejects.Drop(b.Table, w.row.Dropped...)
		w.offsets = append(w.offsets, uint32(len(w.blob)))
		w.blob = binary.AppendUvarint(w.blob, uint64(b.Lines[row]))
		minor := byte(0)
		if out.Skip != "" {
			minor = 1
			minors++
		}
		w.blob = append(w.blob, minor, byte(len(w.row.Key)))
		w.blob = append(w.blob, w.row.Key...)
		if err := p.appendTerms(w, minor == 1); err != nil {
			return err
		}
	}
	head := 4 + 4*len(w.offsets)
	blob := binary.LittleEndian.AppendUint32(w.whole[:0], uint32(len(w.offsets)))
	for _, o := range w.offsets {
		blob = binary.LittleEndian.AppendUint32(blob, o+uint32(head))
	}
	blob = append(blob, w.blob...)
	w.whole = blob
	id, err := p.log.Add(blob)
	if err != nil {
		return err
	}
	p.mu.Lock()
	n := len(p.batches)
	p.batches = append(p.batches, &peopleBatch{
		fileIndex: b.FileIndex, seq: b.Seq, file: b.File, blob: id, records: uint32(len(w.offsets)),
	})
	p.minors += minors
	p.total += uint64(len(w.offsets))
	p.mu.Unlock()
	for i := range w.offsets {
		r := readRecord(blob, i)
		h := storage.Hash(r.key)
		part := int(h >> (64 - keyPartBits))
		c, _, err := w.hashes.Room(part, keyEntry)
		if err != nil {
			return err
		}
		c = binary.LittleEndian.AppendUint64(c, h)
		c = binary.LittleEndian.AppendUint32(c, uint32(n))
		w.hashes.Put(part, binary.LittleEndian.AppendUint32(c, uint32(i)))
	}
	return nil
}

// appendTerms ends the record with the terms of the person.
func (p *people) appendTerms(w *peopleWorker, minor bool) error {
	at := len(w.blob)
	w.blob = append(w.blob, 0)
	if minor {
		return nil
	}
	r := &w.row
	for _, t := range [...]struct {
		field query.Field
		value string
	}{
		{query.Age, r.Age},
		{query.Gender, r.Gender},
		{query.Ethnicity, r.Ethnicity},
		{query.City, r.City},
		{query.Region, r.Region},
		{query.DMA, r.DMA},
		{query.Country, r.Country},
	} {
		if t.value == "" {
			continue
		}
		if err := p.appendTerm(w, at, t.field, t.value); err != nil {
			return err
		}
	}
	if !r.Tweeted {
		return nil
	}
	for _, window := range p.l.windows {
		if r.LastTweeted >= window.since {
			if err := p.appendTerm(w, at, query.Active, window.value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *people) appendTerm(w *peopleWorker, at int, f query.Field, value string) error {
	start := unsafe.StringData(value)
	known := &w.values[uint64(uintptr(unsafe.Pointer(start)))*0x9e3779b97f4a7c15>>(64-valueBits)]
	if known.at != start || known.size != len(value) || known.field != f {
		t, err := w.terms.Intern(p.l.fields[f], []byte(value))
		if err != nil {
			return err
		}
		*known = valueTerm{start, len(value), f, t}
	}
	w.blob = binary.LittleEndian.AppendUint32(w.blob, known.term)
	w.blob[at]++
	return nil
}

type record struct {
	line  uint64
	minor bool
	key   []byte
	terms []byte // u32 each
}

func readRecord(blob []byte, i int) record {
	b := blob[binary.LittleEndian.Uint32(blob[4+4*i:]):]
	line, n := binary.Uvarint(b)
	minor, size := b[n] != 0, int(b[n+1])
	b = b[n+2:]
	return record{line: line, minor: minor, key: b[:size], terms: b[size+1:][:4*int(b[size])]}
}

// assign gives every record its ordinal, finds the duplicates, gives rows, and
// writes keys and lookup.
func (p *people) assign(ctx context.Context) error {
	if err := p.log.Seal(); err != nil {
		return err
	}
	if p.total > invert.MaxRows {
		return errTooManyPeople
	}
	p.ordered = make([]int, len(p.batches))
	for i := range p.ordered {
		p.ordered[i] = i
	}
	slices.SortFunc(p.ordered, func(a, b int) int {
		x, y := p.batches[a], p.batches[b]
		return cmp.Or(cmp.Compare(x.fileIndex, y.fileIndex), cmp.Compare(x.seq, y.seq))
	})
	base := uint32(0)
	for _, i := range p.ordered {
		p.batches[i].base = base
		base += p.batches[i].records
	}
	words := (p.total + 63) / 64
	p.dup, p.kept, p.minor = make([]uint64, words), make([]uint64, words), make([]uint64, words)
	parts, err := p.sortHashes(ctx)
	if err != nil {
		return err
	}
	if err := p.walk(ctx); err != nil {
		return err
	}
	if err := p.sorted.Seal(); err != nil {
		return err
	}
	return p.writeLookups(parts)
}

// sortHashes sorts each part and marks the duplicates. It returns the blobs of
// the sorted parts.
func (p *people) sortHashes(ctx context.Context) ([]int, error) {
	ids := make([]int, keyParts)
	var g errgroup.Group
	g.SetLimit(p.l.workers)
	for part := range keyParts {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			pieces, err := p.hashes.Read(part)
			if err != nil {
				return err
			}
			list := make([]radix.HashRow, 0, p.hashes.Bytes(part)/keyEntry)
			le := binary.LittleEndian
			for _, b := range pieces {
				for ; len(b) >= keyEntry; b = b[keyEntry:] {
					ordinal := p.batches[le.Uint32(b[entryHash:])].base + le.Uint32(b[12:])
					list = append(list, radix.HashRow{Hash: le.Uint64(b), Row: ordinal})
				}
			}
			p.hashes.Release(part)
			list, _ = radix.SortHashes(list, make([]radix.HashRow, len(list)), keyPartBits)
			p.markDuplicates(list)
			out := make([]byte, 0, len(list)*12)
			for _, h := range list {
				out = le.AppendUint64(out, h.Hash)
				out = le.AppendUint32(out, h.Row)
			}
			ids[part], err = p.sorted.Add(out)
			return err
		})
	}
	return ids, g.Wait()
}

// record reads a record by its ordinal.
func (p *people) record(ordinal uint32) record {
	i, found := slices.BinarySearchFunc(p.ordered, ordinal, func(i int, o uint32) int {
		return cmp.Compare(p.batches[i].base, o)
	})
	if !found {
		i--
	}
	// Batches without records have the base of the next one.
	for p.batches[p.ordered[i]].records == 0 {
		i++
	}
	b := p.batches[p.ordered[i]]
	return readRecord(p.log.Get(b.blob), int(ordinal-b.base))
}

// markDuplicates finds records with the key of an earlier one, in a list of
// ordinals.
func (p *people) markDuplicates(list []radix.HashRow) {
	for from := 0; from < len(list); {
		to := from + 1
		for to < len(list) && list[to].Hash == list[from].Hash {
			to++
		}
		if to-from > 1 {
			seen := make(map[string]bool, 1)
			for _, h := range list[from:to] {
				r := p.record(h.Row)
				k := string(r.key)
				if seen[k] {
					p.mu.Lock()
					p.dup[h.Row>>6] |= 1 << (h.Row & 63)
					p.dups++
					if r.minor {
						p.minors--
					}
					p.mu.Unlock()
				}
				seen[k] = true
			}
		}
		from = to
	}
}

func bit(set []uint64, i uint32) bool { return set[i>>6]>>(i&63)&1 != 0 }

// placed are the people who have got a row. It is for one goroutine.
type placed struct {
	dict  *intern.Dictionary
	keys  *storage.ColumnWriter
	pairs *invert.Writer
	rows  uint32
	terms []uint32
}

// add gives a person the next row, with the key and the terms.
func (a *placed) add(r record) error {
	if err := a.keys.Add(a.rows, r.key, false); err != nil {
		return err
	}
	a.terms = a.terms[:0]
	for t := r.terms; len(t) > 0; t = t[4:] {
		term := binary.LittleEndian.Uint32(t)
		a.dict.Use(term)
		a.terms = append(a.terms, term)
	}
	if err := a.pairs.AddAll(a.rows, a.terms); err != nil {
		return err
	}
	a.rows++
	return nil
}

// walk goes through all records in order: those who stay get a row, their key
// and their terms.
func (p *people) walk(ctx context.Context) error {
	l := p.l
	minors, rows := p.minors, uint32(p.total)-p.dups-p.minors
	l.rows = rows
	l.rejects.Load(dataset.People, uint64(rows))
	if minors > 0 {
		l.rejects.Skip(dataset.People, dataset.SkipUnder18, uint64(minors))
	}
	l.makePairs()
	keys, err := storage.NewColumnWriter(l.tmp, storage.KeysName, rows)
	if err != nil {
		return err
	}
	defer keys.Abort()
	young, err := storage.NewColumnWriter(l.work, "minors.col", max(minors, 1))
	if err != nil {
		return err
	}
	defer young.Abort()
	adults, small := placed{dict: l.dict, keys: keys, pairs: invert.NewWriter(l.pairs)}, uint32(0)
	for _, i := range p.ordered {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := p.batches[i]
		blob := p.log.Get(b.blob)
		for k := range int(b.records) {
			o := b.base + uint32(k)
			switch r := readRecord(blob, k); {
			case bit(p.dup, o):
				l.rejects.RejectAt(dataset.People, b.file, b.fileIndex, int(r.line), "duplicate person")
			case !r.minor:
				p.kept[o>>6] |= 1 << (o & 63)
				if err := adults.add(r); err != nil {
					return err
				}
			default:
				p.minor[o>>6] |= 1 << (o & 63)
				if err := young.Add(small, r.key, false); err != nil {
					return err
				}
				small++
			}
		}
		p.log.Drop(b.blob)
	}
	adults.pairs.Flush()
	if _, err := young.Close(); err != nil {
		return err
	}
	return l.file(keys.Close())
}

// writeLookups turns the sorted hashes into the lookups of rows and minors.
func (p *people) writeLookups(parts []int) error {
	l := p.l
	rows, minors := newRanks(p.kept), newRanks(p.minor)
	keys, err := storage.NewLookupWriter(l.tmp, storage.KeyLookupName, uint64(rows.total))
	if err != nil {
		return err
	}
	defer keys.Abort()
	young, err := storage.NewLookupWriter(l.work, "minors.idx", uint64(minors.total))
	if err != nil {
		return err
	}
	defer young.Abort()
	le := binary.LittleEndian
	for _, id := range parts {
		for b := p.sorted.Get(id); len(b) > 0; b = b[12:] {
			h, o := le.Uint64(b), le.Uint32(b[8:])
			var err error
			if bit(p.kept, o) {
				err = keys.Add(h, rows.of(o))
			} else if bit(p.minor, o) {
				err = young.Add(h, minors.of(o))
			}
			if err != nil {
				return err
			}
		}
		p.sorted.Drop(id)
	}
	if _, err := young.Close(); err != nil {
		return err
	}
	return l.file(keys.Close())
}
