package load

import (
	"bytes"
	"sync"

	"throng/dataset"
	"throng/engine/bitmap/load/intern"
)

// Most cells of a Parquet file are codes of a dictionary of their row group.
// What a cell means is found out once for each code; rows of which all cells
// are known are then taken in without a look at their text.

// crew gives each goroutine that reads batches a worker of its own, for as long
// as one table is read: what a worker knows is about the row group at hand.
type crew[W any] struct {
	mu   sync.Mutex
	free []W
	at   map[*dataset.Batch]W
}

func newCrew[W any](all []W) *crew[W] { return &crew[W]{free: all, at: map[*dataset.Batch]W{}} }

// of gives the worker of whoever reads into a batch.
func (c *crew[W]) of(b *dataset.Batch) W {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.at[b]
	if !ok {
		w, c.free = c.free[0], c.free[1:]
		c.at[b] = w
	}
	return w
}

// codeTerm is what the code of a cell means.
type codeTerm struct {
	term  uint32
	field uint8
	set   bool
}

// codeColumns is how many columns have codes that are remembered: more than any
// table about people has.
const codeColumns = 4

// codeCaches is what is known of the codes of the row group at hand.
type codeCaches struct {
	group   uint32
	fresh   bool // the batch at hand is the first of the row group
	columns [codeColumns]codeColumn
	// persons are by code of column 0, or by row of the batch where it has none:
	// 1 more than the row; 0 where not known. all says that whoever is not known
	// has no row.
	persons []uint32
	all     bool
	// By codes of the columns of interests and personality:
	affinities []*affinity
	scores     []uint8 // scoreLow, scoreHigh; 0 where not known
	networks   []uint8 // of follows: 1 more than the field
}

const (
	scoreLow  = 1
	scoreHigh = 2
)

type codeColumn struct {
	codes []int32 // of the batch at hand; nil where it has none
	terms []codeTerm
}

// begin makes the batch the one at hand.
func (c *codeCaches) begin(b *dataset.Batch) {
	fresh := b.Group() != c.group || c.group == 0
	c.fresh = fresh
	if codes, _ := b.Codes(0); codes == nil {
		c.persons, c.all = c.persons[:0], false
	}
	c.group = b.Group()
	width := min(len(dataset.Columns(b.Table)), codeColumns)
	for col := range c.columns {
		at := &c.columns[col]
		at.codes = nil
		if col >= width {
			continue
		}
		codes, n := b.Codes(col)
		at.codes = codes
		if codes == nil {
			continue
		}
		if fresh || len(at.terms) != n {
			at.terms = cleared(at.terms, n)
			switch col {
			case 0:
				c.persons, c.all = cleared(c.persons, n), false
			case 1:
				c.affinities, c.networks = cleared(c.affinities, n), cleared(c.networks, n)
			case 2:
				c.scores = cleared(c.scores, n)
			}
		}
	}
}

// cleared gives n zeros, in the memory of s where it is enough.
func cleared[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// code gives the code of a cell, -1 where it has none.
func (c *codeCaches) code(i, col int) int32 {
	if col < 0 || c.columns[col].codes == nil {
		return -1
	}
	return c.columns[col].codes[i]
}

// term gives the place for what a cell means; nil where it has no code.
func (c *codeCaches) term(i, col int) *codeTerm {
	x := c.code(i, col)
	if x < 0 {
		return nil
	}
	return &c.columns[col].terms[x]
}

// personKnown gives the row of the person of row i, where it is known.
func (c *codeCaches) personKnown(i int) (row uint32, ok bool) {
	x := i
	if c.columns[0].codes != nil {
		x = int(c.columns[0].codes[i])
	}
	if x < 0 || x >= len(c.persons) || c.persons[x] == 0 {
		return 0, false
	}
	return c.persons[x] - 1, true
}

// findPersons finds all people of the row group, or of the batch, at once where
// those of the batches before did not come in the order of people.
func (w *rowWorker) findPersons(b *dataset.Batch) error {
	f, c := w.find, &w.codes
	coded := c.columns[0].codes != nil
	if c.fresh && coded {
		f.hits, f.misses, f.unordered = 0, 0, false
	}
	const few = 64
	f.unordered = f.unordered || f.misses > f.hits/4+few
	if !f.unordered || c.all {
		return nil
	}
	if !coded {
		c.persons = cleared(c.persons, b.Rows())
		return f.findAll(b.Rows(), func(i int) []byte { return b.Cell(i, 0) }, c.persons)
	}
	c.all = true
	return f.findAll(len(c.persons), func(i int) []byte { return b.Text(0, int32(i)) }, c.persons)
}

func (c *codeCaches) setPerson(i int, row uint32) {
	if x := c.code(i, 0); x >= 0 {
		c.persons[x] = row + 1
	}
}

func (c *codeCaches) setAffinity(i int, a *affinity) {
	if x := c.code(i, 1); x >= 0 {
		c.affinities[x] = a
	}
}

func (c *codeCaches) setNetwork(i int, field uint8) {
	if x := c.code(i, 1); x >= 0 {
		c.networks[x] = field + 1
	}
}

func (c *codeCaches) setScore(i int, high bool) {
	if x := c.code(i, 2); x >= 0 {
		c.scores[x] = scoreLow
		if high {
			c.scores[x] = scoreHigh
		}
	}
}

// person gives the row of the person of row i, where it is known or the next
// one.
func (w *rowWorker) person(b *dataset.Batch, i int) (row uint32, ok bool, err error) {
	if row, ok = w.codes.personKnown(i); ok {
		return row, true, nil
	}
	codes := w.codes.columns[0].codes
	if codes == nil {
		cell := b.Cell(i, 0)
		if w.find.who == aRow && bytes.Equal(cell, w.find.last) {
			return w.find.row, true, nil
		}
		return w.find.next(cell)
	}
	x := codes[i]
	if x < 0 || w.codes.all {
		return 0, false, nil
	}
	if row, ok, err = w.find.next(b.Cell(i, 0)); ok {
		w.codes.persons[x] = row + 1
	}
	return row, ok, err
}

func fastFollows(w *rowWorker, b *dataset.Batch, from int) (int, error) {
	networks, accounts := w.codes.columns[1].codes, w.codes.columns[2].codes
	if networks == nil || accounts == nil {
		return 0, nil
	}
	terms, declared := w.codes.columns[2].terms, w.l.dict.Declared()
	for i := from; i < len(accounts); i++ {
		n, a := networks[i], accounts[i]
		if n < 0 || a < 0 {
			return i - from, nil
		}
		t := terms[a]
		if !t.set || w.codes.networks[n] != t.field+1 {
			return i - from, nil
		}
		row, ok, err := w.person(b, i)
		if !ok || err != nil {
			return i - from, err
		}
		if err := w.pairs.Add(row, t.term); err != nil {
			return 0, err
		}
		if t.term < declared {
			if err := w.pairs.AddAll(row, w.l.brings[t.term]); err != nil {
				return 0, err
			}
		}
	}
	return len(accounts) - from, nil
}

func fastInterests(w *rowWorker, b *dataset.Batch, from int) (int, error) {
	codes := w.codes.columns[1].codes
	for i := from; i < len(codes); i++ {
		if codes[i] < 0 {
			return i - from, nil
		}
		a := w.codes.affinities[codes[i]]
		if a == nil {
			return i - from, nil
		}
		row, ok, err := w.person(b, i)
		if !ok || err != nil {
			return i - from, err
		}
		if err := w.pairs.AddAll(row, a.terms); err != nil {
			return 0, err
		}
	}
	return max(len(codes)-from, 0), nil
}

func fastScores(w *rowWorker, b *dataset.Batch, from int) (int, error) {
	terms, scores := w.codes.columns[1].codes, w.codes.columns[2].codes
	if w.scored == intern.None || terms == nil || scores == nil {
		return 0, nil
	}
	for i := from; i < len(terms); i++ {
		if terms[i] < 0 || scores[i] < 0 {
			return i - from, nil
		}
		// Whether a low score's term is one at all is known as well by who had
		// a high one.
		t, score := w.codes.columns[1].terms[terms[i]], w.codes.scores[scores[i]]
		if !t.set || score == 0 {
			return i - from, nil
		}
		row, ok, err := w.person(b, i)
		if !ok || err != nil {
			return i - from, err
		}
		if err := w.pairs.Add(row, w.scored); err != nil {
			return 0, err
		}
		if score == scoreHigh {
			if err := w.pairs.Add(row, t.term); err != nil {
				return 0, err
			}
		}
	}
	return len(terms) - from, nil
}
