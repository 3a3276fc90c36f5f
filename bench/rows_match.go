package bench

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"throng/bench/population"
	"throng/identifier"
)

// md5Lines are lines of MD5s in no order, half of which somebody owns.
type md5Lines struct {
	text  []byte
	lines int
	owned int
}

const md5Line = 33 // bytes, with the line's end

// makeLines makes n lines, at most as many as there are people.
func makeLines(p *population.Population, n int) *md5Lines {
	l := &md5Lines{text: make([]byte, 0, n*md5Line), lines: n}
	step := coprime(p)
	at := uint64(0)
	for i := range n {
		person := at
		if i%2 == 1 {
			person = 1<<62 + at // nobody
		} else {
			l.owned++
		}
		at = (at + step) % uint64(p.People)
		sum := p.MD5(person)
		l.text = hex.AppendEncode(l.text, sum[:])
		l.text = append(l.text, '\n')
	}
	return l
}

// coprime is a step with which one comes to every person once, in an order
// that has nothing to do with that of the index.
func coprime(p *population.Population) uint64 {
	people := uint64(p.People)
	step := uint64(float64(people)*.6180339887) | 1
	for gcd(step, people) != 1 {
		step += 2
	}
	return step
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (l *md5Lines) each() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for text := l.text; len(text) > 0; text = text[md5Line:] {
			if !yield(text[:md5Line-1]) {
				return
			}
		}
	}
}

// hashTable finds people by MD5, one by one: open addressing at a load of at
// most 0.6, and the person's own MD5 in a column beside it.
type hashTable struct {
	keys  [][16]byte // by person
	slots []uint32   // person + 1
	mask  uint64
}

func newHashTable(p *population.Population) *hashTable {
	size := 1
	for size*6 < p.People*10 {
		size *= 2
	}
	t := &hashTable{keys: make([][16]byte, p.People), slots: make([]uint32, size), mask: uint64(size - 1)}
	for i := range p.People {
		sum := p.MD5(uint64(i))
		t.keys[i] = sum
		at := binary.LittleEndian.Uint64(sum[:]) & t.mask
		for t.slots[at] != 0 {
			at = (at + 1) & t.mask
		}
		t.slots[at] = uint32(i + 1)
	}
	return t
}

// match counts the people who own any of the lines, and sets their bits.
func (t *hashTable) match(l *md5Lines, set []uint64) (matched int, err error) {
	clear(set)
	var sum [16]byte
	for line := range l.each() {
		if _, err := hex.Decode(sum[:], line); err != nil {
			return 0, err
		}
		at := binary.LittleEndian.Uint64(sum[:]) & t.mask
		for ; t.slots[at] != 0; at = (at + 1) & t.mask {
			person := t.slots[at] - 1
			if t.keys[person] == sum {
				set[person>>6] |= 1 << (person & 63)
				matched++
				break
			}
		}
	}
	return matched, nil
}

// rowMatch measures row 7: lines against the keys of all people, exactly.
func (r *run) rowMatch(ctx context.Context) error {
	s := r.stack
	lines := makeLines(s.people, max(2, s.people.People/10))
	table := newHashTable(s.people)
	set := make([]uint64, (s.people.People+63)/64)
	matching := func(name string, c clock, d *side) variant {
		return variant{name: name, clock: c, run: func() error {
			rows, matched, err := d.generation.Match(ctx, identifier.MD5, lines.each())
			if err == nil && (matched != uint64(lines.owned) || rows.Len() != uint64(lines.owned)) {
				err = fmt.Errorf("matched %d lines of %d people, want %d", matched, rows.Len(), lines.owned)
			}
			return err
		}}
	}
	timings, steady, err := measure(ctx, r.cfg.Rounds,
		matching(oneCore, byCPU, s.one),
		matching(allCores, byWall, s.all),
		variant{name: "hash table, line by line", run: func() error {
			n, err := table.match(lines, set)
			if err == nil && n != lines.owned {
				err = fmt.Errorf("matched %d, want %d", n, lines.owned)
			}
			return err
		}},
	)
	if err != nil {
		return err
	}
	row := Row{ID: "7", Work: fmt.Sprintf("%.3g million uploaded MD5 lines against %.3g million keys", float64(lines.lines)/1e6, float64(s.people.People)/1e6), Unsteady: !steady}
	row.times(timings...)
	row.side("", timings[0], timings[1], nil, timings[2])
	rate := func(t *timing) float64 { return float64(lines.lines) / t.median() / 1e6 }
	row.figure("rate, one core", "million lines/s", rate(timings[0]))
	row.figure("rate, all cores", "million lines/s", rate(timings[1]))
	row.atLeast("rate, one core", "million lines/s", rate(timings[0]), 12)
	row.faster(timings[0], timings[2], 3)
	info, err := os.Stat(filepath.Join(s.generationDir(), "id-md5.idx"))
	if err != nil {
		return err
	}
	row.atMost("lookup", "B/key", float64(info.Size())/float64(s.people.People), 11)
	r.add(row)
	return nil
}
