package load

import (
	"context"
	"math/bits"
	"slices"

	"golang.org/x/sync/errgroup"

	"throng/engine/bitmap/storage"
)

// blockTerms is the pairs of one block, inverted: terms ascending, and the rows
// of terms[i] at rows[ends[i-1]:ends[i]], ascending and distinct.
type blockTerms struct {
	terms []uint32
	ends  []uint32
	rows  []uint16
}

// inverter turns the pairs of a block around. It keeps its memory from block
// to block and is for one goroutine.
type inverter struct {
	keys, swap []uint64
	seen       [storage.BlockWords]uint64
}

// invert sorts the pairs by their final terms. The sort is stable, by the
// bits of the term alone: since most tables come in the order of people, most
// lists then are in order already, and only the others are sorted.
//
// more are pairs of final terms.
func (v *inverter) invert(pieces, more [][]byte, final []uint32, terms int) (*blockTerms, error) {
	size := 0
	for _, piece := range pieces {
		size += len(piece)
	}
	v.keys = slices.Grow(v.keys[:0], size/3) // usual pairs take three bytes
	var err error
	for _, piece := range pieces {
		if v.keys, err = appendPairs(v.keys, piece); err != nil {
			return nil, err
		}
	}
	for i, k := range v.keys {
		v.keys[i] = uint64(final[k>>16])<<16 | k&0xffff
	}
	for _, piece := range more {
		if v.keys, err = appendPairs(v.keys, piece); err != nil {
			return nil, err
		}
	}
	if cap(v.swap) < len(v.keys) {
		v.swap = make([]uint64, cap(v.keys))
	}
	v.keys, v.swap = radixSort(v.keys, v.swap[:len(v.keys)], 16, bits.Len(uint(max(terms-1, 1))))
	out := &blockTerms{rows: make([]uint16, 0, len(v.keys))}
	for from := 0; from < len(v.keys); {
		term := v.keys[from] >> 16
		to := from + 1
		ordered := true
		for to < len(v.keys) && v.keys[to]>>16 == term {
			ordered = ordered && v.keys[to-1] <= v.keys[to]
			to++
		}
		start := len(out.rows)
		for _, k := range v.keys[from:to] {
			out.rows = append(out.rows, uint16(k))
		}
		if !ordered {
			v.order(out.rows[start:])
		}
		out.rows = out.rows[:start+len(slices.Compact(out.rows[start:]))]
		out.terms = append(out.terms, uint32(term))
		out.ends = append(out.ends, uint32(len(out.rows)))
		from = to
	}
	return out, nil
}

// order sorts rows, which may be there more than once.
func (v *inverter) order(rows []uint16) {
	if len(rows) < 256 {
		slices.Sort(rows)
		return
	}
	for _, r := range rows {
		v.seen[r>>6] |= 1 << (r & 63)
	}
	n := 0
	for i, w := range v.seen {
		for ; w != 0; w &= w - 1 {
			rows[n] = uint16(i<<6 | bits.TrailingZeros64(w))
			n++
		}
		v.seen[i] = 0
	}
	// Duplicates leave places at the end; Compact drops repeats of the last.
	for i := n; i < len(rows); i++ {
		rows[i] = rows[n-1]
	}
}

// invertAll writes the parts and their forward indexes, and counts the people
// of the final terms.
func (l *loader) invertAll(ctx context.Context, order, final, people []uint32) error {
	forward := l.newForwarder(order)
	inverters := make(chan *inverter, l.workers)
	for range l.workers {
		inverters <- new(inverter)
	}
	blocks := (int(l.rows) + storage.BlockRows - 1) / storage.BlockRows
	for part := 0; part*storage.PartBlocks < blocks; part++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		var inverted [storage.PartBlocks]*blockTerms
		var g errgroup.Group
		g.SetLimit(l.workers)
		for b := part * storage.PartBlocks; b < min(blocks, (part+1)*storage.PartBlocks); b++ {
			g.Go(func() error {
				v := <-inverters
				defer func() { inverters <- v }()
				pieces, err := l.pairs.read(b)
				if err != nil {
					return err
				}
				more, err := l.over.read(b)
				if err != nil {
					return err
				}
				inverted[b%storage.PartBlocks], err = v.invert(pieces, more, final, len(people))
				l.pairs.release(b)
				l.over.release(b)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if err := l.writePart(part, &inverted, people, forward); err != nil {
			return err
		}
		if err := forward.write(l, part, &inverted); err != nil {
			return err
		}
		l.progress.step(int64(part+1), int64((blocks+storage.PartBlocks-1)/storage.PartBlocks))
	}
	return nil
}

// writePart merges the blocks of a part term by term.
func (l *loader) writePart(part int, blocks *[storage.PartBlocks]*blockTerms, people []uint32, forward *forwarder) error {
	forward.begin()
	first := part * storage.PartRows
	pw, err := storage.NewPartWriter(l.tmp, storage.PartName(part), uint32(first), min(storage.PartRows, int(l.rows)-first))
	if err != nil {
		return err
	}
	defer pw.Abort()
	var at [storage.PartBlocks]int
	var lists [storage.PartBlocks][]uint16
	for {
		next, any := ^uint32(0), false
		for b, bt := range blocks {
			if bt != nil && at[b] < len(bt.terms) {
				next, any = min(next, bt.terms[at[b]]), true
			}
		}
		if !any {
			break
		}
		before := people[next]
		for b, bt := range blocks {
			lists[b] = nil
			if bt == nil || at[b] == len(bt.terms) || bt.terms[at[b]] != next {
				continue
			}
			from := uint32(0)
			if at[b] > 0 {
				from = bt.ends[at[b]-1]
			}
			lists[b] = bt.rows[from:bt.ends[at[b]]]
			people[next] += uint32(len(lists[b]))
			at[b]++
		}
		forward.add(next, int(people[next]-before))
		if err := pw.Add(next, &lists); err != nil {
			return err
		}
	}
	return l.file(pw.Close())
}
