package forward

import (
	"cmp"
	"slices"
)

// Codes gives the terms of one part their codes.
type Codes struct {
	counted Counted
	terms   []uint32 // by code: dense, frequent, then others
	dense   int
	short   int // dense and frequent ones
	rare    bool
	codes   []uint32 // by term; noCode for those that are rare or not there
}

const noCode = NoTerm

// NewCodes gives codes to the terms of a part of so many rows: terms
// ascend and are all that rows of the part have, people[i] is how many rows
// have terms[i]. What is not counted is left out. The same counts give the
// same codes. reuse, where not nil, is what was given for an earlier part and
// is no longer used.
func NewCodes(counted Counted, rows int, terms, people []uint32, reuse *Codes) *Codes {
	c := reuse
	if c == nil {
		c = &Codes{codes: make([]uint32, counted.Limit())}
	}
	c.counted, c.terms = counted, c.terms[:0]
	n, _ := slices.BinarySearch(terms, counted.Limit())
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(people[b], people[a]), cmp.Compare(a, b))
	})
	c.dense = 0
	for c.dense < min(n, shortCodes) && uint64(people[order[c.dense]])*denseShare >= uint64(rows) {
		c.dense++
	}
	c.short = min(n, shortCodes)
	coded := min(n, shortCodes+longCodes)
	c.rare = coded < n
	slices.Sort(order[:c.dense])
	slices.Sort(order[c.dense:c.short])
	slices.Sort(order[c.short:coded])
	for i := range c.codes {
		c.codes[i] = noCode
	}
	for code, i := range order[:coded] {
		c.codes[terms[i]] = uint32(code)
		c.terms = append(c.terms, terms[i])
	}
	return c
}

// rareBytes is how many bytes a rare term takes.
func rareBytes(limit uint32) int {
	if limit > 1<<24 {
		return 4
	}
	return 3
}
