package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"golang.org/x/sys/unix"

	"throng/bench/population"
	"throng/engine/bitmap/load/invert"
)

const (
	pairTerms  = 100_000 // or a tenth of the people, where that is less
	pairEach   = 10      // a person
	pairSample = 1_000_000
)

// pairs are facts about people, ten each: the k-th of a row is a term whose
// share falls with its number. Making one takes some nanoseconds.
type pairs struct {
	rows  uint32
	terms uint32
	seed  uint64
	table [1 << 16]uint32
	step  uint64 // with which rows come in no order
}

func newPairs(rows int, seed uint64) *pairs {
	p := &pairs{rows: uint32(rows), terms: uint32(min(pairTerms, rows/10)), seed: seed, step: coprime(&population.Population{People: rows})}
	for i := range p.table { // a term of rank r comes as 1/r
		p.table[i] = uint32(math.Pow(float64(p.terms), (float64(i)+.5)/float64(len(p.table)))) - 1
	}
	return p
}

func (p *pairs) term(row uint32, k int) uint32 {
	x := population.Mix(p.seed, uint64(row)*pairEach+uint64(k))
	t := p.table[x&0xffff]
	return (t + uint32(x>>16)%(t/8+1)) % p.terms // else few terms would ever come
}

// inOrder passes the rows from and before to, with all their terms at once.
func (p *pairs) inOrder(from, to uint32, add func(row uint32, terms ...uint32) error) error {
	var terms [pairEach]uint32
	for row := from; row < to; row++ {
		for k := range terms {
			terms[k] = p.term(row, k)
		}
		if err := add(row, terms[:]...); err != nil {
			return err
		}
	}
	return nil
}

// inNoOrder passes every pair by itself, the share of one of so many workers.
func (p *pairs) inNoOrder(worker, workers int, add func(row uint32, terms ...uint32) error) error {
	n := uint64(p.rows) * pairEach
	from, to := n*uint64(worker)/uint64(workers), n*uint64(worker+1)/uint64(workers)
	row, k, left := from%uint64(p.rows)*p.step%uint64(p.rows), int(from/uint64(p.rows)), uint64(p.rows)-from%uint64(p.rows)
	var one [1]uint32 // so that no call allocates
	for range to - from {
		one[0] = p.term(uint32(row), k)
		if err := add(uint32(row), one[:]...); err != nil {
			return err
		}
		if row += p.step; row >= uint64(p.rows) {
			row -= uint64(p.rows)
		}
		if left--; left == 0 {
			k, left = k+1, uint64(p.rows)
		}
	}
	return nil
}

// invertMemory is what an inversion keeps in memory at most.
const invertMemory = 1 << 30

// touchMemory uses so much memory and gives it back, before something is
// measured: under a virtual machine's host that takes back what is free, the
// first touch costs several times what it costs elsewhere, and is no work of
// what is measured.
func touchMemory(n int) error {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("touch memory: %w", err)
	}
	for i := 0; i < n; i += 4096 {
		b[i] = 1
	}
	return unix.Munmap(b)
}

// order is one of the two orders in which pairs come.
type order struct {
	name  string
	pass  func(p *pairs, worker, workers int, add func(row uint32, terms ...uint32) error) error
	most  float64 // nanoseconds a pair
	times float64 // as fast as roaring
}

func orders() []order {
	return []order{
		{"sorted by person", func(p *pairs, worker, workers int, add func(uint32, ...uint32) error) error {
			n := uint64(p.rows)
			return p.inOrder(uint32(n*uint64(worker)/uint64(workers)), uint32(n*uint64(worker+1)/uint64(workers)), add)
		}, 10, 15},
		{"unsorted", (*pairs).inNoOrder, 18, 50},
	}
}

// invert inverts all pairs with the loader's own stage, with its index by person
// where that is wanted, and returns how many people have each term.
func (p *pairs) invert(ctx context.Context, dir string, o order, workers int, forward bool) ([]uint32, error) {
	return invert.Pairs(ctx, dir, invert.Options{Rows: p.rows, Terms: p.terms, Workers: workers, Forward: forward},
		func(worker int, sink *invert.Sink) error { return o.pass(p, worker, workers, sink.Add) })
}

// add inverts all pairs with roaring.
func (p *pairs) add(o order) ([]*roaring.Bitmap, error) {
	list := make([]*roaring.Bitmap, p.terms)
	err := o.pass(p, 0, 1, func(row uint32, terms ...uint32) error {
		for _, t := range terms {
			if list[t] == nil {
				list[t] = roaring.New()
			}
			list[t].Add(row)
		}
		return nil
	})
	return list, err
}

// rowInvert measures row 8.
func (r *run) rowInvert(ctx context.Context) (err error) {
	people := r.stack.people
	all, few := newPairs(people.People, people.Seed), newPairs(min(people.People, pairSample), people.Seed)
	dir := filepath.Join(r.stack.dir, "inverted")
	fresh := func() error {
		return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700), touchMemory(int(min(invertMemory, 8*pairEach*int64(all.rows)))))
	}
	warm := func() error { return touchMemory(int(8 * pairEach * int64(few.rows))) }
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	row := Row{ID: "8", Work: fmt.Sprintf("invert %.3g million pairs of person and term", float64(all.rows)*pairEach/1e6)}
	var want []uint32
	for _, o := range orders() {
		if err := fresh(); err != nil {
			return err
		}
		if err := few.compare(ctx, r, dir, o); err != nil {
			return err
		}
		check := func(got []uint32, err error) error {
			if want == nil {
				want = got
			}
			if err == nil && !slices.Equal(got, want) {
				err = errors.New("another order of the same pairs gave another index")
			}
			return err
		}
		timings, steady, err := measure(ctx, r.cfg.Rounds,
			variant{name: "with making them, one core", before: fresh, run: func() error { return check(all.invert(ctx, dir, o, 1, false)) }},
			variant{name: "with making them, all cores", clock: byWall, before: fresh, run: func() error {
				return check(all.invert(ctx, dir, o, r.report.Machine.Cores, false))
			}},
			variant{name: "making them", run: func() error {
				return o.pass(all, 0, 1, func(row uint32, terms ...uint32) error {
					r.sink.n += int(terms[0])
					return nil
				})
			}},
			variant{name: "roaring Add", before: warm, run: func() error { _, err := few.add(o); return err }},
			variant{name: "making those for roaring", run: func() error {
				return o.pass(few, 0, 1, func(row uint32, terms ...uint32) error {
					r.sink.n += int(terms[0])
					return nil
				})
			}},
			variant{name: "with making them, and the index by person", before: fresh, run: func() error {
				return check(all.invert(ctx, dir, o, 1, true))
			}},
		)
		if err != nil {
			return err
		}
		row.Unsteady = row.Unsteady || !steady
		row.inverted(o, timings, float64(all.rows)*pairEach, float64(few.rows)*pairEach)
	}
	row.note("roaring adds %.3g million pairs; making the pairs is taken off both, and memory is touched before", float64(few.rows)*pairEach/1e6)
	r.add(row)
	return nil
}

// inverted adds the figures of one order, in nanoseconds a pair.
func (r *Row) inverted(o order, timings []*timing, pairs, sample float64) {
	each := func(t, making *timing, n float64) []float64 {
		list := make([]float64, len(t.told()))
		for i, s := range t.told() {
			list[i] = 1e9 * (s - making.cpu[i]) / n
		}
		return list
	}
	ours, other := each(timings[0], timings[2], pairs), each(timings[3], timings[4], sample)
	both := each(timings[5], timings[2], pairs)
	for _, f := range []struct {
		name string
		list []float64
	}{{o.name + ", " + oneCore, ours}, {o.name + ", with the index by person, " + oneCore, both}, {"roaring Add, " + o.name, other}} {
		r.Figures = append(r.Figures, Figure{
			Name: f.name, Unit: "ns/pair", Clock: string(byCPU),
			Median: round(median(f.list)), Min: round(slices.Min(f.list)), Max: round(slices.Max(f.list)),
		})
	}
	r.Cases = append(r.Cases, Case{
		Name: "pairs " + o.name, Unit: "ns/pair", OneCore: round(median(ours)),
		Other: round(median(other)), OtherName: "roaring Add",
	})
	r.figure(o.name+", with making them, "+allCores, "ns/pair", 1e9*timings[1].median()/pairs)
	r.atMost(o.name+", "+oneCore, "ns/pair", median(ours), o.most)
	r.atLeast("roaring Add / ours, "+o.name, "x", median(other)/median(ours), o.times)
}

// compare checks that the loader's stage and roaring find the same people for
// every term.
func (p *pairs) compare(ctx context.Context, r *run, dir string, o order) error {
	got, err := p.invert(ctx, dir, o, r.report.Machine.Cores, true)
	if err != nil {
		return err
	}
	list, err := p.add(o)
	if err != nil {
		return err
	}
	want := make([]uint32, len(list))
	for t, b := range list {
		if b != nil {
			want[t] = uint32(b.GetCardinality())
		}
	}
	if !slices.Equal(got, want) {
		r.report.Differ = append(r.report.Differ, "row 8, people of terms, "+o.name)
	}
	return nil
}
