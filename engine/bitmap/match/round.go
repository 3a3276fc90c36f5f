package match

import (
	"cmp"
	"context"
	"math/bits"
	"slices"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
	"throng/identifier"
	"throng/internal/hexkey"
)

// worker looks values up round by round. What it does, it does in the
// order of the memory it touches: a round's values in that of the lookup, and
// the rows found in that of the column. It is for one goroutine.
type worker struct {
	m *matcher

	made           []storage.Probe // of a batch
	probes, sorted []storage.Probe
	text           []byte // keys that are not of 16 bytes; a probe's Rest tells where
	joined         storage.Joined
	byRow          []uint64               // what was found, block by block
	owned          []uint64               // a bit a probe
	counts         [1 << roundBits]uint32 // of probes
	ends           []uint32               // of each block in byRow
	scratch        []byte
}

const (
	// roundBits are those of a hash by which a round's values are put in
	// order. Of a lookup of a hundred million keys this leaves two megabytes
	// to a part of them, whose pages the processor remembers, and the parts
	// are few enough to be written side by side.
	roundBits = 9
	// maxRoundText bounds what a round's keys take, in bytes a value of the
	// limit.
	maxRoundText = 32
	// maxKey is the longest key; nobody has a longer one.
	maxKey = 1<<16 - 1
)

func newWorker(m *matcher) *worker {
	return &worker{m: m}
}

// add takes a batch of values, which is free again when it returns.
func (w *worker) add(ctx context.Context, b *valueBatch) error {
	if err := ctx.Err(); err != nil || w.m.Lookup == nil {
		return err
	}
	if len(w.probes)+len(b.ends) > w.m.Round || len(w.text) > maxRoundText*w.m.Round {
		if err := w.round(ctx); err != nil {
			return err
		}
	}
	if need := len(w.probes) + len(b.ends); need > cap(w.probes) {
		w.probes = slices.Grow(w.probes, min(max(need, 2*cap(w.probes)), w.m.Round)-len(w.probes))
	}
	if w.m.binary && b.others == 0 && w.m.Type != identifier.EmailRaw {
		w.made = resize(w.made, len(b.ends))
		kernel.HexSought(w.made, b.values)
		for _, p := range w.made {
			w.put(p)
		}
		return nil
	}
	from := uint32(0)
	for _, end := range b.ends {
		value := b.values[from:end]
		if from = end; w.m.Type == identifier.EmailRaw {
			w.scratch = identifier.EmailMD5(w.scratch[:0], value)
			value = w.scratch
		}
		if w.m.binary {
			if k, ok := hexkey.Of(value); ok { // else nobody has it
				w.put(storage.ProbeKey(k))
			}
			continue
		}
		start := len(w.text)
		w.text = w.m.codec.Encode(w.text, value)
		if key := w.text[start:]; len(key) <= maxKey {
			w.put(storage.Probe{Hash: storage.Hash(key), Rest: uint64(start)<<16 | uint64(len(key))})
		}
	}
	return nil
}

// key is the key of a probe that is not of 16 bytes.
func (w *worker) key(p storage.Probe) []byte {
	return w.text[p.Rest>>16:][:p.Rest&maxKey]
}

// round finds the owners of the values taken so far, and forgets them.
func (w *worker) round(ctx context.Context) error {
	if len(w.probes) == 0 {
		return nil
	}
	w.partition()
	w.owned = resize(w.owned, (len(w.sorted)+63)/64)
	clear(w.owned)
	if need := max(len(w.sorted)/2, 2*storage.JoinRoom); cap(w.joined.Found) < need {
		w.joined.Found, w.byRow = make([]uint64, 0, need), make([]uint64, need)
	}
	w.joined.Crowded = w.joined.Crowded[:0]
	for next := 0; next < len(w.sorted); {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		w.joined.Found = w.joined.Found[:0]
		if next, err = w.m.Lookup.Join(w.sorted, next, &w.joined); err != nil {
			return err
		}
		if err := w.verify(); err != nil {
			return err
		}
	}
	if err := w.crowded(ctx); err != nil {
		return err
	}
	matched := 0
	for _, word := range w.owned {
		matched += bits.OnesCount64(word)
	}
	w.m.matched.Add(uint64(matched))
	w.probes, w.text = w.probes[:0], w.text[:0]
	return nil
}

// partition makes w.sorted the probes in the order of the first bits of their
// hashes.
func (w *worker) partition() {
	at := uint32(0)
	for i, n := range w.counts {
		w.counts[i] = at
		at += n
	}
	if cap(w.sorted) < len(w.probes) {
		w.sorted = make([]storage.Probe, cap(w.probes))
	}
	w.sorted = w.sorted[:len(w.probes)]
	for _, p := range w.probes {
		n := &w.counts[p.Hash>>(64-roundBits)]
		w.sorted[*n] = p
		*n++
	}
	clear(w.counts[:])
}

// resize gives n elements whose content is arbitrary, in the memory of s where
// it is enough.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// put adds a probe to the round.
func (w *worker) put(p storage.Probe) {
	w.probes = append(w.probes, p)
	w.counts[p.Hash>>(64-roundBits)]++
}

// verify notes which of the rows found own the key they were found for.
func (w *worker) verify() error {
	found := w.joined.Found
	rows := w.m.Rows
	w.ends = resize(w.ends, len(w.m.blocks))
	clear(w.ends)
	for _, f := range found {
		if f>>32 >= rows {
			return w.m.Lookup.NoSuchRow()
		}
		w.ends[f>>32/storage.BlockRows]++
	}
	at := uint32(0)
	for i, n := range w.ends {
		w.ends[i] = at
		at += n
	}
	for _, f := range found {
		n := &w.ends[f>>32/storage.BlockRows]
		w.byRow[*n] = f
		*n++
	}
	from := uint32(0)
	for block, end := range w.ends {
		if from == end {
			continue
		}
		own, err := w.own(block, w.byRow[from:end])
		if err != nil {
			return err
		}
		for _, f := range own {
			w.owned[uint32(f)/64] |= 1 << (f % 64)
		}
		if from = end; len(own) > 0 {
			w.m.set(block, own)
		}
	}
	return nil
}

// own keeps those of a block's rows that own the key they were found for.
func (w *worker) own(block int, found []uint64) ([]uint64, error) {
	values, err := w.m.Column.Block(block)
	if err != nil {
		return nil, err
	}
	if w.m.binary {
		return values.Own(found, w.sorted), nil
	}
	kept := found[:0]
	for _, f := range found {
		key := w.key(w.sorted[uint32(f)])
		from, to := values.Range(int(f >> 32 % storage.BlockRows))
		for ; from < to; from++ {
			if w.m.codec.Equal(values.Value(from), key) {
				kept = append(kept, f)
				break
			}
		}
	}
	return kept, nil
}

// crowded looks up the probes whose lines are so full that each row there is
// better asked once for all of them: somebody has looked for keys of one hash,
// or very many people own one key.
func (w *worker) crowded(ctx context.Context) error {
	list := w.joined.Crowded
	slices.SortFunc(list, func(a, b uint32) int { return cmp.Compare(w.sorted[a].Hash, w.sorted[b].Hash) })
	for len(list) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		hash, n := w.sorted[list[0]].Hash, 1
		for n < len(list) && w.sorted[list[n]].Hash == hash {
			n++
		}
		if err := w.crowd(hash, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// crowd looks up probes of one hash.
func (w *worker) crowd(hash uint64, probes []uint32) error {
	byKey := make(map[string]uint32, len(probes))
	for _, i := range probes {
		byKey[string(w.rest(w.sorted[i]))] = i
	}
	var failed error
	err := w.m.Lookup.Candidates(hash, func(row uint32) bool {
		failed = w.crowdRow(row, hash, byKey)
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	return err
}

// rest is what tells a probe from others of its hash.
func (w *worker) rest(p storage.Probe) []byte {
	if w.m.binary {
		return hexkey.Key{Lo: p.Rest}.Append(w.scratch[:0])
	}
	return w.key(p)
}

// crowdRow notes which of the keys of one hash a row owns.
func (w *worker) crowdRow(row uint32, hash uint64, byKey map[string]uint32) error {
	if uint64(row) >= w.m.Rows {
		return w.m.Lookup.NoSuchRow()
	}
	block := int(row / storage.BlockRows)
	values, err := w.m.Column.Block(block)
	if err != nil {
		return err
	}
	from, to := values.Range(int(row % storage.BlockRows))
	for ; from < to; from++ {
		key := w.m.codec.Key(w.scratch[:0], values.Value(from))
		if storage.Hash(key) != hash || w.m.binary && len(key) != 16 {
			continue
		}
		if w.m.binary {
			key = w.rest(storage.Probe{Hash: hash, Rest: storage.KeyOf(key).Lo})
		}
		if i, ok := byKey[string(key)]; ok {
			w.owned[i/64] |= 1 << (i % 64)
			w.m.set(block, []uint64{uint64(row) << 32})
		}
	}
	return nil
}
