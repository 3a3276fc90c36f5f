package storage

import "slices"

// Peoples gives how many rows have each of n terms from first on, which must
// exist. The slice aliases the mapping. An error wraps [ErrCorrupt].
func (d *Dict) Peoples(first, n uint32) ([]uint32, error) {
	if err := d.Check(d.counts+4*uint64(first), 4*uint64(n)); err != nil {
		return nil, err
	}
	return d.people[first:][:n], nil
}

// EachTermOf is EachTerm for the terms from first up to, not including, end.
func (p *Part) EachTermOf(first, end uint32, yield func(term uint32, ps *Postings) bool) error {
	if err := p.directory(); err != nil {
		return err
	}
	from, _ := slices.BinarySearch(p.terms, first)
	for i := from; i < len(p.terms) && p.terms[i] < end; i++ {
		ps, err := p.postingsAt(i)
		if err != nil {
			return err
		}
		if !yield(p.terms[i], &ps) {
			return nil
		}
	}
	return nil
}
